//! What a request may connect to, and how, as the settings and the connector say together.

use std::sync::Arc;
use std::time::Duration;

use super::Settings;
use super::config::Config;
use super::proxy::OwnProxy;
use crate::transport::{ExchangeLimits, Identity, NetworkPolicy, ProxyLogin, ProxyPolicy, Roots, TlsPolicy};

/// How long a connection may take where neither document nor settings say less.
const CONNECT: Duration = Duration::from_secs(10);

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
        NetworkPolicy {
            allowed_hosts: settings.allowed_hosts().clone(),
            deny_private_addresses: settings.deny_private_addresses(),
            limits: ExchangeLimits {
                connect: time_to_connect(config, settings),
                response: response(config, settings),
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

/// How long a connection may take.
pub(super) fn time_to_connect(config: &Config, settings: &Settings) -> Duration {
    let usual = CONNECT.min(response(config, settings));
    config.connect_timeout.unwrap_or(usual)
}

fn response(config: &Config, settings: &Settings) -> Duration {
    let given = config.response_timeout;
    given.unwrap_or_else(|| settings.response_timeout())
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
