//! The end of a request: what it changes, stored before anything else happens to its push.

use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::flight::Flight;
use crate::clock::Now;
use crate::error::Result;
use crate::model::{Attempt, FailureClass, PushId, PushState};
use crate::outbox::classify::{self, Situation, Trouble, Verdict};
use crate::outbox::machine::{self, Setting, Success};
use crate::outbox::{Claim, ConnectorId, Health, LinkChange, Outcome, Progress};
use crate::store::StoredConnector;

impl Engine {
    /// The connector's secrets or document cannot be had: its pushes stay, and it is blocked with the reason.
    pub(super) fn refuse(&mut self, flight: Flight, reason: &str, now: Now) -> Result<()> {
        let verdict = classify::classify(Trouble::Credentials(reason), flight.situation(now.wall));
        self.conclude(flight, Err(verdict), None, now)
    }

    /// Reckons what the end of an exchange changes, logs it and stores it.
    pub(super) fn conclude(
        &mut self,
        flight: Flight,
        read: Result<Success, Verdict>,
        status: Option<u16>,
        now: Now,
    ) -> Result<()> {
        let connector = flight.claim.push.connector;
        let attempt = Attempt {
            push: flight.claim.push.id,
            at: flight.started.wall,
            duration_ms: millis(now.steady.saturating_sub(flight.started.steady)),
            step: flight.step,
            method: flight.method.map(str::to_owned),
            url: flight.url.clone(),
            http_status: status,
            class: read.as_ref().err().map(|verdict| verdict.class),
            message: read
                .as_ref()
                .err()
                .map_or(String::new(), |verdict| verdict.message.clone()),
        };
        log_end(
            &attempt,
            self.roster.gates.get(&connector).map(|gate| &gate.stored),
        );
        let mut outcome = match self.roster.connector(connector) {
            Ok(connector) => {
                let config = Arc::clone(&connector.config);
                self.with_setting(&flight.claim, &config, now, |claim, setting| match read {
                    Ok(success) => machine::succeeded(claim, flight.comment, success, setting),
                    Err(ref verdict) => machine::failed(
                        claim,
                        &flight.before,
                        flight.step,
                        flight.comment,
                        verdict,
                        setting,
                    ),
                })
            }
            Err(_) => self.unusable_connector(&flight, read.as_ref().err(), now),
        };
        outcome.attempt = Some(attempt);
        outcome.revision = flight.revision;
        if let Some(gate) = self.roster.gates.get_mut(&connector) {
            gate.throttles = match outcome.attempt.as_ref().and_then(|attempt| attempt.class) {
                Some(FailureClass::Throttled) => gate.throttles.saturating_add(1),
                _ => 0,
            };
        }
        self.land(flight, outcome, now)
    }

    /// Stores an outcome; the push goes on with its next step, or leaves.
    pub(super) fn land(&mut self, mut flight: Flight, outcome: Outcome, now: Now) -> Result<()> {
        let id = flight.claim.push.id;
        let connector = flight.claim.push.connector;
        let outdated = outcome.revision.is_some() && outcome.revision != self.roster.revision(connector);
        let health = outcome.health.as_ref().filter(|_| !outdated);
        if let Err(error) = self.store.record(id, &outcome, now.wall) {
            self.leave(connector, id, health);
            self.unrecorded.push((id, outcome));
            return Err(error);
        }
        if outcome.progress.state != PushState::Sending {
            self.leave(connector, id, health);
            return Ok(());
        }
        if let Some(gate) = self.roster.gates.get_mut(&connector) {
            gate.ended(id, health);
        }
        for (place, state) in &outcome.comments {
            let place = usize::try_from(*place).unwrap_or(usize::MAX);
            if let Some(comment) = flight.claim.push.comments.get_mut(place) {
                comment.state = *state;
            }
        }
        flight.claim.push.progress = outcome.progress;
        flight.etag = None;
        self.flights.insert(id, flight);
        self.following.push_back(id);
        Ok(())
    }

    /// The store could not take note of the next request: a push under way keeps its place, one that was just claimed is
    /// claimed again later.
    pub(super) fn put_off(&mut self, flight: Flight) {
        let id = flight.claim.push.id;
        if flight.before.state == PushState::Sending {
            self.flights.insert(id, flight);
            self.following.push_back(id);
        } else {
            self.leave(flight.claim.push.connector, id, None);
        }
    }

    pub(super) fn leave(&mut self, connector: ConnectorId, id: PushId, health: Option<&Health>) {
        if let Some(gate) = self.roster.gates.get_mut(&connector) {
            gate.in_flight = gate.in_flight.saturating_sub(1);
            gate.ended(id, health);
        }
    }

    /// Outcomes that could not be stored come first: the next step must not begin before.
    pub(super) fn record_late(&mut self, now: Now) -> Result<()> {
        while let Some((id, outcome)) = self.unrecorded.first() {
            let mut outcome = outcome.clone();
            if outcome.progress.state == PushState::Sending {
                outcome.progress = machine::released(&outcome.progress, now.wall);
            }
            self.store.record(*id, &outcome, now.wall)?;
            self.unrecorded.remove(0);
        }
        Ok(())
    }

    pub(super) fn with_setting(
        &mut self,
        claim: &Claim,
        config: &crate::connector::Config,
        now: Now,
        reckon: impl FnOnce(&Claim, Setting<'_>) -> Outcome,
    ) -> Outcome {
        let unknown = Health::default();
        let gate = self.roster.gates.get(&claim.push.connector);
        let setting = Setting {
            config,
            health: gate.map_or(&unknown, |gate| &gate.health),
            now: now.wall,
            dice: self.dice.f64(),
            throttles: gate.map_or(0, |gate| gate.throttles),
        };
        let mut outcome = reckon(claim, setting);
        // Age is reckoned on the odometer, so that it has to survive a restart where it counts.
        if outcome.health.is_none() && config.retry.max_age.is_some() && outcome.progress.age_from.is_some() {
            outcome.health = Some(setting.health.clone());
        }
        outcome
    }

    pub(super) fn interrupted(&mut self, claim: &Claim, now: Now) -> Outcome {
        let progress = &claim.push.progress;
        let unknown = progress
            .intent
            .as_ref()
            .filter(|intent| intent.ended_at.is_none());
        let (Some(intent), Ok(connector)) = (unknown, self.roster.connector(claim.push.connector)) else {
            return progress_only(machine::interrupted(progress, now.wall));
        };
        let (step, comment) = (intent.step, intent.comment);
        let situation = Situation {
            step,
            by_link: machine::by_link(claim),
            if_match: false,
            now: now.wall,
        };
        let verdict = classify::classify(Trouble::Interrupted, situation);
        let config = Arc::clone(&connector.config);
        self.with_setting(claim, &config, now, |claim, setting| {
            machine::failed(claim, progress, step, comment, &verdict, setting)
        })
    }

    /// The document cannot be read, so there is no policy either: the push waits for a new configure.
    fn unusable_connector(&mut self, flight: &Flight, verdict: Option<&Verdict>, now: Now) -> Outcome {
        let mut outcome = progress_only(machine::released(&flight.before, now.wall));
        let Some(gate) = self.roster.gates.get(&flight.claim.push.connector) else {
            return outcome;
        };
        let reason = verdict.map_or(String::new(), |verdict| verdict.message.clone());
        outcome.health = Some(machine::blocked(&gate.health, reason, now.wall));
        outcome
    }
}

pub(super) fn progress_only(progress: Progress) -> Outcome {
    Outcome {
        progress,
        comments: Vec::new(),
        marks: Vec::new(),
        link: LinkChange::Keep,
        health: None,
        revision: None,
        attempt: None,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn log_end(attempt: &Attempt, connector: Option<&StoredConnector>) {
    let name = connector.map_or("", |connector| connector.name.as_str());
    match attempt.class {
        None => log::debug!("{name}: push {} {} done", attempt.push, attempt.step),
        Some(class) => log::warn!(
            "{name}: push {} {} failed ({class}): {}",
            attempt.push,
            attempt.step,
            attempt.message
        ),
    }
}
