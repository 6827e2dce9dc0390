//! The verbs that deliver: wait for one push, drain the outbox, run until stopped.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Session;
use super::connectors::{now, trouble};
use super::failure::{self, Failure};
use super::out::{count, field};
use super::progress::{Progress, Sums};
use super::{database, duration, pushes, show};
use crate::{Agent, ErrorKind, PushId, PushState, Stats};

/// How soon a stop is noticed, and how often progress is shown.
const SLICE: Duration = Duration::from_millis(200);

/// Delivers until one push is through.
pub(super) fn wait(
    session: &mut Session<'_>,
    agent: &Agent,
    id: PushId,
    timeout: Duration,
) -> Result<i32, Failure> {
    let deadline = Instant::now() + timeout;
    let status = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match agent.wait(id, left.min(SLICE)) {
            Ok(status) => break status,
            Err(error) if error.kind() == ErrorKind::Timeout => {}
            Err(error) => return Err(pushes::missing(session, id, error)),
        }
        let ended = if session.stop.is_stopped() {
            "stopped".to_owned()
        } else if left <= SLICE {
            format!("waited {}", duration::show(timeout))
        } else {
            continue;
        };
        let standing = agent.status(id)?;
        let health = agent
            .stats()?
            .connectors
            .into_iter()
            .find(|counts| counts.connector == standing.connector);
        let trouble = health.and_then(|counts| trouble(&counts.health, now()));
        let trouble = trouble.map_or_else(String::new, |text| format!(" (its connector: {text})"));
        let standing = show::sentence(&standing);
        let status = session.command(&format!("status {id}"));
        return Err(Failure::new(
            ErrorKind::Timeout,
            format!("{ended}; {standing}{trouble}. It stays stored; {status} shows more"),
        ));
    };
    let attempts = agent.attempts(status.id)?;
    pushes::report(session, &status, &attempts);
    Ok(match status.state {
        PushState::Delivered => failure::OK,
        _ => failure::FAILED,
    })
}

/// Delivers until nothing is left to deliver, or what is left needs somebody.
pub(super) fn drain(
    session: &mut Session<'_>,
    agent: &Agent,
    timeout: Option<Duration>,
) -> Result<i32, Failure> {
    let begin = Instant::now();
    let before = Sums::of(&agent.stats()?);
    let _drainer = session.drainer()?;
    let mut progress = Progress::new(session.out.is_json());
    let mut stuck = 0;
    let end = loop {
        let left = timeout.map_or(SLICE, |timeout| timeout.saturating_sub(begin.elapsed()));
        let asked = Instant::now();
        if agent.flush(left.min(SLICE))? {
            break End::Empty;
        }
        if session.stop.is_stopped() {
            break End::Stopped;
        }
        if left <= SLICE && timeout.is_some() {
            break End::TimedOut;
        }
        let stats = agent.stats()?;
        // Twice, since counts and health are two looks at something that moves.
        stuck = if needs_somebody(&stats, asked.elapsed() < SLICE / 2) {
            stuck + 1
        } else {
            0
        };
        if stuck == 2 {
            break End::Stuck;
        }
        progress.show(&stats, &before);
        // `flush` may come back at once while something is about to change.
        session.stop.wait(SLICE.saturating_sub(asked.elapsed()));
    };
    progress.clear();
    let stats = agent.stats()?;
    summary(session, &stats, &before, &end);
    let sums = Sums::of(&stats);
    let clean = matches!(end, End::Empty) && sums.held == 0 && sums.failed == 0;
    Ok(if clean { failure::OK } else { failure::FAILED })
}

/// Delivers until it is stopped.
pub(super) fn run(session: &mut Session<'_>, agent: &Agent) -> Result<i32, Failure> {
    let stats = agent.stats()?;
    let open = Sums::of(&stats).open;
    log::info!(
        "delivering from {} with {}; {} to deliver; Ctrl-C or SIGTERM stops",
        database::shown(session.database()?),
        count(u64::from(session.global.workers), "worker", "workers"),
        count(open, "push", "pushes"),
    );
    if let (false, Some(pid)) = (stats.draining, stats.drained_by) {
        log::info!("process {pid} delivers at the moment; this one takes over when that one ends");
    }
    if stats.connectors.is_empty() {
        log::warn!(
            "there are no connectors yet; add one with {}",
            session.command("configure NAME FILE")
        );
    }
    while !session.stop.wait(Duration::from_secs(3600)) {}
    log::info!("stopping");
    Ok(failure::OK)
}

/// How a drain ended.
enum End {
    Empty,
    Stuck,
    Stopped,
    TimedOut,
}

impl End {
    fn name(&self) -> &'static str {
        match self {
            End::Empty => "empty",
            End::Stuck => "stuck",
            End::Stopped => "stopped",
            End::TimedOut => "timeout",
        }
    }
}

/// Whether every connector with open pushes is paused or blocked, or has held pushes that the others wait behind.
/// `early` says that a flush came back at once, which tells those apart from pushes that are only spaced in time.
fn needs_somebody(stats: &Stats, early: bool) -> bool {
    use crate::ConnectorHealth::{Blocked, Paused};
    stats.connectors.iter().all(|counts| {
        let idle = counts.sending == 0;
        let behind = early && counts.held > 0 && counts.waiting == 0;
        let open = counts.queued + counts.waiting > 0;
        idle && (!open || behind || matches!(counts.health, Paused | Blocked { .. }))
    })
}

fn summary(session: &mut Session<'_>, stats: &Stats, before: &Sums, end: &End) {
    let sums = Sums::of(stats);
    let delivered = sums.delivered.saturating_sub(before.delivered);
    session.out.json(&json!({
        "end": end.name(),
        "delivered": delivered,
        "open": sums.open,
        "held": sums.held,
        "failed": sums.failed,
    }));
    let done = format!("{} delivered", count(delivered, "push", "pushes"));
    let left = count(sums.open, "push is", "pushes are");
    session.out.text(&match end {
        End::Empty => format!("{done}; nothing is left to deliver."),
        End::Stuck => format!("{done}; {left} left that cannot go out before somebody acts."),
        End::Stopped => format!("{done}; stopped, and {left} left, stored for later."),
        End::TimedOut => format!("{done}; time is up, and {left} left, stored for later."),
    });
    for counts in &stats.connectors {
        if let Some(trouble) = trouble(&counts.health, now()) {
            session.out.text(&field(&counts.connector, &trouble));
        }
    }
    for (number, state, what) in [
        (sums.held, "held", "held: a decision is needed"),
        (sums.failed, "failed", "failed"),
    ] {
        if number > 0 {
            let list = session.command(&format!("list --state {state}"));
            let pushes = count(number, "push is", "pushes are");
            session.out.text(&format!("{pushes} {what}. See {list}."));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConnectorHealth, ConnectorStats, Timestamp};

    fn counts(health: ConnectorHealth, queued: u64, waiting: u64, held: u64) -> ConnectorStats {
        ConnectorStats {
            connector: "t".to_owned(),
            health,
            queued,
            sending: 0,
            waiting,
            held,
            failed: 0,
            delivered: 5,
            superseded: 0,
            cancelled: 0,
            oldest_at: None,
            accepted_total: 5,
            delivered_total: 5,
            traffic: crate::Traffic::default(),
        }
    }

    #[test]
    fn a_drain_gives_up_only_on_what_needs_somebody() {
        let blocked = || ConnectorHealth::Blocked {
            reason: "401".to_owned(),
            probe_at: Timestamp::from_millis(0),
        };
        for (entry, stuck) in [
            (counts(ConnectorHealth::Ok, 1, 0, 0), false),
            (counts(ConnectorHealth::Ok, 0, 1, 1), false),
            (counts(ConnectorHealth::Ok, 1, 0, 1), true),
            (counts(ConnectorHealth::Ok, 0, 0, 0), true),
            (counts(ConnectorHealth::Paused, 3, 1, 0), true),
            (counts(blocked(), 3, 0, 0), true),
        ] {
            let stats = Stats {
                connectors: vec![entry.clone()],
                ..Stats::default()
            };
            assert_eq!(
                needs_somebody(&stats, false),
                stuck && entry.held == 0,
                "{entry:?}"
            );
            assert_eq!(needs_somebody(&stats, true), stuck, "{entry:?}");
        }
    }
}
