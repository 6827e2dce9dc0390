//! Taking pushes for delivery: who may, and what a push needs to know.

use std::sync::Arc;
use std::time::Duration;

use super::conn::Conn;
use super::connectors;
use super::fault::Sql;
use super::lanes;
use super::read;
use super::record::{self, Held};
use super::row::{
    get, named, number, number_or_none, progress, progress_columns, text, text_or_none, time, time_or_none,
};
use super::text::stored;
use crate::model::{Case, Comment, CommentState, Link, PushId, PushState, Step, Timestamp};
use crate::outbox::{Claim, CommentProgress, ConnectorId, Intent, Progress, Push};
use crate::store::Limits;
use crate::store::sqlite::read::case_of_lane;

/// What is not in anybody's hands, or in those of host `$3`.
macro_rules! free {
    ($me:literal) => {
        concat!(
            "(p.owner IS NULL OR p.owner = ",
            $me,
            " OR NOT EXISTS (SELECT 1 FROM drainers AS d WHERE d.id = p.owner))"
        )
    };
}

pub(super) const FIRST_READY: &str = concat!(
    "SELECT p.id, p.lane, p.fence FROM pushes AS p \
     WHERE p.connector_id = $1 AND p.ready AND p.due_at <= $2 AND p.id <> ALL ($4) AND ",
    free!("$3"),
    " ORDER BY p.due_at, p.id LIMIT 1 FOR UPDATE OF p SKIP LOCKED"
);

/// Claims the first push that is due and free for host `me`, if the connector has room for it on all hosts together.
pub(super) fn claim(
    conn: &Conn,
    connector: ConnectorId,
    limits: Option<Limits>,
    me: i64,
    now: Timestamp,
    busy: &[PushId],
) -> Sql<Option<(PushId, Held)>> {
    let mut probing = false;
    if let Some(limits) = limits {
        // Claimers pass one by one, so that what they count is what there is.
        conn.run(
            "SELECT 1 FROM gates WHERE connector_id = $1 FOR UPDATE",
            &[&connector.0],
        )?;
        let Some(door) = door(conn, connector, limits)? else {
            return Ok(None);
        };
        if door.closed(now).is_some() {
            return Ok(None);
        }
        probing = door.in_trouble;
    }
    let busy: Vec<i64> = busy.iter().map(|id| id.get()).collect();
    let found = conn.one(
        FIRST_READY,
        &[&connector.0, &now.as_millis(), &me, &busy],
        |row| {
            let held = Held {
                connector,
                lane: text_or_none(row, 1)?,
                fence: get(row, 2)?,
            };
            Ok((PushId::from(get::<i64>(row, 0)?), held))
        },
    )?;
    if let Some((id, _)) = &found {
        conn.run(
            "UPDATE pushes SET owner = $2, probing = $3 WHERE id = $1",
            &[&id.get(), &me, &probing],
        )?;
        if let Some(limits) = limits.filter(|limits| !limits.min_interval.is_zero()) {
            take_turn(conn, connector, limits.min_interval)?;
        }
    }
    Ok(found)
}

/// How a connector stands with all hosts together.
struct Door {
    paused: bool,
    in_trouble: bool,
    /// By the hosts' clocks: probes and throttles.
    not_before: Option<Timestamp>,
    /// By the server's clock: what is left of `minIntervalMs`.
    turn_in: Duration,
    full: bool,
    /// Another push tries whether it works again.
    probed: bool,
}

/// Why nothing may be claimed.
enum Closed {
    Until(Timestamp),
    /// Until something happens.
    Now,
}

impl Door {
    fn closed(&self, now: Timestamp) -> Option<Closed> {
        if self.paused || self.full || (self.in_trouble && self.probed) {
            return Some(Closed::Now);
        }
        let turn = (!self.turn_in.is_zero()).then(|| now.plus(self.turn_in));
        let at = self
            .not_before
            .into_iter()
            .chain(turn)
            .filter(|at| *at > now)
            .max();
        at.map(Closed::Until)
    }
}

fn door(conn: &Conn, connector: ConnectorId, limits: Limits) -> Sql<Option<Door>> {
    conn.one(
        "SELECT c.paused, c.offline_reason IS NOT NULL OR c.blocked_reason IS NOT NULL, \
         greatest(c.offline_probe_at, c.blocked_probe_at, c.throttled_until), \
         greatest(g.next_send_server_ms - (extract(epoch FROM clock_timestamp()) * 1000)::bigint, 0), \
         held.n, held.probing \
         FROM connectors AS c JOIN gates AS g ON g.connector_id = c.id CROSS JOIN (\
           SELECT count(*) AS n, coalesce(bool_or(p.probing), false) AS probing FROM pushes AS p \
           WHERE p.connector_id = $1 AND p.owner IS NOT NULL AND (p.state = 'sending' OR p.ready)) AS held \
         WHERE c.id = $1 AND NOT c.removed",
        &[&connector.0],
        |row| {
            let held: i64 = get(row, 4)?;
            Ok(Door {
                paused: get(row, 0)?,
                in_trouble: get(row, 1)?,
                not_before: time_or_none(row, 2)?,
                turn_in: Duration::from_millis(number(row, 3)?),
                full: u64::try_from(held).unwrap_or(0) >= limits.max_in_flight as u64,
                probed: get(row, 5)?,
            })
        },
    )
}

/// Takes the connector's next moment to send, or says how long it is until there is one.
pub(super) fn take_turn(conn: &Conn, connector: ConnectorId, interval: Duration) -> Sql<Option<Duration>> {
    let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX / 2);
    let taken = conn.run(
        "UPDATE gates SET next_send_server_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $2 \
         WHERE connector_id = $1 AND next_send_server_ms <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint",
        &[&connector.0, &interval],
    )?;
    if taken > 0 {
        return Ok(None);
    }
    let left: Option<i64> = conn.one(
        "SELECT greatest(next_send_server_ms - (extract(epoch FROM clock_timestamp()) * 1000)::bigint, 1) \
         FROM gates WHERE connector_id = $1",
        &[&connector.0],
        |row| get(row, 0),
    )?;
    Ok(left.map(|left| Duration::from_millis(left.unsigned_abs())))
}

pub(super) const NEXT_DUE: &str = concat!(
    "SELECT p.due_at FROM pushes AS p WHERE p.connector_id = $1 AND p.ready AND p.id <> ALL ($3) AND ",
    free!("$2"),
    " ORDER BY p.due_at, p.id LIMIT 1"
);

/// When the connector has something to send that this host may claim.
pub(super) fn next_due(
    conn: &Conn,
    connector: ConnectorId,
    limits: Option<Limits>,
    me: i64,
    now: Timestamp,
    busy: &[PushId],
) -> Sql<Option<Timestamp>> {
    let busy: Vec<i64> = busy.iter().map(|id| id.get()).collect();
    let due = conn.one(NEXT_DUE, &[&connector.0, &me, &busy], |row| time(row, 0))?;
    let (Some(due), Some(limits)) = (due, limits) else {
        return Ok(due);
    };
    Ok(
        match door(conn, connector, limits)?.map(|door| door.closed(now)) {
            None | Some(Some(Closed::Now)) => None,
            Some(Some(Closed::Until(at))) => Some(due.max(at)),
            Some(None) => Some(due),
        },
    )
}

pub(super) fn load(conn: &Conn, id: PushId) -> Sql<Option<(Claim, Held)>> {
    let row = conn.one(
        concat!(
            "SELECT p.connector_id, p.lane, c.name, c.target, p.fence, p.",
            progress_columns!(),
            " FROM pushes AS p JOIN (SELECT id AS connector, name, target FROM connectors) AS c \
             ON c.connector = p.connector_id WHERE p.id = $1"
        ),
        &[&id.get()],
        |row| {
            Ok(Found {
                held: Held {
                    connector: ConnectorId(get(row, 0)?),
                    lane: text_or_none(row, 1)?,
                    fence: get(row, 4)?,
                },
                name: text(row, 2)?,
                target: text(row, 3)?,
                progress: progress(row, 5)?,
            })
        },
    )?;
    let Some(mut row) = row else {
        return Ok(None);
    };
    row.progress.intent = intent(conn, id)?;
    let case_id = row.held.lane.as_deref().and_then(case_of_lane);
    let (link, last_push) = match case_id {
        Some(case_id) => link(conn, &row, case_id)?,
        None => (None, 0),
    };
    let overtaken = match &row.held.lane {
        None => false,
        Some(lane) => last_push > id.get() || is_overtaken(conn, row.held.connector, lane, id)?,
    };
    let (lines, comments) = comments(conn, id, &row, case_id)?;
    let mut case = read::incident(conn, id)?;
    case.comments = lines;
    let claim = Claim {
        push: Push {
            id,
            connector: row.held.connector,
            case: Arc::new(case),
            progress: row.progress,
            comments,
        },
        target: row.target,
        link,
        overtaken,
    };
    Ok(Some((claim, row.held)))
}

struct Found {
    held: Held,
    name: String,
    target: String,
    progress: Progress,
}

fn intent(conn: &Conn, id: PushId) -> Sql<Option<Intent>> {
    conn.one(
        "SELECT step, comment, target, idempotency_key, key_made_at, ended_at, body FROM intents \
         WHERE push_id = $1",
        &[&id.get()],
        |row| {
            Ok(Intent {
                step: named(row, 0, Step::from_name)?,
                comment: number_or_none(row, 1)?,
                target: text(row, 2)?,
                idempotency_key: text_or_none(row, 3)?,
                key_made_at: time(row, 4)?,
                ended_at: time_or_none(row, 5)?,
                body: get(row, 6)?,
            })
        },
    )
}

/// The link, and the highest push that was delivered under it.
fn link(conn: &Conn, row: &Found, case_id: &str) -> Sql<(Option<Link>, i64)> {
    let found = conn.one(
        "SELECT external_id, title, url, updated_at, last_push FROM links \
         WHERE connector_id = $1 AND md5(case_id) = md5($3) AND md5(target) = md5($2) \
         AND target = $2 AND case_id = $3",
        &[&row.held.connector.0, &stored(&row.target), &stored(case_id)],
        |columns| {
            let link = read::link_from(columns, row.name.clone(), row.target.clone(), case_id)?;
            Ok((link, get(columns, 4)?))
        },
    )?;
    Ok(match found {
        Some((link, last_push)) => (Some(link), last_push),
        None => (None, 0),
    })
}

fn is_overtaken(conn: &Conn, connector: ConnectorId, lane: &str, id: PushId) -> Sql<bool> {
    let found = conn.one(
        "SELECT 1 FROM pushes WHERE md5(lane) = md5($1) AND lane = $1 AND connector_id = $2 AND phase = 2 \
         AND id > $3 LIMIT 1",
        &[&stored(lane), &connector.0, &id.get()],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

fn comments(
    conn: &Conn,
    id: PushId,
    row: &Found,
    case_id: Option<&str>,
) -> Sql<(Vec<Comment>, Vec<CommentProgress>)> {
    let rows = conn.all(
        "SELECT comment_id, text, state, occurrence, comment_id <> '' AND EXISTS (\
           SELECT 1 FROM comment_marks AS m WHERE m.connector_id = $2 AND md5(m.case_id) = md5($4) \
           AND md5(m.target) = md5($3) AND md5(m.comment_id) = md5(comments.comment_id) \
           AND m.occurrence = comments.occurrence \
           AND m.target = $3 AND m.case_id = $4 AND m.comment_id = comments.comment_id) \
         FROM comments WHERE push_id = $1 ORDER BY ordinal",
        &[
            &id.get(),
            &row.held.connector.0,
            &stored(&row.target),
            &case_id.map(stored),
        ],
        |row| {
            let comment = Comment {
                id: text(row, 0)?,
                text: text(row, 1)?,
            };
            let progress = CommentProgress {
                state: named(row, 2, CommentState::from_name)?,
                occurrence: number(row, 3)?,
                already_sent: get(row, 4)?,
            };
            Ok((comment, progress))
        },
    )?;
    Ok(rows.into_iter().unzip())
}

/// The case of a push, whole.
pub(super) fn case(conn: &Conn, id: PushId) -> Sql<Option<Case>> {
    Ok(load(conn, id)?.map(|(claim, _)| Arc::unwrap_or_clone(claim.push.case)))
}

/// The push's new fence, if host `me` may send for it: it has it in hand, or nobody has, and nothing else happened to it
/// since the fence `known`.
pub(super) fn begin(
    conn: &Conn,
    id: PushId,
    known: Option<i64>,
    me: i64,
    to: &Progress,
    now: Timestamp,
) -> Sql<Option<Held>> {
    let Some(place) = record::place(conn, id)? else {
        return Ok(None);
    };
    if let Some(lane) = &place.lane {
        lanes::lock(conn, place.connector, lane)?;
    }
    let fence = conn.one(
        concat!(
            "UPDATE pushes AS p SET owner = $2, fence = p.fence + 1 WHERE p.id = $1 \
             AND (p.ready OR p.state = 'sending') AND (p.fence = $3 OR $3 IS NULL) AND ",
            free!("$2"),
            " AND EXISTS (SELECT 1 FROM drainers AS d WHERE d.id = $2) RETURNING p.fence"
        ),
        &[&id.get(), &me, &known],
        |row| get::<i64>(row, 0),
    )?;
    let Some(fence) = fence else {
        return Ok(None);
    };
    record::write_progress(conn, id, to, PushState::Sending, true, false, Some(me), now)?;
    record::write_intent(conn, id, to.intent.as_ref())?;
    Ok(Some(Held {
        connector: place.connector,
        lane: place.lane,
        fence,
    }))
}

/// Frees what this host claimed without having heard that it did, since nobody would send it, and it would count as under
/// way as long as the host lives.
pub(super) fn let_go(conn: &Conn, me: i64, in_hand: &[PushId]) -> Sql<()> {
    let in_hand: Vec<i64> = in_hand.iter().map(|id| id.get()).collect();
    conn.run(
        "UPDATE pushes SET owner = NULL, probing = false WHERE id IN (SELECT id FROM pushes \
         WHERE owner = $1 AND state <> 'sending' AND id <> ALL ($2) FOR UPDATE SKIP LOCKED)",
        &[&me, &in_hand],
    )?;
    Ok(())
}

/// Takes over the pushes that were being sent by hosts that are gone, or by this one.
pub(super) fn interrupted(conn: &Conn, me: i64, lease: Duration) -> Sql<Vec<(PushId, Held)>> {
    super::lease::expire(conn, me, lease)?;
    // What a host that is gone only had in hand is free again.
    conn.run(
        "UPDATE pushes AS p SET owner = NULL WHERE p.owner IS NOT NULL AND p.state <> 'sending' AND p.owner <> $1 \
         AND NOT EXISTS (SELECT 1 FROM drainers AS d WHERE d.id = p.owner)",
        &[&me],
    )?;
    let mut found = conn.all(
        concat!(
            "UPDATE pushes AS p SET owner = $1 WHERE p.id IN (SELECT p.id FROM pushes AS p \
             WHERE p.owner IS NOT NULL AND p.state = 'sending' AND ",
            free!("$1"),
            " FOR UPDATE SKIP LOCKED) RETURNING p.id, p.connector_id, p.lane, p.fence"
        ),
        &[&me],
        |row| {
            let held = Held {
                connector: ConnectorId(get(row, 1)?),
                lane: text_or_none(row, 2)?,
                fence: get(row, 3)?,
            };
            Ok((PushId::from(get::<i64>(row, 0)?), held))
        },
    )?;
    found.sort_unstable_by_key(|(id, _)| *id);
    Ok(found)
}

/// See `Store::clamp_due`. Pushes that are not ready are pulled back when they become so.
pub(super) fn clamp_due(conn: &Conn, now: Timestamp) -> Sql<()> {
    const MINUTE: i64 = 60_000;
    for connector in connectors::ids(conn, None)? {
        conn.run(
            "UPDATE pushes SET due_at = $2::bigint + wait_ms \
             WHERE connector_id = $1 AND ready AND due_at > $2 AND due_at > $2 + wait_ms",
            &[&connector.0, &now.as_millis()],
        )?;
    }
    conn.run(
        "UPDATE connectors SET \
         offline_probe_at = CASE WHEN offline_probe_at > $1::bigint + $2::bigint THEN $1::bigint + $2::bigint ELSE offline_probe_at END, \
         blocked_probe_at = CASE WHEN blocked_probe_at > $1::bigint + $3::bigint THEN $1::bigint + $3::bigint ELSE blocked_probe_at END, \
         throttled_until = CASE WHEN throttled_until > $1::bigint + $3::bigint THEN $1::bigint + $3::bigint ELSE throttled_until END, \
         changed = nextval('changes') \
         WHERE offline_probe_at > $1::bigint + $2::bigint OR blocked_probe_at > $1::bigint + $3::bigint OR throttled_until > $1::bigint + $3::bigint",
        &[&now.as_millis(), &(10 * MINUTE), &(60 * MINUTE)],
    )?;
    Ok(())
}
