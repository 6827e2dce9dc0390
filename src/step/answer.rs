//! Whether a 2xx answer can be used, and what it says.

use serde::de::IgnoredAny;

use super::Unusable;
use crate::connector::Config;
use crate::response::ResponsePath;
use crate::response::json;
use crate::transport::{Answer, BodyFault};

/// The most characters of an answer that a message quotes.
const QUOTED: usize = 200;

/// The most paths of an answer that a message lists.
const LISTED: usize = 16;

/// What a value is wanted for; decides the codes and words of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Id,
    Title,
}

/// The body of an answer that must be JSON (create, get, find): valid and shallow, byte order mark skipped.
pub(super) fn required<'a>(config: &Config, answer: &'a Answer) -> Result<&'a str, Unusable> {
    let text = decoded(answer)?;
    if is_blank(text) {
        return Err(unusable(
            "notJson",
            format!(
                "the answer (status {}) has no body; this step needs one in JSON",
                answer.status
            ),
        ));
    }
    checked(config, answer, text)
}

/// Checks an answer whose body may be left out (update, comment).
pub(super) fn optional(config: &Config, answer: &Answer) -> Result<(), Unusable> {
    let text = decoded(answer)?;
    if is_blank(text) {
        return Ok(());
    }
    let text = checked(config, answer, text)?;
    if text.trim_start().starts_with('"') {
        return Err(unusable(
            "notJson",
            format!(
                "the answer is a bare string, not a JSON document: {}",
                quote(text)
            ),
        ));
    }
    Ok(())
}

/// The text of the value at the path: a string decoded, a number with the digits of the wire (R3, R4).
pub(super) fn text(document: &str, path: &ResponsePath, wanted: Wanted) -> Result<String, Unusable> {
    match path.find(document) {
        Some(raw) => scalar(raw, path.text(), wanted),
        None => Err(unusable(
            wanted.missing(),
            format!(
                "the answer has nothing at `{}`; {}",
                path.text(),
                overview(document)
            ),
        )),
    }
}

/// The text of one raw value that was found at `place`.
pub(super) fn scalar(raw: &str, place: &str, wanted: Wanted) -> Result<String, Unusable> {
    let refused = |what: &str| {
        Err(unusable(
            wanted.unusable(),
            format!(
                "the value at `{place}` is {what}; {} is a string or a number",
                wanted.name()
            ),
        ))
    };
    match raw.as_bytes().first() {
        Some(b'"') => match json::text(raw) {
            None => refused("a string with half a character"),
            Some(text) if text.is_empty() && wanted == Wanted::Id => refused("an empty string"),
            Some(text) if matches!(text.as_str(), "." | "..") && wanted == Wanted::Id => {
                refused(&format!("{text:?}, which leads elsewhere in a URL"))
            }
            Some(text) => Ok(text),
        },
        Some(b'n') => refused("null"),
        Some(b't' | b'f') => refused("a boolean"),
        Some(b'{') => refused("an object"),
        Some(b'[') => refused("a list"),
        _ => Ok(raw.to_owned()),
    }
}

/// The link at `viewIncidentResponseKey`; none where it is missing, no absolute http or https URL, or one with a user or
/// password in it (R10).
pub(super) fn view_url(config: &Config, document: &str) -> Option<String> {
    let raw = config.view_url_key.as_ref()?.find(document)?;
    let text = json::text(raw)?;
    let url = url::Url::parse(&text).ok()?;
    let is_link = matches!(url.scheme(), "http" | "https");
    let is_open = url.username().is_empty() && url.password().is_none();
    (is_link && is_open).then(|| text.trim().to_owned())
}

pub(super) fn unusable(code: &'static str, message: String) -> Unusable {
    Unusable { code, message }
}

/// What the answer holds, for somebody who corrects a path.
pub(super) fn overview(document: &str) -> String {
    if document.trim_start().starts_with('[') {
        let count = json::members(document).count();
        return match json::members(document).next() {
            None => "it is an empty list".to_owned(),
            Some((_, first)) => match paths(first).as_str() {
                "" => format!("it is a list of {count}, the first: {}", quote(first)),
                paths => format!("it is a list of {count}, and its first element has: {paths}"),
            },
        };
    }
    match paths(document).as_str() {
        "" => format!("it is: {}", quote(document)),
        paths => format!("it has: {paths}"),
    }
}

impl Wanted {
    const fn name(self) -> &'static str {
        match self {
            Wanted::Id => "an id",
            Wanted::Title => "a title",
        }
    }

    const fn missing(self) -> &'static str {
        match self {
            Wanted::Id => "idMissing",
            Wanted::Title => "titleMissing",
        }
    }

    const fn unusable(self) -> &'static str {
        match self {
            Wanted::Id => "idUnusable",
            Wanted::Title => "titleUnusable",
        }
    }
}

/// The body as text, unless it did not come whole or is not UTF-8 (R22).
fn decoded(answer: &Answer) -> Result<&str, Unusable> {
    match &answer.body_fault {
        None => {}
        Some(BodyFault::TooLarge { limit }) => {
            return Err(unusable(
                "tooLarge",
                format!("the answer is larger than maxResponseContentLength ({limit} bytes)"),
            ));
        }
        Some(BodyFault::Encoding(encoding)) => {
            return Err(unusable(
                "encoding",
                format!("the answer has the content encoding `{encoding}`, which was not offered"),
            ));
        }
        Some(BodyFault::Broken(why)) => {
            return Err(unusable(
                "encoding",
                format!("the answer cannot be decoded: {why}"),
            ));
        }
    }
    let body = answer.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&answer.body);
    std::str::from_utf8(body).map_err(|error| {
        unusable(
            "encoding",
            format!("the answer is not UTF-8 from byte {}", error.valid_up_to()),
        )
    })
}

/// Media type, depth, syntax, and the failure that `failureResponseKey` reports.
fn checked<'a>(config: &Config, answer: &Answer, text: &'a str) -> Result<&'a str, Unusable> {
    let media_type = answer.header("content-type").unwrap_or_default();
    if !is_json(media_type) {
        let page = match media_type.to_ascii_lowercase().contains("html") {
            true => " (a login page?)",
            false => "",
        };
        return Err(unusable(
            "mediaType",
            format!(
                "the answer has the media type `{}` where JSON belongs{page}: {}",
                quote(media_type),
                quote(text)
            ),
        ));
    }
    let depth = json::depth(text.as_bytes());
    if depth > json::DEEPEST {
        return Err(unusable(
            "tooDeep",
            format!(
                "the answer nests {depth} levels; at most {} are read",
                json::DEEPEST
            ),
        ));
    }
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return Err(unusable(
            "notJson",
            format!("the answer is not JSON: {error}; it begins {}", quote(text)),
        ));
    }
    if let Some(path) = &config.failure_key
        && let Some(raw) = path.find(text)
        && !is_void(raw)
    {
        return Err(unusable(
            "failureReported",
            format!(
                "the answer reports a failure at `{}`: {}",
                path.text(),
                quote(raw)
            ),
        ));
    }
    Ok(text)
}

/// Null, false, an empty string, list or object.
fn is_void(raw: &str) -> bool {
    match raw.as_bytes().first() {
        Some(b'{' | b'[') => json::members(raw).next().is_none(),
        _ => matches!(raw, "null" | "false" | "\"\""),
    }
}

fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// Whether the media type is JSON in any spelling, or none at all (R8).
fn is_json(media_type: &str) -> bool {
    let essence = media_type
        .split([';', ','])
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence.is_empty()
        || essence == "text/json"
        || essence.starts_with("application/json")
        || essence.ends_with("+json")
}

/// The paths of an object's members, those of objects in it included.
fn paths(document: &str) -> String {
    let mut found = Vec::new();
    for (name, value) in json::members(document) {
        let Some(name) = name.and_then(json::text) else {
            continue;
        };
        let inner = json::members(value).filter_map(|(inner, _)| inner.and_then(json::text));
        let before = found.len();
        found.extend(inner.take(LISTED).map(|inner| format!("{name}.{inner}")));
        if found.len() == before {
            found.push(name);
        }
        if found.len() > LISTED {
            found.truncate(LISTED);
            found.push("\u{2026}".to_owned());
            break;
        }
    }
    quote(&found.join(", "))
}

/// The beginning of a text, in one line.
fn quote(text: &str) -> String {
    let mut shown: String = text
        .trim()
        .chars()
        .take(QUOTED)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.trim().chars().nth(QUOTED).is_some() {
        shown.push('\u{2026}');
    }
    shown
}
