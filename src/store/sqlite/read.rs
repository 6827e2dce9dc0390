//! What callers ask for: statuses, the attempts log, links.

use rusqlite::{Connection, Row, params};

use super::connectors;
use super::db::{all, count, one};
use super::fault::Sql;
use super::row::{named, named_or_none, progress, progress_columns, time};
use crate::model::{
    Attempt, CommentState, CommentStatus, FailureClass, Filter, Link, PushId, PushState, PushStatus, Step,
};

/// The host's case id in the name of a lane; see `outbox::lane`.
pub(in crate::store) fn case_of_lane(lane: &str) -> Option<&str> {
    lane.strip_prefix("c:")
}

pub(super) fn status(conn: &Connection, id: PushId) -> Sql<Option<PushStatus>> {
    let status = one(
        conn,
        concat!(
            "SELECT c.name, p.lane, p.created_at, p.updated_at, p.superseded_by, ",
            progress_columns!(),
            " FROM pushes AS p JOIN connectors AS c ON c.id = p.connector_id WHERE p.id = ?1"
        ),
        params![id.get()],
        |row| {
            let progress = progress(row, 5)?;
            let lane: Option<String> = row.get(1)?;
            Ok(PushStatus {
                id,
                connector: row.get(0)?,
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
                superseded_by: row.get::<_, Option<i64>>(4)?.map(PushId::from),
                error: progress.error,
                comments: Vec::new(),
            })
        },
    )?;
    let Some(mut status) = status else {
        return Ok(None);
    };
    status.comments = all(
        conn,
        "SELECT comment_id, state FROM comments WHERE push_id = ?1 ORDER BY ordinal",
        params![id.get()],
        |row| {
            Ok(CommentStatus {
                comment_id: row.get(0)?,
                state: named(row, 1, CommentState::from_name)?,
            })
        },
    )?;
    Ok(Some(status))
}

/// The newest pushes that the filter lets through, newest first.
pub(super) fn pushes(conn: &Connection, filter: &Filter) -> Sql<Vec<PushStatus>> {
    let limit = filter.limit.unwrap_or(100);
    let mut statuses = Vec::new();
    for id in listed(conn, filter, limit)? {
        statuses.extend(status(conn, PushId::from(id))?);
    }
    Ok(statuses)
}

pub(super) const LIST_ALL: &str = "SELECT id FROM pushes NOT INDEXED WHERE id < ?1 ORDER BY id DESC LIMIT ?2";

pub(super) const LIST_STATE: &str = "SELECT id FROM pushes \
     WHERE connector_id = ?3 AND state = ?4 AND state <> 'queued' AND id < ?1 ORDER BY id DESC LIMIT ?2";

/// Few of these are in an index, so this walks through the table, from the newest on: for people, and where any are queued.
pub(super) const LIST_QUEUED: &str = "SELECT id FROM pushes NOT INDEXED \
     WHERE connector_id = ?3 AND state = 'queued' AND id < ?1 ORDER BY id DESC LIMIT ?2";

pub(super) const LIST_CASE: &str = "SELECT id FROM pushes WHERE lane = ?5 AND connector_id = ?3 \
     AND phase = ?6 AND id < ?1 AND (?4 IS NULL OR state = ?4) ORDER BY id DESC LIMIT ?2";

const ANY_QUEUED: &str =
    "SELECT 1 FROM counts WHERE connector_id = ?1 AND state = 'queued' AND n > 0 LIMIT 1";

/// Asks range by range, each in the order of its index or of the table, and merges: nothing is sorted.
fn listed(conn: &Connection, filter: &Filter, limit: usize) -> Sql<Vec<i64>> {
    let before = filter.before.map_or(i64::MAX, PushId::get);
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let id = |row: &Row<'_>| row.get::<_, i64>(0);
    if filter.connector.is_none() && filter.state.is_none() && filter.case_id.is_none() {
        return all(conn, LIST_ALL, params![before, most], id);
    }
    let lane = filter.case_id.as_ref().map(|id| format!("c:{id}"));
    let mut ids = Vec::new();
    for connector in connectors::ids(conn, filter.connector.as_deref())? {
        if let Some(lane) = &lane {
            let state = filter.state.map(PushState::as_str);
            for phase in 0..3 {
                let key = params![before, most, connector.0, state, lane, phase];
                ids.extend(all(conn, LIST_CASE, key, id)?);
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
            let found = match state {
                PushState::Queued => match one(conn, ANY_QUEUED, params![connector.0], |_| Ok(()))? {
                    Some(()) => all(conn, LIST_QUEUED, params![before, most, connector.0], id),
                    None => Ok(Vec::new()),
                },
                _ => {
                    let key = params![before, most, connector.0, state.as_str()];
                    all(conn, LIST_STATE, key, id)
                }
            };
            ids.extend(found?);
        }
    }
    ids.sort_unstable();
    ids.reverse();
    ids.truncate(limit);
    Ok(ids)
}

pub(super) fn attempts(conn: &Connection, id: PushId) -> Sql<Vec<Attempt>> {
    all(
        conn,
        "SELECT at, duration_ms, step, method, url, http_status, class, message FROM attempts \
         WHERE push_id = ?1 ORDER BY id",
        params![id.get()],
        |row| {
            Ok(Attempt {
                push: id,
                at: time(row, 0)?,
                duration_ms: count(row.get(1)?),
                step: named(row, 2, Step::from_name)?,
                method: row.get(3)?,
                url: row.get(4)?,
                http_status: row.get(5)?,
                class: named_or_none(row, 6, FailureClass::from_name)?,
                message: row.get(7)?,
            })
        },
    )
}

pub(super) fn link(conn: &Connection, connector: &str, target: &str, case_id: &str) -> Sql<Option<Link>> {
    one(
        conn,
        "SELECT external_id, title, url, updated_at FROM links \
         WHERE connector_id = (SELECT id FROM connectors WHERE name = ?1) AND target = ?2 AND case_id = ?3",
        params![connector, target, case_id],
        |row| link_from(row, 0, connector.to_owned(), target.to_owned(), case_id),
    )
}

/// Reads external id, title, URL and time from column `at` on.
pub(super) fn link_from(
    row: &Row<'_>,
    at: usize,
    connector: String,
    target: String,
    case_id: &str,
) -> rusqlite::Result<Link> {
    Ok(Link {
        connector,
        target,
        case_id: case_id.to_owned(),
        external_id: row.get(at)?,
        external_title: row.get(at + 1)?,
        external_url: row.get(at + 2)?,
        updated_at: time(row, at + 3)?,
    })
}
