//! The number of a push.

use std::fmt;

/// The number of a push: positive, unique in its database, growing in the order of acceptance.
///
/// Negative for one that was accepted while the database server could not be reached: see [`crate::Options::spool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct PushId(i64);

impl PushId {
    /// The number itself.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl From<i64> for PushId {
    fn from(number: i64) -> PushId {
        PushId(number)
    }
}

impl From<PushId> for i64 {
    fn from(id: PushId) -> i64 {
        id.0
    }
}

impl fmt::Display for PushId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
