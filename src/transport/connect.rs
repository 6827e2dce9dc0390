//! From a URL to a connection that a request can be written to: directly or through a proxy, with TLS or without.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustls::ClientConfig;
use ureq::unversioned::transport::{ConnectionDetails, Connector};
use url::{Host, Url};

use super::failure::{closed, not_connected};
use super::link::Link;
use super::live::Live;
use super::phase::{self, Cause};
use super::proxied::Forward;
use super::resolve::Addresses;
use super::socket::Socket;
use super::socks::{self, Goal};
use super::tunnel::{self, Blocked};
use super::wire::{Stream, Wire};
use super::{Failure, FailureKind, tls};
use super::{NetworkPolicy, ProxyKind, ProxyPolicy, TlsPolicy};

/// How many hosts are remembered for one policy; redirects alone can lead to more.
const MAX_CONFIGS: usize = 64;

/// Opens connections for one network policy.
pub(super) struct Dialer {
    live: Arc<Live>,
    addresses: Addresses,
    policy: Arc<NetworkPolicy>,
    configs: Mutex<Configs>,
}

/// By role, host and port: sessions are resumed only where everything is the same.
type Configs = HashMap<(Role, Host<String>, u16), Arc<ClientConfig>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    Target,
    Proxy,
}

/// What a connection is for.
struct Target {
    url: Url,
    host: Host<String>,
    port: u16,
    tls: bool,
}

impl Connector<()> for Dialer {
    type Out = Wire;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Wire>, ureq::Error> {
        // A dial outside of an exchange has no time at all.
        let deadline = phase::deadline().unwrap_or_else(Instant::now);
        Target::of(details)
            .and_then(|target| self.dial(&target, deadline))
            .map(Some)
            .map_err(phase::fail)
    }
}

impl Target {
    fn of(details: &ConnectionDetails) -> Result<Target, Failure> {
        let unusable = || not_connected("request", "the URL names no host".to_owned());
        let url = Url::parse(&details.uri.to_string()).map_err(|_| unusable())?;
        let host = url.host().ok_or_else(unusable)?.to_owned();
        let port = url.port_or_known_default().ok_or_else(unusable)?;
        Ok(Target {
            url,
            host,
            port,
            tls: details.needs_tls(),
        })
    }

    fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl Dialer {
    pub(super) fn new(live: Arc<Live>, addresses: Addresses, policy: Arc<NetworkPolicy>) -> Dialer {
        Dialer {
            live,
            addresses,
            policy,
            configs: Mutex::default(),
        }
    }

    fn dial(&self, target: &Target, deadline: Instant) -> Result<Wire, Failure> {
        let proxy = self
            .policy
            .proxy
            .as_deref()
            .filter(|proxy| proxy.carries(&target.url));
        let link = match proxy {
            None => {
                let addresses = self.addresses.permitted(&target.host, target.port, deadline)?;
                Link::Plain(self.reach(&target.host, &addresses, deadline)?)
            }
            Some(proxy) => self.through(proxy, target, deadline)?,
        };
        if !target.tls {
            let forward = proxy
                .filter(|proxy| matches!(proxy.kind, ProxyKind::Http | ProxyKind::Https))
                .map(|proxy| Forward::new(proxy, target.url.origin().ascii_serialization()));
            return Ok(Wire::new(Stream::Plain(link), forward));
        }
        let config = self.config(Role::Target, &self.policy.tls, &target.host, target.port)?;
        let stream = tls::handshake(config, &target.host, link)
            .map_err(|why| ended(&target.host).unwrap_or_else(|| not_connected("tls", why)))?;
        Ok(Wire::new(Stream::Tls(Box::new(stream)), None))
    }

    /// A way to the target, or to a proxy that requests for it are handed to.
    fn through(&self, proxy: &ProxyPolicy, target: &Target, deadline: Instant) -> Result<Link, Failure> {
        let named = proxy.named();
        self.permit(proxy)?;
        if let ProxyKind::Socks5 { remote_names: false } = proxy.kind {
            return self.through_socks(proxy, target, deadline).map(Link::Plain);
        }
        self.addresses.permit_unresolved(&target.host)?;
        let mut socket = self.reach_proxy(proxy, deadline)?;
        let mut link = match proxy.kind {
            ProxyKind::Http => Link::Plain(socket),
            ProxyKind::Https => {
                let config = self.config(Role::Proxy, &proxy.tls, &proxy.host, proxy.port)?;
                let stream = tls::handshake(config, &proxy.host, socket).map_err(|why| {
                    ended(&proxy.host)
                        .unwrap_or_else(|| not_connected("proxy", format!("the proxy {named}: {why}")))
                })?;
                Link::Tls(Box::new(stream))
            }
            ProxyKind::Socks5 { .. } => {
                let goal = Goal::remote(&target.host, target.port);
                socks::open(&mut socket, proxy, &named, &goal).map_err(|blocked| told(blocked, proxy))?;
                return Ok(Link::Plain(socket));
            }
        };
        if target.tls {
            tunnel::open(&mut link, proxy, &named, &target.authority())
                .map_err(|blocked| told(blocked, proxy))?;
        }
        Ok(link)
    }

    /// SOCKS with names resolved here: one address after the other, each through a connection of its own.
    fn through_socks(
        &self,
        proxy: &ProxyPolicy,
        target: &Target,
        deadline: Instant,
    ) -> Result<Socket, Failure> {
        let mut first = None;
        for address in self.addresses.permitted(&target.host, target.port, deadline)? {
            let mut socket = self.reach_proxy(proxy, deadline)?;
            match socks::open(&mut socket, proxy, &proxy.named(), &Goal::Address(address)) {
                Ok(()) => return Ok(socket),
                Err(blocked) => {
                    let failure = told(blocked, proxy);
                    if failure.code != "proxy" || failure.kind != FailureKind::NotConnected {
                        return Err(failure);
                    }
                    first.get_or_insert(failure);
                }
            }
        }
        Err(first.unwrap_or_else(|| not_connected("dns", format!("{} has no address", target.host))))
    }

    fn reach_proxy(&self, proxy: &ProxyPolicy, deadline: Instant) -> Result<Socket, Failure> {
        let addresses = if proxy.of_connector {
            self.addresses.permitted(&proxy.host, proxy.port, deadline)
        } else {
            self.addresses.all(&proxy.host, proxy.port, deadline)
        };
        addresses
            .and_then(|addresses| self.reach(&proxy.host, &addresses, deadline))
            .map_err(|failure| match failure.kind {
                FailureKind::NotConnected if failure.code != "closed" => not_connected(
                    "proxy",
                    format!("the proxy cannot be reached: {}", failure.message),
                ),
                _ => failure,
            })
    }

    /// A connector's own proxy must be one of the hosts that may be reached.
    fn permit(&self, proxy: &ProxyPolicy) -> Result<(), Failure> {
        let allowed = || {
            proxy
                .url()
                .is_some_and(|url| self.policy.allowed_hosts.allows(&url))
        };
        if !proxy.of_connector || allowed() {
            return Ok(());
        }
        Err(Failure {
            kind: FailureKind::Refused,
            code: "hostNotAllowed",
            message: format!("allowedHosts does not have the proxy {}", proxy.named()),
            status: None,
        })
    }

    fn config(
        &self,
        role: Role,
        policy: &TlsPolicy,
        host: &Host<String>,
        port: u16,
    ) -> Result<Arc<ClientConfig>, Failure> {
        let key = (role, host.clone(), port);
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(&key) {
            return Ok(Arc::clone(config));
        }
        let config = tls::config(policy, host, port).map_err(|why| not_connected("tls", why))?;
        let config = Arc::new(config);
        if configs.len() >= MAX_CONFIGS {
            configs.clear();
        }
        configs.insert(key, Arc::clone(&config));
        Ok(config)
    }

    /// Tries one address after the other, each with its share of the time that is left.
    fn reach(
        &self,
        host: &Host<String>,
        addresses: &[SocketAddr],
        deadline: Instant,
    ) -> Result<Socket, Failure> {
        let mut first = None;
        for (index, address) in addresses.iter().enumerate() {
            let now = Instant::now();
            let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let until = now + deadline.saturating_duration_since(now) / others;
            match Socket::connect(*address, until, &self.live) {
                Ok(socket) => return Ok(socket),
                Err(_) if self.live.is_closed() => return Err(closed()),
                Err(error) => {
                    log::debug!("no connection to {address}: {error}");
                    first.get_or_insert_with(|| failure(host, *address, &error));
                }
            }
        }
        Err(first.unwrap_or_else(|| not_connected("dns", format!("{host} has no address"))))
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").finish_non_exhaustive()
    }
}

/// Why a proxy did not let us through.
fn told(blocked: Blocked, proxy: &ProxyPolicy) -> Failure {
    match blocked {
        Blocked::Refused(failure) => failure,
        Blocked::Broken(error) => ended(&proxy.host).unwrap_or_else(|| {
            not_connected("proxy", format!("the proxy {} broke off: {error}", proxy.named()))
        }),
    }
}

/// What ended a conversation before the request, when it was not the other side.
fn ended(host: &Host<String>) -> Option<Failure> {
    match phase::with(|exchange| exchange.cause) {
        Some(Cause::Closed) => Some(closed()),
        Some(Cause::TimedOut) => Some(timed_out(host)),
        _ => None,
    }
}

fn failure(host: &Host<String>, address: SocketAddr, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::TimedOut => timed_out(host),
        io::ErrorKind::ConnectionRefused => not_connected(
            "connectionRefused",
            format!("{host} ({address}) refused the connection: is the server running, is the port right?"),
        ),
        _ => not_connected(
            "unreachable",
            format!("{host} ({address}) cannot be reached: {error}"),
        ),
    }
}

fn timed_out(host: &Host<String>) -> Failure {
    not_connected(
        "connectTimeout",
        format!("no connection to {host} within the connect time-out"),
    )
}
