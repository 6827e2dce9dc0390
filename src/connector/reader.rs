//! Reads fields of a document whose types are known to be right.

use serde_json::{Map, Value};

use crate::error::Result;
use crate::response::ResponsePath;

/// An object of a document; without it every field is absent.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) Option<&'a Map<String, Value>>);

impl<'a> Reader<'a> {
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        self.0?.get(name)
    }

    /// A string that is there and not empty.
    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn flag(self, name: &str, default: bool) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(default)
    }

    pub(super) fn number(self, name: &str) -> Option<u64> {
        self.get(name)?.as_u64()
    }

    pub(super) fn object(self, name: &str) -> Option<&'a Map<String, Value>> {
        self.get(name)?.as_object()
    }

    pub(super) fn inner(self, name: &str) -> Reader<'a> {
        Reader(self.object(name))
    }

    pub(super) fn path(self, name: &str, field: &'static str) -> Result<Option<ResponsePath>> {
        self.text(name)
            .map(|text| ResponsePath::parse(field, text))
            .transpose()
    }
}
