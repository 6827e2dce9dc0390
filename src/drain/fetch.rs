//! Secrets that lie in files and have to be read before a request can be made: the engine reads no file, since one may never
//! be read to its end.

use std::sync::Arc;
use std::time::Duration;

use crate::connector::{Connector, Prepared, SecretSources, Settings};
use crate::model::PushId;
use crate::outbox::ConnectorId;

/// The least time that reading is given: a short time to connect is no reason to block a connector on a busy machine.
const LEAST: Duration = Duration::from_secs(5);

/// Secrets to be read for one request.
pub(crate) struct Fetch {
    pub(crate) push: PushId,
    /// Whose they are: a connector, and its revision.
    pub(crate) owner: Owner,
    /// How long that may take.
    pub(crate) within: Duration,
    /// Reads them; the error says which of them cannot be had.
    pub(crate) read: Box<dyn FnOnce() -> Result<Arc<Prepared>, String> + Send>,
}

/// A connector at one revision.
pub(crate) type Owner = (ConnectorId, i64);

/// What became of it.
pub(crate) type Fetched = Result<Arc<Prepared>, Unfetched>;

/// Why there are no secrets.
#[derive(Debug)]
pub(crate) enum Unfetched {
    /// They cannot be had, for this reason.
    Failed(String),
    /// Nobody is to wait for them any more.
    Closed,
}

/// Makes connectors ready to send, their secrets read from where they lie.
pub(super) type Prepare = Arc<dyn Fn(&Connector) -> Result<Prepared, String> + Send + Sync>;

/// From variables and files as the host allows it.
pub(super) fn from_sources(settings: Settings, sources: SecretSources) -> Prepare {
    Arc::new(move |connector| {
        let prepared = connector.prepare(&settings, &sources);
        prepared.map_err(|error| error.to_string())
    })
}

impl Fetch {
    /// `patience` is how long the connector gives a target to connect.
    pub(super) fn new(
        push: PushId,
        owner: Owner,
        patience: Duration,
        connector: Arc<Connector>,
        prepare: Prepare,
    ) -> Fetch {
        Fetch {
            push,
            owner,
            within: patience.max(LEAST),
            read: Box::new(move || prepare(&connector).map(Arc::new)),
        }
    }
}
