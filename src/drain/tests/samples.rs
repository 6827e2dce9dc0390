//! A connector, a case, and what a target answers: as most stories have them.

use serde_json::{Value, json};

use crate::model::Case;
use crate::transport::{Answer, Failure, FailureKind};

/// A connector's config for the target, with `changes` laid over it; null takes a field away.
pub(super) fn config(changes: Value) -> Value {
    let mut config = json!({
        "createIncidentUrl": "http://t.example/issues",
        "createIncidentJson": r#"{"case":{{{case.id}}},"title":{{{case.title}}}}"#,
        "createIncidentResponseKey": "id",
        "getIncidentUrl": "http://t.example/issues/{{{external.system.id}}}",
        "getIncidentResponseExternalTitleKey": "key",
        "viewIncidentUrl": "http://t.example/browse/{{{external.system.title}}}",
        "updateIncidentUrl": "http://t.example/issues/{{{external.system.id}}}",
        "updateIncidentJson": r#"{"title":{{{case.title}}}}"#,
        "createCommentUrl": "http://t.example/issues/{{{external.system.id}}}/comments",
        "createCommentMethod": "post",
        "createCommentJson": r#"{"body":{{{case.comment}}}}"#,
        "hasAuth": false,
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null if name != "idempotencyHeader" => drop(config.as_object_mut().unwrap().remove(name)),
            value => config[name] = value.clone(),
        }
    }
    config
}

/// The look-up that `onUncertainCreate: find` needs, and `changes`.
pub(super) fn with_find(changes: Value) -> Value {
    let mut all = json!({
        "findIncidentUrl": "http://t.example/search?q={{{case.id}}}",
        "findIncidentResponseKey": "issues[].id",
    });
    for (name, value) in changes.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

pub(super) fn case(id: &str) -> Case {
    Case::new(format!("title of {id}")).id(id)
}

pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let json = ("content-type", "application/json");
    Answer {
        status,
        headers: headers
            .iter()
            .chain([&json])
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect(),
        body: body.as_bytes().to_vec(),
        body_fault: None,
        tokens: Default::default(),
    }
}

pub(super) fn failure(kind: FailureKind) -> Failure {
    Failure {
        kind,
        code: "test",
        message: format!("{kind:?}"),
        status: None,
    }
}
