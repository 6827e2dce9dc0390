//! Calls that show: links, counts and health, what would be sent, what a target answers.

use super::core::{Core, Document};
use super::{Agent, preview, trial};
use crate::connector::Connector;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Case, ConnectorHealth, ConnectorStats, Link, PushState, Request, Stats, TestReport, Timestamp, Traffic,
};
use crate::store::StoredConnector;

impl Agent {
    /// The incident that a case is linked to at the connector's present target.
    pub fn link(&self, connector: &str, case_id: &str) -> Result<Option<Link>> {
        let core = self.core()?;
        let stored = core.stored(connector)?;
        core.store.link(connector, &stored.target, case_id)
    }

    /// Counts and health, by connector. Cheap however full the outbox is: nothing is counted for it.
    pub fn stats(&self) -> Result<Stats> {
        let core = self.core()?;
        let now = core.clock.now().wall;
        stats(core, now)
    }

    /// The counts of [`Agent::stats`] in the text format of Prometheus (0.0.4, `text/plain; version=0.0.4`), for a
    /// program's own `/metrics`. What is counted is kept in the database: every process that has it open says the same.
    pub fn metrics_text(&self) -> Result<String> {
        let core = self.core()?;
        let now = core.clock.now().wall;
        Ok(stats(core, now)?.exposition(now))
    }

    /// Each request that a push of this case would send now, in order, secrets masked. Sends nothing, stores nothing.
    pub fn preview(&self, name: &str, case: &Case) -> Result<Vec<Request>> {
        let core = self.core()?;
        case.validate()?;
        let document = core.document(name)?;
        let secrets = core.store.secrets(document.id)?;
        let whole = Connector {
            secrets: Some(secrets),
            ..document.connector.clone()
        };
        let link = self.linked(core, &document, case)?;
        preview::requests(
            &whole.prepare(&core.settings, &core.sources)?,
            case,
            link.as_ref(),
        )
    }

    /// Runs the steps of this case against the target, for real, outside the outbox: it opens or updates an incident there
    /// and leaves nothing here. Where the connector has a look-up and the case an id, an incident that was opened is looked
    /// up in the end. Stops at the first step that fails. Blocks for as long as the exchanges take.
    pub fn test(&self, name: &str, case: &Case) -> Result<TestReport> {
        let core = self.core()?;
        case.validate()?;
        let document = core.document(name)?;
        let secrets = core.store.secrets(document.id)?;
        let whole = Connector {
            secrets: Some(secrets),
            ..document.connector.clone()
        };
        let link = self.linked(core, &document, case)?;
        let prepared = whole.prepare(&core.settings, &core.sources)?;
        Ok(trial::run(
            &prepared,
            case,
            link.as_ref(),
            core.transport.as_ref(),
            core.clock.as_ref(),
        ))
    }

    /// Reads one incident back as the connector says, for real, and does nothing else: nothing changes, here or there.
    ///
    /// # Errors
    /// `Argument` when the id is empty; as [`Agent::test`] otherwise. A connector that cannot read back gives a report that
    /// says so.
    pub fn test_get(&self, name: &str, external_id: &str) -> Result<TestReport> {
        let core = self.core()?;
        if external_id.is_empty() {
            let message = "the incident's id in the case system must not be empty";
            return Err(Error::new(ErrorKind::Argument, message).at("externalId"));
        }
        let document = core.document(name)?;
        let whole = Connector {
            secrets: Some(core.store.secrets(document.id)?),
            ..document.connector.clone()
        };
        let prepared = whole.prepare(&core.settings, &core.sources)?;
        let (transport, clock) = (core.transport.as_ref(), core.clock.as_ref());
        Ok(trial::look(&prepared, external_id, transport, clock))
    }

    fn linked(&self, core: &Core, document: &Document, case: &Case) -> Result<Option<Link>> {
        match case.id.as_deref() {
            Some(id) if !id.is_empty() => core.store.link(&document.name, &document.target, id),
            _ => Ok(None),
        }
    }
}

fn stats(core: &Core, now: Timestamp) -> Result<Stats> {
    let counts = core.store.counts()?;
    let mut connectors = Vec::with_capacity(counts.len());
    for stored in core.store.connectors()? {
        let own = counts.iter().find(|counts| counts.connector == stored.id);
        let of = |state: PushState| by_state(own.map(|own| &own.by_state), state);
        let gone = |state: PushState| by_state(own.map(|own| &own.gone), state);
        let ever = |state: PushState| of(state) + gone(state);
        connectors.push(ConnectorStats {
            health: health(&stored, now),
            queued: of(PushState::Queued),
            sending: of(PushState::Sending),
            waiting: of(PushState::Waiting),
            held: of(PushState::Held),
            failed: of(PushState::Failed),
            delivered: of(PushState::Delivered),
            superseded: of(PushState::Superseded),
            cancelled: of(PushState::Cancelled),
            oldest_at: own.and_then(|own| own.oldest_at),
            accepted_total: PushState::ALL.iter().map(|state| ever(*state)).sum(),
            delivered_total: ever(PushState::Delivered),
            traffic: Traffic::of(&core.store.exchanges(stored.id)?),
            connector: stored.name,
        });
    }
    Ok(Stats {
        connectors,
        draining: core.is_draining(),
        drained_by: core.drainer()?,
    })
}

fn by_state(counts: Option<&[u64; 8]>, state: PushState) -> u64 {
    let place = PushState::ALL.iter().position(|one| *one == state);
    let count = counts.zip(place).and_then(|(counts, place)| counts.get(place));
    count.copied().unwrap_or(0)
}

fn health(stored: &StoredConnector, now: Timestamp) -> ConnectorHealth {
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
