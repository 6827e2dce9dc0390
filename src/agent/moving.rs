//! Moving an outbox from a file to a database server.

use std::path::Path;

use super::Agent;
use super::place::Place;
use super::registry;
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::options::Options;
use crate::process::{DrainLock, ProcessGuard, location};
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::{KeySource, SqliteStore};
use crate::store::transfer::Destination;

impl Agent {
    /// Moves the outbox of the file `from` to the PostgreSQL database `to`, a URL as for [`Agent::open`], whose schema
    /// holds no connectors yet: connectors with their secrets, pushes under their numbers, links, comment marks and
    /// history, all of it or nothing. The file stays, delivers nothing more, and opens no more. After a crash the file
    /// is refused as one that is being moved, until the same call is made again and ends what was begun.
    ///
    /// Secrets stay sealed as they are: give every host the key that the file had (the 64 digits in `<file>.key`, where
    /// no other was given).
    ///
    /// # Errors
    /// `State` when the file is open in this process or the schema is in use, `Busy` when another process drains the
    /// file or the server cannot be reached; as [`Agent::open`] otherwise.
    pub fn migrate(from: impl AsRef<Path>, to: &str, options: &Options) -> Result<()> {
        let from = from.as_ref();
        if !from.is_file() {
            let message = format!("there is no database at {}", from.display());
            return Err(Error::new(ErrorKind::Argument, message).at("from"));
        }
        let (place, slot) = registry::slot(from)?;
        let Place::File(path) = &place else {
            let message = "only the outbox of a file can be moved; give its path";
            return Err(Error::new(ErrorKind::Argument, message).at("from"));
        };
        let held = slot.lock();
        if held.upgrade().is_some_and(|core| !core.is_shut()) {
            let message = "this process has the file open; close its agents first";
            return Err(Error::new(ErrorKind::State, message).at("from"));
        }
        location::check(path, options.trust_location)?;
        let _guard = ProcessGuard::take(path)?;
        let lock = DrainLock::new(path);
        if !lock.try_acquire()? {
            let message = "another process drains the file; stop it first";
            return Err(Error::new(ErrorKind::Busy, message).at("from"));
        }
        let key = || options.key.clone().map_or(KeySource::Default, KeySource::Given);
        let source = SqliteStore::open_to_depart(path, key())?;
        let target = PostgresStore::open(to, key(), &options.settings.tls())?;
        let now = SystemClock::new().now().wall;
        let destination = Destination {
            instance: target.instance()?,
            named: target.named(),
        };
        let moved = source.hand_over(&destination, now, |origin, give| target.import(origin, give));
        lock.release();
        moved
    }
}
