//! Connectors: their documents, health and removal.

use rusqlite::{Connection, Row, params};

use super::db::{all, count, int, one, run};
use super::fault::Sql;
use super::key::KeyHolder;
use super::row::{case_id, time, time_or_none};
use super::vault;
use crate::error::{Error, ErrorKind};
use crate::model::Timestamp;
use crate::outbox::{ConnectorId, Health, Trouble};
use crate::store::{NewConnector, StoredConnector, Undelivered};

macro_rules! columns {
    () => {
        "id, name, revision, config, warnings, target, paused, offline_reason, offline_probes, \
         offline_probe_at, blocked_reason, blocked_probes, blocked_probe_at, throttled_until, \
         odometer_ms, created_at, updated_at"
    };
}

pub(super) const PULL: &str = "UPDATE pushes INDEXED BY pushes_ready SET due_at = ?2, wait_ms = 0 \
     WHERE connector_id = ?1 AND ready = 1 AND due_at > ?2 AND step IS NOT 'find'";

pub(super) fn put(
    conn: &Connection,
    connector: &NewConnector<'_>,
    key: &KeyHolder,
    now: Timestamp,
) -> Sql<StoredConnector> {
    run(
        conn,
        "INSERT INTO connectors (name, revision, config, warnings, target, created_at, updated_at) \
         VALUES (?1, 1, ?2, ?3, ?4, ?5, ?5) \
         ON CONFLICT (name) DO UPDATE SET revision = revision + 1, config = ?2, warnings = ?3, target = ?4, \
         created_at = CASE removed WHEN 1 THEN ?5 ELSE created_at END, \
         paused = CASE removed WHEN 1 THEN 0 ELSE paused END, removed = 0, \
         offline_reason = NULL, offline_probes = NULL, offline_probe_at = NULL, \
         blocked_reason = NULL, blocked_probes = NULL, blocked_probe_at = NULL, throttled_until = NULL, \
         updated_at = ?5",
        params![
            connector.name,
            connector.config,
            connector.warnings,
            connector.target,
            now.as_millis()
        ],
    )?;
    let stored = by_name(conn, connector.name)?
        .ok_or_else(|| Error::internal("a connector is not there after it was stored"))?;
    if let Some(secrets) = &connector.secrets {
        vault::replace(conn, stored.id, secrets, key)?;
    }
    run(conn, PULL, params![stored.id.0, now.as_millis()])?;
    Ok(stored)
}

pub(super) fn by_name(conn: &Connection, name: &str) -> Sql<Option<StoredConnector>> {
    one(
        conn,
        concat!(
            "SELECT ",
            columns!(),
            " FROM connectors WHERE name = ?1 AND removed = 0"
        ),
        params![name],
        read,
    )
}

pub(super) fn list(conn: &Connection) -> Sql<Vec<StoredConnector>> {
    all(
        conn,
        concat!(
            "SELECT ",
            columns!(),
            " FROM connectors WHERE removed = 0 ORDER BY name"
        ),
        params![],
        read,
    )
}

/// Every connector that ever was: what history may belong to.
pub(super) fn ids(conn: &Connection, name: Option<&str>) -> Sql<Vec<ConnectorId>> {
    all(
        conn,
        "SELECT id FROM connectors WHERE name = ?1 OR ?1 IS NULL",
        params![name],
        |row| row.get(0).map(ConnectorId),
    )
}

pub(super) fn has_secrets(conn: &Connection, id: ConnectorId) -> Sql<bool> {
    let found = one(
        conn,
        "SELECT 1 FROM secrets WHERE connector_id = ?1 LIMIT 1",
        params![id.0],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// What a push opened is known to the next one of its case, should the connector come back.
pub(super) const LINK_HALF_DONE: &str = concat!(
    "INSERT INTO links (connector_id, target, case_id, external_id, title, url, last_push, updated_at) \
     SELECT p.connector_id, coalesce(p.sent_to, c.target), ",
    case_id!(),
    ", p.external_id, p.external_title, p.external_url, 0, ?2 \
     FROM connectors AS c CROSS JOIN pushes AS p ON p.connector_id = c.id \
       LEFT JOIN incidents AS i ON i.push_id = p.id \
     WHERE c.id = ?1 AND p.state IN ('queued', 'waiting', 'held') AND p.step IN ('get', 'comment') \
       AND p.lane GLOB 'c:*' AND p.given_id IS NULL AND p.external_id IS NOT NULL \
     ORDER BY p.id DESC ON CONFLICT DO NOTHING"
);

pub(super) const CANCEL_ALL: &str = "UPDATE pushes \
     SET state = 'cancelled', ready = 0, leads = 0, updated_at = ?2, finished_at = ?2 \
     WHERE connector_id = ?1 AND state IN ('queued', 'waiting', 'held', 'failed')";

pub(super) fn remove(conn: &Connection, name: &str, undelivered: Undelivered, now: Timestamp) -> Sql<()> {
    let id = by_name(conn, name)?.ok_or_else(|| missing(name))?.id;
    let (sending, others): (i64, i64) = conn
        .prepare_cached(
            "SELECT coalesce(sum(n) FILTER (WHERE state = 'sending'), 0), \
             coalesce(sum(n) FILTER (WHERE state IN ('queued', 'waiting', 'held', 'failed')), 0) \
             FROM counts WHERE connector_id = ?1",
        )?
        .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if sending > 0 {
        return Err(under_way(name, sending).into());
    }
    if others > 0 && undelivered == Undelivered::Refuse {
        return Err(not_delivered(name, others).into());
    }
    run(
        conn,
        "DELETE FROM intents WHERE push_id IN (SELECT id FROM pushes WHERE connector_id = ?1 \
         AND state IN ('queued', 'waiting', 'held', 'failed'))",
        params![id.0],
    )?;
    run(conn, LINK_HALF_DONE, params![id.0, now.as_millis()])?;
    run(conn, CANCEL_ALL, params![id.0, now.as_millis()])?;
    vault::erase(conn, id)?;
    run(
        conn,
        "UPDATE connectors SET removed = 1, paused = 0, updated_at = ?2 WHERE id = ?1",
        params![id.0, now.as_millis()],
    )?;
    Ok(())
}

pub(super) fn set_paused(conn: &Connection, name: &str, paused: bool, now: Timestamp) -> Sql<()> {
    let changed = run(
        conn,
        "UPDATE connectors SET paused = ?2, updated_at = CASE paused WHEN ?2 THEN updated_at ELSE ?3 END \
         WHERE name = ?1 AND removed = 0",
        params![name, paused, now.as_millis()],
    )?;
    if changed == 0 {
        Err(missing(name).into())
    } else {
        Ok(())
    }
}

pub(super) fn set_health(conn: &Connection, id: ConnectorId, health: &Health) -> Sql<()> {
    let offline = health.offline.as_ref();
    let blocked = health.blocked.as_ref();
    run(
        conn,
        "UPDATE connectors SET offline_reason = ?2, offline_probes = ?3, offline_probe_at = ?4, \
         blocked_reason = ?5, blocked_probes = ?6, blocked_probe_at = ?7, throttled_until = ?8, \
         odometer_ms = ?9 WHERE id = ?1",
        params![
            id.0,
            offline.map(|t| &t.reason),
            offline.map(|t| t.probes),
            offline.map(|t| t.probe_at.as_millis()),
            blocked.map(|t| &t.reason),
            blocked.map(|t| t.probes),
            blocked.map(|t| t.probe_at.as_millis()),
            health.throttled_until.map(Timestamp::as_millis),
            int(health.odometer_ms)
        ],
    )?;
    Ok(())
}

pub(super) fn links_elsewhere(conn: &Connection, name: &str, target: &str) -> Sql<u64> {
    let links: Option<i64> = one(
        conn,
        "SELECT count(*) FROM links WHERE connector_id = (SELECT id FROM connectors WHERE name = ?1) \
         AND target <> ?2",
        params![name, target],
        |row| row.get(0),
    )?;
    Ok(count(links.unwrap_or(0)))
}

/// Refuses pushes for a connector that is not there, or no longer, or no longer as it was.
pub(super) fn require(conn: &Connection, id: ConnectorId, revision: Option<i64>) -> Sql<()> {
    let found = one(
        conn,
        "SELECT revision FROM connectors WHERE id = ?1 AND removed = 0",
        params![id.0],
        |row| row.get::<_, i64>(0),
    )?;
    let message = match found {
        Some(present) if revision.is_none_or(|checked| checked == present) => return Ok(()),
        Some(_) => "the connector was configured anew meanwhile; push again",
        None => "the connector was removed; configure it again before pushing to it",
    };
    Err(Error::new(ErrorKind::NotFound, message).into())
}

/// The refusal to remove a connector while pushes of it are being sent.
pub(in crate::store) fn under_way(name: &str, count: i64) -> Error {
    let words = match count {
        1 => "1 push on its way; call again when it has ended".to_owned(),
        _ => format!("{count} pushes on their way; call again when they have ended"),
    };
    Error::new(ErrorKind::State, format!("connector {name:?} has {words}"))
}

/// The refusal to remove a connector with pushes that are not delivered.
pub(in crate::store) fn not_delivered(name: &str, count: i64) -> Error {
    let words = match count {
        1 => "1 undelivered push; deliver, discard or cancel it first".to_owned(),
        _ => format!("{count} undelivered pushes; deliver, discard or cancel them first"),
    };
    Error::new(ErrorKind::State, format!("connector {name:?} has {words}"))
}

pub(in crate::store) fn missing(name: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no connector {name:?}; configure it first"),
    )
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredConnector> {
    Ok(StoredConnector {
        id: ConnectorId(row.get(0)?),
        name: row.get(1)?,
        revision: row.get(2)?,
        config: row.get(3)?,
        warnings: row.get(4)?,
        target: row.get(5)?,
        paused: row.get(6)?,
        health: Health {
            offline: trouble(row, 7)?,
            blocked: trouble(row, 10)?,
            throttled_until: time_or_none(row, 13)?,
            odometer_ms: count(row.get(14)?),
        },
        created_at: time(row, 15)?,
        updated_at: time(row, 16)?,
    })
}

fn trouble(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Trouble>> {
    let Some(reason) = row.get(at)? else {
        return Ok(None);
    };
    Ok(Some(Trouble {
        reason,
        probes: row.get(at + 1)?,
        probe_at: time(row, at + 2)?,
    }))
}
