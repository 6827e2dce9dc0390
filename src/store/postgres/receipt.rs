//! Receipts: a call to push that is made again under its key stores nothing twice.

use super::conn::Conn;
use super::fault::Sql;
use super::row::get;
use crate::model::PushId;

/// Takes the key for the transaction; or what the call that it was taken for stored. Whoever has it waits for another
/// transaction with it to end.
pub(super) fn take(conn: &Conn, key: &str) -> Sql<Option<Vec<PushId>>> {
    let taken = conn.run(
        "INSERT INTO receipts (key, pushes) VALUES ($1, '{}') ON CONFLICT (key) DO NOTHING",
        &[&key],
    )?;
    if taken > 0 {
        return Ok(None);
    }
    let stored: Option<Vec<i64>> =
        conn.one("SELECT pushes FROM receipts WHERE key = $1", &[&key], |row| {
            get(row, 0)
        })?;
    Ok(Some(
        stored.unwrap_or_default().into_iter().map(PushId::from).collect(),
    ))
}

/// Writes under the key what was stored.
pub(super) fn write(conn: &Conn, key: &str, ids: &[PushId]) -> Sql<()> {
    let ids: Vec<i64> = ids.iter().map(|id| id.get()).collect();
    conn.run("UPDATE receipts SET pushes = $2 WHERE key = $1", &[&key, &ids])?;
    Ok(())
}

/// Forgets keys that nobody will ask for again.
pub(super) fn forget(conn: &Conn, keys: &[String]) -> Sql<()> {
    if !keys.is_empty() {
        conn.run("DELETE FROM receipts WHERE key = ANY($1)", &[&keys])?;
    }
    Ok(())
}
