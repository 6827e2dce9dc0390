//! The end of a request: what it changes, and how its push goes on once that is stored.

use std::time::Duration;

use super::engine::{Dispatch, Engine};
use super::entry::{Change, Entry, record};
use super::flight::Flight;
use crate::clock::Now;
use crate::connector::Config;
use crate::error::Result;
use crate::model::{Attempt, FailureClass, PushId, PushState, Step};
use crate::outbox::classify::{self, Situation, Trouble, Verdict};
use crate::outbox::machine::{self, Setting, Success};
use crate::outbox::{Claim, ConnectorId, ExchangeSize, Health, Outcome};
use crate::store::StoredConnector;
use crate::transport::Answer;

impl Engine {
    /// The connector's secrets or document cannot be had: its pushes stay, and it is blocked with the reason.
    pub(super) fn refuse(&mut self, flight: Flight, reason: &str, now: Now) -> Box<Entry> {
        let verdict = classify::classify(Trouble::Credentials(reason), flight.situation(now.wall));
        self.conclude(flight, Err(verdict), None, now)
    }

    /// Reckons what the end of an exchange changes, and logs it.
    pub(super) fn conclude(
        &mut self,
        flight: Flight,
        read: Result<Success, Verdict>,
        answer: Option<&Answer>,
        now: Now,
    ) -> Box<Entry> {
        let connector = flight.claim.push.connector;
        let attempt = Attempt {
            push: flight.claim.push.id,
            at: flight.started.wall,
            duration_ms: millis(now.steady.saturating_sub(flight.started.steady)),
            step: flight.step,
            method: flight.method.map(str::to_owned),
            url: flight.url.clone(),
            http_status: answer.map(|answer| answer.status),
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
        let sent_from = flight.prepared.as_ref().map(|prepared| &prepared.config);
        let config = self.roster.config(connector).or_else(|| sent_from.cloned());
        let mut outcome =
            match config {
                Some(config) => {
                    self.with_setting(&flight.claim, &config, flight.is_probe, now, |claim, setting| {
                        match read {
                            Ok(success) => machine::succeeded(claim, flight.comment, success, setting),
                            Err(ref verdict) => machine::failed(
                                claim,
                                &flight.before,
                                flight.step,
                                flight.comment,
                                verdict,
                                setting,
                            ),
                        }
                    })
                }
                None => self.unusable_connector(&flight, read.as_ref().err(), now),
            };
        // An answer to the connector as it was says nothing about the one that was configured since.
        let gate = self.roster.gates.get(&connector);
        if gate.is_some_and(|gate| Some(gate.stored.revision) != flight.revision) {
            outcome.health = None;
        }
        outcome.attempt = Some(attempt);
        outcome.size = ExchangeSize {
            sent: flight.body_bytes,
            received: answer.map_or(0, |answer| answer.body.len() as u64),
        };
        outcome.revision = flight.revision;
        if let Some(gate) = self.roster.gates.get_mut(&connector) {
            gate.throttles = match outcome.attempt.as_ref().and_then(|attempt| attempt.class) {
                Some(FailureClass::Throttled) => gate.throttles.saturating_add(1),
                _ => 0,
            };
        }
        self.land(flight, outcome)
    }

    /// How the connector fares counts at once, for the next request as well; the rest when it is stored.
    pub(super) fn land(&mut self, flight: Flight, outcome: Outcome) -> Box<Entry> {
        let id = flight.claim.push.id;
        if let Some(gate) = self.roster.gates.get_mut(&flight.claim.push.connector) {
            gate.ended(id, outcome.health.as_ref());
            if outcome.progress.state != PushState::Sending {
                gate.in_flight = gate.in_flight.saturating_sub(1);
            }
        }
        self.storing.push(id);
        let change = Change::End(outcome);
        Box::new(Entry { flight, change })
    }

    /// Takes back an entry and how storing it ended: a request that may now be sent, or none.
    pub(crate) fn stored(
        &mut self,
        entry: Box<Entry>,
        done: Result<bool>,
        now: Now,
    ) -> Result<Option<Box<Dispatch>>> {
        let Entry { mut flight, change } = *entry;
        let id = flight.claim.push.id;
        let connector = flight.claim.push.connector;
        self.storing.retain(|other| *other != id);
        if let (Change::Begin { .. }, Some(gate)) = (&change, self.roster.gates.get_mut(&connector)) {
            gate.started();
        }
        match (change, done) {
            (Change::Begin { progress, request }, Ok(true)) => {
                flight.claim.push.progress = progress;
                Ok(Some(self.take_off(flight, request, now)))
            }
            (Change::Begin { .. }, Ok(false)) => {
                self.leave(connector, id);
                Ok(None)
            }
            (Change::Begin { .. }, Err(error)) => {
                self.take_back(flight, now);
                Err(error)
            }
            (Change::End(outcome), Ok(stored)) => {
                match outcome.progress.state {
                    PushState::Sending if stored => self.go_on(flight, outcome),
                    // What is not stored is in other hands, and goes on there.
                    PushState::Sending => self.leave(connector, id),
                    _ => {}
                }
                Ok(None)
            }
            (Change::End(outcome), Err(error)) => {
                if outcome.progress.state == PushState::Sending {
                    self.leave(connector, id);
                }
                self.unrecorded.push((id, outcome));
                Err(error)
            }
        }
    }

    /// The push's next step follows.
    fn go_on(&mut self, mut flight: Flight, outcome: Outcome) {
        for (place, state) in &outcome.comments {
            let place = usize::try_from(*place).unwrap_or(usize::MAX);
            if let Some(comment) = flight.claim.push.comments.get_mut(place) {
                comment.state = *state;
            }
        }
        flight.claim.push.progress = outcome.progress;
        if !std::mem::take(&mut flight.keeps_etag) {
            flight.etag = None;
        }
        let id = flight.claim.push.id;
        self.flights.insert(id, flight);
        self.following.push_back(id);
    }

    fn leave(&mut self, connector: ConnectorId, id: PushId) {
        if let Some(gate) = self.roster.gates.get_mut(&connector) {
            gate.in_flight = gate.in_flight.saturating_sub(1);
            gate.ended(id, None);
        }
    }

    /// The store failed to note that a request is about to be written, and may have noted it all the same: the request
    /// is not sent, and the push stored as it was before.
    fn take_back(&mut self, flight: Flight, now: Now) {
        let id = flight.claim.push.id;
        self.leave(flight.claim.push.connector, id);
        let progress = match flight.before.state {
            PushState::Sending => machine::released(&flight.before, now.wall),
            _ => flight.before,
        };
        self.unrecorded.push((id, machine::progress_only(progress)));
    }

    /// A fresh get succeeded: its update follows. The answer ends an outage as any other does.
    pub(super) fn read_afresh(&mut self, mut flight: Flight) -> Option<Box<Entry>> {
        let id = flight.claim.push.id;
        let connector = flight.claim.push.connector;
        let gate = self.roster.gates.get(&connector);
        let well = gate
            .filter(|gate| Some(gate.stored.revision) == flight.revision)
            .and_then(|gate| machine::recovered(&gate.health, 200));
        if well.is_some() {
            let mut outcome = machine::progress_only(flight.claim.push.progress.clone());
            outcome.health = well;
            flight.keeps_etag = true;
            return Some(self.land(flight, outcome));
        }
        if let Some(gate) = self.roster.gates.get_mut(&connector) {
            gate.ended(id, None);
        }
        self.flights.insert(id, flight);
        self.following.push_back(id);
        None
    }

    /// Outcomes that could not be stored come first: the next step must not begin before.
    pub(super) fn record_late(&mut self, now: Now) -> Result<()> {
        while let Some((id, outcome)) = self.unrecorded.first() {
            let mut outcome = outcome.clone();
            if outcome.progress.state == PushState::Sending {
                outcome.progress = machine::released(&outcome.progress, now.wall);
            }
            record(self.store.as_ref(), *id, &outcome, now.wall)?;
            self.unrecorded.remove(0);
        }
        Ok(())
    }

    pub(super) fn with_setting(
        &mut self,
        claim: &Claim,
        config: &Config,
        is_probe: bool,
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
            is_probe,
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
        // That an update is about to be written is stored right before, and its end is stored with the next step.
        let update = (progress.step == Some(Step::Update)).then_some((Step::Update, None));
        let under_way = unknown.map(|intent| (intent.step, intent.comment)).or(update);
        let config = self.roster.config(claim.push.connector);
        let (Some((step, comment)), Some(config)) = (under_way, config) else {
            return machine::progress_only(machine::interrupted(progress, now.wall));
        };
        let situation = Situation {
            step,
            by_link: machine::by_link(claim),
            if_match: false,
            now: now.wall,
        };
        let verdict = classify::classify(Trouble::Interrupted, situation);
        self.with_setting(claim, &config, false, now, |claim, setting| {
            machine::failed(claim, progress, step, comment, &verdict, setting)
        })
    }

    /// The document cannot be read, so there is no policy either: the push waits for a new configure.
    fn unusable_connector(&mut self, flight: &Flight, verdict: Option<&Verdict>, now: Now) -> Outcome {
        let mut outcome = machine::progress_only(machine::released(&flight.before, now.wall));
        let Some(gate) = self.roster.gates.get(&flight.claim.push.connector) else {
            return outcome;
        };
        let reason = verdict.map_or(String::new(), |verdict| verdict.message.clone());
        outcome.health = Some(machine::blocked(&gate.health, reason, now.wall));
        outcome
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
