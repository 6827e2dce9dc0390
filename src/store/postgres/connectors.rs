//! Connectors: their documents, health and removal.

use tokio_postgres::Row;

use super::conn::Conn;
use super::fault::Sql;
use super::row::{count, get, int, number, server_now, text, text_or_none, time, time_or_none};
use super::text::stored;
use super::vault;
use crate::error::{Error, ErrorKind};
use crate::model::Timestamp;
use crate::outbox::{ConnectorId, Health, Trouble};
use crate::store::sqlite::connectors::{missing, not_delivered, under_way};
use crate::store::sqlite::key::Key;
use crate::store::{NewConnector, StoredConnector, Undelivered};

macro_rules! columns {
    () => {
        "id, name, revision, config, warnings, target, paused, offline_reason, offline_probes, \
         offline_probe_at, blocked_reason, blocked_probes, blocked_probe_at, throttled_until, \
         odometer_ms, created_at, updated_at"
    };
}

/// `key` is there when `connector` brings secrets.
pub(super) fn put(
    conn: &Conn,
    connector: &NewConnector<'_>,
    key: Option<&Key>,
    now: Timestamp,
) -> Sql<StoredConnector> {
    conn.run(
        "INSERT INTO connectors AS c (name, revision, config, warnings, target, created_at, updated_at) \
         VALUES ($1, 1, $2, $3, $4, $5, $5) \
         ON CONFLICT (name) DO UPDATE SET revision = c.revision + 1, changed = nextval('changes'), config = $2, \
         warnings = $3, target = $4, created_at = CASE WHEN c.removed THEN $5 ELSE c.created_at END, \
         paused = c.paused AND NOT c.removed, removed = false, \
         offline_reason = NULL, offline_probes = NULL, offline_probe_at = NULL, \
         blocked_reason = NULL, blocked_probes = NULL, blocked_probe_at = NULL, throttled_until = NULL, \
         updated_at = $5",
        &[
            &stored(connector.name),
            &stored(connector.config),
            &stored(connector.warnings),
            &stored(connector.target),
            &now.as_millis(),
        ],
    )?;
    let stored = by_name(conn, connector.name)?
        .ok_or_else(|| Error::internal("a connector is not there after it was stored"))?;
    conn.run(
        "INSERT INTO gates (connector_id) VALUES ($1) ON CONFLICT DO NOTHING",
        &[&stored.id.0],
    )?;
    if let Some(secrets) = &connector.secrets {
        vault::replace(conn, stored.id, secrets, key)?;
    }
    conn.run(
        "UPDATE pushes SET due_at = $2, wait_ms = 0 \
         WHERE connector_id = $1 AND ready AND due_at > $2 AND step IS DISTINCT FROM 'find'",
        &[&stored.id.0, &now.as_millis()],
    )?;
    Ok(stored)
}

pub(super) fn by_name(conn: &Conn, name: &str) -> Sql<Option<StoredConnector>> {
    conn.one(
        concat!(
            "SELECT ",
            columns!(),
            " FROM connectors WHERE name = $1 AND NOT removed"
        ),
        &[&stored(name)],
        read,
    )
}

pub(super) fn list(conn: &Conn) -> Sql<Vec<StoredConnector>> {
    conn.all(
        concat!(
            "SELECT ",
            columns!(),
            " FROM connectors WHERE NOT removed ORDER BY name"
        ),
        &[],
        read,
    )
}

/// Every connector that ever was: what history may belong to.
pub(super) fn ids(conn: &Conn, name: Option<&str>) -> Sql<Vec<ConnectorId>> {
    conn.all(
        "SELECT id FROM connectors WHERE name = $1 OR $1 IS NULL",
        &[&name.map(stored)],
        |row| get(row, 0).map(ConnectorId),
    )
}

pub(super) fn has_secrets(conn: &Conn, id: ConnectorId) -> Sql<bool> {
    let found = conn.one(
        "SELECT 1 FROM secrets WHERE connector_id = $1 LIMIT 1",
        &[&id.0],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Differs whenever any connector differs. A sum, since the highest number may be committed before a lower one is.
pub(super) fn version(conn: &Conn) -> Sql<i64> {
    let sum = conn.one(
        "SELECT coalesce(sum(changed), 0)::bigint FROM connectors",
        &[],
        |row| get(row, 0),
    )?;
    Ok(sum.unwrap_or(0))
}

/// So many at a time, since each statement has a limit of its own to keep; the newest first, since what a push opened is known
/// to the next one of its case, should the connector come back. Tells how many it cancelled.
const CANCEL_SOME: &str = concat!(
    "WITH mine AS (SELECT id, state FROM pushes WHERE connector_id = $1 \
       AND state IN ('queued', 'waiting', 'held', 'failed') ORDER BY id DESC LIMIT 10000 FOR UPDATE), \
     cancelled AS (UPDATE pushes AS p SET state = 'cancelled', ready = false, leads = false, owner = NULL, \
       fence = fence + 1, updated_at = $2, finished_at = ",
    server_now!(),
    " FROM mine WHERE p.id = mine.id \
       RETURNING p.id, mine.state AS before, p.lane, p.given_id, p.step, p.sent_to, p.external_id, p.external_title, \
         p.external_url), \
     linked AS (INSERT INTO links (connector_id, target, case_id, external_id, title, url, last_push, updated_at) \
       SELECT c.id, coalesce(p.sent_to, c.target), substr(p.lane, 3), p.external_id, p.external_title, \
         p.external_url, 0, $2 \
       FROM cancelled AS p JOIN connectors AS c ON c.id = $1 \
       WHERE p.before <> 'failed' AND p.step IN ('get', 'comment') AND p.lane LIKE 'c:%' AND p.given_id IS NULL \
         AND p.external_id IS NOT NULL \
       ORDER BY p.id DESC ON CONFLICT DO NOTHING) \
     SELECT count(*) FROM cancelled"
);

pub(super) fn remove(conn: &Conn, name: &str, undelivered: Undelivered, now: Timestamp) -> Sql<()> {
    // Whoever accepts a push for it waits for this, and then finds it removed.
    conn.run(
        "SELECT 1 FROM connectors WHERE name = $1 FOR UPDATE",
        &[&stored(name)],
    )?;
    let id = by_name(conn, name)?.ok_or_else(|| missing(name))?.id;
    let others = in_states(conn, id, &["queued", "waiting", "held", "failed"])?;
    if others > 0 && undelivered == Undelivered::Refuse {
        refuse_sending(conn, name, id)?;
        return Err(not_delivered(name, others).into());
    }
    conn.run(
        "DELETE FROM intents WHERE push_id IN (SELECT id FROM pushes WHERE connector_id = $1 \
         AND state IN ('queued', 'waiting', 'held', 'failed'))",
        &[&id.0],
    )?;
    while cancel_some(conn, id, now)? > 0 {}
    // Last, since a request may have been begun until its push's row was waited for.
    refuse_sending(conn, name, id)?;
    vault::erase(conn, id)?;
    conn.run(
        "UPDATE connectors SET removed = true, paused = false, changed = nextval('changes'), updated_at = $2 \
         WHERE id = $1",
        &[&id.0, &now.as_millis()],
    )?;
    Ok(())
}

fn cancel_some(conn: &Conn, id: ConnectorId, now: Timestamp) -> Sql<i64> {
    let cancelled = conn.one(CANCEL_SOME, &[&id.0, &now.as_millis()], |row| get(row, 0))?;
    Ok(cancelled.unwrap_or(0))
}

fn refuse_sending(conn: &Conn, name: &str, id: ConnectorId) -> Sql<()> {
    match in_states(conn, id, &["sending"])? {
        0 => Ok(()),
        sending => Err(under_way(name, sending).into()),
    }
}

fn in_states(conn: &Conn, id: ConnectorId, states: &[&str]) -> Sql<i64> {
    let sum = conn.one(
        "SELECT coalesce(sum(n), 0)::bigint FROM counters WHERE connector_id = $1 AND state = ANY ($2)",
        &[&id.0, &states],
        |row| get(row, 0),
    )?;
    Ok(sum.unwrap_or(0))
}

pub(super) fn set_paused(conn: &Conn, name: &str, paused: bool, now: Timestamp) -> Sql<()> {
    let changed = conn.run(
        "UPDATE connectors SET paused = $2, changed = nextval('changes'), \
         updated_at = CASE WHEN paused = $2 THEN updated_at ELSE $3 END \
         WHERE name = $1 AND NOT removed",
        &[&stored(name), &paused, &now.as_millis()],
    )?;
    if changed == 0 {
        Err(missing(name).into())
    } else {
        Ok(())
    }
}

pub(super) fn set_health(conn: &Conn, id: ConnectorId, health: &Health) -> Sql<()> {
    let offline = health.offline.as_ref();
    let blocked = health.blocked.as_ref();
    conn.run(
        "UPDATE connectors SET offline_reason = $2, offline_probes = $3, offline_probe_at = $4, \
         blocked_reason = $5, blocked_probes = $6, blocked_probe_at = $7, throttled_until = $8, \
         odometer_ms = $9, changed = nextval('changes') WHERE id = $1",
        &[
            &id.0,
            &offline.map(|t| stored(&t.reason)),
            &offline.map(|t| i64::from(t.probes)),
            &offline.map(|t| t.probe_at.as_millis()),
            &blocked.map(|t| stored(&t.reason)),
            &blocked.map(|t| i64::from(t.probes)),
            &blocked.map(|t| t.probe_at.as_millis()),
            &health.throttled_until.map(Timestamp::as_millis),
            &int(health.odometer_ms),
        ],
    )?;
    Ok(())
}

/// Stores what one host learned of a connector: only what it changed of the health that it acted on, since others learn
/// at the same time.
pub(super) fn merge_health(
    conn: &Conn,
    id: ConnectorId,
    acted_on: Option<&Health>,
    learned: &Health,
) -> Sql<()> {
    let present = conn.one(
        concat!(
            "SELECT ",
            columns!(),
            " FROM connectors WHERE id = $1 FOR NO KEY UPDATE"
        ),
        &[&id.0],
        read,
    )?;
    let Some(present) = present.map(|row| row.health) else {
        return Ok(());
    };
    let before = acted_on.unwrap_or(&present);
    let mut merged = present.clone();
    if learned.offline != before.offline {
        merged.offline.clone_from(&learned.offline);
    }
    if learned.blocked != before.blocked {
        merged.blocked.clone_from(&learned.blocked);
    }
    // Only a configure ends a throttle before its time.
    merged.throttled_until = present.throttled_until.max(learned.throttled_until);
    merged.odometer_ms = present.odometer_ms.max(learned.odometer_ms);
    if merged == present {
        return Ok(());
    }
    set_health(conn, id, &merged)
}

pub(super) fn links_elsewhere(conn: &Conn, name: &str, target: &str) -> Sql<u64> {
    let links: Option<i64> = conn.one(
        "SELECT count(*) FROM links WHERE connector_id = (SELECT id FROM connectors WHERE name = $1) \
         AND target <> $2",
        &[&stored(name), &stored(target)],
        |row| get(row, 0),
    )?;
    Ok(count(links.unwrap_or(0)))
}

/// Refuses pushes for a connector that is not there, or no longer, or no longer as it was; it stays until this
/// transaction ends.
pub(super) fn require(conn: &Conn, id: ConnectorId, revision: Option<i64>) -> Sql<()> {
    let found = conn.one(
        "SELECT revision FROM connectors WHERE id = $1 AND NOT removed FOR KEY SHARE",
        &[&id.0],
        |row| get::<i64>(row, 0),
    )?;
    let message = match found {
        Some(present) if revision.is_none_or(|checked| checked == present) => return Ok(()),
        Some(_) => "the connector was configured anew meanwhile; push again",
        None => "the connector was removed; configure it again before pushing to it",
    };
    Err(Error::new(ErrorKind::NotFound, message).into())
}

fn read(row: &Row) -> Sql<StoredConnector> {
    Ok(StoredConnector {
        id: ConnectorId(get(row, 0)?),
        name: text(row, 1)?,
        revision: get(row, 2)?,
        config: text(row, 3)?,
        warnings: text(row, 4)?,
        target: text(row, 5)?,
        paused: get(row, 6)?,
        health: Health {
            offline: trouble(row, 7)?,
            blocked: trouble(row, 10)?,
            throttled_until: time_or_none(row, 13)?,
            odometer_ms: count(get(row, 14)?),
        },
        created_at: time(row, 15)?,
        updated_at: time(row, 16)?,
    })
}

fn trouble(row: &Row, at: usize) -> Sql<Option<Trouble>> {
    let Some(reason) = text_or_none(row, at)? else {
        return Ok(None);
    };
    Ok(Some(Trouble {
        reason,
        probes: number(row, at + 1)?,
        probe_at: time(row, at + 2)?,
    }))
}
