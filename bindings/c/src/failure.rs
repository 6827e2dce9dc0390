//! A failure on its way to the caller.

use casehook_rs::ErrorKind;

/// What [`casehook_error`](crate::error::casehook_error) is made of.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) field: Option<String>,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            field: None,
            message: message.into(),
        }
    }

    /// An argument that cannot be used; `field` is its name in the header.
    pub(crate) fn argument(field: &str, message: impl Into<String>) -> Failure {
        Failure::new(ErrorKind::Argument, message).at(field)
    }

    /// An argument that must not be NULL and is.
    pub(crate) fn null(field: &str) -> Failure {
        Failure::argument(field, "this must not be NULL")
    }

    pub(crate) fn at(mut self, field: impl Into<String>) -> Failure {
        self.field = Some(field.into());
        self
    }

    /// The same about a part of something larger: `cases[3]` before `incident.title`.
    pub(crate) fn within(self, outer: &str) -> Failure {
        let field = match &self.field {
            Some(inner) => format!("{outer}.{inner}"),
            None => outer.to_owned(),
        };
        self.at(field)
    }
}

impl From<casehook_rs::Error> for Failure {
    fn from(error: casehook_rs::Error) -> Failure {
        Failure {
            kind: error.kind(),
            field: error.field().map(str::to_owned),
            message: error.message().to_owned(),
        }
    }
}
