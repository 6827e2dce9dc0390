//! Access tokens through the whole outbox: fetched when needed, cached, renewed once, and never an attempt's fault.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use casehook::{Agent, Case, Connector, ConnectorHealth, Filter, Options, PushState};
use serde_json::{Value, json};
use support::case_system::{CaseSystem, Fault};
use support::http::Reply;
use support::scripted::{Line, Scripted};

const PATIENCE: Duration = Duration::from_secs(20);

fn token(text: &str) -> Line {
    let grant = json!({"access_token": text, "token_type": "Bearer", "expires_in": 3600});
    Reply::json(200, &grant).into()
}

fn connector(target: &CaseSystem, tokens: &Scripted) -> Connector {
    let mut config: Value = target.config();
    config["hasAuth"] = json!(true);
    config["authType"] = json!("webhook-oauth2-client-credentials");
    config["accessTokenUrl"] = json!(format!("{}/token", tokens.base()));
    config["clientId"] = json!("casehook");
    config["retry"] = json!({"baseMs": 10, "capMs": 50});
    let document = json!({"config": config, "secrets": {"clientSecret": "s3cret-of-the-client"}});
    Connector::from_json(&document.to_string()).unwrap()
}

fn authorizations(target: &CaseSystem) -> Vec<String> {
    let sent = target.requests();
    sent.iter()
        .map(|request| request.header("authorization").unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn a_token_is_fetched_once_and_sent_with_every_request() {
    let (target, tokens) = (CaseSystem::start(), Scripted::start([token("first-token")]));
    let folder = support::temp_dir();
    let agent = Agent::open(folder.path().join("a.db"), Options::new()).unwrap();
    agent.configure("t", &connector(&target, &tokens)).unwrap();
    for title in ["a", "b"] {
        let push = agent.push("t", &Case::new(title)).unwrap();
        assert_eq!(agent.wait(push, PATIENCE).unwrap().state, PushState::Delivered);
    }
    assert_eq!(authorizations(&target), vec!["Bearer first-token"; 4]);
    let asked = tokens.received();
    assert_eq!(asked.len(), 1);
    let form = String::from_utf8_lossy(&asked[0].body).into_owned();
    assert!(form.contains("grant_type=client_credentials"), "{form}");
}

#[test]
fn a_refused_token_is_renewed_once() {
    let tokens = Scripted::start([token("stale-token"), token("fresh-token")]);
    let target = CaseSystem::start();
    let folder = support::temp_dir();
    let agent = Agent::open(folder.path().join("a.db"), Options::new()).unwrap();
    agent.configure("t", &connector(&target, &tokens)).unwrap();
    target.fail_next(1, Fault::Reply(Reply::json(401, &json!({}))));
    let push = agent.push("t", &Case::new("a")).unwrap();
    assert_eq!(agent.wait(push, PATIENCE).unwrap().state, PushState::Delivered);
    assert_eq!(
        authorizations(&target),
        ["Bearer stale-token", "Bearer fresh-token", "Bearer fresh-token"]
    );
    assert_eq!(target.incidents().len(), 1);
}

#[test]
fn a_token_endpoint_that_refuses_blocks_the_connector_and_burns_no_attempt() {
    let refusal = || {
        Line::from(Reply::json(
            401,
            &json!({"error": "invalid_client s3cret-of-the-client"}),
        ))
    };
    let (target, tokens) = (CaseSystem::start(), Scripted::start([refusal()]));
    let folder = support::temp_dir();
    let path = folder.path().join("a.db");
    let agent = Agent::open(&path, Options::new()).unwrap();
    agent.configure("t", &connector(&target, &tokens)).unwrap();
    let push = agent.push("t", &Case::new("a").id("a")).unwrap();
    assert!(!agent.flush(PATIENCE).unwrap());
    let status = agent.status(push).unwrap();
    assert_eq!((status.state, status.attempts), (PushState::Queued, 0));
    let stats = agent.stats().unwrap();
    assert!(matches!(
        stats.connectors[0].health,
        ConnectorHealth::Blocked { .. }
    ));
    let told = format!("{status:?}{stats:?}{:?}", agent.attempts(push).unwrap());
    assert!(
        told.contains("invalid_client") && !told.contains("s3cret"),
        "{told}"
    );
    assert_eq!(target.requests().len(), 0);

    tokens.extend([token("good-token")]);
    agent.configure("t", &connector(&target, &tokens)).unwrap();
    assert_eq!(agent.wait(push, PATIENCE).unwrap().state, PushState::Delivered);
    assert_eq!(agent.pushes(&Filter::new()).unwrap().len(), 1);
    agent.close(PATIENCE).unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for secret in ["good-token", "s3cret-of-the-client"] {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is on the disk");
        }
    }
}
