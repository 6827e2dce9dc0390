//! An outbox moves from a file to the server.

use std::time::Duration;

use casehook::{Agent, Case, Connector, ErrorKind, Filter, Options, PushState};
use serde_json::json;

use crate::database;
use crate::support;
use crate::support::case_system::CaseSystem;

const PATIENCE: Duration = Duration::from_secs(120);

fn options() -> Options {
    Options::new().key([9; 32])
}

#[test]
fn everything_moves_once_and_the_file_delivers_no_more() {
    let Some(database) = database::shared() else {
        return;
    };
    let system = CaseSystem::start();
    let folder = support::temp_dir();
    let file = folder.path().join("cases.db");
    let url = database.url(&database.schema());
    let document = json!({"config": system.config(), "secrets": {}}).to_string();
    let agent = Agent::open(&file, options()).unwrap();
    agent
        .configure("c", &Connector::from_json(&document).unwrap())
        .unwrap();
    let sent = agent
        .push("c", &Case::new("one").id("k").comment("1", "nul \0 text"))
        .unwrap();
    assert_eq!(agent.wait(sent, PATIENCE).unwrap().state, PushState::Delivered);
    agent.pause("c").unwrap();
    let queued = agent
        .push("c", &Case::new("two").id("k").comment("2", "second"))
        .unwrap();
    let error = Agent::migrate(&file, &url, &options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State, "it is open here: {error}");
    let before = agent.pushes(&Filter::new()).unwrap();
    let link = agent.link("c", "k").unwrap();
    let attempts = agent.attempts(sent).unwrap();
    let totals = |agent: &Agent| {
        let stats = agent.stats().unwrap();
        let own = &stats.connectors[0];
        (own.accepted_total, own.delivered_total, own.traffic.clone())
    };
    let counted = totals(&agent);
    agent.close(PATIENCE).unwrap();

    Agent::migrate(&file, &url, &options()).unwrap();
    let error = Agent::open(&file, options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State, "{error}");
    let agent = Agent::open(&url, options()).unwrap();
    assert_eq!(agent.pushes(&Filter::new()).unwrap(), before);
    assert_eq!(agent.link("c", "k").unwrap(), link);
    assert_eq!(agent.attempts(sent).unwrap(), attempts);
    assert_eq!(totals(&agent), counted);
    agent.resume("c").unwrap();
    assert_eq!(agent.wait(queued, PATIENCE).unwrap().state, PushState::Delivered);
    let new = agent.push("c", &Case::new("three").id("k")).unwrap();
    assert!(new > queued);
    assert_eq!(agent.wait(new, PATIENCE).unwrap().state, PushState::Delivered);
    let incidents = system.incidents();
    assert_eq!(
        (incidents.len(), incidents[0].comments.len()),
        (1, 2),
        "updated, nothing said twice"
    );
    agent.close(PATIENCE).unwrap();

    let other = folder.path().join("other.db");
    drop(Agent::open(&other, options().drain(false)).unwrap());
    let error = Agent::migrate(&other, &url, &options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State, "the schema is in use: {error}");
    drop(Agent::open(&other, options().drain(false)).unwrap());
}
