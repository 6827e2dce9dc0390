//! From resolved addresses to a connection that a request can be written to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rustls::ClientConfig;
use ureq::unversioned::transport::{ConnectionDetails, Connector};

use super::live::Live;
use super::phase::{self, Cause};
use super::socket::Socket;
use super::tls;
use super::wire::{Stream, Wire};
use super::{Failure, FailureKind};

/// Opens connections for one network policy.
#[derive(Debug)]
pub(super) struct Dialer {
    pub(super) live: Arc<Live>,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl Connector<()> for Dialer {
    type Out = Wire;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Wire>, ureq::Error> {
        // A dial outside of an exchange has no time at all.
        let deadline = phase::deadline().unwrap_or_else(Instant::now);
        self.dial(details, deadline).map(Some).map_err(phase::fail)
    }
}

impl Dialer {
    fn dial(&self, details: &ConnectionDetails, deadline: Instant) -> Result<Wire, Failure> {
        let host = details.uri.host().unwrap_or_default();
        let socket = self.reach(host, &details.addrs, deadline)?;
        if !details.needs_tls() {
            return Ok(Wire::new(Stream::Plain(socket)));
        }
        let config = match &self.tls {
            Some(config) => Arc::clone(config),
            None => tls::default_config().map_err(|why| not_connected("tls", why))?,
        };
        let stream = tls::handshake(config, host, socket).map_err(|why| {
            match phase::with(|exchange| exchange.cause) {
                Some(Cause::Closed) => closed(),
                Some(Cause::TimedOut) => timed_out(host),
                _ => not_connected("tls", why),
            }
        })?;
        Ok(Wire::new(Stream::Tls(Box::new(stream))))
    }

    /// Tries one address after the other, each with its share of the time that is left.
    fn reach(&self, host: &str, addresses: &[SocketAddr], deadline: Instant) -> Result<Socket, Failure> {
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

fn failure(host: &str, address: SocketAddr, error: &io::Error) -> Failure {
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

fn timed_out(host: &str) -> Failure {
    not_connected(
        "connectTimeout",
        format!("no connection to {host} within the connect time-out"),
    )
}

pub(super) fn closed() -> Failure {
    not_connected(
        "closed",
        "casehook was closed before the request was sent".to_owned(),
    )
}

pub(super) fn not_connected(code: &'static str, message: String) -> Failure {
    Failure {
        kind: FailureKind::NotConnected,
        code,
        message,
        status: None,
    }
}
