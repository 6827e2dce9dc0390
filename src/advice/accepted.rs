//! Advice on answers that count as a success and cannot be used.

use serde_json::Value;

use super::evidence::{document_of, media_type_of, message, short, through_lists};
use super::{Exchange, paths};
use crate::model::Step;

/// How many paths are listed.
const LISTED: usize = 12;

pub(super) fn mislabelled(at: &Exchange<'_>) -> Option<String> {
    let json = at
        .json()
        .is_some_and(|document| document.is_object() || document.is_array());
    (at.code == "mediaType" && json).then(|| {
        format!(
            "the answer is JSON, labelled {}: Accept: application/json in headers may bring the right label; else it is set where \
             the server or a proxy before it is configured",
            media_type_of(at)
        )
    })
}

pub(super) fn login_page(at: &Exchange<'_>) -> Option<String> {
    let begins = document_of(at).to_lowercase();
    let tagged = begins.starts_with("<!doctype html") || begins.starts_with("<html");
    let html = tagged || (begins.starts_with('<') && media_type_of(at).contains("html"));
    let unusable = matches!(at.code, "mediaType" | "notJson");
    if !html || !unusable {
        return None;
    }
    let login = ["password", "log in", "login", "sign in", "signin"];
    let login = login.iter().any(|word| begins.contains(word));
    Some(match login {
        true => format!(
            "this is a login page: the credentials are not taken, or {}Url is not the address of the API (which often has /api or \
             /rest in it)",
            at.stem()
        ),
        false => format!(
            "this is a page for people: {}Url is not the address of the API (which often has /api or /rest in it, or ends with .json)",
            at.stem()
        ),
    })
}

pub(super) fn other_type(at: &Exchange<'_>) -> Option<String> {
    let said = media_type_of(at);
    if at.code == "notJson" && !at.body().trim().is_empty() {
        let words = match said.as_str() {
            "" => "the answer has no media type and is no JSON",
            _ => "the answer says that it is JSON and is none",
        };
        return Some(format!(
            "{words}: compare {}Url with the target's API, and see whether something between answers in its place",
            at.stem()
        ));
    }
    if at.code != "mediaType" {
        return None;
    }
    let xml = said.contains("xml") || document_of(at).starts_with('<');
    Some(match xml {
        true => format!(
            "the answer is XML: Accept: application/json in headers, or a path that ends with .json or a query such as format=json \
             in {}Url, may bring JSON",
            at.stem()
        ),
        false => format!(
            "the answer is {said}: {}Url may not be the address of the API; else Accept: application/json in headers may bring \
             JSON",
            at.stem()
        ),
    })
}

pub(super) fn graphql(at: &Exchange<'_>) -> Option<String> {
    let success = at.ok
        || matches!(
            at.code,
            "idMissing" | "titleMissing" | "idUnusable" | "titleUnusable" | "pathMissing"
        );
    if !success || at.tells_failures {
        return None;
    }
    let document = at.json()?;
    let errors = document.get("errors").or_else(|| document.get("Error"))?;
    let name = if document.get("errors").is_some() {
        "errors"
    } else {
        "Error"
    };
    let some = match errors {
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => false,
    };
    some.then(|| {
        let told = message(&document).map_or_else(String::new, |told| format!(" It said: {told}"));
        format!("the target tells failures with status 200: set failureResponseKey to `{name}`.{told}")
    })
}

pub(super) fn location(at: &Exchange<'_>) -> Option<String> {
    if at.step != Step::Create || !at.body().trim().is_empty() || at.answer?.status / 100 != 2 {
        return None;
    }
    let place = at.header("location")?;
    Some(format!(
        "the incident was created, and the answer tells its address ({}) in the header Location alone, which no path reads: ask \
         the target for the new record (a header such as Prefer: return=representation), or let createIncidentUrl name an id \
         of your choice; look whether the trial's incident is to be deleted",
        short(place)
    ))
}

pub(super) fn no_body(at: &Exchange<'_>) -> Option<String> {
    let reads = matches!(at.step, Step::Create | Step::Get | Step::Find);
    let empty = at
        .answer
        .is_some_and(|answer| answer.status / 100 == 2 && answer.body.trim().is_empty());
    let words = "the target has to answer with the record: a header such as Prefer: return=representation or Accept: \
                 application/json in headers may do it";
    (reads && empty && !at.ok).then(|| words.to_owned())
}

pub(super) fn other_found(at: &Exchange<'_>) -> Option<String> {
    (at.code == "otherFound").then(|| {
        "let findIncidentUrl name something that no other case has, and findIncidentResponseKey lead to the same of several ids \
         as createIncidentResponseKey: what is found is taken for the case's incident"
            .to_owned()
    })
}

pub(super) fn several_found(at: &Exchange<'_>) -> Option<String> {
    (at.code == "severalFound").then(|| {
        "let findIncidentUrl name something that this case alone has, such as {{{case.id}}} in a field of its own; incidents of \
         earlier trials with the same id are found too, and can be deleted"
            .to_owned()
    })
}

pub(super) fn wrong_path(at: &Exchange<'_>) -> Option<String> {
    if !matches!(at.code, "idMissing" | "titleMissing" | "pathMissing") {
        return None;
    }
    let document = at.json()?;
    let wrong = at.path.unwrap_or_default();
    let list: Vec<String> = paths::all(&document)
        .into_iter()
        .map(|path| format!("`{}`", through_lists(at, path)))
        .collect();
    let there = match list.len() {
        0 => "the answer has no text and no number".to_owned(),
        count if count > LISTED => format!("the answer has {}, and more", list[..LISTED].join(", ")),
        _ => format!("the answer has {}", list.join(", ")),
    };
    Some(match paths::likeliest(&document, wrong, at.step) {
        Some(path) => format!(
            "set {} to `{}`; {there}",
            at.path_field(),
            through_lists(at, path)
        ),
        None => format!("correct {}; {there}", at.path_field()),
    })
}

pub(super) fn unusable_value(at: &Exchange<'_>) -> Option<String> {
    if !matches!(at.code, "idUnusable" | "titleUnusable") {
        return None;
    }
    let document = at.json()?;
    let wrong = at.path?.replacen("[]", "[0]", 1);
    let inside = paths::all(&document);
    let mut inside = inside
        .iter()
        .filter(|path| path.starts_with(&wrong) && path.len() > wrong.len());
    let usual = [
        "id",
        "key",
        "number",
        "title",
        "name",
        "value",
        "display_value",
        "display",
    ];
    let likely = inside
        .clone()
        .find(|path| usual.iter().any(|name| path.ends_with(&format!(".{name}"))));
    Some(match likely.or_else(|| inside.next()) {
        Some(path) => format!(
            "go on inside of it: set {} to `{}`",
            at.path_field(),
            through_lists(at, path.clone())
        ),
        None => match paths::likeliest(&document, &wrong, at.step) {
            Some(path) if path != wrong => {
                let path = through_lists(at, path);
                format!("set {} to another path, such as `{path}`", at.path_field())
            }
            _ => format!("set {} to the path of a text or number", at.path_field()),
        },
    })
}
