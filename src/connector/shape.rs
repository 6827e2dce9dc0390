//! Which of the known shapes a document has, and where its name, config and secrets stand.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::table::{child, wrong};
use super::words;
use crate::error::{Error, Result};
use crate::model::limits;
use crate::model::limits::DOCUMENT_BYTES;

const CONNECTOR_TYPE: &str = ".cases-webhook";

/// What Kibana and Terraform keep beside a connector and casehook has no use for.
const BOOKKEEPING: &[&str] = &[
    "id",
    "is_preconfigured",
    "is_deprecated",
    "is_missing_secrets",
    "is_system_action",
    "is_connector_type_deprecated",
    "referenced_by_count",
    "isPreconfigured",
    "isDeprecated",
    "isMissingSecrets",
    "isSystemAction",
    "isConnectorTypeDeprecated",
    "referencedByCount",
    "auth_mode",
    "authMode",
    // Terraform's.
    "connector_id",
    "space_id",
    "elasticsearch_connection",
    "kibana_connection",
];

/// A document taken apart.
pub(crate) struct Parts {
    pub(crate) name: Option<String>,
    pub(crate) config: Map<String, Value>,
    /// None when the document brings no `secrets` at all.
    pub(crate) secrets: Option<Map<String, Value>>,
}

/// Takes `{name?, config, secrets?}`, connector API JSON, a saved-objects export or line of it, or a bare
/// config object apart.
pub(crate) fn take_apart(text: &str) -> Result<Parts> {
    check_size("connector", text)?;
    let mut document = match only_connector_of_export(text)? {
        Some(line) => line,
        None => parse_object("connector", text)?,
    };
    if document.contains_key("config") {
        return of_connector(document);
    }
    if let Some(attributes) = document.remove("attributes") {
        return of_saved_object(&document, attributes);
    }
    if let Some(kind) = ["connector_type_id", "connectorTypeId", "actionTypeId"]
        .iter()
        .find_map(|name| document.get(*name))
    {
        check_type(kind)?;
        return Err(Error::config("config", "this is missing; it must be an object"));
    }
    Ok(Parts {
        name: None,
        config: document,
        secrets: None,
    })
}

/// The one connector of ours among several lines, where these are an export of saved objects; its last line
/// counts them.
fn only_connector_of_export(text: &str) -> Result<Option<Map<String, Value>>> {
    // One document, which may hold secrets, is counted and not copied.
    let count = serde_json::Deserializer::from_str(text)
        .into_iter::<IgnoredAny>()
        .count();
    if count < 2 {
        return Ok(None);
    }
    let lines = serde_json::Deserializer::from_str(text).into_iter::<Map<String, Value>>();
    let Ok(lines) = lines.collect::<Result<Vec<_>, _>>() else {
        return Ok(None);
    };
    if !lines.iter().any(|line| line.contains_key("attributes")) {
        return Ok(None);
    }
    let mut ours = lines.into_iter().filter(|line| {
        let attributes = line.get("attributes");
        attributes.is_some_and(|attributes| attributes["actionTypeId"] == CONNECTOR_TYPE)
    });
    match (ours.next(), ours.count()) {
        (Some(line), 0) => Ok(Some(line)),
        (None, _) => Err(Error::config(
            "connector",
            format!("this export holds no connector of type \"{CONNECTOR_TYPE}\""),
        )),
        (Some(_), more) => Err(Error::config(
            "connector",
            format!(
                "this export holds {} connectors; give the line of one of them",
                more + 1
            ),
        )),
    }
}

/// Reads a JSON object; errors never quote the text, which may hold secrets.
pub(crate) fn parse_object(path: &str, text: &str) -> Result<Map<String, Value>> {
    check_size(path, text)?;
    let value: Value = serde_json::from_str(text).map_err(|e| {
        Error::config(
            path,
            format!(
                "this is not one valid JSON document: it breaks off or goes wrong at line {}, column {}",
                e.line(),
                e.column()
            ),
        )
    })?;
    object(path, value)
}

/// Refuses a document that is larger than any real one.
pub(crate) fn check_size(path: &str, text: &str) -> Result<()> {
    if text.len() <= DOCUMENT_BYTES {
        return Ok(());
    }
    let message = format!(
        "this has {} bytes; at most {DOCUMENT_BYTES} are allowed",
        text.len()
    );
    Err(Error::config(path, message))
}

/// A connector's name, where it is one.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::config("name", "this must not be empty"));
    }
    if name.len() > limits::NAME_BYTES {
        return Err(Error::config(
            "name",
            format!(
                "this has {} bytes; the limit is {}",
                name.len(),
                limits::NAME_BYTES
            ),
        ));
    }
    Ok(())
}

fn of_connector(mut document: Map<String, Value>) -> Result<Parts> {
    for name in ["connector_type_id", "connectorTypeId", "actionTypeId"] {
        if let Some(kind) = document.remove(name) {
            check_type(&kind)?;
        }
    }
    for name in BOOKKEEPING {
        document.remove(*name);
    }
    let config = document.remove("config").unwrap_or_default();
    let secrets = document.remove("secrets");
    let name = document.remove("name");
    if let Some(key) = document.keys().next() {
        let known = ["name", "config", "secrets", "connector_type_id"];
        return Err(Error::config(
            child("connector", key),
            words::unknown(key, known.into_iter()),
        ));
    }
    parts(name, config, secrets)
}

fn of_saved_object(line: &Map<String, Value>, attributes: Value) -> Result<Parts> {
    if let Some(kind) = line.get("type")
        && kind != "action"
    {
        return Err(Error::config(
            "type",
            "this saved object is not a connector: its type is not \"action\"",
        ));
    }
    let mut attributes = object("attributes", attributes)?;
    check_type(&attributes.remove("actionTypeId").unwrap_or_default())?;
    let config = attributes.remove("config").unwrap_or_default();
    // Encrypted with a key of Kibana's own where an export holds them at all.
    parts(attributes.remove("name"), config, None)
}

fn parts(name: Option<Value>, config: Value, secrets: Option<Value>) -> Result<Parts> {
    let name = match name {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name),
        Some(other) => return Err(wrong("name", "a string", &other)),
    };
    if let Some(name) = &name {
        check_name(name)?;
    }
    Ok(Parts {
        name,
        config: object_or_text("config", config)?,
        secrets: match secrets {
            None | Some(Value::Null) => None,
            Some(secrets) => Some(object_or_text("secrets", secrets)?),
        },
    })
}

fn check_type(kind: &Value) -> Result<()> {
    match kind.as_str() {
        Some(CONNECTOR_TYPE) => Ok(()),
        Some(other) => Err(Error::config(
            "connector_type_id",
            format!(
                "connectors of type {} are not supported; only \"{CONNECTOR_TYPE}\" is",
                words::quoted(other)
            ),
        )),
        None => Err(wrong("connector_type_id", "a string", kind)),
    }
}

fn object(path: &str, value: Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(wrong(path, "an object", &other)),
    }
}

/// Terraform keeps the object as JSON text.
fn object_or_text(path: &str, value: Value) -> Result<Map<String, Value>> {
    match value {
        Value::String(text) if text.trim_start().starts_with('{') => parse_object(path, &text),
        other => object(path, other),
    }
}
