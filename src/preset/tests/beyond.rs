//! Cases that lack an id, or bring a status or an id beyond what a system takes.

use serde_json::{Value, json};

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

#[test]
fn texts_for_jira_v3_are_documents_with_paragraphs() {
    let (_folder, agent, _) = agent();
    let bodies = |case: &Case| -> Vec<Value> {
        let requests = agent.preview("jira-cloud-v3", case).unwrap();
        let bodies = requests.iter().filter_map(|request| request.body.as_deref());
        bodies.map(|body| serde_json::from_str(body).unwrap()).collect()
    };
    let case = Case::new("T")
        .id("1")
        .description("Disk \u{1b}[1mfull.\r\nSince 10:00.\n\n\nSee the wiki.")
        .comment("c", "one\n\ntwo");
    let text = |text: &str| json!({"type": "text", "text": text});
    let document = |paragraphs: &[Value]| {
        let paragraphs = paragraphs
            .iter()
            .map(|content| json!({"type": "paragraph", "content": content}));
        json!({"type": "doc", "version": 1, "content": paragraphs.collect::<Vec<_>>()})
    };
    let described = document(&[
        json!([text("Disk [1mfull."), {"type": "hardBreak"}, text("Since 10:00.")]),
        json!([text("See the wiki.")]),
    ]);
    let commented = document(&[json!([text("one")]), json!([text("two")])]);
    let created = bodies(&case);
    let updated = bodies(&case.clone().external_id("4711"));
    for sent in [&created, &updated] {
        assert_eq!(sent[0]["fields"]["description"], described);
        assert_eq!(sent[1]["body"], commented);
    }
    // What was said once is taken back by an update that says nothing.
    let silent = bodies(&Case::new("T").external_id("4711"));
    assert_eq!(silent[0]["fields"]["description"], document(&[]));
}
