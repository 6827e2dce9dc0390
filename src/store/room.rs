//! Whether there is room for more pushes, without counting at each of them what is there.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Retention;
use crate::error::{Error, ErrorKind, Result};

/// For how long a count is trusted: what other processes accept meanwhile is not in it.
const COUNT_LASTS: Duration = Duration::from_secs(1);

/// What was counted last, and when, with what was accepted here since.
#[derive(Default)]
pub(super) struct Room {
    known: Mutex<Option<(Instant, u64)>>,
}

impl Room {
    /// Whether `pushes` more may be accepted without counting: the last count is fresh, and with them it stays below nine
    /// tenths of the limit. What leaves the queue is seen at the next count.
    pub(super) fn take(&self, pushes: usize, retention: &Retention) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, count)) = known.as_mut().filter(|(at, _)| at.elapsed() < COUNT_LASTS) else {
            return false;
        };
        let grown = count.saturating_add(pushes as u64);
        let fits = grown < retention.max_queued / 10 * 9;
        if fits {
            *count = grown;
        }
        fits
    }

    /// So many undelivered pushes there are, the accepted ones included.
    pub(super) fn counted(&self, undelivered: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((Instant::now(), undelivered));
    }
}

/// `QueueFull` where there are more undelivered pushes than the limit allows.
pub(super) fn refuse_overflow(undelivered: u64, retention: &Retention) -> Result<()> {
    if undelivered <= retention.max_queued {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::QueueFull,
        format!(
            "the outbox would hold {undelivered} undelivered pushes, the limit is {}; wait until some are \
             delivered, discard failed ones, or raise maxQueued",
            retention.max_queued
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(max_queued: u64) -> Retention {
        Retention {
            max_queued,
            history_age: Duration::MAX,
            history_count: u64::MAX,
        }
    }

    #[test]
    fn counts_at_first_and_in_the_last_tenth() {
        let room = Room::default();
        assert!(!room.take(1, &limit(100)));
        room.counted(80);
        assert!(room.take(9, &limit(100)));
        assert!(!room.take(1, &limit(100)), "89 there");
        assert!(room.take(1, &limit(1_000)));
        room.counted(0);
        assert!(!room.take(1, &limit(9)), "small limits are exact");
        assert!(!room.take(usize::MAX, &limit(u64::MAX)));
    }

    #[test]
    fn says_what_would_be_right() {
        assert!(refuse_overflow(7, &limit(7)).is_ok());
        let error = refuse_overflow(8, &limit(7)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QueueFull);
        assert!(error.message().contains("maxQueued"), "{error}");
    }
}
