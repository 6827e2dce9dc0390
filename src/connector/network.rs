//! What a request may connect to, and how, as the settings and the connector say together.

use crate::transport::ExchangeLimits;

/// One network policy; requests that share it share connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct NetworkPolicy {
    /// Entries of `allowedHosts`, normalised by the URL parser.
    pub(crate) allowed_hosts: super::settings::AllowedHosts,
    pub(crate) deny_private_addresses: bool,
    pub(crate) limits: ExchangeLimits,
}
