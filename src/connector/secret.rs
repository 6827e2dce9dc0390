//! Secret values: kept inline in memory that is wiped, or referred to and read at every send.

use std::fmt;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::fields::SECRETS;
use super::table::{Kind, child, wrong};
use super::{SecretField, SecretSources, headers, reference, words};
use crate::error::{Error, Result};
use crate::model::limits::SECRET_BYTES;

/// One secret value. Prints without it.
#[derive(Clone)]
pub(crate) enum Secret {
    Inline(Zeroizing<String>),
    /// The name of an environment variable.
    Env(String),
    /// A path, absolute or below the allowed directory.
    File(String),
}

impl Secret {
    /// Whether it is read from elsewhere each time it is needed.
    pub(crate) fn is_reference(&self) -> bool {
        !matches!(self, Secret::Inline(_))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Inline(_) => f.write_str("Inline(..)"),
            Secret::Env(name) => f.debug_tuple("Env").field(name).finish(),
            Secret::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// The secrets of a connector, by field. Prints without them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secrets {
    /// `user`, `password`, ...: only those that are there and not empty.
    pub(crate) values: Vec<(&'static str, Secret)>,
    /// `secretHeaders`: trimmed name and value.
    pub(crate) headers: Vec<(String, Secret)>,
}

impl Secrets {
    /// Reads a `secrets` object and checks that its fields go together.
    pub(crate) fn from_object(object: Map<String, Value>) -> Result<Secrets> {
        let mut secrets = Secrets::default();
        for (name, value) in object {
            let at = child("secrets", &name);
            let Some(field) = SECRETS.iter().find(|field| field.name == name) else {
                let known = SECRETS.iter().map(|field| field.name);
                // What is no word may be a secret that was put in the wrong place.
                let is_word = name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_alphabetic());
                let at = if is_word { &at } else { "secrets" };
                return Err(Error::config(at, words::unknown(&name, known)));
            };
            match (&field.kind, value) {
                (_, Value::Null) => {}
                (Kind::Headers, Value::Object(map)) => secrets.headers = read_headers(&at, map)?,
                (Kind::Headers, other) => return Err(wrong(&at, "an object of strings", &other)),
                (_, value) => secrets.values.push((field.name, read_value(&at, value)?)),
            }
        }
        secrets
            .values
            .retain(|(_, secret)| !matches!(secret, Secret::Inline(text) if text.is_empty()));
        secrets.check_set()?;
        Ok(secrets)
    }

    /// Reads the rows that [`Secrets::into_fields`] makes.
    pub(crate) fn from_fields(fields: &[SecretField]) -> Result<Secrets> {
        let mut secrets = Secrets::default();
        for (name, text) in fields {
            let (name, form) = name.split_once('@').unwrap_or((name, ""));
            if name == "secretHeaders" {
                let map = serde_json::from_str(text)
                    .map_err(|_| Error::internal("stored secretHeaders are not a JSON object"))?;
                secrets.headers = read_headers("secrets.secretHeaders", map)?;
                continue;
            }
            let field = SECRETS
                .iter()
                .find(|field| field.name == name)
                .ok_or_else(|| Error::internal("a stored secret has an unknown name"))?;
            let secret = match form {
                "env" => Secret::Env(text.to_string()),
                "file" => Secret::File(text.to_string()),
                _ => Secret::Inline(text.clone()),
            };
            secrets.values.push((field.name, secret));
        }
        Ok(secrets)
    }

    /// One row a secret: its name, with `@env` or `@file` for a reference, and its text.
    pub(crate) fn into_fields(self) -> Vec<SecretField> {
        let mut fields: Vec<SecretField> = Vec::new();
        for (name, secret) in self.values {
            fields.push(match secret {
                Secret::Inline(text) => (name.to_owned(), text),
                Secret::Env(variable) => (format!("{name}@env"), Zeroizing::new(variable)),
                Secret::File(path) => (format!("{name}@file"), Zeroizing::new(path)),
            });
        }
        if !self.headers.is_empty() {
            let mut json = Zeroizing::new(String::from("{"));
            for (i, (name, secret)) in self.headers.iter().enumerate() {
                let comma = if i > 0 { "," } else { "" };
                let value = match secret {
                    Secret::Inline(text) => json_text(text),
                    Secret::Env(name) => Zeroizing::new(format!("{{\"env\":{}}}", *json_text(name))),
                    Secret::File(path) => Zeroizing::new(format!("{{\"file\":{}}}", *json_text(path))),
                };
                json.push_str(comma);
                json.push_str(&json_text(name));
                json.push(':');
                json.push_str(&value);
            }
            json.push('}');
            fields.push(("secretHeaders".to_owned(), json));
        }
        fields
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Secret> {
        self.values.iter().find(|(n, _)| *n == name).map(|(_, s)| s)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Every secret with its path in the document.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (String, &Secret)> {
        let values = self.values.iter().map(|(n, s)| (child("secrets", n), s));
        let headers = self.headers.iter();
        values.chain(headers.map(|(n, s)| (child("secrets.secretHeaders", n), s)))
    }

    /// The sets of the reference: none, user and password, crt and key, pfx, or clientSecret.
    fn check_set(&self) -> Result<()> {
        if self.has("proxyPassword") && !self.has("proxyUser") {
            return Err(Error::config(
                "secrets.proxyPassword",
                "this needs the secret proxyUser: a proxy is logged in to with both",
            ));
        }
        // A proxy has nothing to do with how the target is logged in to.
        let names = self.values.iter().map(|(name, _)| *name);
        let given: Vec<&str> = words::in_order(names.filter(|name| !name.starts_with("proxy")));
        let allowed: [&[&str]; 7] = [
            &[],
            &["password", "user"],
            &["crt", "key"],
            &["crt", "key", "password"],
            &["pfx"],
            &["password", "pfx"],
            &["clientSecret"],
        ];
        if allowed.contains(&given.as_slice()) {
            return Ok(());
        }
        Err(Error::config(
            "secrets",
            format!(
                "{} alone cannot be used; give user and password, crt and key (and password), \
                 pfx (and password), or clientSecret",
                given.join(", ")
            ),
        ))
    }
}

fn read_headers(at: &str, map: Map<String, Value>) -> Result<Vec<(String, Secret)>> {
    let mut list = Vec::new();
    for (given, value) in map {
        // So may what is no name.
        let named = if headers::is_name(given.trim()) {
            child(at, &given)
        } else {
            at.to_owned()
        };
        let name = headers::name(&named, &given)?;
        let at = named;
        let secret = match read_value(&at, value)? {
            Secret::Inline(text) => {
                Secret::Inline(Zeroizing::new(headers::value(&at, &name, &text)?.to_owned()))
            }
            reference => reference,
        };
        list.push((name, secret));
    }
    headers::unique(at, list.iter().map(|(name, _)| name.as_str()))?;
    Ok(list)
}

fn read_value(at: &str, value: Value) -> Result<Secret> {
    let right = "a string, {\"env\": \"NAME\"} or {\"file\": \"PATH\"}";
    match value {
        Value::String(text) => {
            let text = Zeroizing::new(text);
            if text.len() > SECRET_BYTES {
                let message = format!("this has {} bytes; the limit is {SECRET_BYTES}", text.len());
                return Err(Error::config(at, message));
            }
            Ok(Secret::Inline(text))
        }
        Value::Object(map) if map.len() == 1 => match map.into_iter().next() {
            Some((form, Value::String(name))) if form == "env" && !name.is_empty() => Ok(Secret::Env(name)),
            Some((form, Value::String(path))) if form == "file" && !path.is_empty() => Ok(Secret::File(path)),
            _ => Err(Error::config(at, format!("this must be {right}"))),
        },
        Value::Array(_) | Value::Object(_) | Value::Bool(_) | Value::Null | Value::Number(_) => {
            Err(Error::config(at, format!("this must be {right}")))
        }
    }
}

fn json_text(text: &str) -> Zeroizing<String> {
    // A string always has a JSON text.
    Zeroizing::new(serde_json::to_string(text).unwrap_or_default())
}

impl Secret {
    /// Refuses a reference that the host does not allow.
    pub(crate) fn check(&self, at: &str, sources: &SecretSources) -> Result<()> {
        match self {
            Secret::Inline(_) => Ok(()),
            Secret::Env(name) => reference::check_variable(at, name, sources),
            Secret::File(path) => reference::check_file(at, path, sources),
        }
    }

    /// The value, read anew where this is a reference; one trailing line break is cut.
    pub(crate) fn read(&self, at: &str, sources: &SecretSources) -> Result<Zeroizing<String>> {
        let mut text = match self {
            Secret::Inline(text) => return Ok(text.clone()),
            Secret::Env(name) => reference::read_variable(at, name, sources)?,
            Secret::File(path) => reference::read_file(at, path, sources)?,
        };
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        if text.is_empty() {
            return Err(Error::config(at, "the secret that this refers to is empty"));
        }
        Ok(text)
    }
}
