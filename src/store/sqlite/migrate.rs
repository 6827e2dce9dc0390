//! Which files are taken, and how an older one is brought up to date.

use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::db::run;
use super::fault::{Fault, Sql};
use super::files::{beside, io};
use crate::error::{Error, ErrorKind, Result};

/// `cshk`: tells a casehook database from other SQLite files.
pub(super) const APPLICATION_ID: i64 = 0x6373_686b;

/// Released migrations, oldest first; the schema version is their count. Append only.
const MIGRATIONS: &[(&str, &str)] = &[(
    "0001_initial",
    include_str!("../../../migrations/0001_initial.sql"),
)];

/// The schema version that this casehook writes.
pub(super) const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Looks at a file without changing it, and refuses one that is not casehook's or too new.
pub(super) fn inspect(path: &Path) -> Result<()> {
    if filled(&beside(path, "-journal")) {
        // A crash left the file half written: only opening it for writing can roll it back. `migrate` looks
        // again.
        return Ok(());
    }
    let len = fs::metadata(path)
        .map_err(|e| io(path, "cannot be read", &e))?
        .len();
    let wal = beside(path, "-wal");
    if len == 0 {
        if filled(&wal) {
            return Err(corrupt(path, "it is empty, but the log beside it is not"));
        }
        return Ok(());
    }
    let first = look(path, filled(&wal));
    match first {
        // Without a log the file was read without locks; a log that appeared meanwhile makes that reading
        // worthless.
        Err(_) if filled(&wal) => look(path, true),
        result => result,
    }
    .map_err(Fault::into_error)
    .map_err(|error| name_file(path, error))
}

fn look(path: &Path, with_log: bool) -> Sql<()> {
    let conn = if with_log {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(path, flags)?
    } else {
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(immutable(path), flags)?
    };
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    version(&conn).map(|_| ())
}

/// The schema version of a file that casehook may use.
fn version(conn: &Connection) -> Sql<i64> {
    let application: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (application != 0 || version != 0 || tables != 0) {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "it is a database of another program; give a path of its own to casehook",
        )
        .into());
    }
    if version > SCHEMA_VERSION {
        return Err(Error::new(
            ErrorKind::SchemaTooNew,
            format!(
                "its schema is version {version}, this casehook knows up to {SCHEMA_VERSION}; \
                 use the newer casehook"
            ),
        )
        .into());
    }
    if (version == 0) != (tables == 0) || version < 0 {
        return Err(Error::new(ErrorKind::Corrupt, "its schema is not whole; restore a backup").into());
    }
    Ok(version)
}

/// Brings the schema up to date, each migration in a transaction of its own, and checks that it is whole.
pub(super) fn migrate(conn: &Connection, path: &Path) -> Result<()> {
    apply(conn)
        .map_err(Fault::into_error)
        .map_err(|error| name_file(path, error))
}

fn apply(conn: &Connection) -> Sql<()> {
    while version(conn)? < SCHEMA_VERSION {
        let transaction = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
        // Another process may have been first.
        let from = version(&transaction)?;
        let next = usize::try_from(from).ok().and_then(|index| MIGRATIONS.get(index));
        if let Some((_, sql)) = next {
            transaction.execute_batch(sql)?;
            if from == 0 {
                transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
                run(
                    &transaction,
                    "INSERT INTO meta (name, value) VALUES ('instance', ?1)",
                    [instance_id()?],
                )?;
            }
            transaction.pragma_update(None, "user_version", from + 1)?;
        }
        transaction.commit()?;
    }
    let instances: i64 = conn.query_row("SELECT count(*) FROM meta WHERE name = 'instance'", [], |row| {
        row.get(0)
    })?;
    if instances != 1 {
        return Err(Error::new(ErrorKind::Corrupt, "its schema is not whole; restore a backup").into());
    }
    Ok(())
}

/// A number that tells this database from every other, 32 hex digits.
fn instance_id() -> Result<String> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::internal("the system gives no random numbers"))?;
    Ok(super::key::hex(&bytes).as_str().to_owned())
}

fn name_file(path: &Path, error: Error) -> Error {
    Error::new(
        error.kind(),
        format!("{} was left untouched: {}", path.display(), error.message()),
    )
}

fn corrupt(path: &Path, what: &str) -> Error {
    name_file(path, Error::new(ErrorKind::Corrupt, what))
}

/// Whether there is such a file with anything in it.
fn filled(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0)
}

/// The URI under which SQLite reads a file without locks and without files beside it.
fn immutable(path: &Path) -> PathBuf {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => uri.push(byte as char),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri.push_str("?mode=ro&immutable=1");
    PathBuf::from(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Released files never change: a change would leave databases that claim a schema they do not have.
    const PINNED: &[(&str, &str)] = &[(
        "0001_initial",
        "815ffe184611facf48ba2702743bf4a5a3e187562613bc6aa0733f90c619eb05",
    )];

    #[test]
    fn released_migrations_are_as_they_were() {
        let hashes: Vec<(&str, String)> = MIGRATIONS
            .iter()
            .map(|(name, sql)| {
                let digest = ring::digest::digest(&ring::digest::SHA256, sql.as_bytes());
                (*name, super::super::key::hex(digest.as_ref()).as_str().to_owned())
            })
            .collect();
        let pinned: Vec<(&str, String)> = PINNED.iter().map(|(n, h)| (*n, (*h).to_owned())).collect();
        assert_eq!(hashes, pinned);
    }

    #[test]
    fn a_path_becomes_a_uri_byte_for_byte() {
        assert_eq!(
            immutable(Path::new("/a b/c?d#e%.db")),
            Path::new("file:/a%20b/c%3Fd%23e%25.db?mode=ro&immutable=1")
        );
    }
}
