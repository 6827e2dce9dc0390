//! Which secrets a connector needs, and the headers that they become.

use zeroize::Zeroizing;

use super::config::{Auth, Config};
use super::masks::Found;
use super::secret::Secrets;
use super::{SecretSources, headers};
use crate::error::{Error, Result};
use crate::transport::{HeaderField, TokenGrant, to_base64};

/// Refuses authentication without the secrets that it needs (R12).
pub(crate) fn check(config: &Config, secrets: &Secrets) -> Result<()> {
    let both = |a: &str, b: &str| secrets.has(a) && secrets.has(b);
    let (usable, needed) = match config.auth {
        Auth::None => return Ok(()),
        Auth::Basic => (both("user", "password"), "secrets user and password"),
        Auth::Certificate => (
            both("crt", "key") || secrets.has("pfx") || config.tls.ca.is_some(),
            "secrets crt and key, or pfx, or the field ca",
        ),
        Auth::OAuth2 => (secrets.has("clientSecret"), "secret clientSecret"),
    };
    // As the reference has it: secretHeaders count as secrets here, and sending then fails for want of a login, which is
    // why configure warns.
    let deferred = config.auth == Auth::Basic && !secrets.headers.is_empty();
    if usable || deferred {
        return Ok(());
    }
    Err(Error::config(
        "secrets",
        format!("hasAuth with this authType needs the {needed}; set hasAuth to false to send none"),
    ))
}

/// What the secrets of a connector come to.
pub(crate) struct Credentials {
    /// Basic authentication; yields to every configured header of its name.
    pub(crate) authorization: Option<HeaderField>,
    /// How access tokens are fetched, for OAuth2.
    pub(crate) token: Option<TokenGrant>,
    /// `secretHeaders`; they win over every other header of their names.
    pub(crate) headers: Vec<HeaderField>,
    /// What of it must not show.
    pub(crate) found: Found,
}

/// Reads the secrets and makes the headers.
pub(crate) fn credentials(
    config: &Config,
    secrets: &Secrets,
    sources: &SecretSources,
) -> Result<Credentials> {
    let mut fields = Vec::new();
    let mut found = Found::default();
    for (name, secret) in &secrets.headers {
        let at = super::table::child("secrets.secretHeaders", name);
        let text = secret.read(&at, sources)?;
        let value = Zeroizing::new(headers::value(&at, name, &text)?.to_owned());
        found.header(&value);
        fields.push(secret_header(name, value));
    }
    let mut texts = Vec::new();
    for (name, secret) in &secrets.values {
        let needed = match config.auth {
            Auth::Basic => matches!(*name, "user" | "password"),
            Auth::OAuth2 => *name == "clientSecret",
            _ => false,
        };
        match secret.read(&super::table::child("secrets", name), sources) {
            Ok(text) => {
                match *name {
                    "user" => found.user(&text),
                    _ => found.secret(&text),
                }
                texts.push((*name, text));
            }
            Err(error) if needed => return Err(error),
            Err(_) => {}
        }
    }
    let mut authorization = None;
    if config.auth == Auth::Basic {
        let text = |name: &str| texts.iter().find(|(n, _)| *n == name).map(|(_, text)| text);
        let (Some(user), Some(password)) = (text("user"), text("password")) else {
            return Err(Error::config("secrets", "user and password are missing"));
        };
        found.login(user, password);
        let pair = Zeroizing::new(format!("{}:{}", user.as_str(), password.as_str()));
        let encoded = to_base64(pair.as_bytes());
        let value = Zeroizing::new(format!("Basic {}", encoded.as_str()));
        authorization = Some(secret_header("Authorization", value));
    }
    let mut token = None;
    if let Some(oauth2) = &config.oauth2 {
        let (_, secret) = texts
            .iter()
            .find(|(name, _)| *name == "clientSecret")
            .ok_or_else(|| Error::config("secrets", "clientSecret is missing"))?;
        token = Some(oauth2.grant(secret));
        oauth2.secrets(secret, &mut found);
    }
    for template in config.urls() {
        found.query(template.sample());
    }
    Ok(Credentials {
        token,
        authorization,
        headers: fields,
        found,
    })
}

fn secret_header(name: &str, value: Zeroizing<String>) -> HeaderField {
    HeaderField {
        name: name.to_owned(),
        value,
        secret: true,
        travels: false,
    }
}
