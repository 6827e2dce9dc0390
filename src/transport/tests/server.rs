//! A server that does to each request what its script says.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// What a server does when a request has come in.
#[derive(Clone)]
pub(super) enum Act {
    Send(Vec<u8>),
    /// Closes the connection as a server does.
    Close,
    /// Drops the connection so that its client sees a reset.
    Reset,
    /// Sends these bytes one by one, with that pause before each.
    Drip(Vec<u8>, Duration),
    /// Waits for the client to go away.
    Hang,
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Which connection, counted from 0.
    pub(super) connection: usize,
    /// The first line without its end.
    pub(super) line: String,
    /// Names as on the wire, values as bytes.
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Seen {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.header(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        let found: Vec<_> = self.headers.iter().filter(|(n, _)| n == name).collect();
        assert!(found.len() <= 1, "{name} came {} times", found.len());
        found.first().map(|(_, value)| value.as_slice())
    }
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    scheme: &'static str,
    seen: Receiver<Seen>,
    script: Script,
}

type Script = Arc<Mutex<VecDeque<Vec<Act>>>>;

impl Server {
    /// Takes requests on 127.0.0.1; each gets the next entry of the script, whatever its connection.
    pub(super) fn start(script: Vec<Vec<Act>>) -> Server {
        Server::on("127.0.0.1:0", script, None)
    }

    pub(super) fn on(address: &str, script: Vec<Vec<Act>>, tls: Option<Arc<ServerConfig>>) -> Server {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = mpsc::channel();
        let script = Arc::new(Mutex::new(VecDeque::from(script)));
        let shared = Arc::clone(&script);
        let scheme = if tls.is_some() { "https" } else { "http" };
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (script, sender, tls) = (Arc::clone(&script), sender.clone(), tls.clone());
                std::thread::spawn(move || match (stream, tls) {
                    (Ok(stream), None) => {
                        serve(number, &stream, stream.try_clone().unwrap(), &script, &sender)
                    }
                    (Ok(stream), Some(config)) => {
                        let raw = stream.try_clone().unwrap();
                        let tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                        serve(number, &raw, tls, &script, &sender);
                    }
                    (Err(_), _) => {}
                });
            }
        });
        Server {
            address,
            scheme,
            seen,
            script: shared,
        }
    }

    /// What to do with one request more.
    pub(super) fn then(&self, acts: Vec<Act>) {
        self.script.lock().unwrap().push_back(acts);
    }

    pub(super) fn url(&self, target: &str) -> String {
        format!("{}://{}{target}", self.scheme, self.address)
    }

    /// The next request, as soon as it has come in.
    pub(super) fn next(&self) -> Seen {
        self.seen
            .recv_timeout(Duration::from_secs(20))
            .expect("a request")
    }

    /// Whether nothing more has come in than was taken with `next`.
    pub(super) fn is_silent(&self) -> bool {
        self.seen.try_recv().is_err()
    }
}

/// A server's TLS setup with the test certificate for 127.0.0.1.
pub(super) fn tls_config() -> Arc<ServerConfig> {
    tls_config_that_asks(false)
}

/// The same; where it asks, it wants a client certificate of the test authority.
pub(super) fn tls_config_that_asks(asks: bool) -> Arc<ServerConfig> {
    tls_config_of(rustls::crypto::ring::default_provider(), asks)
}

/// The same with this cryptography.
pub(super) fn tls_config_of(provider: CryptoProvider, asks: bool) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(include_bytes!("../../../tests/support/tls/server.pem"))
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../../../tests/support/tls/server.key")).unwrap();
    let provider = Arc::new(provider);
    let mut roots = RootCertStore::empty();
    roots.add(test_ca()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match asks {
        true => builder.with_client_cert_verifier(verifier.build().unwrap()),
        false => builder.with_no_client_auth(),
    };
    Arc::new(builder.with_single_cert(chain, key).unwrap())
}

pub(super) fn test_ca() -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(include_bytes!("../../../tests/support/tls/ca.pem")).unwrap()
}

fn serve(
    number: usize,
    raw: &TcpStream,
    mut stream: impl Read + Write,
    script: &Script,
    seen: &Sender<Seen>,
) {
    while let Ok(Some(request)) = read_request(number, &mut stream) {
        let acts = script.lock().unwrap().pop_front().unwrap_or_default();
        let _ = seen.send(request);
        for act in acts {
            match act {
                Act::Send(bytes) => {
                    if stream.write_all(&bytes).and_then(|()| stream.flush()).is_err() {
                        return;
                    }
                }
                Act::Drip(bytes, pause) => {
                    for byte in bytes {
                        std::thread::sleep(pause);
                        if stream.write_all(&[byte]).and_then(|()| stream.flush()).is_err() {
                            return;
                        }
                    }
                }
                Act::Close => {
                    let _ = raw.shutdown(Shutdown::Both);
                    return;
                }
                Act::Reset => {
                    let _ = rustix::net::sockopt::set_socket_linger(raw, Some(Duration::ZERO));
                    return;
                }
                Act::Hang => {
                    let _ = stream.read(&mut [0]);
                    return;
                }
            }
        }
    }
}

fn read_request(connection: usize, stream: &mut impl Read) -> io::Result<Option<Seen>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let mut lines = head[..head.len() - 4]
        .split(|byte| *byte == b'\n')
        .map(|line| line.trim_ascii_end());
    let line = String::from_utf8(lines.next().unwrap().to_vec()).unwrap();
    let headers: Vec<(String, Vec<u8>)> = lines
        .map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').unwrap();
            (
                String::from_utf8(line[..colon].to_vec()).unwrap(),
                line[colon + 2..].to_vec(),
            )
        })
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| {
        std::str::from_utf8(value).unwrap().parse().unwrap()
    });
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some(Seen {
        connection,
        line,
        headers,
        body,
    }))
}
