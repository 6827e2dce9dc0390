//! Words for errors about documents: the nearest known name, the kind of a value, a quoted name, a field's path.

use serde_json::Value;

/// The message for a field that is not known: names the nearest known one, or all where none is near.
pub(crate) fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let prefixed = known.clone().find(|known| {
        name.strip_suffix(known)
            .is_some_and(|prefix| prefix.ends_with('.'))
    });
    match prefixed.or_else(|| nearest(name, known.clone())) {
        Some(near) => format!("there is no such field; did you mean \"{near}\"?"),
        None if known.clone().count() <= 10 => {
            let names: Vec<String> = known.map(|name| format!("\"{name}\"")).collect();
            format!("there is no such field; known are {}", names.join(", "))
        }
        None => "there is no such field".to_owned(),
    }
}

/// A few words in their order, each once.
pub(crate) fn in_order<T: Ord>(words: impl Iterator<Item = T>) -> Vec<T> {
    let mut ordered = Vec::new();
    for word in words {
        if let Err(at) = ordered.binary_search(&word) {
            ordered.insert(at, word);
        }
    }
    ordered
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

/// The path of a field below another: `config.headers`, or `config.headers["X-A"]`.
pub(crate) fn child(path: &str, name: &str) -> String {
    let plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    if plain && !name.is_empty() && name.len() <= 60 {
        format!("{path}.{name}")
    } else {
        format!("{path}[{}]", quoted(name))
    }
}

/// The known name that differs least from `name`, if any is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A longer text is no slip of the pen, and would make the comparison slow.
    if name.len() > 128 {
        return None;
    }
    let lower = name.to_lowercase();
    known
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .min_by_key(|(far, _)| *far)
        .filter(|(far, candidate)| *far <= 2.max(candidate.len() / 3))
        .map(|(_, candidate)| candidate)
}

/// How many characters to insert, remove or replace to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_nearest_field_or_all_of_a_few() {
        let known = ["createIncidentUrl", "hasAuth"];
        assert!(
            unknown("createIncidentURL", known.into_iter()).contains("did you mean \"createIncidentUrl\"?")
        );
        assert!(
            unknown("something", known.into_iter()).ends_with("known are \"createIncidentUrl\", \"hasAuth\"")
        );
        assert!(unknown("xpack.actions.hasAuth", known.into_iter()).contains("did you mean \"hasAuth\"?"));
        assert_eq!(
            unknown("something", known.into_iter().cycle().take(11)),
            "there is no such field"
        );
    }

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        assert_eq!(quoted("a\n"), "\"a\\n\"");
        assert!(quoted(&"é".repeat(100)).ends_with("\"..."));
    }

    #[test]
    fn distances() {
        for (a, b, far) in [
            ("", "", 0),
            ("", "ab", 2),
            ("abc", "abc", 0),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), far, "{a} {b}");
        }
    }
}
