//! Which databases are taken, and how an older schema is brought up to date, also when ten hosts start at once.

use std::time::Duration;

use super::address::Address;
use super::conn::{Conn, Io, STATEMENT_PATIENCE};
use super::fault::{Fault, Sql};
use super::row::get;
use crate::error::{Error, ErrorKind, Result};

/// The number, the name and the SQL of a step from one schema version to the next.
type Migration = (i32, &'static str, &'static str);

/// Released migrations, oldest first. Append only.
const MIGRATIONS: &[Migration] = &[
    (
        1,
        "0001_initial",
        include_str!("../../../migrations/postgres/0001_initial.sql"),
    ),
    (
        2,
        "0002_receipts",
        include_str!("../../../migrations/postgres/0002_receipts.sql"),
    ),
    (
        3,
        "0003_leads",
        include_str!("../../../migrations/postgres/0003_leads.sql"),
    ),
    (
        4,
        "0004_counting",
        include_str!("../../../migrations/postgres/0004_counting.sql"),
    ),
    (
        5,
        "0005_commits",
        include_str!("../../../migrations/postgres/0005_commits.sql"),
    ),
    (
        6,
        "0006_ages",
        include_str!("../../../migrations/postgres/0006_ages.sql"),
    ),
];

/// How long a host waits for another one that migrates.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Brings the schema up to date, making it where there is none, each migration in a transaction of its own; the
/// connection that it was done on.
///
/// # Errors
/// `SchemaTooNew` and `Corrupt` leave the database as it is; `Argument` for one that is not in UTF-8.
pub(super) fn migrate(io: &Io, address: &Address) -> Result<Conn> {
    let mut conn = Conn::open(io, address, STATEMENT_PATIENCE).map_err(Fault::into_error)?;
    let untouched = |fault: Fault| {
        let error = fault.into_error();
        let message = format!("{} was left untouched: {}", address.named(), error.message());
        Error::new(error.kind(), message)
    };
    if !is_as_it_should_be(&conn, &address.schema).map_err(untouched)? {
        conn.set_patience(address, PATIENCE).map_err(Fault::into_error)?;
        bring_up(&conn, &address.schema).map_err(untouched)?;
        conn.set_patience(address, STATEMENT_PATIENCE)
            .map_err(Fault::into_error)?;
    }
    Ok(conn)
}

/// Whether there is nothing to do; without a lock or any right but to read, for the many hosts that find it so.
fn is_as_it_should_be(conn: &Conn, schema: &str) -> Sql<bool> {
    let encoding = conn.batch("SHOW server_encoding")?;
    if encoding.as_deref() != Some("UTF8") {
        let message = format!(
            "it is in {}, and casehook keeps texts of every script; use a database in UTF8",
            encoding.unwrap_or_default()
        );
        return Err(Error::new(ErrorKind::Argument, message).at("path").into());
    }
    Ok(version(conn, schema)? == newest())
}

fn bring_up(conn: &Conn, schema: &str) -> Sql<()> {
    let next = |from: i32| MIGRATIONS.iter().find(|(number, ..)| *number > from);
    loop {
        conn.batch("BEGIN")?;
        conn.batch(&format!(
            "SELECT pg_advisory_xact_lock(hashtextextended('casehook:migrate:{schema}', 0))"
        ))?;
        // Another host may have been first.
        let Some((number, name, sql)) = next(version(conn, schema)?) else {
            conn.batch("COMMIT")?;
            return Ok(());
        };
        if *number == 1 {
            create(conn, schema)?;
        }
        conn.batch(sql)?;
        if *number == 1 {
            conn.batch(
                "CREATE TABLE casehook_schema (version integer PRIMARY KEY, name text NOT NULL, \
                 applied_at timestamptz NOT NULL DEFAULT clock_timestamp()); \
                 INSERT INTO meta (name, value) VALUES ('instance', gen_random_uuid()::text)",
            )?;
        }
        conn.run(
            "INSERT INTO casehook_schema (version, name) VALUES ($1, $2)",
            &[number, name],
        )?;
        conn.batch("COMMIT")?;
    }
}

/// The schema for casehook's tables, where there is none yet.
fn create(conn: &Conn, schema: &str) -> Sql<()> {
    let there = conn.one(
        "SELECT 1 FROM pg_namespace WHERE nspname = $1",
        &[&schema],
        |_| Ok(()),
    )?;
    if there.is_none() {
        conn.batch(&format!("CREATE SCHEMA \"{schema}\""))?;
        return Ok(());
    }
    let taken: Option<String> = conn.one(
        "SELECT relname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE nspname = $1 AND relname IN ('meta', 'drainers', 'connectors', 'gates', 'vault', 'secrets', 'pushes', \
         'incidents', 'comments', 'intents', 'attempts', 'links', 'comment_marks', 'counters', 'exchanges', 'changes', \
         'receipts', 'commits') \
         LIMIT 1",
        &[&schema],
        |row| get(row, 0),
    )?;
    match taken {
        None => Ok(()),
        Some(table) => Err(Error::new(
            ErrorKind::Corrupt,
            format!(
                "its schema {schema:?} holds a relation {table:?} of another program; name a schema of casehook's own \
                 with ?schema="
            ),
        )
        .into()),
    }
}

/// The schema version of a database that may be used; 0 where there is none.
fn version(conn: &Conn, schema: &str) -> Sql<i32> {
    // From the catalogue itself: what the server has cached of it can be older than the lock.
    let table = conn.one(
        "SELECT EXISTS (SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = 'casehook_schema')",
        &[&schema],
        |row| get::<bool>(row, 0),
    )?;
    if table != Some(true) {
        return Ok(0);
    }
    // Not prepared: the table may have appeared only now.
    let version = conn.batch(&format!(
        "SELECT coalesce(max(version), 0) FROM \"{schema}\".casehook_schema"
    ))?;
    let version: i32 = version.and_then(|v| v.parse().ok()).unwrap_or(0);
    if version > newest() {
        let message = format!(
            "its schema is version {version}, this casehook knows up to {}; use the newer casehook",
            newest()
        );
        return Err(Error::new(ErrorKind::SchemaTooNew, message).into());
    }
    Ok(version)
}

fn newest() -> i32 {
    MIGRATIONS.last().map_or(0, |(number, ..)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A released migration never changes.
    const PINNED: &[(&str, &str)] = &[
        (
            "0001_initial",
            "313c60ca37c0d5cb09c9b7c7b7ec40d2b08d105d43e8a7f7d08a5196afc3dae8",
        ),
        (
            "0002_receipts",
            "6f4b9810c18f76ec76a484296982c881f85e43edc7e35659d60bbb461406c1a7",
        ),
        (
            "0003_leads",
            "a08d0831112e513513222f92112e125c844a1c489b3db4a8058fc2eca85344d7",
        ),
        (
            "0004_counting",
            "16bdbb6663df583fc0d4de23307e190366b971279cc3750a23fb0e773998988c",
        ),
        (
            "0005_commits",
            "42f10eec1d4e8d399b8b699eb149d0d32e69289f8c41c77aaf45e8682a7520b4",
        ),
        (
            "0006_ages",
            "c98b971f97e195f24d532998c1d8dc650e9d80b6a3a0d801dcfad53b22724c6a",
        ),
    ];

    #[test]
    fn migrations_are_those_that_were_released() {
        assert_eq!(MIGRATIONS.len(), PINNED.len());
        for ((number, name, sql), (place, (pinned, hash))) in MIGRATIONS.iter().zip((1..).zip(PINNED)) {
            let digest = ring::digest::digest(&ring::digest::SHA256, sql.as_bytes());
            let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!((*number, *name, digest.as_str()), (place, *pinned, *hash));
        }
    }
}
