//! What is counted, and how it is shown to Prometheus: the format, the figures, and every metric that the manual names.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "metrics/exposition.rs"]
mod exposition;
mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use casehook::{Agent, Case, Connector, Options, PushState};
use exposition::Exposition;
use serde_json::{Value, json};
use support::case_system::{CaseSystem, Fault};
use support::http::Reply;

const PATIENCE: Duration = Duration::from_secs(60);
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn agent(folder: &Path) -> Agent {
    Agent::open(folder.join("a.db"), Options::new()).unwrap()
}

fn connector(mut config: Value) -> Connector {
    config["retry"] = json!({"baseMs": 1, "capMs": 1});
    Connector::from_json(&json!({ "config": config }).to_string()).unwrap()
}

fn read(agent: &Agent) -> Exposition {
    Exposition::parse(&agent.metrics_text().unwrap()).unwrap()
}

#[test]
fn the_figures_are_those_of_what_happened_and_survive_a_restart() {
    let folder = support::temp_dir();
    let system = CaseSystem::start();
    let name = "odd \"name\\";
    let first = agent(folder.path());
    first.configure(name, &connector(system.config())).unwrap();
    first.configure("idle", &connector(system.config())).unwrap();
    system.fail_next(1, Fault::Reply(Reply::empty(503)));
    let push = first
        .push(name, &Case::new("one").id("1").comment("c", "text"))
        .unwrap();
    assert_eq!(first.wait(push, PATIENCE).unwrap().state, PushState::Delivered);
    system.fail_next(1, Fault::Reply(Reply::empty(422)));
    let push = first.push(name, &Case::new("two").id("2")).unwrap();
    assert_eq!(first.wait(push, PATIENCE).unwrap().state, PushState::Failed);
    first.discard(push).unwrap();
    first.pause("idle").unwrap();
    first.push("idle", &Case::new("three")).unwrap();

    let check = |agent: &Agent| {
        let shown = read(agent);
        let of = |metric: &str, labels: &[(&str, &str)]| {
            let mut all = vec![("connector", name)];
            all.extend(labels);
            shown.value(metric, &all)
        };
        assert_eq!(of("casehook_pushes", &[("state", "delivered")]), Some(1.0));
        assert_eq!(of("casehook_pushes", &[("state", "failed")]), Some(0.0));
        assert_eq!(of("casehook_pushes_accepted_total", &[]), Some(2.0));
        assert_eq!(of("casehook_pushes_delivered_total", &[]), Some(1.0));
        assert_eq!(of("casehook_oldest_undelivered_seconds", &[]), Some(0.0));
        assert_eq!(of("casehook_connector_state", &[("state", "ok")]), Some(1.0));
        let exchanges = |step, class| of("casehook_exchanges_total", &[("step", step), ("class", class)]);
        assert_eq!(exchanges("create", "ok"), Some(1.0));
        assert_eq!(exchanges("create", "transient"), Some(1.0));
        assert_eq!(exchanges("create", "permanent"), Some(1.0));
        assert_eq!(exchanges("comment", "ok"), Some(1.0));
        assert_eq!(exchanges("update", "ok"), None);
        let count = of("casehook_exchange_duration_seconds_count", &[]);
        assert_eq!(count, Some(system.requests().len() as f64));
        let sent: usize = system.requests().iter().map(|request| request.body.len()).sum();
        assert_eq!(
            of("casehook_exchange_bytes_total", &[("direction", "sent")]),
            Some(sent as f64)
        );
        assert!(of("casehook_exchange_bytes_total", &[("direction", "received")]) > Some(0.0));

        let idle = [("connector", "idle")];
        assert_eq!(shown.value("casehook_pushes_accepted_total", &idle), Some(1.0));
        let state = [("connector", "idle"), ("state", "paused")];
        assert_eq!(shown.value("casehook_connector_state", &state), Some(1.0));
        assert!(shown.value("casehook_oldest_undelivered_seconds", &idle) >= Some(0.0));
        assert_eq!(
            shown.value("casehook_exchange_duration_seconds_count", &idle),
            Some(0.0)
        );
    };
    check(&first);
    first.close(PATIENCE).unwrap();
    let again = Agent::open(folder.path().join("a.db"), Options::new().drain(false)).unwrap();
    check(&again);
    assert_eq!(read(&again).value("casehook_drained", &[]), Some(0.0));
}

#[test]
fn each_request_of_a_push_carries_its_trace_context_and_no_other_does() {
    let folder = support::temp_dir();
    let system = CaseSystem::start();
    let agent = agent(folder.path());
    agent.configure("t", &connector(system.config())).unwrap();
    let traced = Case::new("one")
        .id("1")
        .comment("c", "text")
        .traceparent(TRACEPARENT);
    system.fail_next(1, Fault::Reply(Reply::empty(503)));
    let push = agent.push("t", &traced).unwrap();
    assert_eq!(agent.wait(push, PATIENCE).unwrap().state, PushState::Delivered);
    let first = system.requests();
    assert!(first.len() >= 4, "{first:#?}");
    assert!(
        first
            .iter()
            .all(|request| request.header("traceparent") == Some(TRACEPARENT))
    );
    let push = agent.push("t", &Case::new("again").id("1")).unwrap();
    assert_eq!(agent.wait(push, PATIENCE).unwrap().state, PushState::Delivered);
    let later = system.requests().split_off(first.len());
    assert!(
        !later.is_empty()
            && later
                .iter()
                .all(|request| request.header("traceparent").is_none())
    );

    let error = agent.push("t", &Case::new("x").traceparent("00-x")).unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (casehook::ErrorKind::Case, Some("traceparent"))
    );
}

#[test]
fn a_header_of_the_connector_wins_over_a_trace_context() {
    let folder = support::temp_dir();
    let system = CaseSystem::start();
    let agent = agent(folder.path());
    let mut config = system.config();
    config["headers"] = json!({"Traceparent": "own"});
    agent.configure("t", &connector(config)).unwrap();
    let push = agent
        .push("t", &Case::new("one").traceparent(TRACEPARENT))
        .unwrap();
    assert_eq!(agent.wait(push, PATIENCE).unwrap().state, PushState::Delivered);
    let requests = system.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.header("traceparent") == Some("own"))
    );
}

/// The words of a text that look like a metric of casehook.
fn named(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text
        .split(|c| !word(c))
        .filter(|word| word.starts_with("casehook_"));
    words.map(str::to_owned).collect()
}

#[test]
fn dashboard_alerts_and_manual_name_metrics_that_there_are() {
    let folder = support::temp_dir();
    let system = CaseSystem::start();
    let agent = agent(folder.path());
    agent.configure("t", &connector(system.config())).unwrap();
    let push = agent.push("t", &Case::new("one")).unwrap();
    agent.wait(push, PATIENCE).unwrap();
    let shown = read(&agent);
    let there: BTreeSet<String> = shown.names();
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manual");
    let text = |name: &str| std::fs::read_to_string(manual.join(name)).unwrap();

    let dashboard: Value = serde_json::from_str(&text("monitoring/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let queries: Vec<&str> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    assert!(queries.len() >= panels.len() && panels.len() >= 6);
    for query in queries {
        let names = named(query);
        assert!(!names.is_empty() && names.is_subset(&there), "{query}: {names:?}");
    }
    let alerts = text("monitoring/alerts.yml");
    let expressions: Vec<&str> = alerts
        .lines()
        .filter(|line| line.trim().starts_with("expr:"))
        .collect();
    assert_eq!(expressions.len(), alerts.matches("- alert:").count());
    assert_eq!(expressions.len(), 3);
    for expression in expressions {
        let names = named(expression);
        assert!(
            !names.is_empty() && names.is_subset(&there),
            "{expression}: {names:?}"
        );
    }
    // The chapter lists every family, and none that there is not.
    let families = shown.families();
    let listed: BTreeSet<String> = text("operations.md")
        .lines()
        .filter(|line| line.starts_with("| `casehook_"))
        .flat_map(|line| named(line.split('|').nth(1).unwrap_or_default()))
        .collect();
    assert_eq!(listed, families);
}
