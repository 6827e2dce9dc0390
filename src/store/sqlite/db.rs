//! Connections: one that writes, a few that read, and how a transaction is run on them.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Row, ToSql};

use super::fault::{Fault, Sql};
use super::group::Group;
pub(super) use super::lock::lock;
use super::transaction::{EXCLUDING, READING, Work, transaction};
use crate::error::{Error, ErrorKind, Result};
use crate::process::fork;

/// Reading connections kept open while idle.
const IDLE_READERS: usize = 4;

/// An open database.
pub(super) struct Db {
    path: PathBuf,
    patience: Duration,
    /// Who gets the writer next: without it whoever has just written would often get it again, and others for long not.
    next: Mutex<()>,
    /// None once closed.
    writer: Mutex<Option<Connection>>,
    group: Group,
    readers: Mutex<Readers>,
}

struct Readers {
    idle: Vec<Connection>,
    closed: bool,
}

impl Db {
    pub(super) fn new(path: PathBuf, writer: Connection, patience: Duration) -> Db {
        Db {
            path,
            patience,
            next: Mutex::default(),
            writer: Mutex::new(Some(writer)),
            group: Group::default(),
            readers: Mutex::new(Readers {
                idle: Vec::new(),
                closed: false,
            }),
        }
    }

    /// Runs `work` in one transaction that excludes every other writer; commits when it returns `Ok`.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Connection) -> Sql<T>) -> Result<T> {
        result_of(work, |work| {
            self.lend_writer(&mut |conn| transaction(conn, EXCLUDING, work))
        })
    }

    /// The same together with others who wait to write: one commit for all. `work` is run again when the transaction it
    /// was run in came to nothing for another's sake.
    pub(super) fn write_grouped<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Sql<T> + Send + 'static,
    ) -> Result<T> {
        self.group.write(|session| self.lend_writer(session), work)
    }

    /// Runs `work` on one snapshot of the database, beside any writer.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> Sql<T>) -> Result<T> {
        result_of(work, |work| {
            self.lend_reader(&mut |conn| transaction(conn, READING, work))
        })
    }

    /// Runs `work` on the writing connection, outside any transaction.
    pub(super) fn with_writer<T>(&self, work: impl FnOnce(&Connection) -> Sql<T>) -> Result<T> {
        result_of(work, |work| self.lend_writer(work))
    }

    /// Runs `work` on a reading connection, outside any transaction: a statement sees one snapshot for itself.
    pub(super) fn with_reader<T>(&self, work: impl FnOnce(&Connection) -> Sql<T>) -> Result<T> {
        result_of(work, |work| self.lend_reader(work))
    }

    fn lend_writer(&self, work: &mut Work<'_>) -> Result<()> {
        let _in_sqlite = fork::hold_off();
        let slot = {
            let _next = lock(&self.next);
            lock(&self.writer)
        };
        let conn = slot.as_ref().ok_or_else(closed)?;
        if !conn.is_autocommit() {
            // A roll-back failed, on a full disk perhaps; nothing can be begun before it has succeeded.
            conn.execute_batch("ROLLBACK")
                .map_err(|e| Fault::from(e).into_error())?;
        }
        work(conn).map_err(Fault::into_error)
    }

    fn lend_reader(&self, work: &mut Work<'_>) -> Result<()> {
        let _in_sqlite = fork::hold_off();
        let conn = self.take_reader()?;
        let result = work(&conn);
        self.give_back(conn);
        result.map_err(Fault::into_error)
    }

    /// Closes the connections; those at work close when their call ends. Later calls err with `Closed`.
    pub(super) fn close(&self) -> Result<()> {
        let _in_sqlite = fork::hold_off();
        let idle = {
            let mut readers = lock(&self.readers);
            readers.closed = true;
            std::mem::take(&mut readers.idle)
        };
        drop(idle);
        let Some(writer) = lock(&self.writer).take() else {
            return Ok(());
        };
        writer
            .close()
            .map_err(|(_, error)| Fault::from(error).into_error())
    }

    fn take_reader(&self) -> Result<Connection> {
        {
            let mut readers = lock(&self.readers);
            if readers.closed {
                return Err(closed());
            }
            if let Some(conn) = readers.idle.pop() {
                return Ok(conn);
            }
        }
        connect(&self.path, self.patience)
            .and_then(|conn| {
                conn.pragma_update(None, "query_only", true)?;
                Ok(conn)
            })
            .map_err(Fault::into_error)
    }

    fn give_back(&self, conn: Connection) {
        let mut readers = lock(&self.readers);
        if !readers.closed && readers.idle.len() < IDLE_READERS && conn.is_autocommit() {
            readers.idle.push(conn);
        }
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        // Closing takes locks of SQLite's as well.
        let _ = self.close();
    }
}

/// A connection set up the way every connection of casehook is.
pub(super) fn connect(path: &Path, patience: Duration) -> Sql<Connection> {
    // The path has no links any more; one that has come into it since then is an attack.
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut conn = Connection::open_with_flags(path, flags)?;
    be_patient(&mut conn, patience)?;
    conn.set_prepared_statement_cache_capacity(96);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // Without it SQLite plans some statements anew for each value bound, at four times their cost.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    conn.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA mmap_size = 0; PRAGMA page_size = 2048; \
         PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON;",
    )?;
    write_ahead(&conn, patience)?;
    conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 2000;")?;
    Ok(conn)
}

/// Switches to a write-ahead log; SQLite may answer `BUSY` to this without asking the busy handler.
fn write_ahead(conn: &Connection, patience: Duration) -> Sql<()> {
    let start = Instant::now();
    let mode: String = loop {
        let answer = conn
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
            .map_err(Fault::from);
        match answer {
            Err(fault) if fault.is_busy() && start.elapsed() < patience => pause(),
            answer => break answer?,
        }
    };
    if mode == "wal" {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Store,
        format!("the file system allows no write-ahead log (journal mode {mode}); use a local disk"),
    )
    .into())
}

/// Waits for other connections in short random naps: SQLite's own handler sleeps ever longer and starves.
fn be_patient(conn: &mut Connection, patience: Duration) -> Sql<()> {
    let mut start = Instant::now();
    conn.busy_handler(Some(move |count| {
        if count == 0 {
            start = Instant::now();
        }
        let wait = start.elapsed() < patience;
        if wait {
            pause();
        }
        wait
    }))?;
    Ok(())
}

fn pause() {
    std::thread::sleep(Duration::from_micros(fastrand::u64(150..400)));
}

/// Has `run` run `work`, and gives what it came to: so `run` need not be there once for each type that works come to.
fn result_of<T>(
    work: impl FnOnce(&Connection) -> Sql<T>,
    run: impl FnOnce(&mut Work<'_>) -> Result<()>,
) -> Result<T> {
    let (mut work, mut value) = (Some(work), None);
    run(&mut |conn| {
        if let Some(work) = work.take() {
            value = Some(work(conn)?);
        }
        Ok(())
    })?;
    value.ok_or_else(|| Error::internal("a transaction ended without its work"))
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the outbox was closed; open it again")
}

/// Runs a statement and returns how many rows it changed.
pub(super) fn run(conn: &Connection, sql: &str, params: &[&dyn ToSql]) -> Sql<usize> {
    Ok(conn.prepare_cached(sql)?.execute(params)?)
}

/// The first row of a query.
pub(super) fn one<T>(
    conn: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
    mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Sql<Option<T>> {
    let mut first = None;
    each(conn, sql, params, &mut |row| {
        first = Some(read(row)?);
        Ok(false)
    })?;
    Ok(first)
}

/// Every row of a query.
pub(super) fn all<T>(
    conn: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
    mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Sql<Vec<T>> {
    let mut rows = Vec::new();
    each(conn, sql, params, &mut |row| {
        rows.push(read(row)?);
        Ok(true)
    })?;
    Ok(rows)
}

/// Goes through the rows of a query for as long as `read` wants more. Not generic, so that there is one of it and not one
/// for each query.
fn each(
    conn: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
    read: &mut dyn FnMut(&Row<'_>) -> rusqlite::Result<bool>,
) -> Sql<()> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        if !read(row)? {
            break;
        }
    }
    Ok(())
}

/// A count as SQLite holds it.
pub(super) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as SQLite held it.
pub(super) fn count(int: i64) -> u64 {
    u64::try_from(int).unwrap_or(0)
}
