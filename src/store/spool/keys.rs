//! The keys under which calls to push are stored once.

use std::sync::{Mutex, PoisonError};

/// Those that are not going to be used again, until the database is told of them.
#[derive(Default)]
pub(super) struct Keys {
    settled: Mutex<Vec<String>>,
}

impl Keys {
    /// The answer to the call under this key is known.
    pub(super) fn settle(&self, key: String) {
        self.settle_again(vec![key]);
    }

    /// The database could not be told.
    pub(super) fn settle_again(&self, keys: Vec<String>) {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        settled.extend(keys);
    }

    /// Those that the database is about to be told of.
    pub(super) fn take_settled(&self) -> Vec<String> {
        std::mem::take(&mut *self.settled.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
