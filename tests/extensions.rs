//! The extensions of the connector document on the wire: what each changes in the requests, and in what comes of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use casehook::{Agent, Case, Connector, Options, PushState, PushStatus};
use serde_json::{Value, json};
use support::http::{Received, Reply};
use support::scripted::{Line, Scripted};

const PATIENCE: Duration = Duration::from_secs(60);

/// A connector for a target at this address.
fn config(base: &str) -> Value {
    let issue = format!("{base}/issues/{{{{{{external.system.id}}}}}}");
    let body = r#"{"title":{{{case.title}}},"severity":{{{case.severity}}},"status":{{{case.status}}},"tags":{{{case.tags}}}}"#;
    json!({
        "createIncidentUrl": format!("{base}/issues"), "createIncidentJson": body, "createIncidentResponseKey": "id",
        "getIncidentUrl": issue, "getIncidentResponseExternalTitleKey": "title", "viewIncidentUrl": format!("{base}/view/{{{{{{external.system.id}}}}}}"),
        "updateIncidentUrl": issue, "updateIncidentJson": body,
        "createCommentUrl": format!("{issue}/comments"), "createCommentMethod": "post", "createCommentJson": r#"{"text":{{{case.comment}}}}"#,
        "hasAuth": false, "retry": {"baseMs": 10, "capMs": 20},
    })
}

/// Delivers these cases one after the other against these answers; where they stand then, and what was sent.
fn deliver(replies: Vec<Reply>, extension: Value, cases: &[Case]) -> (Vec<PushStatus>, Vec<Received>) {
    let server = Scripted::start(replies.into_iter().map(Line::from));
    let base = server.base();
    let mut config = config(&base);
    for (name, value) in extension.as_object().unwrap() {
        config[name] = match value.as_str() {
            Some(text) => text.replace("__BASE__", &base).into(),
            None => value.clone(),
        };
    }
    let folder = support::temp_dir();
    let agent = Agent::open(folder.path().join("cases.db"), Options::new()).unwrap();
    let document = json!({"config": config}).to_string();
    agent
        .configure("t", &Connector::from_json(&document).unwrap())
        .unwrap();
    let wait = |case: &Case| agent.wait(agent.push("t", case).unwrap(), PATIENCE).unwrap();
    let statuses = cases.iter().map(wait).collect();
    agent.close(PATIENCE).unwrap();
    (statuses, server.received())
}

fn created() -> Reply {
    Reply::json(201, &json!({"id": 7, "link": "https://people.example/7"}))
}

fn read() -> Reply {
    Reply::json(200, &json!({"title": "T"})).with("ETag", "\"v1\"")
}

fn case() -> Case {
    Case::new("A long title")
        .id("host-7/disk")
        .severity("high")
        .status("closed")
        .tag("infra")
}

#[test]
fn each_operation_has_headers_of_its_own() {
    let replies = vec![created(), read(), Reply::empty(204), read(), Reply::empty(204)];
    let extension = json!({
        "headers": {"X-Op": "any", "X-All": "1"},
        "createIncidentHeaders": {"x-op": "create"}, "getIncidentHeaders": {"X-Op": "get"},
        "updateIncidentHeaders": {"X-Op": "update"}, "createCommentHeaders": {"X-Op": "comment", "Content-Type": "application/x+json"},
    });
    let cases = [case(), case().comment("c1", "look")];
    let (statuses, sent) = deliver(replies, extension, &cases);
    assert!(
        statuses.iter().all(|status| status.state == PushState::Delivered),
        "{statuses:?}"
    );
    let ops: Vec<Option<&str>> = sent.iter().map(|request| request.header("x-op")).collect();
    assert_eq!(ops, ["create", "get", "update", "get", "comment"].map(Some));
    assert!(sent.iter().all(|request| request.header("x-all") == Some("1")));
    assert_eq!(sent[4].header("content-type"), Some("application/x+json"));
}

#[test]
fn a_failure_told_with_200_is_one_and_the_push_says_it() {
    let told = Reply::json(200, &json!({"id": null, "errors": [{"message": "no such team"}]}));
    let (statuses, _) = deliver(
        vec![told],
        json!({"failureResponseKey": "errors", "onUncertainCreate": "hold"}),
        &[case()],
    );
    let error = statuses[0].error.as_ref().unwrap();
    assert_eq!(error.code, "failureReported");
    assert!(error.message.contains("no such team"), "{error:?}");
}

#[test]
fn the_link_comes_from_the_answer() {
    let (statuses, _) = deliver(
        vec![created(), read()],
        json!({"viewIncidentResponseKey": "link"}),
        &[case()],
    );
    assert_eq!(
        statuses[0].external_url.as_deref(),
        Some("https://people.example/7")
    );
}

#[test]
fn values_are_mapped_and_texts_cut() {
    let extension = json!({"valueMaps": {"severity": {"high": 2, "*": 3}, "status": {"closed": {"id": 9}}}, "maxLengths": {"title": 6, "tags": 3}});
    let other = Case::new("T").id("other").severity("odd").status("odd");
    let (_, sent) = deliver(
        vec![created(), read(), created(), read()],
        extension,
        &[case(), other],
    );
    assert_eq!(
        sent[0].json(),
        json!({"title": "A lon…", "severity": 2, "status": {"id": 9}, "tags": ["in…"]})
    );
    assert_eq!(
        sent[2].json(),
        json!({"title": "T", "severity": 3, "status": "odd", "tags": []})
    );
}

#[test]
fn a_description_and_a_comment_become_documents_cut_before() {
    let extension = json!({
        "textForms": {"description": "adf", "comment": "adf"}, "maxLengths": {"description": 12},
        "createIncidentJson": r#"{"t":{{{case.title}}}{{#case.description}},"d":{{{case.description}}}{{/case.description}}}"#,
        "createCommentJson": r#"{"body":{{{case.comment}}}}"#,
    });
    let told = case()
        .description("one\r\ntwo\n \nthree four")
        .comment("c1", "\nfirst\n");
    let silent = Case::new("T").id("other").description(" \n");
    let replies = vec![created(), read(), Reply::empty(204), created(), read()];
    let (statuses, sent) = deliver(replies, extension, &[told, silent]);
    assert!(
        statuses.iter().all(|status| status.state == PushState::Delivered),
        "{statuses:?}"
    );
    let document = |content: Value| json!({"type": "doc", "version": 1, "content": content});
    let text = |text: &str| json!({"type": "text", "text": text});
    let paragraph = |content: Value| json!({"type": "paragraph", "content": content});
    assert_eq!(
        sent[0].json()["d"],
        document(json!([
            paragraph(json!([text("one"), {"type": "hardBreak"}, text("two")])),
            paragraph(json!([text("\u{2026}")])),
        ]))
    );
    assert_eq!(
        sent[2].json(),
        json!({"body": document(json!([paragraph(json!([text("first")]))]))})
    );
    assert_eq!(sent[3].json(), json!({"t": "T"}));
}

#[test]
fn texts_and_tags_are_put_together_and_a_lost_create_is_found_by_them() {
    let extension = json!({
        "texts": {"mark": "casehook-{fingerprint}", "line": "{title} ({id})"},
        "extraTags": ["casehook-{fingerprint}", "casehook"],
        "createIncidentJson": r#"{"tags":{{{case.tags}}},"line":{{{case.texts.line}}}}"#,
        "findIncidentUrl": "__BASE__/search?tag={{{case.texts.mark}}}", "findIncidentResponseKey": "[].id", "findSettleMs": 0,
    });
    let found = Reply::json(200, &json!([{"id": 7}]));
    let anonymous = Case::new("nobody's");
    let replies = vec![Reply::empty(500), found, read(), created(), read()];
    let (statuses, sent) = deliver(replies, extension, &[case(), anonymous]);
    assert_eq!(statuses[0].external_id.as_deref(), Some("7"));
    let body = sent[0].json();
    let mark = body["tags"][1].as_str().unwrap();
    assert!(mark.starts_with("casehook-") && mark.len() == 29, "{mark}");
    assert_eq!(
        body,
        json!({"tags": ["infra", mark, "casehook"], "line": "A long title (host-7/disk)"})
    );
    assert_eq!(sent[1].target, format!("/search?tag={mark}"));
    assert_eq!(sent[3].json()["tags"], json!(["casehook"]));
}

#[test]
fn ids_are_cut_to_another_each_and_tags_are_words() {
    let extension = json!({
        "maxLengths": {"id": 40, "tags": 8}, "tagSpaces": "_", "extraTags": ["case {id}"],
        "texts": {"known": "{known_status}"}, "valueMaps": {"status": {"closed": "done"}},
        "createIncidentJson": r#"{"title":{{{case.title}}},"id":{{{case.id}}},"tags":{{{case.tags}}}{{#case.texts.known}},"status":{{{case.status}}}{{/case.texts.known}}}"#,
    });
    let long = |end: &str| format!("{}{end}", "x".repeat(300));
    let of = |id: String, status: &str| {
        Case::new("T")
            .id(id)
            .status(status)
            .tag(" on call  now ")
            .tag(" ")
    };
    let replies = vec![created(), read(), created(), read()];
    let (_, sent) = deliver(
        replies,
        extension,
        &[of(long("a"), "closed"), of(long("b"), "odd")],
    );
    let (first, second) = (sent[0].json(), sent[2].json());
    let id = |body: &Value| body["id"].as_str().unwrap().to_owned();
    assert!(id(&first).len() == 40 && id(&first).starts_with("xxx"), "{first}");
    assert_ne!(id(&first), id(&second));
    assert_eq!(
        first["tags"],
        json!(["on_call\u{2026}", format!("case_{}", id(&first))])
    );
    assert_eq!((&first["status"], second.get("status")), (&json!("done"), None));
}

#[test]
fn an_update_carries_what_was_read() {
    let replies = vec![
        created(),
        read(),
        read(),
        Reply::empty(412),
        read(),
        Reply::empty(204),
        read(),
    ];
    let (statuses, sent) = deliver(replies, json!({"ifMatchHeader": true}), &[case(), case()]);
    assert_eq!(statuses[1].state, PushState::Delivered, "{statuses:?}");
    let updates: Vec<&Received> = sent.iter().filter(|request| request.method == "PUT").collect();
    assert_eq!(updates.len(), 2);
    assert!(
        updates
            .iter()
            .all(|update| update.header("if-match") == Some("\"v1\""))
    );
}

#[test]
fn what_is_only_created_gets_comments_and_no_updates() {
    let extension = json!({"createOnly": true, "getIncidentUrl": null, "getIncidentResponseExternalTitleKey": null,
        "updateIncidentUrl": null, "updateIncidentJson": null});
    let cases = [case(), case().comment("c1", "look")];
    let (statuses, sent) = deliver(vec![created(), Reply::empty(204)], extension, &cases);
    assert!(
        statuses.iter().all(|status| status.state == PushState::Delivered),
        "{statuses:?}"
    );
    let targets: Vec<&str> = sent.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, ["/issues", "/issues/7/comments"]);
}

#[test]
fn keys_go_into_the_header_that_is_named_or_none() {
    for (extension, name, quoted) in [
        (
            json!({"idempotencyHeader": "X-Request-Id", "idempotencyKeyFormat": "quoted"}),
            "x-request-id",
            true,
        ),
        (json!({}), "idempotency-key", false),
    ] {
        let (_, sent) = deliver(vec![created(), read()], extension, &[case()]);
        let key = sent[0].header(name).unwrap();
        assert_eq!(key.starts_with('"'), quoted, "{key}");
        assert!(sent[1].header(name).is_none());
    }
    let (_, sent) = deliver(
        vec![created(), read()],
        json!({"idempotencyHeader": null}),
        &[case()],
    );
    assert!(sent[0].header("idempotency-key").is_none());
}

#[test]
fn what_is_gone_fails_or_is_opened_anew() {
    let gone = || vec![created(), read(), Reply::empty(404), created(), read()];
    let (statuses, _) = deliver(gone(), json!({}), &[case(), case()]);
    assert_eq!(statuses[1].state, PushState::Failed);
    let (statuses, sent) = deliver(gone(), json!({"onExternalGone": "recreate"}), &[case(), case()]);
    assert_eq!(statuses[1].state, PushState::Delivered, "{statuses:?}");
    let creates = sent.iter().filter(|request| request.method == "POST").count();
    assert_eq!(creates, 2);
}

#[test]
fn a_trial_sends_keys_of_its_own() {
    let answers = || [created(), read(), Reply::empty(204), Reply::empty(204)];
    let server = Scripted::start(answers().into_iter().chain(answers()).map(Line::from));
    let folder = support::temp_dir();
    let agent = Agent::open(folder.path().join("cases.db"), Options::new().drain(false)).unwrap();
    let document = json!({"config": config(&server.base())}).to_string();
    agent
        .configure("t", &Connector::from_json(&document).unwrap())
        .unwrap();
    let case = case().comment("c1", "look").comment("c2", "again");
    for _ in 0..2 {
        assert!(agent.test("t", &case).unwrap().ok);
    }
    let sent = server.received();
    let keys: Vec<Option<&str>> = sent
        .iter()
        .map(|request| request.header("idempotency-key"))
        .collect();
    assert_eq!([keys[1], keys[5]], [None, None], "a read needs none");
    let written: BTreeSet<&str> = keys.into_iter().flatten().collect();
    assert_eq!(written.len(), 6, "one for each write: {written:?}");
}
