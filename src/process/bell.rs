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
        self.strike();
        self.heard.notify_all();
    }

    /// Wakes one of those who wait, and nobody if nobody waits; whoever comes later with an older count does not wait.
    pub(crate) fn ring_for_one(&self) {
        self.strike();
        self.heard.notify_one();
    }

    fn strike(&self) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        *rung = rung.wrapping_add(1);
    }

    /// How often it was rung so far: take this before looking at what may change.
    pub(crate) fn count(&self) -> u64 {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it was rung more than `seen` times, or the time is up, if there is one.
    pub(crate) fn wait_beyond(&self, seen: u64, timeout: Option<Duration>) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        match timeout {
            Some(timeout) => drop(
                self.heard
                    .wait_timeout_while(rung, timeout, |rung| *rung == seen)
                    .unwrap_or_else(PoisonError::into_inner),
            ),
            None => drop(
                self.heard
                    .wait_while(rung, |rung| *rung == seen)
                    .unwrap_or_else(PoisonError::into_inner),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_between_looking_and_waiting_is_not_missed() {
        let bell = Bell::default();
        for ring in [Bell::ring, Bell::ring_for_one] {
            let seen = bell.count();
            ring(&bell);
            bell.wait_beyond(seen, None);
        }
    }

    #[test]
    fn one_ring_wakes_everybody_or_one() {
        let bell = Bell::default();
        let seen = bell.count();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| bell.wait_beyond(seen, None));
            }
            bell.ring();
        });
        let seen = bell.count();
        std::thread::scope(|scope| {
            scope.spawn(|| bell.wait_beyond(seen, None));
            bell.ring_for_one();
        });
    }
}
