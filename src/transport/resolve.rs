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

use super::connect::{closed, not_connected};
use super::live::{Live, SLICE};
use super::{Failure, FailureKind, address, phase};

/// How long an answer is used; a name that was not found is asked for again at once.
const KEEP: Duration = Duration::from_secs(10);

/// How many names are remembered at most.
const MAX_NAMES: usize = 1024;

/// How many addresses of a name are tried; what ureq has room for.
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

    fn addresses(&self, host: &str, deadline: Instant, live: &Live) -> Result<Vec<IpAddr>, Failure> {
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse() {
            return Ok(vec![address]);
        }
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

/// The resolver of one network policy.
#[derive(Debug)]
pub(super) struct PolicyResolver {
    pub(super) names: Arc<Names>,
    pub(super) live: Arc<Live>,
    pub(super) deny_private: bool,
}

impl PolicyResolver {
    fn permitted(&self, uri: &Uri) -> Result<ResolvedSocketAddrs, Failure> {
        let host = uri.host().unwrap_or_default();
        let default_port = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let port = uri.port_u16().unwrap_or(default_port);
        let deadline = phase::deadline().unwrap_or_else(Instant::now);
        let addresses = self.names.addresses(host, deadline, &self.live)?;
        let mut permitted = self.empty();
        let allowed = addresses
            .iter()
            .filter(|address| !self.deny_private || !address::is_private(**address));
        for address in allowed.take(MAX_ADDRESSES) {
            permitted.push(SocketAddr::new(*address, port));
        }
        if permitted.is_empty() {
            return Err(Failure {
                kind: FailureKind::Refused,
                code: "addressNotAllowed",
                message: format!(
                    "{host} has only private addresses ({}), which denyPrivateAddresses refuses",
                    addresses
                        .iter()
                        .map(IpAddr::to_string)
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
                status: None,
            });
        }
        Ok(permitted)
    }
}

impl Resolver for PolicyResolver {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        self.permitted(uri).map_err(phase::fail)
    }
}
