//! The connections of one store, and how a transaction is run on them so that its end is known.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;

use super::address::Address;
use super::conn::{Conn, Io, STATEMENT_PATIENCE};
use super::fault::{Fault, Sql};
use super::mark::{self, End, Mark};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Cause, Lost};

/// The connections that one store works on, beside the one that listens.
const MOST: usize = 4;
/// How long a call waits for one of them, and closing for the calls at work.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long one of the connections that there are is waited for where the server has no more to give.
const CROWDED: Duration = Duration::from_millis(100);
/// How often work is begun anew when others were in its way, or the connection was cut before it was committed.
const TRIES: u32 = 6;
/// How long the end of a transaction is asked for whose commit was not answered.
const DOUBT: Duration = Duration::from_secs(10);

/// The connections of one store.
pub(super) struct Pool {
    pub(super) io: Io,
    pub(super) address: Address,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Conn>,
    open: usize,
    closed: bool,
}

/// What a commit waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Commit {
    Durable,
    /// The server's memory: for what may be lost with the server.
    Quick,
    Read,
}

impl Pool {
    pub(super) fn new(address: Address) -> Result<Pool> {
        Ok(Pool {
            io: Io::start()?,
            address,
            state: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    /// Takes in a connection that was made elsewhere.
    pub(super) fn adopt(&self, conn: Conn) {
        self.lock().open += 1;
        self.give_back(conn);
    }

    /// Runs `work` in one transaction and commits when it returns `Ok`. It may be run several times.
    pub(super) fn write<T>(&self, work: impl FnMut(&Conn) -> Sql<T>) -> Result<T> {
        self.write_or_tell(work).map_err(|lost| lost.error)
    }

    /// The same; a failure says whether it may have been stored all the same.
    pub(super) fn write_or_tell<T>(&self, work: impl FnMut(&Conn) -> Sql<T>) -> Result<T, Lost> {
        self.transact(Commit::Durable, work)
    }

    /// The same for what may be forgotten when the server crashes.
    pub(super) fn note<T>(&self, work: impl FnMut(&Conn) -> Sql<T>) -> Result<T> {
        self.transact(Commit::Quick, work).map_err(|lost| lost.error)
    }

    /// Runs `work` on one snapshot.
    pub(super) fn read<T>(&self, work: impl FnMut(&Conn) -> Sql<T>) -> Result<T> {
        self.transact(Commit::Read, work).map_err(|lost| lost.error)
    }

    /// Runs `work` outside any transaction; it may be run several times.
    pub(super) fn glance<T>(&self, mut work: impl FnMut(&Conn) -> Sql<T>) -> Result<T> {
        self.persist(|conn| work(conn).map_err(Ended::Undone))
            .map_err(|lost| lost.error)
    }

    /// Closes the connections when the calls at work have ended, but after `patience` in any case. Later calls err with
    /// `Closed`.
    pub(super) fn close(&self, patience: Duration) {
        let idle = {
            let mut state = self.lock();
            state.closed = true;
            std::mem::take(&mut state.idle)
        };
        self.lock().open -= idle.len();
        drop(idle);
        self.freed.notify_all();
        let at_work = self
            .freed
            .wait_timeout_while(self.lock(), patience.min(PATIENCE), |state| state.open > 0);
        drop(at_work);
        self.io.stop();
    }

    fn transact<T>(&self, commit: Commit, mut work: impl FnMut(&Conn) -> Sql<T>) -> Result<T, Lost> {
        self.persist(|conn| {
            let begun = match commit {
                Commit::Durable => mark::begin(conn).map(Some),
                Commit::Quick => conn
                    .batch("BEGIN; SET LOCAL synchronous_commit TO off")
                    .map(|_| None),
                Commit::Read => conn
                    .batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .map(|_| None),
            };
            let mark = begun.map_err(Ended::NotBegun)?;
            let value = work(conn).map_err(Ended::Undone)?;
            match (conn.batch("COMMIT"), mark) {
                (Ok(_), _) => Ok(value),
                (Err(fault), Some(mark)) if fault.is_broken() => Err(Ended::Unanswered(mark, value)),
                (Err(fault), _) => Err(Ended::Undone(fault)),
            }
        })
    }

    /// Runs `work` on a connection until it is done, or is not going to be.
    fn persist<T>(&self, mut work: impl FnMut(&Conn) -> Result<T, Ended<T>>) -> Result<T, Lost> {
        let mut tries = 0;
        loop {
            tries += 1;
            let conn = self.take().map_err(Lost::entirely)?;
            let (fault, cause) = match work(&conn) {
                Ok(value) => {
                    self.give_back(conn);
                    return Ok(value);
                }
                Err(Ended::NotBegun(fault)) => (self.undo(conn, fault), Cause::Any),
                Err(Ended::Undone(fault)) => {
                    let cause = fault.cause();
                    (self.undo(conn, fault), cause)
                }
                Err(Ended::Unanswered(mark, value)) => {
                    self.discard(conn);
                    let committed = self.was_committed(&mark).map_err(Lost::in_doubt)?;
                    match committed {
                        true => return Ok(value),
                        false => (Fault::Broken("the connection was cut".to_owned()), Cause::Any),
                    }
                }
            };
            let again = fault.is_conflict() || fault.is_broken();
            if !again || tries >= TRIES {
                return Err(Lost {
                    cause,
                    ..Lost::entirely(fault.into_error())
                });
            }
            if fault.is_conflict() {
                std::thread::sleep(Duration::from_micros(fastrand::u64(200..5_000)));
            }
        }
    }

    /// Leaves nothing of the transaction that the fault ended.
    fn undo(&self, conn: Conn, fault: Fault) -> Fault {
        match fault.is_broken() || conn.batch("ROLLBACK").is_err() {
            true => self.discard(conn),
            false => self.give_back(conn),
        }
        fault
    }

    /// What became of a transaction whose commit was sent and not answered.
    fn was_committed(&self, mark: &Mark) -> Result<bool> {
        let unknown = |why: &str| {
            let message = format!(
                "the connection to the PostgreSQL server was cut during a commit, and it cannot be told whether it \
                 was stored ({why}); look before calling again"
            );
            // Not `Busy`: whoever just calls again may store it twice.
            Error::new(ErrorKind::Store, message)
        };
        let started = Instant::now();
        loop {
            let end = self.take().and_then(|conn| {
                let end = mark::look(&conn, mark);
                match &end {
                    Ok(_) => self.give_back(conn),
                    Err(_) => self.discard(conn),
                }
                end.map_err(Fault::into_error)
            });
            match end {
                Ok(End::Committed) => return Ok(true),
                Ok(End::NotCommitted) => return Ok(false),
                Ok(End::Forgotten) => return Err(unknown("it is too long ago")),
                Ok(End::UnderWay) if started.elapsed() > DOUBT => {
                    return Err(unknown("it has not ended there"));
                }
                Err(error) if started.elapsed() > DOUBT || error.kind() == ErrorKind::Closed => {
                    return Err(unknown(error.message()));
                }
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn take(&self) -> Result<Conn> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.lock();
        loop {
            if state.closed {
                return Err(closed());
            }
            while let Some(conn) = state.idle.pop() {
                if !conn.is_closed() {
                    return Ok(conn);
                }
                state.open -= 1;
            }
            if state.open < MOST {
                state.open += 1;
                drop(state);
                let fault = match Conn::open(&self.io, &self.address, STATEMENT_PATIENCE) {
                    Ok(conn) => return Ok(conn),
                    Err(fault) => fault,
                };
                state = self.lock();
                state.open -= 1;
                self.freed.notify_all();
                // The server has none to give: then those that there are have to do.
                let wait = fault.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) && state.open > 0;
                if !wait || Instant::now() >= deadline {
                    return Err(fault.into_error());
                }
                state = self
                    .freed
                    .wait_timeout(state, CROWDED)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let message =
                    format!("all {MOST} connections to the PostgreSQL server are at work; call again");
                return Err(Error::new(ErrorKind::Busy, message));
            }
            state = self
                .freed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn give_back(&self, conn: Conn) {
        let mut state = self.lock();
        if state.closed || conn.is_closed() {
            state.open -= 1;
        } else {
            state.idle.push(conn);
        }
        drop(state);
        self.freed.notify_all();
    }

    /// Gives a connection up, and the idle ones along with it: what broke it most likely broke them, and each would have to
    /// be waited for to see that.
    fn discard(&self, conn: Conn) {
        drop(conn);
        let idle = {
            let mut state = self.lock();
            let idle = std::mem::take(&mut state.idle);
            state.open -= 1 + idle.len();
            idle
        };
        drop(idle);
        self.freed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a piece of work ended that is not known to be stored.
enum Ended<T> {
    /// It is not; the fault says nothing of the work, which was not come to.
    NotBegun(Fault),
    /// It is not.
    Undone(Fault),
    /// The commit of the transaction with that mark was sent.
    Unanswered(Mark, T),
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the outbox was closed; open it again")
}
