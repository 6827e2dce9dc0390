//! Counts for people who watch an outbox.

use serde::Serialize;

use super::{Timestamp, Traffic};

/// How a connector fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
#[non_exhaustive]
pub enum ConnectorHealth {
    /// Nothing known against it.
    Ok,
    /// Its target cannot be reached; one probe at a time goes out.
    #[serde(rename_all = "camelCase")]
    Offline {
        /// What the last probe met.
        reason: String,
        /// When the next one goes out.
        probe_at: Timestamp,
    },
    /// Its target refuses the credentials; its pushes stay queued.
    #[serde(rename_all = "camelCase")]
    Blocked {
        /// What the target said.
        reason: String,
        /// When the next probe goes out.
        probe_at: Timestamp,
    },
    /// Its target asked for patience.
    #[serde(rename_all = "camelCase")]
    Throttled {
        /// Until when nothing is sent.
        until: Timestamp,
    },
    /// Paused by the host.
    Paused,
}

/// Counts of one connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectorStats {
    /// Its name.
    pub connector: String,
    /// How it fares.
    pub health: ConnectorHealth,
    /// Accepted, nothing sent or its turn has not come again.
    pub queued: u64,
    /// With a request on its way.
    pub sending: u64,
    /// With a retry scheduled.
    pub waiting: u64,
    /// In need of a decision.
    pub held: u64,
    /// Given up.
    pub failed: u64,
    /// Delivered and still in the history.
    pub delivered: u64,
    /// Replaced before anything was sent, and still in the history.
    pub superseded: u64,
    /// Cancelled and still in the history.
    pub cancelled: u64,
    /// When the oldest push that is not final was accepted.
    pub oldest_at: Option<Timestamp>,
    /// Accepted since the database was made, those that the history has forgotten included.
    pub accepted_total: u64,
    /// Delivered since the database was made, those that the history has forgotten included.
    pub delivered_total: u64,
    /// What went over the wire since the database was made.
    pub traffic: Traffic,
}

/// Counts of an outbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Stats {
    /// One entry a connector, by name.
    pub connectors: Vec<ConnectorStats>,
    /// Whether this process drains the outbox.
    pub draining: bool,
    /// The process that drains it; none when there is none, also after it was killed. Only informs.
    pub drained_by: Option<u32>,
}
