//! The forms that exports have: which objects they hold.

use serde_json::{Map, Value};

use super::object::{Object, RESOURCE, connector, first, text};
use crate::error::{Error, Result};

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
            Value::Object(map) if map.contains_key("resource") => return Err(json_configuration()),
            value => match list_within(&value) {
                Some(list) => {
                    for value in list {
                        found.extend(object(value.clone())?);
                    }
                }
                None => found.extend(object(value)?),
            },
        }
    }
    if found.is_empty() {
        let message = "there is no connector in this: an export of saved objects or an answer of their search, an answer of the \
                       connector API, or a Terraform state is expected";
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

/// What an answer with pages around it lists: a search among saved objects, or an API of the caller's own.
fn list_within(value: &Value) -> Option<&Vec<Value>> {
    let lists = ["saved_objects", "data"].iter();
    let mut lists = lists.filter_map(|name| value.get(name)?.as_array());
    lists.next()
}

/// Terraform's configuration written as JSON.
fn json_configuration() -> Error {
    Error::config(
        "import",
        "this is a configuration of Terraform's in JSON, whose expressions are not evaluated: import what `terraform show \
         -json` prints, a state file, or the configuration as .tf",
    )
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
