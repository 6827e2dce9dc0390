//! A case as the host hands it in: the incident and its comments.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::words::{self, child};

/// One comment of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comment {
    /// The host's id of the comment; a comment is sent once under its id.
    pub id: String,
    /// The text.
    pub text: String,
}

impl Comment {
    /// A comment under the host's id; under an empty one it is sent with every push it comes in.
    pub fn new(id: impl Into<String>, text: impl Into<String>) -> Comment {
        Comment {
            id: id.into(),
            text: text.into(),
        }
    }
}

/// A case as the host hands it in. `Case::new` starts one, [`Case::from_json`] reads the `params` object.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Case {
    /// The title; may be empty.
    pub title: String,
    /// The description.
    pub description: Option<String>,
    /// The host's own id of the case: later pushes under it update the same incident.
    pub id: Option<String>,
    /// The severity, in the host's words.
    pub severity: Option<String>,
    /// The status, in the host's words.
    pub status: Option<String>,
    /// The tags; none and an empty list render the same.
    pub tags: Vec<String>,
    /// The incident to update, where the host knows it.
    pub external_id: Option<String>,
    /// The host's own extra fields, for `case.fields.NAME`.
    pub fields: Map<String, Value>,
    /// The comments, oldest first.
    pub comments: Vec<Comment>,
    /// The W3C trace context that each request of the push carries in its `traceparent` header. Not part of the case: of
    /// pushes that one takes the place of, it is forgotten.
    pub traceparent: Option<String>,
}

impl Case {
    /// A case of that title and nothing else.
    pub fn new(title: impl Into<String>) -> Case {
        Case {
            title: title.into(),
            description: None,
            id: None,
            severity: None,
            status: None,
            tags: Vec::new(),
            external_id: None,
            fields: Map::new(),
            comments: Vec::new(),
            traceparent: None,
        }
    }

    /// Reads the `params` object: `{"incident": {"title", ...}, "comments": [{"commentId", "comment"}], "traceparent"}`.
    ///
    /// # Errors
    /// Text that is no JSON, missing titles, values of the wrong type and unknown fields are refused
    /// ([`crate::ErrorKind::Case`]).
    pub fn from_json(text: &str) -> Result<Case> {
        let params: Value = serde_json::from_str(text)
            .map_err(|e| Error::case("params", format!("this is not valid JSON: {e}")))?;
        let mut params = object(params, "params")?;
        known(&params, "params", &["incident", "comments", "traceparent"])?;
        let incident = match params.remove("incident") {
            Some(incident) => object(incident, "incident")?,
            None => return Err(missing("incident", "an object with at least a title")),
        };
        let mut case = read_incident(incident)?;
        case.comments = match params.remove("comments") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => read_comments(list)?,
            Some(other) => return Err(wrong("comments", "a list of comments or null", &other)),
        };
        case.traceparent = match params.remove("traceparent") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text),
            Some(other) => return Err(wrong("traceparent", "a string or null", &other)),
        };
        Ok(case)
    }

    /// Sets the host's own id of the case.
    pub fn id(mut self, id: impl Into<String>) -> Case {
        self.id = Some(id.into());
        self
    }

    /// Sets the description.
    pub fn description(mut self, description: impl Into<String>) -> Case {
        self.description = Some(description.into());
        self
    }

    /// Adds a tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Case {
        self.tags.push(tag.into());
        self
    }

    /// Sets the severity.
    pub fn severity(mut self, severity: impl Into<String>) -> Case {
        self.severity = Some(severity.into());
        self
    }

    /// Sets the status.
    pub fn status(mut self, status: impl Into<String>) -> Case {
        self.status = Some(status.into());
        self
    }

    /// Sets one of the host's own fields, for `{{{case.fields.NAME}}}`; any JSON value.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Case {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// Adds a comment under the host's id of it.
    pub fn comment(mut self, id: impl Into<String>, text: impl Into<String>) -> Case {
        self.comments.push(Comment::new(id, text));
        self
    }

    /// Names the incident to update; an empty id names none.
    pub fn external_id(mut self, id: impl Into<String>) -> Case {
        self.external_id = Some(id.into()).filter(|id| !id.is_empty());
        self
    }

    /// Sends a W3C trace context along with each request of this push, in the header `traceparent`; a header of that name
    /// in the connector wins. Checked when the case is pushed: `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`.
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Case {
        self.traceparent = Some(traceparent.into());
        self
    }

    /// The `params` object, as [`Case::from_json`] reads it.
    pub fn to_json(&self) -> String {
        let comments: Vec<Value> = self
            .comments
            .iter()
            .map(|c| json!({"commentId": c.id, "comment": c.text}))
            .collect();
        let mut params = json!({"incident": self.incident(), "comments": comments});
        if let Some(traceparent) = &self.traceparent {
            params["traceparent"] = traceparent.as_str().into();
        }
        params.to_string()
    }

    fn incident(&self) -> Map<String, Value> {
        let mut incident = Map::new();
        incident.insert("title".into(), self.title.as_str().into());
        let texts = [
            ("description", &self.description),
            ("id", &self.id),
            ("severity", &self.severity),
            ("status", &self.status),
            ("externalId", &self.external_id),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                incident.insert(name.into(), text.as_str().into());
            }
        }
        if !self.tags.is_empty() {
            incident.insert("tags".into(), self.tags.clone().into());
        }
        if !self.fields.is_empty() {
            incident.insert("fields".into(), Value::Object(self.fields.clone()));
        }
        incident
    }
}

const INCIDENT: [&str; 8] = [
    "title",
    "description",
    "id",
    "severity",
    "status",
    "tags",
    "externalId",
    "fields",
];

fn read_incident(mut incident: Map<String, Value>) -> Result<Case> {
    known(&incident, "incident", &INCIDENT)?;
    let mut case = match incident.remove("title") {
        Some(Value::String(title)) => Case::new(title),
        Some(other) => return Err(wrong("incident.title", "a string", &other)),
        None => return Err(missing("incident.title", "a string")),
    };
    let mut text = |name: &str| match incident.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(&format!("incident.{name}"), "a string or null", &other)),
    };
    case.description = text("description")?;
    case.id = text("id")?;
    case.severity = text("severity")?;
    case.status = text("status")?;
    case.external_id = text("externalId")?.filter(|id| !id.is_empty());
    case.tags = match incident.remove("tags") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list
            .into_iter()
            .enumerate()
            .map(|(i, tag)| match tag {
                Value::String(tag) => Ok(tag),
                other => Err(wrong(&format!("incident.tags[{i}]"), "a string", &other)),
            })
            .collect::<Result<_>>()?,
        Some(other) => return Err(wrong("incident.tags", "a list of strings or null", &other)),
    };
    case.fields = match incident.remove("fields") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(fields)) => fields,
        Some(other) => return Err(wrong("incident.fields", "an object or null", &other)),
    };
    Ok(case)
}

fn read_comments(list: Vec<Value>) -> Result<Vec<Comment>> {
    list.into_iter()
        .enumerate()
        .map(|(i, comment)| {
            let path = format!("comments[{i}]");
            let mut comment = object(comment, &path)?;
            known(&comment, &path, &["commentId", "comment"])?;
            let mut text = |name: &str| match comment.remove(name) {
                Some(Value::String(text)) => Ok(text),
                Some(other) => Err(wrong(&format!("{path}.{name}"), "a string", &other)),
                None => Err(missing(&format!("{path}.{name}"), "a string")),
            };
            Ok(Comment::new(text("commentId")?, text("comment")?))
        })
        .collect()
}

fn object(value: Value, path: &str) -> Result<Map<String, Value>> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(wrong(path, "an object", &other)),
    }
}

fn known(map: &Map<String, Value>, path: &str, names: &[&str]) -> Result<()> {
    match map.keys().find(|key| !names.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(Error::case(
            child(path, key),
            words::unknown(key, names.iter().copied()),
        )),
    }
}

fn missing(path: &str, right: &str) -> Error {
    Error::case(path, format!("this is missing; it must be {right}"))
}

fn wrong(path: &str, right: &str, found: &Value) -> Error {
    let kind = words::kind(found);
    Error::case(path, format!("this must be {right}, not {kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Error {
        let error = Case::from_json(text).expect_err(text);
        assert_eq!(error.kind(), crate::ErrorKind::Case, "{text}");
        error
    }

    #[test]
    fn reads_every_field_and_writes_it_back() {
        let text = r#"{"incident": {"title": "t", "description": "d", "id": "i", "severity": "s", "status": "o",
            "tags": ["a", "b"], "externalId": "7", "fields": {"n": {"deep": [1, null]}}},
            "comments": [{"commentId": "c1", "comment": "one"}, {"commentId": "", "comment": ""}],
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}"#;
        let case = Case::from_json(text).unwrap();
        let built = Case::new("t")
            .description("d")
            .id("i")
            .severity("s")
            .status("o")
            .tag("a")
            .tag("b")
            .external_id("7")
            .field("n", json!({"deep": [1, null]}))
            .comment("c1", "one")
            .comment("", "")
            .traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        assert_eq!(case, built);
        assert_eq!(Case::from_json(&case.to_json()).unwrap(), case);
    }

    #[test]
    fn numbers_in_fields_keep_their_digits() {
        let fields = r#"{"n":[12345678901234567890123,1.10,0.12345678901234567,-0,1e+400]}"#;
        let text = format!(r#"{{"incident": {{"title": "t", "fields": {fields}}}}}"#);
        assert!(Case::from_json(&text).unwrap().to_json().contains(fields));
    }

    #[test]
    fn takes_null_where_the_reference_does() {
        let text = r#"{"incident": {"title": "", "description": null, "id": null, "severity": null,
            "status": null, "tags": null, "externalId": null, "fields": null}, "comments": null}"#;
        assert_eq!(Case::from_json(text).unwrap(), Case::new(""));
        let empty = r#"{"incident": {"title": "t", "externalId": ""}}"#;
        assert_eq!(Case::from_json(empty).unwrap().external_id, None);
    }

    #[test]
    fn refuses_what_is_not_a_case() {
        let table = [
            ("", "params"),
            ("[]", "params"),
            ("null", "params"),
            ("{}", "incident"),
            (r#"{"incident": null}"#, "incident"),
            (r#"{"incident": {}}"#, "incident.title"),
            (r#"{"incident": {"title": null}}"#, "incident.title"),
            (r#"{"incident": {"title": "t", "id": 5}}"#, "incident.id"),
            (
                r#"{"incident": {"title": "t", "tags": ["a", ["b"]]}}"#,
                "incident.tags[1]",
            ),
            (
                r#"{"incident": {"title": "t", "tags": {"0": "a"}}}"#,
                "incident.tags",
            ),
            (r#"{"incident": {"title": "t", "fields": []}}"#, "incident.fields"),
            (r#"{"incident": {"title": "t"}, "comments": {}}"#, "comments"),
            (
                r#"{"incident": {"title": "t"}, "comments": [null]}"#,
                "comments[0]",
            ),
            (
                r#"{"incident": {"title": "t"}, "comments": [{"comment": "c"}]}"#,
                "comments[0].commentId",
            ),
            (
                r#"{"incident": {"title": "t"}, "comments": [{"commentId": "c"}]}"#,
                "comments[0].comment",
            ),
            (
                r#"{"incident": {"title": "t"}, "comments": [{"commentId": 1, "comment": "c"}]}"#,
                "comments[0].commentId",
            ),
            (r#"{"subAction": "pushToService"}"#, "params.subAction"),
        ];
        for (text, field) in table {
            assert_eq!(refused(text).field(), Some(field), "{text}");
        }
    }

    #[test]
    fn an_unknown_field_is_answered_with_the_nearest_name() {
        let error = refused(r#"{"incident": {"title": "t", "externalID": "1"}}"#);
        assert!(error.message().contains("\"externalId\""), "{error}");
    }
}
