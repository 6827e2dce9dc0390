//! What a connection is made of: a socket, or TLS over one, so that TLS can run within TLS behind an https proxy.

use std::io::{self, Read, Write};

use rustls::{ClientConnection, StreamOwned};

use super::socket::Socket;

/// A way to the other end.
pub(super) enum Link {
    Plain(Socket),
    /// TLS with a proxy.
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

impl Link {
    /// Reads what has come in already; `WouldBlock` when nothing has.
    pub(super) fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Link::Plain(socket) => socket.read_now(buffer),
            Link::Tls(tls) => read_now(&mut tls.conn, buffer, |raw| tls.sock.read_now(raw)),
        }
    }

    /// Whether the connection is open and silent, as one that waits for its next request must be.
    pub(super) fn is_idle(&mut self) -> bool {
        match self {
            Link::Plain(socket) => socket.is_idle(),
            Link::Tls(_) => is_silent(self.read_now(&mut [0])),
        }
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Link::Plain(socket) => socket.read(buffer),
            Link::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Link {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Link::Plain(socket) => socket.write(buffer),
            Link::Tls(tls) => tls.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Link::Plain(socket) => socket.flush(),
            Link::Tls(tls) => tls.flush(),
        }
    }
}

/// Takes in what has come through TLS already: data, or what TLS itself sends between two answers.
pub(super) fn read_now(
    connection: &mut ClientConnection,
    buffer: &mut [u8],
    from: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    struct Source<F>(F);
    impl<F: FnMut(&mut [u8]) -> io::Result<usize>> Read for Source<F> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            (self.0)(buffer)
        }
    }
    let mut source = Source(from);
    loop {
        match connection.reader().read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
        match connection.read_tls(&mut source) {
            Ok(0) => return Ok(0),
            Ok(_) => {
                connection.process_new_packets().map_err(io::Error::other)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether a read of what has come in already found nothing, and no end either.
pub(super) fn is_silent(read: io::Result<usize>) -> bool {
    matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}
