//! Accepting pushes, and letting a new one take the place of those that nothing was sent of.

use std::collections::BTreeSet;

use super::conn::Conn;
use super::connectors;
use super::fault::Sql;
use super::lanes;
use super::row::{get, number, server_now, text, text_or_none};
use super::text::{stored, stored_or_none};
use crate::error::Error;
use crate::model::{CommentState, PushId, Timestamp};
use crate::outbox::ConnectorId;
use crate::store::sqlite::enqueue::{Line, Ready, Size, union};

/// Stores all of them; the caller's transaction makes it all or none.
pub(super) fn enqueue(conn: &Conn, pushes: &[Ready], now: Timestamp) -> Sql<Vec<PushId>> {
    let documents: BTreeSet<(ConnectorId, Option<i64>)> = pushes
        .iter()
        .map(|push| (push.connector, push.revision))
        .collect();
    for (connector, revision) in documents {
        connectors::require(conn, connector, revision)?;
    }
    lanes::lock_all(
        conn,
        pushes
            .iter()
            .filter_map(|push| Some((push.connector, push.lane.as_deref()?))),
    )?;
    pushes.iter().map(|push| accept(conn, push, now)).collect()
}

/// How many undelivered pushes there are, as far as their transactions have ended.
pub(super) fn undelivered(conn: &Conn) -> Sql<u64> {
    let sum: Option<i64> = conn.one(
        "SELECT coalesce(sum(n), 0)::bigint FROM counters \
         WHERE state IN ('queued', 'sending', 'waiting', 'held', 'failed')",
        &[],
        |row| get(row, 0),
    )?;
    Ok(super::row::count(sum.unwrap_or(0)))
}

fn accept(conn: &Conn, push: &Ready, now: Timestamp) -> Sql<PushId> {
    let tail = match &push.lane {
        None => Tail::default(),
        Some(lane) => look_back(conn, push, lane)?,
    };
    let case = &push.case;
    let id: Option<i64> = conn.one(
        "WITH push AS (INSERT INTO pushes (connector_id, lane, given_id, state, ready, created_at, updated_at, due_at) \
         VALUES ($1, $2, $3, 'queued', $4, $5, $5, $5) RETURNING id) \
         INSERT INTO incidents (push_id, title, description, case_id, severity, status, tags, external_id, fields, traceparent) \
         SELECT id, $6, $7, $8, $9, $10, $11, $12, $13, $14 FROM push RETURNING push_id",
        &[
            &push.connector.0,
            &stored_or_none(push.lane.as_ref()),
            &push.given_id().map(stored),
            &!tail.occupied,
            &now.as_millis(),
            &stored(&case.title),
            &stored_or_none(case.description.as_ref()),
            &stored_or_none(case.id.as_ref()),
            &stored_or_none(case.severity.as_ref()),
            &stored_or_none(case.status.as_ref()),
            &stored_or_none(push.tags.as_ref()),
            &stored_or_none(case.external_id.as_ref()),
            &stored_or_none(push.fields.as_ref()),
            &stored_or_none(case.traceparent.as_ref()),
        ],
        |row| get(row, 0),
    )?;
    let id = id.ok_or_else(|| Error::internal("the database accepted a push without a number"))?;
    for &absorbed in &tail.absorbed {
        supersede(conn, absorbed, id, now)?;
    }
    match tail.comments {
        Some(older) => insert_comments(conn, id, &union(older, push.comments.clone()))?,
        None => insert_comments(conn, id, &push.comments)?,
    }
    Ok(PushId::from(id))
}

fn insert_comments(conn: &Conn, id: i64, comments: &[Line]) -> Sql<()> {
    if comments.is_empty() {
        return Ok(());
    }
    let occurrences: Vec<i64> = comments.iter().map(|c| i64::from(c.occurrence)).collect();
    let ids: Vec<_> = comments.iter().map(|c| stored(&c.id)).collect();
    let texts: Vec<_> = comments.iter().map(|c| stored(&c.text)).collect();
    conn.run(
        "INSERT INTO comments (push_id, ordinal, state, occurrence, comment_id, text) \
         SELECT $1, place - 1, $2, occurrence, comment_id, text \
         FROM unnest($3::bigint[], $4::text[], $5::text[]) WITH ORDINALITY \
         AS lines (occurrence, comment_id, text, place)",
        &[&id, &CommentState::Pending.as_str(), &occurrences, &ids, &texts],
    )?;
    Ok(())
}

fn supersede(conn: &Conn, id: i64, by: i64, now: Timestamp) -> Sql<()> {
    conn.run("DELETE FROM intents WHERE push_id = $1", &[&id])?;
    conn.run(
        concat!(
            "UPDATE pushes SET state = 'superseded', ready = false, owner = NULL, updated_at = $2, finished_at = ",
            server_now!(),
            ", \
         error_code = NULL, error_kind = NULL, error_message = NULL, error_step = NULL, \
         error_status = NULL, error_retryable = NULL, superseded_by = $3 WHERE id = $1"
        ),
        &[&id, &now.as_millis(), &by],
    )?;
    Ok(())
}

/// What a new push finds at the end of its lane.
#[derive(Default)]
struct Tail {
    /// The pushes whose place it takes, newest first.
    absorbed: Vec<i64>,
    /// Their comments, push by push, newest push first; none when nothing is absorbed.
    comments: Option<Vec<Vec<Line>>>,
    /// Whether it has to wait behind one that stays.
    occupied: bool,
}

/// How many pushes of a lane are looked at in one go.
const BATCH: i64 = 20;

fn look_back(conn: &Conn, push: &Ready, lane: &str) -> Sql<Tail> {
    let mut tail = Tail::default();
    let mut size = Size::of(push);
    let mut before = i64::MAX;
    loop {
        let rows = conn.all(
            "SELECT id, state IN ('queued', 'waiting') AND NOT begun, given_id FROM pushes \
             WHERE md5(lane) = md5($1) AND lane = $1 AND connector_id = $2 AND phase = 1 AND id < $3 \
             ORDER BY id DESC LIMIT $4",
            &[&stored(lane), &push.connector.0, &before, &BATCH],
            |row| Ok((get::<i64>(row, 0)?, get::<bool>(row, 1)?, text_or_none(row, 2)?)),
        )?;
        let Some((last, ..)) = rows.last() else {
            return Ok(tail);
        };
        before = *last;
        for (id, fresh, given_id) in rows {
            let comments = match push.coalesce && fresh && given_id.as_deref() == push.given_id() {
                true => Some(lines(conn, id)?),
                false => None,
            };
            let Some(comments) = comments.filter(|comments| size.admit(comments)) else {
                tail.occupied = true;
                return Ok(tail);
            };
            tail.absorbed.push(id);
            tail.comments.get_or_insert_default().push(comments);
        }
    }
}

fn lines(conn: &Conn, id: i64) -> Sql<Vec<Line>> {
    conn.all(
        "SELECT comment_id, text, occurrence FROM comments WHERE push_id = $1 ORDER BY ordinal",
        &[&id],
        |row| {
            Ok(Line {
                id: text(row, 0)?,
                text: text(row, 1)?,
                occurrence: number(row, 2)?,
            })
        },
    )
}
