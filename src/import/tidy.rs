//! What an imported config needs before casehook takes it, and the secrets that it lacks.

use serde_json::{Map, Value};

use crate::connector::{Warning, fields};

/// The config with what can be mended without a doubt mended, and what was changed.
pub(super) fn tidied(mut config: Map<String, Value>) -> (Map<String, Value>, Vec<Warning>) {
    let mut changed = Vec::new();
    for (name, value) in &mut config {
        let Value::String(text) = value else { continue };
        if !name.ends_with("Json") {
            continue;
        }
        let braced = three_braces(text);
        if braced != *text {
            *text = braced;
            changed.push(Warning {
                field: format!("config.{name}"),
                message: "{{x}} became {{{x}}}: two braces would have spoilt the quotes of the JSON value"
                    .to_owned(),
            });
        }
    }
    (config, changed)
}

/// Which secrets `hasAuth` and `authType` ask for and the export does not hold.
pub(super) fn missing_secrets(config: &Map<String, Value>, secrets: &Map<String, Value>) -> Vec<String> {
    if config.get("hasAuth") == Some(&Value::Bool(false)) {
        return Vec::new();
    }
    let text = |name: &str| config.get(name).and_then(Value::as_str);
    let wanted: &[&str] = match (text("authType"), text("certType")) {
        (Some(fields::CERTIFICATE), Some("ssl-pfx")) => &["pfx"],
        (Some(fields::CERTIFICATE), _) => &["crt", "key"],
        (Some(fields::OAUTH2), _) => &["clientSecret"],
        (Some(fields::QUERY_PARAM), _) => &[],
        _ => &["user", "password"],
    };
    let there = |name: &str| {
        secrets
            .get(name)
            .and_then(Value::as_str)
            .is_some_and(|text| !text.is_empty())
    };
    let missing = wanted.iter().filter(|name| !there(name));
    missing.map(|name| (*name).to_owned()).collect()
}

/// Writes `{{name}}` with three braces; sections, comments and tags that have three already stay.
fn three_braces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let inside = &tag[2..];
        let three = inside.starts_with('{');
        let close = if three { "}}}" } else { "}}" };
        let Some(end) = inside.find(close) else {
            out.push_str(tag);
            return out;
        };
        let whole = &tag[..2 + end + close.len()];
        let name = inside[..end].trim();
        let plain =
            !three && name.starts_with(|c: char| c.is_ascii_alphabetic()) && !name.contains(['{', '}', '"']);
        if plain {
            out.push_str(&format!("{{{{{{{name}}}}}}}"));
        } else {
            out.push_str(whole);
        }
        rest = &tag[whole.len()..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::three_braces;

    #[test]
    fn only_plain_tags_get_a_third_brace() {
        for (text, braced) in [
            (r#"{"a":{{case.title}}}"#, r#"{"a":{{{case.title}}}}"#),
            (
                r#"{"a":{{{case.title}}},"b":{{ case.id }}}"#,
                r#"{"a":{{{case.title}}},"b":{{{case.id}}}}"#,
            ),
            (
                "{{#case.id}}1{{/case.id}}{{^x}}{{! c }}{{&y}}",
                "{{#case.id}}1{{/case.id}}{{^x}}{{! c }}{{&y}}",
            ),
            ("{{open", "{{open"),
            ("", ""),
        ] {
            assert_eq!(three_braces(text), braced);
        }
    }
}
