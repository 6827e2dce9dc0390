//! The facade: what a host program calls.

mod connectors;
mod core;
#[cfg(feature = "postgres")]
mod moving;
mod place;
mod preview;
mod pushes;
mod reach;
mod registry;
mod sights;
mod trial;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::core::Core;
use self::place::Place;
use self::registry::Slot;
use crate::error::{Error, ErrorKind, Result};
use crate::options::Options;

/// How long an agent that is dropped without [`Agent::close`] waits for requests under way.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

/// An open outbox and, unless told otherwise, the threads that deliver it.
///
/// `Send` and `Sync`; clones are handles of the same agent. Opening the same database again in one process gives another
/// agent that shares the store and the threads. Calls block while they read or write the database, never for the network
/// (but [`Agent::test`], [`Agent::wait`] and [`Agent::flush`]). In a forked child every call fails with
/// [`ErrorKind::Forked`]; the child can open an agent of its own on a database that was not open at the fork (see
/// [`crate::fork`]).
#[derive(Clone)]
pub struct Agent {
    session: Arc<Session>,
}

/// One opening of the database.
struct Session {
    core: Option<Arc<Core>>,
    slot: Arc<Slot>,
    closed: AtomicBool,
}

impl Agent {
    /// Opens the database at `path`, creating it (readable by its owner alone) when it is not there.
    ///
    /// With the feature `postgres`, a `path` that begins with `postgres://` or `postgresql://` names a schema of a
    /// PostgreSQL database (parameter `schema`, default `casehook`) that many hosts push to and drain together; see the
    /// manual's chapter on PostgreSQL. `Busy` then says that the server cannot be reached; with [`Options::spool`] it opens
    /// all the same.
    ///
    /// # Errors
    /// `SchemaTooNew` and `Corrupt` leave the file as it is; `SecondCopy` when another copy of casehook in this process
    /// has it open; `Forked` when this process was forked with it open; `Store` when the folder cannot be used.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Agent> {
        if !(1..=64).contains(&options.workers) {
            let message = format!("{} is not a number of workers; use 1 to 64", options.workers);
            return Err(Error::new(ErrorKind::Argument, message).at("workers"));
        }
        let (place, slot) = registry::slot(path.as_ref())?;
        let mut held = slot.lock();
        let core = match held.upgrade().filter(|core| !core.is_shut()) {
            Some(core) if !core.is_of(&place) => {
                let message = "this process uses the file as the spool of a database server; open the server";
                return Err(Error::new(ErrorKind::Argument, message).at("path"));
            }
            Some(core) => {
                if options.drain {
                    core.start_draining(options.workers)?;
                }
                core
            }
            None => {
                let core = open_core(&place, &options)?;
                *held = Arc::downgrade(&core);
                core
            }
        };
        core.join();
        drop(held);
        let session = Session {
            core: Some(core),
            slot,
            closed: AtomicBool::new(false),
        };
        Ok(Agent {
            session: Arc::new(session),
        })
    }

    /// Writes a consistent copy of the database to a new file, while everything goes on. It carries no key.
    ///
    /// # Errors
    /// `Argument` when the file is there already, `Store` when it cannot be written.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<()> {
        self.core()?.store.backup(path.as_ref())
    }

    /// Stops: claims nothing more, waits for requests under way up to `timeout`, then shuts their sockets. Later calls fail
    /// with `Closed`; a second close does nothing. What was not delivered stays stored. Other agents of the same database
    /// in this process go on.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        match &self.session.core {
            Some(core) if core.is_own_process() => self.session.close(timeout),
            _ => Err(forked()),
        }
    }

    fn core(&self) -> Result<&Core> {
        match &self.session.core {
            Some(core) if !core.is_own_process() => Err(forked()),
            Some(core) if !self.session.closed.load(Ordering::Acquire) => Ok(core),
            _ => Err(Error::new(
                ErrorKind::Closed,
                "the agent was closed; open the database again",
            )),
        }
    }
}

/// Opens what all agents of the place are going to share, with its spool.
fn open_core(place: &Place, options: &Options) -> Result<Arc<Core>> {
    let refused = |message: &str| Err(Error::new(ErrorKind::Argument, message).at("spool"));
    let Some(spool) = &options.spool else {
        return Ok(Arc::new(Core::open(place, None, options)?));
    };
    if let Place::File(_) = place {
        return refused(
            "a spool belongs before a database server, and the outbox is a file; leave the spool out",
        );
    }
    let (file, slot) = registry::slot(spool)?;
    let Place::File(path) = &file else {
        return refused("a spool is a file; give its path");
    };
    let mut held = slot.lock();
    if held.upgrade().is_some_and(|core| !core.is_shut()) {
        return refused("this process has the file open already; give each outbox a spool of its own");
    }
    let core = Arc::new(Core::open(place, Some(path), options)?);
    *held = Arc::downgrade(&core);
    Ok(core)
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").finish_non_exhaustive()
    }
}

impl Session {
    fn close(&self, timeout: Duration) -> Result<()> {
        let _slot = self.slot.lock();
        let Some(core) = &self.core else { return Ok(()) };
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        core.bells.ring();
        match core.leave() {
            0 => core.shutdown(timeout),
            _ => Ok(()),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        match self.core.take() {
            // A forked child owns neither the threads nor the database connections; touching them would hurt the parent.
            Some(core) if !core.is_own_process() => std::mem::forget(core),
            core => {
                self.core = core;
                if let Err(error) = self.close(DROP_TIMEOUT) {
                    log::warn!("closing the outbox: {error}");
                }
            }
        }
    }
}

fn forked() -> Error {
    let message = "the agent was opened before this process was forked; fork first and open then, or start the child as a new program";
    Error::new(ErrorKind::Forked, message)
}
