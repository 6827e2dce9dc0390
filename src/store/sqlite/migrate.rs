//! Which files are taken, and how an older one is brought up to date.

use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use super::db::run;
use super::fault::{Fault, Sql};
use super::files::{beside, io};
use super::key::random_id;
use crate::error::{Error, ErrorKind, Result};

/// `cshk`: tells a casehook database from other SQLite files.
pub(super) const APPLICATION_ID: i64 = 0x6373_686b;

/// The name and the SQL of a step from one schema version to the next.
type Migration = (&'static str, &'static str);

/// Released migrations, oldest first; the schema version is their count. Append only.
const MIGRATIONS: &[Migration] = &[
    (
        "0001_initial",
        include_str!("../../../migrations/0001_initial.sql"),
    ),
    (
        "0002_metrics",
        include_str!("../../../migrations/0002_metrics.sql"),
    ),
    (
        "0003_counting",
        include_str!("../../../migrations/0003_counting.sql"),
    ),
    ("0004_leads", include_str!("../../../migrations/0004_leads.sql")),
    (
        "0005_numbering",
        include_str!("../../../migrations/0005_numbering.sql"),
    ),
    (
        "0006_fewer_pages",
        include_str!("../../../migrations/0006_fewer_pages.sql"),
    ),
];

/// The schema version that this casehook writes.
pub(super) const SCHEMA_VERSION: i64 = newest(MIGRATIONS);

const fn newest(migrations: &[Migration]) -> i64 {
    migrations.len() as i64
}

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
    version(&conn, SCHEMA_VERSION).map(|_| ())
}

/// The schema version of a file that may be used by whoever knows versions up to `newest`.
fn version(conn: &Connection, newest: i64) -> Sql<i64> {
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
    if version > newest {
        return Err(Error::new(
            ErrorKind::SchemaTooNew,
            format!(
                "its schema is version {version}, this casehook knows up to {newest}; \
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
    apply(conn, MIGRATIONS)
        .map_err(Fault::into_error)
        .map_err(|error| name_file(path, error))
}

fn apply(conn: &Connection, migrations: &[Migration]) -> Sql<()> {
    let newest = newest(migrations);
    if version(conn, newest)? < newest {
        // A table that is made anew must not take the rows with it that refer to it.
        conn.pragma_update(None, "foreign_keys", false)?;
    }
    while version(conn, newest)? < newest {
        let transaction = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
        // Another process may have been first.
        let from = version(&transaction, newest)?;
        let next = usize::try_from(from).ok().and_then(|index| migrations.get(index));
        if let Some((_, sql)) = next {
            transaction.execute_batch(sql)?;
            if from == 0 {
                transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
                run(
                    &transaction,
                    "INSERT INTO meta (name, value) VALUES ('instance', ?1)",
                    params![random_id()?],
                )?;
            }
            transaction.pragma_update(None, "user_version", from + 1)?;
        }
        transaction.commit()?;
    }
    conn.pragma_update(None, "foreign_keys", true)?;
    let instances: i64 = conn.query_row("SELECT count(*) FROM meta WHERE name = 'instance'", [], |row| {
        row.get(0)
    })?;
    if instances != 1 {
        return Err(Error::new(ErrorKind::Corrupt, "its schema is not whole; restore a backup").into());
    }
    Ok(())
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
    use crate::store::sqlite::tests::TempDir;

    /// Released files never change: a change would leave databases that claim a schema they do not have.
    const PINNED: &[(&str, &str)] = &[
        (
            "0001_initial",
            "e4886d6133723147241dfce6c4d2884ba56efa9c04e657199fbaab1759e15c1d",
        ),
        (
            "0002_metrics",
            "43c2b2919769ed4d89eb631522d92b96ba4e3764e5dbe90d1fb0a0c2fba300f6",
        ),
        (
            "0003_counting",
            "2f086c2801fa87d31ba201db64ff0dfaf943f7af441ec5716b62a991063d6afb",
        ),
        (
            "0004_leads",
            "9280a350b86c7c955001525af1c099e48c90b91399f34df6067a8b75112991bc",
        ),
        (
            "0005_numbering",
            "dcfbfeabc6b0d643a5a8f471a86f3096a5795120ebedcc0c28bfbab8936ab3de",
        ),
        (
            "0006_fewer_pages",
            "b5296347e3542e37707802424ab4942a065fa1b7613bf6cbbf49a15e48398fc4",
        ),
    ];

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

    /// A database of schema 0001, and a step onwards that fails at its end.
    const FIXTURE: &[u8] = include_bytes!("../../../tests/fixtures/schema-0001.db");
    const BROKEN: Migration = (
        "broken",
        "ALTER TABLE pushes ADD COLUMN more TEXT; UPDATE incidents SET description = upper(title); \
         DROP TABLE comment_marks; INSERT INTO nowhere VALUES (1);",
    );
    /// One that works, and changes pages of every table.
    const WHOLE: Migration = (
        "whole",
        "ALTER TABLE pushes ADD COLUMN more TEXT; UPDATE pushes SET more = hex(zeroblob(2000)); \
         UPDATE incidents SET description = upper(title); DROP TABLE comment_marks;",
    );

    fn upgrade(path: &Path, next: Migration) -> Sql<()> {
        let conn = super::super::db::connect(path, std::time::Duration::ZERO)?;
        let done = apply(&conn, &[MIGRATIONS[0], next]);
        conn.close().map_err(|(_, error)| error)?;
        done
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let dir = TempDir::new();
        let path = dir.path("a.db");
        fs::write(&path, FIXTURE).unwrap();
        let error = upgrade(&path, BROKEN).unwrap_err().into_error();
        assert!(error.message().contains("nowhere"), "{error}");
        assert!(fs::read(&path).unwrap() == FIXTURE, "the file changed");
        assert!(!filled(&beside(&path, "-wal")));
        upgrade(&path, WHOLE).unwrap();
    }

    #[test]
    fn a_disk_that_fails_during_a_migration_leaves_the_old_schema_or_the_new_one() {
        use casehook_test_vfs::{Call, Disk, Effect, Plan};
        let (mut failed, mut tried, mut old_schemas) = (0, 0, 0);
        for (call, step) in [(Call::Write, 2), (Call::Sync, 1), (Call::Read, 5)] {
            for nth in (1..).step_by(step) {
                let dir = TempDir::new();
                let path = dir.path("a.db");
                fs::write(&path, FIXTURE).unwrap();
                let disk = Disk::at(path.parent().unwrap());
                let effect = Effect::Fail(call.codes()[0]);
                disk.plan(Plan {
                    call,
                    nth,
                    times: u64::MAX,
                    effect,
                });
                let done = upgrade(&path, WHOLE);
                let met = disk.met() > 0;
                disk.heal();
                tried += 1;
                let unchanged = fs::read(&path).unwrap() == FIXTURE;
                if done.is_err() {
                    failed += 1;
                    let conn = Connection::open(&path).unwrap();
                    let version: i64 = conn
                        .query_row("PRAGMA user_version", [], |row| row.get(0))
                        .unwrap();
                    // Version 2 where the migration was committed, and only what follows it failed.
                    assert!(version == 2 || unchanged, "{call:?} {nth}");
                    old_schemas += u64::from(version == 1);
                    let marks = "SELECT count(*) FROM sqlite_schema WHERE name = 'comment_marks'";
                    let old: i64 = conn.query_row(marks, [], |row| row.get(0)).unwrap();
                    assert_eq!(old == 1, version == 1, "{call:?} {nth}");
                }
                upgrade(&path, WHOLE).unwrap();
                assert_eq!(casehook_test_vfs::integrity(&path), "ok");
                if !met {
                    break;
                }
            }
        }
        assert!(
            old_schemas > 20,
            "{tried} tried, {failed} failed, {old_schemas} with the old schema"
        );
    }

    #[test]
    fn a_path_becomes_a_uri_byte_for_byte() {
        assert_eq!(
            immutable(Path::new("/a b/c?d#e%.db")),
            Path::new("file:/a%20b/c%3Fd%23e%25.db?mode=ro&immutable=1")
        );
    }
}
