//! A push that ends before its last step leaves an incident behind: the next push of the case must know it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use casehook::{Agent, Case, Connector, Options, PushState};
use serde_json::{Value, json};
use support::http::Reply;
use support::scripted::Scripted;

const PATIENCE: Duration = Duration::from_secs(20);

fn connector(base: &str, extra: Value) -> Connector {
    let mut config = json!({
        "createIncidentUrl": format!("{base}/issues"),
        "createIncidentJson": r#"{"title":{{{case.title}}}}"#,
        "createIncidentResponseKey": "id",
        "getIncidentUrl": format!("{base}/issues/{{{{{{external.system.id}}}}}}"),
        "getIncidentResponseExternalTitleKey": "id",
        "viewIncidentUrl": format!("{base}/issues/{{{{{{external.system.id}}}}}}"),
        "updateIncidentUrl": format!("{base}/issues/{{{{{{external.system.id}}}}}}"),
        "updateIncidentJson": r#"{"title":{{{case.title}}}}"#,
        "createCommentUrl": format!("{base}/issues/{{{{{{external.system.id}}}}}}/comments"),
        "createCommentMethod": "post",
        "createCommentJson": r#"{"body":{{{case.comment}}}}"#,
        "hasAuth": false,
    });
    config
        .as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    Connector::from_json(&json!({ "config": config }).to_string()).unwrap()
}

fn asked(server: &Scripted) -> Vec<String> {
    let received = server.received();
    received
        .iter()
        .map(|r| format!("{} {}", r.method, r.target))
        .collect()
}

#[test]
fn a_case_whose_comment_was_refused_is_not_opened_again() {
    let ok = |status| Reply::json(status, &json!({"id": "7"})).into();
    let server = Scripted::start([ok(201), ok(200), Reply::empty(400).into(), ok(200), ok(200)]);
    let folder = support::temp_dir();
    let agent = Agent::open(folder.path().join("a.db"), Options::new()).unwrap();
    agent
        .configure("t", &connector(&server.base(), json!({})))
        .unwrap();
    let case = Case::new("first").id("c");
    let push = agent.push("t", &case.clone().comment("1", "refused")).unwrap();
    assert_eq!(agent.wait(push, PATIENCE).unwrap().state, PushState::Failed);
    assert_eq!(agent.link("t", "c").unwrap().unwrap().external_id, "7");
    let push = agent.push("t", &case).unwrap();
    assert_eq!(agent.wait(push, PATIENCE).unwrap().state, PushState::Delivered);
    assert_eq!(
        asked(&server),
        [
            "POST /issues",
            "GET /issues/7",
            "POST /issues/7/comments",
            "PUT /issues/7",
            "GET /issues/7"
        ]
    );
    agent.close(PATIENCE).unwrap();
}

#[test]
fn a_case_whose_first_push_was_cancelled_behind_its_create_is_not_opened_again() {
    let ok = |status| Reply::json(status, &json!({"id": "7"})).into();
    let server = Scripted::start([ok(201), Reply::empty(503).into(), ok(200), ok(200)]);
    let folder = support::temp_dir();
    let agent = Agent::open(folder.path().join("a.db"), Options::new()).unwrap();
    let slow = json!({"retry": {"baseMs": 3_600_000, "capMs": 3_600_000}});
    agent.configure("t", &connector(&server.base(), slow)).unwrap();
    let push = agent.push("t", &Case::new("first").id("c")).unwrap();
    let until = std::time::Instant::now() + PATIENCE;
    while agent.status(push).unwrap().state != PushState::Waiting {
        assert!(std::time::Instant::now() < until);
        std::thread::sleep(Duration::from_millis(5));
    }
    agent.cancel(push).unwrap();
    let push = agent.push("t", &Case::new("second").id("c")).unwrap();
    assert_eq!(agent.wait(push, PATIENCE).unwrap().state, PushState::Delivered);
    assert_eq!(
        asked(&server),
        ["POST /issues", "GET /issues/7", "PUT /issues/7", "GET /issues/7"]
    );
    agent.close(PATIENCE).unwrap();
}

#[test]
fn an_incident_that_the_host_named_wrongly_is_not_linked() {
    let server = Scripted::start([Reply::empty(404).into()]);
    let folder = support::temp_dir();
    let agent = Agent::open(folder.path().join("a.db"), Options::new()).unwrap();
    agent
        .configure("t", &connector(&server.base(), json!({})))
        .unwrap();
    let push = agent
        .push("t", &Case::new("x").id("c").external_id("nowhere"))
        .unwrap();
    assert_eq!(agent.wait(push, PATIENCE).unwrap().state, PushState::Failed);
    assert_eq!(agent.link("t", "c").unwrap(), None);
    agent.close(PATIENCE).unwrap();
}
