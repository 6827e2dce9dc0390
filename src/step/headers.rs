//! The headers of a request: what the connector gives, laid over casehook's own.

use zeroize::Zeroizing;

use super::{Prepared, Subject};
use crate::connector::config::Operation;
use crate::transport::HeaderField;

/// Parts of names whose values are credentials more often than not.
const TELLTALES: [&str; 11] = [
    "authorization",
    "authenticate",
    "cookie",
    "token",
    "secret",
    "password",
    "passwd",
    "api-key",
    "apikey",
    "api_key",
    "credential",
];

/// In rising precedence: casehook's own, basic or bearer authorization, `headers`, the operation's, `secretHeaders`.
pub(super) fn of(prepared: &Prepared, operation: &Operation, subject: &Subject<'_>) -> Vec<HeaderField> {
    let mut headers = Headers::default();
    headers.set(own("Accept", "application/json, text/plain, */*"));
    headers.set(own("Content-Type", "application/json"));
    if let Some(field) = &prepared.authorization {
        headers.set(field.clone());
    }
    for (name, value) in prepared.config.headers.iter().chain(&operation.headers) {
        headers.set(configured(name, value));
    }
    for field in &prepared.secret_headers {
        headers.set(field.clone());
    }
    if let (Some(key), Some(idempotency)) = (subject.idempotency_key, &prepared.config.idempotency) {
        let value = if idempotency.quoted {
            format!("\"{key}\"")
        } else {
            key.to_owned()
        };
        headers.add(configured(&idempotency.header, &value));
    }
    if let Some(etag) = subject.if_match {
        headers.add(configured("If-Match", etag));
    }
    headers.fields
}

/// Whether a header of that name is taken for a credential, and its value never shown.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if name == "idempotency-key" {
        return false;
    }
    TELLTALES.iter().any(|part| name.contains(part)) || name.ends_with("-key") || name == "key"
}

#[derive(Default)]
struct Headers {
    fields: Vec<HeaderField>,
}

impl Headers {
    fn find(&mut self, name: &str) -> Option<&mut HeaderField> {
        self.fields
            .iter_mut()
            .find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// Takes the place of one of the same name.
    fn set(&mut self, field: HeaderField) {
        match self.find(&field.name) {
            Some(before) => *before = field,
            None => self.fields.push(field),
        }
    }

    /// Unless one of the same name was configured.
    fn add(&mut self, field: HeaderField) {
        if self.find(&field.name).is_none() {
            self.fields.push(field);
        }
    }
}

fn own(name: &str, value: &str) -> HeaderField {
    HeaderField {
        travels: true,
        ..configured(name, value)
    }
}

fn configured(name: &str, value: &str) -> HeaderField {
    HeaderField {
        name: name.to_owned(),
        value: Zeroizing::new(value.to_owned()),
        secret: is_secret(name),
        travels: false,
    }
}
