//! The forms that exports have: which objects they hold.

use serde_json::{Map, Value};

use crate::connector::Warning;
use crate::error::{Error, Result};

const CONNECTOR_TYPE: &str = ".cases-webhook";
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

/// Takes an export apart. Errors quote nothing of it: state files hold secrets.
pub(super) fn objects(text: &str) -> Result<Vec<Object>> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if !text.starts_with(['{', '[']) {
        return configuration(text);
    }
    let values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let values: Vec<Value> = values.collect::<std::result::Result<_, _>>().map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Error::config(
            "import",
            format!("this is no valid JSON: it goes wrong at {place}"),
        )
    })?;
    let mut found = Vec::new();
    for value in values {
        match value {
            Value::Array(list) => {
                for value in list {
                    found.extend(object(value)?);
                }
            }
            Value::Object(map) if is_terraform(&map) => terraform(&Value::Object(map), &mut found)?,
            value => found.extend(object(value)?),
        }
    }
    if found.is_empty() {
        let message = "there is no connector in this: an export of saved objects, an answer of the connector API, or a \
                       Terraform state is expected";
        return Err(Error::config("import", message));
    }
    Ok(found)
}

/// What is no JSON may be Terraform's configuration language.
fn configuration(text: &str) -> Result<Vec<Object>> {
    let expected = "an export of saved objects (NDJSON), an answer of Kibana's connector API, a Terraform configuration or \
                    what `terraform show -json` prints is expected";
    if !text.contains(RESOURCE) {
        return Err(Error::config(
            "import",
            format!("there is no connector in this, and it is no JSON: {expected}"),
        ));
    }
    #[cfg(feature = "cli")]
    return super::configuration::objects(text);
    #[cfg(not(feature = "cli"))]
    Err(Error::config(
        "import",
        "this is Terraform's configuration language, which takes the feature `cli` to be read; what `terraform show -json` \
         prints is read without",
    ))
}

/// One saved object or connector; none for the line that counts them.
fn object(value: Value) -> Result<Option<Object>> {
    let Value::Object(mut map) = value else {
        return Err(Error::config(
            "import",
            "this is a list of something else than objects",
        ));
    };
    if map.contains_key("exportedCount") {
        return Ok(None);
    }
    if let Some(Value::Object(mut attributes)) = map.remove("attributes") {
        let kind = text(&map, "type");
        if kind != "action" {
            let name = first(&attributes, &["title", "name"]).unwrap_or_else(|| text(&map, "id"));
            return Ok(Some(Object::Other { name, kind }));
        }
        // Encrypted with a key of Kibana's own where an export holds them at all.
        attributes.remove("secrets");
        return connector(attributes).map(Some);
    }
    connector(map).map(Some)
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

fn is_terraform(map: &Map<String, Value>) -> bool {
    map.contains_key("terraform_version")
        || map.contains_key("planned_values")
        || map.contains_key("resources")
}

/// Every resource of a state file (`resources[].instances[].attributes`) or of `show -json` (`values` or
/// `planned_values`, modules within modules).
fn terraform(value: &Value, found: &mut Vec<Object>) -> Result<()> {
    for name in ["values", "planned_values", "root_module"] {
        if let Some(inner) = value.get(name) {
            terraform(inner, found)?;
            if name == "values" {
                break;
            }
        }
    }
    for module in value["child_modules"].as_array().into_iter().flatten() {
        terraform(module, found)?;
    }
    for resource in value["resources"].as_array().into_iter().flatten() {
        let kind = resource["type"].as_str().unwrap_or_default();
        let instances = resource["instances"].as_array().into_iter().flatten();
        let attributes = instances
            .map(|instance| &instance["attributes"])
            .chain(resource.get("values"));
        if kind != RESOURCE {
            let name = resource["name"].as_str().unwrap_or_default().to_owned();
            found.push(Object::Other {
                name,
                kind: kind.to_owned(),
            });
            continue;
        }
        for attributes in attributes {
            if let Value::Object(map) = attributes {
                found.push(connector(map.clone())?);
            }
        }
    }
    Ok(())
}

fn text(map: &Map<String, Value>, name: &str) -> String {
    map.get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn first(map: &Map<String, Value>, names: &[&str]) -> Option<String> {
    let mut found = names.iter().map(|name| text(map, name));
    found.find(|text| !text.is_empty())
}
