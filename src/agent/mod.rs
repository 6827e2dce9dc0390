//! The facade: what a host program calls.

mod core;
mod preview;
mod registry;
mod trial;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use self::core::Core;
use self::registry::Slot;
use crate::connector::{Connector, Warning};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Attempt, Case, ConnectorHealth, ConnectorStats, Filter, Link, PushId, PushState, PushStatus, Request,
    Stats, TestReport, limits,
};
use crate::options::Options;
use crate::outbox::{NewPush, decision};
use crate::store::{NewConnector, StoredConnector, Undelivered};

/// How long an agent that is dropped without [`Agent::close`] waits for requests under way.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);
/// How often `wait` and `flush` look by themselves, for pushes that another process delivers.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// An open outbox and, unless told otherwise, the threads that deliver it.
///
/// `Send` and `Sync`; clones are handles of the same agent. Opening the same database again in one process gives another
/// agent that shares the store and the threads. Calls block while they read or write the database, never for the network
/// (but [`Agent::test`], [`Agent::wait`] and [`Agent::flush`]). In a forked child every call fails with
/// [`ErrorKind::Forked`]; the child opens its own agent.
#[derive(Clone)]
pub struct Agent {
    session: Arc<Session>,
}

/// One opening of the database.
struct Session {
    core: Option<Arc<Core>>,
    slot: Arc<Slot>,
    closed: AtomicBool,
}

impl Agent {
    /// Opens the database at `path`, creating it (readable by its owner alone) when it is not there.
    ///
    /// # Errors
    /// `SchemaTooNew` and `Corrupt` leave the file as it is; `SecondCopy` when another copy of casehook in this process
    /// has it open; `Store` when the folder cannot be used.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Agent> {
        let (path, slot) = registry::slot(path.as_ref())?;
        let mut held = slot.lock();
        let core = match held.upgrade().filter(|core| !core.is_shut()) {
            Some(core) => {
                if options.drain {
                    core.start_draining(options.workers)?;
                }
                core
            }
            None => {
                let core = Arc::new(Core::open(&path, &options)?);
                *held = Arc::downgrade(&core);
                core
            }
        };
        core.join();
        drop(held);
        let session = Session {
            core: Some(core),
            slot,
            closed: AtomicBool::new(false),
        };
        Ok(Agent {
            session: Arc::new(session),
        })
    }

    /// Stores a connector under `name`, new or in place of the one there, and probes its target at once if it was blocked.
    ///
    /// A document without `secrets` keeps the stored ones as long as every origin (token URL included) stays the same.
    /// Returns what may go wrong though the document is accepted; the warnings stay with the connector.
    ///
    /// # Errors
    /// `Config` names the field, says what is wrong and what would be right; nothing is stored then. `Key` when there are
    /// secrets and the key that encrypts them cannot be had.
    pub fn configure(&self, name: &str, connector: &Connector) -> Result<Vec<Warning>> {
        let core = self.core()?;
        check_name(name)?;
        let mut whole = connector.clone();
        if connector.secrets.is_none() {
            whole.secrets = self.kept_secrets(core, name, connector)?;
        }
        let mut warnings = whole.check(&core.settings, &core.sources, core.clock.now().wall)?;
        let elsewhere = core.store.links_elsewhere(name, &whole.config.target)?;
        if elsewhere > 0 {
            warnings.push(Warning {
                field: "config.createIncidentUrl".to_owned(),
                message: format!(
                    "{elsewhere} {} of this connector {} to another target and will not be used; cases pushed again \
                     are created anew at {} (a `targetId` that stays the same keeps links across a move)",
                    if elsewhere == 1 { "link" } else { "links" },
                    if elsewhere == 1 { "leads" } else { "lead" },
                    whole.config.target
                ),
            });
        }
        let stored = NewConnector {
            name,
            config: &whole.config_json(),
            warnings: &serde_json::to_string(&warnings)
                .map_err(|error| Error::internal(format!("warnings cannot be stored: {error}")))?,
            target: &whole.config.target,
            secrets: connector.secrets.clone(),
        };
        core.store.put_connector(&stored, core.clock.now().wall)?;
        core.connectors_changed();
        Ok(warnings)
    }

    /// The connector of that name, its secrets left out.
    ///
    /// # Errors
    /// `NotFound` lists the names that there are.
    pub fn connector(&self, name: &str) -> Result<Connector> {
        let core = self.core()?;
        let stored = core.stored(name)?;
        restore(&stored)
    }

    /// Every connector, by name, secrets left out.
    pub fn connectors(&self) -> Result<Vec<Connector>> {
        self.core()?.store.connectors()?.iter().map(restore).collect()
    }

    /// Forgets a connector and its secrets. Links stay, for a connector that is configured under the name later.
    ///
    /// # Errors
    /// `State` while it has undelivered pushes: deliver, discard or cancel them first, or use [`Agent::remove_cancelling`].
    pub fn remove(&self, name: &str) -> Result<()> {
        self.remove_with(name, Undelivered::Refuse)
    }

    /// Forgets a connector and cancels what it has not delivered.
    ///
    /// # Errors
    /// `State` while a request of it is under way.
    pub fn remove_cancelling(&self, name: &str) -> Result<()> {
        self.remove_with(name, Undelivered::Cancel)
    }

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
        let (stored, connector) = core.document(name)?;
        let prepared = connector.without_secrets(&core.settings);
        let mut pushes = Vec::with_capacity(cases.len());
        for (place, case) in cases.iter().enumerate() {
            let accepted = case.validate().and_then(|()| preview::check(&prepared, case));
            accepted.map_err(|error| match cases.len() {
                1 => error,
                _ => {
                    let field = error.field().unwrap_or("incident").to_owned();
                    error.at(format!("cases[{place}].{field}"))
                }
            })?;
            pushes.push(NewPush {
                connector: stored.id,
                case: case.clone(),
                coalesce: connector.config.coalesce,
            });
        }
        if pushes.is_empty() {
            return Ok(Vec::new());
        }
        let ids = core
            .store
            .enqueue(&pushes, &core.retention, core.clock.now().wall)?;
        core.wake();
        Ok(ids)
    }

    /// Where a push stands.
    ///
    /// # Errors
    /// `NotFound` when there is none of that number (any more: history is pruned).
    pub fn status(&self, id: PushId) -> Result<PushStatus> {
        self.core()?.store.status(id)?.ok_or_else(|| no_push(id))
    }

    /// What happened to a push so far, oldest first.
    pub fn attempts(&self, id: PushId) -> Result<Vec<Attempt>> {
        self.core()?.store.attempts(id)
    }

    /// Pushes, newest first.
    pub fn pushes(&self, filter: &Filter) -> Result<Vec<PushStatus>> {
        self.core()?.store.pushes(filter)
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
            let seen = core.bell.count();
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
            core.bell.wait_beyond(seen, left.min(LOOK_EVERY));
        }
    }

    /// Waits until nothing is left to deliver. False when the time ran out, and at once when only pushes remain that nothing
    /// moves by itself: held ones, those behind them, and those of paused or blocked connectors.
    pub fn flush(&self, timeout: Duration) -> Result<bool> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let core = self.core()?;
            let seen = core.bell.count();
            match remaining(core)? {
                Remaining::Nothing => return Ok(true),
                Remaining::Stuck => return Ok(false),
                Remaining::Moving => {}
            }
            let left = time_left(deadline);
            if left.is_zero() {
                return Ok(false);
            }
            core.bell.wait_beyond(seen, left.min(LOOK_EVERY));
        }
    }

    /// Sends a failed or held push again, from the first step that is not done.
    ///
    /// # Errors
    /// `State` when it is neither failed nor held.
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
        core.wake();
        Ok(())
    }

    /// The incident that a case is linked to at the connector's present target.
    pub fn link(&self, connector: &str, case_id: &str) -> Result<Option<Link>> {
        let core = self.core()?;
        let stored = core.stored(connector)?;
        core.store.link(connector, &stored.target, case_id)
    }

    /// Counts and health, by connector.
    pub fn stats(&self) -> Result<Stats> {
        let core = self.core()?;
        let now = core.clock.now().wall;
        let counts = core.store.counts()?;
        let connectors = core
            .store
            .connectors()?
            .iter()
            .map(|stored| {
                let own = counts.iter().find(|counts| counts.connector == stored.id);
                let of = |state: PushState| {
                    let place = PushState::ALL.iter().position(|s| *s == state);
                    own.zip(place)
                        .and_then(|(own, place)| own.by_state.get(place))
                        .copied()
                        .unwrap_or(0)
                };
                ConnectorStats {
                    connector: stored.name.clone(),
                    health: health(stored, now),
                    queued: of(PushState::Queued),
                    sending: of(PushState::Sending),
                    waiting: of(PushState::Waiting),
                    held: of(PushState::Held),
                    failed: of(PushState::Failed),
                    delivered: of(PushState::Delivered),
                    superseded: of(PushState::Superseded),
                    cancelled: of(PushState::Cancelled),
                    oldest_at: own.and_then(|own| own.oldest_at),
                }
            })
            .collect();
        Ok(Stats {
            connectors,
            draining: core.is_draining(),
            drained_by: core.store.drainer()?,
        })
    }

    /// Each request that a push of this case would send now, in order, secrets masked. Sends nothing, stores nothing.
    pub fn preview(&self, name: &str, case: &Case) -> Result<Vec<Request>> {
        let core = self.core()?;
        case.validate()?;
        let (stored, connector) = core.document(name)?;
        let secrets = core.store.secrets(stored.id)?;
        let whole = Connector {
            secrets: Some(secrets),
            ..(*connector).clone()
        };
        let link = self.linked(core, &stored, case)?;
        preview::requests(
            &whole.prepare(&core.settings, &core.sources)?,
            case,
            link.as_ref(),
        )
    }

    /// Runs the steps of this case against the target, for real, outside the outbox: it opens or updates an incident there
    /// and leaves nothing here. Stops at the first step that fails. Blocks for as long as the exchanges take.
    pub fn test(&self, name: &str, case: &Case) -> Result<TestReport> {
        let core = self.core()?;
        case.validate()?;
        let (stored, connector) = core.document(name)?;
        let secrets = core.store.secrets(stored.id)?;
        let whole = Connector {
            secrets: Some(secrets),
            ..(*connector).clone()
        };
        let link = self.linked(core, &stored, case)?;
        let prepared = whole.prepare(&core.settings, &core.sources)?;
        Ok(trial::run(
            &prepared,
            case,
            link.as_ref(),
            core.transport.as_ref(),
            core.clock.as_ref(),
        ))
    }

    /// Stops delivering for a connector until [`Agent::resume`], across restarts. It accepts pushes meanwhile.
    pub fn pause(&self, name: &str) -> Result<()> {
        self.set_paused(name, true)
    }

    /// Delivers for a paused connector again.
    pub fn resume(&self, name: &str) -> Result<()> {
        self.set_paused(name, false)
    }

    /// Writes a consistent copy of the database to a new file, while everything goes on. It carries no key.
    ///
    /// # Errors
    /// `Store` when the file is there already or cannot be written.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<()> {
        self.core()?.store.backup(path.as_ref())
    }

    /// Stops: claims nothing more, waits for requests under way up to `timeout`, then shuts their sockets. Later calls fail
    /// with `Closed`; a second close does nothing. What was not delivered stays stored. Other agents of the same database
    /// in this process go on.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        match &self.session.core {
            Some(core) if core.is_own_process() => self.session.close(timeout),
            _ => Err(forked()),
        }
    }

    fn core(&self) -> Result<&Core> {
        match &self.session.core {
            Some(core) if !core.is_own_process() => Err(forked()),
            Some(core) if !self.session.closed.load(Ordering::Acquire) => Ok(core),
            _ => Err(Error::new(
                ErrorKind::Closed,
                "the agent was closed; open the database again",
            )),
        }
    }

    fn kept_secrets(
        &self,
        core: &Core,
        name: &str,
        connector: &Connector,
    ) -> Result<Option<Vec<crate::connector::SecretField>>> {
        let Some(stored) = core.store.connector(name)? else {
            return Ok(None);
        };
        if !core.store.has_secrets(stored.id)? {
            return Ok(None);
        }
        let before = Connector::restore(&stored.name, &stored.config, &stored.warnings, Vec::new())?;
        if before.origins() != connector.origins() {
            let message = format!(
                "the connector now sends to {}, and its stored secrets were given for {}; give the secrets again (or \
                 `\"secrets\": {{}}` for none)",
                connector.origins().join(", "),
                before.origins().join(", ")
            );
            return Err(Error::config("secrets", message));
        }
        core.store.secrets(stored.id).map(Some)
    }

    fn linked(&self, core: &Core, stored: &StoredConnector, case: &Case) -> Result<Option<Link>> {
        match case.id.as_deref() {
            Some(id) if !id.is_empty() => core.store.link(&stored.name, &stored.target, id),
            _ => Ok(None),
        }
    }

    fn remove_with(&self, name: &str, undelivered: Undelivered) -> Result<()> {
        let core = self.core()?;
        core.stored(name)?;
        core.store
            .remove_connector(name, undelivered, core.clock.now().wall)?;
        core.connectors_changed();
        Ok(())
    }

    fn set_paused(&self, name: &str, paused: bool) -> Result<()> {
        let core = self.core()?;
        core.stored(name)?;
        core.store.set_paused(name, paused, core.clock.now().wall)?;
        core.connectors_changed();
        Ok(())
    }

    fn decide(
        &self,
        id: PushId,
        mut change: impl FnMut(&crate::store::Claim) -> Result<crate::store::Outcome>,
    ) -> Result<()> {
        let core = self.core()?;
        core.store.decide(id, core.clock.now().wall, &mut change)?;
        core.wake();
        Ok(())
    }
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").finish_non_exhaustive()
    }
}

impl Session {
    fn close(&self, timeout: Duration) -> Result<()> {
        let _slot = self.slot.lock();
        let Some(core) = &self.core else { return Ok(()) };
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        core.bell.ring();
        match core.leave() {
            0 => core.shutdown(timeout),
            _ => Ok(()),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        match self.core.take() {
            // A forked child owns neither the threads nor the database connections; touching them would hurt the parent.
            Some(core) if !core.is_own_process() => std::mem::forget(core),
            core => {
                self.core = core;
                if let Err(error) = self.close(DROP_TIMEOUT) {
                    log::warn!("closing the outbox: {error}");
                }
            }
        }
    }
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
        let moves = of(PushState::Sending) > 0 || (!halted && core.store.next_due(stored.id, &[])?.is_some());
        if moves {
            return Ok(Remaining::Moving);
        }
        left = Remaining::Stuck;
    }
    Ok(left)
}

fn health(stored: &StoredConnector, now: crate::model::Timestamp) -> ConnectorHealth {
    if stored.paused {
        return ConnectorHealth::Paused;
    }
    let health = &stored.health;
    match (&health.blocked, &health.offline, health.throttled_until) {
        (Some(trouble), _, _) => ConnectorHealth::Blocked {
            reason: trouble.reason.clone(),
            probe_at: trouble.probe_at,
        },
        (_, Some(trouble), _) => ConnectorHealth::Offline {
            reason: trouble.reason.clone(),
            probe_at: trouble.probe_at,
        },
        (_, _, Some(until)) if until > now => ConnectorHealth::Throttled { until },
        _ => ConnectorHealth::Ok,
    }
}

fn restore(stored: &StoredConnector) -> Result<Connector> {
    Connector::restore(&stored.name, &stored.config, &stored.warnings, Vec::new())
}

fn check_name(name: &str) -> Result<()> {
    let refuse = |message: String| Err(Error::config("name", message));
    if name.trim().is_empty() {
        return refuse("a connector needs a name that is not blank".to_owned());
    }
    if name.len() > limits::NAME_BYTES {
        return refuse(format!(
            "{} bytes are too many; a connector's name has at most {}",
            name.len(),
            limits::NAME_BYTES
        ));
    }
    if name.chars().any(char::is_control) {
        return refuse("a connector's name holds no control characters".to_owned());
    }
    Ok(())
}

fn no_push(id: PushId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no push {id} (history is pruned after a while)"),
    )
}

fn forked() -> Error {
    let message = "the agent was opened before this process was forked; open the database again in the child";
    Error::new(ErrorKind::Forked, message)
}

/// What is left until the deadline; without one (a time-out beyond what the clock can hold), a long while.
fn time_left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(LOOK_EVERY, |deadline| {
        deadline.saturating_duration_since(Instant::now())
    })
}
