//! One connection as ureq uses it: plain or TLS, head and body of a request in one write.

use std::io::{self, Read, Write};
use std::{fmt, mem};

use rustls::{AlertDescription, ClientConnection, StreamOwned};
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};
use zeroize::{Zeroize, Zeroizing};

use super::buffers::{SIZE, WireBuffers};
use super::link::{self, Link};
use super::phase::{self, Cause};
use super::proxied::Forward;
use super::{Failure, FailureKind, tls};

/// What bytes go through.
pub(super) enum Stream {
    Plain(Link),
    Tls(Box<StreamOwned<ClientConnection, Link>>),
}

/// A connection to a server. Time-outs come from the exchange (see `phase`), not from ureq.
pub(super) struct Wire {
    stream: Stream,
    buffers: WireBuffers,
    /// Bytes of the request that were not handed to the socket yet.
    pending: Vec<u8>,
    holds_secrets: bool,
    /// Writing failed after some of the request was taken: the answer may say why, and nothing follows it.
    broken: Option<io::Error>,
    /// The other end is an HTTP proxy that sends requests on.
    forward: Option<Forward>,
}

impl Wire {
    pub(super) fn new(stream: Stream, forward: Option<Forward>) -> Wire {
        Wire {
            stream,
            buffers: WireBuffers::default(),
            pending: Vec::new(),
            holds_secrets: false,
            broken: None,
            forward,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = mem::take(&mut self.pending);
        let result = match &mut self.stream {
            Stream::Plain(socket) => socket.write_all(&pending),
            Stream::Tls(tls) => tls.write_all(&pending).and_then(|()| tls.flush()),
        };
        self.pending = pending;
        if mem::take(&mut self.holds_secrets) {
            self.pending.zeroize();
        }
        self.pending.clear();
        match result {
            Err(error) if phase::with(|e| e.written > 0 && e.cause == Some(Cause::Peer)) => {
                self.broken = Some(error);
                Ok(())
            }
            result => result,
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        let room = self.buffers.input_append_buf();
        let result = match &mut self.stream {
            Stream::Plain(socket) => socket.read(room),
            Stream::Tls(tls) => tls.read(room).map_err(|error| refused_by_alert(tls, error)),
        };
        let amount = match (result, self.broken.take()) {
            (Ok(0) | Err(_), Some(broken)) => return Err(broken),
            (result, broken) => {
                self.broken = broken;
                result?
            }
        };
        phase::saw(&room[..amount]);
        self.buffers.input_appended(amount);
        Ok(amount)
    }
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.buffers
            .fit_line(phase::with(|exchange| exchange.longest_line));
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        if self.broken.is_some() {
            return Ok(());
        }
        let first = phase::request_begins();
        let bytes = self.buffers.written(amount);
        let rewritten = match &self.forward {
            Some(forward) if first => {
                phase::with(|exchange| exchange.forwarded = true);
                forward.rewrite(bytes).ok_or(ureq::Error::ConnectionFailed)?
            }
            _ => Vec::new(),
        };
        let bytes = if rewritten.is_empty() { bytes } else { &rewritten };
        let pending = &mut self.pending;
        self.holds_secrets |= phase::with(|exchange| add(pending, bytes, &mut exchange.stand_ins));
        if self.pending.len() >= SIZE {
            self.flush()?;
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        self.flush()?;
        Ok(self.read()? > 0)
    }

    fn is_open(&mut self) -> bool {
        if self.broken.is_some() || !self.pending.is_empty() {
            return false;
        }
        match &mut self.stream {
            Stream::Plain(link) => link.is_idle(),
            Stream::Tls(tls) => link::is_silent(link::read_now(&mut tls.conn, &mut [0], |raw| {
                tls.sock.read_now(raw)
            })),
        }
    }

    fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("tls", &self.is_tls())
            .finish_non_exhaustive()
    }
}

/// Adds bytes to what is to be written, secrets in the places of what stands for them; whether there were any.
fn add(pending: &mut Vec<u8>, mut bytes: &[u8], stand_ins: &mut Vec<(String, Zeroizing<Vec<u8>>)>) -> bool {
    if stand_ins.is_empty() {
        pending.extend_from_slice(bytes);
        return false;
    }
    // Growing later would leave copies behind.
    pending.reserve(bytes.len() + stand_ins.iter().map(|(_, secret)| secret.len()).sum::<usize>());
    let next = |bytes: &[u8], stand_ins: &[(String, Zeroizing<Vec<u8>>)]| {
        let places = stand_ins.iter().enumerate();
        let found = places.filter_map(|(place, (text, _))| Some((find(bytes, text)?, place)));
        found.min_by_key(|(at, _)| at.start)
    };
    while let Some((at, place)) = next(bytes, stand_ins) {
        let (_, secret) = stand_ins.swap_remove(place);
        pending.extend_from_slice(&bytes[..at.start]);
        pending.extend_from_slice(&secret);
        bytes = &bytes[at.end..];
    }
    pending.extend_from_slice(bytes);
    true
}

/// With TLS 1.3 a server refuses the client's certificate only after the client has begun to write. It has
/// not looked at the request then, so that such an alert in place of an answer means "not connected".
fn refused_by_alert(tls: &StreamOwned<ClientConnection, Link>, error: io::Error) -> io::Error {
    let alert = match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        _ => return error,
    };
    let about_certificate = matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::NoCertificate
    );
    let version_13 = tls.conn.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
    phase::with(|exchange| {
        if about_certificate && version_13 && exchange.head.is_empty() {
            exchange.failure = Some(Failure {
                kind: FailureKind::NotConnected,
                code: "tls",
                message: tls::refused_certificate(alert),
                status: None,
            });
        }
    });
    error
}

/// Where a text stands.
fn find(bytes: &[u8], text: &str) -> Option<std::ops::Range<usize>> {
    let at = bytes
        .windows(text.len())
        .position(|window| window == text.as_bytes())?;
    Some(at..at + text.len())
}
