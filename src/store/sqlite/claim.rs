//! Taking pushes for delivery.

use rusqlite::{Connection, params};

use super::db::{all, int, one, run};
use super::fault::Sql;
use super::read;
use super::record;
use super::row::{named, progress, progress_columns, time};
use crate::model::{Case, Comment, CommentState, Link, PushId, PushState, Step, Timestamp};
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
    let rows = all(
        conn,
        FIRST_READY,
        params![connector.0, until, int(busy.len() as u64 + 1)],
        |row| Ok((PushId::from(row.get::<_, i64>(0)?), time(row, 1)?)),
    )?;
    Ok(rows.into_iter().find(|(id, _)| !busy.contains(id)))
}

pub(super) fn load(conn: &Connection, id: PushId) -> Sql<Option<Claim>> {
    let row = one(
        conn,
        concat!(
            "SELECT p.connector_id, p.lane, c.name, c.target, p.",
            progress_columns!(),
            " FROM pushes AS p JOIN (SELECT id AS connector, name, target FROM connectors) AS c \
             ON c.connector = p.connector_id WHERE p.id = ?1"
        ),
        [id.get()],
        |row| {
            Ok(Row {
                connector: ConnectorId(row.get(0)?),
                lane: row.get(1)?,
                name: row.get(2)?,
                target: row.get(3)?,
                progress: progress(row, 4)?,
            })
        },
    )?;
    let Some(mut row) = row else {
        return Ok(None);
    };
    row.progress.intent = intent(conn, id)?;
    let case_id = row.lane.as_deref().and_then(read::case_of_lane);
    let (link, last_push) = match case_id {
        Some(case_id) => link(conn, &row, case_id)?,
        None => (None, 0),
    };
    let overtaken = match &row.lane {
        None => false,
        Some(lane) => last_push > id.get() || is_overtaken(conn, row.connector, lane, id)?,
    };
    let (lines, comments) = comments(conn, id, &row, case_id)?;
    let mut case = read::incident(conn, id)?;
    case.comments = lines;
    Ok(Some(Claim {
        push: Push {
            id,
            connector: row.connector,
            case,
            progress: row.progress,
            comments,
        },
        target: row.target,
        link,
        overtaken,
    }))
}

struct Row {
    connector: ConnectorId,
    lane: Option<String>,
    name: String,
    target: String,
    progress: Progress,
}

fn intent(conn: &Connection, id: PushId) -> Sql<Option<Intent>> {
    one(
        conn,
        "SELECT step, comment, target, idempotency_key, key_made_at, ended_at, body FROM intents \
         WHERE push_id = ?1",
        [id.get()],
        |row| {
            Ok(Intent {
                step: named(row, 0, Step::from_name)?,
                comment: row.get(1)?,
                target: row.get(2)?,
                idempotency_key: row.get(3)?,
                key_made_at: time(row, 4)?,
                ended_at: super::row::time_or_none(row, 5)?,
                body: row.get(6)?,
            })
        },
    )
}

/// The link, and the highest push that was delivered under it.
fn link(conn: &Connection, row: &Row, case_id: &str) -> Sql<(Option<Link>, i64)> {
    let found = one(
        conn,
        "SELECT external_id, title, url, updated_at, last_push FROM links \
         WHERE connector_id = ?1 AND target = ?2 AND case_id = ?3",
        params![row.connector.0, row.target, case_id],
        |columns| {
            let link = read::link_from(columns, row.name.clone(), row.target.clone(), case_id)?;
            Ok((link, columns.get(4)?))
        },
    )?;
    Ok(match found {
        Some((link, last_push)) => (Some(link), last_push),
        None => (None, 0),
    })
}

pub(super) const OVERTAKEN: &str =
    "SELECT 1 FROM pushes WHERE lane = ?1 AND connector_id = ?2 AND phase = 2 AND id > ?3 LIMIT 1";

fn is_overtaken(conn: &Connection, connector: ConnectorId, lane: &str, id: PushId) -> Sql<bool> {
    Ok(one(conn, OVERTAKEN, params![lane, connector.0, id.get()], |_| Ok(()))?.is_some())
}

fn comments(
    conn: &Connection,
    id: PushId,
    row: &Row,
    case_id: Option<&str>,
) -> Sql<(Vec<Comment>, Vec<CommentProgress>)> {
    let rows = all(
        conn,
        "SELECT comment_id, text, state, occurrence, comment_id <> '' AND EXISTS (\
           SELECT 1 FROM comment_marks AS m WHERE m.connector_id = ?2 AND m.target = ?3 \
           AND m.case_id = ?4 AND m.comment_id = comments.comment_id \
           AND m.occurrence = comments.occurrence) \
         FROM comments WHERE push_id = ?1 ORDER BY ordinal",
        params![id.get(), row.connector.0, row.target, case_id],
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

pub(super) fn begin(conn: &Connection, id: PushId, to: &Progress, now: Timestamp) -> Sql<bool> {
    let found: Option<bool> = one(
        conn,
        "SELECT ready = 1 OR state = 'sending' FROM pushes WHERE id = ?1",
        [id.get()],
        |row| row.get(0),
    )?;
    if found != Some(true) {
        return Ok(false);
    }
    record::write_progress(conn, id, to, PushState::Sending, true, false, now)?;
    record::write_intent(conn, id, to.intent.as_ref())?;
    Ok(true)
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
