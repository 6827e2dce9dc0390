//! Each form of export, whole and broken.

#[cfg(feature = "cli")]
mod configuration;

use super::*;
use crate::ErrorKind;

fn config() -> Value {
    json!({
        "createIncidentUrl": "https://h.example/issues",
        "createIncidentJson": "{\"title\":{{{case.title}}},\"text\":{{{case.description}}}}",
        "createIncidentResponseKey": "id",
        "getIncidentUrl": "https://h.example/issues/{{{external.system.id}}}",
        "getIncidentResponseExternalTitleKey": "title",
        "viewIncidentUrl": "https://h.example/issues/{{{external.system.id}}}",
        "updateIncidentUrl": "https://h.example/issues/{{{external.system.id}}}",
        "updateIncidentJson": "{\"title\":{{{case.title}}},\"text\":{{{case.description}}}}",
        "createCommentUrl": null, "createCommentJson": null, "createCommentMethod": "put", "headers": null,
        "hasAuth": true, "authType": "webhook-authentication-basic", "certType": null,
    })
}

fn one(text: &str) -> ImportedConnector {
    let mut import = import(text).unwrap();
    assert_eq!(import.connectors.len(), 1, "{import:?}");
    import.connectors.remove(0)
}

#[test]
fn saved_objects_come_over_without_secrets() {
    let lines = [
        json!({"type": "action", "id": "1", "attributes": {"actionTypeId": ".cases-webhook", "name": "Tracker",
            "config": config(), "secrets": "AAAA", "isMissingSecrets": false}, "references": []}),
        json!({"type": "action", "id": "2", "attributes": {"actionTypeId": ".slack", "name": "Chat", "config": {}}}),
        json!({"type": "dashboard", "id": "3", "attributes": {"title": "Board"}}),
        json!({"exportedCount": 3, "missingRefCount": 0}),
    ];
    let text = lines.map(|line| line.to_string()).join("\n");
    let import = import(&text).unwrap();
    let tracker = &import.connectors[0];
    assert_eq!((tracker.name.as_str(), tracker.complete), ("Tracker", false));
    assert_eq!(tracker.missing_secrets, ["user", "password"]);
    assert_eq!((&tracker.refused, tracker.changed.len()), (&None, 0));
    let document: Value = serde_json::from_str(&tracker.document).unwrap();
    assert_eq!(document["secrets"], json!({"user": "", "password": ""}));
    assert_eq!(document["config"]["createCommentUrl"], Value::Null);
    let skipped: Vec<(&str, &str)> = import
        .skipped
        .iter()
        .map(|s| (s.name.as_str(), s.kind.as_str()))
        .collect();
    assert_eq!(skipped, [("Chat", ".slack"), ("Board", "dashboard")]);
    // Filled in, it is a connector.
    let filled = tracker.document.replace("\"\"", "\"x\"");
    assert!(Connector::from_json(&filled).is_ok());
}

#[test]
fn answers_of_the_api_one_or_many() {
    let mut config = config();
    config["hasAuth"] = false.into();
    let answer = json!({"id": "1", "connector_type_id": ".cases-webhook", "name": "Tracker", "config": config,
        "is_preconfigured": false, "is_missing_secrets": false, "referenced_by_count": 2});
    assert!(one(&answer.to_string()).complete);
    let list = json!([answer, {"id": "2", "connector_type_id": ".email", "name": "Mail", "config": {}}]);
    let import = import(&list.to_string()).unwrap();
    assert!(import.connectors[0].complete && import.skipped[0].kind == ".email");
}

#[test]
fn terraform_states_bring_secrets_which_no_report_shows() {
    let attributes = json!({"connector_id": "1", "connector_type_id": ".cases-webhook", "name": "Tracker", "space_id": "default",
        "config": config().to_string().replacen('{', "{\"__tf_provider_connector_type_id\":\"x\",", 1),
        "secrets": "{\"user\":\"u\",\"password\":\"hunter2\"}"});
    let kind = "elasticstack_kibana_action_connector";
    let state = json!({"version": 4, "terraform_version": "1.9", "resources": [
        {"mode": "managed", "type": kind, "name": "t", "instances": [{"attributes": attributes}]},
        {"mode": "managed", "type": "aws_instance", "name": "web", "instances": [{"attributes": {}}]}]});
    let shown = json!({"format_version": "1.0", "terraform_version": "1.9", "values": {"root_module": {
        "child_modules": [{"resources": [{"type": kind, "name": "t", "values": attributes}]}]}}});
    for text in [state.to_string(), shown.to_string()] {
        let tracker = one(&text);
        assert!(tracker.complete, "{tracker:?}");
        assert!(Connector::from_json(&tracker.document).is_ok() && tracker.document.contains("hunter2"));
        assert!(!serde_json::to_string(&tracker).unwrap().contains("hunter2"));
    }
    assert_eq!(
        import(&state.to_string()).unwrap().skipped[0].kind,
        "aws_instance"
    );
}

#[test]
fn what_the_rules_change_or_refuse_is_told_with_the_fix() {
    let mut config = config();
    config["hasAuth"] = false.into();
    config["createIncidentJson"] = "{\"title\":{{case.title}},\"text\":{{{case.description}}}}".into();
    let with = |config: &Value| {
        json!({"connector_type_id": ".cases-webhook", "name": "T", "config": config}).to_string()
    };
    let changed = one(&with(&config));
    assert!(changed.complete);
    assert_eq!(changed.changed[0].field, "config.createIncidentJson");
    config["updateIncidentJson"] = "{\"title\":{{{case.titel}}}}".into();
    let refused = one(&with(&config));
    assert!(!refused.complete);
    let told = refused.refused.unwrap();
    assert_eq!(told.field, "config.updateIncidentJson");
    assert!(
        told.message.contains("did you mean `case.title`?"),
        "{}",
        told.message
    );
}

#[test]
fn the_second_of_two_with_one_name_is_refused() {
    let mut config = config();
    config["hasAuth"] = false.into();
    let of = |name: &str, config: &Value| json!({"connector_type_id": ".cases-webhook", "name": name, "config": config});
    let mut broken = config.clone();
    broken["createIncidentUrl"] = "nowhere".into();
    let list = json!([
        of("T", &config),
        of("U", &config),
        of("T", &config),
        of("T", &broken)
    ]);
    let import = import(&list.to_string()).unwrap();
    let complete: Vec<bool> = import.connectors.iter().map(|one| one.complete).collect();
    assert_eq!(complete, [true, true, false, false]);
    let told = import.connectors[2].refused.as_ref().unwrap();
    assert_eq!(told.field, "name");
    assert!(told.message.contains("the same name"), "{told:?}");
    let broken = &import.connectors[3];
    assert_eq!(broken.refused.as_ref().unwrap().field, "config.createIncidentUrl");
    assert!(
        broken.warnings.iter().any(|warning| warning.field == "name"),
        "{broken:?}"
    );
}

#[test]
fn lists_within_an_answer_are_read() {
    let mut config = config();
    config["hasAuth"] = false.into();
    let answer =
        json!({"data": [{"connector_type_id": ".cases-webhook", "name": "Tracker", "config": config}]});
    assert!(one(&answer.to_string()).complete);
    let found = json!({"page": 1, "total": 1, "saved_objects": [{"type": "action", "id": "1",
        "attributes": {"actionTypeId": ".cases-webhook", "name": "Tracker", "config": config}}]});
    assert!(one(&found.to_string()).complete);
}

#[test]
fn what_is_no_export_is_refused_and_not_quoted() {
    for (text, words) in [
        ("", "no JSON"),
        (
            "resource \"aws_instance\" \"x\" {\n secret = \"hunter2\"\n}",
            "no JSON",
        ),
        ("{\"a\": ", "line 1"),
        ("{\"hunter2\": 1}", "no connector_type_id"),
        ("[1]", "something else than objects"),
        ("{\"data\": [1]}", "something else than objects"),
        (
            "{\"resource\": {\"elasticstack_kibana_action_connector\": {\"t\": {\"name\": \"t\"}}}}",
            "`terraform show -json` prints",
        ),
        ("[]", "no connector in this"),
        ("{\"exportedCount\": 0}", "no connector in this"),
        (
            "{\"connector_type_id\": \".cases-webhook\", \"name\": \"t\", \"config\": [\"hunter2\"]}",
            "is no JSON object",
        ),
    ] {
        let error = import(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(words), "{text}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
