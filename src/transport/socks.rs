//! SOCKS 5 (RFC 1928) with and without a login (RFC 1929).

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};

use url::Host;
use zeroize::Zeroizing;

use super::ProxyPolicy;
use super::failure::not_connected;
use super::tunnel::Blocked;
use super::{Failure, FailureKind};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const LOGIN: u8 = 2;

/// Where a SOCKS proxy is to connect to.
pub(super) enum Goal<'a> {
    Address(SocketAddr),
    /// A name that the proxy resolves.
    Name(&'a str, u16),
}

impl<'a> Goal<'a> {
    /// For the proxy to resolve, unless there is nothing to resolve.
    pub(super) fn remote(host: &'a Host<String>, port: u16) -> Goal<'a> {
        match host {
            Host::Domain(name) => Goal::Name(name, port),
            Host::Ipv4(address) => Goal::Address((IpAddr::V4(*address), port).into()),
            Host::Ipv6(address) => Goal::Address((IpAddr::V6(*address), port).into()),
        }
    }
}

/// Logs in where the proxy wants it, and has it connect.
pub(super) fn open(
    stream: &mut (impl Read + Write),
    proxy: &ProxyPolicy,
    named: &str,
    goal: &Goal<'_>,
) -> Result<(), Blocked> {
    let offered: &[u8] = if proxy.login.is_some() {
        &[VERSION, 2, NO_LOGIN, LOGIN]
    } else {
        &[VERSION, 1, NO_LOGIN]
    };
    write(stream, offered)?;
    let [version, method] = read(stream)?;
    if version != VERSION {
        return Err(io::Error::other("what the proxy answered is not SOCKS 5").into());
    }
    match (method, &proxy.login) {
        (NO_LOGIN, _) => {}
        (LOGIN, Some(login)) => {
            let mut message = Zeroizing::new(vec![1]);
            for text in [&login.user, &login.password] {
                let length = u8::try_from(text.len())
                    .map_err(|_| credentials(named, "user and password may have 255 bytes each"))?;
                message.push(length);
                message.extend_from_slice(text.as_bytes());
            }
            write(stream, &message)?;
            let [_, status] = read(stream)?;
            if status != 0 {
                return Err(credentials(
                    named,
                    "it refused the login: check the user and password of the proxy",
                ));
            }
        }
        (_, None) => {
            return Err(credentials(
                named,
                "it wants a login: give the user and password of the proxy",
            ));
        }
        (_, Some(_)) => return Err(credentials(named, "it takes no login by user and password")),
    }
    connect(stream, named, goal)
}

fn connect(stream: &mut (impl Read + Write), named: &str, goal: &Goal<'_>) -> Result<(), Blocked> {
    let mut message = vec![VERSION, 1, 0];
    let port = match goal {
        Goal::Address(address) => {
            match address.ip() {
                IpAddr::V4(ip) => {
                    message.push(1);
                    message.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    message.push(4);
                    message.extend_from_slice(&ip.octets());
                }
            }
            address.port()
        }
        Goal::Name(name, port) => {
            let length = u8::try_from(name.len()).map_err(|_| {
                let message = format!("the proxy {named} cannot be asked for a name of more than 255 bytes");
                Blocked::Refused(not_connected("proxy", message))
            })?;
            message.extend_from_slice(&[3, length]);
            message.extend_from_slice(name.as_bytes());
            *port
        }
    };
    message.extend_from_slice(&port.to_be_bytes());
    write(stream, &message)?;
    let [_, reply, _, kind] = read(stream)?;
    if reply != 0 {
        let why = match reply {
            2 => "its rules do not allow it",
            3 => "the target's network is unreachable",
            4 => "the target is unreachable, or its name is not known",
            5 => "the target refused the connection",
            6 => "the target is too far away",
            7 => "it does not connect for others",
            8 => "it does not know this kind of address",
            _ => "it could not connect to the target",
        };
        let message = format!("the proxy {named} answered {reply}: {why}");
        return Err(Blocked::Refused(not_connected("proxy", message)));
    }
    // The address that it connects from, which is of no use.
    match kind {
        1 => drop(read::<6>(stream)?),
        4 => drop(read::<18>(stream)?),
        3 => {
            let [length] = read(stream)?;
            for _ in 0..usize::from(length) + 2 {
                let [_] = read(stream)?;
            }
        }
        _ => return Err(io::Error::other("what the proxy answered is not SOCKS 5").into()),
    }
    Ok(())
}

fn credentials(named: &str, why: &str) -> Blocked {
    Blocked::Refused(Failure {
        kind: FailureKind::Credentials,
        code: "proxy",
        message: format!("the proxy {named}: {why}"),
        status: None,
    })
}

fn write(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

fn read<const N: usize>(stream: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream
        .read_exact(&mut bytes)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::other("the proxy closed the connection"),
            _ => error,
        })?;
    Ok(bytes)
}
