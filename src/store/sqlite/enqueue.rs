//! Accepting pushes, and letting a new one take the place of those that nothing was sent of.

use std::collections::{HashMap, HashSet};

use rusqlite::{CachedStatement, Connection, params};

use super::connectors;
use super::db::{all, int, run};
use super::fault::Sql;
use super::history;
use crate::error::Error;
use crate::model::{Case, CommentState, PushId, Timestamp, limits};
use crate::outbox::{ConnectorId, NewPush, lane};
use crate::store::{Retention, room};

/// The most bytes of a case that stands in the row of its push, beside which there is room for what the target says of it
/// in one page.
const SMALL: usize = 1_000;

/// A push with everything worked out that needs no database.
pub(in crate::store) struct Ready {
    pub(in crate::store) connector: ConnectorId,
    pub(in crate::store) revision: Option<i64>,
    pub(in crate::store) coalesce: bool,
    /// Without its comments.
    pub(in crate::store) case: Case,
    pub(in crate::store) lane: Option<String>,
    pub(in crate::store) tags: Option<String>,
    pub(in crate::store) fields: Option<String>,
    pub(in crate::store) comments: Vec<Line>,
    pub(in crate::store) bytes: usize,
}

/// One comment of a push.
#[derive(Clone)]
pub(in crate::store) struct Line {
    pub(in crate::store) id: String,
    pub(in crate::store) text: String,
    /// The how-manieth of its id within its push.
    pub(in crate::store) occurrence: u32,
}

pub(in crate::store) fn make_ready(push: NewPush) -> Result<Ready, Error> {
    let mut case = push.case;
    let comments = std::mem::take(&mut case.comments);
    let json = |e: serde_json::Error| Error::internal(format!("a case cannot be written as JSON: {e}"));
    let tags = match case.tags.as_slice() {
        [] => None,
        tags => Some(serde_json::to_string(tags).map_err(json)?),
    };
    let fields = match &case.fields {
        fields if fields.is_empty() => None,
        fields => Some(serde_json::to_string(fields).map_err(json)?),
    };
    let parts = [
        Some(&case.title),
        case.description.as_ref(),
        case.id.as_ref(),
        tags.as_ref(),
        fields.as_ref(),
    ];
    Ok(Ready {
        connector: push.connector,
        revision: push.revision,
        coalesce: push.coalesce,
        lane: lane(&case),
        bytes: parts.into_iter().flatten().map(String::len).sum(),
        tags,
        fields,
        comments: number(comments.into_iter().map(|c| (c.id, c.text))),
        case,
    })
}

impl Ready {
    pub(in crate::store) fn given_id(&self) -> Option<&str> {
        self.case.external_id.as_deref().filter(|id| !id.is_empty())
    }

    /// Whether the case stands in the row of its push. An id that is empty would not be told from none there, and SQL cuts
    /// the case id out of the lane, which ends at a NUL for it.
    fn is_small(&self) -> bool {
        let case = &self.case;
        let others = [&case.severity, &case.status, &case.external_id, &case.traceparent];
        let bytes: usize = others.into_iter().flatten().map(String::len).sum();
        let mut ids = [&case.id, &case.external_id].into_iter().flatten();
        self.bytes + bytes <= SMALL && ids.all(|id| !id.is_empty() && !id.contains('\0'))
    }
}

/// Counts the occurrences of each id.
fn number(comments: impl Iterator<Item = (String, String)>) -> Vec<Line> {
    let mut seen: HashMap<String, u32> = HashMap::new();
    comments
        .map(|(id, text)| {
            let occurrence = match seen.get_mut(&id) {
                Some(next) => {
                    *next += 1;
                    *next
                }
                None => {
                    seen.insert(id.clone(), 0);
                    0
                }
            };
            Line { id, text, occurrence }
        })
        .collect()
}

/// Stores all of them; the caller's transaction makes it all or none.
pub(super) fn enqueue(conn: &Connection, pushes: &[Ready], now: Timestamp) -> Sql<Vec<PushId>> {
    let mut statements = Statements::prepare(conn)?;
    let mut ids = Vec::with_capacity(pushes.len());
    let mut known = None;
    for push in pushes {
        let document = (push.connector, push.revision);
        if known != Some(document) {
            connectors::require(conn, push.connector, push.revision)?;
            known = Some(document);
        }
        ids.push(accept(conn, &mut statements, push, now)?);
    }
    history::count_now_and_then(conn, &ids)?;
    Ok(ids)
}

pub(super) const UNDELIVERED: &str = "SELECT coalesce(sum(n), 0) FROM counts \
     WHERE state <> 'delivered' AND state <> 'superseded' AND state <> 'cancelled'";

/// How many undelivered pushes there are; `QueueFull` if those are too many.
pub(super) fn refuse_overflow(conn: &Connection, retention: &Retention) -> Sql<u64> {
    let undelivered: i64 = conn
        .prepare_cached(UNDELIVERED)?
        .query_row([], |row| row.get(0))?;
    let undelivered = super::db::count(undelivered);
    room::refuse_overflow(undelivered, retention)?;
    Ok(undelivered)
}

/// What runs for each push, looked up once for all of a call.
struct Statements<'c> {
    tail: CachedStatement<'c>,
    push: CachedStatement<'c>,
}

impl<'c> Statements<'c> {
    fn prepare(conn: &'c Connection) -> Sql<Statements<'c>> {
        Ok(Statements {
            tail: conn.prepare_cached(LANE_TAIL)?,
            push: conn.prepare_cached(
                "INSERT INTO pushes (id, connector_id, lane, given_id, state, ready, created_at, updated_at, due_at, \
                 title, description, severity, status, tags, fields, traceparent) \
                 VALUES (1 + max((SELECT highest FROM numbering), coalesce((SELECT max(id) FROM pushes), 0)), \
                 ?1, ?2, ?3, 'queued', ?4, ?5, ?5, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?,
        })
    }
}

fn accept(conn: &Connection, statements: &mut Statements<'_>, push: &Ready, now: Timestamp) -> Sql<PushId> {
    let tail = match &push.lane {
        None => Tail::default(),
        Some(lane) => look_back(conn, &mut statements.tail, push, lane)?,
    };
    let small = push.is_small().then_some(push);
    let of = |part: fn(&Ready) -> Option<&String>| small.and_then(part);
    statements.push.execute(params![
        push.connector.0,
        push.lane,
        push.given_id(),
        !tail.occupied,
        now.as_millis(),
        of(|push| Some(&push.case.title)),
        of(|push| push.case.description.as_ref()),
        of(|push| push.case.severity.as_ref()),
        of(|push| push.case.status.as_ref()),
        of(|push| push.tags.as_ref()),
        of(|push| push.fields.as_ref()),
        of(|push| push.case.traceparent.as_ref()),
    ])?;
    let id = conn.last_insert_rowid();
    if small.is_none() {
        put_apart(conn, id, push)?;
    }
    for &absorbed in &tail.absorbed {
        supersede(conn, absorbed, id, now)?;
    }
    let joined = tail.comments.map(|older| union(older, push.comments.clone()));
    let comments = joined.as_ref().unwrap_or(&push.comments);
    for (ordinal, comment) in comments.iter().enumerate() {
        run(
            conn,
            "INSERT INTO comments (push_id, ordinal, state, occurrence, comment_id, text) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                id,
                int(ordinal as u64),
                CommentState::Pending.as_str(),
                comment.occurrence,
                comment.id,
                comment.text
            ],
        )?;
    }
    Ok(PushId::from(id))
}

/// Stores the case of a push in a row of its own.
fn put_apart(conn: &Connection, id: i64, push: &Ready) -> Sql<()> {
    let case = &push.case;
    run(
        conn,
        "INSERT INTO incidents (push_id, title, description, case_id, severity, status, tags, \
         external_id, fields, traceparent) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            id,
            case.title,
            case.description,
            case.id,
            case.severity,
            case.status,
            push.tags,
            case.external_id,
            push.fields,
            case.traceparent
        ],
    )?;
    Ok(())
}

fn supersede(conn: &Connection, id: i64, by: i64, now: Timestamp) -> Sql<()> {
    run(conn, "DELETE FROM intents WHERE push_id = ?1", params![id])?;
    run(
        conn,
        "UPDATE pushes SET state = 'superseded', ready = 0, updated_at = ?2, finished_at = ?2, \
         error_code = NULL, error_kind = NULL, error_message = NULL, error_step = NULL, \
         error_status = NULL, error_retryable = NULL, superseded_by = ?3 WHERE id = ?1",
        params![id, now.as_millis(), by],
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

pub(super) const LANE_TAIL: &str = "SELECT id, state, begun, given_id FROM pushes \
     WHERE lane = ?1 AND connector_id = ?2 AND phase = 1 ORDER BY id DESC";

fn look_back(conn: &Connection, statement: &mut CachedStatement<'_>, push: &Ready, lane: &str) -> Sql<Tail> {
    let mut rows = statement.query(params![lane, push.connector.0])?;
    let mut tail = Tail::default();
    let mut size = Size::of(push);
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let fresh = push.coalesce
            && matches!(row.get_ref(1)?.as_str(), Ok("queued" | "waiting"))
            && !row.get::<_, bool>(2)?
            && row.get::<_, Option<String>>(3)?.as_deref() == push.given_id();
        if !fresh {
            tail.occupied = true;
            break;
        }
        let comments = lines(conn, id)?;
        if !size.admit(&comments) {
            tail.occupied = true;
            break;
        }
        tail.absorbed.push(id);
        tail.comments.get_or_insert_default().push(comments);
    }
    Ok(tail)
}

fn lines(conn: &Connection, id: i64) -> Sql<Vec<Line>> {
    all(
        conn,
        "SELECT comment_id, text, occurrence FROM comments WHERE push_id = ?1 ORDER BY ordinal",
        params![id],
        |row| {
            Ok(Line {
                id: row.get(0)?,
                text: row.get(1)?,
                occurrence: row.get(2)?,
            })
        },
    )
}

/// How large a union grows: the limits of a push hold for it too.
pub(in crate::store) struct Size {
    seen: HashSet<(String, u32)>,
    comments: usize,
    bytes: usize,
}

impl Size {
    pub(in crate::store) fn of(push: &Ready) -> Size {
        let mut size = Size {
            seen: HashSet::new(),
            comments: 0,
            bytes: push.bytes,
        };
        if push.coalesce {
            size.admit(&push.comments);
        }
        size
    }

    /// Counts the comments of an older push in; false when the limits do not allow it.
    pub(in crate::store) fn admit(&mut self, comments: &[Line]) -> bool {
        let added: Vec<&Line> = comments
            .iter()
            .filter(|c| c.id.is_empty() || !self.seen.contains(&(c.id.clone(), c.occurrence)))
            .collect();
        let bytes: usize = added.iter().map(|c| c.id.len() + c.text.len()).sum();
        if self.comments + added.len() > limits::COMMENTS || self.bytes + bytes > limits::PUSH_BYTES {
            return false;
        }
        self.comments += added.len();
        self.bytes += bytes;
        self.seen
            .extend(added.iter().map(|c| (c.id.clone(), c.occurrence)));
        true
    }
}

/// The comments of all: each in its oldest place, with its newest text.
pub(in crate::store) fn union(older: Vec<Vec<Line>>, newest: Vec<Line>) -> Vec<Line> {
    let mut result: Vec<Line> = Vec::new();
    let mut places: HashMap<(String, u32), usize> = HashMap::new();
    for line in older.into_iter().rev().chain([newest]).flatten() {
        let identity = (line.id.clone(), line.occurrence);
        match places.get(&identity).filter(|_| !line.id.is_empty()) {
            Some(&place) => result[place].text = line.text,
            None => {
                places.insert(identity, result.len());
                result.push(line);
            }
        }
    }
    number(result.into_iter().map(|line| (line.id, line.text)))
}
