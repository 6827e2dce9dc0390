//! The store in one SQLite file. The only place that names rusqlite.

mod claim;
pub(in crate::store) mod connectors;
mod db;
mod decide;
#[cfg(feature = "postgres")]
mod depart;
pub(in crate::store) mod enqueue;
mod fault;
#[cfg(test)]
pub(crate) mod figures;
mod files;
mod group;
mod history;
pub(in crate::store) mod key;
#[cfg(test)]
mod layout_tests;
mod lock;
mod migrate;
mod purpose;
pub(in crate::store) mod read;
pub(in crate::store) mod record;
#[cfg(test)]
mod rekey_tests;
mod row;
#[cfg(feature = "postgres")]
pub(in crate::store) mod spool;
#[cfg(test)]
pub(in crate::store) mod tests;
mod transaction;
pub(in crate::store) mod vault;

use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, params};
use zeroize::Zeroizing;

use self::db::{Db, one, run};
use self::fault::{Fault, Sql};
use self::key::KeyHolder;
#[cfg(feature = "postgres")]
pub(in crate::store) use self::key::random_id;
pub(crate) use self::key::{KEY_VARIABLE, KeySource, read_key};
use self::purpose::Purpose;
use super::room::Room;
use super::{Claim, Counts, Health, NewConnector, Outcome, Retention, Store, StoredConnector, Undelivered};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Attempt, Case, Filter, Link, PushId, PushStatus, Tally, Timestamp};
use crate::outbox::{ConnectorId, NewPush, Progress};
use crate::process::fork;

/// How long a call waits for another process's transaction.
const PATIENCE: Duration = Duration::from_secs(5);

/// One at a time in this process: making a file closes a descriptor of it, and that would drop locks another
/// open took.
static OPENING: Mutex<()> = Mutex::new(());

/// An outbox in one SQLite file.
pub(crate) struct SqliteStore {
    db: Db,
    /// Taken before any connection is, never while one is held.
    key: RwLock<KeyHolder>,
    room: Room,
}

impl SqliteStore {
    /// Opens the database, made for its owner alone if it is not there, and brings its schema up to date.
    ///
    /// `SchemaTooNew` for a newer schema and `Corrupt` for a file that is damaged or not casehook's; both are
    /// left untouched. `State` for an outbox that moved, `Argument` for the spool of a database server.
    pub(crate) fn open(path: &Path, key: KeySource) -> Result<SqliteStore> {
        SqliteStore::open_with(path, key, PATIENCE)
    }

    fn open_with(path: &Path, key: KeySource, patience: Duration) -> Result<SqliteStore> {
        SqliteStore::open_for(Purpose::Outbox, path, key, patience)
    }

    fn open_for(purpose: Purpose, path: &Path, key: KeySource, patience: Duration) -> Result<SqliteStore> {
        let _in_sqlite = fork::hold_off();
        let _alone = db::lock(&OPENING);
        let path = files::prepare_database(path)?;
        migrate::inspect(&path)?;
        let writer = db::connect(&path, patience).map_err(Fault::into_error)?;
        migrate::migrate(&writer, &path)?;
        purpose::check(&writer, purpose).map_err(Fault::into_error)?;
        let key = KeyHolder::new(key, &path);
        if !key.drafts().is_empty() {
            sweep(&writer, &key);
        }
        Ok(SqliteStore {
            key: RwLock::new(key),
            room: Room::default(),
            db: Db::new(path, writer, patience),
        })
    }
}

/// Removes drafts of keys; while somebody else writes they may be in use, and wait for the next time.
fn sweep(writer: &rusqlite::Connection, key: &KeyHolder) {
    if writer.execute_batch("BEGIN IMMEDIATE").is_ok() {
        key.sweep();
        let _ = writer.execute_batch("ROLLBACK");
    }
}

impl SqliteStore {
    fn key(&self) -> RwLockReadGuard<'_, KeyHolder> {
        self.key.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for SqliteStore {
    fn put_connector(&self, connector: &NewConnector<'_>, now: Timestamp) -> Result<StoredConnector> {
        let key = self.key();
        self.db.write(|conn| connectors::put(conn, connector, &key, now))
    }

    fn connector(&self, name: &str) -> Result<Option<StoredConnector>> {
        self.db.read(|conn| connectors::by_name(conn, name))
    }

    fn connectors(&self) -> Result<Vec<StoredConnector>> {
        self.db.read(connectors::list)
    }

    fn secrets(&self, id: ConnectorId) -> Result<Vec<(String, Zeroizing<String>)>> {
        let key = self.key();
        let read = || self.db.read(|conn| vault::read(conn, id, &key));
        match read() {
            // Another process may have changed the key file after this snapshot was taken.
            Err(error) if error.kind() == ErrorKind::Key && matches!(*key, KeyHolder::File(_)) => read(),
            secrets => secrets,
        }
    }

    fn rekey(&self, key: Option<Zeroizing<[u8; 32]>>) -> Result<()> {
        let mut holder = self.key.write().unwrap_or_else(PoisonError::into_inner);
        let given = key.is_some();
        let secure = |on: bool| {
            self.db
                .with_writer(|conn| Ok(conn.pragma_update(None, "secure_delete", on)?))
        };
        secure(true)?;
        let sealed = self.db.write(|conn| vault::rekey(conn, &holder, key));
        let key = match sealed {
            Ok(key) => key,
            Err(error) => {
                secure(false)?;
                return Err(error);
            }
        };
        // Committed. What follows tidies up, and what it cannot do the next change of keys does.
        let settled = match given {
            true => Ok(()),
            false => self.db.write(|conn| vault::settle(conn, &holder)),
        };
        let cleared = self.db.with_writer(|conn| {
            Ok(conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))?)
        });
        let troubles = [
            secure(false).err(),
            settled.err(),
            cleared.as_ref().err().cloned(),
        ];
        for error in troubles.into_iter().flatten() {
            log::warn!("after the change of the key: {error}");
        }
        if cleared.is_ok_and(|busy| busy) {
            log::info!(
                "secrets sealed with the old key stay in the write-ahead log until nobody reads the database"
            );
        }
        if given {
            *holder = KeyHolder::Given(key);
        }
        Ok(())
    }

    fn has_secrets(&self, id: ConnectorId) -> Result<bool> {
        self.db.read(|conn| connectors::has_secrets(conn, id))
    }

    fn remove_connector(&self, name: &str, undelivered: Undelivered, now: Timestamp) -> Result<()> {
        self.db
            .write(|conn| connectors::remove(conn, name, undelivered, now))
    }

    fn set_paused(&self, name: &str, paused: bool, now: Timestamp) -> Result<()> {
        self.db
            .write(|conn| connectors::set_paused(conn, name, paused, now))
    }

    fn set_health(&self, id: ConnectorId, health: &Health) -> Result<()> {
        self.db.write(|conn| connectors::set_health(conn, id, health))
    }

    fn links_elsewhere(&self, name: &str, target: &str) -> Result<u64> {
        self.db
            .read(|conn| connectors::links_elsewhere(conn, name, target))
    }

    fn enqueue(&self, pushes: Vec<NewPush>, retention: &Retention, now: Timestamp) -> Result<Vec<PushId>> {
        let pushes = pushes
            .into_iter()
            .map(enqueue::make_ready)
            .collect::<Result<Vec<_>>>()?;
        let trusted = self.room.take(pushes.len(), retention);
        let limits = *retention;
        let (ids, counted) = self.db.write_grouped(move |conn| {
            let ids = enqueue::enqueue(conn, &pushes, now)?;
            let counted = match trusted {
                true => None,
                false => Some(enqueue::refuse_overflow(conn, &limits)?),
            };
            Ok((ids, counted))
        })?;
        if let Some(undelivered) = counted {
            self.room.counted(undelivered, retention);
        }
        Ok(ids)
    }

    fn status(&self, id: PushId) -> Result<Option<PushStatus>> {
        self.db.read(|conn| read::status(conn, id))
    }

    fn pushes(&self, filter: &Filter) -> Result<Vec<PushStatus>> {
        self.db.read(|conn| read::pushes(conn, filter))
    }

    fn attempts(&self, id: PushId) -> Result<Vec<Attempt>> {
        self.db.read(|conn| read::attempts(conn, id))
    }

    fn case(&self, id: PushId) -> Result<Option<Case>> {
        self.db.with_reader(|conn| claim::case(conn, id))
    }

    fn link(&self, connector: &str, target: &str, case_id: &str) -> Result<Option<Link>> {
        self.db.read(|conn| read::link(conn, connector, target, case_id))
    }

    fn counts(&self) -> Result<Vec<Counts>> {
        self.db.read(history::counts)
    }

    fn exchanges(&self, id: ConnectorId) -> Result<Vec<Tally>> {
        self.db.read(|conn| history::exchanges(conn, id))
    }

    fn claim(&self, connector: ConnectorId, now: Timestamp, busy: &[PushId]) -> Result<Option<Claim>> {
        self.db
            .with_reader(|conn| claim::claim(conn, connector, now, busy))
    }

    fn load(&self, id: PushId) -> Result<Option<Claim>> {
        self.db.with_reader(|conn| claim::load(conn, id))
    }

    fn next_due(&self, connector: ConnectorId, busy: &[PushId]) -> Result<Option<Timestamp>> {
        self.db.with_reader(|conn| claim::next_due(conn, connector, busy))
    }

    fn begin(&self, id: PushId, progress: &Progress, now: Timestamp) -> Result<bool> {
        let progress = progress.clone();
        self.db
            .write_grouped(move |conn| record::begin(conn, id, &progress, now))
    }

    fn record(&self, id: PushId, outcome: &Outcome, now: Timestamp) -> Result<bool> {
        let outcome = outcome.clone();
        self.db
            .write_grouped(move |conn| record::record(conn, id, &outcome, now))
    }

    fn record_and_begin(
        &self,
        (ended, outcome): (PushId, &Outcome),
        (begun, progress): (PushId, &Progress),
        now: Timestamp,
    ) -> (Result<bool>, Result<bool>) {
        let (kept, next) = (outcome.clone(), progress.clone());
        let both = self.db.write_grouped(move |conn| {
            let recorded = record::record(conn, ended, &kept, now)?;
            Ok((recorded, record::begin(conn, begun, &next, now)?))
        });
        match both {
            Ok((recorded, began)) => (Ok(recorded), Ok(began)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let recorded = self.record(ended, outcome, now);
                (recorded, self.begin(begun, progress, now))
            }
            Err(error) => (Err(error.clone()), Err(error)),
        }
    }

    fn interrupted(&self) -> Result<Vec<PushId>> {
        self.db.read(claim::interrupted)
    }

    fn clamp_due(&self, now: Timestamp) -> Result<()> {
        self.db.write(|conn| claim::clamp_due(conn, now))
    }

    fn prune(&self, retention: &Retention, now: Timestamp) -> Result<bool> {
        self.db.write(|conn| history::prune(conn, retention, now))
    }

    fn note_drainer(&self, pid: Option<u32>, _now: Timestamp) -> Result<()> {
        self.db.write(|conn| match pid {
            None => run(conn, "DELETE FROM meta WHERE name = 'drainer'", &[]).map(drop),
            Some(pid) => run(
                conn,
                "INSERT OR REPLACE INTO meta (name, value) VALUES ('drainer', ?1)",
                params![pid.to_string()],
            )
            .map(drop),
        })
    }

    fn drainer(&self) -> Result<Option<u32>> {
        let value = self.db.read(|conn| meta(conn, "drainer"))?;
        Ok(value.and_then(|pid| pid.parse().ok()))
    }

    fn decide(
        &self,
        id: PushId,
        now: Timestamp,
        change: &mut dyn FnMut(&Claim) -> Result<Outcome>,
    ) -> Result<()> {
        self.db.write(|conn| decide::decide(conn, id, now, change))
    }

    fn discard(&self, id: PushId) -> Result<()> {
        self.db.write(|conn| decide::discard(conn, id))
    }

    fn data_version(&self) -> Result<i64> {
        self.db
            .with_writer(|conn| Ok(conn.query_row("PRAGMA data_version", params![], |row| row.get(0))?))
    }

    fn backup(&self, path: &Path) -> Result<()> {
        let made = files::create_exclusively(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Error::new(
                ErrorKind::Argument,
                format!("{} exists; give a backup a new name", path.display()),
            ),
            _ => files::io(path, "cannot be created", &error),
        })?;
        drop(made);
        let done = self
            .db
            .with_reader(|conn| copy(conn, path))
            .and_then(|()| files::sync(path));
        if done.is_err() {
            let _ = std::fs::remove_file(path);
        }
        done
    }

    fn close(&self) -> Result<()> {
        self.db.close()
    }
}

/// Copies one snapshot of the database, while others go on writing, into the empty file at `path`.
fn copy(conn: &Connection, path: &Path) -> Sql<()> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(path, flags)?;
    let step = Backup::new(conn, &mut target)?.step(-1)?;
    if !matches!(step, StepResult::Done) {
        return Err(Error::new(
            ErrorKind::Busy,
            "the database could not be read at once; call again",
        )
        .into());
    }
    target.close().map_err(|(_, error)| error)?;
    Ok(())
}

fn meta(conn: &Connection, name: &str) -> Sql<Option<String>> {
    one(
        conn,
        "SELECT value FROM meta WHERE name = ?1",
        params![name],
        |row| row.get(0),
    )
}
