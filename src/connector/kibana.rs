//! What Kibana would do otherwise with a connector that is taken as it is. Only what can matter to the document is told.

use serde_json::{Map, Value};

use super::Warning;
use super::config::Operation;
use super::fields;
use super::operation::{COMMENT, CREATE, GET, Names, Templates, UPDATE};
use super::reader::Reader;
use super::refusals::{Refusals, Taken};
use crate::template::{Slot, UrlTemplate};

/// The differences, field by field; what is refused has none.
pub(super) fn differences(config: &Map<String, Value>) -> Vec<Warning> {
    let reader = Reader(Some(config));
    if reader.text(CREATE.url).is_none() {
        return Vec::new();
    }
    let mut list = vec![redirects(reader), ids()];
    if reader.text("createIncidentMethod") == Some("patch") {
        let message = "creating by patch works; Kibana refuses it";
        list.push(told("config.createIncidentMethod", message));
    }
    for url in urls(reader) {
        if url.field() == CREATE.url_path && !url.is_constant() {
            let message = "variables in this URL get their values; Kibana sends their tags as they stand";
            list.push(told(url.field(), message));
        }
        if url.has_two_braces() {
            let message = "`{{x}}` means the same as `{{{x}}}`; Kibana writes some characters of the value as HTML first, so \
                           that an apostrophe cuts the URL";
            list.push(told(url.field(), message));
        }
        let text = reader.text(url.field().trim_start_matches("config."));
        list.extend(text.and_then(|text| slashes(text, &url)));
    }
    if reader.flag("hasAuth", true) && reader.text("authType") == Some(fields::OAUTH2) {
        let message = "access tokens are fetched and sent; Kibana refuses this type of authentication for this connector";
        list.push(told("config.authType", message));
    }
    if matches!(operation(reader, &UPDATE), Ok(Some(_))) {
        let message = "an update that is answered without a body, as by 204, has succeeded; Kibana takes it for a failure";
        list.push(told(UPDATE.url_path, message));
    }
    let fields = [COMMENT.url, COMMENT.method, COMMENT.json].map(|name| reader.get(name));
    let readable = |value: &Value| value.is_null() || value.is_string();
    if fields.into_iter().flatten().all(readable) && matches!(operation(reader, &COMMENT), Ok(None)) {
        let message = "no comment is sent, and each is reported as skipped; Kibana reports them as pushed: to send them, give \
                       createCommentUrl, createCommentMethod and createCommentJson";
        list.push(told(COMMENT.url_path, message));
    }
    list
}

/// A warning where Kibana would have sent another URL (R18): it cuts trailing slashes and collapses doubled ones.
pub(super) fn slashes(text: &str, template: &UrlTemplate) -> Option<Warning> {
    let text = text.trim();
    let bytes = text.as_bytes();
    let doubled = bytes
        .windows(3)
        .any(|w| w[0] != b':' && w[1] == b'/' && w[2] == b'/');
    let bare = template.sample().path() == "/" && template.sample().query().is_none() && !text.contains('#');
    let rewritten = doubled || (text.ends_with('/') && !bare);
    rewritten.then(|| {
        told(
            template.field(),
            "its slashes are sent as written; Kibana would cut trailing ones and collapse doubled ones: take them away \
             where the target wants it so",
        )
    })
}

fn told(field: &str, message: &str) -> Warning {
    Warning {
        field: field.to_owned(),
        message: message.to_owned(),
    }
}

/// R6: every connector writes.
fn redirects(reader: Reader<'_>) -> Warning {
    let secret = reader.flag("hasAuth", true);
    let headers = reader
        .object("headers")
        .is_some_and(|headers| !headers.is_empty());
    let elsewhere = match secret || headers {
        true => ", and one to another origin gets none of the connector's headers and credentials",
        false => "",
    };
    let message = format!(
        "a redirect of a write by 301, 302 or 303 fails the step and names where it leads{elsewhere}; Kibana follows with a GET, \
         and the write is lost: write the address that it leads to"
    );
    told(CREATE.url_path, &message)
}

/// R3 to R5: every connector reads an id.
fn ids() -> Warning {
    told(
        "config.createIncidentResponseKey",
        "an id that is null, true, false, a list, an object or empty fails the step, and numbers keep all their digits; Kibana \
         puts `null` or `[object Object]` into URLs, and other digits for numbers above 2^53",
    )
}

/// The URLs that are right by themselves.
fn urls(reader: Reader<'_>) -> Vec<UrlTemplate> {
    let operations =
        [&CREATE, &GET, &UPDATE, &COMMENT].map(|names| (names.url, names.url_slot, names.url_path));
    let view = ("viewIncidentUrl", Slot::ViewUrl, "config.viewIncidentUrl");
    let slots = operations.into_iter().chain([view]);
    slots
        .filter_map(|(name, slot, field)| UrlTemplate::compile(slot, field, reader.text(name)?).ok())
        .collect()
}

/// What the fields of an operation make up; refusals are told elsewhere.
fn operation(reader: Reader<'_>, names: &Names) -> Taken<Option<Operation>> {
    Templates::default().operation(reader, names, &mut Refusals::default())
}
