//! A disk that fails when told to, below the SQLite of this process.
//!
//! [`Disk::at`] takes charge of the databases in one directory: it counts what SQLite asks of the file system, makes
//! chosen calls fail or the process die at them, and can record every change, so that what a power cut would have
//! left is known for each moment. Databases elsewhere are left alone; tests with a directory each run side by side.

mod plan;
mod recording;
mod shim;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use plan::{Call, Effect, Plan};
pub use recording::{Event, Keep, Recording};

/// SQLite's result code for a full disk.
pub const FULL: i32 = rusqlite::ffi::SQLITE_FULL;

/// The disk under one directory, for as long as the value lives.
pub struct Disk {
    root: PathBuf,
    state: Arc<State>,
}

static DISKS: Mutex<Vec<(PathBuf, Arc<State>)>> = Mutex::new(Vec::new());

#[derive(Default)]
struct State {
    plan: Mutex<plan::Planned>,
    recording: Mutex<Option<Recording>>,
}

impl Disk {
    /// Takes charge of what is opened in `directory` from now on.
    ///
    /// # Panics
    /// When there is no such directory, or SQLite refuses the file system.
    pub fn at(directory: &Path) -> Disk {
        shim::register();
        #[expect(clippy::expect_used, reason = "a test that names no directory cannot go on")]
        let root = directory.canonicalize().expect("a directory");
        let state = Arc::new(State::default());
        lock(&DISKS).push((root.clone(), Arc::clone(&state)));
        Disk { root, state }
    }

    /// Counts from 0 again, and has this happen.
    pub fn plan(&self, plan: Plan) {
        lock(&self.state.plan).begin(Some(plan));
    }

    /// Counts from 0 again; nothing fails any more.
    pub fn heal(&self) {
        lock(&self.state.plan).begin(None);
    }

    /// How many calls of this kind there were since the last [`Disk::plan`] or [`Disk::heal`].
    pub fn count(&self, call: Call) -> u64 {
        lock(&self.state.plan).count(call)
    }

    /// How many calls the plan has met so far.
    pub fn met(&self) -> u64 {
        lock(&self.state.plan).met()
    }

    /// Records every change from now on. Begin while no database of the directory is open.
    pub fn record(&self) {
        *lock(&self.state.recording) = Some(Recording::default());
    }

    /// How many changes were recorded so far: the moment of whatever happens now.
    pub fn moment(&self) -> usize {
        lock(&self.state.recording)
            .as_ref()
            .map_or(0, |recording| recording.events().len())
    }

    /// Ends the recording and hands it out.
    pub fn recorded(&self) -> Recording {
        lock(&self.state.recording).take().unwrap_or_default()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        lock(&DISKS).retain(|(root, state)| *root != self.root || !Arc::ptr_eq(state, &self.state));
    }
}

/// What SQLite's own check says of a database that nobody has open: `ok`, or what is wrong.
pub fn integrity(database: &Path) -> String {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let check = || -> rusqlite::Result<String> {
        let conn = rusqlite::Connection::open_with_flags(database, flags)?;
        let broken: i64 = conn.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
            row.get(0)
        })?;
        if broken > 0 {
            return Ok(format!("{broken} rows without the row that they refer to"));
        }
        conn.query_row("PRAGMA integrity_check", [], |row| row.get(0))
    };
    check().unwrap_or_else(|error| error.to_string())
}

/// The disk in whose directory the file is.
fn disk_of(file: &Path) -> Option<Arc<State>> {
    let disks = lock(&DISKS);
    let found = disks.iter().rev().find(|(root, _)| file.starts_with(root));
    found.map(|(_, state)| Arc::clone(state))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
