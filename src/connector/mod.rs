//! The connector document: parsed once at the edge, typed from there on, secrets split off.

mod auth;
mod build;
pub(crate) mod config;
mod custom_hosts;
mod doubt;
pub(crate) mod fields;
mod headers;
mod kibana;
mod masks;
mod material;
mod network;
mod oauth;
mod operation;
mod parts;
mod prepared;
mod proxy;
mod reach;
mod reader;
mod reference;
mod refusals;
mod secret;
pub(crate) mod settings;
mod shape;
pub(crate) mod table;
pub(crate) mod texts;
mod warn;
pub(crate) use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::model::Timestamp;
use crate::transport::{NetworkPolicy, ProxyPolicy};
use crate::words;

pub(crate) use config::Config;
pub(crate) use headers::is_secret_header;
pub(crate) use masks::MaskSet;
pub(crate) use prepared::Prepared;
use secret::Secrets;
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
    /// What no reference may lead to, whatever the host allows.
    pub(crate) own: OwnFiles,
}

/// Casehook's own files, and the key, wherever it lies. Prints without the key.
#[derive(Clone, Default)]
pub(crate) struct OwnFiles {
    pub(crate) databases: Vec<std::path::PathBuf>,
    pub(crate) key: Option<Zeroizing<[u8; 32]>>,
}

impl fmt::Debug for OwnFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnFiles").field(&self.databases).finish()
    }
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

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets = self.secrets.as_ref();
        let secrets: Option<Vec<&str>> =
            secrets.map(|list| list.iter().map(|(name, _)| name.as_str()).collect());
        f.debug_struct("Connector")
            .field("name", &self.name)
            .field("document", &self.document)
            .field("secrets", &secrets)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// Reads `{"name"?, "config", "secrets"?}`, Kibana's connector API JSON, a saved-objects export
    /// with one connector in it, or a bare config object.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] with the path of the field at fault.
    pub fn from_json(text: &str) -> Result<Connector> {
        Connector::from_document(shape::take_apart(text)?)
    }

    /// The same with the secrets apart: a JSON object, or none.
    ///
    /// # Errors
    /// As [`Connector::from_json`]; also when both bring secrets.
    pub fn from_parts(config: &str, secrets: Option<&str>) -> Result<Connector> {
        let mut parts = shape::take_apart(config)?;
        if let Some(text) = secrets {
            if parts.secrets.is_some() {
                return Err(Error::config(
                    "secrets",
                    "these are given twice: within the document and apart",
                ));
            }
            parts.secrets = Some(shape::parse_object("secrets", text)?);
        }
        Connector::from_document(parts)
    }

    fn from_document(parts: shape::Parts) -> Result<Connector> {
        let (document, config) = build::build(parts.config)?;
        let secrets = parts.secrets.map(Secrets::from_object).transpose()?;
        Ok(Connector {
            name: parts.name,
            warnings: warn::of_document(&document, &config),
            config: Arc::new(config),
            document: serde_json::Value::Object(document),
            secrets: secrets.map(Secrets::into_fields),
        })
    }

    /// Everything that is refused of a document's parts and can be told of what stands there.
    pub(crate) fn refusals(
        config: serde_json::Map<String, serde_json::Value>,
        secrets: Option<serde_json::Map<String, serde_json::Value>>,
    ) -> Vec<Error> {
        let mut refusals = refusals::Refusals::default();
        let authorities = material::check_authorities(&config);
        // What it says stands in the list.
        drop(build::gather(config, &mut refusals));
        refusals.check(authorities);
        refusals.check(secrets.map(Secrets::from_object).transpose().map(drop));
        refusals.into_all()
    }

    /// What Kibana would do otherwise with what of a `config` object is taken as it is.
    pub(crate) fn differences(config: &serde_json::Map<String, serde_json::Value>) -> Vec<Warning> {
        kibana::differences(config)
    }

    /// The name, where the document has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The document after defaults, without secrets: a JSON object.
    pub fn config_json(&self) -> String {
        self.document.to_string()
    }

    /// What may go wrong and was let pass. Configure may add more: some depend on settings and secrets.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// As stored: the document of `config_json`, a JSON array of warnings, and the decrypted secrets.
    pub(crate) fn restore(
        name: &str,
        config: &str,
        warnings: &str,
        secrets: Vec<SecretField>,
    ) -> Result<Connector> {
        let (document, config) = build::build(shape::parse_object("config", config)?)?;
        Ok(Connector {
            name: Some(name.to_owned()),
            config: Arc::new(config),
            document: serde_json::Value::Object(document),
            secrets: Some(secrets),
            warnings: serde_json::from_str(warnings)
                .map_err(|e| Error::internal(format!("stored warnings cannot be read: {e}")))?,
        })
    }

    /// Every check that needs the settings, the final set of secrets or the time; returns all warnings.
    pub(crate) fn check(
        &self,
        settings: &Settings,
        sources: &SecretSources,
        now: Timestamp,
    ) -> Result<Vec<Warning>> {
        reach::check(&self.config, settings)?;
        let secrets = self.secrets()?;
        for (at, secret) in secrets.iter() {
            secret.check(&at, sources)?;
        }
        auth::check(&self.config, &secrets)?;
        material::check_login(&self.config, &secrets, sources)?;
        let mut warnings = self.warnings.clone();
        let of_tls = material::check(&self.config, &secrets, sources, now)?;
        let of_secrets = warn::of_secrets(&self.config, &secrets).into_iter();
        for warning in of_secrets
            .chain(of_tls)
            .chain(warn::of_settings(&self.config, settings))
        {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        Ok(warnings)
    }

    /// Origins that secrets are sent to, sorted: stored secrets are kept on a configure without secrets
    /// only when unchanged.
    pub(crate) fn origins(&self) -> Vec<String> {
        let urls = self.config.request_urls().map(|url| url.sample());
        let proxy = self.config.own_proxy().and_then(ProxyPolicy::url);
        let urls = urls.chain(self.config.token_url()).chain(&proxy);
        words::in_order(urls.map(|url| url.origin().ascii_serialization()))
    }

    /// Secrets read (references resolved), headers made: ready to render requests.
    /// The error's text says which reference cannot be read.
    pub(crate) fn prepare(&self, settings: &Settings, sources: &SecretSources) -> Result<Prepared> {
        let secrets = self.secrets()?;
        let credentials = auth::credentials(&self.config, &secrets, sources)?;
        let material = material::read(&self.config, &secrets, sources)?;
        let network = NetworkPolicy::new(&self.config, settings, material);
        let mut found = credentials.found;
        if let Some(login) = network.proxy.as_ref().and_then(|proxy| proxy.login.as_ref()) {
            found.secret(&login.password);
            found.login(&login.user, &login.password);
        }
        // Others may hold words that stand in every link.
        let proxied = network.proxy.iter().flat_map(|proxy| &proxy.headers);
        for (name, value) in self.config.given_headers().chain(proxied) {
            if headers::is_secret_header(name) {
                found.header(value);
            }
        }
        Ok(Prepared {
            config: Arc::clone(&self.config),
            authorization: credentials.authorization,
            secret_headers: credentials.headers,
            network: Arc::new(network),
            token: credentials.token.map(Arc::new),
            masks: found.finish(),
        })
    }

    /// Whether a secret is a reference, to be read anew for each request.
    pub(crate) fn has_secret_references(&self) -> bool {
        self.secrets()
            .is_ok_and(|secrets| secrets.iter().any(|(_, secret)| secret.is_reference()))
    }

    /// Whether a secret is a reference to a file, of which nobody knows how long it takes to be read.
    pub(crate) fn has_secret_files(&self) -> bool {
        self.secrets().is_ok_and(|secrets| {
            secrets
                .iter()
                .any(|(_, secret)| matches!(secret, secret::Secret::File(_)))
        })
    }

    /// How long a connection to the target may take.
    pub(crate) fn time_to_connect(&self, settings: &Settings) -> Duration {
        network::time_to_connect(&self.config, settings)
    }

    fn secrets(&self) -> Result<Secrets> {
        Secrets::from_fields(self.secrets.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
