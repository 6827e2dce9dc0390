//! Tables of document fields, and the walk that checks a JSON object against one.

use serde_json::{Map, Value};

use super::refusals::{self, Refusals, Taken};
use super::words;
pub(crate) use super::words::child;
use crate::error::{Error, Result};

/// One field of a document. Parsing and documentation are both driven from it.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) need: Need,
    /// One line for people.
    pub(crate) meaning: &'static str,
}

/// A row of a table.
pub(super) const fn field(name: &'static str, kind: Kind, need: Need, meaning: &'static str) -> Field {
    Field {
        name,
        kind,
        need,
        meaning,
    }
}

/// The longest time that a setting takes, in milliseconds.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What a field may hold.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Any string.
    Text,
    /// A template of an absolute http or https URL.
    Url,
    /// A template of a JSON text.
    Json,
    /// A path into an answer.
    Path,
    Bool,
    /// A whole number within these bounds.
    Whole(u64, u64),
    OneOf(&'static [&'static str]),
    /// An object of strings, each a header.
    Headers,
    Object(&'static [Field]),
    /// An object of texts by name.
    TextsByName,
    /// An object of anything.
    Values,
    /// An object of numbers of characters, under these names or `fields.NAME`.
    Lengths(&'static [&'static str]),
    /// A list of strings.
    Texts,
    /// A number of bytes, or a string such as `1mb`.
    Size,
    /// A number of milliseconds, or a string such as `60s`.
    Time,
    Any,
}

/// Whether a field may be left out, be null or be empty, and what then holds.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "words for readers of the reference, not for the parser")
)]
pub(crate) enum Need {
    /// Must be there and not be empty.
    Required,
    /// This JSON text when left out; never null.
    Default(&'static str),
    /// This JSON text when left out; null and empty strings are taken.
    NullOr(&'static str),
    /// May be left out; never null.
    Optional,
    /// May be left out or null, never empty; what then holds, in words or JSON.
    Extension(&'static str),
    /// May be left out; null is kept, since it means something else. What holds without it, in words.
    OptionalOrNull(&'static str),
}

/// Checks an object against a table and fills in the defaults.
pub(crate) fn check(path: &str, table: &[Field], object: Map<String, Value>) -> Result<Map<String, Value>> {
    let mut refusals = Refusals::default();
    let checked = gather(path, table, object, |_| false, &mut refusals);
    refusals.or_first(Ok(checked))
}

/// The same with every refusal; what is left are the fields that are right.
///
/// `waived` says which required fields may be left out or be null.
pub(super) fn gather(
    path: &str,
    table: &[Field],
    mut object: Map<String, Value>,
    waived: fn(&str) -> bool,
    refusals: &mut Refusals,
) -> Map<String, Value> {
    let names = table.iter().map(|field| field.name);
    let known = |key: &str| names.clone().any(|name| name == key);
    for key in object.keys().filter(|key| !known(key)).take(refusals::MOST) {
        let message = words::unknown(key, names.clone());
        refusals.push(Error::config(child(path, key), message));
    }
    let mut checked = Map::new();
    for field in table {
        let value = match object.remove(field.name) {
            None | Some(Value::Null) if matches!(field.need, Need::Required) && waived(field.name) => {
                continue;
            }
            value => check_field(&child(path, field.name), field, value, refusals),
        };
        if let Ok(Some(value)) = value {
            checked.insert(field.name.to_owned(), value);
        }
    }
    checked
}

/// What then holds for one field; nothing where it may be left out and is.
fn check_field(
    at: &str,
    field: &Field,
    value: Option<Value>,
    refusals: &mut Refusals,
) -> Taken<Option<Value>> {
    let value = match (value, field.need) {
        (None, Need::Default(json) | Need::NullOr(json)) => {
            let value = serde_json::from_str::<Value>(json);
            let value = value.map_err(|e| Error::internal(format!("{at}: {e}")));
            return refusals.take(value).map(Some);
        }
        (Some(Value::Null), Need::NullOr(_) | Need::OptionalOrNull(_)) => return Ok(Some(Value::Null)),
        (None, Need::Optional | Need::Extension(_) | Need::OptionalOrNull(_))
        | (Some(Value::Null), Need::Extension(_)) => return Ok(None),
        (None, Need::Required) => {
            let message = format!("this is missing: {}", field.meaning);
            return Err(refusals.push(Error::config(at, message)));
        }
        (Some(value), _) => check_value(at, &field.kind, value, refusals)?,
    };
    let empty = value.as_str().is_some_and(str::is_empty);
    if empty && matches!(field.need, Need::Required | Need::Extension(_)) {
        let message = format!("this must not be empty: {}", field.meaning);
        let error = Error::config(at, message);
        return Err(refusals.push(match field.need {
            Need::Required => error.since("Kibana takes it and fails at the first push"),
            _ => error,
        }));
    }
    Ok(Some(value))
}

fn check_value(at: &str, kind: &Kind, value: Value, refusals: &mut Refusals) -> Taken<Value> {
    let fits = match kind {
        Kind::Text | Kind::Url | Kind::Json | Kind::Path => value.is_string(),
        Kind::Bool => value.is_boolean(),
        Kind::Whole(min, max) => {
            if let Some(number) = whole(&value).filter(|n| (*min..=*max).contains(n)) {
                return Ok(number.into());
            }
            false
        }
        Kind::OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        Kind::Values => value.is_object(),
        Kind::Size => size(&value).is_some(),
        Kind::Time => time(&value).is_some(),
        Kind::Any => true,
        Kind::Texts => {
            for (place, value) in value.as_array().into_iter().flatten().enumerate() {
                if !value.is_string() {
                    refusals.push(wrong(&format!("{at}[{place}]"), "a string", value));
                }
            }
            value.is_array()
        }
        Kind::Headers | Kind::TextsByName => {
            for (name, value) in value.as_object().into_iter().flatten() {
                if !value.is_string() {
                    refusals.push(wrong(&child(at, name), "a string", value));
                }
            }
            value.is_object()
        }
        Kind::Lengths(names) => {
            if let Value::Object(object) = value {
                return Ok(check_lengths(at, names, object, refusals));
            }
            false
        }
        Kind::Object(table) => {
            if let Value::Object(object) = value {
                return Ok(Value::Object(gather(at, table, object, |_| false, refusals)));
            }
            false
        }
    };
    if fits {
        Ok(value)
    } else {
        Err(refusals.push(wrong(at, &kind.to_string(), &value)))
    }
}

/// The texts that `maxLengths` can name, beside the host's own as `fields.NAME`.
pub(super) const LENGTHS: &[&str] = &[
    "id",
    "title",
    "description",
    "severity",
    "status",
    "tags",
    "comment",
];

/// The least that `maxLengths` may leave of a case's id: room for its fingerprint and something to know it by.
const SHORTEST_ID: u64 = 32;

fn check_lengths(at: &str, names: &[&str], object: Map<String, Value>, refusals: &mut Refusals) -> Value {
    const LONGEST: u64 = crate::model::limits::PUSH_BYTES as u64;
    let mut checked = Map::new();
    for (name, value) in object {
        let at = child(at, &name);
        if !names.contains(&name.as_str()) && !name.starts_with("fields.") {
            let known = names.iter().copied().chain(["fields.NAME"]);
            refusals.push(Error::config(at, words::unknown(&name, known)));
            continue;
        }
        let length = match name.as_str() {
            "id" => Kind::Whole(SHORTEST_ID, LONGEST),
            _ => Kind::Whole(1, LONGEST),
        };
        if let Ok(value) = check_value(&at, &length, value, refusals) {
            checked.insert(name, value);
        }
    }
    Value::Object(checked)
}

/// A value of the wrong kind. Strings are shown only where they are a word of a few or a size.
pub(crate) fn wrong(at: &str, right: &str, found: &Value) -> Error {
    let shown = match found {
        Value::String(text) if right.starts_with("one of") || right.contains("such as") => {
            words::quoted(text)
        }
        Value::Number(number) => format!("the number {number}"),
        other => words::kind(other).to_owned(),
    };
    Error::config(at, format!("this must be {right}, not {shown}"))
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Text | Kind::Url | Kind::Json | Kind::Path => f.write_str("a string"),
            Kind::Bool => f.write_str("true or false"),
            Kind::Whole(min, max) => write!(f, "a whole number from {min} to {max}"),
            Kind::OneOf(words) => write!(f, "one of \"{}\"", words.join("\", \"")),
            Kind::Headers | Kind::TextsByName => f.write_str("an object of strings"),
            Kind::Object(_) | Kind::Values | Kind::Lengths(_) => f.write_str("an object"),
            Kind::Texts => f.write_str("a list of strings"),
            Kind::Size => f.write_str("a positive number of bytes, or a string such as \"1mb\""),
            Kind::Time => {
                f.write_str("a positive number of milliseconds, or a string such as \"60s\", up to a day")
            }
            Kind::Any => f.write_str("a value"),
        }
    }
}

/// Bytes: a number, or digits with `b`, `kb`, `mb` or `gb`.
pub(crate) fn size(value: &Value) -> Option<u64> {
    let units = [
        ("kb", 1 << 10),
        ("mb", 1 << 20),
        ("gb", 1 << 30),
        ("b", 1),
        ("", 1),
    ];
    measured(value, &units, str::eq_ignore_ascii_case).filter(|bytes| *bytes > 0)
}

/// Milliseconds, at most a day: a number, or digits with `ms`, `s`, `m`, `h` or `d`.
pub(crate) fn time(value: &Value) -> Option<std::time::Duration> {
    let units = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", DAY_MS),
        ("", 1),
    ];
    // In the vocabulary of the settings, `M` is a month.
    measured(value, &units, |name, unit| name == unit)
        .filter(|ms| (1..=DAY_MS).contains(ms))
        .map(std::time::Duration::from_millis)
}

fn measured(value: &Value, units: &[(&str, u64)], same: fn(&str, &str) -> bool) -> Option<u64> {
    let Some(text) = value.as_str().map(str::trim) else {
        return whole(value);
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| same(name, unit.trim()))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The whole number, also where it was written with a point or an exponent, as some programs write every number.
fn whole(value: &Value) -> Option<u64> {
    /// Above this, a number written so may have been another one.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0 && (0.0..EXACT).contains(&number)).then_some(number as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_sizes_and_times() {
        let sizes = [
            (json!(5), Some(5)),
            (json!(5.0), Some(5)),
            (json!(1e300), None),
            (json!("1mb"), Some(1 << 20)),
            (json!("512 KB"), Some(512 << 10)),
            (json!("7"), Some(7)),
            (json!("0b"), None),
            (json!(0), None),
            (json!(-1), None),
            (json!(1.5), None),
            (json!("1tb"), None),
            (json!("mb"), None),
            (json!("99999999999999999gb"), None),
        ];
        for (value, bytes) in sizes {
            assert_eq!(size(&value), bytes, "{value}");
        }
        let times = [
            (json!(150), Some(150)),
            (json!("60s"), Some(60_000)),
            (json!("1m"), Some(60_000)),
            (json!("250ms"), Some(250)),
            (json!("25h"), None),
            (json!("1d"), Some(86_400_000)),
            (json!("2d"), None),
            (json!("1M"), None),
            (json!("1S"), None),
            (json!(0), None),
        ];
        for (value, ms) in times {
            assert_eq!(time(&value).map(|t| t.as_millis()), ms, "{value}");
        }
    }

    #[test]
    fn paths_quote_what_is_not_a_plain_name() {
        assert_eq!(child("config", "headers"), "config.headers");
        assert_eq!(child("config.headers", "X-A"), "config.headers[\"X-A\"]");
        assert_eq!(child("config", ""), "config[\"\"]");
    }
}
