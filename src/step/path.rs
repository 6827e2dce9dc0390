//! Paths into an answer's JSON: `a.b`, `a[0].b`, `["x.y"]`; a literal top-level key wins.

use crate::error::Result;

/// A path into an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResponsePath {
    // filled in by the step work
}

impl ResponsePath {
    /// Parses a path; `field` is where it stands in the connector document.
    pub(crate) fn parse(_field: &'static str, _text: &str) -> Result<ResponsePath> {
        unimplemented!()
    }
}
