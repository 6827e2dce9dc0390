//! Settings of the whole agent: which hosts may be reached, and the bounds of an exchange.

use crate::error::Result;

/// Entries of `allowedHosts`, normalised by the URL parser.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AllowedHosts {}

/// Settings of the whole agent, in the vocabulary of Kibana's `xpack.actions.*`.
#[derive(Debug, Clone, Default)]
pub struct Settings {}

impl Settings {
    /// Reads the settings object; unknown fields are refused with the nearest known name.
    pub fn from_json(_text: &str) -> Result<Settings> {
        unimplemented!()
    }
}
