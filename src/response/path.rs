//! Paths into an answer's JSON: `a.b`, `a[0].b`, `["x.y"]`; a literal top-level key wins.

use super::json;
use crate::error::{Error, Result};
use crate::model::limits::PATH_BYTES;

/// Names that JavaScript objects inherit; never followed, not even when an answer holds them (R3).
const INHERITED: [&str; 3] = ["__proto__", "constructor", "prototype"];

/// A path into an answer, in the grammar of lodash's `get`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResponsePath {
    text: String,
    keys: Vec<String>,
}

impl ResponsePath {
    /// Parses a path; `field` is where it stands in the connector document.
    pub(crate) fn parse(field: &'static str, text: &str) -> Result<ResponsePath> {
        if text.is_empty() {
            return Err(Error::config(
                field,
                "is empty; the path of a value in the answer belongs here, such as `id` or `issue.id`",
            ));
        }
        if text.len() > PATH_BYTES {
            let message = format!("this has {} bytes; the limit is {PATH_BYTES}", text.len());
            return Err(Error::config(field, message));
        }
        Ok(ResponsePath::new(text))
    }

    fn new(text: &str) -> ResponsePath {
        let keys = if is_deep(text) {
            keys(text)
        } else {
            vec![text.to_owned()]
        };
        ResponsePath {
            text: text.to_owned(),
            keys,
        }
    }

    /// As the document has it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The raw JSON text of the value that the path leads to in `root`, a valid JSON text.
    pub(crate) fn find<'a>(&self, root: &'a str) -> Option<&'a str> {
        if !INHERITED.contains(&self.text.as_str())
            && let Some(value) = json::member(root, &self.text)
        {
            return Some(value);
        }
        self.keys.iter().try_fold(root, |value, key| {
            if INHERITED.contains(&key.as_str()) {
                return None;
            }
            json::member(value, key)
        })
    }

    /// Whether the path's first key is there, or the answer is a list or holds nothing: a wrong path is told from an empty
    /// result.
    pub(crate) fn begins_in(&self, root: &str) -> bool {
        root.trim_start().starts_with('[')
            || json::members(root).next().is_none()
            || json::member(root, &self.text).is_some()
            || self
                .keys
                .first()
                .is_some_and(|key| json::member(root, key).is_some())
    }

    /// The path of a list and the path within each of its elements, for `issues[].id`.
    pub(crate) fn split_list(&self) -> Option<(Option<ResponsePath>, Option<ResponsePath>)> {
        let (list, rest) = self.text.split_once("[]")?;
        let part = |text: &str| (!text.is_empty()).then(|| ResponsePath::new(text));
        Some((part(list), part(rest.strip_prefix('.').unwrap_or(rest))))
    }
}

/// Whether the text is more than one key.
fn is_deep(text: &str) -> bool {
    text.contains('.')
        || text.match_indices('[').any(|(at, _)| {
            let inside = &text[at + 1..];
            quoted(inside).is_some()
                || inside
                    .find(['[', ']'])
                    .is_some_and(|end| inside[end..].starts_with(']'))
        })
}

/// Splits a path as lodash's `stringToPath` does.
fn keys(text: &str) -> Vec<String> {
    let mut keys = Vec::new();
    if text.starts_with('.') {
        keys.push(String::new());
    }
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let plain = rest.find(['.', '[', ']']).unwrap_or(rest.len());
        if plain > 0 {
            keys.push(rest[..plain].to_owned());
            at += plain;
        } else if let Some((key, length)) = rest.strip_prefix('[').and_then(bracketed) {
            keys.push(key);
            at += 1 + length;
        } else {
            let skipped = separator(rest).unwrap_or(1);
            if separator(rest).is_some() && (rest.len() == skipped || separator(&rest[skipped..]).is_some()) {
                keys.push(String::new());
            }
            at += 1;
        }
    }
    keys
}

/// The length of the separator that the text begins with: `.` or `[]`.
fn separator(text: &str) -> Option<usize> {
    [".", "[]"]
        .iter()
        .find(|separator| text.starts_with(**separator))
        .map(|separator| separator.len())
}

/// The key in `0]` or `"x.y"]` and the length up to the bracket's end.
fn bracketed(text: &str) -> Option<(String, usize)> {
    if let Some(found) = quoted(text) {
        return Some(found);
    }
    let end = text.find(']')?;
    let number = &text[..end];
    let digits = number.strip_prefix('-').unwrap_or(number);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (is_number(whole) && is_number(fraction)).then(|| (number.to_owned(), end + 1))
}

/// The key in `"x.y"]`, escapes undone, and the length up to the bracket's end.
fn quoted(text: &str) -> Option<(String, usize)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut key = String::new();
    let mut rest = text.char_indices().skip(1);
    while let Some((at, c)) = rest.next() {
        if c == quote {
            return text[at + 1..].starts_with(']').then_some((key, at + 2));
        }
        if c == '\\' {
            key.push(rest.next()?.1);
        } else {
            key.push(c);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_lodash_does() {
        for (text, expected) in [
            ("id", &["id"][..]),
            ("a.b", &["a", "b"]),
            ("a[0].b", &["a", "0", "b"]),
            ("[0].id", &["0", "id"]),
            ("[\"x.y\"]", &["x.y"]),
            ("['x.y'].z", &["x.y", "z"]),
            (r#"["a\"]b"]"#, &["a\"]b"]),
            (r#"["a\\b"]"#, &["a\\b"]),
            ("a[b]", &["a", "b"]),
            ("a[-1]", &["a", "-1"]),
            ("a[1.5]", &["a", "1.5"]),
            ("a.", &["a", ""]),
            (".id", &["", "id"]),
            ("a..b", &["a", "", "b"]),
            ("a[].b", &["a", "", "b"]),
            ("issue id", &["issue id"]),
            ("a[", &["a["]),
            ("a]b", &["a]b"]),
            ("$.id", &["$", "id"]),
        ] {
            assert_eq!(ResponsePath::new(text).keys, expected, "{text}");
        }
        assert!(ResponsePath::parse("config.createIncidentResponseKey", "").is_err());
    }

    #[test]
    fn finds_raw_values() {
        for (path, root, value) in [
            ("a.b", r#"{"a": {"b": 1.0 } }"#, Some("1.0")),
            ("a.b", r#"{"a.b":"lit","a":{"b":1}}"#, Some(r#""lit""#)),
            ("a[0]", r#"{"a[0]":1,"a":[2]}"#, Some("1")),
            ("id", r#"{"id":1,"id":2}"#, Some("2")),
            ("id", r#"{"\u0069d":"v"}"#, Some(r#""v""#)),
            ("a.b", r#"{"a":null}"#, None),
            ("a.length", r#"{"a":"four"}"#, None),
            ("length", "[1,2]", None),
            ("a[00]", r#"{"a":["v"]}"#, None),
            ("a[1]", r#"{"a":["v",[{}]]}"#, Some("[{}]")),
            ("a[5]", r#"{"a":["v"]}"#, None),
            ("__proto__.id", r#"{"__proto__":{"id":1}}"#, None),
            ("constructor", r#"{"constructor":1}"#, None),
            ("ID", r#"{"id":1}"#, None),
        ] {
            assert_eq!(ResponsePath::new(path).find(root), value, "{path} in {root}");
        }
    }
}
