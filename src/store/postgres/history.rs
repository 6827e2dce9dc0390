//! What ages: the history and the attempts log. What is counted.

use super::conn::Conn;
use super::connectors;
use super::fault::Sql;
use super::mark;
use super::row::{count, get, int, named, named_or_none, server_now, time};
use crate::model::{Attempt, FailureClass, PushState, Step, Tally, Timestamp, bound};
use crate::outbox::{ConnectorId, ExchangeSize};
use crate::store::{Counts, Retention};

/// How much one call removes: a writer that waits for it waits not long.
const BATCH: u64 = 500;

/// One host at a time; the others have nothing to do.
pub(super) fn prune(conn: &Conn, retention: &Retention) -> Sql<bool> {
    let alone = conn.one(
        "SELECT pg_try_advisory_xact_lock(hashtextextended('casehook:prune:' || current_schema(), 0))",
        &[],
        |row| get::<bool>(row, 0),
    )?;
    if alone != Some(true) {
        return Ok(false);
    }
    let age = i64::try_from(retention.history_age.as_millis()).unwrap_or(i64::MAX);
    let now: Option<i64> = conn.one(concat!("SELECT ", server_now!()), &[], |row| get(row, 0))?;
    let before = now.unwrap_or(0).saturating_sub(age);
    let aged = conn.run(
        "DELETE FROM pushes WHERE id IN (SELECT id FROM pushes \
         WHERE finished_at IS NOT NULL AND finished_at < $1 ORDER BY finished_at, id LIMIT $2)",
        &[&before, &int(BATCH)],
    )?;
    let kept: Option<i64> = conn.one(
        "SELECT coalesce(sum(n), 0)::bigint FROM counters WHERE state IN ('delivered', 'superseded', 'cancelled')",
        &[],
        |row| get(row, 0),
    )?;
    let excess = count(kept.unwrap_or(0)).saturating_sub(retention.history_count);
    let allowed = excess.min(BATCH - aged.min(BATCH));
    let oldest = match allowed {
        0 => 0,
        allowed => conn.run(
            "DELETE FROM pushes WHERE id IN (SELECT id FROM pushes \
             WHERE finished_at IS NOT NULL ORDER BY finished_at, id LIMIT $1)",
            &[&int(allowed)],
        )?,
    };
    let lines = conn.run(
        "DELETE FROM attempts WHERE id IN (SELECT id FROM (\
         SELECT id, logged_server_ms FROM attempts ORDER BY id LIMIT $2) AS oldest WHERE logged_server_ms < $1)",
        &[&before, &int(BATCH)],
    )?;
    mark::forget(conn)?;
    fold(conn)?;
    Ok(aged >= BATCH || excess > oldest || lines >= BATCH)
}

/// Adds the counts of single server processes up; those that count at the moment are left alone.
fn fold(conn: &Conn) -> Sql<()> {
    conn.run(
        "WITH parts AS (SELECT connector_id, state, shard FROM counters WHERE shard <> 0 \
           FOR UPDATE SKIP LOCKED), \
         taken AS (DELETE FROM counters AS c USING parts AS p WHERE c.connector_id = p.connector_id \
           AND c.state = p.state AND c.shard = p.shard RETURNING c.connector_id, c.state, c.n, c.gone) \
         INSERT INTO counters AS c (connector_id, state, shard, n, gone) \
         SELECT connector_id, state, 0, sum(n), sum(gone) FROM taken GROUP BY connector_id, state \
         ON CONFLICT (connector_id, state, shard) DO UPDATE SET n = c.n + EXCLUDED.n, gone = c.gone + EXCLUDED.gone",
        &[],
    )?;
    conn.run(
        "WITH parts AS (SELECT connector_id, step, class, within_ms, shard FROM exchanges WHERE shard <> 0 \
           FOR UPDATE SKIP LOCKED), \
         taken AS (DELETE FROM exchanges AS e USING parts AS p WHERE e.connector_id = p.connector_id \
           AND e.step = p.step AND e.class = p.class AND e.within_ms = p.within_ms AND e.shard = p.shard \
           RETURNING e.*) \
         INSERT INTO exchanges AS e (connector_id, step, class, within_ms, shard, n, duration_ms, bytes_sent, \
         bytes_received) SELECT connector_id, step, class, within_ms, 0, sum(n), sum(duration_ms), \
         sum(bytes_sent), sum(bytes_received) FROM taken GROUP BY connector_id, step, class, within_ms \
         ON CONFLICT (connector_id, step, class, within_ms, shard) DO UPDATE SET n = e.n + EXCLUDED.n, \
         duration_ms = e.duration_ms + EXCLUDED.duration_ms, bytes_sent = e.bytes_sent + EXCLUDED.bytes_sent, \
         bytes_received = e.bytes_received + EXCLUDED.bytes_received",
        &[],
    )?;
    Ok(())
}

pub(super) fn counts(conn: &Conn) -> Sql<Vec<Counts>> {
    connectors::list(conn)?
        .into_iter()
        .map(|connector| {
            let ready = conn.one(
                "SELECT 1 FROM pushes WHERE connector_id = $1 AND ready LIMIT 1",
                &[&connector.id.0],
                |_| Ok(()),
            )?;
            let mut counts = Counts {
                connector: connector.id,
                by_state: [0; 8],
                gone: [0; 8],
                oldest_at: None,
                ready: ready.is_some(),
            };
            let rows = conn.all(
                "SELECT state, sum(n)::bigint, sum(gone)::bigint FROM counters WHERE connector_id = $1 GROUP BY state",
                &[&connector.id.0],
                |row| {
                    let state = named(row, 0, PushState::from_name)?;
                    Ok((state, get::<i64>(row, 1)?, get::<i64>(row, 2)?))
                },
            )?;
            let mut oldest: Option<(i64, Timestamp)> = None;
            for (state, n, gone) in rows {
                if let Some(place) = PushState::ALL.iter().position(|s| *s == state) {
                    counts.by_state[place] = count(n);
                    counts.gone[place] = count(gone);
                }
                if n > 0 && !state.is_final() {
                    let first = conn.one(
                        "SELECT id, created_at FROM pushes WHERE connector_id = $1 AND state = $2 ORDER BY id LIMIT 1",
                        &[&connector.id.0, &state.as_str()],
                        |row| Ok((get::<i64>(row, 0)?, time(row, 1)?)),
                    )?;
                    oldest = oldest.into_iter().chain(first).min_by_key(|(id, _)| *id);
                }
            }
            counts.oldest_at = oldest.map(|(_, at)| at);
            Ok(counts)
        })
        .collect()
}

/// Counts one exchange, in the transaction that logs it.
pub(super) fn tally(conn: &Conn, connector: ConnectorId, attempt: &Attempt, size: ExchangeSize) -> Sql<()> {
    conn.run(
        "INSERT INTO exchanges AS e (connector_id, step, class, within_ms, shard, n, duration_ms, bytes_sent, \
         bytes_received) VALUES ($1, $2, $3, $4, pg_backend_pid(), 1, $5, $6, $7) \
         ON CONFLICT (connector_id, step, class, within_ms, shard) DO UPDATE SET n = e.n + 1, \
         duration_ms = e.duration_ms + $5, bytes_sent = e.bytes_sent + $6, bytes_received = e.bytes_received + $7",
        &[
            &connector.0,
            &attempt.step.as_str(),
            &attempt.class.map_or("", FailureClass::as_str),
            &bound(attempt.duration_ms).map_or(i64::MAX, int),
            &int(attempt.duration_ms),
            &int(size.sent),
            &int(size.received),
        ],
    )?;
    Ok(())
}

pub(super) fn exchanges(conn: &Conn, id: ConnectorId) -> Sql<Vec<Tally>> {
    conn.all(
        "SELECT step, nullif(class, ''), within_ms, sum(n)::bigint, sum(duration_ms)::bigint, \
         sum(bytes_sent)::bigint, sum(bytes_received)::bigint FROM exchanges WHERE connector_id = $1 \
         GROUP BY step, class, within_ms",
        &[&id.0],
        |row| {
            let within: i64 = get(row, 2)?;
            Ok(Tally {
                step: named(row, 0, Step::from_name)?,
                class: named_or_none(row, 1, FailureClass::from_name)?,
                within_ms: (within != i64::MAX).then_some(count(within)),
                count: count(get(row, 3)?),
                duration_ms: count(get(row, 4)?),
                bytes_sent: count(get(row, 5)?),
                bytes_received: count(get(row, 6)?),
            })
        },
    )
}
