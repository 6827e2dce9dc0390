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
    assert!(tracker.refused.is_empty() && tracker.changed.is_empty());
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

fn with(config: &Value) -> String {
    json!({"connector_type_id": ".cases-webhook", "name": "T", "config": config}).to_string()
}

/// The fields of a list, in order.
fn fields(list: &[Warning]) -> Vec<&str> {
    list.iter().map(|told| told.field.as_str()).collect()
}

fn message<'a>(list: &'a [Warning], field: &str) -> &'a str {
    let told = list.iter().find(|told| told.field == field);
    &told
        .unwrap_or_else(|| panic!("nothing of {field} in {list:?}"))
        .message
}

#[test]
fn what_the_rules_change_or_refuse_is_told_with_the_fix() {
    let mut config = config();
    config["hasAuth"] = false.into();
    config["createIncidentJson"] = "{\"title\":{{case.title}},\"text\":{{{case.description}}}}".into();
    let changed = one(&with(&config));
    assert!(changed.complete);
    assert_eq!(changed.changed[0].field, "config.createIncidentJson");
    config["updateIncidentJson"] = "{\"title\":{{{case.titel}}}}".into();
    let refused = one(&with(&config));
    assert!(!refused.complete);
    assert_eq!(fields(&refused.refused), ["config.updateIncidentJson"]);
    let told = &refused.refused[0].message;
    assert!(told.contains("did you mean `case.title`?"), "{told}");
}

#[test]
fn every_refusal_of_a_document_is_told_with_the_reason_and_the_fix() {
    let mut config = config();
    for (field, value) in [
        ("hasAuth", json!("no")),
        ("createIncidentUrl", json!("https://{{{case.id}}}.example/issues")),
        ("createIncidentJson", json!(r#"{"title":{{{case.titel}}}}"#)),
        ("createIncidentResponseKey", json!("")),
        (
            "getIncidentUrl",
            json!("https://u:hunter2@h.example/issues/{{{external.system.id}}}"),
        ),
        ("viewIncidentUrl", json!("/issues/{{{external.system.id}}}")),
        ("updateIncidentMethod", json!("PUT")),
        (
            "updateIncidentUrl",
            json!("https://h.example/{{> base}}/{{{external.system.id}}}"),
        ),
        ("updateIncidentJson", json!(r#"{"title":"{{{case.title}}}"}"#)),
        (
            "createCommentUrl",
            json!("https://h.example/issues/{{{external.system.id}}"),
        ),
        ("createCommentJson", json!(r#"{"text":{{{case}}}}"#)),
        (
            "headers",
            json!({"Host": "h", "X-Team": "\u{1f600}", "X-Fine": "1", "x y": "1", "X-Number": 7}),
        ),
        ("createIncidentUri", json!("x")),
        ("ca", json!("no PEM")),
    ] {
        config[field] = value;
    }
    config
        .as_object_mut()
        .unwrap()
        .remove("getIncidentResponseExternalTitleKey");
    let import = one(&with(&config));
    assert!(!import.complete);
    let mut told = fields(&import.refused);
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "config.ca",
            "config.createCommentJson",
            "config.createCommentUrl",
            "config.createIncidentJson",
            "config.createIncidentResponseKey",
            "config.createIncidentUri",
            "config.createIncidentUrl",
            "config.getIncidentResponseExternalTitleKey",
            "config.getIncidentUrl",
            "config.hasAuth",
            "config.headers.Host",
            "config.headers[\"X-Number\"]",
            "config.headers[\"X-Team\"]",
            "config.headers[\"x y\"]",
            "config.updateIncidentJson",
            "config.updateIncidentMethod",
            "config.updateIncidentUrl",
            "config.viewIncidentUrl",
        ]
    );
    for (field, fix, reason) in [
        (
            "createIncidentUrl",
            "only in its path, query or fragment",
            "another host than the one that is asked",
        ),
        (
            "createIncidentJson",
            "did you mean `case.title`?",
            "Kibana puts nothing",
        ),
        (
            "createIncidentResponseKey",
            "must not be empty",
            "Kibana takes it and fails at the first push",
        ),
        (
            "getIncidentUrl",
            "use secrets.user and secrets.password",
            "they end in logs",
        ),
        (
            "updateIncidentUrl",
            "write its text here",
            "Kibana takes it, and pushes fail",
        ),
        (
            "updateIncidentJson",
            "write none around it",
            "Kibana takes it and fails at the first push",
        ),
        (
            "createCommentUrl",
            "is not closed with `}}}`",
            "some after the incident was created",
        ),
        (
            "createCommentJson",
            "name one of its members",
            "Kibana puts nothing",
        ),
        (
            "headers[\"X-Team\"]",
            "only hold latin-1",
            "Kibana loses such characters",
        ),
    ] {
        let told = message(&import.refused, &format!("config.{field}"));
        assert!(told.contains(fix) && told.contains(reason), "{field}: {told}");
    }
    assert!(!format!("{:?}", import.refused).contains("hunter2"));
    // Configure goes on to name one.
    let first = Connector::from_json(&import.document).unwrap_err();
    assert!(fields(&import.refused).contains(&first.field().unwrap()));
}

#[test]
fn what_comes_of_a_refusal_is_not_told_beside_it() {
    let refused = |patch: Value| {
        let mut config = config();
        config["hasAuth"] = false.into();
        for (name, value) in patch.as_object().unwrap() {
            config[name] = value.clone();
        }
        let import = one(&with(&config));
        import
            .refused
            .into_iter()
            .map(|told| told.field)
            .collect::<Vec<_>>()
    };
    for field in [
        "createIncidentUrl",
        "createIncidentJson",
        "getIncidentUrl",
        "getIncidentResponseExternalTitleKey",
        "updateIncidentUrl",
        "updateIncidentJson",
        "viewIncidentUrl",
        "headers",
        "createCommentUrl",
    ] {
        assert_eq!(refused(json!({field: 5})), [format!("config.{field}")]);
    }
    assert_eq!(
        refused(
            json!({"hasAuth": true, "authType": "webhook-oauth2-client-credentials", "clientId": 5, "additionalFields": "x"})
        ),
        [
            "config.clientId",
            "config.accessTokenUrl",
            "config.additionalFields"
        ]
    );
    assert_eq!(
        refused(json!({"getIncidentUrl": null, "name": "x"})),
        ["config.name", "config.getIncidentUrl"]
    );
}

#[test]
fn authorities_that_cannot_be_read_are_told_where_they_would_be() {
    let mut config = config();
    config["hasAuth"] = false.into();
    config["ca"] = "no PEM".into();
    let import = one(&with(&config));
    assert!(!import.complete);
    assert_eq!(fields(&import.refused), ["config.ca"]);
    // Over plain http alone nobody looks at them, and configure only warns.
    let plain = config.to_string().replace("https://", "http://");
    let import = one(&with(&serde_json::from_str(&plain).unwrap()));
    assert!(import.complete, "{import:?}");
    assert_eq!(fields(&import.warnings), ["config.ca"]);
}

#[test]
fn secrets_that_are_wrong_are_told_beside_the_rest() {
    let mut config = config();
    config["viewIncidentUrl"] = "nowhere".into();
    let secrets = json!({"user": "u", "password": "p", "pfx": "hunter2"});
    let text =
        json!({"connector_type_id": ".cases-webhook", "name": "T", "config": config, "secrets": secrets});
    let import = one(&text.to_string());
    let told = fields(&import.refused);
    assert!(
        told.len() == 2 && told[0] == "config.viewIncidentUrl" && told[1].starts_with("secrets"),
        "{told:?}"
    );
    assert!(!format!("{:?}", import.refused).contains("hunter2"));
}

#[test]
fn what_kibana_would_do_otherwise_is_told_where_it_can_matter() {
    let differs = |patch: Value| {
        let mut config = config();
        for (name, value) in patch.as_object().unwrap() {
            config[name] = value.clone();
        }
        one(&with(&config))
    };
    let always = [
        "config.createIncidentUrl",
        "config.createIncidentResponseKey",
        "config.updateIncidentUrl",
    ];
    let comments = json!({"createCommentUrl": "https://h.example/issues/{{{external.system.id}}}/comments",
        "createCommentJson": "{\"text\":{{{case.comment}}}}"});
    let plain = differs(comments.clone());
    assert_eq!(fields(&plain.differs), always);
    let told = message(&plain.differs, "config.createIncidentUrl");
    assert!(
        told.contains("301, 302 or 303") && told.contains("headers and credentials"),
        "{told}"
    );
    assert!(message(&plain.differs, "config.createIncidentResponseKey").contains("[object Object]"));
    assert!(message(&plain.differs, "config.updateIncidentUrl").contains("204"));

    let open = differs(json!({"hasAuth": false}));
    assert!(!message(&open.differs, "config.createIncidentUrl").contains("credentials"));
    let told = message(&open.differs, "config.createCommentUrl");
    assert!(
        told.contains("reported as skipped") && told.contains("give createCommentUrl"),
        "{told}"
    );

    for (name, value, words) in [
        (
            "createIncidentUrl",
            "https://h.example/issues/{{{case.id}}}",
            "variables in this URL",
        ),
        ("createIncidentMethod", "patch", "Kibana refuses it"),
        (
            "getIncidentUrl",
            "https://h.example/issues/{{external.system.id}}",
            "an apostrophe cuts the URL",
        ),
        (
            "viewIncidentUrl",
            "https://h.example//i/{{{external.system.id}}}",
            "collapse doubled ones",
        ),
        (
            "updateIncidentUrl",
            "https://h.example/issues/{{{external.system.id}}}/",
            "cut trailing ones",
        ),
        (
            "authType",
            "webhook-oauth2-client-credentials",
            "access tokens are fetched",
        ),
    ] {
        let mut patch = comments.clone();
        patch[name] = value.into();
        let import = differs(patch);
        let field = format!("config.{name}");
        let told = import.differs.iter().filter(|told| told.field == field);
        let told: Vec<&str> = told.map(|told| told.message.as_str()).collect();
        assert!(told.iter().any(|told| told.contains(words)), "{name}: {told:?}");
        assert_eq!(
            import.differs.len(),
            always.len() + 1,
            "{name}: {:?}",
            import.differs
        );
        assert!(
            import
                .warnings
                .iter()
                .all(|warning| !import.differs.contains(warning))
        );
    }
    // Not of what is refused itself, nor of nothing.
    let import = differs(json!({"createCommentUrl": 5}));
    assert_eq!(fields(&import.differs), always);
    let nothing = json!({"createIncidentUrl": null});
    assert!(differs(nothing).differs.is_empty());
    // Beside what is refused, too.
    let mut patch = comments;
    patch["createIncidentJson"] = "{{{case.nope}}}".into();
    patch["viewIncidentUrl"] = "https://h.example//i/{{{external.system.id}}}".into();
    let import = differs(patch);
    assert_eq!(fields(&import.refused), ["config.createIncidentJson"]);
    assert!(message(&import.differs, "config.viewIncidentUrl").contains("slashes"));
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
    let told = &import.connectors[2].refused;
    assert_eq!(fields(told), ["name"]);
    assert!(message(told, "name").contains("the same name"), "{told:?}");
    let broken = &import.connectors[3].refused;
    assert_eq!(fields(broken), ["config.createIncidentUrl", "name"]);
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
