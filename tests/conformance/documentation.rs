//! The connector that the published documentation gives as its example, as it stands there.

use std::time::Duration;

use casehook::{Agent, Case, Connector, Options, PushState};
use serde_json::{Value, json};

use crate::support::http::Reply;
use crate::support::scripted::Scripted;
use crate::support::temp_dir;

/// The example for Jira; its update URL spells the variable `external.system.ID`.
fn example(base: &str) -> Value {
    let fields = r#"{"fields":{"summary":{{{case.title}}},"description":{{{case.description}}},"labels":{{{case.tags}}}"#;
    let create = format!(r#"{fields},"project":{{"key":"ROC"}},"issuetype":{{"id":"10024"}}}}}}"#);
    json!({
        "connector_type_id": ".cases-webhook",
        "name": "Jira",
        "config": {
            "hasAuth": true,
            "headers": {"content-type": "application/json"},
            "createIncidentUrl": format!("{base}/rest/api/2/issue"),
            "createIncidentMethod": "post",
            "createIncidentJson": create,
            "createIncidentResponseKey": "id",
            "getIncidentUrl": format!("{base}/rest/api/2/issue/{{{{{{external.system.id}}}}}}"),
            "getIncidentResponseExternalTitleKey": "key",
            "viewIncidentUrl": format!("{base}/browse/{{{{{{external.system.title}}}}}}"),
            "updateIncidentUrl": format!("{base}/rest/api/2/issue/{{{{{{external.system.ID}}}}}}"),
            "updateIncidentMethod": "put",
            "updateIncidentJson": create,
            "createCommentUrl": format!("{base}/rest/api/2/issue/{{{{{{external.system.id}}}}}}/comment"),
            "createCommentMethod": "post",
            "createCommentJson": r#"{"body": {{{case.comment}}}}"#,
        },
        "secrets": {"user": "reporter", "password": "open sesame"},
    })
}

#[test]
fn the_published_example_creates_then_updates() {
    let read_back = || Reply::json(200, &json!({"id": "10100", "key": "ROC-7"}));
    let server = Scripted::start(
        [
            Reply::json(201, &json!({"id": "10100", "key": "ROC-7"})),
            read_back(),
            Reply::json(201, &json!({"id": "1"})),
            Reply::empty(204),
            read_back(),
        ]
        .map(Into::into),
    );
    let directory = temp_dir();
    let agent = Agent::open(directory.path().join("cases.db"), Options::new().key([1; 32])).unwrap();
    let connector = Connector::from_json(&example(&server.base()).to_string()).unwrap();
    assert_eq!(connector.name(), Some("Jira"));
    agent.configure("jira", &connector).unwrap();

    for (title, comment) in [("Disk full", Some("first look")), ("Disk is full again", None)] {
        let comments: Vec<Value> = comment
            .map(|text| json!({"commentId": "c1", "comment": text}))
            .into_iter()
            .collect();
        let params = json!({
            "incident": {"id": "host-7/disk", "title": title, "description": "/var", "tags": ["infra"]},
            "comments": comments,
        });
        let case = Case::from_json(&params.to_string()).unwrap();
        let id = agent.push("jira", &case).unwrap();
        let status = agent.wait(id, Duration::from_secs(20)).unwrap();
        assert_eq!(status.state, PushState::Delivered, "{title}: {:?}", status.error);
        assert_eq!(status.external_id.as_deref(), Some("10100"));
        assert_eq!(status.external_title.as_deref(), Some("ROC-7"));
        assert_eq!(
            status.external_url,
            Some(format!("{}/browse/ROC-7", server.base()))
        );
    }

    let received = server.received();
    let lines: Vec<String> = received
        .iter()
        .map(|r| format!("{} {}", r.method, r.target))
        .collect();
    assert_eq!(
        lines,
        [
            "POST /rest/api/2/issue",
            "GET /rest/api/2/issue/10100",
            "POST /rest/api/2/issue/10100/comment",
            "PUT /rest/api/2/issue/10100",
            "GET /rest/api/2/issue/10100",
        ]
    );
    assert_eq!(
        received[3].json(),
        json!({"fields": {
            "summary": "Disk is full again", "description": "/var", "labels": ["infra"],
            "project": {"key": "ROC"}, "issuetype": {"id": "10024"},
        }})
    );
    // "reporter:open sesame"
    let authorization = "Basic cmVwb3J0ZXI6b3BlbiBzZXNhbWU=";
    assert!(
        received
            .iter()
            .all(|r| r.header("authorization") == Some(authorization))
    );
}
