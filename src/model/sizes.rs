//! Whether a push keeps within the sizes of [`limits`], each refused with an error of its own.

use serde_json::Value;

use super::case::Case;
use super::{limits, trace};
use crate::error::{Error, Result};
use crate::words::child;

impl Case {
    /// Checks the sizes of [`limits`] and the trace context.
    pub(crate) fn validate(&self) -> Result<()> {
        self.traceparent.as_deref().map_or(Ok(()), trace::validate)?;
        at_most("incident.title", self.title.len(), limits::TITLE_BYTES, "bytes")?;
        for (name, text, limit) in [
            ("id", &self.id, limits::ID_BYTES),
            ("externalId", &self.external_id, limits::ID_BYTES),
            ("severity", &self.severity, limits::WORD_BYTES),
            ("status", &self.status, limits::WORD_BYTES),
        ] {
            let length = text.as_deref().map_or(0, str::len);
            at_most(&format!("incident.{name}"), length, limit, "bytes")?;
        }
        at_most("incident.tags", self.tags.len(), limits::TAGS, "tags")?;
        at_most("comments", self.comments.len(), limits::COMMENTS, "comments")?;
        let longest = self.comments.iter().map(|comment| comment.id.len()).enumerate();
        if let Some((place, length)) = longest.max_by_key(|(_, length)| *length) {
            at_most(
                &format!("comments[{place}].commentId"),
                length,
                limits::ID_BYTES,
                "bytes",
            )?;
        }
        for name in self.fields.keys() {
            let field = child("incident.fields", name);
            at_most(&field, name.len(), limits::NAME_BYTES, "bytes in its name")?;
            if self
                .fields
                .get(name)
                .is_some_and(|value| nests_deeper(value, limits::NESTING))
            {
                let message = format!(
                    "this nests deeper than {} levels; make it flatter",
                    limits::NESTING
                );
                return Err(Error::case(field, message));
            }
        }
        if self.is_small() {
            return Ok(());
        }
        at_most(
            "params",
            self.to_json().len(),
            limits::PUSH_BYTES,
            "bytes of JSON",
        )
    }

    /// Whether it keeps within [`limits::PUSH_BYTES`] however it is written: a byte takes six at most (`\u001f`).
    fn is_small(&self) -> bool {
        const BYTE: usize = 6;
        const FRAME: usize = 256;
        let texts = [
            &self.description,
            &self.id,
            &self.severity,
            &self.status,
            &self.external_id,
        ];
        let texts = texts.into_iter().flatten().map(|text| text.len());
        let tags = self.tags.iter().map(|tag| tag.len() + 1);
        let comments = self
            .comments
            .iter()
            .map(|c| c.id.len() + c.text.len() + FRAME / BYTE);
        let bytes: usize = [self.title.len()]
            .into_iter()
            .chain(texts)
            .chain(tags)
            .chain(comments)
            .sum();
        self.fields.is_empty() && bytes * BYTE + FRAME <= limits::PUSH_BYTES
    }
}

fn nests_deeper(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else {
        return matches!(value, Value::Array(_) | Value::Object(_));
    };
    match value {
        Value::Array(items) => items.iter().any(|item| nests_deeper(item, below)),
        Value::Object(members) => members.values().any(|item| nests_deeper(item, below)),
        _ => false,
    }
}

fn at_most(path: &str, found: usize, limit: usize, unit: &str) -> Result<()> {
    if found <= limit {
        return Ok(());
    }
    Err(Error::case(
        path,
        format!("this has {found} {unit}; the limit is {limit}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_its_own_error() {
        let table = [
            (
                Case::new("x".repeat(limits::TITLE_BYTES + 1)),
                "incident.title",
                "65537",
            ),
            (
                (0..=limits::TAGS).fold(Case::new("t"), |case, _| case.tag("a")),
                "incident.tags",
                "1001",
            ),
            (
                (0..=limits::COMMENTS).fold(Case::new("t"), |case, _| case.comment("", "")),
                "comments",
                "10001",
            ),
            (
                Case::new("t").description("x".repeat(limits::PUSH_BYTES)),
                "params",
                "4194304",
            ),
        ];
        for (case, field, number) in table {
            let error = case.validate().unwrap_err();
            assert_eq!(error.field(), Some(field));
            assert!(error.message().contains(number), "{error}");
        }
        let named = Case::new("t").field("n".repeat(limits::NAME_BYTES + 1), 1);
        assert!(named.validate().unwrap_err().message().contains("129"));
        let largest = (0..limits::COMMENTS).fold(Case::new("x".repeat(limits::TITLE_BYTES)), |c, _| {
            c.comment("1", "x")
        });
        largest.validate().unwrap();
    }
}
