//! Reads secrets on threads of their own, one for each read, so that whoever waits for one can give it up.
//!
//! A thread that was given up ends when its read does. It holds nothing but what it reads with: neither the outbox nor the
//! lock of the process that drains.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::fetch::{Fetch, Fetched, Owner, Unfetched};
use crate::error::Error;

/// The reads under way.
#[derive(Default)]
pub(super) struct Fetcher {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Rung when a read ends, and at closing.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    reads: HashMap<Owner, Read>,
}

enum Read {
    Awaited,
    Ended(Fetched),
    GivenUp,
}

impl Fetcher {
    /// Reads, and waits for it as long as that may take. While an earlier read of the same connector has not come back there
    /// is no other one, so that not more than one thread hangs for it.
    pub(super) fn fetch(&self, fetch: Fetch) -> Fetched {
        let Fetch {
            owner, within, read, ..
        } = fetch;
        let mut state = self.shared.lock();
        if state.closed {
            return Err(Unfetched::Closed);
        }
        if state.reads.contains_key(&owner) {
            return failed(
                "a file that they refer to is still being read since an earlier try; see whether its file system answers",
            );
        }
        state.reads.insert(owner, Read::Awaited);
        drop(state);
        let shared = Arc::clone(&self.shared);
        let spawned = std::thread::Builder::new()
            .name("casehook-secrets".to_owned())
            .spawn(move || {
                let read = catch_unwind(AssertUnwindSafe(read))
                    .unwrap_or_else(|_| Err("the secrets cannot be read: a bug in casehook".to_owned()));
                shared.end(owner, read.map_err(Unfetched::Failed));
            });
        if let Err(error) = spawned {
            self.shared.lock().reads.remove(&owner);
            return failed(&format!("no thread to read them could be started: {error}"));
        }
        let unread =
            |state: &mut State| !state.closed && matches!(state.reads.get(&owner), Some(Read::Awaited));
        let mut state = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), within, unread)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        if let Some(Read::Ended(fetched)) = state.reads.remove(&owner) {
            return fetched;
        }
        state.reads.insert(owner, Read::GivenUp);
        if state.closed {
            return Err(Unfetched::Closed);
        }
        failed(&format!(
            "a file that they refer to was not read within {} s; see whether its file system answers",
            within.as_secs_f64()
        ))
    }

    /// Lets nobody wait any more.
    pub(super) fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn end(&self, owner: Owner, fetched: Fetched) {
        let mut state = self.lock();
        match state.reads.remove(&owner) {
            Some(Read::Awaited) => {
                state.reads.insert(owner, Read::Ended(fetched));
                self.changed.notify_all();
            }
            Some(Read::Ended(_) | Read::GivenUp) | None => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(why: &str) -> Fetched {
    Err(Unfetched::Failed(Error::config("secrets", why).to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::outbox::ConnectorId;

    const OWNER: Owner = (ConnectorId(7), 1);
    const OTHER: Owner = (ConnectorId(8), 1);
    const LONG: Duration = Duration::from_secs(3_600);

    fn fetch(owner: Owner, within: Duration, read: impl FnOnce() -> String + Send + 'static) -> Fetch {
        Fetch {
            push: crate::PushId::from(1),
            owner,
            within,
            read: Box::new(move || Err(read())),
        }
    }

    /// A read that hangs until the sender is used or dropped.
    fn hanging(within: Duration) -> (mpsc::Sender<()>, Fetch) {
        let (release, hang) = mpsc::channel::<()>();
        let read = move || {
            let _ = hang.recv();
            "came back".to_owned()
        };
        (release, fetch(OWNER, within, read))
    }

    fn why(fetched: Fetched) -> String {
        match fetched {
            Err(Unfetched::Failed(why)) => why,
            Err(Unfetched::Closed) => "closed".to_owned(),
            Ok(_) => "read".to_owned(),
        }
    }

    #[test]
    fn a_read_that_hangs_is_given_up_and_not_begun_again_before_it_comes_back() {
        let fetcher = Fetcher::default();
        let (release, hung) = hanging(Duration::from_millis(10));
        let said = why(fetcher.fetch(hung));
        assert!(said.contains("not read within 0.01 s"), "{said}");
        let again = why(fetcher.fetch(fetch(OWNER, LONG, || unreachable!())));
        assert!(again.contains("since an earlier try"), "{again}");
        // Of another connector, or of this one configured anew.
        for other in [OTHER, (ConnectorId(7), 2)] {
            assert_eq!(why(fetcher.fetch(fetch(other, LONG, || "no".to_owned()))), "no");
        }
        release.send(()).unwrap();
        while !fetcher.shared.lock().reads.is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(
            why(fetcher.fetch(fetch(OWNER, LONG, || "there".to_owned()))),
            "there"
        );
    }

    #[test]
    fn closing_waits_for_no_read() {
        let fetcher = Fetcher::default();
        let (release, hung) = hanging(LONG);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| why(fetcher.fetch(hung)));
            fetcher.close();
            assert_eq!(waiting.join().unwrap(), "closed");
        });
        assert_eq!(
            why(fetcher.fetch(fetch(OTHER, LONG, || unreachable!()))),
            "closed"
        );
        drop(release);
    }

    #[test]
    fn a_read_that_panics_is_an_error() {
        let fetcher = Fetcher::default();
        let said = why(fetcher.fetch(fetch(OWNER, LONG, || panic!("on purpose"))));
        assert!(said.contains("a bug in casehook"), "{said}");
    }
}
