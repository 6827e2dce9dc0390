//! Connectors for well-known case systems: data files with named parameters, filled in for one installation.

mod fill;
mod form;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::words::nearest;
use form::Form;

/// A connector for a well-known case system, with parameters for what differs between installations.
///
/// Made from what the vendors publish. What could not be confirmed is said in `unconfirmed`: try it with
/// [`crate::Agent::test`] before relying on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Preset {
    /// The name that [`preset`] takes, such as `jira-cloud`.
    pub name: String,
    /// The system and its API.
    pub title: String,
    /// What to say about one installation.
    pub parameters: Vec<PresetParameter>,
    /// What to know about the system, and what the connector does and does not do.
    pub notes: Vec<String>,
    /// What could not be confirmed by the sources.
    pub unconfirmed: Vec<String>,
    /// Where the facts come from.
    pub sources: Vec<PresetSource>,
    #[serde(skip_serializing)]
    config: Map<String, Value>,
    #[serde(default, skip_serializing)]
    secrets: Map<String, Value>,
    #[serde(default, skip_serializing)]
    overlays: Vec<Overlay>,
}

/// One parameter of a preset.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PresetParameter {
    /// The name that [`preset`] takes.
    pub name: String,
    /// What it is, for people.
    pub meaning: String,
    /// A value as it might be.
    #[serde(default)]
    pub example: Option<String>,
    /// What holds when it is not given.
    #[serde(default)]
    pub default: Option<String>,
    /// Whether it may be left out although it has no default.
    #[serde(default)]
    pub optional: bool,
    /// Whether it is a credential. Credentials may be left out together: then the document has no secrets, and configure
    /// takes them apart.
    #[serde(default)]
    pub secret: bool,
    /// The only values that it takes, where these are few.
    #[serde(default)]
    pub choices: Vec<String>,
    form: Form,
}

impl PresetParameter {
    /// A regular expression that every value matches, anchored at both ends.
    pub fn pattern(&self) -> &'static str {
        self.form.pattern()
    }

    /// Whether a document cannot be made without it.
    pub fn is_required(&self) -> bool {
        self.default.is_none() && !self.optional && !self.secret
    }
}

/// Where a fact about a system was read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PresetSource {
    /// What was read there.
    pub fact: String,
    /// The address.
    pub url: String,
}

/// Fields that take the place of others when a parameter is given, or has one value.
#[derive(Debug, Clone, Deserialize)]
struct Overlay {
    with: String,
    #[serde(default)]
    equals: Option<String>,
    config: Map<String, Value>,
}

/// The presets there are, by name; none without the cargo feature `presets`.
///
/// ```
/// let jira = casehook::presets().iter().find(|preset| preset.name == "jira-cloud").unwrap();
/// assert!(jira.parameters.iter().any(|parameter| parameter.name == "site" && parameter.is_required()));
/// ```
pub fn presets() -> &'static [Preset] {
    static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(unpacked);
    &PRESETS
}

/// A connector document for one installation of a well-known system: JSON text for [`crate::Connector::from_json`].
///
/// `values` are the parameters by name. Without the credentials the document has no `secrets`; give them to configure
/// apart ([`crate::Connector::from_parts`]).
///
/// ```
/// # fn main() -> casehook::Result<()> {
/// let document = casehook::preset("jira-cloud", &[("site", "acme"), ("project", "OPS")])?;
/// let connector = casehook::Connector::from_json(&document)?;
/// assert_eq!(connector.name(), Some("jira-cloud"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ErrorKind::NotFound`] lists the presets; [`ErrorKind::Argument`] names a parameter that is missing, not known or
/// cannot be used, and lists those that there are. No error shows a credential.
pub fn preset(name: &str, values: &[(&str, &str)]) -> Result<String> {
    if cfg!(not(feature = "presets")) {
        let message =
            "this casehook was built without presets (cargo feature presets): write the connector's document";
        return Err(Error::new(ErrorKind::NotFound, message).at("preset"));
    }
    let preset = presets().iter().find(|preset| preset.name == name);
    let document = preset.ok_or_else(|| unknown(name))?.document(values)?;
    serde_json::to_string_pretty(&document)
        .map_err(|error| Error::internal(format!("preset {name}: {error}")))
}

fn unknown(name: &str) -> Error {
    let names = presets().iter().map(|preset| preset.name.as_str());
    let near = nearest(name, names.clone()).map_or_else(String::new, |near| format!("did you mean {near}? "));
    let names: Vec<&str> = names.collect();
    let message = format!("there is no such preset; {near}There are {}", names.join(", "));
    Error::new(ErrorKind::NotFound, message).at("preset")
}

#[cfg(feature = "presets")]
fn unpacked() -> Vec<Preset> {
    use std::io::Read;

    /// The files in `data`, in one array.
    const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/presets.json.gz"));
    // Files of this package, all read by the tests: neither step fails.
    let mut text = String::new();
    let _ = flate2::bufread::GzDecoder::new(PACKED).read_to_string(&mut text);
    let mut presets: Vec<Preset> = serde_json::from_str(&text).unwrap_or_default();
    presets.sort_by(|a, b| a.name.cmp(&b.name));
    presets
}

#[cfg(not(feature = "presets"))]
fn unpacked() -> Vec<Preset> {
    Vec::new()
}

#[cfg(all(test, not(feature = "presets")))]
#[test]
fn a_slim_build_has_no_presets_and_says_so() {
    assert!(presets().is_empty());
    let error = preset("jira-cloud", &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("built without presets"), "{error}");
}
