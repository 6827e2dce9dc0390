//! The variables of templates: which slot knows which, and the nearest name for one that is not known.

use super::Slot;
use crate::words;

/// A variable of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Variable {
    Id,
    Title,
    Description,
    Severity,
    Status,
    Tags,
    /// `case.fields.NAME`.
    Field(String),
    /// `case.texts.NAME`: put together by the connector.
    Text(String),
    Comment,
    CommentId,
    ExternalId,
    ExternalTitle,
}

use Variable::{
    Comment, CommentId, Description, ExternalId, ExternalTitle, Id, Severity, Status, Tags, Title,
};

const FIELDS: &str = "case.fields.";
const TEXTS: &str = "case.texts.";

const NAMES: [(&str, Variable); 11] = [
    ("case.id", Id),
    ("case.title", Title),
    ("case.description", Description),
    ("case.severity", Severity),
    ("case.status", Status),
    ("case.tags", Tags),
    ("case.comment", Comment),
    ("case.commentId", CommentId),
    ("external.system.id", ExternalId),
    // As the published documentation spells it in one example.
    ("external.system.ID", ExternalId),
    ("external.system.title", ExternalTitle),
];

/// Names of objects, which have no text.
const OBJECTS: [&str; 5] = ["case", "case.fields", "case.texts", "external", "external.system"];

impl Variable {
    /// As templates write it.
    pub(super) fn name(&self) -> String {
        match self {
            Variable::Field(name) => format!("{FIELDS}{name}"),
            Variable::Text(name) => format!("{TEXTS}{name}"),
            _ => NAMES
                .iter()
                .find(|(_, variable)| variable == self)
                .map_or_else(String::new, |(name, _)| (*name).to_owned()),
        }
    }
}

/// The variable of that name, or a sentence on why the slot does not have it.
pub(super) fn resolve(slot: Slot, name: &str) -> Result<Variable, String> {
    if name.is_empty() {
        return Err("the tag has no name".to_owned());
    }
    if OBJECTS.contains(&name) {
        return Err(format!(
            "`{name}` is an object and has no text; name one of its members: {}",
            members(slot, name).join(", ")
        ));
    }
    if let Some(field) = name.strip_prefix(FIELDS)
        && slot.is_body()
        && !field.is_empty()
    {
        return Ok(Variable::Field(field.to_owned()));
    }
    if let Some(text) = name.strip_prefix(TEXTS).filter(|text| !text.is_empty()) {
        return Ok(Variable::Text(text.to_owned()));
    }
    let found = NAMES.iter().find(|(known, _)| *known == name);
    if let Some((_, variable)) = found
        && slot.knows(variable)
    {
        return Ok(variable.clone());
    }
    let known = known_names(slot);
    if found.is_some() || name.starts_with(FIELDS) {
        return Err(format!(
            "`{name}` has no value here; known here: {}",
            known.join(", ")
        ));
    }
    if let Some(text) = known.iter().find(|text| is_member(name, text)) {
        return Err(format!(
            "`{name}` does not exist: `{text}` is one value, without members"
        ));
    }
    Err(match words::nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!(
            "unknown variable `{name}`; did you mean `{near}`? Known here: {}",
            known.join(", ")
        ),
        None => format!("unknown variable `{name}`; known here: {}", known.join(", ")),
    })
}

fn is_member(name: &str, of: &str) -> bool {
    name.strip_prefix(of).is_some_and(|rest| rest.starts_with('.'))
}

/// The names that a slot knows, for messages.
fn known_names(slot: Slot) -> Vec<String> {
    let mut names: Vec<String> = NAMES
        .iter()
        .filter(|(name, variable)| !name.ends_with(".ID") && slot.knows(variable))
        .map(|(name, _)| (*name).to_owned())
        .collect();
    if slot.is_body() {
        names.push(format!("{FIELDS}NAME"));
    }
    names
}

fn members(slot: Slot, object: &str) -> Vec<String> {
    let inside = format!("{object}.");
    let known = known_names(slot);
    let members: Vec<String> = known
        .iter()
        .filter(|name| name.starts_with(&inside))
        .cloned()
        .collect();
    if members.is_empty() { known } else { members }
}

impl Slot {
    pub(super) fn is_body(self) -> bool {
        match self {
            Slot::CreateBody | Slot::FindBody | Slot::UpdateBody | Slot::GetBody | Slot::CommentBody => true,
            Slot::CreateUrl
            | Slot::FindUrl
            | Slot::UpdateUrl
            | Slot::GetUrl
            | Slot::CommentUrl
            | Slot::ViewUrl => false,
        }
    }

    fn knows(self, variable: &Variable) -> bool {
        match self {
            Slot::CreateBody | Slot::FindBody => {
                matches!(variable, Id | Title | Description | Severity | Status | Tags)
            }
            Slot::UpdateBody => {
                matches!(
                    variable,
                    Id | Title | Description | Severity | Status | Tags | ExternalId
                )
            }
            Slot::GetBody => matches!(variable, ExternalId),
            Slot::CommentBody => matches!(variable, Comment | CommentId | Id | ExternalId),
            Slot::CreateUrl => matches!(variable, Id),
            Slot::FindUrl => matches!(variable, Id | Title),
            Slot::UpdateUrl | Slot::GetUrl | Slot::CommentUrl => matches!(variable, Id | ExternalId),
            Slot::ViewUrl => matches!(variable, Id | ExternalId | ExternalTitle),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_near() {
        let message = |slot, name| resolve(slot, name).unwrap_err();
        assert!(message(Slot::CreateBody, "case.titel").contains("did you mean `case.title`?"));
        assert!(message(Slot::CreateBody, "Case.Title").contains("did you mean `case.title`?"));
        assert!(message(Slot::ViewUrl, "external.system.key").contains("external.system.title"));
        assert!(message(Slot::CreateBody, "toString").starts_with("unknown variable `toString`; known here"));
        assert!(message(Slot::CreateBody, "case.title.length").contains("`case.title` is one value"));
        assert!(message(Slot::CreateBody, "case").contains("is an object"));
        assert!(message(Slot::CreateBody, "external.system").contains("case.title"));
        assert!(message(Slot::CreateBody, "external.system.id").contains("has no value here"));
        assert!(message(Slot::GetUrl, "case.fields.x").contains("has no value here"));
        assert!(message(Slot::CreateBody, "").contains("no name"));
    }

    #[test]
    fn every_name_leads_to_its_variable() {
        for (name, variable) in NAMES {
            let slots = [Slot::UpdateBody, Slot::CommentBody, Slot::ViewUrl];
            assert!(
                slots
                    .iter()
                    .any(|slot| resolve(*slot, name) == Ok(variable.clone())),
                "{name}"
            );
        }
        assert_eq!(
            resolve(Slot::GetBody, "case.fields.a b"),
            Ok(Variable::Field("a b".to_owned()))
        );
        assert_eq!(Variable::Field("x".to_owned()).name(), "case.fields.x");
        assert_eq!(ExternalId.name(), "external.system.id");
    }
}
