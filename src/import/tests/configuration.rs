//! Terraform's configuration language: what is evaluated, and how the rest is told.

use serde_json::{Value, json};

use crate::ErrorKind;
use crate::import::*;

/// As the provider's documentation shows it: literals and `jsonencode`.
const LITERAL: &str = r#"
terraform {
  required_providers {
    elasticstack = { source = "elastic/elasticstack", version = "~> 0.11" }
  }
}

provider "elasticstack" {
  kibana {}
}

resource "elasticstack_kibana_action_connector" "tracker" {
  name              = "Tracker"
  connector_type_id = ".cases-webhook" # another type would be skipped
  config = jsonencode({
    createIncidentUrl                   = "https://h.example/issues"
    createIncidentMethod                = "post"
    createIncidentJson                  = "{\"title\":{{{case.title}}},\"text\":{{{case.description}}}}"
    createIncidentResponseKey           = "id"
    getIncidentUrl                      = "https://h.example/issues/{{{external.system.id}}}"
    getIncidentResponseExternalTitleKey = "title"
    viewIncidentUrl                     = "https://h.example/issues/{{{external.system.id}}}"
    updateIncidentUrl                   = "https://h.example/issues/{{{external.system.id}}}"
    updateIncidentJson                  = <<-EOT
      {
        "title": {{{case.title}}},
        "text": {{{case.description}}}
      }
    EOT
    createCommentUrl                    = null
    headers                             = { "X-Team" = "ops", Accept = "application/json" }
    hasAuth                             = true
    authType                            = "webhook-authentication-basic"
  })
  secrets = jsonencode({
    user     = "casehook"
    password = "hunter2"
  })
}

resource "elasticstack_kibana_action_connector" "chat" {
  name              = "Chat"
  connector_type_id = ".slack"
  secrets           = jsonencode({ webhookUrl = var.slack })
}

resource "aws_instance" "web" {
  ami = data.aws_ami.debian.id
}
"#;

/// As people write it: an address of their own, secrets from elsewhere, bodies encoded.
const VARIABLES: &str = r#"
variable "token" {
  type      = string
  sensitive = true
}

variable "site" { default = "acme" }

locals {
  issues = "${local.base}/issues"
  base   = "https://h.example"
  team   = { name = "ops" }
}

resource "elasticstack_kibana_action_connector" "tracker" {
  name              = "Tracker ${terraform.workspace}"
  connector_type_id = ".cases-webhook"
  config = jsonencode({
    createIncidentUrl                   = local.issues
    createIncidentJson                  = jsonencode({ a = "<&>", b = [1, 2.5, true, null], team = local.team.name })
    createIncidentResponseKey           = "id"
    getIncidentUrl                      = "https://${var.site}.example/issues/{{{external.system.id}}}"
    getIncidentResponseExternalTitleKey = lower("TITLE")
    viewIncidentUrl                     = "${local.issues}/{{{external.system.id}}}"
    updateIncidentUrl                   = "${local.issues}/{{{external.system.id}}}"
    updateIncidentJson                  = file("${path.module}/update.json")
    hasAuth                             = var.auth ? true : false
    headers                             = { X-Key = "hunter2-${var.token}", Accept = "application/json" }
  })
  secrets = jsonencode({
    user     = "casehook"
    password = var.token
  })
}
"#;

fn one(text: &str) -> ImportedConnector {
    let mut import = import(text).unwrap();
    assert_eq!(import.connectors.len(), 1, "{import:?}");
    import.connectors.remove(0)
}

fn document(connector: &ImportedConnector) -> Value {
    serde_json::from_str(&connector.document).unwrap()
}

#[test]
fn literals_are_a_complete_connector() {
    let import = import(LITERAL).unwrap();
    let tracker = &import.connectors[0];
    assert!(tracker.complete, "{tracker:?}");
    assert_eq!((tracker.name.as_str(), import.connectors.len()), ("Tracker", 1));
    let skipped: Vec<&str> = import.skipped.iter().map(|other| other.kind.as_str()).collect();
    assert_eq!(skipped, [".slack", "aws_instance"]);
    let document = document(tracker);
    assert_eq!(
        document["secrets"],
        json!({"user": "casehook", "password": "hunter2"})
    );
    assert_eq!(
        document["config"]["updateIncidentJson"],
        "{\n  \"title\": {{{case.title}}},\n  \"text\": {{{case.description}}}\n}\n"
    );
    assert_eq!(
        document["config"]["headers"],
        json!({"X-Team": "ops", "Accept": "application/json"})
    );
    assert!(Connector::from_json(&tracker.document).is_ok());
    assert!(!serde_json::to_string(&import).unwrap().contains("hunter2"));
}

#[test]
fn what_stands_elsewhere_is_told_by_attribute_and_name() {
    let tracker = one(VARIABLES);
    assert!(!tracker.complete && tracker.refused.is_empty(), "{tracker:?}");
    assert_eq!(tracker.missing_secrets, ["password"]);
    let told: Vec<(&str, &str)> = tracker
        .unresolved
        .iter()
        .map(|open| {
            let names = open.message.strip_prefix("depends on ").unwrap();
            (open.field.as_str(), names.split(", which").next().unwrap())
        })
        .collect();
    for expected in [
        ("name", "terraform.workspace"),
        ("config.getIncidentUrl", "var.site"),
        ("config.getIncidentResponseExternalTitleKey", "lower()"),
        ("config.updateIncidentJson", "file(), path.module"),
        ("config.hasAuth", "a condition"),
        ("config.headers.X-Key", "var.token"),
        ("secrets.password", "var.token"),
    ] {
        assert!(told.contains(&expected), "{expected:?} in {told:#?}");
    }
    assert_eq!(told.len(), 7, "{told:#?}");
    assert!(!format!("{:?}", tracker.unresolved).contains("hunter2"));
    let document = document(&tracker);
    assert_eq!(document["name"], "tracker");
    let config = &document["config"];
    assert_eq!(config["createIncidentUrl"], "https://h.example/issues");
    assert_eq!(
        config["createIncidentJson"],
        "{\"a\":\"\\u003c\\u0026\\u003e\",\"b\":[1,2.5,true,null],\"team\":\"ops\"}"
    );
    assert_eq!(
        config["getIncidentUrl"],
        "https://${var.site}.example/issues/{{{external.system.id}}}"
    );
    assert_eq!(
        config["updateIncidentJson"],
        "${file(\"${path.module}/update.json\")}"
    );
    assert_eq!(config["headers"]["Accept"], "application/json");
    assert_eq!(document["secrets"], json!({"user": "casehook", "password": ""}));
}

#[test]
fn documents_may_be_texts_or_stand_elsewhere_as_a_whole() {
    let with = |attributes: &str| {
        format!(
            "resource \"elasticstack_kibana_action_connector\" \"t\" {{\n  connector_type_id = \".cases-webhook\"\n{attributes}\n}}"
        )
    };
    let text = one(&with(
        "config = <<EOT\n{\"createIncidentUrl\": \"https://h.example\"}\nEOT",
    ));
    assert_eq!(
        document(&text)["config"]["createIncidentUrl"],
        "https://h.example"
    );
    assert!(text.unresolved.is_empty() && !text.refused.is_empty(), "{text:?}");
    for (attributes, told) in [
        ("config = var.config", ("config", "var.config")),
        (
            "config = jsonencode(merge(local.base, {}))",
            ("config", "local.base, merge()"),
        ),
        (
            "config = jsonencode({})\nsecrets = jsonencode(var.all)",
            ("secrets", "var.all"),
        ),
        (
            "config = jsonencode({ a = [for x in [\"hunter2\"] : x] })",
            ("config.a", "a for"),
        ),
        (
            "config = jsonencode({ a = [1, -var.x] })",
            ("config.a[1]", "an operator"),
        ),
    ] {
        let whole = one(&with(attributes));
        assert!(!whole.complete);
        let open = &whole.unresolved[0];
        assert_eq!(open.field, told.0, "{attributes}");
        assert!(
            open.message.starts_with(&format!("depends on {},", told.1)),
            "{open:?}"
        );
        assert!(!open.message.contains("hunter2"));
    }
    let refused = import(&with("config = \"hunter2\"")).unwrap_err();
    assert!(refused.message().contains("no JSON object") && !refused.message().contains("hunter2"));
}

#[test]
fn a_broken_file_is_told_by_its_place_and_not_quoted() {
    let text = "resource \"elasticstack_kibana_action_connector\" \"x\" {\n  secrets = \"hunter2\n}";
    let error = import(text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("line 2, column "), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn hostile_files_neither_overflow_nor_swell() {
    let in_locals = |locals: &str, value: &str| {
        format!(
            "locals {{\n{locals}\n}}\nresource \"elasticstack_kibana_action_connector\" \"x\" {{\n  config = jsonencode({{ a = \
             {value} }})\n}}"
        )
    };
    for (open, close) in [
        ("[", "]"),
        ("(", ")"),
        ("!", ""),
        ("\"${", "}\""),
        ("a ? b : ", ""),
    ] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let error = import(&in_locals("", &deep)).unwrap_err();
        assert!(error.message().contains("nest"), "{error}");
    }
    let doubling: String = (1..60)
        .map(|n| format!("  x{n} = \"${{local.x{}}}${{local.x{0}}}\"\n", n - 1))
        .collect();
    let doubled = one(&in_locals(
        &format!("  x0 = \"{}\"\n{doubling}", "y".repeat(1 << 16)),
        "local.x59",
    ));
    assert_eq!(doubled.unresolved[0].field, "config.a");
    let encoded = format!("{}\"\\\\\"{}", "jsonencode(".repeat(25), ")".repeat(25));
    let encoded = one(&in_locals("", &encoded));
    assert!(encoded.unresolved[0].message.contains("too long"), "{encoded:?}");
}
