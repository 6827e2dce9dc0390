//! Names to addresses: literals at once, answers kept for a moment, real look-ups within the connect time.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use url::Host;

use super::failure::{closed, not_connected};
use super::live::{Live, SLICE};
use super::{Failure, FailureKind, address};

/// How long an answer is used; a name that was not found is asked for again at once.
const KEEP: Duration = Duration::from_secs(10);

/// How many names are remembered at most.
const MAX_NAMES: usize = 1024;

/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 16;

/// Looks up a name; replaced in tests.
pub(super) type Lookup = dyn Fn(&str) -> std::io::Result<Vec<IpAddr>> + Send + Sync;

/// What is known of names, shared by all network policies.
pub(super) struct Names {
    known: Mutex<HashMap<String, (Instant, Vec<IpAddr>)>>,
    lookup: Arc<Lookup>,
}

impl Names {
    pub(super) fn of_system() -> Names {
        Names::new(Arc::new(|name| {
            Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
        }))
    }

    pub(super) fn new(lookup: Arc<Lookup>) -> Names {
        Names {
            known: Mutex::default(),
            lookup,
        }
    }

    fn addresses(&self, host: &Host<String>, deadline: Instant, live: &Live) -> Result<Vec<IpAddr>, Failure> {
        let host = match host {
            Host::Domain(name) => name.as_str(),
            Host::Ipv4(address) => return Ok(vec![(*address).into()]),
            Host::Ipv6(address) => return Ok(vec![(*address).into()]),
        };
        let now = Instant::now();
        if let Some((until, addresses)) = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(host)
            && now < *until
        {
            return Ok(addresses.clone());
        }
        let addresses = self.look_up(host, deadline, live)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_NAMES {
            known.retain(|_, (until, _)| now < *until);
        }
        if known.len() < MAX_NAMES {
            known.insert(host.to_owned(), (Instant::now() + KEEP, addresses.clone()));
        }
        Ok(addresses)
    }

    /// The system's look-up cannot be interrupted: it gets a thread that is left behind when time runs out.
    fn look_up(&self, host: &str, deadline: Instant, live: &Live) -> Result<Vec<IpAddr>, Failure> {
        let dns = |why: &dyn fmt::Display| not_connected("dns", format!("{host} cannot be resolved: {why}"));
        let (sender, answer) = mpsc::sync_channel(1);
        let (name, lookup) = (host.to_owned(), Arc::clone(&self.lookup));
        std::thread::Builder::new()
            .name("casehook-dns".to_owned())
            .spawn(move || {
                // Nobody may be waiting any more.
                let _ = sender.send(lookup(&name));
            })
            .map_err(|error| dns(&error))?;
        loop {
            if live.is_closed() {
                return Err(closed());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match answer.recv_timeout(left.min(SLICE)) {
                Ok(Ok(addresses)) if addresses.is_empty() => return Err(dns(&"it has no address")),
                Ok(Ok(addresses)) => return Ok(addresses),
                Ok(Err(error)) => return Err(dns(&error)),
                Err(RecvTimeoutError::Disconnected) => return Err(dns(&"the look-up broke off")),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    let message = format!("{host} was not resolved within the connect time-out");
                    return Err(not_connected("connectTimeout", message));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

/// The addresses that one network policy permits.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) names: Arc<Names>,
    pub(super) live: Arc<Live>,
    pub(super) deny_private: bool,
}

impl Addresses {
    /// Where a host can be reached, as far as the policy permits.
    pub(super) fn permitted(
        &self,
        host: &Host<String>,
        port: u16,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let addresses = self.names.addresses(host, deadline, &self.live)?;
        let permitted: Vec<SocketAddr> = addresses
            .iter()
            .filter(|address| !self.deny_private || !address::is_private(**address))
            .take(MAX_ADDRESSES)
            .map(|address| SocketAddr::new(*address, port))
            .collect();
        if permitted.is_empty() {
            return Err(refused(host, &addresses));
        }
        Ok(permitted)
    }

    /// Where a host can be reached, whatever the policy says: for what the host program itself configured.
    pub(super) fn all(
        &self,
        host: &Host<String>,
        port: u16,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let addresses = self.names.addresses(host, deadline, &self.live)?;
        let sockets = addresses.into_iter().take(MAX_ADDRESSES);
        Ok(sockets.map(|address| SocketAddr::new(address, port)).collect())
    }

    /// What can be told of a host that a proxy is going to resolve: that it is a private address itself, or a name
    /// that stands for one everywhere.
    pub(super) fn permit_unresolved(&self, host: &Host<String>) -> Result<(), Failure> {
        match address::private_literal(host) {
            Some(address) if self.deny_private => Err(refused(host, &[address])),
            _ => Ok(()),
        }
    }
}

fn refused(host: &Host<String>, addresses: &[IpAddr]) -> Failure {
    let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    Failure {
        kind: FailureKind::Refused,
        code: "addressNotAllowed",
        message: format!(
            "{host} has only private addresses ({}), which denyPrivateAddresses refuses",
            addresses.join(", ")
        ),
        status: None,
    }
}

/// Stands where ureq looks up names for every request: the dialer does, for those that need a new connection.
#[derive(Debug)]
pub(super) struct Unresolved;

impl Resolver for Unresolved {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(SocketAddr::from(([0, 0, 0, 0], 0)));
        Ok(addresses)
    }
}
