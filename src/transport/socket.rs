//! A TCP socket whose every wait ends at the exchange's deadline or at shutdown.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketType, ipproto, sockopt};

use super::live::{Live, SLICE};
use super::phase::{self, Cause};

/// A connected, non-blocking socket.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Arc<TcpStream>,
    live: Arc<Live>,
}

impl Socket {
    /// Connects until `deadline`. Errors of kind `TimedOut` and, after shutdown, `Interrupted` are its own.
    pub(super) fn connect(address: SocketAddr, deadline: Instant, live: &Arc<Live>) -> io::Result<Socket> {
        let stream = open(address)?;
        match rustix::net::connect(&stream, &address) {
            Ok(()) => {}
            Err(Errno::INPROGRESS | Errno::INTR) => {
                loop {
                    if live.is_closed() {
                        return Err(io::ErrorKind::Interrupted.into());
                    }
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    if ready(&stream, PollFlags::OUT, left.min(SLICE))? {
                        break;
                    }
                }
                sockopt::socket_error(&stream)??;
            }
            Err(error) => return Err(error.into()),
        }
        stream.set_nodelay(true)?;
        let stream = Arc::new(stream);
        if !live.add(&stream) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(Socket {
            stream,
            live: Arc::clone(live),
        })
    }

    /// Whether the connection is open and silent, as one that waits for its next request must be.
    pub(super) fn is_idle(&self) -> bool {
        let mut byte = [0u8; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        !self.live.is_closed()
            && matches!(
                rustix::net::recv(&self.stream, &mut byte, flags),
                Err(Errno::AGAIN)
            )
    }

    /// Reads what has come in already.
    pub(super) fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.stream).read(buffer)
    }

    fn wait(&self, what: PollFlags) -> io::Result<()> {
        loop {
            let left = match phase::deadline() {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => Duration::ZERO,
            };
            if left.is_zero() {
                return Err(stopped(Cause::TimedOut, "time ran out"));
            }
            if ready(&self.stream, what, left)? {
                return Ok(());
            }
        }
    }

    fn lost(&self, error: &io::Error) -> io::Error {
        if self.live.is_closed() {
            return stopped(Cause::Closed, "casehook is shutting down");
        }
        stopped(Cause::Peer, &error.to_string())
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match (&*self.stream).read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::IN)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.lost(&error)),
                // Shutting down looks like the end of a body that ends with its connection.
                Ok(0) if self.live.is_closed() => {
                    return Err(stopped(Cause::Closed, "casehook is shutting down"));
                }
                Ok(amount) => return Ok(amount),
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        loop {
            match (&*self.stream).write(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::OUT)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.lost(&error)),
                Ok(amount) => {
                    phase::wrote(amount);
                    return Ok(amount);
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Not one of the kinds that ureq takes for a regular end of a body.
fn stopped(cause: Cause, text: &str) -> io::Error {
    phase::with(|exchange| exchange.cause = Some(cause));
    io::Error::other(text.to_owned())
}

/// Whether a socket can be read or written, or has failed, within that time.
fn ready(stream: &TcpStream, what: PollFlags, within: Duration) -> io::Result<bool> {
    let within = within.min(Duration::from_secs(3600));
    let time = Timespec {
        tv_sec: within.as_secs() as _,
        tv_nsec: within.subsec_nanos() as _,
    };
    match poll(&mut [PollFd::new(stream, what)], Some(&time)) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A non-blocking socket that no child process inherits.
fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let protocol = Some(ipproto::TCP);
    #[cfg(target_os = "linux")]
    {
        use rustix::net::SocketFlags;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, protocol)?;
        Ok(TcpStream::from(socket))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let socket = rustix::net::socket(family, SocketType::STREAM, protocol)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        #[cfg(target_vendor = "apple")]
        sockopt::set_socket_nosigpipe(&socket, true)?;
        let stream = TcpStream::from(socket);
        stream.set_nonblocking(true)?;
        Ok(stream)
    }
}
