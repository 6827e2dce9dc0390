//! Calls about connectors: configure, look, pause, remove.

use zeroize::Zeroizing;

use super::Agent;
use super::core::Core;
use crate::connector::{Connector, SecretField, Warning};
use crate::error::{Error, Result};
use crate::model::limits;
use crate::store::{NewConnector, StoredConnector, Undelivered};

impl Agent {
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

    /// Stops delivering for a connector until [`Agent::resume`], across restarts. It accepts pushes meanwhile.
    pub fn pause(&self, name: &str) -> Result<()> {
        self.set_paused(name, true)
    }

    /// Delivers for a paused connector again.
    pub fn resume(&self, name: &str) -> Result<()> {
        self.set_paused(name, false)
    }

    /// Seals every stored secret with another key, all of them or none; nothing is sent, and nothing stops meanwhile.
    ///
    /// With a key: have it stored safely before, since from this call on it alone opens the secrets, and open the database
    /// with it from now on; a key file that is no longer of use stays where it is. With `None`: a new random key takes the
    /// place of the one in the key file; both are on disk until the change is, so no crash loses it. Backups made before
    /// still need the key of their time.
    ///
    /// Other processes that use the key file follow by themselves. Those that were given the old key go on delivering with
    /// what they have read already, accept pushes, and fail with `Key` where they need to read secrets again.
    ///
    /// # Errors
    /// `Key` when the present key is missing or wrong, or a stored secret is damaged; `Argument` for `None` where the
    /// present key is not from the key file. Nothing is changed then.
    pub fn rekey(&self, key: impl Into<Option<[u8; 32]>>) -> Result<()> {
        self.core()?.store.rekey(key.into().map(Zeroizing::new))
    }

    fn kept_secrets(
        &self,
        core: &Core,
        name: &str,
        connector: &Connector,
    ) -> Result<Option<Vec<SecretField>>> {
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
