//! The headers of a request: what the connector gives, laid over casehook's own.

use zeroize::Zeroizing;

use super::{Prepared, Subject};
use crate::connector::config::Operation;
use crate::connector::is_secret_header;
use crate::transport::HeaderField;

/// In rising precedence: casehook's own, basic or bearer authorization, `headers`, the operation's, `secretHeaders`.
/// What a push adds (idempotency key, `If-Match`, trace context) gives way to a configured header of that name. Being casehook's
/// own, it goes along where a redirect leads to another origin: a create that is repeated there must be known again.
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
        headers.add(HeaderField {
            secret: is_secret_header(&idempotency.header),
            ..own(&idempotency.header, &value)
        });
    }
    if let Some(etag) = subject.if_match {
        headers.add(own("If-Match", etag));
    }
    if let Some(traceparent) = &subject.case.traceparent {
        headers.add(own("traceparent", traceparent));
    }
    headers.fields
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
        name: name.to_owned(),
        value: Zeroizing::new(value.to_owned()),
        secret: false,
        travels: true,
    }
}

fn configured(name: &str, value: &str) -> HeaderField {
    HeaderField {
        name: name.to_owned(),
        value: Zeroizing::new(value.to_owned()),
        secret: is_secret_header(name),
        travels: false,
    }
}
