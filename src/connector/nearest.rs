//! Words for errors about documents: the nearest known name, the kind of a value, a quoted name.

use serde_json::Value;

/// The message for a field that is not known: names the nearest known one, or all where none is near.
pub(crate) fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("there is no such field; did you mean \"{near}\"?"),
        None if known.clone().count() <= 10 => {
            let names: Vec<String> = known.map(|name| format!("\"{name}\"")).collect();
            format!("there is no such field; known are {}", names.join(", "))
        }
        None => "there is no such field".to_owned(),
    }
}

/// The known name that a misspelt one most likely stands for.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.chars().take(128).flat_map(char::to_lowercase).collect();
    known
        .map(|candidate| {
            let lower: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
            (distance(&name, &lower), lower.len(), candidate)
        })
        .filter(|(distance, length, _)| *distance <= 1 + length.min(&name.len()) / 4)
        .min_by_key(|(distance, ..)| *distance)
        .map(|(.., candidate)| candidate)
}

/// How many characters to add, drop, change or swap with their neighbour to get from one to the other.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut cost = (above[j] + usize::from(a != b))
                .min(above[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[to.len()]
}

/// What a JSON value is, in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A name from outside as it may stand in an error: quoted, escaped, cut to a readable length.
pub(crate) fn quoted(name: &str) -> String {
    let short: String = name.chars().take(60).collect();
    let dots = if short.len() < name.len() { "..." } else { "" };
    format!("{short:?}{dots}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_name() {
        let known = ["createIncidentUrl", "createCommentUrl", "hasAuth", "ca"];
        let table = [
            ("createIncidentURL", Some("createIncidentUrl")),
            ("createIncidntUrl", Some("createIncidentUrl")),
            ("hasauht", Some("hasAuth")),
            ("foo", None),
            ("", None),
            ("xy", None),
        ];
        for (name, near) in table {
            assert_eq!(nearest(name, known.into_iter()), near, "{name}");
        }
    }

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        assert_eq!(quoted("a\n"), "\"a\\n\"");
        assert!(quoted(&"é".repeat(100)).ends_with("\"..."));
    }
}
