//! OAuth2 client credentials (R16): what a connector says of where and how access tokens are fetched.

use serde_json::{Map, Value};
use url::Url;
use zeroize::Zeroizing;

use super::masks::Found;
use super::refusals::{Refusals, Taken};
use super::table::child;
use crate::error::{Error, Result};
use crate::transport::{TokenGrant, form_encoded};

/// How an access token is asked for; the client's secret comes to it at the time of sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OAuth2 {
    pub(crate) url: Url,
    client_id: String,
    scope: Option<String>,
    /// `additionalFields`: more fields of the form.
    fields: Vec<(String, String)>,
    /// Whether client and secret go into a header (`client_secret_basic`) and not into the form.
    basic: bool,
}

/// Fields of the form that have a place of their own.
const OWN: [(&str, &str); 4] = [
    ("grant_type", "it is always client_credentials"),
    ("client_id", "use clientId"),
    ("client_secret", "use the secret clientSecret"),
    ("scope", "use scope"),
];

impl OAuth2 {
    /// Reads the fields of a `config` object, whose types are known to be right; every refusal of them is told.
    pub(super) fn gather(object: &Map<String, Value>, refusals: &mut Refusals) -> Taken<OAuth2> {
        let text = |name: &str| {
            object
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let needed = |name: &str, meaning: &str| {
            text(name).ok_or_else(|| {
                let message = format!("this is missing: {meaning}; OAuth2 client credentials need it");
                Error::config(child("config", name), message)
            })
        };
        let url = needed("accessTokenUrl", "where access tokens are fetched").and_then(token_url);
        let url = refusals.take(url);
        let client_id = refusals.take(needed("clientId", "the name of the client"));
        let fields = refusals.take(text("additionalFields").map(additional).transpose());
        Ok(OAuth2 {
            url: url?,
            client_id: client_id?.to_owned(),
            scope: text("scope").map(str::to_owned),
            fields: fields?.unwrap_or_default(),
            basic: text("accessTokenAuthMethod") == Some("client_secret_basic"),
        })
    }

    pub(crate) fn grant(&self, secret: &Zeroizing<String>) -> TokenGrant {
        let mut fields = vec![("grant_type", "client_credentials")];
        if let Some(scope) = &self.scope {
            fields.push(("scope", scope));
        }
        if !self.basic {
            fields.extend([
                ("client_id", self.client_id.as_str()),
                ("client_secret", secret.as_str()),
            ]);
        }
        fields.extend(
            self.fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let login = self.basic.then(|| (self.client_id.as_str(), secret.as_str()));
        TokenGrant::new(self.url.clone(), &fields, login)
    }
}

impl OAuth2 {
    /// What of the exchange with the token endpoint must not show: the client and its secret as a header has them, and what
    /// the names of more fields call secrets.
    pub(crate) fn secrets(&self, secret: &str, found: &mut Found) {
        found.login(&self.client_id, secret);
        found.login(&form_encoded(&self.client_id), &form_encoded(secret));
        for (name, value) in &self.fields {
            found.named(name, value);
        }
        found.query(&self.url);
    }
}

fn token_url(text: &str) -> Result<Url> {
    let refuse = |message: &str| Err(Error::config("config.accessTokenUrl", message));
    if text.contains("{{") {
        return refuse("this is not a template: it is fetched as it stands");
    }
    let Ok(url) = Url::parse(text.trim()) else {
        return refuse("this must be an absolute URL such as https://login.example/oauth2/token");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return refuse("this must be an http or https URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("this carries a user name or password; use clientId and the secret clientSecret");
    }
    Ok(url)
}

fn additional(text: &str) -> Result<Vec<(String, String)>> {
    const AT: &str = "config.additionalFields";
    let Ok(Value::Object(object)) = serde_json::from_str(text) else {
        return Err(Error::config(
            AT,
            "this must be a JSON object as text, such as \"{\\\"audience\\\": \\\"api\\\"}\"",
        ));
    };
    let mut fields = Vec::new();
    for (name, value) in object {
        if let Some((_, instead)) = OWN.iter().find(|(own, _)| *own == name) {
            let message = format!("this field has a place of its own: {instead}");
            return Err(Error::config(child(AT, &name), message));
        }
        let value = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => {
                let message = "a field of a form can only be a string, a number, true or false";
                return Err(Error::config(child(AT, &name), message));
            }
        };
        fields.push((name, value));
    }
    Ok(fields)
}
