//! Connectors from where people have them: Kibana's exports and API, Terraform's configuration and state. Pure: text in,
//! documents and findings out.

#[cfg(feature = "cli")]
mod configuration;
mod object;
mod refusals;
mod sources;
mod tidy;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::connector::{Connector, Warning};
use crate::error::Result;

/// What an export brought.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Import {
    /// The connectors of casehook's kind, in the order of the export.
    pub connectors: Vec<ImportedConnector>,
    /// What is something else: connectors of other types, other saved objects.
    pub skipped: Vec<SkippedObject>,
}

/// One connector of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ImportedConnector {
    /// Its name there.
    pub name: String,
    /// The connector document: JSON text, complete or to be finished. Secrets that are missing stand there as empty texts.
    #[serde(serialize_with = "as_json")]
    pub document: String,
    /// Whether it can be configured as it is.
    pub complete: bool,
    /// The secrets that have to be filled in: exports hold none.
    pub missing_secrets: Vec<String>,
    /// What stands elsewhere, such as in a variable of Terraform's, and has to be written into the document: the field, and
    /// what it depends on. For a secret the document holds an empty text, for anything else the expression.
    pub unresolved: Vec<Warning>,
    /// What was changed, since casehook would refuse it.
    pub changed: Vec<Warning>,
    /// What casehook refuses, why, and what would be right: fields, or a name that an earlier connector of the import has.
    /// Everything that can be told of what stands there; what is wrong twice in one field shows when the first is mended.
    pub refused: Vec<Warning>,
    /// What is taken and does something else than in Kibana, as far as it can matter to this connector.
    pub differs: Vec<Warning>,
    /// What may go wrong and is let pass.
    pub warnings: Vec<Warning>,
}

/// Something of an export that is no connector of casehook's kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SkippedObject {
    /// Its name or id there.
    pub name: String,
    /// Its type there, such as `.slack`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Reads an export: Kibana's saved objects (NDJSON, or the answer of its search), an answer of its connector API (one
/// connector or a list), or Terraform's `elasticstack_kibana_action_connector` resources (a state file, what `terraform show -json` prints, or with the
/// feature `cli` a configuration, `.tf`, of which literals, local values and `jsonencode` are evaluated).
///
/// Configures nothing: that is the caller's.
///
/// ```
/// let export = r#"[{"connector_type_id": ".slack", "name": "chat", "config": {}}]"#;
/// let import = casehook::import(export).unwrap();
/// assert_eq!(import.skipped[0].kind, ".slack");
/// ```
///
/// # Errors
/// [`crate::ErrorKind::Config`] when the text is none of these.
pub fn import(text: &str) -> Result<Import> {
    let mut import = Import::default();
    for object in sources::objects(text)? {
        match object {
            object::Object::Other { name, kind } => import.skipped.push(SkippedObject { name, kind }),
            object::Object::Connector {
                name,
                config,
                secrets,
                open,
            } => {
                let twice = import.connectors.iter().any(|earlier| earlier.name == name);
                let mut connector = imported(name, config, secrets, open);
                if twice {
                    connector.refuse_name();
                }
                import.connectors.push(connector);
            }
        }
    }
    Ok(import)
}

impl ImportedConnector {
    /// Two of one name: the second must not take the place of the first.
    fn refuse_name(&mut self) {
        self.complete = false;
        self.refused.push(Warning {
            field: "name".to_owned(),
            message:
                "an earlier connector of this import has the same name: configure this one under another"
                    .to_owned(),
        });
    }
}

fn imported(
    name: String,
    config: Map<String, Value>,
    secrets: Map<String, Value>,
    unresolved: Vec<Warning>,
) -> ImportedConnector {
    let (config, changed) = tidy::tidied(config);
    let missing = tidy::missing_secrets(&config, &secrets);
    let mut all = secrets;
    for secret in &missing {
        all.insert(secret.clone(), Value::from(""));
    }
    let differs = Connector::differences(&config);
    let mut document = json!({"name": name, "config": config});
    // Checked without secrets: those that are missing are told apart.
    let checked = Connector::from_json(&document.to_string());
    let given = (missing.is_empty() && !all.is_empty()).then(|| all.clone());
    if !all.is_empty() {
        document["secrets"] = Value::Object(all);
    }
    let whole = match missing.is_empty() {
        true => Connector::from_json(&document.to_string()),
        false => checked,
    };
    let (whole, mut warnings) = match whole {
        Ok(connector) => (None, connector.warnings().to_vec()),
        Err(first) => (Some(first), Vec::new()),
    };
    let mut refused = refusals::all(whole, config, given);
    let complete = missing.is_empty() && unresolved.is_empty() && refused.is_empty();
    // Those are about expressions, which are told already.
    refused.retain(|refused| !unresolved.iter().any(|open| refusals::of_one(open, refused)));
    warnings.retain(|warning| !differs.contains(warning));
    ImportedConnector {
        complete,
        document: serde_json::to_string_pretty(&document).unwrap_or_default(),
        name,
        missing_secrets: missing,
        unresolved,
        changed,
        refused,
        differs,
        warnings,
    }
}

/// Reports carry the document without its secrets, which may be those of a state file.
fn as_json<S: serde::Serializer>(text: &str, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let mut document: Value = serde_json::from_str(text).unwrap_or_default();
    if let Some(document) = document.as_object_mut() {
        document.remove("secrets");
    }
    document.serialize(serializer)
}

#[cfg(test)]
mod tests;
