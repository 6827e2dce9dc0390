//! What ages: the history and the attempts log. What is counted.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params};

use super::connectors;
use super::db::{all, count, int, one, run};
use super::fault::Sql;
use super::row::{named, time};
use crate::model::{Attempt, FailureClass, PushId, PushState, Step, Tally, Timestamp, bound};
use crate::outbox::{ConnectorId, ExchangeSize};
use crate::store::{Counts, Retention};

/// How much one call removes: a writer that waits for it waits not long.
const BATCH: u64 = 500;

pub(super) const PRUNE_AGED: &str = "DELETE FROM pushes WHERE id IN (SELECT id FROM pushes \
     WHERE finished_at IS NOT NULL AND finished_at < ?1 ORDER BY finished_at, id LIMIT ?2)";

pub(super) const PRUNE_OLDEST: &str = "DELETE FROM pushes WHERE id IN (SELECT id FROM pushes \
     WHERE finished_at IS NOT NULL ORDER BY finished_at, id LIMIT ?1)";

/// The log is in the order of time, so its oldest lines stand first.
pub(super) const PRUNE_ATTEMPTS: &str = "DELETE FROM attempts WHERE id IN (SELECT id FROM (\
     SELECT id, at FROM attempts ORDER BY id LIMIT ?2) WHERE at < ?1)";

pub(super) fn prune(conn: &Connection, retention: &Retention, now: Timestamp) -> Sql<bool> {
    let age = i64::try_from(retention.history_age.as_millis()).unwrap_or(i64::MAX);
    let before = now.as_millis().saturating_sub(age);
    let aged = run(conn, PRUNE_AGED, params![before, int(BATCH)])? as u64;
    let kept: i64 = conn
        .prepare_cached(
            "SELECT coalesce(sum(n), 0) FROM counts WHERE state IN ('delivered', 'superseded', 'cancelled')",
        )?
        .query_row([], |row| row.get(0))?;
    let excess = count(kept).saturating_sub(retention.history_count);
    let allowed = excess.min(BATCH - aged.min(BATCH));
    let oldest = match allowed {
        0 => 0,
        allowed => run(conn, PRUNE_OLDEST, params![int(allowed)])? as u64,
    };
    let lines = run(conn, PRUNE_ATTEMPTS, params![before, int(BATCH)])? as u64;
    Ok(aged >= BATCH || excess > oldest || lines >= BATCH)
}

pub(super) const OLDEST: &str = "SELECT id, created_at FROM pushes \
     WHERE connector_id = ?1 AND state = ?2 AND state <> 'queued' ORDER BY id LIMIT 1";

/// The oldest queued push of those that something happened to.
pub(super) const OLDEST_TRIED: &str = "SELECT id, created_at FROM pushes \
     WHERE connector_id = ?1 AND state = 'queued' AND due_at <> created_at ORDER BY id LIMIT 1";

/// The oldest of the others, which are due since they were accepted. One that is not ready has an older one before it that
/// is found as this or in another state.
pub(super) const OLDEST_UNTRIED: &str = "SELECT id, created_at FROM pushes \
     WHERE connector_id = ?1 AND ready = 1 AND due_at = created_at ORDER BY due_at, id LIMIT 1";

pub(super) const READY: &str = "SELECT 1 FROM pushes WHERE connector_id = ?1 AND ready = 1 LIMIT 1";

/// How many pushes may stand uncounted before the counters are brought up to date: whoever asks for counts counts those.
const UNCOUNTED_AT_MOST: i64 = if cfg!(test) { 4 } else { 256 };

macro_rules! uncounted {
    () => {
        "SELECT connector_id, state, count(*) FROM pushes WHERE id > (SELECT counted FROM numbering) \
         GROUP BY connector_id, state"
    };
}
pub(super) const UNCOUNTED: &str = uncounted!();

/// Brings the counters up to date where these new pushes begin the next hundreds; see migration 0006.
pub(super) fn count_now_and_then(conn: &Connection, new: &[PushId]) -> Sql<()> {
    if new.iter().all(|id| id.get() % UNCOUNTED_AT_MOST != 0) {
        return Ok(());
    }
    let count = concat!(
        "INSERT INTO counters (connector_id, state, n) ",
        uncounted!(),
        " ON CONFLICT DO UPDATE SET n = n + excluded.n"
    );
    run(conn, count, &[])?;
    let mark = "UPDATE numbering SET counted = (SELECT max(id) FROM pushes)";
    run(conn, mark, &[])?;
    Ok(())
}

pub(super) fn counts(conn: &Connection) -> Sql<Vec<Counts>> {
    let uncounted: HashMap<(i64, String), i64> = all(conn, UNCOUNTED, &[], |row| {
        Ok(((row.get(0)?, row.get(1)?), row.get(2)?))
    })?
    .into_iter()
    .collect();
    connectors::list(conn)?
        .into_iter()
        .map(|connector| {
            let mut counts = Counts {
                connector: connector.id,
                by_state: [0; 8],
                gone: [0; 8],
                oldest_at: None,
                ready: one(conn, READY, params![connector.id.0], |_| Ok(()))?.is_some(),
            };
            let rows = all(
                conn,
                "SELECT state, n, gone FROM counters WHERE connector_id = ?1",
                params![connector.id.0],
                |row| {
                    let state = named(row, 0, PushState::from_name)?;
                    let uncounted = uncounted.get(&(connector.id.0, row.get(0)?)).copied();
                    Ok((
                        state,
                        row.get::<_, i64>(1)? + uncounted.unwrap_or(0),
                        row.get::<_, i64>(2)?,
                    ))
                },
            )?;
            let mut oldest: Option<(i64, Timestamp)> = None;
            for (state, n, gone) in rows {
                if let Some(place) = PushState::ALL.iter().position(|s| *s == state) {
                    counts.by_state[place] = count(n);
                    counts.gone[place] = count(gone);
                }
                if n > 0 && !state.is_final() {
                    let read = |row: &Row<'_>| Ok((row.get(0)?, time(row, 1)?));
                    let first = match state {
                        PushState::Queued => [
                            one(conn, OLDEST_TRIED, params![connector.id.0], read)?,
                            one(conn, OLDEST_UNTRIED, params![connector.id.0], read)?,
                        ],
                        _ => [
                            one(conn, OLDEST, params![connector.id.0, state.as_str()], read)?,
                            None,
                        ],
                    };
                    let found = first.into_iter().flatten();
                    oldest = oldest.into_iter().chain(found).min_by_key(|(id, _)| *id);
                }
            }
            counts.oldest_at = oldest.map(|(_, at)| at);
            Ok(counts)
        })
        .collect()
}

/// Counts one exchange, in the transaction that logs it.
pub(super) fn tally(
    conn: &Connection,
    connector: ConnectorId,
    attempt: &Attempt,
    size: ExchangeSize,
) -> Sql<()> {
    let values = params![
        connector.0,
        attempt.step.as_str(),
        attempt.class.map_or("", FailureClass::as_str),
        bound(attempt.duration_ms).map_or(i64::MAX, int),
        int(attempt.duration_ms),
        int(size.sent),
        int(size.received)
    ];
    let counted = run(
        conn,
        "UPDATE exchanges SET n = n + 1, duration_ms = duration_ms + ?5, bytes_sent = bytes_sent + ?6, \
         bytes_received = bytes_received + ?7 \
         WHERE connector_id = ?1 AND step = ?2 AND class = ?3 AND within_ms = ?4",
        values,
    )?;
    if counted == 0 {
        run(
            conn,
            "INSERT INTO exchanges (connector_id, step, class, within_ms, n, duration_ms, bytes_sent, \
             bytes_received) VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7)",
            values,
        )?;
    }
    Ok(())
}

pub(super) fn exchanges(conn: &Connection, id: ConnectorId) -> Sql<Vec<Tally>> {
    all(
        conn,
        "SELECT step, class, within_ms, n, duration_ms, bytes_sent, bytes_received FROM exchanges \
         WHERE connector_id = ?1",
        params![id.0],
        |row| {
            let within: i64 = row.get(2)?;
            let class: String = row.get(1)?;
            Ok(Tally {
                step: named(row, 0, Step::from_name)?,
                class: match class.as_str() {
                    "" => None,
                    _ => Some(named(row, 1, FailureClass::from_name)?),
                },
                within_ms: (within != i64::MAX).then_some(count(within)),
                count: count(row.get(3)?),
                duration_ms: count(row.get(4)?),
                bytes_sent: count(row.get(5)?),
                bytes_received: count(row.get(6)?),
            })
        },
    )
}
