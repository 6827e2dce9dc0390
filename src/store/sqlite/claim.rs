//! Taking pushes for delivery.

use rusqlite::{Connection, Row, params};

use super::db::{all, int, one, run};
use super::fault::Sql;
use super::read;
use super::row::{
    case_id, incident, incident_columns, is_null, named, progress, progress_columns, time, time_or_none,
};
use crate::model::{Case, Comment, CommentState, Link, PushId, Step, Timestamp};
use crate::outbox::{Claim, CommentProgress, ConnectorId, Intent, Progress, Push};

pub(super) fn claim(
    conn: &Connection,
    connector: ConnectorId,
    now: Timestamp,
    busy: &[PushId],
) -> Sql<Option<Claim>> {
    match first_ready(conn, connector, Some(now), busy)? {
        Some((id, _)) => load(conn, id),
        None => Ok(None),
    }
}

pub(super) fn next_due(conn: &Connection, connector: ConnectorId, busy: &[PushId]) -> Sql<Option<Timestamp>> {
    Ok(first_ready(conn, connector, None, busy)?.map(|(_, due)| due))
}

pub(super) const FIRST_READY: &str = "SELECT id, due_at FROM pushes \
     WHERE connector_id = ?1 AND ready = 1 AND due_at <= ?2 ORDER BY due_at, id LIMIT ?3";

fn first_ready(
    conn: &Connection,
    connector: ConnectorId,
    until: Option<Timestamp>,
    busy: &[PushId],
) -> Sql<Option<(PushId, Timestamp)>> {
    let until = until.map_or(i64::MAX, Timestamp::as_millis);
    let mut statement = conn.prepare_cached(FIRST_READY)?;
    let mut rows = statement.query(params![connector.0, until, int(busy.len() as u64 + 1)])?;
    while let Some(row) = rows.next()? {
        let id = PushId::from(row.get::<_, i64>(0)?);
        if !busy.contains(&id) {
            return Ok(Some((id, time(row, 1)?)));
        }
    }
    Ok(None)
}

/// A push with what its next step needs to know, but for its comments.
pub(super) const LOAD: &str = concat!(
    "SELECT p.connector_id, c.target, EXISTS (SELECT 1 FROM comments WHERE push_id = p.id), \
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
    " WHERE p.id = ?1"
);
const INCIDENT: usize = 4;
const LINK: usize = 13;
const INTENT: usize = 18;
const PROGRESS: usize = 25;

pub(super) fn load(conn: &Connection, id: PushId) -> Sql<Option<Claim>> {
    let found = one(conn, LOAD, [id.get()], |row| {
        let has_comments: bool = row.get(2)?;
        let case = incident(row, INCIDENT)?;
        let target: String = row.get(1)?;
        let link = link(row, &target, case.id.as_deref())?;
        let progress = Progress {
            intent: intent(row)?,
            ..progress(row, PROGRESS)?
        };
        let claim = Claim {
            push: Push {
                id,
                connector: ConnectorId(row.get(0)?),
                case,
                progress,
                comments: Vec::new(),
            },
            target,
            link,
            overtaken: row.get(3)?,
        };
        Ok((claim, has_comments))
    })?;
    let Some((mut claim, has_comments)) = found else {
        return Ok(None);
    };
    if has_comments {
        (claim.push.case.comments, claim.push.comments) = comments(conn, &claim)?;
    }
    Ok(Some(claim))
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

fn comments(conn: &Connection, claim: &Claim) -> Sql<(Vec<Comment>, Vec<CommentProgress>)> {
    let push = &claim.push;
    let rows = all(
        conn,
        "SELECT comment_id, text, state, occurrence, comment_id <> '' AND EXISTS (\
           SELECT 1 FROM comment_marks AS m WHERE m.connector_id = ?2 AND m.target = ?3 \
           AND m.case_id = ?4 AND m.comment_id = comments.comment_id \
           AND m.occurrence = comments.occurrence) \
         FROM comments WHERE push_id = ?1 ORDER BY ordinal",
        params![push.id.get(), push.connector.0, claim.target, push.case.id],
        |row| {
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
        },
    )?;
    Ok(rows.into_iter().unzip())
}

/// The case of a push, whole.
pub(super) fn case(conn: &Connection, id: PushId) -> Sql<Option<Case>> {
    Ok(load(conn, id)?.map(|claim| claim.push.case))
}

pub(super) const INTERRUPTED: &str =
    "SELECT id FROM pushes WHERE connector_id = ?1 AND state = 'sending' AND state <> 'queued' ORDER BY id";

pub(super) fn interrupted(conn: &Connection) -> Sql<Vec<PushId>> {
    let mut found = Vec::new();
    for connector in super::connectors::ids(conn, None)? {
        let ids = all(conn, INTERRUPTED, [connector.0], |row| {
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
