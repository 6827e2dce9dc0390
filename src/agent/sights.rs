//! Calls that show: links, counts and health, what would be sent, what a target answers.

use super::core::{Core, Document};
use super::{Agent, preview, trial};
use crate::connector::Connector;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Case, ConnectorHealth, ConnectorStats, Link, PushState, Request, Stats, TestReport, Timestamp,
};
use crate::store::StoredConnector;

impl Agent {
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
    /// and leaves nothing here. Stops at the first step that fails. Blocks for as long as the exchanges take.
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
