//! A listening socket with a thread for each connection, that stops when dropped whatever its clients do.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::http::{Received, Reply, read_request};
use super::tls::Tls;

/// What becomes of a connection on which a request begins to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    Read,
    /// Close it, the request unread.
    Cut,
}

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Reply(Reply),
    /// Close the connection without a word.
    Cut,
}

/// What a server does. `answer` may block; it must return soon after `stopping` was called.
pub trait Service: Send + Sync + 'static {
    /// Asked at the first byte of each request.
    fn opening(&self) -> Opening {
        Opening::Read
    }
    fn answer(&self, request: Received) -> Answer;
    fn stopping(&self) {}
}

/// A server on one address.
pub struct Listener {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    service: Arc<dyn Service>,
    tls: Option<Tls>,
    stopping: AtomicBool,
    connections: Mutex<Vec<(TcpStream, JoinHandle<()>)>>,
}

impl Listener {
    /// Listens at `address`; port 0 picks a free one.
    pub fn start(address: &str, service: Arc<dyn Service>) -> io::Result<Listener> {
        Listener::start_with(address, service, None)
    }

    /// The same, behind TLS where it is given.
    pub fn start_with(address: &str, service: Arc<dyn Service>, tls: Option<Tls>) -> io::Result<Listener> {
        let socket = TcpListener::bind(address)?;
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared {
            service,
            tls,
            stopping: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let acceptor = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&socket)
        });
        Ok(Listener {
            address,
            shared,
            acceptor: Some(acceptor),
        })
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `127.0.0.1:port` or `[::1]:port`.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }
}

impl Shared {
    fn accept(self: &Arc<Shared>, socket: &TcpListener) {
        while let Ok((stream, _)) = socket.accept() {
            // The socket is closed by the return; whoever stops this server connects once to wake it.
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            let Ok(handle) = stream.try_clone() else { continue };
            let shared = Arc::clone(self);
            let thread = std::thread::spawn(move || shared.serve(stream));
            let mut connections = self.connections.lock().unwrap();
            connections.retain(|(_, thread)| !thread.is_finished());
            connections.push((handle, thread));
        }
    }

    fn serve(&self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let Ok(socket) = stream.try_clone() else { return };
        let _ = match &self.tls {
            None => self.converse(stream, None),
            Some(tls) => tls
                .accept(stream)
                .and_then(|(stream, client_cn)| self.converse(stream, client_cn)),
        };
        let _ = socket.shutdown(Shutdown::Both);
    }

    fn converse(&self, stream: impl Read + Write, client_cn: Option<String>) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        loop {
            if reader.fill_buf()?.is_empty() || self.service.opening() == Opening::Cut {
                return Ok(());
            }
            let Some(mut request) = read_request(&mut reader)? else {
                return Ok(());
            };
            request.client_cn.clone_from(&client_cn);
            let last = request
                .header("connection")
                .is_some_and(|v| v.eq_ignore_ascii_case("close"));
            match self.service.answer(request) {
                Answer::Reply(reply) if reply.write(reader.get_mut())? && !last => {}
                Answer::Reply(_) | Answer::Cut => return Ok(()),
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.shared.service.stopping();
        let connections = std::mem::take(&mut *self.shared.connections.lock().unwrap());
        for (stream, _) in &connections {
            let _ = stream.shutdown(Shutdown::Both);
        }
        for (_, thread) in connections {
            let _ = thread.join();
        }
    }
}
