//! Where time comes from. Everything below the agent is handed the time; only this file asks the system.

use std::time::{Duration, Instant, SystemTime};

use crate::model::Timestamp;

/// One look at both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// The wall clock: may jump.
    pub(crate) wall: Timestamp,
    /// Time since some fixed moment: never jumps, never stored.
    pub(crate) steady: Duration,
}

/// A source of time.
pub(crate) trait Clock: Send + Sync {
    fn now(&self) -> Now;
}

/// The clocks of the operating system.
#[derive(Debug)]
pub(crate) struct SystemClock {
    start: Instant,
}

impl SystemClock {
    pub(crate) fn new() -> SystemClock {
        SystemClock {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now {
            wall: SystemTime::now().into(),
            steady: self.start.elapsed(),
        }
    }
}
