//! Texts that a connector puts together from a case: the fields `texts` and `extraTags`.

use std::borrow::Cow;

use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};

use super::table::child;
use super::words;
use crate::error::{Error, Result};

/// What may stand in braces, and what it stands for.
const HOLES: [(&str, Hole); 8] = [
    ("id", Hole::Id),
    ("title", Hole::Title),
    ("description", Hole::Description),
    ("severity", Hole::Severity),
    ("status", Hole::Status),
    ("known_status", Hole::KnownStatus),
    ("fingerprint", Hole::Fingerprint),
    ("uuid", Hole::Uuid),
];

/// A text with holes such as `casehook-{fingerprint}`; `{{` and `}}` are braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextPattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Hole(Hole),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hole {
    Id,
    Title,
    Description,
    Severity,
    Status,
    KnownStatus,
    Fingerprint,
    Uuid,
}

/// What the holes are filled with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filling<'a> {
    /// The whole id, which fingerprint and UUID are made of.
    pub(crate) id: &'a str,
    /// The id in at most as many characters as `maxLengths` lets it have.
    pub(crate) short_id: &'a str,
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    /// In the host's words, before `valueMaps`.
    pub(crate) severity: &'a str,
    pub(crate) status: &'a str,
    /// The status where `valueMaps` has something for it, else empty.
    pub(crate) known_status: &'a str,
}

impl TextPattern {
    /// Reads a pattern; `at` is its path in the document.
    pub(crate) fn parse(at: &str, text: &str) -> Result<TextPattern> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '{' | '}' if rest.starts_with(c) => {
                    plain.push(c);
                    rest = &rest[1..];
                }
                '{' => {
                    let Some((name, after)) = rest.split_once('}') else {
                        return Err(Error::config(
                            at,
                            "an opening brace without a closing one; write `{{`",
                        ));
                    };
                    let hole = HOLES.iter().find(|(known, _)| *known == name);
                    let Some((_, hole)) = hole else {
                        return Err(Error::config(at, unknown(name)));
                    };
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Hole(*hole));
                    rest = after;
                }
                '}' => {
                    return Err(Error::config(
                        at,
                        "a closing brace without an opening one; write `}}`",
                    ));
                }
                _ => plain.push(c),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(TextPattern(pieces))
    }

    /// The text for one case. Without an id of the case, fingerprint and UUID are empty as the id is.
    pub(crate) fn fill(&self, with: Filling<'_>) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Hole(Hole::Id) => out.push_str(with.short_id),
                Piece::Hole(Hole::Title) => out.push_str(with.title),
                Piece::Hole(Hole::Description) => out.push_str(with.description),
                Piece::Hole(Hole::Severity) => out.push_str(with.severity),
                Piece::Hole(Hole::Status) => out.push_str(with.status),
                Piece::Hole(Hole::KnownStatus) => out.push_str(with.known_status),
                Piece::Hole(Hole::Fingerprint) => out.push_str(&fingerprint(with.id)),
                Piece::Hole(Hole::Uuid) => out.push_str(&uuid(with.id)),
            }
        }
        out
    }

    /// Whether the text is about nobody where a case has no id.
    pub(crate) fn needs_id(&self) -> bool {
        let ids = [Hole::Id, Hole::Fingerprint, Hole::Uuid];
        self.0
            .iter()
            .any(|piece| matches!(piece, Piece::Hole(hole) if ids.contains(hole)))
    }

    /// Whether it holds what the variable of that name stands for, such as `case.title`.
    pub(crate) fn holds(&self, variable: &str) -> bool {
        let hole = match variable {
            "case.title" => Hole::Title,
            "case.description" => Hole::Description,
            "case.id" => Hole::Id,
            _ => return false,
        };
        self.0.contains(&Piece::Hole(hole))
    }
}

/// The field `texts`: names and patterns.
pub(crate) fn read(map: Option<&Map<String, Value>>) -> Result<Vec<(String, TextPattern)>> {
    map.into_iter()
        .flatten()
        .map(|(name, text)| {
            let at = child("config.texts", name);
            if name.is_empty() || name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
                let message = "a name has ASCII letters, digits and underscores, such as `mark`";
                return Err(Error::config(at, message));
            }
            let pattern = TextPattern::parse(&at, text.as_str().unwrap_or_default())?;
            Ok((name.clone(), pattern))
        })
        .collect()
}

/// The field `extraTags`.
pub(crate) fn read_tags(list: Option<&Vec<Value>>) -> Result<Vec<TextPattern>> {
    let tags = list.into_iter().flatten().enumerate();
    tags.map(|(place, text)| {
        let at = format!("config.extraTags[{place}]");
        match text.as_str().unwrap_or_default() {
            "" => Err(Error::config(at, "a tag must not be empty")),
            text => TextPattern::parse(&at, text),
        }
    })
    .collect()
}

fn unknown(name: &str) -> String {
    let known: Vec<String> = HOLES.iter().map(|(name, _)| format!("{{{name}}}")).collect();
    format!(
        "nothing is called {} here; known are {}; a brace is written twice",
        words::quoted(name),
        known.join(", ")
    )
}

/// An id in at most `limit` characters. What is cut ends in a fingerprint of the whole: two ids never become one.
pub(crate) fn short_id(id: &str, limit: usize) -> Cow<'_, str> {
    if id.chars().nth(limit).is_none() {
        return Cow::Borrowed(id);
    }
    let mark = format!("-{}", fingerprint(id));
    let begin = id.chars().take(limit.saturating_sub(mark.len()));
    Cow::Owned(begin.chain(mark.chars()).collect())
}

/// Twenty hexadecimal digits that stand for a case id wherever ids themselves could hold what a system does not take:
/// spaces, commas, quotes of its query language. 80 bits: two ids of one installation do not meet.
fn fingerprint(id: &str) -> String {
    if id.is_empty() {
        return String::new();
    }
    let hash = digest(&SHA256, id.as_bytes());
    hash.as_ref()[..10]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A UUID of version 4's form that is always the same for one case id.
fn uuid(id: &str) -> String {
    if id.is_empty() {
        return String::new();
    }
    let hash = digest(&SHA256, id.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[16..]);
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .hyphenated()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILLING: Filling<'_> = Filling {
        id: "host-7/disk",
        short_id: "host-7/disk",
        title: "T {id}",
        description: "D",
        severity: "high",
        status: "odd",
        known_status: "",
    };

    fn fill(text: &str) -> String {
        TextPattern::parse("config.texts.x", text).unwrap().fill(FILLING)
    }

    #[test]
    fn holes_are_filled_once_and_braces_doubled() {
        for (text, filled) in [
            ("", ""),
            ("plain é", "plain é"),
            ("{id}|{title}|{description}", "host-7/disk|T {id}|D"),
            ("{severity}|{status}|{known_status}", "high|odd|"),
            ("a{{b}}c{{{id}}}", "a{b}c{host-7/disk}"),
            ("casehook-{fingerprint}", "casehook-e6cdac46c6a72fafc6ca"),
        ] {
            assert_eq!(fill(text), filled, "{text}");
        }
    }

    #[test]
    fn a_uuid_has_the_form_of_version_4_and_belongs_to_the_id() {
        let uuid = fill("{uuid}");
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&uuid.as_bytes()[19]));
        assert_eq!(uuid, fill("{uuid}"));
        let other = Filling {
            id: "host-8/disk",
            ..FILLING
        };
        let pattern = TextPattern::parse("x", "{uuid}{fingerprint}").unwrap();
        assert_ne!(pattern.fill(other), pattern.fill(FILLING));
        let none = Filling {
            id: "",
            short_id: "",
            ..FILLING
        };
        assert_eq!(pattern.fill(none), "");
        assert!(pattern.needs_id());
    }

    #[test]
    fn a_long_id_is_cut_and_stays_another_than_its_like() {
        let long = "\u{e9}".repeat(40);
        assert_eq!(short_id(&long, 40), long);
        let short = short_id(&long, 39);
        assert_eq!(short.chars().count(), 39);
        assert!(short.starts_with("\u{e9}\u{e9}") && short.contains(&format!("-{}", fingerprint(&long))));
        assert_ne!(
            short_id(&format!("{long}a"), 39),
            short_id(&format!("{long}b"), 39)
        );
    }

    #[test]
    fn refusals_name_what_is_known() {
        for (text, words) in [
            ("{case.id}", "known are {id}, {title}, {description}, {severity}"),
            ("{nope}", "a brace is written twice"),
            ("{id", "opening brace"),
            ("{", "opening brace"),
            ("a}b", "closing brace"),
        ] {
            let error = TextPattern::parse("config.texts.x", text).unwrap_err();
            assert!(error.message().contains(words), "{text}: {error}");
            assert_eq!(error.field(), Some("config.texts.x"));
        }
    }
}
