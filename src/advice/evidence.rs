//! What an exchange tells: addresses, media types, the server's own words.

use serde_json::Value;
use url::Url;

use super::Exchange;
use crate::model::Step;

/// How much of a server's own words is quoted, in characters.
const QUOTED: usize = 300;

/// How many declarations and comments before a document are passed over.
const SKIPPED: usize = 20;

pub(super) fn tls(at: &Exchange<'_>, words: &[&str]) -> bool {
    at.code == "tls" && words.iter().any(|words| at.verdict.contains(words))
}

/// Where a redirect led before it failed there.
pub(super) fn led_to(at: &Exchange<'_>) -> Option<Url> {
    let (to, _) = at
        .verdict
        .strip_prefix("after a redirect to ")?
        .split_once(": ")?;
    Url::parse(to).ok()
}

/// The address that was asked last.
pub(super) fn asked(at: &Exchange<'_>) -> Option<Url> {
    led_to(at).or_else(|| Url::parse(&at.request.url).ok())
}

/// The answer's media type without parameters, in lower case.
pub(super) fn media_type_of(at: &Exchange<'_>) -> String {
    let whole = at.header("content-type").unwrap_or_default();
    let essence = whole.split(';').next().unwrap_or_default();
    short(essence.trim()).to_lowercase()
}

/// A body from where its document begins: without byte order mark, declaration and comments.
pub(super) fn document_of<'a>(at: &Exchange<'a>) -> &'a str {
    let body = at.answer.map_or("", |answer| answer.body.as_str());
    let mut rest = body.trim_start_matches('\u{feff}').trim_start();
    for _ in 0..SKIPPED {
        let skipped = [("<?xml", "?>"), ("<!--", "-->")]
            .into_iter()
            .find_map(|(open, close)| {
                let (_, after) = rest.strip_prefix(open)?.split_once(close)?;
                Some(after.trim_start())
            });
        match skipped {
            Some(after) => rest = after,
            None => break,
        }
    }
    rest
}

/// The path as a look-up takes it: through a list and not to its first element.
pub(super) fn through_lists(at: &Exchange<'_>, path: String) -> String {
    match at.step {
        Step::Find => path.replacen("[0]", "[]", 1),
        _ => path,
    }
}

pub(super) fn host(at: &Exchange<'_>) -> String {
    let url = asked(at);
    url.and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default()
}

pub(super) fn authority(at: &Exchange<'_>) -> String {
    let port = asked(at).and_then(|url| url.port_or_known_default());
    format!("{}:{}", host(at), port.unwrap_or_default())
}

/// Where a redirect led from and to, by the answer or by the refusal's words.
pub(super) fn redirect(at: &Exchange<'_>) -> Option<(Url, Url)> {
    let from = Url::parse(&at.request.url).ok()?;
    if let Some(location) = at
        .header("location")
        .filter(|_| at.answer.is_some_and(|a| a.status / 100 == 3))
    {
        return Some((from.clone(), from.join(location).ok()?));
    }
    if at.code != "redirect" {
        return None;
    }
    let mut words = at.verdict.split_whitespace();
    let to = words.find(|word| word.starts_with("http://") || word.starts_with("https://"))?;
    Some((from, Url::parse(to.trim_end_matches([';', ','])).ok()?))
}

/// Hosts of known services that are misspelt now and then.
pub(super) fn near_host(host: &str) -> Option<String> {
    const ENDS: [&str; 8] = [
        "atlassian.net",
        "service-now.com",
        "zendesk.com",
        "freshdesk.com",
        "github.com",
        "gitlab.com",
        "pagerduty.com",
        "youtrack.cloud",
    ];
    let mut labels = host.rsplitn(3, '.');
    let (top, second) = (labels.next()?, labels.next()?);
    let end = format!("{second}.{top}");
    let near = crate::words::nearest(&end, ENDS.into_iter()).filter(|near| *near != end)?;
    Some(match labels.next() {
        Some(first) => format!("{first}.{near}"),
        None => near.to_owned(),
    })
}

/// The names of an object's members, those within included.
pub(super) fn names(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                found.push(name.clone());
                names(inner, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| names(inner, found)),
        _ => {}
    }
}

/// ` It said: ...` with the server's own words; nothing where it had none.
pub(super) fn told_words(at: &Exchange<'_>) -> String {
    let told = match at.json() {
        Some(document) => message(&document),
        None => Some(short(at.body())).filter(|text| !text.is_empty() && !text.starts_with('<')),
    };
    told.map_or_else(String::new, |told| format!(". It said: {told}"))
}

/// The message within an error document of any usual shape.
pub(super) fn message(document: &Value) -> Option<String> {
    let mut found = Vec::new();
    collect(document, &mut found, 0);
    (!found.is_empty()).then(|| short(&found.join("; ")))
}

fn collect(value: &Value, found: &mut Vec<String>, deep: usize) {
    const NAMES: [&str; 14] = [
        "message",
        "messages",
        "errorMessages",
        "errors",
        "error",
        "error_message",
        "error_description",
        "description",
        "detail",
        "details",
        "title",
        "msg",
        "reason",
        "Error",
    ];
    if deep > 4 || found.len() > 8 {
        return;
    }
    match value {
        Value::String(text) if !text.is_empty() && !found.contains(text) => found.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|inner| collect(inner, found, deep + 1)),
        Value::Object(map) => {
            // A list under such a name is about a field of that name.
            let field = |name: &str| matches!(name, "title" | "description") && map[name].is_array();
            let known = NAMES
                .into_iter()
                .filter(|name| map.contains_key(*name) && !field(name));
            let known: Vec<&str> = known.collect();
            if known.is_empty() {
                // An object of fields with their faults, as many frameworks answer.
                for (name, inner) in map {
                    let mut inside = Vec::new();
                    collect(inner, &mut inside, deep + 1);
                    if !inside.is_empty() {
                        found.push(format!("{name}: {}", inside.join("; ")));
                    }
                }
            }
            for name in known {
                collect(&map[name], found, deep + 1);
            }
        }
        _ => {}
    }
}

/// The beginning of a text, in one line.
pub(super) fn short(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= QUOTED {
        return line;
    }
    line.chars().take(QUOTED).chain(['\u{2026}']).collect()
}
