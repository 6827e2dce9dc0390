//! A case as the host hands it in: the incident and its comments.

use serde_json::{Map, Value};

use crate::error::Result;

/// The sizes that a push may have; each is refused with an error of its own.
pub mod limits {
    /// The title, in bytes.
    pub const TITLE_BYTES: usize = 64 * 1024;
    /// A whole push, in bytes of its JSON.
    pub const PUSH_BYTES: usize = 4 * 1024 * 1024;
    /// The comments of one push.
    pub const COMMENTS: usize = 10_000;
    /// The tags of one push.
    pub const TAGS: usize = 1_000;
    /// The name of a connector, in bytes.
    pub const NAME_BYTES: usize = 128;
    /// A template, in bytes.
    pub const TEMPLATE_BYTES: usize = 64 * 1024;
}

/// One comment of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comment {
    /// The host's id of the comment; a comment is sent once under its id.
    pub id: String,
    /// The text.
    pub text: String,
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
}
