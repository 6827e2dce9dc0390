//! The deliverer's mind: hands out requests and takes their ends back. No thread, no socket, no clock of its own.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::gate::{Gate, Opening};
use super::reading;
use crate::clock::Now;
use crate::connector::{Connector, SecretSources, Settings};
use crate::error::Result;
use crate::model::{Attempt, FailureClass, PushId, PushState, Step, Timestamp};
use crate::outbox::classify::{self, Situation, Trouble, Verdict};
use crate::outbox::machine::{self, Action, Setting, Success};
use crate::outbox::{ConnectorId, Intent, Progress};
use crate::step::{self, Prepared, Subject};
use crate::store::{Claim, Health, Outcome, Store, StoredConnector};
use crate::transport::{Answer, Failure, Request};

/// The longest that anything may lie ahead: the pause that a target can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// What to do now.
pub(crate) enum Next {
    /// Send this and hand the end to [`Engine::complete`].
    Send(Box<Dispatch>),
    /// Nothing before this long has passed or something changed; `None`: nothing until something changes.
    Wait(Option<Duration>),
}

/// One request to be sent.
pub(crate) struct Dispatch {
    pub(crate) push: PushId,
    pub(crate) request: Request,
}

/// A push under way.
struct Flight {
    claim: Claim,
    /// The progress before the request under way was about to be written.
    before: Progress,
    prepared: Option<Arc<Prepared>>,
    step: Step,
    comment: Option<u32>,
    started: Now,
    url: Option<String>,
    method: Option<&'static str>,
    /// `ifMatchHeader`: what the fresh get before the update told; outer `None` before it.
    etag: Option<Option<String>>,
    /// The request under way is that fresh get.
    fresh_get: bool,
}

/// Delivers what the store holds.
pub(crate) struct Engine {
    store: Arc<dyn Store>,
    settings: Settings,
    sources: SecretSources,
    gates: HashMap<ConnectorId, Gate>,
    /// Connectors in the order in which they get their next turn.
    rotation: VecDeque<ConnectorId>,
    flights: HashMap<PushId, Flight>,
    /// Pushes whose next step follows at once.
    following: VecDeque<PushId>,
    /// Outcomes that the store could not take yet. Nothing else happens to their pushes until it does.
    unrecorded: Vec<(PushId, Outcome)>,
    dice: fastrand::Rng,
    last_wall: Option<Timestamp>,
    stale: bool,
}

impl Engine {
    /// `seed` decides jitter and idempotency keys.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        settings: Settings,
        sources: SecretSources,
        seed: u64,
    ) -> Engine {
        Engine {
            store,
            settings,
            sources,
            gates: HashMap::new(),
            rotation: VecDeque::new(),
            flights: HashMap::new(),
            following: VecDeque::new(),
            unrecorded: Vec::new(),
            dice: fastrand::Rng::with_seed(seed),
            last_wall: None,
            stale: true,
        }
    }

    /// Takes over from a process that died: what it had under way is judged, due times are put right.
    pub(crate) fn recover(&mut self, now: Now) -> Result<()> {
        self.refresh(now)?;
        self.store.clamp_due(now.wall)?;
        for id in self.store.interrupted()? {
            let Some(claim) = self.store.load(id)? else {
                continue;
            };
            let outcome = self.interrupted(&claim, now);
            self.store.record(id, &outcome, now.wall)?;
        }
        Ok(())
    }

    /// Connectors were configured, removed, paused or resumed: look before the next turn.
    pub(crate) fn connectors_changed(&mut self) {
        self.stale = true;
    }

    /// Gives back the turn of every push between two requests, for an engine that stops.
    pub(crate) fn release(&mut self, now: Now) -> Result<()> {
        self.record_late(now)?;
        while let Some(id) = self.following.pop_front() {
            if let Some(flight) = self.flights.remove(&id) {
                let progress = machine::released(&flight.claim.push.progress, now.wall);
                self.land(flight, progress_only(progress), now)?;
            }
        }
        Ok(())
    }

    /// The next request, or how long there is none.
    pub(crate) fn turn(&mut self, now: Now) -> Result<Next> {
        if self.last_wall.is_some_and(|last| now.wall < last) {
            self.store.clamp_due(now.wall)?;
            for gate in self.gates.values_mut() {
                gate.clamp(now.wall, LONGEST_WAIT);
            }
        }
        self.last_wall = Some(now.wall);
        self.refresh(now)?;
        for gate in self.gates.values_mut() {
            gate.tick(now);
        }
        self.record_late(now)?;
        if let Some(dispatch) = self.follow(now)? {
            return Ok(Next::Send(dispatch));
        }
        for _ in 0..self.rotation.len() {
            let Some(id) = self.rotation.pop_front() else {
                break;
            };
            self.rotation.push_back(id);
            if let Some(dispatch) = self.start_one(id, now)? {
                return Ok(Next::Send(dispatch));
            }
        }
        Ok(Next::Wait(self.next_wake(now)?))
    }

    /// Takes the end of a request back and stores what it changes.
    pub(crate) fn complete(&mut self, id: PushId, result: Result<Answer, Failure>, now: Now) -> Result<()> {
        let Some(mut flight) = self.flights.remove(&id) else {
            return Ok(());
        };
        let connector = flight.claim.push.connector;
        if let Some(gate) = self.gates.get_mut(&connector) {
            gate.tick(now);
        }
        let read = match flight.prepared.clone() {
            Some(prepared) => {
                let etag = flight.etag.clone().flatten();
                let subject = subject(&flight.claim, flight.comment, None, etag.as_deref(), None);
                let step = if flight.fresh_get { Step::Get } else { flight.step };
                reading::read(
                    step,
                    &prepared,
                    &subject,
                    machine::by_link(&flight.claim),
                    &result,
                    now.wall,
                )
            }
            None => return Ok(()),
        };
        if let (true, Ok(Success::Got { etag, .. })) = (flight.fresh_get, &read) {
            flight.etag = Some(etag.clone());
            flight.fresh_get = false;
            self.flights.insert(id, flight);
            self.following.push_back(id);
            return Ok(());
        }
        let status = result.as_ref().ok().map(|answer| answer.status);
        self.conclude(flight, read, status, now)
    }

    /// Pushes whose connector must not send before another moment, or ever, give their turn back.
    fn follow(&mut self, now: Now) -> Result<Option<Box<Dispatch>>> {
        for _ in 0..self.following.len() {
            let Some(id) = self.following.pop_front() else {
                break;
            };
            let Some(flight) = self.flights.remove(&id) else {
                continue;
            };
            let gate = self.gates.get(&flight.claim.push.connector);
            let opening = gate.map_or(Opening::Later, |gate| match gate.stored.paused {
                true => Opening::Later,
                false => gate.next_request(now),
            });
            match opening {
                Opening::Now => {
                    if let Some(dispatch) = self.send_next(flight, now)? {
                        return Ok(Some(dispatch));
                    }
                }
                Opening::At(at) if self.is_interval(&flight, now) => {
                    debug_assert!(at > now.wall);
                    self.flights.insert(id, flight);
                    self.following.push_back(id);
                }
                _ => {
                    let progress = machine::released(&flight.claim.push.progress, now.wall);
                    let outcome = progress_only(progress);
                    self.land(flight, outcome, now)?;
                }
            }
        }
        Ok(None)
    }

    /// Whether all that holds the flight's connector back is its `minIntervalMs`.
    fn is_interval(&self, flight: &Flight, now: Now) -> bool {
        self.gates.get(&flight.claim.push.connector).is_some_and(|gate| {
            gate.health.blocked.is_none()
                && gate.health.offline.is_none()
                && gate.health.throttled_until.is_none_or(|until| until <= now.wall)
        })
    }

    fn start_one(&mut self, id: ConnectorId, now: Now) -> Result<Option<Box<Dispatch>>> {
        loop {
            match self.gates.get(&id) {
                Some(gate) if gate.opening(now) == Opening::Now => {}
                _ => return Ok(None),
            }
            let busy: Vec<PushId> = self.unrecorded.iter().map(|(push, _)| *push).collect();
            let Some(claim) = self.store.claim(id, now.wall, &busy)? else {
                return Ok(None);
            };
            if let Some(gate) = self.gates.get_mut(&id) {
                gate.in_flight += 1;
            }
            let before = claim.push.progress.clone();
            let flight = Flight {
                claim,
                before,
                prepared: None,
                step: Step::Create,
                comment: None,
                started: now,
                url: None,
                method: None,
                etag: None,
                fresh_get: false,
            };
            if let Some(dispatch) = self.send_next(flight, now)? {
                return Ok(Some(dispatch));
            }
        }
    }

    /// Makes the next request of a push and notes that it is about to be written. `None`: nothing to send, and the
    /// push has landed.
    fn send_next(&mut self, mut flight: Flight, now: Now) -> Result<Option<Box<Dispatch>>> {
        let id = flight.claim.push.id;
        flight.started = now;
        flight.url = None;
        flight.method = None;
        flight.before = flight.claim.push.progress.clone();
        let connector = match self.connector(flight.claim.push.connector) {
            Ok(connector) => connector,
            Err(reason) => return self.refuse(flight, &reason, now).map(|()| None),
        };
        let config = Arc::clone(&connector.config);
        if let Some(outcome) = machine::moved(&flight.claim, &config.target, now.wall) {
            self.land(flight, outcome, now)?;
            return Ok(None);
        }
        let (step, comment) = match machine::next(&flight.claim, &config) {
            Action::Send(step, comment) => (step, comment),
            Action::Finish => {
                let outcome = self.with_setting(&flight.claim, &config, now, |claim, setting| {
                    machine::finished(claim, setting)
                });
                self.land(flight, outcome, now)?;
                return Ok(None);
            }
        };
        flight.step = step;
        flight.comment = comment;
        let prepared = match self.prepare(flight.claim.push.connector, &connector) {
            Ok(prepared) => prepared,
            Err(reason) => return self.refuse(flight, &reason, now).map(|()| None),
        };
        flight.prepared = Some(Arc::clone(&prepared));
        flight.fresh_get =
            step == Step::Update && config.if_match && flight.etag.is_none() && config.get.is_some();

        let target = connector.config.target.as_str();
        let (request, intent) = match self.request(&flight, &prepared, target, now) {
            Ok(made) => made,
            Err(error) => {
                let situation = situation(&flight, now);
                let verdict =
                    reading::masked(classify::classify(Trouble::Render(&error), situation), &prepared);
                self.conclude(flight, Err(verdict), None, now)?;
                return Ok(None);
            }
        };
        flight.method = Some(request.method.as_str());
        flight.url = Some(step::mask(request.url.as_str(), &prepared.masks));

        let external_id = machine::external_id(&flight.claim).map(str::to_owned);
        let begun = machine::begun(&flight.before, step, target, external_id.as_deref(), intent);
        if begun != flight.before {
            if !self.store.begin(id, &begun, now.wall)? {
                self.leave(flight.claim.push.connector, id, None);
                return Ok(None);
            }
            flight.claim.push.progress = begun;
        }
        if let Some(gate) = self.gates.get_mut(&flight.claim.push.connector) {
            gate.sent(id, now);
        }
        self.flights.insert(id, flight);
        Ok(Some(Box::new(Dispatch { push: id, request })))
    }

    /// The request of the flight's step, and for a create or comment the intent that is to be kept with it.
    fn request(
        &mut self,
        flight: &Flight,
        prepared: &Prepared,
        target: &str,
        now: Now,
    ) -> Result<(Request, Option<Intent>), crate::template::RenderError> {
        let claim = &flight.claim;
        let etag = flight.etag.clone().flatten();
        if flight.fresh_get {
            let subject = subject(claim, None, None, None, None);
            return Ok((step::render(Step::Get, prepared, &subject)?, None));
        }
        let step = flight.step;
        if !matches!(step, Step::Create | Step::Comment) {
            let subject = subject(claim, None, None, etag.as_deref(), None);
            return Ok((step::render(step, prepared, &subject)?, None));
        }
        let old = claim.push.progress.intent.as_ref().filter(|intent| {
            intent.step == step && intent.comment == flight.comment && intent.target == target
        });
        let fresh_key = new_key(now.wall, &mut self.dice);
        let with_key = prepared.config.idempotency.is_some();
        let (key, stored) = match old {
            Some(old) => (
                old.idempotency_key.clone().unwrap_or(fresh_key.clone()),
                old.ended_at.is_some().then_some(old.body.as_slice()),
            ),
            None => (fresh_key.clone(), None),
        };
        let make = |key: &str| {
            let subject = subject(claim, flight.comment, with_key.then_some(key), None, stored);
            step::render(step, prepared, &subject)
        };
        let mut request = make(&key)?;
        let body = request.body.clone().unwrap_or_default();
        let mut kept = (key, old.map_or(now.wall, |old| old.key_made_at));
        // A key stands for its bytes: where a refused request would now be another one, it gets a key of its own.
        if stored.is_none() && old.is_some_and(|old| old.body != body) {
            request = make(&fresh_key)?;
            kept = (fresh_key, now.wall);
        }
        let intent = Intent {
            step,
            comment: flight.comment,
            target: target.to_owned(),
            idempotency_key: with_key.then_some(kept.0),
            key_made_at: kept.1,
            body,
            ended_at: None,
        };
        Ok((request, Some(intent)))
    }

    /// The connector's secrets or document cannot be had: its pushes stay, and it is blocked with the reason.
    fn refuse(&mut self, flight: Flight, reason: &str, now: Now) -> Result<()> {
        let verdict = classify::classify(Trouble::Credentials(reason), situation(&flight, now));
        self.conclude(flight, Err(verdict), None, now)
    }

    /// Reckons what the end of an exchange changes, logs it and stores it.
    fn conclude(
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
        log_end(&attempt, self.gates.get(&connector).map(|gate| &gate.stored));
        let mut outcome = match self.connector(connector) {
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
        if let Some(gate) = self.gates.get_mut(&connector) {
            gate.throttles = match outcome.attempt.as_ref().and_then(|attempt| attempt.class) {
                Some(FailureClass::Throttled) => gate.throttles.saturating_add(1),
                _ => 0,
            };
        }
        self.land(flight, outcome, now)
    }

    /// Stores an outcome; the push goes on with its next step, or leaves.
    fn land(&mut self, mut flight: Flight, outcome: Outcome, now: Now) -> Result<()> {
        let id = flight.claim.push.id;
        let connector = flight.claim.push.connector;
        if let Err(error) = self.store.record(id, &outcome, now.wall) {
            self.leave(connector, id, outcome.health.as_ref());
            self.unrecorded.push((id, outcome));
            return Err(error);
        }
        if outcome.progress.state != PushState::Sending {
            self.leave(connector, id, outcome.health.as_ref());
            return Ok(());
        }
        if let Some(gate) = self.gates.get_mut(&connector) {
            gate.ended(id, outcome.health.as_ref());
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

    fn leave(&mut self, connector: ConnectorId, id: PushId, health: Option<&Health>) {
        if let Some(gate) = self.gates.get_mut(&connector) {
            gate.in_flight = gate.in_flight.saturating_sub(1);
            gate.ended(id, health);
        }
    }

    /// Outcomes that could not be stored come first: the next step must not begin before.
    fn record_late(&mut self, now: Now) -> Result<()> {
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

    fn next_wake(&self, now: Now) -> Result<Option<Duration>> {
        let mut earliest: Option<Timestamp> = None;
        let busy: Vec<PushId> = self.unrecorded.iter().map(|(push, _)| *push).collect();
        for (id, gate) in &self.gates {
            let at = match gate.opening(now) {
                Opening::Later => continue,
                Opening::At(at) => self.store.next_due(*id, &busy)?.map(|due| due.max(at)),
                Opening::Now => self.store.next_due(*id, &busy)?,
            };
            earliest = earliest.into_iter().chain(at).min();
        }
        for id in &self.following {
            let gate = self
                .flights
                .get(id)
                .and_then(|f| self.gates.get(&f.claim.push.connector));
            if let Some(Opening::At(at)) = gate.map(|gate| gate.next_request(now)) {
                earliest = earliest.into_iter().chain([at]).min();
            }
        }
        Ok(earliest.map(|at| at.since(now.wall).max(Duration::from_millis(1))))
    }

    /// Reads the connectors anew when they changed. What the engine learned of one stays, unless it was configured anew.
    fn refresh(&mut self, now: Now) -> Result<()> {
        if !self.stale {
            return Ok(());
        }
        let stored = self.store.connectors()?;
        self.gates.retain(|id, _| stored.iter().any(|s| s.id == *id));
        self.rotation.retain(|id| stored.iter().any(|s| s.id == *id));
        for row in stored {
            let id = row.id;
            match self.gates.get_mut(&id) {
                Some(gate) if gate.stored.revision == row.revision => {
                    gate.tick(now);
                    gate.stored = row;
                    continue;
                }
                _ => {}
            }
            let connector = self.parse(&row);
            let mut gate = Gate::new(row, connector);
            if let Some(old) = self.gates.get(&id) {
                gate.in_flight = old.in_flight;
                gate.health.odometer_ms = gate.health.odometer_ms.max(old.health.odometer_ms);
            } else {
                self.rotation.push_back(id);
            }
            self.gates.insert(id, gate);
        }
        self.stale = false;
        Ok(())
    }

    fn parse(&self, row: &StoredConnector) -> Result<Arc<Connector>, String> {
        self.store
            .secrets(row.id)
            .and_then(|secrets| Connector::restore(&row.name, &row.config, &row.warnings, secrets))
            .map(Arc::new)
            .map_err(|error| error.to_string())
    }

    /// The connector's document; a broken one is read again each time, since a key may have come back.
    fn connector(&mut self, id: ConnectorId) -> Result<Arc<Connector>, String> {
        let Some(gate) = self.gates.get(&id) else {
            return Err("the connector was removed".to_owned());
        };
        if let Ok(connector) = &gate.connector {
            return Ok(Arc::clone(connector));
        }
        let row = gate.stored.clone();
        let parsed = self.parse(&row);
        if let Some(gate) = self.gates.get_mut(&id) {
            gate.connector = parsed.clone();
        }
        parsed
    }

    fn prepare(&mut self, id: ConnectorId, connector: &Connector) -> Result<Arc<Prepared>, String> {
        let mut gate = self.gates.get_mut(&id);
        if let Some(prepared) = gate.as_ref().and_then(|gate| gate.prepared.as_ref()) {
            return Ok(Arc::clone(prepared));
        }
        let prepared = connector
            .prepare(&self.settings, &self.sources)
            .map(Arc::new)
            .map_err(|error| error.to_string())?;
        if let Some(gate) = gate.as_mut().filter(|gate| !gate.warned) {
            gate.warned = true;
            let mut urls = connector.config.request_urls();
            if urls.any(|url| prepared.network.is_unverified(url.sample())) {
                let name = &gate.stored.name;
                log::warn!("{name}: certificates are not verified, as verificationMode none has it");
            }
        }
        if let Some(gate) = gate.filter(|_| !connector.has_secret_references()) {
            gate.prepared = Some(Arc::clone(&prepared));
        }
        Ok(prepared)
    }

    fn with_setting(
        &mut self,
        claim: &Claim,
        config: &crate::connector::Config,
        now: Now,
        reckon: impl FnOnce(&Claim, Setting<'_>) -> Outcome,
    ) -> Outcome {
        let unknown = Health::default();
        let gate = self.gates.get(&claim.push.connector);
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

    /// The document cannot be read, so there is no policy either: the push waits for a new configure.
    fn unusable_connector(&mut self, flight: &Flight, verdict: Option<&Verdict>, now: Now) -> Outcome {
        let mut outcome = progress_only(machine::released(&flight.before, now.wall));
        let Some(gate) = self.gates.get(&flight.claim.push.connector) else {
            return outcome;
        };
        let reason = verdict.map_or(String::new(), |verdict| verdict.message.clone());
        outcome.health = Some(machine::blocked(&gate.health, reason, now.wall));
        outcome
    }

    fn interrupted(&mut self, claim: &Claim, now: Now) -> Outcome {
        let progress = &claim.push.progress;
        let unknown = progress
            .intent
            .as_ref()
            .filter(|intent| intent.ended_at.is_none());
        let (Some(intent), Ok(connector)) = (unknown, self.connector(claim.push.connector)) else {
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
}

fn subject<'a>(
    claim: &'a Claim,
    comment: Option<u32>,
    key: Option<&'a str>,
    if_match: Option<&'a str>,
    stored_body: Option<&'a [u8]>,
) -> Subject<'a> {
    let comment = comment.and_then(|place| usize::try_from(place).ok());
    Subject {
        case: &claim.push.case,
        external_id: machine::external_id(claim),
        external_title: claim.push.progress.external_title.as_deref(),
        comment: comment.and_then(|place| claim.push.case.comments.get(place)),
        idempotency_key: key,
        if_match,
        stored_body,
    }
}

fn situation(flight: &Flight, now: Now) -> Situation {
    Situation {
        step: flight.step,
        by_link: machine::by_link(&flight.claim),
        if_match: false,
        now: now.wall,
    }
}

fn progress_only(progress: Progress) -> Outcome {
    Outcome {
        progress,
        comments: Vec::new(),
        marks: Vec::new(),
        link: crate::store::LinkChange::Keep,
        health: None,
        attempt: None,
    }
}

/// A key for one write: a UUID of version 7, so that keys grow with time and an index over them stays cheap.
fn new_key(now: Timestamp, dice: &mut fastrand::Rng) -> String {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    let mut random = [0u8; 10];
    dice.fill(&mut random);
    uuid::Builder::from_unix_timestamp_millis(millis, &random)
        .into_uuid()
        .to_string()
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
