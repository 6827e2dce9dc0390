//! Handing the whole outbox over to another store, after which this file delivers nothing more.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use super::db::run;
use super::fault::{Fault, Sql};
use crate::error::Error;
use crate::model::Timestamp;
use crate::store::transfer::{Cell, TABLES, Take};

/// The number that tells this database from every other.
pub(super) fn instance(conn: &Connection) -> Sql<String> {
    Ok(
        conn.query_row("SELECT value FROM meta WHERE name = 'instance'", [], |row| {
            row.get(0)
        })?,
    )
}

/// Gives every row out.
pub(super) fn export(conn: &Connection, take: &mut Take<'_>) -> Sql<()> {
    for table in TABLES {
        let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
        let mut statement = conn.prepare(&format!("SELECT {} FROM {}", names.join(", "), table.name))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut cells = Vec::with_capacity(names.len());
            for at in 0..names.len() {
                cells.push(match row.get_ref(at)? {
                    ValueRef::Null => Cell::Null,
                    ValueRef::Integer(value) => Cell::Int(value),
                    ValueRef::Text(_) => Cell::Text(row.get(at)?),
                    ValueRef::Blob(value) => Cell::Bytes(value.to_vec()),
                    ValueRef::Real(_) => return Err(Fault::Own(Error::internal("a row holds a fraction"))),
                });
            }
            take(table, &cells)?;
        }
    }
    Ok(())
}

/// Leaves nothing here to be delivered, and no way to push, for those who have the file open as well.
pub(super) fn retire(conn: &Connection, to: &str, now: Timestamp) -> Sql<()> {
    run(conn, "DELETE FROM intents", [])?;
    run(
        conn,
        "UPDATE pushes SET state = 'cancelled', ready = 0, leads = 0, updated_at = ?1, finished_at = ?1 \
         WHERE state IN ('queued', 'sending', 'waiting', 'held', 'failed')",
        [now.as_millis()],
    )?;
    run(
        conn,
        "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
        params![super::MOVED, to],
    )?;
    conn.execute_batch(
        "CREATE TRIGGER IF NOT EXISTS pushes_moved_away BEFORE INSERT ON pushes BEGIN \
           SELECT RAISE(ABORT, 'this outbox was moved to a database server; push there'); END",
    )?;
    Ok(())
}
