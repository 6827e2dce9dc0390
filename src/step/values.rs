//! What a case's variables hold for one connector: `valueMaps` and `maxLengths` applied.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Subject;
use crate::connector::Config;
use crate::connector::texts::{Filling, short_id};
use crate::template::Variables;

/// Owner of everything that [`Variables`] borrows.
pub(super) struct Values<'a> {
    subject: &'a Subject<'a>,
    id: Cow<'a, str>,
    title: Cow<'a, str>,
    description: Cow<'a, str>,
    comment: Cow<'a, str>,
    severity: Option<Value>,
    status: Option<Value>,
    tags: Cow<'a, [String]>,
    fields: Cow<'a, Map<String, Value>>,
    texts: Vec<(String, String)>,
}

impl<'a> Values<'a> {
    pub(super) fn new(config: &Config, subject: &'a Subject<'a>) -> Values<'a> {
        let case = subject.case;
        let comment = subject.comment.map_or("", |comment| comment.text.as_str());
        let limit = |name: &str| limit(config, name);
        let title = cut(&case.title, limit("title"));
        let description = cut(
            case.description.as_deref().unwrap_or_default(),
            limit("description"),
        );
        let whole_id = case.id.as_deref().unwrap_or_default();
        let id = limit("id").map_or(Cow::Borrowed(whole_id), |limit| short_id(whole_id, limit));
        let status = case.status.as_deref().unwrap_or_default();
        let filling = Filling {
            id: whole_id,
            short_id: &id,
            title: &title,
            description: &description,
            severity: case.severity.as_deref().unwrap_or_default(),
            status,
            known_status: match looked_up(&config.status_map, status) {
                Some(_) => status,
                None => "",
            },
        };
        let own = in_words(&case.tags, config.tag_spaces.as_deref());
        let tags = with_extra(cut_all(own, limit("tags")), config, filling);
        let texts = config.texts.iter();
        let texts = texts.map(|(name, pattern)| (name.clone(), pattern.fill(filling)));
        Values {
            subject,
            texts: texts.collect(),
            id,
            title,
            description,
            comment: cut(comment, limit("comment")),
            severity: mapped(&config.severity_map, case.severity.as_deref(), limit("severity")),
            status: mapped(&config.status_map, case.status.as_deref(), limit("status")),
            tags,
            fields: cut_fields(config, &case.fields),
        }
    }

    pub(super) fn variables(&self) -> Variables<'_> {
        Variables {
            title: &self.title,
            description: &self.description,
            id: &self.id,
            severity: self.severity.as_ref(),
            status: self.status.as_ref(),
            tags: &self.tags,
            fields: Some(&self.fields),
            texts: &self.texts,
            comment: &self.comment,
            comment_id: self.subject.comment.map_or("", |comment| comment.id.as_str()),
            external_id: self.subject.external_id.unwrap_or_default(),
            external_title: self.subject.external_title.unwrap_or_default(),
        }
    }
}

fn limit(config: &Config, name: &str) -> Option<usize> {
    config
        .max_lengths
        .iter()
        .find(|(field, _)| field == name)
        .map(|(_, limit)| *limit)
}

/// What the map puts in the place of the value, or under `*` in that of any other; else the value itself.
fn mapped(map: &Map<String, Value>, value: Option<&str>, limit: Option<usize>) -> Option<Value> {
    let value = value?;
    Some(match looked_up(map, value) {
        Some(other) => other.clone(),
        None => Value::from(cut(value, limit).into_owned()),
    })
}

fn looked_up<'m>(map: &'m Map<String, Value>, value: &str) -> Option<&'m Value> {
    map.get(value).or_else(|| map.get("*"))
}

/// The text in at most `limit` characters, an ellipsis in the place of what was cut.
pub(super) fn cut(text: &str, limit: Option<usize>) -> Cow<'_, str> {
    let Some(limit) = limit.filter(|limit| text.len() > *limit) else {
        return Cow::Borrowed(text);
    };
    if text.chars().nth(limit).is_none() {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().take(limit.saturating_sub(1));
    Cow::Owned(kept.chain((limit > 0).then_some('\u{2026}')).collect())
}

/// The tags with what `tagSpaces` says in the places of white space, empty ones left out.
fn in_words<'a>(tags: &'a [String], spaces: Option<&str>) -> Cow<'a, [String]> {
    let Some(spaces) = spaces else {
        return Cow::Borrowed(tags);
    };
    let tags = tags.iter().map(|tag| joined(tag, spaces));
    Cow::Owned(tags.filter(|tag| !tag.is_empty()).collect())
}

fn joined(tag: &str, spaces: &str) -> String {
    tag.split_whitespace().collect::<Vec<_>>().join(spaces)
}

fn cut_all(texts: Cow<'_, [String]>, limit: Option<usize>) -> Cow<'_, [String]> {
    if limit.is_none() {
        return texts;
    }
    Cow::Owned(texts.iter().map(|text| cut(text, limit).into_owned()).collect())
}

/// The tags and those that the connector adds. What needs the case's id is left out where there is none.
fn with_extra<'a>(tags: Cow<'a, [String]>, config: &Config, filling: Filling<'_>) -> Cow<'a, [String]> {
    let mut tags = tags;
    for pattern in &config.extra_tags {
        let mut tag = pattern.fill(filling);
        if let Some(spaces) = config.tag_spaces.as_deref() {
            tag = joined(&tag, spaces);
        }
        let about_nobody = filling.id.is_empty() && pattern.needs_id();
        if !about_nobody && !tag.is_empty() && !tags.contains(&tag) {
            tags.to_mut().push(tag);
        }
    }
    tags
}

/// Limits of the host's own fields are named `fields.NAME` and hold for texts.
fn cut_fields<'a>(config: &Config, fields: &'a Map<String, Value>) -> Cow<'a, Map<String, Value>> {
    let mut out = Cow::Borrowed(fields);
    for (name, limit) in &config.max_lengths {
        let Some(name) = name.strip_prefix("fields.") else {
            continue;
        };
        if let Some(Value::String(text)) = fields.get(name)
            && let Cow::Owned(short) = cut(text, Some(*limit))
        {
            out.to_mut().insert(name.to_owned(), Value::String(short));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_characters() {
        for (text, limit, cut_text) in [
            ("abc", None, "abc"),
            ("abc", Some(3), "abc"),
            ("abcd", Some(3), "ab\u{2026}"),
            ("\u{1f600}\u{e9}x", Some(3), "\u{1f600}\u{e9}x"),
            ("\u{1f600}\u{e9}xy", Some(3), "\u{1f600}\u{e9}\u{2026}"),
            ("ab", Some(1), "\u{2026}"),
            ("ab", Some(0), ""),
            ("", Some(0), ""),
        ] {
            assert_eq!(cut(text, limit), cut_text, "{text} {limit:?}");
        }
    }

    #[test]
    fn maps_values() {
        let map = serde_json::from_str(r#"{"high":2}"#).unwrap();
        assert_eq!(mapped(&map, Some("high"), None), Some(Value::from(2)));
        assert_eq!(mapped(&map, Some("low"), Some(2)), Some(Value::from("l\u{2026}")));
        assert_eq!(mapped(&map, None, None), None);
        let map = serde_json::from_str(r#"{"high":2,"*":3}"#).unwrap();
        assert_eq!(mapped(&map, Some("high"), None), Some(Value::from(2)));
        assert_eq!(mapped(&map, Some("dire"), None), Some(Value::from(3)));
        assert_eq!(mapped(&map, None, None), None);
    }
}
