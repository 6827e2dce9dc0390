//! CONNECT: a way through an HTTP proxy that nothing but the two ends understands.

use std::io::{self, Read, Write};

use super::ProxyPolicy;
use super::proxied;
use super::{Answer, Failure};

/// The largest head of an answer to CONNECT, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Why there is no way through a proxy.
pub(super) enum Blocked {
    /// The proxy said no.
    Refused(Failure),
    /// The connection to it broke, or what came was not its protocol.
    Broken(io::Error),
}

impl From<io::Error> for Blocked {
    fn from(error: io::Error) -> Blocked {
        Blocked::Broken(error)
    }
}

/// Asks the proxy for a tunnel to `authority` (`host:port`).
pub(super) fn open(
    stream: &mut (impl Read + Write),
    proxy: &ProxyPolicy,
    named: &str,
    authority: &str,
) -> Result<(), Blocked> {
    let mut head = proxied::lines(proxy);
    let first = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    head.splice(0..0, first.bytes());
    head.extend_from_slice(b"\r\n");
    stream.write_all(&head)?;
    stream.flush()?;
    loop {
        let answer = read(stream)?;
        match answer.status {
            100..=199 => {}
            200..=299 => return Ok(()),
            _ => return Err(Blocked::Refused(proxied::refused_tunnel(named, &answer))),
        }
    }
}

/// The head of one answer, byte by byte so that nothing behind it is taken.
fn read(stream: &mut impl Read) -> io::Result<Answer> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() >= MAX_HEAD {
            return Err(io::Error::other("the proxy's answer is too long"));
        }
        match stream.read(&mut byte) {
            Ok(0) => return Err(io::Error::other("the proxy closed the connection")),
            Ok(_) => head.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if head.len() == 5 && head != b"HTTP/" {
            return Err(io::Error::other("what the proxy answered is not HTTP"));
        }
    }
    let text: String = head.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = text.lines();
    let status = lines
        .next()
        .and_then(|line| line.split_ascii_whitespace().nth(1)?.parse().ok())
        .filter(|status| (100..=999).contains(status))
        .ok_or_else(|| io::Error::other("what the proxy answered is not HTTP"))?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok(Answer {
        status,
        headers,
        body: Vec::new(),
        body_fault: None,
        tokens: Default::default(),
    })
}
