//! Mustache templates in connector documents: checked at configure, rendered for each request.

mod adf;
mod body;
mod engine;
mod names;
mod scan;
mod sound;
mod url;

use serde_json::{Map, Value};

pub(crate) use body::BodyTemplate;
pub(crate) use url::{UrlTemplate, encode_component};

/// Where a template stands in the connector document; decides which variables it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Slot {
    CreateUrl,
    CreateBody,
    FindUrl,
    FindBody,
    UpdateUrl,
    UpdateBody,
    GetUrl,
    GetBody,
    CommentUrl,
    CommentBody,
    ViewUrl,
}

/// What people's texts become in bodies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TextForms {
    pub(crate) description: TextForm,
    pub(crate) comment: TextForm,
}

/// What one text becomes in a body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum TextForm {
    /// A JSON string.
    #[default]
    Plain,
    /// An object: the text in the Atlassian Document Format.
    Adf,
}

/// Values for the variables of one rendering; those that the slot does not know are not looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Variables<'a> {
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    pub(crate) id: &'a str,
    /// After `valueMaps`: a JSON string, or what the map put in its place. `None` renders as `""`.
    pub(crate) severity: Option<&'a Value>,
    pub(crate) status: Option<&'a Value>,
    pub(crate) tags: &'a [String],
    pub(crate) fields: Option<&'a Map<String, Value>>,
    /// What `case.texts.NAME` stands for, by name.
    pub(crate) texts: &'a [(String, String)],
    pub(crate) comment: &'a str,
    pub(crate) comment_id: &'a str,
    pub(crate) external_id: &'a str,
    pub(crate) external_title: &'a str,
}

impl<'a> Variables<'a> {
    fn text(&self, name: &str) -> &'a str {
        let found = self.texts.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, text)| text)
    }
}

/// Why a template could not be rendered with these values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RenderError {
    /// The field of the connector document.
    pub(crate) field: &'static str,
    pub(crate) message: String,
}
