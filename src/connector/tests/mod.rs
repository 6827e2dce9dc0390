//! Tests of whole connector documents.

mod network;
mod references;
mod secrets;
mod tls;

use serde_json::{Value, json};

use super::*;
use crate::ErrorKind;
use config::OnUncertainCreate;

/// A document that uses every operation, on this machine over plain http.
fn config() -> Value {
    json!({
        "createIncidentUrl": "http://127.0.0.1:1/issue",
        "createIncidentJson": r#"{"t": {{{case.title}}}, "d": {{{case.description}}}}"#,
        "createIncidentResponseKey": "id",
        "getIncidentUrl": "http://127.0.0.1:1/issue/{{{external.system.id}}}",
        "getIncidentResponseExternalTitleKey": "key",
        "viewIncidentUrl": "http://127.0.0.1:1/browse/{{{external.system.title}}}",
        "updateIncidentUrl": "http://127.0.0.1:1/issue/{{{external.system.id}}}",
        "updateIncidentJson": r#"{"t": {{{case.title}}}, "d": {{{case.description}}}}"#,
        "createCommentUrl": "http://127.0.0.1:1/issue/{{{external.system.id}}}/comment",
        "createCommentMethod": "post",
        "createCommentJson": r#"{"body": {{{case.comment}}}}"#,
        "hasAuth": false,
    })
}

/// The document with these fields in place of its own; null fields of the patch named `-x` remove `x`.
fn with(patch: Value) -> Value {
    let mut config = config();
    for (name, value) in patch.as_object().unwrap() {
        match name.strip_prefix('-') {
            Some(name) => drop(config.as_object_mut().unwrap().remove(name)),
            None => config[name] = value.clone(),
        }
    }
    config
}

fn parse(config: Value, secrets: Value) -> Result<Connector> {
    Connector::from_json(&json!({"name": "tracker", "config": config, "secrets": secrets}).to_string())
}

fn configure(config: Value, secrets: Value) -> Result<Vec<Warning>> {
    parse(config, secrets)?.check(&Settings::default(), &SecretSources::default(), NOW)
}

fn accepted(patch: Value) -> Connector {
    parse(with(patch.clone()), Value::Null).unwrap_or_else(|e| panic!("{patch}: {e}"))
}

#[track_caller]
fn refused(result: Result<impl Sized>, field: &str, words: &str) {
    let Err(error) = result else {
        panic!("{field} was let pass");
    };
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.field(), Some(field), "{error}");
    assert!(error.message().contains(words), "{error}");
}

#[test]
fn a_good_document_brings_no_warning() {
    assert_eq!(configure(config(), Value::Null).unwrap(), []);
    let connector = accepted(json!({}));
    assert_eq!(connector.name(), Some("tracker"));
    assert_eq!(connector.config.target, "http://127.0.0.1:1");
    assert_eq!(connector.origins(), ["http://127.0.0.1:1"]);
}

#[test]
fn every_known_shape_reads_the_same() {
    let plain = parse(config(), Value::Null).unwrap();
    let shapes = [
        config(),
        json!({"config": config()}),
        json!({"connector_type_id": ".cases-webhook", "name": "x", "config": config(), "id": "1",
            "is_preconfigured": false, "is_deprecated": false, "is_missing_secrets": false,
            "is_system_action": false, "referenced_by_count": 0, "is_connector_type_deprecated": false}),
        json!({"type": "action", "id": "1", "references": [], "updated_at": "", "attributes":
            {"actionTypeId": ".cases-webhook", "name": "x", "isMissingSecrets": true, "config": config(),
             "secrets": "gibberish"}}),
        json!({"connector_type_id": ".cases-webhook", "name": "x", "config": config().to_string(),
            "secrets": null, "connector_id": "1", "space_id": "default"}),
    ];
    for shape in shapes {
        let connector = Connector::from_json(&shape.to_string()).unwrap();
        assert_eq!(connector.config_json(), plain.config_json());
        assert!(connector.secrets.is_none());
    }
}

#[test]
fn an_export_of_one_connector_is_read_whole() {
    let line = |kind: &str, name: &str| {
        json!({"type": "action", "attributes": {"actionTypeId": kind, "name": name, "config": config()}})
            .to_string()
    };
    let summary = r#"{"exportedCount":2,"missingRefCount":0,"missingReferences":[]}"#;
    let read = |lines: &[String]| Connector::from_json(&lines.join("\n"));
    let ours = line(".cases-webhook", "ours");
    let found = read(&[line(".jira", "other"), ours.clone(), summary.to_owned()]).unwrap();
    assert_eq!(found.name(), Some("ours"));
    refused(
        read(&[line(".jira", "other"), summary.to_owned()]),
        "connector",
        ".cases-webhook",
    );
    refused(read(&[ours.clone(), ours.clone()]), "connector", "2 connectors");
    refused(
        read(&[ours, "{".to_owned()]),
        "connector",
        "not one valid JSON document",
    );
    refused(
        read(&[config().to_string(), config().to_string()]),
        "connector",
        "not one valid JSON document",
    );
}

#[test]
fn objects_may_be_kept_as_text() {
    let text = json!({"config": config().to_string(), "secrets": r#"{"user": "u", "password": "p"}"#});
    let connector = Connector::from_json(&text.to_string()).unwrap();
    assert_eq!(connector.secrets.map(|secrets| secrets.len()), Some(2));
    let broken = json!({"config": "{\"a\":"}).to_string();
    refused(
        Connector::from_json(&broken),
        "config",
        "not one valid JSON document",
    );
}

#[test]
fn other_documents_are_refused_by_name() {
    let read = |document: Value| Connector::from_json(&document.to_string());
    refused(Connector::from_json("{"), "connector", "JSON");
    refused(read(json!([])), "connector", "object");
    refused(
        read(json!({"connector_type_id": ".jira", "config": {}})),
        "connector_type_id",
        ".jira",
    );
    let line = json!({"type": "action", "attributes": {"actionTypeId": ".servicenow", "config": {}}});
    refused(read(line), "connector_type_id", ".servicenow");
    refused(
        read(json!({"type": "dashboard", "attributes": {}})),
        "type",
        "action",
    );
    refused(
        read(json!({"config": config(), "secret": {}})),
        "connector.secret",
        "\"secrets\"",
    );
    refused(read(json!({"config": "x"})), "config", "object");
    refused(
        read(json!({"name": "", "config": config()})),
        "name",
        "not be empty",
    );
    refused(
        read(json!({"name": "n".repeat(129), "config": config()})),
        "name",
        "129",
    );
    refused(
        Connector::from_parts(
            &json!({"config": config(), "secrets": {}}).to_string(),
            Some("{}"),
        ),
        "secrets",
        "twice",
    );
}

#[test]
fn fills_in_the_defaults_of_the_reference_and_no_others() {
    let document = accepted(json!({"-createCommentMethod": 0})).document;
    assert_eq!(document["createIncidentMethod"], "post");
    assert_eq!(document["getIncidentMethod"], "get");
    assert_eq!(document["updateIncidentMethod"], "put");
    assert_eq!(document["createCommentMethod"], "put");
    assert_eq!(document["authType"], fields::BASIC);
    let nulls = ["getIncidentJson", "headers"];
    assert!(nulls.iter().all(|name| document.get(*name) == Some(&Value::Null)));
    let absent = ["retry", "coalesce", "ca", "idempotencyHeader", "additionalFields"];
    assert!(absent.iter().all(|name| document.get(*name).is_none()));
}

#[test]
fn refuses_what_a_field_cannot_hold() {
    let table = [
        (
            json!({"-createIncidentUrl": 0}),
            "config.createIncidentUrl",
            "missing",
        ),
        (
            json!({"viewIncidentUrl": null}),
            "config.viewIncidentUrl",
            "string",
        ),
        (
            json!({"updateIncidentJson": ""}),
            "config.updateIncidentJson",
            "empty",
        ),
        (json!({"hasAuth": null}), "config.hasAuth", "true or false"),
        (
            json!({"createIncidentMethod": "POST"}),
            "config.createIncidentMethod",
            "\"post\"",
        ),
        (
            json!({"createIncidentMethod": null}),
            "config.createIncidentMethod",
            "null",
        ),
        (
            json!({"getIncidentMethod": "put"}),
            "config.getIncidentMethod",
            "\"get\"",
        ),
        (
            json!({"headers": {"X-A": 1}}),
            "config.headers[\"X-A\"]",
            "string",
        ),
        (
            json!({"headers": {"a": "1", "A": "2"}}),
            "config.headers.a",
            "twice",
        ),
        (
            json!({"getIncidentHeaders": {"Host": "x"}}),
            "config.getIncidentHeaders.Host",
            "URL",
        ),
        (json!({"hasAuht": true}), "config.hasAuht", "\"hasAuth\""),
        (
            json!({"retry": {"maxAttempt": 1}}),
            "config.retry.maxAttempt",
            "\"maxAttempts\"",
        ),
        (
            json!({"retry": {"maxAttempts": 0}}),
            "config.retry.maxAttempts",
            "from 1",
        ),
        (
            json!({"retry": {"baseMs": 5, "capMs": 4}}),
            "config.retry.capMs",
            "baseMs",
        ),
        (
            json!({"maxLengths": {"id": 31}}),
            "config.maxLengths.id",
            "from 32",
        ),
        (
            json!({"idempotencyHeader": "Authorization"}),
            "config.idempotencyHeader",
            "one of its own",
        ),
        (
            json!({"idempotencyHeader": "content-type"}),
            "config.idempotencyHeader",
            "one of its own",
        ),
        (
            json!({"idempotencyHeader": "If-Match"}),
            "config.idempotencyHeader",
            "Idempotency-Key",
        ),
        (json!({"tagSpaces": " "}), "config.tagSpaces", "must have none"),
        (
            json!({"maxLengths": {"titel": 1}}),
            "config.maxLengths.titel",
            "\"title\"",
        ),
        (
            json!({"valueMaps": {"severity": 1}}),
            "config.valueMaps.severity",
            "object",
        ),
        (
            json!({"onUncertainCreate": "find"}),
            "config.onUncertainCreate",
            "findIncidentUrl",
        ),
        (
            json!({"findIncidentJson": "{}"}),
            "config.findIncidentJson",
            "findIncidentUrl",
        ),
        (
            json!({"findIncidentUrl": "http://a/"}),
            "config.findIncidentUrl",
            "only go together",
        ),
        (
            json!({"findIncidentUrl": "http://a/", "findIncidentResponseKey": "id", "findIncidentJson": "{}"}),
            "config.findIncidentJson",
            "set findIncidentMethod to \"post\"",
        ),
        (
            json!({"extraTags": ["a", null]}),
            "config.extraTags[1]",
            "a string, not null",
        ),
        (
            json!({"maxInFlight": 1.5}),
            "config.maxInFlight",
            "a whole number",
        ),
        (
            json!({"idempotencyHeader": "a b"}),
            "config.idempotencyHeader",
            "ASCII",
        ),
        (json!({"targetId": "x".repeat(129)}), "config.targetId", "129"),
        (json!({"proxy": "http://p"}), "config.proxy", "an object"),
        (json!({"proxy": {"url": "ftp://p"}}), "config.proxy.url", "scheme"),
        (
            json!({"proxy": {"url": "http://u:p@h"}}),
            "config.proxy.url",
            "proxyPassword",
        ),
        (
            json!({"proxy": {"url": "https://h", "ca": "bm90IGEgcGVt"}}),
            "config.proxy.ca",
            "PEM",
        ),
        (
            json!({"proxy": {"url": "http://h", "headers": {"A": "1", "a": "2"}}}),
            "config.proxy.headers.a",
            "twice",
        ),
        (
            json!({"tls": {"minVersion": "1.1"}}),
            "config.tls.minVersion",
            "1.2",
        ),
        (
            json!({"hasAuth": true, "authType": fields::OAUTH2}),
            "config.accessTokenUrl",
            "missing",
        ),
        (
            json!({"hasAuth": true, "authType": fields::OAUTH2, "accessTokenUrl": "http://u:p@h/", "clientId": "c"}),
            "config.accessTokenUrl",
            "user name",
        ),
        (
            json!({"hasAuth": true, "authType": fields::OAUTH2, "accessTokenUrl": "http://h/{{{case.id}}}", "clientId": "c"}),
            "config.accessTokenUrl",
            "template",
        ),
        (
            json!({"hasAuth": true, "authType": fields::OAUTH2, "accessTokenUrl": "http://h/", "clientId": "c", "additionalFields": "[]"}),
            "config.additionalFields",
            "object",
        ),
        (
            json!({"hasAuth": true, "authType": fields::OAUTH2, "accessTokenUrl": "http://h/", "clientId": "c",
                   "additionalFields": "{\"client_secret\": \"x\"}"}),
            "config.additionalFields.client_secret",
            "of its own",
        ),
        (
            json!({"viewIncidentUrl": "javascript:1"}),
            "config.viewIncidentUrl",
            "http",
        ),
        (
            json!({"createIncidentUrl": "http://u:p@h/"}),
            "config.createIncidentUrl",
            "password",
        ),
        (
            json!({"createOnly": true, "-updateIncidentJson": 0}),
            "config.updateIncidentJson",
            "only go together",
        ),
    ];
    for (patch, field, words) in table {
        refused(parse(with(patch), Value::Null), field, words);
    }
}

#[test]
fn comments_are_left_out_without_url_json_or_method() {
    for patch in [
        json!({"createCommentUrl": null}),
        json!({"createCommentUrl": ""}),
        json!({"createCommentJson": null}),
        json!({"createCommentJson": ""}),
        json!({"-createCommentJson": 0}),
        json!({"createCommentMethod": null}),
        json!({"createCommentMethod": ""}),
    ] {
        assert!(accepted(patch.clone()).config.comment.is_none(), "{patch}");
    }
    let settings = Settings::from_json(r#"{"allowedHosts": ["127.0.0.1"]}"#).unwrap();
    let unused = accepted(json!({"createCommentUrl": "http://other/x", "createCommentJson": null}));
    let result = unused.check(&settings, &SecretSources::default(), NOW);
    refused(result, "config.createCommentUrl", "allowedHosts");
}

#[test]
fn create_only_makes_get_and_update_optional() {
    let config = accepted(
        json!({"createOnly": true, "-getIncidentUrl": 0, "updateIncidentUrl": null,
        "-updateIncidentJson": 0, "-getIncidentResponseExternalTitleKey": 0}),
    )
    .config;
    assert!(config.get.is_none() && config.update.is_none() && config.get_title.is_none());
}

#[test]
fn extensions_reach_the_typed_config() {
    let config = accepted(json!({
        "retry": {"maxAttempts": 2, "maxAgeSeconds": 3, "baseMs": 4, "capMs": 5}, "coalesce": false,
        "maxInFlight": 7, "minIntervalMs": 8, "timeouts": {"connectMs": 9, "responseMs": 10},
        "findIncidentUrl": "http://127.0.0.1:1/find", "findIncidentResponseKey": "id", "findSettleMs": 11,
        "idempotencyHeader": "X-Key", "idempotencyKeyFormat": "quoted", "idempotencyKeySeconds": 12,
        "updateIncidentHeaders": {"X-U": " u "}, "valueMaps": {"severity": {"high": 2}},
        "maxLengths": {"title": 13, "fields.x y": 14}, "ifMatchHeader": true, "targetId": "t", "getIncidentMethod": "post",
    }))
    .config;
    assert_eq!(
        (config.retry.max_attempts, config.retry.cap.as_millis()),
        (Some(2), 5)
    );
    assert_eq!((config.max_in_flight, config.min_interval.as_millis()), (7, 8));
    assert_eq!(config.connect_timeout.unwrap().as_millis(), 9);
    assert_eq!(config.on_uncertain_create, OnUncertainCreate::Find);
    let idempotency = config.idempotency.as_ref().unwrap();
    assert_eq!((idempotency.header.as_str(), idempotency.quoted), ("X-Key", true));
    assert_eq!(
        config.update.as_ref().unwrap().headers,
        [("X-U".to_owned(), "u".to_owned())]
    );
    assert_eq!(config.severity_map["high"], 2);
    let lengths = [("fields.x y".to_owned(), 14), ("title".to_owned(), 13)];
    assert_eq!(config.max_lengths, lengths);
    assert!(config.if_match && !config.coalesce && config.get.as_ref().unwrap().body.is_none());
    assert_eq!(config.target, "t");
    assert!(
        accepted(json!({"idempotencyHeader": null}))
            .config
            .idempotency
            .is_none()
    );
}

#[test]
fn forms_of_texts_are_known_and_of_known_texts() {
    for (forms, field, words) in [
        (
            json!({"title": "adf"}),
            "config.textForms.title",
            "known are \"description\", \"comment\"",
        ),
        (
            json!({"description": "ADF"}),
            "config.textForms.description",
            "one of \"plain\", \"adf\", not \"ADF\"",
        ),
        (json!({"comment": true}), "config.textForms.comment", "one of"),
        (json!("adf"), "config.textForms", "an object, not a string"),
    ] {
        refused(
            parse(with(json!({"textForms": forms})), Value::Null),
            field,
            words,
        );
    }
    let quoted = json!({"textForms": {"description": "adf"}, "updateIncidentJson": r#"{"t": {{{case.title}}}, "d": "{{{case.description}}}"}"#});
    refused(
        parse(with(quoted), Value::Null),
        "config.updateIncidentJson",
        "invalid JSON with sample values",
    );
    for forms in [
        json!({}),
        json!(null),
        json!({"description": null, "comment": "plain"}),
    ] {
        assert_eq!(accepted(json!({"textForms": forms})).warnings(), []);
    }
    let stored = accepted(json!({"textForms": {"description": "adf", "comment": "adf"}}));
    assert_eq!(stored.warnings(), []);
    let again = Connector::restore("x", &stored.config_json(), "[]", Vec::new()).unwrap();
    assert_eq!(again.config_json(), stored.config_json());
    let unused = accepted(json!({"textForms": {"comment": "adf"}, "createCommentUrl": null}));
    let told: Vec<&str> = unused.warnings().iter().map(|told| told.field.as_str()).collect();
    assert_eq!(told, ["config.textForms.comment"]);
}

#[test]
fn whole_numbers_may_be_written_with_a_point() {
    let config =
        accepted(json!({"maxInFlight": 2.0, "retry": {"baseMs": 5e2}, "maxLengths": {"title": 13.0}})).config;
    assert_eq!((config.max_in_flight, config.retry.base.as_millis()), (2, 500));
    assert_eq!(config.max_lengths, [("title".to_owned(), 13)]);
}

#[test]
fn warns_of_what_may_be_a_mistake() {
    let table = [
        (
            json!({"createIncidentJson": r#"{"d": {{{case.description}}}}"#}),
            "config.createIncidentJson",
            "case.title",
        ),
        (
            json!({"updateIncidentJson": r#"{"d": {{{case.title}}}}"#}),
            "config.updateIncidentJson",
            "case.description",
        ),
        (
            json!({"createCommentJson": "{}"}),
            "config.createCommentJson",
            "case.comment",
        ),
        (
            json!({"getIncidentUrl": "http://127.0.0.1/x"}),
            "config.getIncidentUrl",
            "external.system.id",
        ),
        (
            json!({"createCommentUrl": "http://127.0.0.1/x"}),
            "config.createCommentUrl",
            "external.system.id",
        ),
        (
            json!({"updateIncidentUrl": "http://127.0.0.1/x#{{{external.system.id}}}"}),
            "config.updateIncidentUrl",
            "external.system.id",
        ),
        (
            json!({"getIncidentUrl": "http://127.0.0.1/x{{#external.system.id}}/y{{/external.system.id}}"}),
            "config.getIncidentUrl",
            "external.system.id",
        ),
        (
            json!({"getIncidentUrl":
                "http://127.0.0.1/x{{^external.system.id}}{{{external.system.id}}}{{/external.system.id}}"}),
            "config.getIncidentUrl",
            "external.system.id",
        ),
        (
            json!({"createIncidentJson": r#"{"t": {{{case.title}}}{{#case.description}}, "d": 1{{/case.description}}}"#}),
            "config.createIncidentJson",
            "case.description",
        ),
        (
            json!({"viewIncidentUrl": "http://127.0.0.1/x"}),
            "config.viewIncidentUrl",
            "external.system.title",
        ),
        (
            json!({"createIncidentUrl": "http://127.0.0.1/x/"}),
            "config.createIncidentUrl",
            "slashes",
        ),
        (
            json!({"createIncidentUrl": "http://127.0.0.1/x?a=b//c"}),
            "config.createIncidentUrl",
            "slashes",
        ),
        (
            json!({"verificationMode": "none"}),
            "config.verificationMode",
            "not verified",
        ),
        (json!({"ca": "***"}), "config.ca", "no effect"),
        (
            json!({"headers": {"idempotency-key": "k"}}),
            "config.headers[\"idempotency-key\"]",
            "the same key",
        ),
        (
            json!({"idempotencyHeader": "X-Once", "createCommentHeaders": {"X-Once": "k"}}),
            "config.createCommentHeaders[\"X-Once\"]",
            "the same key",
        ),
        (
            json!({"findIncidentUrl": "http://127.0.0.1/open", "findIncidentResponseKey": "[].id"}),
            "config.findIncidentUrl",
            "whatever it finds",
        ),
        (
            json!({"findIncidentUrl": "http://127.0.0.1/find", "findIncidentMethod": "post",
                "findIncidentJson": r#"{"q":{{{case.texts.t}}}}"#, "texts": {"t": "{title}"}, "findIncidentResponseKey": "id"}),
            "config.findIncidentUrl",
            "whatever it finds",
        ),
        (
            json!({"createIncidentResponseKey": "a..b"}),
            "config.createIncidentResponseKey",
            "two dots",
        ),
        (
            json!({"getIncidentResponseExternalTitleKey": "a[].title"}),
            "config.getIncidentResponseExternalTitleKey",
            "`[0]`",
        ),
        (
            json!({"createOnly": true, "ifMatchHeader": true}),
            "config.ifMatchHeader",
            "no effect",
        ),
        (
            json!({"createOnly": true, "-getIncidentUrl": 0, "-getIncidentResponseExternalTitleKey": 0,
                "getIncidentHeaders": {"X-A": "1"}}),
            "config.getIncidentHeaders",
            "no effect",
        ),
        (
            json!({"createCommentUrl": null, "createCommentHeaders": {"X-A": "1"}}),
            "config.createCommentHeaders",
            "no effect",
        ),
        (
            json!({"headers": {"Cookie": "a"}, "createIncidentUrl": "http://tracker.example/x"}),
            "config.createIncidentUrl",
            "plain http",
        ),
        (
            json!({"headers": {"X-Api-Key": "a"}, "createIncidentUrl": "http://tracker.example/x"}),
            "config.createIncidentUrl",
            "plain http",
        ),
        (
            json!({"createIncidentHeaders": {"authorization": "a"},
                "createIncidentUrl": "http://tracker.example/x"}),
            "config.createIncidentUrl",
            "plain http",
        ),
    ];
    for (patch, field, words) in table {
        let warnings = configure(with(patch.clone()), Value::Null).unwrap();
        assert_eq!(warnings.len(), 1, "{patch}: {warnings:?}");
        assert_eq!(warnings[0].field, field);
        assert!(warnings[0].message.contains(words), "{warnings:?}");
    }
    let secret = json!({"secretHeaders": {"Idempotency-Key": "k"}});
    let warnings = configure(config(), secret).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].field, "secrets.secretHeaders[\"Idempotency-Key\"]");
    let silent = [
        json!({"updateIncidentHeaders": {"Idempotency-Key": "k"}, "getIncidentHeaders": {"Idempotency-Key": "k"}}),
        json!({"createIncidentUrl": "http://127.0.0.1/"}),
        json!({"findIncidentUrl": "http://127.0.0.1/{{{case.texts.m}}}", "texts": {"m": "c-{fingerprint}"},
            "findIncidentResponseKey": "[].id"}),
        json!({"findIncidentUrl": "http://127.0.0.1/find", "findIncidentMethod": "post",
            "findIncidentJson": r#"{"q":{{{case.fields.host}}}}"#, "findIncidentResponseKey": "id"}),
        json!({"createIncidentResponseKey": r#"a["x..y"]"#, "ifMatchHeader": true}),
        json!({"createIncidentUrl": "http://tracker.example/x", "headers": {"Idempotency-Key": "k"}, "idempotencyHeader": null,
            "getIncidentHeaders": {"authorization": "a"}}),
        json!({"createIncidentUrl": "http://tracker.example/x?u=http://y"}),
        json!({"updateIncidentUrl": "http://127.0.0.1/x{{#external.system.id}}/{{{.}}}{{/external.system.id}}"}),
        json!({"updateIncidentUrl": "http://127.0.0.1/x{{^case.id}}/{{{external.system.id}}}{{/case.id}}"}),
        json!({"viewIncidentUrl": "http://127.0.0.1/#/x/{{{external.system.id}}}"}),
        json!({"getIncidentMethod": "post", "getIncidentJson": r#"{"id": {{{external.system.id}}}}"#,
            "getIncidentUrl": "http://127.0.0.1/find"}),
    ];
    for patch in silent {
        assert_eq!(
            configure(with(patch.clone()), Value::Null).unwrap(),
            [],
            "{patch}"
        );
    }
}

/// A moment in November 2026.
const NOW: crate::model::Timestamp = crate::model::Timestamp::from_millis(1_795_000_000_000);

#[test]
fn policies_combine_settings_and_document() {
    let settings =
        Settings::from_json(r#"{"responseTimeout": "5s", "maxResponseContentLength": 7}"#).unwrap();
    let limits = |patch: Value| {
        let prepared = accepted(patch).prepare(&settings, &SecretSources::default());
        let limits = prepared.unwrap().network.limits;
        (
            limits.connect.as_millis(),
            limits.response.as_millis(),
            limits.body_bytes,
        )
    };
    assert_eq!(limits(json!({})), (5_000, 5_000, 7));
    assert_eq!(
        limits(json!({"timeouts": {"connectMs": 1, "responseMs": 60_000}})),
        (1, 60_000, 7)
    );
    assert_eq!(limits(json!({"timeouts": {"responseMs": 60_000}})).0, 10_000);
}
