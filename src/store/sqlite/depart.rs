//! Handing the whole outbox over to another store, after which this file delivers nothing more.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use super::db::run;
use super::fault::{Fault, Sql};
use super::purpose::{MOVED, MOVING, Purpose};
use super::{KeySource, SqliteStore, meta};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Timestamp;
use crate::store::Lost;
use crate::store::transfer::{Cell, Destination, Give, Origin, TABLES, Take};

impl SqliteStore {
    /// Opens the file of an outbox that is to be handed over, also where that was begun before.
    pub(crate) fn open_to_depart(path: &Path, key: KeySource) -> Result<SqliteStore> {
        SqliteStore::open_for(Purpose::Departure, path, key, super::PATIENCE)
    }

    /// Hands the outbox over: `receive` gets what tells this outbox from others and whatever gives out its rows, and
    /// returns when they are stored elsewhere. From before that on nobody pushes here and nothing is delivered from
    /// here, also if this process dies: then the same call ends it. Only where it is certain that nothing was stored
    /// there, the outbox stays here.
    ///
    /// # Errors
    /// Those of `receive`; `State` where it was begun with another destination; `Busy` when it cannot be told whether it
    /// is stored there.
    pub(crate) fn hand_over(
        &self,
        to: &Destination,
        now: Timestamp,
        mut receive: impl FnMut(&Origin, &mut Give<'_>) -> Result<(), Lost>,
    ) -> Result<()> {
        let begun = self.db.write(|conn| begin(conn, to))?;
        let mut stays_here = true;
        let moved = self.db.write(|conn| {
            let origin = origin(conn)?;
            let received = receive(&origin, &mut |take| export(conn, take).map_err(Fault::into_error));
            stays_here = received.as_ref().is_err_and(|lost| {
                // What an earlier call did is known only to the database.
                !lost.in_doubt && (begun || lost.error.kind() == ErrorKind::State)
            });
            match received {
                Ok(()) => retire(conn, &to.named, now),
                Err(lost) if lost.in_doubt => Err(Error::new(
                    ErrorKind::Busy,
                    format!(
                        "it cannot be told whether the outbox is there by now; migrate once more, nothing gets there \
                         twice ({})",
                        lost.error.message()
                    ),
                )
                .into()),
                Err(lost) => Err(lost.error.into()),
            }
        });
        if moved.is_err() && stays_here {
            self.db.write(stay)?;
        }
        moved
    }
}

/// Marks the outbox as one that is about to be elsewhere; false when it is marked already. From then on it takes no pushes
/// and begins no requests, whoever has the file open.
fn begin(conn: &Connection, to: &Destination) -> Sql<bool> {
    if let Some(known) = meta(conn, MOVING)? {
        let (instance, named) = known.split_once(' ').unwrap_or(("", &known));
        if instance == to.instance || named == to.named {
            forbid(conn)?;
            return Ok(false);
        }
        let message = format!("the outbox of this file is being moved to {named} already; end that first");
        return Err(Error::new(ErrorKind::State, message).into());
    }
    run(
        conn,
        "INSERT INTO meta (name, value) VALUES (?1, ?2)",
        params![MOVING, format!("{} {}", to.instance, to.named)],
    )?;
    forbid(conn)?;
    Ok(true)
}

/// Has every push and request refused. A migration that makes the table anew takes this with it.
fn forbid(conn: &Connection) -> Sql<()> {
    conn.execute_batch(
        "CREATE TRIGGER IF NOT EXISTS pushes_moved_away BEFORE INSERT ON pushes BEGIN \
           SELECT RAISE(ABORT, 'this outbox was moved to a database server; push there'); END; \
         CREATE TRIGGER IF NOT EXISTS pushes_sent_elsewhere BEFORE UPDATE OF state ON pushes \
         WHEN NEW.state = 'sending' BEGIN \
           SELECT RAISE(ABORT, 'this outbox was moved to a database server; it is delivered from there'); END",
    )?;
    Ok(())
}

/// Takes the mark away.
fn stay(conn: &Connection) -> Sql<()> {
    run(conn, "DELETE FROM meta WHERE name = ?1", params![MOVING])?;
    conn.execute_batch(
        "DROP TRIGGER IF EXISTS pushes_moved_away; DROP TRIGGER IF EXISTS pushes_sent_elsewhere",
    )?;
    Ok(())
}

fn origin(conn: &Connection) -> Sql<Origin> {
    let row = conn.query_row(
        "SELECT (SELECT value FROM meta WHERE name = 'instance'), \
         (SELECT max(highest, coalesce((SELECT max(id) FROM pushes), 0)) FROM numbering)",
        [],
        |row| {
            Ok(Origin {
                instance: row.get(0)?,
                last_push: row.get(1)?,
            })
        },
    )?;
    Ok(row)
}

/// Gives every row out.
fn export(conn: &Connection, take: &mut Take<'_>) -> Sql<()> {
    for table in TABLES {
        let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
        // A small case stands in the row of its push.
        let source = match table.name {
            "incidents" => "cases",
            name => name,
        };
        let mut statement = conn.prepare(&format!("SELECT {} FROM {source}", names.join(", ")))?;
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

/// Leaves nothing here to be delivered.
fn retire(conn: &Connection, to: &str, now: Timestamp) -> Sql<()> {
    run(conn, "DELETE FROM intents", &[])?;
    run(
        conn,
        "UPDATE pushes SET state = 'cancelled', ready = 0, leads = 0, updated_at = ?1, finished_at = ?1 \
         WHERE state IN ('queued', 'sending', 'waiting', 'held', 'failed')",
        params![now.as_millis()],
    )?;
    run(
        conn,
        "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
        params![MOVED, to],
    )?;
    run(conn, "DELETE FROM meta WHERE name = ?1", params![MOVING])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::tests::TempDir;

    #[test]
    fn a_move_that_was_begun_is_still_one_after_the_table_was_made_anew() {
        let dir = TempDir::new();
        let store = SqliteStore::open(&dir.path("a.db"), KeySource::Default).unwrap();
        let to = Destination {
            instance: "there".to_owned(),
            named: "postgres://there".to_owned(),
        };
        let guards = |conn: &Connection| -> Sql<i64> {
            let count = "SELECT count(*) FROM sqlite_schema \
                 WHERE name IN ('pushes_moved_away', 'pushes_sent_elsewhere')";
            Ok(conn.query_row(count, [], |row| row.get(0))?)
        };
        let made_anew = "DROP TRIGGER pushes_moved_away; DROP TRIGGER pushes_sent_elsewhere";
        store
            .db
            .write(|conn| {
                assert!(begin(conn, &to)?);
                conn.execute_batch(made_anew)?;
                assert!(!begin(conn, &to)?, "it was begun before");
                assert_eq!(guards(conn)?, 2);
                conn.execute_batch(made_anew)?;
                stay(conn)?;
                assert_eq!((guards(conn)?, meta(conn, MOVING)?), (0, None));
                Ok(())
            })
            .unwrap();
    }
}
