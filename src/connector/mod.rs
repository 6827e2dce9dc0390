//! The connector document: parsed once at the edge, typed from there on, secrets split off.

pub(crate) mod config;
mod hosts;
pub(crate) mod nearest;
mod network;
pub(crate) mod settings;
pub(crate) mod table;

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::Result;

pub(crate) use config::Config;
pub(crate) use network::NetworkPolicy;
pub use settings::Settings;

/// Something that configure lets pass and that its user should know.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Warning {
    /// The path of the value that it is about.
    pub field: String,
    /// What may go wrong, and what would be right.
    pub message: String,
}

/// The plaintext of one secret field: `user`, `password`, `crt`, ...; `secretHeaders` as JSON text.
pub(crate) type SecretField = (String, Zeroizing<String>);

/// Which secret references the host allows.
#[derive(Debug, Clone, Default)]
pub(crate) struct SecretSources {
    pub(crate) env: Vec<String>,
    pub(crate) dir: Option<std::path::PathBuf>,
}

/// A connector document, parsed and checked as far as it can be without the agent's settings.
///
/// Prints without secrets.
#[derive(Clone)]
pub struct Connector {
    pub(crate) name: Option<String>,
    pub(crate) config: Arc<Config>,
    /// The document after defaults, without secrets.
    pub(crate) document: serde_json::Value,
    /// None when the document brought no `secrets` at all: the stored ones are kept where they may be.
    pub(crate) secrets: Option<Vec<SecretField>>,
    pub(crate) warnings: Vec<Warning>,
}

#[allow(unused_variables)]
impl Connector {
    /// Reads `{"name"?, "config", "secrets"?}`, Kibana's connector API JSON, one saved-objects line, or a bare config object.
    pub fn from_json(text: &str) -> Result<Connector> {
        unimplemented!()
    }
    /// The same with the secrets apart: a JSON object, or none.
    pub fn from_parts(config: &str, secrets: Option<&str>) -> Result<Connector> {
        unimplemented!()
    }
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
    /// The document after defaults, without secrets: a JSON object.
    pub fn config_json(&self) -> String {
        unimplemented!()
    }
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// As stored: the document of `config_json` and the decrypted secrets.
    pub(crate) fn restore(
        name: &str,
        config: &str,
        warnings: &str,
        secrets: Vec<SecretField>,
    ) -> Result<Connector> {
        unimplemented!()
    }
    /// Every check that needs the settings or the final set of secrets; returns all warnings.
    pub(crate) fn check(&self, settings: &Settings, sources: &SecretSources) -> Result<Vec<Warning>> {
        unimplemented!()
    }
    /// Origins that secrets are sent to, sorted: stored secrets are kept on a configure without secrets only when unchanged.
    pub(crate) fn origins(&self) -> Vec<String> {
        unimplemented!()
    }
    /// Secrets read (references resolved), headers made: ready to render requests. The error's text says which reference cannot be read.
    pub(crate) fn prepare(
        &self,
        settings: &Settings,
        sources: &SecretSources,
    ) -> Result<crate::step::Prepared> {
        unimplemented!()
    }
}
