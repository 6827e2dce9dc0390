//! Taking pushes for delivery.

use std::sync::Arc;

use rusqlite::{Connection, Row, ToSql, params};

use super::db::{all, one, run};
use super::fault::Sql;
use super::read;
use super::row::{
    case_id, incident, incident_columns, is_null, named, progress, progress_columns, time, time_or_none,
};
use crate::model::{Case, Comment, CommentState, Link, PushId, Step, Timestamp};
use crate::outbox::{Claim, CommentProgress, ConnectorId, Intent, Progress, Push};

/// The number or the due time of the connector's first ready push that is due, but for those of a list.
macro_rules! first_ready {
    ($column:literal) => {
        concat!(
            "SELECT ",
            $column,
            " FROM pushes WHERE connector_id = ?1 AND ready = 1 AND due_at <= ?2 \
             AND instr(?3, ',' || id || ',') = 0 ORDER BY due_at, id LIMIT 1"
        )
    };
}
#[cfg(test)]
pub(super) const FIRST_READY: &str = first_ready!("id");
const NEXT_DUE: &str = first_ready!("due_at");

/// Numbers as `first_ready!` takes them.
fn list(ids: &[PushId]) -> String {
    ids.iter().fold(String::new(), |list, id| match list.as_str() {
        "" => format!(",{id},"),
        _ => list + &format!("{id},"),
    })
}

pub(super) fn claim(
    conn: &Connection,
    connector: ConnectorId,
    now: Timestamp,
    busy: &[PushId],
) -> Sql<Option<Claim>> {
    one(
        conn,
        CLAIM,
        params![connector.0, now.as_millis(), list(busy)],
        |row| read_claim(conn, row),
    )
}

pub(super) fn next_due(conn: &Connection, connector: ConnectorId, busy: &[PushId]) -> Sql<Option<Timestamp>> {
    one(
        conn,
        NEXT_DUE,
        params![connector.0, i64::MAX, list(busy)],
        |row| time(row, 0),
    )
}

/// A push with what its next step needs to know, but for its comments.
macro_rules! load {
    ($($id:tt)*) => {
        concat!(
            "SELECT p.id, p.connector_id, c.target, EXISTS (SELECT 1 FROM comments WHERE push_id = p.id), \
             coalesce(l.last_push > p.id, 0) OR EXISTS (\
               SELECT 1 FROM pushes AS later WHERE later.lane = p.lane AND later.connector_id = p.connector_id \
               AND later.phase = 2 AND later.id > p.id), ",
            incident_columns!(),
            ", l.external_id, l.title, l.url, l.updated_at, c.name, \
             n.step, n.comment, n.target, n.idempotency_key, n.key_made_at, n.ended_at, n.body, ",
            progress_columns!(),
            " FROM pushes AS p JOIN connectors AS c ON c.id = p.connector_id \
             LEFT JOIN incidents AS i ON i.push_id = p.id AND p.title IS NULL \
             LEFT JOIN intents AS n ON n.push_id = p.id \
             LEFT JOIN links AS l ON l.connector_id = p.connector_id AND l.target = c.target AND l.case_id = ",
            case_id!(),
            " WHERE p.id = (",
            $($id)*,
            ")"
        )
    };
}
pub(super) const CLAIM: &str = load!(first_ready!("id"));
pub(super) const LOAD: &str = load!("?1");
const INCIDENT: usize = 5;
const LINK: usize = 14;
const INTENT: usize = 19;
const PROGRESS: usize = 26;

pub(super) fn load(conn: &Connection, id: PushId) -> Sql<Option<Claim>> {
    one(conn, LOAD, params![id.get()], |row| read_claim(conn, row))
}

/// Reads `load!`, and the comments in the same snapshot, which lasts as long as the row is being read.
fn read_claim(conn: &Connection, row: &Row<'_>) -> rusqlite::Result<Claim> {
    let id = PushId::from(row.get::<_, i64>(0)?);
    let connector = ConnectorId(row.get(1)?);
    let target: String = row.get(2)?;
    let mut case = incident(row, INCIDENT)?;
    let mut sent = Vec::new();
    if row.get(3)? {
        let owner = params![id.get(), connector.0, target, case.id];
        (case.comments, sent) = comments(conn, owner)?;
    }
    Ok(Claim {
        link: link(row, &target, case.id.as_deref())?,
        overtaken: row.get(4)?,
        push: Push {
            id,
            connector,
            case: Arc::new(case),
            progress: Progress {
                intent: intent(row)?,
                ..progress(row, PROGRESS)?
            },
            comments: sent,
        },
        target,
    })
}

fn link(row: &Row<'_>, target: &str, case_id: Option<&str>) -> rusqlite::Result<Option<Link>> {
    match case_id {
        Some(case_id) if !is_null(row, LINK)? => {
            read::link_from(row, LINK, row.get(LINK + 4)?, target.to_owned(), case_id).map(Some)
        }
        _ => Ok(None),
    }
}

fn intent(row: &Row<'_>) -> rusqlite::Result<Option<Intent>> {
    if is_null(row, INTENT)? {
        return Ok(None);
    }
    Ok(Some(Intent {
        step: named(row, INTENT, Step::from_name)?,
        comment: row.get(INTENT + 1)?,
        target: row.get(INTENT + 2)?,
        idempotency_key: row.get(INTENT + 3)?,
        key_made_at: time(row, INTENT + 4)?,
        ended_at: time_or_none(row, INTENT + 5)?,
        body: row.get(INTENT + 6)?,
    }))
}

/// `owner` is a push, its connector, target and case.
fn comments(
    conn: &Connection,
    owner: &[&dyn ToSql],
) -> rusqlite::Result<(Vec<Comment>, Vec<CommentProgress>)> {
    let mut statement = conn.prepare_cached(
        "SELECT comment_id, text, state, occurrence, comment_id <> '' AND EXISTS (\
           SELECT 1 FROM comment_marks AS m WHERE m.connector_id = ?2 AND m.target = ?3 \
           AND m.case_id = ?4 AND m.comment_id = comments.comment_id \
           AND m.occurrence = comments.occurrence) \
         FROM comments WHERE push_id = ?1 ORDER BY ordinal",
    )?;
    let rows = statement.query_map(owner, |row| {
        let comment = Comment {
            id: row.get(0)?,
            text: row.get(1)?,
        };
        let progress = CommentProgress {
            state: named(row, 2, CommentState::from_name)?,
            occurrence: row.get(3)?,
            already_sent: row.get(4)?,
        };
        Ok((comment, progress))
    })?;
    rows.collect()
}

/// The case of a push, whole.
pub(super) fn case(conn: &Connection, id: PushId) -> Sql<Option<Case>> {
    Ok(load(conn, id)?.map(|claim| Arc::unwrap_or_clone(claim.push.case)))
}

pub(super) const INTERRUPTED: &str =
    "SELECT id FROM pushes WHERE connector_id = ?1 AND state = 'sending' AND state <> 'queued' ORDER BY id";

pub(super) fn interrupted(conn: &Connection) -> Sql<Vec<PushId>> {
    let mut found = Vec::new();
    for connector in super::connectors::ids(conn, None)? {
        let ids = all(conn, INTERRUPTED, params![connector.0], |row| {
            row.get::<_, i64>(0).map(PushId::from)
        })?;
        found.extend(ids);
    }
    found.sort_unstable();
    Ok(found)
}

pub(super) const CLAMP: &str = "UPDATE pushes INDEXED BY pushes_ready SET due_at = ?2 + wait_ms \
     WHERE connector_id = ?1 AND ready = 1 AND due_at > ?2 AND due_at > ?2 + wait_ms";

/// See `Store::clamp_due`. Pushes that are not ready are pulled back when they become so.
pub(super) fn clamp_due(conn: &Connection, now: Timestamp) -> Sql<()> {
    const MINUTE: i64 = 60_000;
    for connector in super::connectors::ids(conn, None)? {
        run(conn, CLAMP, params![connector.0, now.as_millis()])?;
    }
    run(
        conn,
        "UPDATE connectors SET offline_probe_at = min(offline_probe_at, ?1 + ?2), \
         blocked_probe_at = min(blocked_probe_at, ?1 + ?3), throttled_until = min(throttled_until, ?1 + ?3) \
         WHERE offline_probe_at > ?1 OR blocked_probe_at > ?1 OR throttled_until > ?1",
        params![now.as_millis(), 10 * MINUTE, 60 * MINUTE],
    )?;
    Ok(())
}
