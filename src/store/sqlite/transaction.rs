//! How work is run in a transaction.

use rusqlite::Connection;

use super::fault::{Fault, Sql};

/// Begins a transaction that sees one snapshot.
pub(super) const READING: &str = "BEGIN";
/// Begins a transaction that excludes every other writer.
pub(super) const EXCLUDING: &str = "BEGIN IMMEDIATE";

/// What is done with a connection.
pub(super) type Work<'a> = dyn FnMut(&Connection) -> Sql<()> + 'a;

/// Runs `work` in a transaction that `begin` begins; commits when it returns `Ok`.
pub(super) fn transaction(conn: &Connection, begin: &str, work: &mut Work<'_>) -> Sql<()> {
    let done = Open::begin(conn, begin).and_then(|open| open.end(work(conn)));
    done.map_err(End::fault)
}

/// A transaction under way. What is not committed when it is dropped, also by a panic, is rolled back.
pub(super) struct Open<'c> {
    conn: &'c Connection,
}

impl Open<'_> {
    pub(super) fn begin<'c>(conn: &'c Connection, begin: &str) -> Result<Open<'c>, End> {
        frame(conn, begin)?;
        Ok(Open { conn })
    }

    /// Commits what was done in it, or has none of it.
    pub(super) fn end(self, done: Sql<()>) -> Result<(), End> {
        done.map_err(End::Work).and_then(|()| frame(self.conn, "COMMIT"))
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.conn.is_autocommit() {
            // Where this fails too, the next one to use the connection tries again before anything else.
            let _ = frame(self.conn, "ROLLBACK");
        }
    }
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

fn frame(conn: &Connection, sql: &str) -> Result<(), End> {
    let done = conn
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute([]));
    done.map(drop).map_err(|error| End::Frame(error.into()))
}
