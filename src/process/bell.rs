//! Tells waiting calls that something may have changed.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A bell that any number of threads can wait for.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<u64>,
    heard: Condvar,
}

impl Bell {
    /// Wakes everybody who waits.
    pub(crate) fn ring(&self) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        *rung = rung.wrapping_add(1);
        drop(rung);
        self.heard.notify_all();
    }

    /// How often it was rung so far: take this before looking at what may change.
    pub(crate) fn count(&self) -> u64 {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is rung once more than `seen`, or the time is up.
    pub(crate) fn wait_beyond(&self, seen: u64, timeout: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self
            .heard
            .wait_timeout_while(rung, timeout, |rung| *rung == seen)
            .unwrap_or_else(PoisonError::into_inner);
    }
}
