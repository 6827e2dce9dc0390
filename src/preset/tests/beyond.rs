//! Cases that lack an id, or bring a status or an id beyond what a system takes.

use serde_json::Value;

use super::{agent, presets};
use crate::Agent;
use crate::model::Case;

/// The requests of creating and of updating an incident for a case without an id.
fn anonymous(agent: &Agent, preset: &str) -> String {
    let case = Case::new("only a title")
        .description("words")
        .status("beyond the map");
    let known = case.clone().external_id("4711");
    let requests = [case, known].map(|case| agent.preview(&format!("{preset}+"), &case).unwrap());
    let bodies = requests
        .iter()
        .flatten()
        .filter_map(|request| request.body.clone());
    bodies.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_case_without_an_id_gets_no_half_a_mark() {
    let (_folder, agent, _) = agent();
    for preset in presets() {
        let sent = anonymous(&agent, &preset.name);
        for half in [
            "casehook-\"",
            "casehook \"",
            "\"dedup_key\"",
            "\"incident_key\"",
            "\"correlation_id\"",
            "\"external_id\"",
        ] {
            assert!(!sent.contains(half), "{}: {half} in {sent}", preset.name);
        }
    }
}

#[test]
fn a_status_that_a_preset_does_not_know_is_not_sent() {
    let (_folder, agent, _) = agent();
    for preset in presets() {
        let sent = anonymous(&agent, &preset.name);
        assert!(!sent.contains("beyond the map"), "{}: {sent}", preset.name);
    }
}

#[test]
fn keys_of_the_pager_stay_within_what_it_takes() {
    let (_folder, agent, _) = agent();
    let key = |end: &str| {
        let case = Case::new("T").id(format!("{}{end}", "x".repeat(300)));
        let body = agent.preview("pagerduty-events", &case).unwrap()[0]
            .body
            .clone()
            .unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        body["dedup_key"].as_str().unwrap().to_owned()
    };
    assert_eq!(key("a").chars().count(), 255);
    assert_ne!(key("a"), key("b"));
}
