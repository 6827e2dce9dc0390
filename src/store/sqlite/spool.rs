//! What the spool before a database server keeps in its file: the pushes that wait to be forwarded, what the others became,
//! and the connectors as they were last seen there.

use std::path::Path;

use rusqlite::{Connection, params};

use super::db::{all, one, run};
use super::fault::Sql;
use super::purpose::{Purpose, has_spool};
use super::{KeySource, SqliteStore, claim, connectors, enqueue, meta};
use crate::error::{Error, Result};
use crate::model::{FailureClass, PushId, Timestamp};
use crate::outbox::{ConnectorId, NewPush};
use crate::store::{Retention, StoredConnector};

/// Beside the tables of every database of casehook's. A push that is here was spooled under the key of its call, and is
/// forwarded once `forwarded_to` is set; then only this row is left of it.
const TABLES: &str = "\
CREATE TABLE IF NOT EXISTS spooled (
  push_id INTEGER PRIMARY KEY,
  key TEXT NOT NULL,
  forwarded_to INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS spooled_here ON spooled (push_id) WHERE forwarded_to IS NULL;
CREATE INDEX IF NOT EXISTS spooled_keys ON spooled (key) WHERE forwarded_to IS NULL;
CREATE INDEX IF NOT EXISTS pushes_spooled ON pushes (connector_id, id) WHERE state = 'queued';";

/// Under this name in `meta` stands the number of the database that the spool belongs to.
const SPOOL_OF: &str = "spool_of";

/// How many rows a look at what may be forgotten takes.
const BATCH: i64 = 500;

/// What one call pushed, or what is left of it to be forwarded.
pub(crate) struct Bundle {
    pub(crate) key: String,
    /// The numbers here, in the order of `pushes`.
    pub(crate) ids: Vec<PushId>,
    pub(crate) pushes: Vec<NewPush>,
    pub(crate) connector: ConnectorId,
    /// The connector's name, as it was last seen.
    pub(crate) name: String,
    pub(crate) accepted_at: Timestamp,
    /// Whether it was tried before, and may be there already.
    pub(crate) begun: bool,
}

/// Where a push is that was spooled.
pub(crate) enum Spooled {
    Here,
    Forwarded(PushId),
    Unknown,
}

impl SqliteStore {
    /// Opens a file that is, or becomes, a spool. It has no secrets, and so no key.
    pub(crate) fn open_spool(path: &Path) -> Result<SqliteStore> {
        let store = SqliteStore::open_for(Purpose::Spool, path, KeySource::Default, super::PATIENCE)?;
        store.become_spool()?;
        Ok(store)
    }

    /// Makes the file a spool, if it is none yet. `Argument` for the outbox of its own that delivers.
    fn become_spool(&self) -> Result<()> {
        self.db.write(|conn| {
            if !has_spool(conn)? && !connectors::list(conn)?.is_empty() {
                let message =
                    "it is the path of an outbox with connectors of its own; give the spool a new file";
                return Err(Error::new(crate::error::ErrorKind::Argument, message)
                    .at("spool")
                    .into());
            }
            conn.execute_batch(TABLES)?;
            Ok(())
        })
    }

    /// Ties the spool to the database of that number. `Argument` when it is tied to another one.
    pub(crate) fn tie(&self, instance: &str) -> Result<()> {
        self.db.write(|conn| match meta(conn, SPOOL_OF)? {
            None => run(
                conn,
                "INSERT INTO meta (name, value) VALUES (?1, ?2)",
                params![SPOOL_OF, instance],
            )
            .map(drop),
            Some(known) if known == instance => Ok(()),
            Some(_) => {
                let message = "the spool belongs to another database, and its pushes go there; give each database a spool \
                               of its own";
                Err(Error::new(crate::error::ErrorKind::Argument, message)
                    .at("spool")
                    .into())
            }
        })
    }

    /// Keeps the connectors as they are there, under the same numbers; without secrets, health and pauses. With `all`, there
    /// are no others.
    pub(crate) fn mirror(&self, seen: &[StoredConnector], all: bool) -> Result<()> {
        self.db.write(|conn| {
            if all {
                run(conn, "UPDATE connectors SET removed = 1", &[])?;
            }
            for connector in seen {
                run(
                    conn,
                    "INSERT INTO connectors (id, name, revision, config, warnings, target, created_at, updated_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO UPDATE SET \
                     name = ?2, revision = ?3, config = ?4, warnings = ?5, target = ?6, updated_at = ?8, removed = 0",
                    params![
                        connector.id.0,
                        connector.name,
                        connector.revision,
                        connector.config,
                        connector.warnings,
                        connector.target,
                        connector.created_at.as_millis(),
                        connector.updated_at.as_millis(),
                    ],
                )?;
            }
            Ok(())
        })
    }

    /// Takes the pushes of one call in. `begun`: they may be in the database already.
    pub(crate) fn spool(
        &self,
        key: &str,
        pushes: Vec<NewPush>,
        begun: bool,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<Vec<PushId>> {
        let pushes: Vec<_> = pushes
            .into_iter()
            .map(|push| {
                // Which revision there is, and what can be absorbed, is known where they are forwarded to.
                enqueue::make_ready(NewPush {
                    revision: None,
                    coalesce: false,
                    ..push
                })
            })
            .collect::<Result<_>>()?;
        self.db.write(|conn| {
            let ids = enqueue::enqueue(conn, &pushes, now)?;
            enqueue::refuse_overflow(conn, retention)?;
            for id in &ids {
                run(
                    conn,
                    "INSERT INTO spooled (push_id, key) VALUES (?1, ?2)",
                    params![id.get(), key],
                )?;
                if begun {
                    begin(conn, *id)?;
                }
            }
            Ok(ids)
        })
    }

    /// Whether anything waits to be forwarded.
    pub(crate) fn anything_waits(&self) -> Result<bool> {
        self.db.read(|conn| Ok(!heads(conn)?.is_empty()))
    }

    /// Whether pushes of these connectors have to wait here as well: behind others of theirs, or because nothing gets to the
    /// database. What waits only since it was refused holds up its own connector alone.
    pub(crate) fn has_to_wait(&self, connectors: &[ConnectorId]) -> Result<bool> {
        self.db.read(|conn| {
            let heads = heads(conn)?;
            Ok(heads
                .iter()
                .any(|head| !head.refused || connectors.contains(&head.connector)))
        })
    }

    /// When the first of each connector was accepted of those that wait to be forwarded.
    pub(crate) fn oldest_waiting(&self) -> Result<Vec<(ConnectorId, Timestamp)>> {
        self.db.read(|conn| {
            let heads = heads(conn)?;
            Ok(heads
                .iter()
                .map(|head| (head.connector, head.accepted_at))
                .collect())
        })
    }

    /// The call that comes next but for those of the connectors in `without`, as one that is under way from now on: nothing
    /// of it can be cancelled any more.
    pub(crate) fn take_bundle(&self, without: &[ConnectorId]) -> Result<Option<Bundle>> {
        self.db.write(|conn| {
            let mut heads = heads(conn)?;
            heads.retain(|head| !without.contains(&head.connector));
            let Some(Head { connector, key, .. }) = heads.into_iter().min_by_key(|head| head.id) else {
                return Ok(None);
            };
            let rows = all(
                conn,
                "SELECT p.id, c.name, p.created_at, p.state = 'sending' FROM spooled AS s \
                 JOIN pushes AS p ON p.id = s.push_id JOIN connectors AS c ON c.id = p.connector_id \
                 WHERE s.key = ?1 AND s.forwarded_to IS NULL AND p.state IN ('queued', 'sending') ORDER BY p.id",
                params![&key],
                |row| {
                    Ok((
                        PushId::from(row.get::<_, i64>(0)?),
                        row.get::<_, String>(1)?,
                        super::row::time(row, 2)?,
                        row.get::<_, bool>(3)?,
                    ))
                },
            )?;
            let mut bundle = Bundle {
                key,
                ids: Vec::new(),
                pushes: Vec::new(),
                connector,
                name: String::new(),
                accepted_at: Timestamp::from_millis(0),
                begun: false,
            };
            for (id, name, accepted_at, begun) in rows {
                let Some(case) = claim::case(conn, id)? else {
                    continue;
                };
                begin(conn, id)?;
                bundle.ids.push(id);
                bundle.name = name;
                bundle.accepted_at = accepted_at;
                bundle.begun |= begun;
                bundle.pushes.push(NewPush {
                    connector,
                    revision: None,
                    case,
                    coalesce: false,
                });
            }
            Ok(Some(bundle))
        })
    }

    /// Notes what the pushes became, and forgets them.
    pub(crate) fn forwarded(&self, ids: &[PushId], to: &[PushId]) -> Result<()> {
        self.db.write(|conn| {
            for (id, to) in ids.iter().zip(to) {
                run(
                    conn,
                    "UPDATE spooled SET forwarded_to = ?2 WHERE push_id = ?1",
                    params![id.get(), to.get()],
                )?;
                run(conn, "DELETE FROM pushes WHERE id = ?1", params![id.get()])?;
            }
            Ok(())
        })
    }

    /// Lets them wait again: they are not in the database.
    pub(crate) fn give_back(&self, ids: &[PushId]) -> Result<()> {
        self.db
            .write(|conn| ids.iter().try_for_each(|id| wait(conn, *id)))
    }

    /// Notes why the database does not take them for now; with `back`, they wait again, since they are not there.
    pub(crate) fn hold(&self, ids: &[PushId], back: bool, why: &Error) -> Result<()> {
        self.db.write(|conn| {
            for id in ids {
                if back {
                    wait(conn, *id)?;
                }
                note(conn, *id, why, FailureClass::Transient)?;
            }
            Ok(())
        })
    }

    /// Gives them up, until somebody retries them: the database does not take them. Each under a key of its own then.
    pub(crate) fn refuse(&self, ids: &[PushId], keys: &[String], why: &Error, now: Timestamp) -> Result<()> {
        self.db.write(|conn| {
            for (id, key) in ids.iter().zip(keys) {
                run(
                    conn,
                    "UPDATE pushes SET state = 'failed', updated_at = ?2 WHERE id = ?1",
                    params![id.get(), now.as_millis()],
                )?;
                note(conn, *id, why, FailureClass::Permanent)?;
                run(
                    conn,
                    "UPDATE spooled SET key = ?2 WHERE push_id = ?1",
                    params![id.get(), key],
                )?;
            }
            Ok(())
        })
    }

    /// Where a push is that has this number here.
    pub(crate) fn place_of(&self, id: PushId) -> Result<Spooled> {
        self.db.read(|conn| {
            let to = one(
                conn,
                "SELECT forwarded_to FROM spooled WHERE push_id = ?1",
                params![id.get()],
                |row| row.get::<_, Option<i64>>(0),
            )?;
            Ok(match to {
                None => Spooled::Unknown,
                Some(None) => Spooled::Here,
                Some(Some(to)) => Spooled::Forwarded(PushId::from(to)),
            })
        })
    }

    /// Some of those that were forwarded, oldest first, behind this number: what they became.
    pub(crate) fn forwarded_after(&self, after: PushId) -> Result<Vec<(PushId, PushId)>> {
        self.db.read(|conn| {
            all(
                conn,
                "SELECT push_id, forwarded_to FROM spooled WHERE push_id > ?1 AND forwarded_to IS NOT NULL \
                 ORDER BY push_id LIMIT ?2",
                params![after.get(), BATCH],
                |row| {
                    let id = |at| row.get::<_, i64>(at).map(PushId::from);
                    Ok((id(0)?, id(1)?))
                },
            )
        })
    }

    /// Forgets what these pushes became.
    pub(crate) fn forget(&self, ids: &[PushId]) -> Result<()> {
        self.db.write(|conn| {
            for id in ids {
                run(conn, "DELETE FROM spooled WHERE push_id = ?1", params![id.get()])?;
            }
            Ok(())
        })
    }

    /// Forgets what was cancelled or discarded here and is pruned by now.
    pub(crate) fn forget_pruned(&self) -> Result<()> {
        self.db.write(|conn| {
            run(
                conn,
                "DELETE FROM spooled WHERE forwarded_to IS NULL \
                 AND NOT EXISTS (SELECT 1 FROM pushes WHERE pushes.id = push_id)",
                &[],
            )
            .map(drop)
        })
    }
}

/// The first push of a connector that waits here.
struct Head {
    connector: ConnectorId,
    id: i64,
    key: String,
    /// The database did not take it when it was last tried, and said why.
    refused: bool,
    accepted_at: Timestamp,
}

const HEADS: &str = "SELECT p.connector_id, p.id, s.key, p.error_code IS NOT NULL, p.created_at FROM (\
   SELECT c.id AS connector, \
     (SELECT id FROM pushes WHERE connector_id = c.id AND state = 'queued' ORDER BY id LIMIT 1) AS waits, \
     (SELECT id FROM pushes WHERE connector_id = c.id AND state = 'sending' AND state <> 'queued' \
      ORDER BY id LIMIT 1) AS goes \
   FROM connectors AS c) AS first \
 JOIN pushes AS p ON p.id = min(coalesce(waits, goes), coalesce(goes, waits)) \
 JOIN spooled AS s ON s.push_id = p.id AND s.forwarded_to IS NULL";

/// Those of all connectors, by an index each, however many wait behind them.
fn heads(conn: &Connection) -> Sql<Vec<Head>> {
    let any = one(
        conn,
        "SELECT 1 FROM spooled WHERE forwarded_to IS NULL LIMIT 1",
        &[],
        |_| Ok(()),
    )?;
    if any.is_none() {
        return Ok(Vec::new());
    }
    all(conn, HEADS, &[], |row| {
        Ok(Head {
            connector: ConnectorId(row.get(0)?),
            id: row.get(1)?,
            key: row.get(2)?,
            refused: row.get(3)?,
            accepted_at: super::row::time(row, 4)?,
        })
    })
}

fn begin(conn: &Connection, id: PushId) -> Sql<()> {
    run(
        conn,
        "UPDATE pushes SET state = 'sending', ready = 0 WHERE id = ?1 AND state = 'queued'",
        params![id.get()],
    )?;
    Ok(())
}

fn wait(conn: &Connection, id: PushId) -> Sql<()> {
    run(
        conn,
        "UPDATE pushes SET state = 'queued' WHERE id = ?1 AND state = 'sending'",
        params![id.get()],
    )?;
    Ok(())
}

fn note(conn: &Connection, id: PushId, why: &Error, class: FailureClass) -> Sql<()> {
    run(
        conn,
        "UPDATE pushes SET error_code = ?2, error_kind = ?3, error_message = ?4, error_step = 'create', \
         error_retryable = ?5 WHERE id = ?1",
        params![
            id.get(),
            why.kind().name(),
            class.as_str(),
            why.message(),
            class == FailureClass::Transient,
        ],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::layout_tests::{analyse, plan};
    use super::super::tests::{NOW, RETENTION, TempDir, connector, pushes};
    use super::*;

    #[test]
    fn the_first_of_each_connector_is_found_by_an_index() {
        let dir = TempDir::new();
        let store = SqliteStore::open_spool(&dir.path("spool")).unwrap();
        let id = connector(&store, &[]).unwrap().id;
        let new = pushes(id, (0..10_000).map(|n| n.to_string()));
        store.spool("k", new, false, &RETENTION, NOW).unwrap();
        for analysed in [false, true] {
            if analysed {
                analyse(&store);
            }
            let plan = store.db.with_writer(|conn| plan(conn, HEADS)).unwrap();
            for index in ["pushes_spooled", "pushes_state"] {
                assert!(plan.contains(index), "{plan}");
            }
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
            let mut scans = plan.lines().filter(|line| line.starts_with("SCAN"));
            assert!(
                scans.all(|scan| format!("{scan} ").starts_with("SCAN c ")),
                "{plan}"
            );
        }
    }
}
