//! Why a command ends without having done its work, and the exit code that says so.

use serde_json::json;

use crate::{Error, ErrorKind};

/// Everything went as asked.
pub(super) const OK: i32 = 0;
/// A push failed, or a connector or case was refused.
pub(super) const FAILED: i32 = 1;
/// The command line makes no sense, or a file named in it cannot be read.
pub(super) const USAGE: i32 = 2;
/// The database cannot be used.
pub(super) const STORE: i32 = 3;

/// Why a command ends without having done its work.
#[derive(Debug)]
pub(super) struct Failure {
    kind: ErrorKind,
    /// The file, or the case in it, that it is about.
    place: Option<String>,
    field: Option<String>,
    message: String,
}

impl Failure {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            place: None,
            field: None,
            message: message.into(),
        }
    }

    /// Something about the command line, or about a file named in it.
    pub(super) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(ErrorKind::Argument, message)
    }

    /// The same failure, its text begun with where it happened.
    pub(super) fn within(mut self, place: &str) -> Failure {
        self.place = Some(place.to_owned());
        self
    }

    /// The same failure, its text followed by what to do next.
    pub(super) fn hint(mut self, hint: &str) -> Failure {
        self.message = format!("{}; {hint}", self.message.trim_end_matches('.'));
        self
    }

    pub(super) fn exit_code(&self) -> i32 {
        match self.kind {
            ErrorKind::Config
            | ErrorKind::Case
            | ErrorKind::NotFound
            | ErrorKind::State
            | ErrorKind::Timeout => FAILED,
            ErrorKind::Argument => USAGE,
            _ => STORE,
        }
    }

    /// For people: one line, from the file over the field to what is wrong.
    pub(super) fn text(&self) -> String {
        let parts = [self.place.as_deref(), self.field.as_deref(), Some(&self.message)];
        parts.into_iter().flatten().collect::<Vec<&str>>().join(": ")
    }

    /// For machines: `{"error": {"code", "number", "message", "field", "retryable"}}`.
    pub(super) fn json(&self) -> serde_json::Value {
        let message = match &self.place {
            Some(place) => format!("{place}: {}", self.message),
            None => self.message.clone(),
        };
        json!({"error": {
            "code": self.kind.name(),
            "number": self.kind.number(),
            "message": message,
            "field": self.field,
            "retryable": self.kind.is_retryable(),
        }})
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure {
            kind: error.kind(),
            place: None,
            field: error.field().map(str::to_owned),
            message: error.message().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_the_exit_code_that_scripts_rely_on() {
        for (kind, code) in [
            (ErrorKind::Config, 1),
            (ErrorKind::Case, 1),
            (ErrorKind::NotFound, 1),
            (ErrorKind::State, 1),
            (ErrorKind::Timeout, 1),
            (ErrorKind::Argument, 2),
            (ErrorKind::Store, 3),
            (ErrorKind::Corrupt, 3),
            (ErrorKind::QueueFull, 3),
            (ErrorKind::Key, 3),
        ] {
            assert_eq!(Failure::new(kind, "x").exit_code(), code, "{kind}");
        }
    }

    #[test]
    fn json_carries_the_error_table_and_the_field() {
        let failure = Failure::from(Error::config("config.headers", "is wrong")).within("a.json");
        assert_eq!(
            failure.json(),
            json!({"error": {"code": "config", "number": 1, "message": "a.json: is wrong",
                "field": "config.headers", "retryable": false}})
        );
        assert_eq!(failure.text(), "a.json: config.headers: is wrong");
    }
}
