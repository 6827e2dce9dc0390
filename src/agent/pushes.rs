//! Calls about pushes: hand in, look, wait, decide.

use std::time::{Duration, Instant};

use super::core::{Core, Document};
use super::{Agent, preview};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Attempt, Case, Filter, PushId, PushState, PushStatus};
use crate::outbox::{Claim, NewPush, Outcome, decision};
use crate::store::StoredConnector;

/// How often `wait` and `flush` look by themselves, for pushes that another process delivers.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long `flush` lets changes gather before it counts again: other processes ring for each of theirs, and counting takes
/// time from them.
const GATHER: Duration = Duration::from_millis(1);

impl Agent {
    /// Accepts a case for delivery. The push survives power loss once this returns; the network is not touched.
    ///
    /// # Errors
    /// `Case` names the field that is over a limit or cannot be rendered; `QueueFull`, `DiskFull` and `Busy` can be tried
    /// again; nothing is stored then.
    pub fn push(&self, name: &str, case: &Case) -> Result<PushId> {
        let ids = self.push_many(name, std::slice::from_ref(case))?;
        ids.first()
            .copied()
            .ok_or_else(|| Error::internal("the store accepted a push without a number"))
    }

    /// Accepts many cases in one transaction: all or none. The numbers are in the order of `cases`.
    ///
    /// # Errors
    /// As [`Agent::push`]; the field begins with the place of the case, such as `cases[3].incident.title`.
    pub fn push_many(&self, name: &str, cases: &[Case]) -> Result<Vec<PushId>> {
        let core = self.core()?;
        let mut document = match core.known(name) {
            Some(known) if !cases.is_empty() => known,
            _ => core.document(name)?,
        };
        loop {
            let error = match accept(core, &document, cases) {
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Case) => error,
                done => return done,
            };
            // Perhaps the document is outdated: it may have been configured anew, also by another process.
            let present = core.document(name)?;
            if present.revision == document.revision {
                return Err(error);
            }
            document = present;
        }
    }

    /// Where a push stands.
    ///
    /// # Errors
    /// `NotFound` when there is none of that number (any more: history is pruned).
    pub fn status(&self, id: PushId) -> Result<PushStatus> {
        let core = self.core()?;
        let mut status = core.store.status(id)?.ok_or_else(|| no_push(id))?;
        if status.next_attempt_at.is_some() {
            let stored = core.store.connector(&status.connector)?;
            hold_back(&mut status, stored.as_ref());
        }
        Ok(status)
    }

    /// What happened to a push so far, oldest first.
    pub fn attempts(&self, id: PushId) -> Result<Vec<Attempt>> {
        self.core()?.store.attempts(id)
    }

    /// Pushes, newest first.
    pub fn pushes(&self, filter: &Filter) -> Result<Vec<PushStatus>> {
        let core = self.core()?;
        let mut pushes = core.store.pushes(filter)?;
        let connectors = core.store.connectors()?;
        for status in pushes
            .iter_mut()
            .filter(|status| status.next_attempt_at.is_some())
        {
            let stored = connectors.iter().find(|stored| stored.name == status.connector);
            hold_back(status, stored);
        }
        Ok(pushes)
    }

    /// Waits until a push is delivered, failed, cancelled or held, and returns where it stands then. For a superseded push
    /// it follows the one that took its place.
    ///
    /// # Errors
    /// `Timeout` when that takes longer; the push goes on.
    pub fn wait(&self, id: PushId, timeout: Duration) -> Result<PushStatus> {
        let deadline = Instant::now().checked_add(timeout);
        let mut id = id;
        loop {
            let core = self.core()?;
            let seen = core.bells.change.count();
            let status = self.status(id)?;
            match (status.state, status.superseded_by) {
                (PushState::Superseded, Some(successor)) => {
                    id = successor;
                    continue;
                }
                (state, _) if state.is_final() || state == PushState::Held => return Ok(status),
                _ => {}
            }
            let left = time_left(deadline);
            if left.is_zero() {
                let why = match &status.error {
                    Some(error) => format!(": {}", error.message),
                    None => String::new(),
                };
                let message = format!("push {id} is still {} after {timeout:?}{why}", status.state);
                return Err(Error::new(ErrorKind::Timeout, message));
            }
            core.bells.change.wait_beyond(seen, Some(left.min(LOOK_EVERY)));
        }
    }

    /// Waits until nothing is left to deliver. False when the time ran out, and at once when only pushes remain that nothing
    /// moves by itself: held ones, those behind them, and those of paused or blocked connectors.
    pub fn flush(&self, timeout: Duration) -> Result<bool> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let core = self.core()?;
            let seen = core.bells.lull.count();
            match remaining(core)? {
                Remaining::Nothing => return Ok(true),
                Remaining::Stuck => return Ok(false),
                Remaining::Moving => {}
            }
            let left = time_left(deadline);
            if left.is_zero() {
                return Ok(false);
            }
            core.bells.lull.wait_beyond(seen, Some(left.min(LOOK_EVERY)));
            std::thread::sleep(GATHER.min(left));
        }
    }

    /// Sends a failed or held push again, from the first step that is not done. One that waits for its next attempt does so
    /// no longer.
    ///
    /// # Errors
    /// `State` when it is neither failed nor held nor waiting.
    pub fn retry(&self, id: PushId) -> Result<()> {
        let now = self.core()?.clock.now().wall;
        self.decide(id, |claim| decision::retry(claim, now))
    }

    /// Gives up a push that is queued, waiting or held.
    ///
    /// # Errors
    /// `State` when a request of it is under way, or it is done.
    pub fn cancel(&self, id: PushId) -> Result<()> {
        self.decide(id, decision::cancel)
    }

    /// Names the incident of a held push; it goes on from there.
    ///
    /// # Errors
    /// `State` when the push is not held (or failed without an incident); `Argument` when the id cannot be one.
    pub fn adopt(&self, id: PushId, external_id: &str) -> Result<()> {
        let now = self.core()?.clock.now().wall;
        self.decide(id, |claim| decision::adopt(claim, external_id, now))
    }

    /// Removes a failed push for good.
    ///
    /// # Errors
    /// `State` when it has not failed.
    pub fn discard(&self, id: PushId) -> Result<()> {
        let core = self.core()?;
        core.store.discard(id)?;
        core.decided();
        Ok(())
    }

    fn decide(&self, id: PushId, mut change: impl FnMut(&Claim) -> Result<Outcome>) -> Result<()> {
        let core = self.core()?;
        core.store.decide(id, core.clock.now().wall, &mut change)?;
        core.decided();
        Ok(())
    }
}

/// Checks cases against a document and stores them. `NotFound` when the document is outdated.
fn accept(core: &Core, document: &Document, cases: &[Case]) -> Result<Vec<PushId>> {
    let config = &document.connector.config;
    let mut pushes = Vec::with_capacity(cases.len());
    for (place, case) in cases.iter().enumerate() {
        let accepted = case.validate().and_then(|()| preview::check(config, case));
        accepted.map_err(|error| match cases.len() {
            1 => error,
            _ => {
                let field = error.field().unwrap_or("incident").to_owned();
                error.at(format!("cases[{place}].{field}"))
            }
        })?;
        pushes.push(NewPush {
            connector: document.id,
            revision: Some(document.revision),
            case: case.clone(),
            coalesce: config.coalesce,
        });
    }
    if pushes.is_empty() {
        return Ok(Vec::new());
    }
    let ids = core
        .store
        .enqueue(pushes, &core.retention, core.clock.now().wall)?;
    core.accepted();
    Ok(ids)
}

enum Remaining {
    Nothing,
    Stuck,
    Moving,
}

fn remaining(core: &Core) -> Result<Remaining> {
    let open = |state: &PushState| !state.is_final();
    let mut left = Remaining::Nothing;
    let counts = core.store.counts()?;
    for stored in core.store.connectors()? {
        let Some(own) = counts.iter().find(|counts| counts.connector == stored.id) else {
            continue;
        };
        let of = |state: PushState| {
            PushState::ALL
                .iter()
                .position(|s| *s == state)
                .and_then(|place| own.by_state.get(place))
                .copied()
                .unwrap_or(0)
        };
        if PushState::ALL
            .iter()
            .filter(|s| open(s))
            .all(|state| of(*state) == 0)
        {
            continue;
        }
        let halted = stored.paused || stored.health.blocked.is_some();
        let moves = of(PushState::Sending) > 0 || (!halted && own.ready);
        if moves {
            return Ok(Remaining::Moving);
        }
        left = Remaining::Stuck;
    }
    Ok(left)
}

/// The next exchange of a push is not due before its connector may send.
fn hold_back(status: &mut PushStatus, stored: Option<&StoredConnector>) {
    let Some(stored) = stored else { return };
    let health = &stored.health;
    let not_before = [
        health.blocked.as_ref().map(|trouble| trouble.probe_at),
        health.offline.as_ref().map(|trouble| trouble.probe_at),
        health.throttled_until,
        status.next_attempt_at,
    ];
    status.next_attempt_at = match stored.paused {
        true => None,
        false => not_before.into_iter().flatten().max(),
    };
}

fn no_push(id: PushId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no push {id} (history is pruned after a while)"),
    )
}

/// What is left until the deadline; without one (a time-out beyond what the clock can hold), a long while.
fn time_left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(LOOK_EVERY, |deadline| {
        deadline.saturating_duration_since(Instant::now())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::Connector;
    use crate::options::Options;

    const TRACKER: &str = r#"{"config": {"createIncidentUrl": "http://127.0.0.1:9/api",
        "createIncidentJson": "{\"title\": {{{case.title}}}}", "createIncidentResponseKey": "id",
        "viewIncidentUrl": "http://127.0.0.1:9/{{{external.system.id}}}", "createOnly": true, "hasAuth": false}}"#;

    #[test]
    fn what_may_leave_nothing_to_deliver_is_heard_of_by_whoever_waits_for_that() {
        let dir = tempfile::tempdir().unwrap();
        let agent = Agent::open(dir.path().join("a.db"), Options::default().drain(false)).unwrap();
        agent
            .configure("t", &Connector::from_json(TRACKER).unwrap())
            .unwrap();
        let id = agent.push("t", &Case::new("title").id("1")).unwrap();
        let core = agent.core().unwrap();
        let calls: [(&str, bool, &dyn Fn()); 5] = [
            ("push", false, &|| {
                drop(agent.push("t", &Case::new("title").id("2")))
            }),
            ("pause", true, &|| agent.pause("t").unwrap()),
            ("resume", true, &|| agent.resume("t").unwrap()),
            ("cancel", true, &|| agent.cancel(id).unwrap()),
            ("close", true, &|| agent.close(Duration::ZERO).unwrap()),
        ];
        for (name, may_end, call) in calls {
            let (change, lull) = (core.bells.change.count(), core.bells.lull.count());
            call();
            assert!(core.bells.change.count() > change, "{name}");
            assert_eq!(core.bells.lull.count() > lull, may_end, "{name}");
        }
    }
}
