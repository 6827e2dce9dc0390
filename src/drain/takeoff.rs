//! The beginning of a request: its secrets, its texts, and what the store has to know before it is written.

use std::sync::Arc;

use super::engine::{Dispatch, Engine, Next};
use super::entry::{Change, Entry};
use super::fetch::{Fetched, Unfetched};
use super::flight::Flight;
use super::gate::{Gate, Opening};
use super::reading;
use crate::clock::Now;
use crate::connector::{Connector, Prepared};
use crate::model::{PushId, PushState, Step};
use crate::outbox::classify::{self, Trouble};
use crate::outbox::machine::{self, Action};
use crate::step;
use crate::transport::Request;

impl Engine {
    /// Makes the next request of a push.
    pub(super) fn send_next(&mut self, flight: Flight, now: Now) -> Next {
        self.send_with(flight, None, now)
    }

    /// Makes it with the secrets that were fetched for it, and has them fetched first where they lie in files. Before it is
    /// sent the store has to know that it is about to be written, where that changes anything.
    fn send_with(&mut self, mut flight: Flight, fetched: Option<Arc<Prepared>>, now: Now) -> Next {
        let id = flight.claim.push.id;
        flight.started = now;
        let gate = self.roster.gates.get(&flight.claim.push.connector);
        flight.is_probe = gate.is_some_and(Gate::in_trouble);
        flight.url = None;
        flight.method = None;
        flight.body_bytes = 0;
        flight.before = flight.claim.push.progress.clone();
        flight.revision = self.roster.revision(flight.claim.push.connector);
        let connector = match self.roster.connector(flight.claim.push.connector) {
            Ok(connector) => connector,
            Err(reason) => return Next::Store(self.refuse(flight, &reason, now)),
        };
        let config = Arc::clone(&connector.config);
        if let Some(outcome) = machine::moved(&flight.claim, &config.target, now.wall) {
            return Next::Store(self.land(flight, outcome));
        }
        let (step, comment) = match machine::next(&flight.claim, &config, now.wall) {
            Action::Send(step, comment) => (step, comment),
            Action::Finish => {
                let outcome = self.with_setting(&flight.claim, &config, false, now, |claim, setting| {
                    machine::finished(claim, setting)
                });
                return Next::Store(self.land(flight, outcome));
            }
        };
        flight.step = step;
        flight.comment = comment;
        let prepared = match self
            .roster
            .prepare(flight.claim.push.connector, &connector, fetched)
        {
            Ok(Some(prepared)) => prepared,
            Ok(None) => return self.fetch(flight, connector),
            Err(reason) => return Next::Store(self.refuse(flight, &reason, now)),
        };
        flight.prepared = Some(Arc::clone(&prepared));
        flight.fresh_get =
            step == Step::Update && config.if_match && flight.etag.is_none() && config.get.is_some();

        let target = connector.config.target.as_str();
        let (request, intent) = match flight.request(&prepared, target, now.wall, &mut self.dice) {
            Ok(made) => made,
            Err(error) => {
                let situation = flight.situation(now.wall);
                let verdict =
                    reading::masked(classify::classify(Trouble::Render(&error), situation), &prepared);
                return Next::Store(self.conclude(flight, Err(verdict), None, now));
            }
        };
        flight.method = Some(request.method.as_str());
        flight.body_bytes = request.body.as_ref().map_or(0, |body| body.len() as u64);
        flight.url = Some(step::mask(request.url.as_str(), &prepared.masks.own));

        let external_id = machine::external_id(&flight.claim).map(str::to_owned);
        let begun = machine::begun(&flight.before, step, target, external_id.as_deref(), intent);
        if begun == flight.before {
            return Next::Send(self.take_off(flight, request, now));
        }
        if let Some(gate) = self.roster.gates.get_mut(&flight.claim.push.connector) {
            gate.about_to_send(id);
        }
        self.storing.push(id);
        let change = Change::Begin {
            progress: begun,
            request,
        };
        Next::Store(Box::new(Entry { flight, change }))
    }

    /// Has the secrets of a push's connector read. Nothing of it is stored: no request is about to be written.
    fn fetch(&mut self, flight: Flight, connector: Arc<Connector>) -> Next {
        let push = flight.claim.push.id;
        let id = flight.claim.push.connector;
        let owner = (id, flight.revision.unwrap_or_default());
        if let Some(gate) = self.roster.gates.get_mut(&id) {
            gate.fetches(push);
        }
        self.flights.insert(push, flight);
        self.storing.push(push);
        Next::Fetch(Box::new(self.roster.fetch(push, owner, connector)))
    }

    /// Takes the secrets of a push's connector, or why there are none; what is to be done then.
    pub(crate) fn fetched(&mut self, push: PushId, fetched: Fetched, now: Now) -> Option<Next> {
        let flight = self.flights.remove(&push)?;
        self.storing.retain(|other| *other != push);
        // As at the end of a request.
        let _ = self.mind_the_clock(now);
        let _ = self.roster.refresh(now);
        let connector = flight.claim.push.connector;
        let opening = match self.roster.gates.get_mut(&connector) {
            Some(gate) => {
                gate.tick(now);
                gate.fetched(push);
                match gate.stored.paused {
                    true => Opening::Later,
                    false => gate.next_request(now),
                }
            }
            // It was removed, and is refused for that.
            None => Opening::Now,
        };
        Some(match fetched {
            _ if opening != Opening::Now => self.give_back(flight, now),
            Err(Unfetched::Closed) => self.give_back(flight, now),
            // They are those of the connector as it was, and so is what the push was claimed with.
            _ if self.roster.revision(connector) != flight.revision => self.give_back(flight, now),
            Ok(prepared) => self.send_with(flight, Some(prepared), now),
            Err(Unfetched::Failed(reason)) => Next::Store(self.refuse(flight, &reason, now)),
        })
    }

    /// Gives back the turn of a push of which nothing was sent since it had it.
    fn give_back(&mut self, flight: Flight, now: Now) -> Next {
        let progress = match flight.before.state {
            PushState::Sending => machine::released(&flight.before, now.wall),
            _ => flight.before.clone(),
        };
        Next::Store(self.land(flight, machine::progress_only(progress)))
    }

    /// Hands a request out.
    pub(super) fn take_off(&mut self, flight: Flight, request: Request, now: Now) -> Box<Dispatch> {
        let push = flight.claim.push.id;
        if let Some(gate) = self.roster.gates.get_mut(&flight.claim.push.connector) {
            gate.sent(push, now);
        }
        self.flights.insert(push, flight);
        Box::new(Dispatch { push, request })
    }
}
