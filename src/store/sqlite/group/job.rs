//! Those who wait for a commit, and how they learn of its end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use rusqlite::Connection;

use crate::error::Result;
use crate::store::sqlite::fault::Sql;
use crate::store::sqlite::lock::lock;

/// How many each wakes of those who share a commit.
const TOLD_BY_EACH: usize = 3;

/// What one caller wants written. It is run again, alone, when the transaction it was run in came to nothing.
type Work = Box<dyn FnMut(&Connection) -> Sql<()> + Send>;

/// One caller and its work.
pub(super) struct Job {
    work: Mutex<Work>,
    state: Mutex<State>,
    changed: Condvar,
}

pub(super) enum State {
    Waiting,
    /// To lead the next group, which it is part of.
    Leading,
    /// How it ended, and who may not know yet how theirs did.
    Done(Result<()>, Arc<News>),
}

/// A job and how it ended.
pub(super) type Ended = (Arc<Job>, Result<()>);

/// What those who wait learn one from the other.
pub(super) struct News {
    ended: Vec<Ended>,
    /// The first that nobody told yet.
    next: AtomicUsize,
}

impl News {
    /// Of a group whose leader knows already: the first.
    pub(super) fn new(ended: Vec<Ended>) -> Arc<News> {
        Arc::new(News {
            ended,
            next: AtomicUsize::new(1),
        })
    }

    /// Wakes some of those who do not know yet; each of them does the same. All take from one list, so that one whose thread
    /// is held up holds up nobody else.
    pub(super) fn spread(self: &Arc<News>) {
        for _ in 0..TOLD_BY_EACH {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            match self.ended.get(next) {
                Some((job, end)) => job.turn(State::Done(end.clone(), Arc::clone(self))),
                None => return,
            }
        }
    }
}

impl Job {
    pub(super) fn new(work: impl FnMut(&Connection) -> Sql<()> + Send + 'static) -> Arc<Job> {
        Arc::new(Job {
            work: Mutex::new(Box::new(work)),
            state: Mutex::new(State::Waiting),
            changed: Condvar::new(),
        })
    }

    /// Waits until it is done, or its turn to lead: then `None`.
    pub(super) fn await_turn(&self) -> Option<Result<()>> {
        let waiting = |state: &mut State| matches!(state, State::Waiting);
        let told = {
            let state = self.changed.wait_while(lock(&self.state), waiting);
            std::mem::replace(
                &mut *state.unwrap_or_else(PoisonError::into_inner),
                State::Waiting,
            )
        };
        match told {
            State::Done(end, news) => {
                news.spread();
                Some(end)
            }
            State::Leading | State::Waiting => None,
        }
    }

    pub(super) fn turn(&self, state: State) {
        *lock(&self.state) = state;
        self.changed.notify_one();
    }

    pub(super) fn run(&self, conn: &Connection) -> Sql<()> {
        (lock(&self.work))(conn)
    }
}
