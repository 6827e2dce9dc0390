//! What is refused of a document: the first of it for configure, all of it for a report.

use crate::error::{Error, Result};

/// How many are told of one document: more are not read, and looking through them takes its time.
pub(super) const MOST: usize = 200;

/// The refusals of one document, in the order in which they were met, one for each field.
#[derive(Debug, Default)]
pub(super) struct Refusals(Vec<Error>);

/// Something was refused, and its error is in the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused;

/// What was read, where it was not refused.
pub(super) type Taken<T> = std::result::Result<T, Refused>;

impl Refusals {
    /// Takes an error into the list. What comes second for a field most often comes of the first.
    pub(super) fn push(&mut self, error: Error) -> Refused {
        let full = self.0.len() == MOST;
        if !full && !self.0.iter().any(|known| known.field() == error.field()) {
            self.0.push(error);
        }
        Refused
    }

    pub(super) fn take<T>(&mut self, result: Result<T>) -> Taken<T> {
        result.map_err(|error| self.push(error))
    }

    /// The same where there is nothing to read.
    pub(super) fn check(&mut self, result: Result<()>) {
        if let Err(error) = result {
            self.push(error);
        }
    }

    /// Whether something of the field is refused: its value, or what stands in it.
    pub(super) fn has(&self, field: &str) -> bool {
        let mut fields = self.0.iter().filter_map(Error::field);
        fields.any(|refused| {
            let inside = refused.strip_prefix(field);
            inside.is_some_and(|inside| inside.is_empty() || inside.starts_with(['.', '[']))
        })
    }

    /// What was read, or the first refusal.
    pub(super) fn or_first<T>(self, taken: Taken<T>) -> Result<T> {
        match self.0.into_iter().next() {
            Some(first) => Err(first),
            None => taken.map_err(|Refused| Error::internal("something was refused without a word")),
        }
    }

    pub(super) fn into_all(self) -> Vec<Error> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_told_once_and_in_order() {
        let mut refusals = Refusals::default();
        for (field, message) in [("config.b", "1"), ("config.a.x", "2"), ("config.b", "3")] {
            refusals.push(Error::config(field, message));
        }
        assert!(refusals.has("config.a") && refusals.has("config.a.x") && refusals.has("config.b"));
        assert!(!refusals.has("config.a.y") && !refusals.has("config.ab"));
        let told: Vec<String> = refusals.0.iter().map(Error::to_string).collect();
        assert_eq!(told, ["config.b: 1", "config.a.x: 2"]);
        for place in 0..MOST {
            refusals.push(Error::config(format!("config.c{place}"), "4"));
        }
        assert_eq!(refusals.0.len(), MOST);
        assert_eq!(refusals.or_first(Ok(())).unwrap_err().message(), "1");
        assert_eq!(Refusals::default().or_first(Ok(7)).unwrap(), 7);
    }
}
