//! The deliverer's mind: hands out what is to be stored and sent, and takes the ends back. No thread, no socket, no
//! clock of its own.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::entry::Entry;
use super::fetch::Fetch;
use super::flight::{Flight, subject};
use super::gate::Opening;
use super::reading;
use super::roster::Roster;
use crate::clock::Now;
use crate::connector::{SecretSources, Settings};
use crate::error::Result;
use crate::model::{PushId, Step, Timestamp};
use crate::outbox::ConnectorId;
use crate::outbox::Outcome;
use crate::outbox::machine::{self, Success};
use crate::store::Store;
use crate::transport::{Answer, Failure, Request};

/// The longest that a target, or trouble with it, makes a push wait.
const LONG: Duration = Duration::from_secs(60 * 60);
/// By how much the wall clock may fall behind the steady one between two looks before that counts as set back.
const CLOCK_TOLERANCE: Duration = Duration::from_millis(100);

/// What to do now.
pub(crate) enum Next {
    /// Have this stored and hand the end to [`Engine::stored`].
    Store(Box<Entry>),
    /// Have these secrets read and hand the end to [`Engine::fetched`].
    Fetch(Box<Fetch>),
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

/// Delivers what the store holds.
pub(crate) struct Engine {
    pub(super) store: Arc<dyn Store>,
    pub(super) roster: Roster,
    pub(super) flights: HashMap<PushId, Flight>,
    /// Pushes whose next step follows at once.
    pub(super) following: VecDeque<PushId>,
    /// Outcomes that the store could not take yet. Nothing else happens to their pushes until it does.
    pub(super) unrecorded: Vec<(PushId, Outcome)>,
    /// Pushes of which an entry is being stored, or whose secrets are being read: the store does not show yet that they are
    /// taken.
    pub(super) storing: Vec<PushId>,
    pub(super) dice: fastrand::Rng,
    last_look: Option<Now>,
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
            roster: Roster::new(Arc::clone(&store), settings, sources),
            store,
            flights: HashMap::new(),
            following: VecDeque::new(),
            unrecorded: Vec::new(),
            storing: Vec::new(),
            dice: fastrand::Rng::with_seed(seed),
            last_look: None,
        }
    }

    /// Takes over from a process that died: what it had under way is judged, due times are put right.
    pub(crate) fn recover(&mut self, now: Now) -> Result<()> {
        self.last_look = Some(now);
        self.store.clamp_due(now.wall)?;
        self.roster.refresh(now)?;
        self.judge_interrupted(now)
    }

    /// Takes over from other processes that died meanwhile, where several drain.
    pub(crate) fn relieve(&mut self, now: Now) -> Result<()> {
        match self.store.shares_draining() {
            true => self.judge_interrupted(now),
            false => Ok(()),
        }
    }

    fn judge_interrupted(&mut self, now: Now) -> Result<()> {
        for id in self.store.interrupted()? {
            if self.flights.contains_key(&id) || self.busy().contains(&id) {
                continue;
            }
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
        self.roster.stale = true;
    }

    /// Gives back the turn of every push between two requests, for an engine that stops.
    pub(crate) fn release(&mut self, now: Now) -> Result<()> {
        self.record_late(now)?;
        while let Some(id) = self.following.pop_front() {
            if let Some(flight) = self.flights.remove(&id) {
                let progress = machine::released(&flight.claim.push.progress, now.wall);
                let entry = self.land(flight, machine::progress_only(progress));
                let done = entry.store(self.store.as_ref(), now.wall);
                self.stored(entry, done, now)?;
            }
        }
        Ok(())
    }

    /// The next thing to store or to send, or how long there is none.
    pub(crate) fn turn(&mut self, now: Now) -> Result<Next> {
        self.look(now)?;
        if let Some(next) = self.follow(now)? {
            return Ok(next);
        }
        if let Some(next) = self.start(now)? {
            return Ok(next);
        }
        let mut wait = self.next_wake(now)?;
        if wait.is_some_and(|wait| wait > LONG) {
            // A push that was accepted while the clock was ahead.
            self.store.clamp_due(now.wall)?;
            if let Some(next) = self.start(now)? {
                return Ok(next);
            }
            wait = self.next_wake(now)?;
        }
        Ok(Next::Wait(wait))
    }

    /// Beside an entry that ends a push: what begins next, so that one commit may do for both. It is not to be sent before
    /// the entry is stored.
    pub(crate) fn begin_beside(&mut self, entry: &Entry, now: Now) -> Result<Option<Next>> {
        if !entry.ends_push() || self.store.shares_draining() {
            return Ok(None);
        }
        self.look(now)?;
        self.start(now)
    }

    /// Whether nothing is under way: whoever has it in hand asks for the next turn when it has ended.
    pub(crate) fn is_idle(&self) -> bool {
        self.flights.is_empty() && self.storing.is_empty()
    }

    /// What comes before anything is handed out.
    fn look(&mut self, now: Now) -> Result<()> {
        self.mind_the_clock(now)?;
        self.roster.refresh(now)?;
        for gate in self.roster.gates.values_mut() {
            gate.tick(now);
            gate.clamp(now);
        }
        self.record_late(now)
    }

    /// Begins, or goes on with, a push that is due; each connector has its turn.
    fn start(&mut self, now: Now) -> Result<Option<Next>> {
        for _ in 0..self.roster.rotation.len() {
            let Some(id) = self.roster.rotation.pop_front() else {
                break;
            };
            self.roster.rotation.push_back(id);
            if let Some(next) = self.start_one(id, now)? {
                return Ok(Some(next));
            }
        }
        Ok(None)
    }

    /// After the wall clock was set back, nothing is to lie further ahead than it did.
    pub(super) fn mind_the_clock(&mut self, now: Now) -> Result<()> {
        let back = self.last_look.map_or(Duration::ZERO, |last| {
            let passed = now.steady.saturating_sub(last.steady);
            last.wall.plus(passed).since(now.wall)
        });
        if back > CLOCK_TOLERANCE {
            self.store.clamp_due(now.wall)?;
            for gate in self.roster.gates.values_mut() {
                gate.set_back(back);
            }
        }
        self.last_look = Some(now);
        Ok(())
    }

    /// Takes the end of a request back; what it changes is to be stored before anything else happens to its push.
    pub(crate) fn complete(
        &mut self,
        id: PushId,
        result: Result<Answer, Failure>,
        now: Now,
    ) -> Option<Box<Entry>> {
        let mut flight = self.flights.remove(&id)?;
        // A clock that is set back before the next turn would go unseen, and what is due by then stay far ahead. Trouble with
        // the store shows at that turn.
        let _ = self.mind_the_clock(now);
        // What was configured meanwhile; where that cannot be read, the next turn says so.
        let _ = self.roster.refresh(now);
        let connector = flight.claim.push.connector;
        if let Some(gate) = self.roster.gates.get_mut(&connector) {
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
            None => return None,
        };
        if let (true, Ok(Success::Got { etag, .. })) = (flight.fresh_get, &read) {
            flight.etag = Some(etag.clone());
            flight.fresh_get = false;
            return self.read_afresh(flight);
        }
        Some(self.conclude(flight, read, result.as_ref().ok(), now))
    }

    /// Pushes whose connector must not send before another moment, or ever, give their turn back.
    fn follow(&mut self, now: Now) -> Result<Option<Next>> {
        for _ in 0..self.following.len() {
            let Some(id) = self.following.pop_front() else {
                break;
            };
            let Some(flight) = self.flights.remove(&id) else {
                continue;
            };
            let gate = self.roster.gates.get(&flight.claim.push.connector);
            let opening = gate.map_or(Opening::Later, |gate| match gate.stored.paused {
                true => Opening::Later,
                false => gate.next_request(now),
            });
            let waits_for_secrets = gate.is_some_and(|gate| gate.is_fetching() && !gate.stored.paused);
            let opening = match opening {
                Opening::Now => match self.shared_turn(&flight, now) {
                    Ok(opening) => opening,
                    Err(error) => {
                        self.flights.insert(id, flight);
                        self.following.push_back(id);
                        return Err(error);
                    }
                },
                opening => opening,
            };
            match opening {
                Opening::Now => return Ok(Some(self.send_next(flight, now))),
                Opening::At(at) if self.is_interval(&flight, now) => {
                    debug_assert!(at > now.wall);
                    self.flights.insert(id, flight);
                    self.following.push_back(id);
                }
                Opening::Later if waits_for_secrets => {
                    self.flights.insert(id, flight);
                    self.following.push_back(id);
                }
                _ => {
                    let progress = machine::released(&flight.claim.push.progress, now.wall);
                    return Ok(Some(Next::Store(
                        self.land(flight, machine::progress_only(progress)),
                    )));
                }
            }
        }
        Ok(None)
    }

    /// Whether the flight's next request may go out as far as other processes go that send for the connector.
    fn shared_turn(&mut self, flight: &Flight, now: Now) -> Result<Opening> {
        let id = flight.claim.push.connector;
        let Some(gate) = self
            .roster
            .gates
            .get_mut(&id)
            .filter(|_| self.store.shares_draining())
        else {
            return Ok(Opening::Now);
        };
        // Who tries a connector in trouble is decided by who claims.
        if gate.in_trouble() {
            return Ok(Opening::Later);
        }
        Ok(match self.store.take_turn(id)? {
            None => Opening::Now,
            Some(wait) => {
                gate.wait_for_turn(wait, now);
                Opening::At(now.wall.plus(wait))
            }
        })
    }

    /// Whether all that holds the flight's connector back is its `minIntervalMs`.
    fn is_interval(&self, flight: &Flight, now: Now) -> bool {
        self.roster
            .gates
            .get(&flight.claim.push.connector)
            .is_some_and(|gate| {
                gate.health.blocked.is_none()
                    && gate.health.offline.is_none()
                    && gate.health.throttled_until.is_none_or(|until| until <= now.wall)
            })
    }

    fn start_one(&mut self, id: ConnectorId, now: Now) -> Result<Option<Next>> {
        match self.roster.gates.get(&id) {
            Some(gate) if gate.opening(now) == Opening::Now => {}
            _ => return Ok(None),
        }
        let Some(claim) = self.store.claim(id, now.wall, &self.busy())? else {
            return Ok(None);
        };
        if let Some(gate) = self.roster.gates.get_mut(&id) {
            gate.in_flight += 1;
        }
        Ok(Some(self.send_next(Flight::new(claim, now), now)))
    }

    /// Pushes that must not be claimed, whatever the store says of them.
    fn busy(&self) -> Vec<PushId> {
        let unrecorded = self.unrecorded.iter().map(|(push, _)| *push);
        unrecorded.chain(self.storing.iter().copied()).collect()
    }

    fn next_wake(&self, now: Now) -> Result<Option<Duration>> {
        let mut earliest: Option<Timestamp> = None;
        let busy = self.busy();
        for (id, gate) in &self.roster.gates {
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
                .and_then(|f| self.roster.gates.get(&f.claim.push.connector));
            if let Some(Opening::At(at)) = gate.map(|gate| gate.next_request(now)) {
                earliest = earliest.into_iter().chain([at]).min();
            }
        }
        Ok(earliest.map(|at| at.since(now.wall).max(Duration::from_millis(1))))
    }
}
