//! From a preset and its values to a connector document: each value is written as its place needs it.

use serde_json::{Map, Value, json};

use super::form::Form;
use super::{Preset, PresetParameter};
use crate::error::{Error, ErrorKind, Result};
use crate::template::encode_component;

/// A parameter and its checked value.
type Given<'a> = (&'a PresetParameter, String);

/// How a place of the document takes a value.
#[derive(Clone, Copy)]
enum Place {
    /// A template of a URL.
    Url,
    /// A template of a JSON text, inside of a string or in a number's place.
    Json,
    Plain,
}

impl Preset {
    /// The connector document, as JSON.
    pub(super) fn document(&self, values: &[(&str, &str)]) -> Result<Value> {
        let given = self.check(values)?;
        let mut config = self.config.clone();
        for overlay in &self.overlays {
            let value = given.iter().find(|(parameter, _)| parameter.name == overlay.with);
            let wanted = overlay.equals.as_deref();
            if value.is_some_and(|(_, value)| wanted.is_none_or(|wanted| wanted == value)) {
                config.extend(overlay.config.clone());
            }
        }
        let mut filled = Map::new();
        for (name, value) in config {
            let place = match () {
                () if name.ends_with("Url") => Place::Url,
                () if name.ends_with("Json") => Place::Json,
                () => Place::Plain,
            };
            filled.insert(name, fill(value, place, &given)?);
        }
        let mut document = json!({"name": self.name, "config": filled});
        if given.iter().any(|(parameter, _)| parameter.secret) {
            document["secrets"] = fill(Value::Object(self.secrets.clone()), Place::Plain, &given)?;
        }
        Ok(document)
    }

    /// The `secrets` object that goes with the document, as JSON text, with the names of the credentials in their places;
    /// `{}` where there are none.
    pub fn secrets_shape(&self) -> String {
        let secrets = self.parameters.iter().filter(|parameter| parameter.secret);
        let named: Vec<Given<'_>> = secrets
            .map(|parameter| (parameter, parameter.name.to_uppercase()))
            .collect();
        let shape = fill(Value::Object(self.secrets.clone()), Place::Plain, &named);
        shape.map_or_else(|_| String::new(), |shape| shape.to_string())
    }

    fn check(&self, values: &[(&str, &str)]) -> Result<Vec<Given<'_>>> {
        for (name, _) in values {
            if !self.parameters.iter().any(|parameter| parameter.name == *name) {
                return Err(self.refuse(name, "is not a parameter of this preset"));
            }
            if values.iter().filter(|(other, _)| other == name).count() > 1 {
                return Err(self.refuse(name, "is given twice"));
            }
        }
        let value = |parameter: &PresetParameter| {
            let found = values.iter().find(|(name, _)| *name == parameter.name);
            found.map(|(_, value)| *value)
        };
        let secrets: Vec<&PresetParameter> = self.parameters.iter().filter(|p| p.secret).collect();
        let with_secrets = secrets.iter().any(|parameter| value(parameter).is_some());
        let needed =
            |parameter: &&PresetParameter| parameter.is_required() || (parameter.secret && with_secrets);
        let missing: Vec<&str> = self
            .parameters
            .iter()
            .filter(needed)
            .filter(|parameter| value(parameter).is_none())
            .map(|parameter| parameter.name.as_str())
            .collect();
        if let [first, ..] = missing.as_slice() {
            let (verb, them) = match missing.len() {
                1 => ("is", "this parameter".to_owned()),
                _ => ("are", format!("the parameters {}", missing.join(", "))),
            };
            return Err(self.refuse(first, &format!("is missing: {them} {verb} needed")));
        }
        let mut given = Vec::new();
        for parameter in &self.parameters {
            let Some(text) = value(parameter).or(parameter.default.as_deref()) else {
                continue;
            };
            let checked = parameter.form.check(text);
            let checked = checked.map_err(|why| self.refuse(&parameter.name, &why))?;
            if !parameter.choices.is_empty() && !parameter.choices.contains(&checked) {
                let message = format!("must be one of {}", parameter.choices.join(", "));
                return Err(self.refuse(&parameter.name, &message));
            }
            given.push((parameter, checked));
        }
        Ok(given)
    }

    /// An error about one parameter, with all that there are. Values are never shown: they may be credentials.
    fn refuse(&self, name: &str, message: &str) -> Error {
        let known: Vec<String> = self.parameters.iter().map(told).collect();
        let shown: String = name.chars().take(60).collect();
        let message = format!("{message}; {} takes {}", self.name, known.join(", "));
        Error::new(ErrorKind::Argument, message).at(shown)
    }
}

/// A parameter in a list for people: `project`, `issue_type (default Task)`.
fn told(parameter: &PresetParameter) -> String {
    let name = &parameter.name;
    match (&parameter.default, parameter.secret, parameter.optional) {
        (Some(default), _, _) => format!("{name} (default {default})"),
        (None, true, _) => format!("{name} (a credential)"),
        (None, false, true) => format!("{name} (optional)"),
        (None, false, false) => name.clone(),
    }
}

/// Fills in every text of a value.
fn fill(value: Value, place: Place, given: &[Given<'_>]) -> Result<Value> {
    Ok(match value {
        Value::String(text) => Value::String(filled(&text, place, given)?),
        Value::Object(map) => {
            let pairs = map.into_iter();
            let pairs = pairs.map(|(name, value)| Ok((name, fill(value, place, given)?)));
            Value::Object(pairs.collect::<Result<_>>()?)
        }
        Value::Array(list) => {
            let values = list.into_iter().map(|value| fill(value, place, given));
            Value::Array(values.collect::<Result<_>>()?)
        }
        other => other,
    })
}

/// Replaces each `@{name}` and `@{name:path}`; what was put in is not looked at again.
fn filled(text: &str, place: Place, given: &[Given<'_>]) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("@{") {
        let (mark, after) = after.split_once('}').unwrap_or((after, ""));
        let (name, by_names) = match mark.strip_suffix(":path") {
            Some(name) => (name, true),
            None => (mark, false),
        };
        let found = given.iter().find(|(parameter, _)| parameter.name == name);
        let (parameter, value) =
            found.ok_or_else(|| Error::internal(format!("a preset names no parameter {name}")))?;
        out.push_str(before);
        out.push_str(&match (place, parameter.form) {
            (Place::Url, Form::Url) | (Place::Plain, _) | (Place::Json, Form::Number) => value.clone(),
            (Place::Url, _) if by_names => {
                let names: Vec<String> = value.split('/').map(encode_component).collect();
                names.join("/")
            }
            (Place::Url, _) => encode_component(value),
            (Place::Json, _) => in_json(value),
        });
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The inside of a JSON string, without braces that a template would take for tags.
fn in_json(value: &str) -> String {
    let quoted = Value::from(value).to_string();
    let inside = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    inside.replace('{', "\\u007b").replace('}', "\\u007d")
}
