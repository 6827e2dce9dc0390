//! Whether a connector may send now: pauses, throttles, blocks, outages, limits in flight.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Now;
use crate::connector::Connector;
use crate::connector::Prepared;
use crate::model::{PushId, Timestamp};
use crate::outbox::Health;
use crate::store::{Limits, StoredConnector};

/// The longest pause that a target can ask for, and the longest time between two looks at a refusal of credentials.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// What the engine knows of one connector while it runs.
pub(super) struct Gate {
    pub(super) stored: StoredConnector,
    /// The parsed document, or why it cannot be used.
    pub(super) connector: Result<Arc<Connector>, String>,
    /// Kept from request to request unless a secret is a reference, which is read anew each time.
    pub(super) prepared: Option<Arc<Prepared>>,
    /// Whether it was logged that certificates are not verified.
    pub(super) warned: bool,
    pub(super) health: Health,
    pub(super) in_flight: usize,
    /// Requests that wait for the store, or for secrets, before they are sent.
    starting: usize,
    /// The push for whose request secrets are being read.
    fetching: Option<PushId>,
    /// It was blocked until it was configured anew: one request tells whether it works now.
    on_trial: bool,
    /// The push that tries whether an offline or blocked connector works again.
    pub(super) probe: Option<PushId>,
    last_sent: Option<Duration>,
    /// Other processes send for it as well, and have its next moments until then.
    turn_at: Option<Duration>,
    last_tick: Option<Duration>,
    /// How often it was throttled in a row without being told for how long.
    pub(super) throttles: u32,
}

/// When a connector may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    Now,
    At(Timestamp),
    /// Not before something happens: a push of it ends, it is resumed.
    Later,
}

impl Gate {
    pub(super) fn new(stored: StoredConnector, connector: Result<Arc<Connector>, String>) -> Gate {
        Gate {
            health: stored.health.clone(),
            stored,
            connector,
            prepared: None,
            warned: false,
            in_flight: 0,
            starting: 0,
            fetching: None,
            on_trial: false,
            probe: None,
            last_sent: None,
            turn_at: None,
            last_tick: None,
            throttles: 0,
        }
    }

    /// Whether a push that is not under way yet may start.
    pub(super) fn opening(&self, now: Now) -> Opening {
        let most = self.connector.as_ref().map_or(1, |c| c.config.max_in_flight);
        if self.stored.paused || self.in_flight >= most {
            return Opening::Later;
        }
        self.next_request(now)
    }

    /// Whether the next request may go out, be it of a push under way or of a new one.
    pub(super) fn next_request(&self, now: Now) -> Opening {
        let spaced = self
            .connector
            .as_ref()
            .is_ok_and(|c| !c.config.min_interval.is_zero());
        let waits = self.fetching.is_some() || (spaced && self.starting > 0);
        if waits || (self.in_trouble() && self.probe.is_some()) {
            return Opening::Later;
        }
        let not_before = [
            self.health.throttled_until,
            self.health.blocked.as_ref().map(|trouble| trouble.probe_at),
            self.health.offline.as_ref().map(|trouble| trouble.probe_at),
            self.interval_ends(now),
        ];
        match not_before.into_iter().flatten().filter(|at| *at > now.wall).max() {
            Some(at) => Opening::At(at),
            None => Opening::Now,
        }
    }

    /// Whether secrets are being read for a request; others wait for that, so that a read that hangs holds up one thread.
    pub(super) fn is_fetching(&self) -> bool {
        self.fetching.is_some()
    }

    /// Whether the next request tries how the connector fares.
    pub(super) fn in_trouble(&self) -> bool {
        self.health.blocked.is_some() || self.health.offline.is_some() || self.on_trial
    }

    /// Takes the place of the gate that the connector had before it was configured anew.
    pub(super) fn succeed(&mut self, old: &Gate) {
        self.in_flight = old.in_flight;
        self.starting = old.starting;
        self.on_trial = old.on_trial || old.health.blocked.is_some();
        self.last_sent = old.last_sent;
        self.last_tick = old.last_tick;
        self.health.odometer_ms = self.health.odometer_ms.max(old.health.odometer_ms);
    }

    /// What all processes that send for it keep to together.
    pub(super) fn limits(&self) -> Limits {
        let config = self.connector.as_ref().map(|connector| &connector.config);
        Limits {
            max_in_flight: config.map_or(1, |config| config.max_in_flight),
            min_interval: config.map_or(Duration::ZERO, |config| config.min_interval),
        }
    }

    /// Takes in what another process found out.
    pub(super) fn learn(&mut self, health: &Health) {
        self.health = Health {
            odometer_ms: self.health.odometer_ms.max(health.odometer_ms),
            ..health.clone()
        };
    }

    /// Leaves the next moments to send to other processes.
    pub(super) fn wait_for_turn(&mut self, wait: Duration, now: Now) {
        self.turn_at = Some(now.steady + wait);
    }

    /// Notes that a request goes out as soon as the store knows of it.
    pub(super) fn about_to_send(&mut self, push: PushId) {
        self.starting += 1;
        if self.in_trouble() {
            self.probe = Some(push);
        }
    }

    /// Notes that secrets are being read for a request that goes out then.
    pub(super) fn fetches(&mut self, push: PushId) {
        self.about_to_send(push);
        self.fetching = Some(push);
    }

    /// Notes that they were read, or cannot be.
    pub(super) fn fetched(&mut self, push: PushId) {
        self.started();
        for place in [&mut self.fetching, &mut self.probe] {
            place.take_if(|other| *other == push);
        }
    }

    /// Notes that the store knows of it, or could not be told.
    pub(super) fn started(&mut self) {
        self.starting = self.starting.saturating_sub(1);
    }

    /// Notes that a request goes out.
    pub(super) fn sent(&mut self, push: PushId, now: Now) {
        self.last_sent = Some(now.steady);
        if self.in_trouble() {
            self.probe = Some(push);
        }
    }

    /// Notes that a request of this push came to its end, and how the connector fares now.
    pub(super) fn ended(&mut self, push: PushId, health: Option<&Health>) {
        if self.probe == Some(push) {
            self.probe = None;
            self.on_trial = false;
        }
        if let Some(health) = health {
            let odometer_ms = self.health.odometer_ms;
            self.health = Health {
                odometer_ms,
                ..health.clone()
            };
        }
    }

    /// Moves the odometer: time counts while nothing holds the connector back.
    pub(super) fn tick(&mut self, now: Now) {
        let held_back = self.stored.paused || self.health.blocked.is_some() || self.health.offline.is_some();
        if let (Some(last), false) = (self.last_tick, held_back) {
            let since_throttle = self.health.throttled_until.map(|until| now.wall.since(until));
            let passed = now
                .steady
                .saturating_sub(last)
                .min(since_throttle.unwrap_or(Duration::MAX));
            let passed = u64::try_from(passed.as_millis()).unwrap_or(0);
            self.health.odometer_ms = self.health.odometer_ms.saturating_add(passed);
        }
        self.last_tick = Some(now.steady);
    }

    /// After the clock was set back by so much: what lies ahead stays as far ahead as it was.
    pub(super) fn set_back(&mut self, by: Duration) {
        let troubles = [&mut self.health.blocked, &mut self.health.offline];
        let probes = troubles
            .into_iter()
            .flatten()
            .map(|trouble| &mut trouble.probe_at);
        for moment in probes.chain(&mut self.health.throttled_until) {
            *moment = moment.minus(by);
        }
    }

    /// After the clock was set back while nobody looked: nothing lies further ahead than it can have been put.
    pub(super) fn clamp(&mut self, now: Now) {
        let cap = self.connector.as_ref().map_or(LONGEST, |c| c.config.retry.cap);
        let reach = |moment: &mut Timestamp, most: Duration| *moment = (*moment).min(now.wall.plus(most));
        if let Some(trouble) = &mut self.health.offline {
            reach(&mut trouble.probe_at, cap);
        }
        if let Some(trouble) = &mut self.health.blocked {
            reach(&mut trouble.probe_at, LONGEST);
        }
        if let Some(until) = &mut self.health.throttled_until {
            reach(until, LONGEST.max(cap));
        }
    }

    fn interval_ends(&self, now: Now) -> Option<Timestamp> {
        let interval = self.connector.as_ref().ok()?.config.min_interval;
        let own = self.last_sent.map(|last| last + interval);
        let left = own.max(self.turn_at)?.checked_sub(now.steady)?;
        (!left.is_zero()).then(|| now.wall.plus(left.max(Duration::from_millis(1))))
    }
}
