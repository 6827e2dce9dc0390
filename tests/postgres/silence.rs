//! A network that says nothing any more, without being cut: what waits for it, and for how long.

use std::time::{Duration, Instant};

use casehook::{Agent, Case, Options, PushState};
use serde_json::json;

use crate::database;
use crate::hosts::connector;
use crate::proxy::Proxy;
use crate::support::case_system::CaseSystem;
use crate::support::temp_dir;

const PATIENCE: Duration = Duration::from_secs(120);
/// Longer than closing takes on a slow machine, and shorter than a statement that waits for its answer.
const SOON: Duration = Duration::from_secs(20);

fn options() -> Options {
    Options::new().key([7; 32])
}

#[test]
fn closing_takes_its_time_and_no_longer() {
    let Some(database) = database::shared() else {
        return;
    };
    let folder = temp_dir();
    let kinds = [
        ("idle", options().drain(false)),
        ("draining", options()),
        (
            "with a spool",
            options().drain(false).spool(folder.path().join("spool")),
        ),
    ];
    for (name, options) in kinds {
        let proxy = Proxy::to(database.port);
        let url = database.url_at(proxy.port, &database.schema());
        let agent = Agent::open(&url, options).unwrap();
        agent
            .configure("c", &connector("http://127.0.0.1:9", json!({})))
            .unwrap();
        agent.pause("c").unwrap();
        agent.push("c", &Case::new("there")).unwrap();
        proxy.freeze();
        let begun = Instant::now();
        agent.close(Duration::from_secs(2)).unwrap();
        assert!(begun.elapsed() < SOON, "{name}: {:?}", begun.elapsed());
        proxy.thaw();
    }
}

#[test]
fn what_is_pushed_into_the_silence_is_spooled_and_delivered_once() {
    let Some(database) = database::shared() else {
        return;
    };
    let system = CaseSystem::start();
    let folder = temp_dir();
    let proxy = Proxy::to(database.port);
    let url = database.url_at(proxy.port, &database.schema());
    let agent = Agent::open(&url, options().spool(folder.path().join("spool"))).unwrap();
    agent
        .configure("c", &connector(&system.url(), json!({})))
        .unwrap();
    proxy.freeze();
    let id = agent.push("c", &Case::new("into").id("k")).unwrap();
    assert!(id.get() < 0, "{id}");
    let begun = Instant::now();
    let next = agent.push("c", &Case::new("the silence").id("l")).unwrap();
    assert!(next.get() < 0 && begun.elapsed() < SOON, "{:?}", begun.elapsed());
    proxy.thaw();
    for id in [id, next] {
        let begun = Instant::now();
        let status = loop {
            match agent.wait(id, PATIENCE) {
                Ok(status) => break status,
                Err(error) => assert!(error.is_retryable() && begun.elapsed() < PATIENCE, "{error}"),
            }
        };
        assert_eq!(status.state, PushState::Delivered);
    }
    assert_eq!(system.incidents().len(), 2);
    agent.close(PATIENCE).unwrap();
}
