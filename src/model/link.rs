//! What a case is called at its target.

use serde::Serialize;

use super::Timestamp;

/// The incident that a case of the host was delivered to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Link {
    /// The connector's name.
    pub connector: String,
    /// The origin of createIncidentUrl, or the connector's `targetId`.
    pub target: String,
    /// The host's own case id.
    pub case_id: String,
    /// The incident's id at the target.
    pub external_id: String,
    /// The incident's title at the target, as last read back.
    pub external_title: Option<String>,
    /// The link for people.
    pub external_url: Option<String>,
    /// When it was last set.
    pub updated_at: Timestamp,
}
