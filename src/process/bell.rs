//! Tells waiting calls that something may have changed.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the host's calls wait for.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    /// Something may have changed.
    pub(crate) change: Bell,
    /// Nothing is under way any more, or it was not a delivery that changed something.
    pub(crate) lull: Bell,
}

impl Bells {
    /// Rings both.
    pub(crate) fn ring(&self) {
        self.change.ring();
        self.lull.ring();
    }
}

/// A bell that any number of threads can wait for.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    heard: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rung: u64,
    /// How many wait; where nobody does, ringing takes no call of the system.
    waiting: usize,
}

impl Bell {
    /// Wakes everybody who waits.
    pub(crate) fn ring(&self) {
        if self.strike() {
            self.heard.notify_all();
        }
    }

    /// Wakes one of those who wait, and nobody if nobody waits; whoever comes later with an older count does not wait.
    pub(crate) fn ring_for_one(&self) {
        if self.strike() {
            self.heard.notify_one();
        }
    }

    /// Whether somebody waits.
    fn strike(&self) -> bool {
        let mut state = self.lock();
        state.rung = state.rung.wrapping_add(1);
        state.waiting > 0
    }

    /// How often it was rung so far: take this before looking at what may change.
    pub(crate) fn count(&self) -> u64 {
        self.lock().rung
    }

    /// Waits until it was rung more than `seen` times, or the time is up, if there is one.
    pub(crate) fn wait_beyond(&self, seen: u64, timeout: Option<Duration>) {
        let mut state = self.lock();
        state.waiting += 1;
        let unheard = |state: &mut State| state.rung == seen;
        let mut state = match timeout {
            Some(timeout) => {
                self.heard
                    .wait_timeout_while(state, timeout, unheard)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
            None => self
                .heard
                .wait_while(state, unheard)
                .unwrap_or_else(PoisonError::into_inner),
        };
        state.waiting -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
