//! What an export holds: a connector of casehook's kind, or something else.

use serde_json::{Map, Value};

use crate::connector::Warning;
use crate::error::{Error, Result};

const CONNECTOR_TYPE: &str = ".cases-webhook";
/// The type of a connector in Terraform.
pub(super) const RESOURCE: &str = "elasticstack_kibana_action_connector";

/// One object of an export.
pub(super) enum Object {
    Connector {
        name: String,
        config: Map<String, Value>,
        secrets: Map<String, Value>,
        /// What stands elsewhere, in variables for example, by its path.
        open: Vec<Warning>,
    },
    Other {
        name: String,
        kind: String,
    },
}

/// One connector with the field names of the API.
pub(super) fn connector(mut map: Map<String, Value>) -> Result<Object> {
    let kind = first(&map, &["connector_type_id", "connectorTypeId", "actionTypeId"]);
    let name = first(&map, &["name", "id", "connector_id"]).unwrap_or_else(|| "connector".to_owned());
    match kind {
        Some(kind) if kind != CONNECTOR_TYPE => Ok(Object::Other { name, kind }),
        None if !map.contains_key("config") => Err(Error::config(
            "import",
            "an object in this is neither a connector nor a saved object: it has no connector_type_id",
        )),
        _ => Ok(Object::Connector {
            config: inner(&name, "config", map.remove("config"))?,
            secrets: inner(&name, "secrets", map.remove("secrets"))?,
            open: Vec::new(),
            name,
        }),
    }
}

/// An object, or one as JSON text, as Terraform keeps it.
fn inner(name: &str, field: &str, value: Option<Value>) -> Result<Map<String, Value>> {
    let refused = || {
        Error::config(
            "import",
            format!("{field} of the connector {name:?} is no JSON object"),
        )
    };
    let mut map = match value {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(map)) => map,
        Some(Value::String(text)) if text.trim().is_empty() => Map::new(),
        Some(Value::String(text)) => serde_json::from_str(&text).map_err(|_| refused())?,
        Some(_) => return Err(refused()),
    };
    // Fields that were never set, and what the provider keeps for itself. A null comment field means "no comments".
    map.retain(|name, value| {
        let set = !value.is_null() || name.starts_with("createComment");
        set && !name.starts_with("__tf_provider")
    });
    Ok(map)
}

pub(super) fn text(map: &Map<String, Value>, name: &str) -> String {
    map.get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

pub(super) fn first(map: &Map<String, Value>, names: &[&str]) -> Option<String> {
    let mut found = names.iter().map(|name| text(map, name));
    found.find(|text| !text.is_empty())
}
