//! Storing what an exchange or a decision changed, and handing the lane on.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, ToSql, params};

use super::connectors;
use super::db::{int, one, run};
use super::fault::Sql;
use super::history;
use super::read::case_of_lane;
use super::row::{named, time};
use crate::error::{Error, ErrorKind};
use crate::model::{PushId, PushState, Step, Timestamp};
use crate::outbox::{ConnectorId, Intent, LeftBehind, LinkChange, Outcome, Progress};

/// The exchanges that the attempts log keeps of one push.
pub(in crate::store) const ATTEMPTS_KEPT: i64 = 50;

/// Where a push stands before something about it changes.
pub(super) struct Place {
    pub(super) connector: ConnectorId,
    pub(super) state: PushState,
    lane: Option<String>,
    due_at: Timestamp,
    /// The connector's.
    revision: i64,
    /// The connector's.
    target: String,
    /// Whether other pushes of its lane are open.
    contested: bool,
    has_intent: bool,
    /// Whether as many exchanges of it are logged as are kept.
    full: bool,
}

pub(super) const PLACE: &str = "SELECT p.connector_id, p.state, p.lane, p.due_at, c.revision, c.target, \
     EXISTS (SELECT 1 FROM pushes AS rival WHERE rival.lane = p.lane \
       AND rival.connector_id = p.connector_id AND rival.phase = 1 AND rival.id <> p.id), \
     EXISTS (SELECT 1 FROM intents WHERE push_id = p.id), \
     (SELECT id FROM attempts WHERE push_id = p.id ORDER BY id LIMIT 1 OFFSET ?2) IS NOT NULL \
     FROM pushes AS p JOIN connectors AS c ON c.id = p.connector_id WHERE p.id = ?1";

pub(super) fn place(conn: &Connection, id: PushId) -> Sql<Place> {
    let found = one(conn, PLACE, params![id.get(), ATTEMPTS_KEPT - 1], |row| {
        Ok(Place {
            connector: ConnectorId(row.get(0)?),
            state: named(row, 1, PushState::from_name)?,
            lane: row.get(2)?,
            due_at: time(row, 3)?,
            revision: row.get(4)?,
            target: row.get(5)?,
            contested: row.get(6)?,
            has_intent: row.get(7)?,
            full: row.get(8)?,
        })
    })?;
    found.ok_or_else(|| missing(id).into())
}

/// Stores an exchange; of a push that was cancelled or superseded meanwhile only the log and the connector's
/// health. Says whether all of it was stored.
pub(super) fn record(conn: &Connection, id: PushId, outcome: &Outcome, now: Timestamp) -> Sql<bool> {
    let place = place(conn, id)?;
    let present;
    let outcome = match outcome.revision {
        // The connector was configured anew since the exchange was made.
        Some(revision) if revision != place.revision => {
            present = of_old_document(outcome, now);
            &present
        }
        _ => outcome,
    };
    if !place.state.is_final() {
        apply(conn, id, &place, outcome, now)?;
        return Ok(true);
    }
    log(conn, id, &place, outcome)?;
    set_health(conn, &place, outcome)?;
    Ok(false)
}

/// What an exchange by an old document leaves: nothing against the connector, and as at a configure no wait but that
/// for the target's index.
pub(in crate::store) fn of_old_document(outcome: &Outcome, now: Timestamp) -> Outcome {
    let mut outcome = outcome.clone();
    outcome.health = None;
    let progress = &mut outcome.progress;
    if progress.state == PushState::Waiting && progress.step != Some(Step::Find) {
        progress.due_at = now;
        progress.wait_ms = 0;
    }
    outcome
}

/// Stores an outcome whatever state the push is in.
pub(super) fn apply(
    conn: &Connection,
    id: PushId,
    place: &Place,
    outcome: &Outcome,
    now: Timestamp,
) -> Sql<()> {
    for (ordinal, state) in &outcome.comments {
        run(
            conn,
            "UPDATE comments SET state = ?3 WHERE push_id = ?1 AND ordinal = ?2",
            params![id.get(), ordinal, state.as_str()],
        )?;
    }
    if let Some(case_id) = place.lane.as_deref().and_then(case_of_lane) {
        if outcome.link != LinkChange::Keep || !outcome.marks.is_empty() {
            remember(conn, id, place, case_id, outcome, now)?;
        }
        if let Some(left) = &outcome.left_behind {
            leave_behind(conn, place.connector, case_id, left, now)?;
        }
    }
    let progress = &outcome.progress;
    let ready = hand_on(conn, id, place, progress, now)?;
    match (place.state, progress.state) {
        (PushState::Sending, PushState::Sending) if place.due_at == progress.due_at => {
            write_progress(conn, STEP, id, progress, progress.begun, &[])?;
        }
        (_, state) => {
            let standing = standing(progress, state, ready, now);
            write_progress(conn, MOVE, id, progress, progress.begun, &standing)?;
        }
    }
    let intent = progress.intent.as_ref().filter(|_| !is_history(progress.state));
    if intent.is_some() || place.has_intent {
        write_intent(conn, id, intent)?;
    }
    log(conn, id, place, outcome)?;
    set_health(conn, place, outcome)
}

fn set_health(conn: &Connection, place: &Place, outcome: &Outcome) -> Sql<()> {
    match &outcome.health {
        Some(health) => connectors::set_health(conn, place.connector, health),
        None => Ok(()),
    }
}

/// Changes the link and the comment marks of the push's case.
fn remember(
    conn: &Connection,
    id: PushId,
    place: &Place,
    case_id: &str,
    outcome: &Outcome,
    now: Timestamp,
) -> Sql<()> {
    let connector = place.connector;
    let progress = &outcome.progress;
    let target = progress.target.as_ref().unwrap_or(&place.target);
    match outcome.link {
        LinkChange::Keep => {}
        LinkChange::Clear => {
            run(
                conn,
                "DELETE FROM links WHERE connector_id = ?1 AND target = ?2 AND case_id = ?3",
                params![connector.0, target, case_id],
            )?;
            run(
                conn,
                "DELETE FROM comment_marks WHERE connector_id = ?1 AND target = ?2 AND case_id = ?3",
                params![connector.0, target, case_id],
            )?;
        }
        LinkChange::Set => {
            if let Some(external_id) = &progress.external_id {
                let delivered = match progress.state {
                    PushState::Delivered => id.get(),
                    _ => 0,
                };
                run(
                    conn,
                    "INSERT INTO links (connector_id, target, case_id, external_id, title, url, last_push, \
                     updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
                     ON CONFLICT (connector_id, target, case_id) DO UPDATE SET external_id = ?4, title = ?5, \
                     url = ?6, last_push = max(last_push, ?7), updated_at = ?8",
                    params![
                        connector.0,
                        target,
                        case_id,
                        external_id,
                        progress.external_title,
                        progress.external_url,
                        delivered,
                        now.as_millis()
                    ],
                )?;
            }
        }
    }
    for ordinal in &outcome.marks {
        run(
            conn,
            "INSERT OR IGNORE INTO comment_marks (connector_id, target, case_id, comment_id, occurrence) \
             SELECT ?1, ?2, ?3, comment_id, occurrence FROM comments \
             WHERE push_id = ?4 AND ordinal = ?5 AND comment_id <> ''",
            params![connector.0, target, case_id, id.get(), ordinal],
        )?;
    }
    Ok(())
}

fn leave_behind(
    conn: &Connection,
    connector: ConnectorId,
    case_id: &str,
    left: &LeftBehind,
    now: Timestamp,
) -> Sql<()> {
    run(
        conn,
        "INSERT INTO links (connector_id, target, case_id, external_id, title, url, last_push, updated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7) ON CONFLICT DO NOTHING",
        params![
            connector.0,
            left.target,
            case_id,
            left.external_id,
            left.external_title,
            left.external_url,
            now.as_millis()
        ],
    )?;
    Ok(())
}

pub(super) const LANE_HEAD: &str = "SELECT id, state, ready, leads FROM pushes \
     WHERE lane = ?1 AND connector_id = ?2 AND phase = 1 AND id <> ?3 ORDER BY id LIMIT 1";

pub(super) const LANE_LEADER: &str = "SELECT id, state, ready, leads FROM pushes \
     WHERE lane = ?1 AND connector_id = ?2 AND leads = 1 AND id <> ?3 ORDER BY id DESC LIMIT 1";

pub(super) const LANE_SENDING: &str = "SELECT 1 FROM pushes INDEXED BY pushes_state \
     WHERE connector_id = ?2 AND state = 'sending' AND state <> 'queued' AND +lane = ?1 AND id <> ?3 LIMIT 1";

/// Makes the right push of the lane ready, given the progress that push `id` is about to get; says whether that
/// is `id`.
///
/// Ready is the lane's foremost open push, if it is queued or waiting and none of the lane is being sent. So at most
/// the foremost one besides `id` can have to change.
fn hand_on(conn: &Connection, id: PushId, place: &Place, progress: &Progress, now: Timestamp) -> Sql<bool> {
    let state = progress.state;
    let willing = matches!(state, PushState::Queued | PushState::Waiting);
    let Some(lane) = place.lane.as_ref().filter(|_| place.contested) else {
        return Ok(willing);
    };
    let key = params![lane, place.connector.0, id.get()];
    let read = |row: &Row<'_>| {
        Ok(Rival {
            id: row.get(0)?,
            willing: matches!(row.get_ref(1)?.as_str(), Ok("queued" | "waiting")),
            ready: row.get(2)?,
            leads: row.get(3)?,
        })
    };
    let rival = match one(conn, LANE_LEADER, key, read)? {
        None => one(conn, LANE_HEAD, key, read)?,
        leader => leader,
    };
    let Some(rival) = rival else {
        return Ok(willing);
    };
    let sending = state == PushState::Sending || one(conn, LANE_SENDING, key, |_| Ok(()))?.is_some();
    let open = willing || matches!(state, PushState::Sending | PushState::Held);
    let first = open && rival.waits_behind(id, progress.leads(state));
    let rival_ready_now = rival.willing && !first && !sending;
    if rival_ready_now != rival.ready {
        run(
            conn,
            "UPDATE pushes SET ready = ?2, due_at = min(due_at, ?3 + wait_ms) WHERE id = ?1",
            params![rival.id, rival_ready_now, now.as_millis()],
        )?;
    }
    Ok(willing && first && !sending)
}

/// The foremost of a lane's open pushes but one: the newest of those that lead, else the oldest.
pub(in crate::store) struct Rival {
    pub(in crate::store) id: i64,
    /// Queued or waiting.
    pub(in crate::store) willing: bool,
    pub(in crate::store) ready: bool,
    pub(in crate::store) leads: bool,
}

impl Rival {
    /// Whether the open push `id` comes before it.
    pub(in crate::store) fn waits_behind(&self, id: PushId, leads: bool) -> bool {
        match (leads, self.leads) {
            (true, true) => id.get() > self.id,
            (false, false) => id.get() < self.id,
            (leads, _) => leads,
        }
    }
}

/// What a push keeps of its steps. No index holds any of it. With `OR FAIL` SQLite need not be able to take back this statement
/// alone, for which it copies pages before it changes them: whatever fails here ends the transaction.
macro_rules! step_columns {
    () => {
        "UPDATE OR FAIL pushes SET step = ?2, wait_ms = ?3, begun = ?4, attempts = ?5, step_attempts = ?6, age_from = ?7, \
         external_id = ?8, external_title = ?9, external_url = ?10, uncertain = ?11, resends = ?12, \
         preconditions = ?13, error_code = ?14, error_kind = ?15, error_message = ?16, error_step = ?17, \
         error_status = ?18, error_retryable = ?19, sent_to = ?20"
    };
}

/// Where it stands among others, for the indexes and the counters.
macro_rules! standing_columns {
    () => {
        ", state = ?21, due_at = ?22, ready = ?23, finished_at = ?24, \
         updated_at = CASE state WHEN ?21 THEN updated_at ELSE ?25 END, leads = ?26"
    };
}

/// For a push that stays where it stands.
const STEP: &str = concat!(step_columns!(), " WHERE id = ?1");
const MOVE: &str = concat!(step_columns!(), standing_columns!(), " WHERE id = ?1");
const MOVE_READY: &str = concat!(
    step_columns!(),
    standing_columns!(),
    " WHERE id = ?1 AND ready = 1"
);

/// The values of `standing_columns!`.
fn standing(progress: &Progress, state: PushState, ready: bool, now: Timestamp) -> [Value; 6] {
    let finished = is_history(state).then(|| now.as_millis());
    [
        state.as_str().to_owned().into(),
        progress.due_at.as_millis().into(),
        ready.into(),
        finished.into(),
        now.as_millis().into(),
        progress.leads(state).into(),
    ]
}

/// Writes everything of `progress` but its intent; `standing` where the statement asks for it. Whether the push was one that
/// the statement is for.
fn write_progress(
    conn: &Connection,
    sql: &str,
    id: PushId,
    progress: &Progress,
    begun: bool,
    standing: &[Value],
) -> Sql<bool> {
    let error = progress.error.as_ref();
    let steps = params![
        id.get(),
        progress.step.map(|s| s.as_str()),
        int(progress.wait_ms),
        begun,
        progress.attempts,
        progress.step_attempts,
        progress.age_from.map(int),
        progress.external_id,
        progress.external_title,
        progress.external_url,
        progress.uncertain,
        progress.resends,
        progress.preconditions,
        error.map(|e| &e.code),
        error.map(|e| e.kind.as_str()),
        error.map(|e| &e.message),
        error.map(|e| e.step.as_str()),
        error.map(|e| e.http_status),
        error.map(|e| e.retryable),
        progress.target
    ];
    let standing = standing.iter().map(|value| value as &dyn ToSql);
    let all: Vec<&dyn ToSql> = steps.iter().copied().chain(standing).collect();
    Ok(run(conn, sql, &all)? > 0)
}

/// Notes that a request is about to be written. False when the push is neither ready nor under way.
pub(super) fn begin(conn: &Connection, id: PushId, to: &Progress, now: Timestamp) -> Sql<bool> {
    let standing = standing(to, PushState::Sending, false, now);
    if !write_progress(conn, MOVE_READY, id, to, true, &standing)? {
        let due_at = one(
            conn,
            "SELECT due_at FROM pushes WHERE id = ?1 AND state = 'sending'",
            params![id.get()],
            |row| time(row, 0),
        )?;
        match due_at {
            None => return Ok(false),
            Some(due_at) if due_at == to.due_at => write_progress(conn, STEP, id, to, true, &[])?,
            Some(_) => write_progress(conn, MOVE, id, to, true, &standing)?,
        };
    }
    write_intent(conn, id, to.intent.as_ref())?;
    Ok(true)
}

/// Keeps the intent as it is about to stand; an unchanged one, with its body, is not written again.
fn write_intent(conn: &Connection, id: PushId, intent: Option<&Intent>) -> Sql<()> {
    let Some(intent) = intent else {
        run(conn, "DELETE FROM intents WHERE push_id = ?1", params![id.get()])?;
        return Ok(());
    };
    run(
        conn,
        "INSERT INTO intents (push_id, step, comment, target, idempotency_key, key_made_at, ended_at, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (push_id) DO UPDATE SET step = ?2, \
         comment = ?3, target = ?4, idempotency_key = ?5, key_made_at = ?6, ended_at = ?7, body = ?8 \
         WHERE (step, comment, target, idempotency_key, key_made_at, ended_at, body) \
         IS NOT (?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            id.get(),
            intent.step.as_str(),
            intent.comment,
            intent.target,
            intent.idempotency_key,
            intent.key_made_at.as_millis(),
            intent.ended_at.map(Timestamp::as_millis),
            intent.body
        ],
    )?;
    Ok(())
}

fn log(conn: &Connection, id: PushId, place: &Place, outcome: &Outcome) -> Sql<()> {
    let Some(attempt) = &outcome.attempt else {
        return Ok(());
    };
    run(
        conn,
        "INSERT INTO attempts (push_id, at, duration_ms, step, method, url, http_status, class, message) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            id.get(),
            attempt.at.as_millis(),
            int(attempt.duration_ms),
            attempt.step.as_str(),
            attempt.method,
            attempt.url,
            attempt.http_status,
            attempt.class.map(|c| c.as_str()),
            attempt.message
        ],
    )?;
    if place.full {
        run(
            conn,
            "DELETE FROM attempts WHERE push_id = ?1 AND id <= (\
               SELECT id FROM attempts WHERE push_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            params![id.get(), ATTEMPTS_KEPT],
        )?;
    }
    history::tally(conn, place.connector, attempt, outcome.size)
}

/// Whether a push in this state belongs to the history, which is pruned.
pub(in crate::store) fn is_history(state: PushState) -> bool {
    matches!(
        state,
        PushState::Delivered | PushState::Superseded | PushState::Cancelled
    )
}

pub(in crate::store) fn missing(id: PushId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no push {id}; it was never accepted here, was discarded, or is past the history"),
    )
}
