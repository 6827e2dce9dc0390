//! What a document says that means less than it seems to: settings without effect, odd paths, look-ups of nobody.

use serde_json::{Map, Value};

use super::Warning;
use super::config::{Config, Operation};
use super::parts::ADF;
use super::words::child;
use crate::response::ResponsePath;

/// Warnings of this kind that a document gives rise to.
pub(super) fn of_document(document: &Map<String, Value>, config: &Config) -> Vec<Warning> {
    let mut list = Vec::new();
    let mut push = |field: &str, message: &str| {
        list.push(Warning {
            field: field.to_owned(),
            message: message.to_owned(),
        });
    };
    if let Some(find) = &config.find
        && !names_the_case(find, document, config)
    {
        push(
            find.url.field(),
            "the look-up names nothing that one case alone has (case.id, a text made of it, case.fields): whatever it finds is \
             taken for the case's incident",
        );
    }
    for (path, field) in [
        (Some(&config.create_id), "config.createIncidentResponseKey"),
        (
            config.get_title.as_ref(),
            "config.getIncidentResponseExternalTitleKey",
        ),
        (config.failure_key.as_ref(), "config.failureResponseKey"),
        (config.view_url_key.as_ref(), "config.viewIncidentResponseKey"),
    ] {
        if let Some(message) = path.and_then(odd) {
            push(field, message);
        }
    }
    for name in ["description", "comment"] {
        let asked = document
            .get("textForms")
            .and_then(|forms| forms.get(name))
            .is_some_and(|form| form == ADF);
        let variable = format!("case.{name}");
        let mut bodies = config
            .operations()
            .filter_map(|operation| operation.body.as_ref());
        if asked && !bodies.any(|body| body.uses(&variable)) {
            push(
                &child("config.textForms", name),
                &format!("this has no effect, since no body holds {variable}"),
            );
        }
    }
    let given = |name: &str| document.get(name).is_some_and(|value| !value.is_null());
    if config.if_match && (config.get.is_none() || !config.sends_updates()) {
        push(
            "config.ifMatchHeader",
            "this has no effect: there is nothing to read before an update, or no update",
        );
    }
    for (name, field, used) in [
        (
            "getIncidentHeaders",
            "config.getIncidentHeaders",
            config.get.is_some(),
        ),
        (
            "updateIncidentHeaders",
            "config.updateIncidentHeaders",
            config.sends_updates(),
        ),
        (
            "createCommentHeaders",
            "config.createCommentHeaders",
            config.comment.is_some(),
        ),
    ] {
        if given(name) && !used {
            push(
                field,
                "this has no effect, since the connector sends no such request",
            );
        }
    }
    list
}

fn names_the_case(find: &Operation, document: &Map<String, Value>, config: &Config) -> bool {
    let body = find.body.as_ref();
    let by_name = find.url.uses("case.id") || body.is_some_and(|body| body.uses("case.id"));
    let mut texts = find
        .url
        .texts()
        .chain(body.into_iter().flat_map(|body| body.texts()));
    let by_text = texts.any(|name| {
        let text = config.texts.iter().find(|(known, _)| known == name);
        text.is_some_and(|(_, pattern)| pattern.needs_id())
    });
    let json = document.get("findIncidentJson").and_then(Value::as_str);
    let by_field = body.is_some() && json.is_some_and(|json| json.contains("case.fields."));
    by_name || by_text || by_field
}

/// What is odd about a path; names in quotes may hold anything.
fn odd(path: &ResponsePath) -> Option<&'static str> {
    let text = path.text();
    if text.contains(['"', '\'']) {
        return None;
    }
    if text.contains("[]") {
        return Some(
            "`[]` goes through lists in findIncidentResponseKey alone: write `[0]` for the first element",
        );
    }
    let dots = text.contains("..") || text.starts_with('.') || text.ends_with('.');
    dots.then_some("two dots in a row, or one at an end, ask for a name without characters: take one away")
}
