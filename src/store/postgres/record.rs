//! Storing what an exchange or a decision changed, and handing the lane on.

use super::conn::Conn;
use super::connectors;
use super::fault::Sql;
use super::history;
use super::lanes;
use super::row::{get, int, server_now, text_or_none};
use super::text::{stored, stored_or_none};
use crate::error::Error;
use crate::model::{PushId, PushState, Timestamp};
use crate::outbox::{ConnectorId, Health, Intent, LeftBehind, LinkChange, Outcome, Progress};
use crate::store::sqlite::read::case_of_lane;
use crate::store::sqlite::record::{ATTEMPTS_KEPT, Rival, is_history, missing, of_old_document};

/// A push that this host has in hand.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) connector: ConnectorId,
    pub(super) lane: Option<String>,
    /// The push's fence when it came into this host's hands.
    pub(super) fence: i64,
}

/// Where a push stands before something about it changes.
pub(super) struct Place {
    pub(super) connector: ConnectorId,
    pub(super) lane: Option<String>,
    pub(super) open: bool,
    pub(super) state: String,
    pub(super) owner: Option<i64>,
    pub(super) fence: i64,
}

pub(super) fn place(conn: &Conn, id: PushId) -> Sql<Option<Place>> {
    conn.one(
        "SELECT connector_id, lane, phase = 1, state, owner, fence FROM pushes WHERE id = $1",
        &[&id.get()],
        |row| {
            Ok(Place {
                connector: ConnectorId(get(row, 0)?),
                lane: text_or_none(row, 1)?,
                open: get(row, 2)?,
                state: get(row, 3)?,
                owner: get(row, 4)?,
                fence: get(row, 5)?,
            })
        },
    )
}

/// The push as it stands, with its lane to itself until the transaction ends.
pub(super) fn alone(conn: &Conn, id: PushId, held: Option<&Held>) -> Sql<Place> {
    let lane = match held {
        Some(held) => Some((held.connector, held.lane.clone())),
        None => place(conn, id)?.map(|place| (place.connector, place.lane)),
    };
    if let Some((connector, Some(lane))) = &lane {
        lanes::lock(conn, *connector, lane)?;
    }
    // A row without lane is locked for itself alone.
    conn.run("SELECT 1 FROM pushes WHERE id = $1 FOR UPDATE", &[&id.get()])?;
    place(conn, id)?.ok_or_else(|| missing(id).into())
}

/// Stores an exchange; of a push that was cancelled or superseded meanwhile, or that other hands took further, only the
/// log and what was learned of the connector. Says whether all of it was stored.
pub(super) fn record(
    conn: &Conn,
    id: PushId,
    held: Option<&Held>,
    me: Option<i64>,
    acted_on: Option<&Health>,
    outcome: &Outcome,
    now: Timestamp,
) -> Sql<bool> {
    let place = alone(conn, id, held)?;
    let present;
    let outcome = if is_outdated(conn, &place, outcome)? {
        present = of_old_document(outcome, now);
        &present
    } else {
        outcome
    };
    let own = held.is_none_or(|held| held.fence == place.fence);
    if place.open && own {
        apply(conn, id, &place, me, acted_on, outcome, now)?;
        return Ok(true);
    }
    log(conn, id, &place, outcome)?;
    learn(conn, &place, acted_on, outcome)?;
    Ok(false)
}

/// Whether the connector was configured anew since the exchange was made.
fn is_outdated(conn: &Conn, place: &Place, outcome: &Outcome) -> Sql<bool> {
    let Some(revision) = outcome.revision else {
        return Ok(false);
    };
    let present: Option<i64> = conn.one(
        "SELECT revision FROM connectors WHERE id = $1",
        &[&place.connector.0],
        |row| get(row, 0),
    )?;
    Ok(present.is_some_and(|present| present != revision))
}

/// Stores an outcome whatever state the push is in. `me` has it in hand from then on, if it goes on being sent.
pub(super) fn apply(
    conn: &Conn,
    id: PushId,
    place: &Place,
    me: Option<i64>,
    acted_on: Option<&Health>,
    outcome: &Outcome,
    now: Timestamp,
) -> Sql<()> {
    for (ordinal, state) in &outcome.comments {
        conn.run(
            "UPDATE comments SET state = $3 WHERE push_id = $1 AND ordinal = $2",
            &[&id.get(), &i64::from(*ordinal), &state.as_str()],
        )?;
    }
    if let Some(case_id) = place.lane.as_deref().and_then(case_of_lane) {
        if outcome.link != LinkChange::Keep || !outcome.marks.is_empty() {
            remember(conn, id, place.connector, case_id, outcome, now)?;
        }
        if let Some(left) = &outcome.left_behind {
            leave_behind(conn, place.connector, case_id, left, now)?;
        }
    }
    let progress = &outcome.progress;
    let ready = hand_on(conn, id, place, progress, now)?;
    let owner = me.filter(|_| progress.state == PushState::Sending);
    write_progress(
        conn,
        id,
        progress,
        progress.state,
        progress.begun,
        ready,
        owner,
        now,
    )?;
    if place.owner != me {
        // Whoever else has it in hand judged it while this was on its way: what they would store counts no more.
        conn.run("UPDATE pushes SET fence = fence + 1 WHERE id = $1", &[&id.get()])?;
    }
    let intent = progress.intent.as_ref().filter(|_| !is_history(progress.state));
    write_intent(conn, id, intent)?;
    log(conn, id, place, outcome)?;
    learn(conn, place, acted_on, outcome)
}

fn learn(conn: &Conn, place: &Place, acted_on: Option<&Health>, outcome: &Outcome) -> Sql<()> {
    match &outcome.health {
        Some(health) => connectors::merge_health(conn, place.connector, acted_on, health),
        None => Ok(()),
    }
}

/// Changes the link and the comment marks of the push's case.
fn remember(
    conn: &Conn,
    id: PushId,
    connector: ConnectorId,
    case_id: &str,
    outcome: &Outcome,
    now: Timestamp,
) -> Sql<()> {
    let progress = &outcome.progress;
    let target = match &progress.target {
        Some(target) => Some(target.clone()),
        None => conn.one(
            "SELECT target FROM connectors WHERE id = $1",
            &[&connector.0],
            |row| super::row::text(row, 0),
        )?,
    };
    let target = target.ok_or_else(|| Error::internal("a push has no connector"))?;
    let (target, case_id) = (stored(&target), stored(case_id));
    match outcome.link {
        LinkChange::Keep => {}
        LinkChange::Clear => {
            conn.run(
                "DELETE FROM links WHERE connector_id = $1 AND md5(case_id) = md5($3) AND md5(target) = md5($2) \
                 AND target = $2 AND case_id = $3",
                &[&connector.0, &target, &case_id],
            )?;
            conn.run(
                "DELETE FROM comment_marks WHERE connector_id = $1 AND md5(case_id) = md5($3) \
                 AND md5(target) = md5($2) AND target = $2 AND case_id = $3",
                &[&connector.0, &target, &case_id],
            )?;
        }
        LinkChange::Set => {
            if let Some(external_id) = &progress.external_id {
                let delivered = match progress.state {
                    PushState::Delivered => id.get(),
                    _ => 0,
                };
                conn.run(
                    "INSERT INTO links AS l (connector_id, target, case_id, external_id, title, url, last_push, \
                     updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                     ON CONFLICT (connector_id, md5(case_id), md5(target)) DO UPDATE SET external_id = $4, \
                     title = $5, url = $6, last_push = greatest(l.last_push, $7), updated_at = $8",
                    &[
                        &connector.0,
                        &target,
                        &case_id,
                        &stored(external_id),
                        &stored_or_none(progress.external_title.as_ref()),
                        &stored_or_none(progress.external_url.as_ref()),
                        &delivered,
                        &now.as_millis(),
                    ],
                )?;
            }
        }
    }
    for ordinal in &outcome.marks {
        conn.run(
            "INSERT INTO comment_marks (connector_id, target, case_id, comment_id, occurrence) \
             SELECT $1, $2, $3, comment_id, occurrence FROM comments \
             WHERE push_id = $4 AND ordinal = $5 AND comment_id <> '' ON CONFLICT DO NOTHING",
            &[&connector.0, &target, &case_id, &id.get(), &i64::from(*ordinal)],
        )?;
    }
    Ok(())
}

fn leave_behind(
    conn: &Conn,
    connector: ConnectorId,
    case_id: &str,
    left: &LeftBehind,
    now: Timestamp,
) -> Sql<()> {
    conn.run(
        "INSERT INTO links (connector_id, target, case_id, external_id, title, url, last_push, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7) ON CONFLICT DO NOTHING",
        &[
            &connector.0,
            &stored(&left.target),
            &stored(case_id),
            &stored(&left.external_id),
            &stored_or_none(left.external_title.as_ref()),
            &stored_or_none(left.external_url.as_ref()),
            &now.as_millis(),
        ],
    )?;
    Ok(())
}

/// Makes the right push of the lane ready, given the progress that push `id` is about to get; says whether that
/// is `id`.
///
/// Ready is the lane's foremost open push, if it is queued or waiting and none of the lane is being sent. So at most
/// the foremost one besides `id` can have to change.
fn hand_on(conn: &Conn, id: PushId, place: &Place, progress: &Progress, now: Timestamp) -> Sql<bool> {
    let state = progress.state;
    let willing = matches!(state, PushState::Queued | PushState::Waiting);
    let Some(lane) = &place.lane else {
        return Ok(willing);
    };
    let lane = stored(lane);
    let rival = conn.one(
        "(SELECT id, state IN ('queued', 'waiting'), ready, leads FROM pushes \
           WHERE md5(lane) = md5($1) AND lane = $1 AND connector_id = $2 AND leads AND id <> $3 \
           ORDER BY id DESC LIMIT 1) \
         UNION ALL \
         (SELECT id, state IN ('queued', 'waiting'), ready, leads FROM pushes \
           WHERE md5(lane) = md5($1) AND lane = $1 AND connector_id = $2 AND phase = 1 AND id <> $3 \
           ORDER BY id LIMIT 1) \
         ORDER BY leads DESC, id DESC LIMIT 1",
        &[&lane, &place.connector.0, &id.get()],
        |row| {
            Ok(Rival {
                id: get(row, 0)?,
                willing: get(row, 1)?,
                ready: get(row, 2)?,
                leads: get(row, 3)?,
            })
        },
    )?;
    let Some(rival) = rival else {
        return Ok(willing);
    };
    let sending = state == PushState::Sending
        || conn
            .one(
                "SELECT 1 FROM pushes WHERE connector_id = $2 AND state = 'sending' AND lane = $1 AND id <> $3 LIMIT 1",
                &[&lane, &place.connector.0, &id.get()],
                |_| Ok(()),
            )?
            .is_some();
    let open = willing || matches!(state, PushState::Sending | PushState::Held);
    let first = open && rival.waits_behind(id, progress.leads(state));
    let rival_ready_now = rival.willing && !first && !sending;
    if rival_ready_now != rival.ready {
        conn.run(
            // Whoever claimed it before its lane changed has an old view of it, of its case's link above all.
            "UPDATE pushes SET ready = $2, fence = fence + 1, due_at = least(due_at, $3 + wait_ms) WHERE id = $1",
            &[&rival.id, &rival_ready_now, &now.as_millis()],
        )?;
    }
    Ok(willing && first && !sending)
}

/// Writes everything of `progress` but its intent.
#[expect(clippy::too_many_arguments, reason = "one row, column by column")]
pub(super) fn write_progress(
    conn: &Conn,
    id: PushId,
    progress: &Progress,
    state: PushState,
    begun: bool,
    ready: bool,
    owner: Option<i64>,
    now: Timestamp,
) -> Sql<()> {
    let error = progress.error.as_ref();
    conn.run(
        concat!(
            "UPDATE pushes SET state = $2, step = $3, due_at = $4, wait_ms = $5, begun = $6, attempts = $7, \
         step_attempts = $8, age_from = $9, external_id = $10, external_title = $11, external_url = $12, \
         uncertain = $13, resends = $14, preconditions = $15, error_code = $16, error_kind = $17, \
         error_message = $18, error_step = $19, error_status = $20, error_retryable = $21, ready = $22, \
         finished_at = CASE WHEN $23 THEN ",
            server_now!(),
            " END, updated_at = CASE WHEN state = $2 THEN updated_at ELSE $24 END, sent_to = $25, \
         owner = $26, probing = probing AND $26::bigint IS NOT NULL, leads = $27 WHERE id = $1"
        ),
        &[
            &id.get(),
            &state.as_str(),
            &progress.step.map(|s| s.as_str()),
            &progress.due_at.as_millis(),
            &int(progress.wait_ms),
            &begun,
            &i64::from(progress.attempts),
            &i64::from(progress.step_attempts),
            &progress.age_from.map(int),
            &stored_or_none(progress.external_id.as_ref()),
            &stored_or_none(progress.external_title.as_ref()),
            &stored_or_none(progress.external_url.as_ref()),
            &progress.uncertain,
            &i64::from(progress.resends),
            &i64::from(progress.preconditions),
            &error.map(|e| stored(&e.code)),
            &error.map(|e| e.kind.as_str()),
            &error.map(|e| stored(&e.message)),
            &error.map(|e| e.step.as_str()),
            &error.and_then(|e| e.http_status).map(i64::from),
            &error.map(|e| e.retryable),
            &ready,
            &is_history(state),
            &now.as_millis(),
            &stored_or_none(progress.target.as_ref()),
            &owner,
            &progress.leads(state),
        ],
    )?;
    Ok(())
}

/// Keeps the intent as it is about to stand; an unchanged one, with its body, is not written again.
pub(super) fn write_intent(conn: &Conn, id: PushId, intent: Option<&Intent>) -> Sql<()> {
    let Some(intent) = intent else {
        conn.run("DELETE FROM intents WHERE push_id = $1", &[&id.get()])?;
        return Ok(());
    };
    conn.run(
        "INSERT INTO intents AS i (push_id, step, comment, target, idempotency_key, key_made_at, ended_at, body) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (push_id) DO UPDATE SET step = $2, \
         comment = $3, target = $4, idempotency_key = $5, key_made_at = $6, ended_at = $7, body = $8 \
         WHERE (i.step, i.comment, i.target, i.idempotency_key, i.key_made_at, i.ended_at, i.body) \
         IS DISTINCT FROM ($2, $3, $4, $5, $6, $7, $8)",
        &[
            &id.get(),
            &intent.step.as_str(),
            &intent.comment.map(i64::from),
            &stored(&intent.target),
            &stored_or_none(intent.idempotency_key.as_ref()),
            &intent.key_made_at.as_millis(),
            &intent.ended_at.map(Timestamp::as_millis),
            &intent.body,
        ],
    )?;
    Ok(())
}

fn log(conn: &Conn, id: PushId, place: &Place, outcome: &Outcome) -> Sql<()> {
    let Some(attempt) = &outcome.attempt else {
        return Ok(());
    };
    conn.run(
        "INSERT INTO attempts (push_id, at, duration_ms, step, method, url, http_status, class, message) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            &id.get(),
            &attempt.at.as_millis(),
            &int(attempt.duration_ms),
            &attempt.step.as_str(),
            &stored_or_none(attempt.method.as_ref()),
            &stored_or_none(attempt.url.as_ref()),
            &attempt.http_status.map(i64::from),
            &attempt.class.map(|c| c.as_str()),
            &stored(&attempt.message),
        ],
    )?;
    conn.run(
        "DELETE FROM attempts WHERE push_id = $1 AND id <= (\
           SELECT id FROM attempts WHERE push_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
        &[&id.get(), &ATTEMPTS_KEPT],
    )?;
    history::tally(conn, place.connector, attempt, outcome.size)
}
