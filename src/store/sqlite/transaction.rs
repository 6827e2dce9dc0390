//! How work is run in a transaction.

use rusqlite::Connection;

use super::fault::{Fault, Sql};

/// Begins a transaction that sees one snapshot.
pub(super) const READING: &str = "BEGIN";
/// Begins a transaction that excludes every other writer.
pub(super) const EXCLUDING: &str = "BEGIN IMMEDIATE";

/// Runs `work` in a transaction that `begin` begins; commits when it returns `Ok`.
pub(super) fn transaction(
    conn: &Connection,
    begin: &str,
    work: &mut dyn FnMut(&Connection) -> Sql<()>,
) -> Sql<()> {
    let done = frame(conn, begin).and_then(|()| end(conn, work(conn)));
    done.map_err(End::fault)
}

/// Why a transaction came to nothing: what it was for, or its begin or commit.
pub(super) enum End {
    Work(Fault),
    Frame(Fault),
}

impl End {
    pub(super) fn fault(self) -> Fault {
        match self {
            End::Work(fault) | End::Frame(fault) => fault,
        }
    }
}

/// Begins or ends a transaction.
pub(super) fn frame(conn: &Connection, sql: &str) -> Result<(), End> {
    let done = conn
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute([]));
    done.map(drop).map_err(|error| End::Frame(error.into()))
}

/// Commits what was done in a transaction, or has none of it.
pub(super) fn end(conn: &Connection, done: Sql<()>) -> Result<(), End> {
    let done = done.map_err(End::Work).and_then(|()| frame(conn, "COMMIT"));
    if done.is_err() && !conn.is_autocommit() {
        // Where this fails too, the next one to use the connection tries again before anything else.
        let _ = frame(conn, "ROLLBACK");
    }
    done
}
