//! What callers ask for: statuses, the attempts log, links.

use tokio_postgres::Row;

use super::conn::Conn;
use super::connectors;
use super::fault::{Fault, Sql};
use super::row::{
    count, get, json, named, named_or_none, number_or_none, progress, progress_columns, text, text_or_none,
    time,
};
use super::text::stored;
use crate::model::{
    Attempt, Case, CommentState, CommentStatus, FailureClass, Filter, Link, PushId, PushState, PushStatus,
    Step,
};
use crate::store::sqlite::read::case_of_lane;

pub(super) fn status(conn: &Conn, id: PushId) -> Sql<Option<PushStatus>> {
    let status = conn.one(
        concat!(
            "SELECT c.name, p.lane, p.created_at, p.updated_at, p.superseded_by, p.",
            progress_columns!(),
            " FROM pushes AS p JOIN (SELECT id AS connector, name FROM connectors) AS c \
             ON c.connector = p.connector_id WHERE p.id = $1"
        ),
        &[&id.get()],
        |row| {
            let progress = progress(row, 5)?;
            let lane = text_or_none(row, 1)?;
            Ok(PushStatus {
                id,
                connector: text(row, 0)?,
                case_id: lane.as_deref().and_then(case_of_lane).map(str::to_owned),
                state: progress.state,
                attempts: progress.attempts,
                created_at: time(row, 2)?,
                updated_at: time(row, 3)?,
                next_attempt_at: matches!(progress.state, PushState::Queued | PushState::Waiting)
                    .then_some(progress.due_at),
                external_id: progress.external_id,
                external_title: progress.external_title,
                external_url: progress.external_url,
                uncertain: progress.uncertain,
                superseded_by: get::<Option<i64>>(row, 4)?.map(PushId::from),
                error: progress.error,
                comments: Vec::new(),
            })
        },
    )?;
    let Some(mut status) = status else {
        return Ok(None);
    };
    status.comments = conn.all(
        "SELECT comment_id, state FROM comments WHERE push_id = $1 ORDER BY ordinal",
        &[&id.get()],
        |row| {
            Ok(CommentStatus {
                comment_id: text(row, 0)?,
                state: named(row, 1, CommentState::from_name)?,
            })
        },
    )?;
    Ok(Some(status))
}

/// The newest pushes that the filter lets through, newest first.
pub(super) fn pushes(conn: &Conn, filter: &Filter) -> Sql<Vec<PushStatus>> {
    let limit = filter.limit.unwrap_or(100);
    let mut statuses = Vec::new();
    for id in listed(conn, filter, limit)? {
        statuses.extend(status(conn, PushId::from(id))?);
    }
    Ok(statuses)
}

/// Asks index range by index range, each in the order of its index, and merges: nothing is sorted or scanned.
fn listed(conn: &Conn, filter: &Filter, limit: usize) -> Sql<Vec<i64>> {
    let before = filter.before.map_or(i64::MAX, PushId::get);
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let id = |row: &Row| get::<i64>(row, 0);
    if filter.connector.is_none() && filter.state.is_none() && filter.case_id.is_none() {
        return conn.all(
            "SELECT id FROM pushes WHERE id < $1 ORDER BY id DESC LIMIT $2",
            &[&before, &most],
            id,
        );
    }
    let lane = filter.case_id.as_ref().map(|id| format!("c:{id}"));
    let mut ids = Vec::new();
    for connector in connectors::ids(conn, filter.connector.as_deref())? {
        if let Some(lane) = &lane {
            let state = filter.state.map(PushState::as_str);
            for phase in 0..3_i16 {
                ids.extend(conn.all(
                    "SELECT id FROM pushes WHERE md5(lane) = md5($5) AND lane = $5 AND connector_id = $3 \
                     AND phase = $6 AND id < $1 AND ($4::text IS NULL OR state = $4) ORDER BY id DESC LIMIT $2",
                    &[&before, &most, &connector.0, &state, &stored(lane), &phase],
                    id,
                )?);
            }
            continue;
        }
        let one_state = filter.state.as_slice();
        let states = if one_state.is_empty() {
            PushState::ALL
        } else {
            one_state
        };
        for state in states {
            ids.extend(conn.all(
                "SELECT id FROM pushes WHERE connector_id = $3 AND state = $4 AND id < $1 ORDER BY id DESC LIMIT $2",
                &[&before, &most, &connector.0, &state.as_str()],
                id,
            )?);
        }
    }
    ids.sort_unstable_by(|a, b| b.cmp(a));
    ids.truncate(limit);
    Ok(ids)
}

pub(super) fn attempts(conn: &Conn, id: PushId) -> Sql<Vec<Attempt>> {
    conn.all(
        "SELECT at, duration_ms, step, method, url, http_status, class, message FROM attempts \
         WHERE push_id = $1 ORDER BY id",
        &[&id.get()],
        |row| {
            Ok(Attempt {
                push: id,
                at: time(row, 0)?,
                duration_ms: count(get(row, 1)?),
                step: named(row, 2, Step::from_name)?,
                method: text_or_none(row, 3)?,
                url: text_or_none(row, 4)?,
                http_status: number_or_none(row, 5)?,
                class: named_or_none(row, 6, FailureClass::from_name)?,
                message: text(row, 7)?,
            })
        },
    )
}

/// The incident of a push, without its comments. Every push has one.
pub(super) fn incident(conn: &Conn, id: PushId) -> Sql<Case> {
    let case = conn.one(
        "SELECT title, description, case_id, severity, status, tags, external_id, fields, traceparent FROM incidents \
         WHERE push_id = $1",
        &[&id.get()],
        |row| {
            Ok(Case {
                title: text(row, 0)?,
                description: text_or_none(row, 1)?,
                id: text_or_none(row, 2)?,
                severity: text_or_none(row, 3)?,
                status: text_or_none(row, 4)?,
                tags: text_or_none(row, 5)?.map_or(Ok(Vec::new()), |text| json(&text))?,
                external_id: text_or_none(row, 6)?,
                fields: text_or_none(row, 7)?.map_or(Ok(serde_json::Map::new()), |text| json(&text))?,
                traceparent: text_or_none(row, 8)?,
                comments: Vec::new(),
            })
        },
    )?;
    case.ok_or_else(|| Fault::Row(format!("push {id} has no incident")))
}

pub(super) fn link(conn: &Conn, connector: &str, target: &str, case_id: &str) -> Sql<Option<Link>> {
    conn.one(
        "SELECT external_id, title, url, updated_at FROM links \
         WHERE connector_id = (SELECT id FROM connectors WHERE name = $1) AND md5(case_id) = md5($3) \
         AND md5(target) = md5($2) AND target = $2 AND case_id = $3",
        &[&stored(connector), &stored(target), &stored(case_id)],
        |row| link_from(row, connector.to_owned(), target.to_owned(), case_id),
    )
}

/// Reads external id, title, URL and time from the first four columns.
pub(super) fn link_from(row: &Row, connector: String, target: String, case_id: &str) -> Sql<Link> {
    Ok(Link {
        connector,
        target,
        case_id: case_id.to_owned(),
        external_id: text(row, 0)?,
        external_title: text_or_none(row, 1)?,
        external_url: text_or_none(row, 2)?,
        updated_at: time(row, 3)?,
    })
}
