//! What a request may connect to, and how, as the settings and the connector say together.

use std::sync::Arc;
use std::time::Duration;

use url::Host;

use super::Settings;
use super::config::{Config, Verification};
use super::proxy::{OwnProxy, ProxyLogin, ProxyPolicy};
use crate::transport::{ExchangeLimits, Identity, Roots};

/// How long a connection may take where neither document nor settings say less.
const CONNECT: Duration = Duration::from_secs(10);

/// One network policy; requests that share it share connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct NetworkPolicy {
    /// Entries of `allowedHosts`, normalised by the URL parser.
    pub(crate) allowed_hosts: super::settings::AllowedHosts,
    pub(crate) deny_private_addresses: bool,
    pub(crate) limits: ExchangeLimits,
    pub(crate) tls: TlsPolicy,
    pub(crate) proxy: Option<Arc<ProxyPolicy>>,
}

/// How servers prove who they are, and casehook to them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct TlsPolicy {
    /// What the connector itself asks for; it wins over what is said of the host, and that over `usual`.
    pub(crate) verification: Option<Verification>,
    /// For every host of which nothing else is said.
    pub(crate) usual: Verification,
    pub(crate) roots: Roots,
    /// Whether only `roots` are trusted, and not the authorities of the system and those that came with casehook.
    pub(crate) only_roots: bool,
    pub(crate) only_tls13: bool,
    pub(crate) hosts: Arc<Vec<HostTls>>,
    pub(crate) identity: Option<Identity>,
}

/// An entry of `customHostSettings`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct HostTls {
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
    pub(crate) verification: Option<Verification>,
    pub(crate) roots: Roots,
}

/// What a connector brings along for TLS, read and parsed.
#[derive(Clone, Default)]
pub(crate) struct Material {
    pub(crate) roots: Roots,
    pub(crate) identity: Option<Identity>,
    /// For the connector's own proxy.
    pub(crate) proxy_login: Option<ProxyLogin>,
}

impl NetworkPolicy {
    pub(crate) fn new(config: &Config, settings: &Settings, material: Material) -> NetworkPolicy {
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
            tls: TlsPolicy {
                verification: config.tls.verification,
                usual: settings.verification(),
                roots: material.roots,
                only_roots: !config.tls.usual_roots,
                only_tls13: config.tls.only_tls13,
                hosts: Arc::clone(settings.hosts()),
                identity: material.identity,
            },
            proxy: proxy(config, settings, material.proxy_login),
        }
    }
}

/// The connector's own proxy, or else the one of the settings.
fn proxy(config: &Config, settings: &Settings, login: Option<ProxyLogin>) -> Option<Arc<ProxyPolicy>> {
    let (own, verification) = match &config.proxy {
        None => return settings.proxy().cloned(),
        Some(OwnProxy::Direct) => return None,
        Some(OwnProxy::Through { proxy, verification }) => (proxy, *verification),
    };
    let mut proxy = ProxyPolicy::clone(own);
    proxy.login = login;
    proxy.tls = TlsPolicy {
        verification,
        roots: own.tls.roots.clone(),
        ..settings.proxy_tls()
    };
    Some(Arc::new(proxy))
}

impl NetworkPolicy {
    /// Whether a request for this URL would not look at the server's certificate.
    pub(crate) fn is_unverified(&self, url: &url::Url) -> bool {
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return false;
        };
        url.scheme() == "https" && self.tls.verification(&host.to_owned(), port) == Verification::None
    }
}

impl TlsPolicy {
    /// What is said of one host alone.
    pub(crate) fn host(&self, host: &Host<String>, port: u16) -> Option<&HostTls> {
        self.hosts
            .iter()
            .find(|entry| entry.host == *host && entry.port == port)
    }

    /// How the certificate of this host is verified.
    pub(crate) fn verification(&self, host: &Host<String>, port: u16) -> Verification {
        self.verification
            .or_else(|| self.host(host, port)?.verification)
            .unwrap_or(self.usual)
    }
}
