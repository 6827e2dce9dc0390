//! What a request may connect to, and how, as the settings and the connector say together.

use std::time::Duration;

use super::Settings;
use super::config::Config;
use crate::transport::ExchangeLimits;

/// How long a connection may take where neither document nor settings say less.
const CONNECT: Duration = Duration::from_secs(10);

/// One network policy; requests that share it share connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct NetworkPolicy {
    /// Entries of `allowedHosts`, normalised by the URL parser.
    pub(crate) allowed_hosts: super::settings::AllowedHosts,
    pub(crate) deny_private_addresses: bool,
    pub(crate) limits: ExchangeLimits,
}

impl NetworkPolicy {
    pub(crate) fn new(config: &Config, settings: &Settings) -> NetworkPolicy {
        let response = config
            .response_timeout
            .unwrap_or_else(|| settings.response_timeout());
        NetworkPolicy {
            allowed_hosts: settings.allowed_hosts().clone(),
            deny_private_addresses: settings.deny_private_addresses(),
            limits: ExchangeLimits {
                connect: config.connect_timeout.unwrap_or_else(|| CONNECT.min(response)),
                response,
                body_bytes: settings.max_response_content_length(),
            },
        }
    }
}
