//! Whether there is room for more pushes, without counting at each of them what is there.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Retention;
use crate::error::{Error, ErrorKind, Result};

/// For how long a count is trusted: what other processes accept meanwhile is not in it.
const COUNT_LASTS: Duration = Duration::from_secs(1);

/// What may be accepted on trust: a tenth of the room that there was, so that processes which all do so do not exceed the
/// limit by much, and one alone never does.
#[derive(Default)]
pub(super) struct Room {
    known: Mutex<Option<Known>>,
}

/// What the last count left.
struct Known {
    at: Instant,
    /// The limit that it was held against.
    limit: u64,
    /// How many more may be accepted without counting again.
    left: u64,
}

impl Room {
    /// Whether `pushes` more may be accepted without counting.
    pub(super) fn take(&self, pushes: usize, retention: &Retention) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let current = |known: &&mut Known| {
            known.limit == retention.max_queued
                && known.left >= pushes as u64
                && known.at.elapsed() < COUNT_LASTS
        };
        match known.as_mut().filter(current) {
            Some(known) => {
                known.left -= pushes as u64;
                true
            }
            None => false,
        }
    }

    /// So many undelivered pushes there are, the accepted ones included.
    pub(super) fn counted(&self, undelivered: u64, retention: &Retention) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(Known {
            at: Instant::now(),
            limit: retention.max_queued,
            left: retention.max_queued.saturating_sub(undelivered) / 10,
        });
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
    fn counts_at_first_and_after_a_tenth_of_the_room() {
        let room = Room::default();
        assert!(!room.take(1, &limit(100)));
        room.counted(80, &limit(100));
        assert!(room.take(1, &limit(100)) && room.take(1, &limit(100)));
        assert!(!room.take(1, &limit(100)), "there was room for 20");
        room.counted(80, &limit(100));
        assert!(!room.take(3, &limit(100)));
        assert!(!room.take(1, &limit(90)), "it was held against another limit");
        assert!(room.take(2, &limit(100)), "what was refused took nothing");
        room.counted(0, &limit(9));
        assert!(!room.take(1, &limit(9)), "small limits are exact");
        room.counted(9, &limit(8));
        assert!(!room.take(1, &limit(8)));
        assert!(!room.take(usize::MAX, &limit(8)));
    }

    #[test]
    fn says_what_would_be_right() {
        assert!(refuse_overflow(7, &limit(7)).is_ok());
        let error = refuse_overflow(8, &limit(7)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QueueFull);
        assert!(error.message().contains("maxQueued"), "{error}");
    }
}
