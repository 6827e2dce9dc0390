//! The connectors as the engine knows them: their gates, their turns, their documents ready to send.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::fetch::{Fetch, Owner, Prepare, from_sources};
use super::gate::Gate;
use crate::clock::Now;
use crate::connector::Prepared;
use crate::connector::{Config, Connector, SecretSources, Settings};
use crate::error::Result;
use crate::model::PushId;
use crate::outbox::ConnectorId;
use crate::store::{Store, StoredConnector};

/// Every connector that is configured.
pub(super) struct Roster {
    store: Arc<dyn Store>,
    settings: Settings,
    pub(super) from_sources: Prepare,
    pub(super) gates: HashMap<ConnectorId, Gate>,
    /// Connectors in the order in which they get their next turn.
    pub(super) rotation: VecDeque<ConnectorId>,
    /// Some were configured, removed, paused or resumed since the last look.
    pub(super) stale: bool,
}

impl Roster {
    pub(super) fn new(store: Arc<dyn Store>, settings: Settings, sources: SecretSources) -> Roster {
        Roster {
            store,
            from_sources: from_sources(settings.clone(), sources),
            settings,
            gates: HashMap::new(),
            rotation: VecDeque::new(),
            stale: true,
        }
    }

    /// Reads the connectors anew when they changed. What the engine learned of one stays, unless it was configured anew.
    pub(super) fn refresh(&mut self, now: Now) -> Result<()> {
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
                    if self.store.shares_draining() {
                        gate.learn(&row.health);
                    }
                    gate.stored = row;
                    continue;
                }
                _ => {}
            }
            let connector = self.parse(&row);
            let mut gate = Gate::new(row, connector);
            if let Some(old) = self.gates.get(&id) {
                gate.succeed(old);
            } else {
                self.rotation.push_back(id);
            }
            self.gates.insert(id, gate);
        }
        if self.store.shares_draining() {
            for (id, gate) in &self.gates {
                self.store.acts_on(*id, gate.limits(), &gate.health);
            }
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

    /// What the connector's document says, also while its secrets cannot be had.
    pub(super) fn config(&self, id: ConnectorId) -> Option<Arc<Config>> {
        let gate = self.gates.get(&id)?;
        if let Ok(connector) = &gate.connector {
            return Some(Arc::clone(&connector.config));
        }
        let row = &gate.stored;
        let connector = Connector::restore(&row.name, &row.config, &row.warnings, Vec::new());
        connector.ok().map(|connector| connector.config)
    }

    /// The revision of the connector's document.
    pub(super) fn revision(&self, id: ConnectorId) -> Option<i64> {
        self.gates.get(&id).map(|gate| gate.stored.revision)
    }

    /// The connector's document; a broken one is read again each time, since a key may have come back.
    pub(super) fn connector(&mut self, id: ConnectorId) -> Result<Arc<Connector>, String> {
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

    /// The connector ready to send: with the secrets that were `fetched`, or as it is kept, or with what can be had at once.
    /// `None` where its secrets have to be fetched.
    pub(super) fn prepare(
        &mut self,
        id: ConnectorId,
        connector: &Connector,
        fetched: Option<Arc<Prepared>>,
    ) -> Result<Option<Arc<Prepared>>, String> {
        let kept = self.gates.get(&id).and_then(|gate| gate.prepared.as_ref());
        let prepared = match fetched.or(kept.cloned()) {
            Some(prepared) => prepared,
            None if connector.has_secret_files() => return Ok(None),
            None => {
                let prepared = Arc::new((self.from_sources)(connector)?);
                if let Some(gate) = self.gates.get_mut(&id)
                    && !connector.has_secret_references()
                {
                    gate.prepared = Some(Arc::clone(&prepared));
                }
                prepared
            }
        };
        if let Some(gate) = self.gates.get_mut(&id).filter(|gate| !gate.warned) {
            gate.warned = true;
            let config = &connector.config;
            let urls = config.request_urls().map(|url| url.sample());
            if urls
                .chain(config.token_url())
                .any(|url| prepared.network.is_unverified(url))
            {
                let name = &gate.stored.name;
                log::warn!("{name}: certificates are not verified, as verificationMode none has it");
            }
        }
        Ok(Some(prepared))
    }

    /// The connector's secrets to be read for a request of the push.
    pub(super) fn fetch(&self, push: PushId, owner: Owner, connector: Arc<Connector>) -> Fetch {
        let patience = connector.time_to_connect(&self.settings);
        Fetch::new(push, owner, patience, connector, Arc::clone(&self.from_sources))
    }
}
