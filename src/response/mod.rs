//! Values in an answer: paths to them, read from the JSON text itself so that nothing of it is lost.

pub(crate) mod json;
mod path;

pub(crate) use path::ResponsePath;
