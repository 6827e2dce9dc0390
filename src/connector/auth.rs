//! Which secrets a connector needs, and the headers that they become.

use zeroize::Zeroizing;

use super::config::{Auth, Config};
use super::secret::Secrets;
use super::{SecretSources, headers};
use crate::error::{Error, Result};
use crate::transport::{HeaderField, TokenGrant, to_base64};

/// The shortest secret that is masked: shorter ones would blot out harmless text.
const MASKED_BYTES: usize = 4;

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
    /// Every text that must be masked, longest first.
    pub(crate) masks: Vec<Zeroizing<String>>,
    /// The same and the login name, for what comes from outside. What casehook makes itself holds no login name, but may
    /// well hold the same word.
    pub(crate) echo_masks: Vec<Zeroizing<String>>,
}

/// Reads the secrets and makes the headers.
pub(crate) fn credentials(
    config: &Config,
    secrets: &Secrets,
    sources: &SecretSources,
) -> Result<Credentials> {
    let mut fields = Vec::new();
    let mut masks = Vec::new();
    for (name, secret) in &secrets.headers {
        let at = super::table::child("secrets.secretHeaders", name);
        let text = secret.read(&at, sources)?;
        let value = Zeroizing::new(headers::value(&at, name, &text)?.to_owned());
        mask_credential(&mut masks, &value);
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
                if *name != "user" {
                    mask(&mut masks, &text);
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
        let pair = Zeroizing::new(format!("{}:{}", user.as_str(), password.as_str()));
        let encoded = to_base64(pair.as_bytes());
        mask(&mut masks, &encoded);
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
    }
    let mut echo_masks = masks.clone();
    for (_, user) in texts.iter().filter(|(name, _)| *name == "user") {
        mask(&mut echo_masks, user);
    }
    for list in [&mut masks, &mut echo_masks] {
        list.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
    }
    Ok(Credentials {
        token,
        authorization,
        headers: fields,
        masks,
        echo_masks,
    })
}

/// Notes the password of a login, and both as basic authentication has them.
pub(crate) fn mask_login(masks: &mut Vec<Zeroizing<String>>, user: &str, password: &str) {
    let pair = Zeroizing::new(format!("{user}:{password}"));
    mask(masks, password);
    mask(masks, &to_base64(pair.as_bytes()));
    longest_first(masks);
}

/// Notes the values of headers that are taken for credentials, and what follows the scheme in them. Others may hold words that
/// stand in every link.
pub(crate) fn mask_headers<'a>(
    masks: &mut Vec<Zeroizing<String>>,
    headers: impl Iterator<Item = &'a (String, String)>,
) {
    for (_, value) in headers.filter(|(name, _)| headers::is_secret_header(name)) {
        mask_credential(masks, value);
    }
    longest_first(masks);
}

fn mask_credential(masks: &mut Vec<Zeroizing<String>>, value: &str) {
    if let Some((_, credential)) = value.split_once(' ') {
        mask(masks, credential.trim());
    }
    mask(masks, value);
}

fn longest_first(masks: &mut [Zeroizing<String>]) {
    masks.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
}

fn secret_header(name: &str, value: Zeroizing<String>) -> HeaderField {
    HeaderField {
        name: name.to_owned(),
        value,
        secret: true,
        travels: false,
    }
}

/// Notes a text; its encoded forms are the masking's own business.
fn mask(masks: &mut Vec<Zeroizing<String>>, text: &str) {
    if text.len() >= MASKED_BYTES && !masks.iter().any(|mask| mask.as_str() == text) {
        masks.push(Zeroizing::new(text.to_owned()));
    }
}
