//! The paths that an answer offers in the place of one that leads nowhere.

use serde_json::Value;

use crate::model::Step;
use crate::words::nearest;

/// How deep an answer is looked into, and how many paths are kept.
const DEEP: usize = 5;
const KEPT: usize = 200;

/// Names under which ids and titles mostly stand, the likeliest first.
const IDS: [&str; 10] = [
    "id", "key", "iid", "number", "_id", "sys_id", "uuid", "gid", "ticketid", "issue_id",
];
const TITLES: [&str; 9] = [
    "title",
    "subject",
    "summary",
    "name",
    "short_description",
    "key",
    "number",
    "identifier",
    "idreadable",
];

/// Every path to a text or number, as connectors write them, in the order of the answer.
pub(super) fn all(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(document, String::new(), 0, &mut found);
    found
}

/// The path that was most likely meant by `wrong`, or none where nothing looks like an id or title.
pub(super) fn likeliest(document: &Value, wrong: &str, step: Step) -> Option<String> {
    let paths = all(document);
    let last = leaf(wrong).to_lowercase();
    let same_leaf = paths.iter().filter(|path| leaf(path).to_lowercase() == last);
    if let Some(path) = same_leaf.min_by_key(|path| depth(path)) {
        return Some(path.clone());
    }
    if let Some(path) = nearest(wrong, paths.iter().map(String::as_str)) {
        return Some(path.to_owned());
    }
    let names: &[&str] = if step == Step::Get { &TITLES } else { &IDS };
    let ranked = paths.iter().filter_map(|path| {
        let name = leaf(path).to_lowercase();
        let rank = names.iter().position(|known| *known == name)?;
        Some((depth(path), rank, path))
    });
    ranked.min().map(|(_, _, path)| path.clone())
}

fn walk(value: &Value, path: String, deep: usize, found: &mut Vec<String>) {
    if deep > DEEP || found.len() >= KEPT {
        return;
    }
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                walk(inner, child(&path, name), deep + 1, found);
            }
        }
        Value::Array(list) => {
            if let Some(first) = list.first() {
                walk(first, format!("{path}[0]"), deep + 1, found);
            }
        }
        Value::String(text) if !text.is_empty() => found.push(path),
        Value::Number(_) => found.push(path),
        _ => {}
    }
}

fn child(path: &str, name: &str) -> String {
    let plain = !name.is_empty() && !name.contains(['.', '[', ']', '"', '\'', '\\']);
    match (plain, path) {
        (true, "") => name.to_owned(),
        (true, path) => format!("{path}.{name}"),
        (false, path) => format!("{path}[{}]", Value::from(name)),
    }
}

fn leaf(path: &str) -> &str {
    path.rsplit(['.', ']'])
        .find(|part| !part.is_empty())
        .unwrap_or(path)
}

fn depth(path: &str) -> usize {
    path.matches(['.', '[']).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_paths_as_connectors_write_them() {
        let document = json!({"a": {"b": 1, "x.y": "t"}, "c": [{"d": "e"}], "n": null, "o": {}, "s": ""});
        assert_eq!(all(&document), ["a.b", "a[\"x.y\"]", "c[0].d"]);
        assert_eq!(all(&json!([{"id": 1}])), ["[0].id"]);
    }

    #[test]
    fn the_same_last_name_wins_then_a_near_one_then_a_usual_one() {
        for (document, wrong, step, likely) in [
            (
                json!({"data": {"id": 7, "self": "u"}}),
                "id",
                Step::Create,
                Some("data.id"),
            ),
            (json!({"id": 7}), "data.id", Step::Create, Some("id")),
            (
                json!({"issueKey": "A-1", "url": "u"}),
                "issuekey",
                Step::Create,
                Some("issueKey"),
            ),
            (
                json!({"result": {"number": "INC1", "state": "1"}}),
                "ticket.ref",
                Step::Create,
                Some("result.number"),
            ),
            (
                json!({"issue": {"subject": "S", "id": 3}}),
                "fields.summary",
                Step::Get,
                Some("issue.subject"),
            ),
            (json!({"status": "accepted"}), "ticket", Step::Create, None),
        ] {
            assert_eq!(likeliest(&document, wrong, step).as_deref(), likely, "{document}");
        }
    }
}
