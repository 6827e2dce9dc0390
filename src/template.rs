//! Mustache templates in connector documents. The only file that names `mustache`.

use serde_json::Value;

use crate::error::Result;

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
    pub(crate) fields: Option<&'a serde_json::Map<String, Value>>,
    pub(crate) comment: &'a str,
    pub(crate) comment_id: &'a str,
    pub(crate) external_id: &'a str,
    pub(crate) external_title: &'a str,
}

/// Why a template could not be rendered with these values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RenderError {
    /// The field of the connector document.
    pub(crate) field: &'static str,
    pub(crate) message: String,
}

/// A template whose result is a JSON text.
#[derive(Debug, Clone)]
pub(crate) struct BodyTemplate {}

/// A template whose result is an absolute http or https URL.
#[derive(Debug, Clone)]
pub(crate) struct UrlTemplate {}

impl BodyTemplate {
    /// Compiles a template, refusing whatever could go wrong later; `field` is its path in the document.
    pub(crate) fn compile(_slot: Slot, _field: &'static str, _text: &str) -> Result<BodyTemplate> {
        unimplemented!()
    }
    /// Whether the template names the variable, such as `case.title`.
    pub(crate) fn uses(&self, _variable: &str) -> bool {
        unimplemented!()
    }
    pub(crate) fn render(&self, _variables: &Variables<'_>) -> Result<String, RenderError> {
        unimplemented!()
    }
}

impl UrlTemplate {
    /// Compiles a template, refusing whatever could go wrong later; `field` is its path in the document.
    pub(crate) fn compile(_slot: Slot, _field: &'static str, _text: &str) -> Result<UrlTemplate> {
        unimplemented!()
    }
    /// Whether the template names the variable, such as `external.system.id`.
    pub(crate) fn uses(&self, _variable: &str) -> bool {
        unimplemented!()
    }
    /// The text as rendered; use [`UrlTemplate::url`] for a URL to send to.
    pub(crate) fn render(&self, _variables: &Variables<'_>) -> Result<String, RenderError> {
        unimplemented!()
    }
    /// Rendered and parsed.
    pub(crate) fn url(&self, _variables: &Variables<'_>) -> Result<url::Url, RenderError> {
        unimplemented!()
    }
    /// The URL with every variable replaced by a harmless sample: for checks of scheme, host and port.
    pub(crate) fn sample(&self) -> &url::Url {
        unimplemented!()
    }
}
