//! The test servers themselves: what other tests conclude from them is worth no more than they are.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use support::case_system::{CaseSystem, Fault};
use support::http::Reply;
use support::scripted::{Line, Scripted, line};

const PATIENCE: Duration = Duration::from_secs(10);

/// One connection of a client that hides nothing.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(url: &str) -> Client {
        let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(BufReader::new(stream))
    }

    fn send(&mut self, method: &str, target: &str, headers: &str, body: &str) {
        let length = body.len();
        let head =
            format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{headers}Content-Length: {length}\r\n\r\n");
        let _ = self.0.get_mut().write_all(format!("{head}{body}").as_bytes());
    }

    /// Status and body of the next answer; none when the connection ends instead.
    fn read(&mut self) -> Option<(u16, String)> {
        let mut first = String::new();
        self.0.read_line(&mut first).ok().filter(|n| *n > 0)?;
        let mut length = 0;
        loop {
            let mut header = String::new();
            self.0.read_line(&mut header).unwrap();
            if header == "\r\n" {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        Some((
            first.split(' ').nth(1)?.parse().ok()?,
            String::from_utf8(body).ok()?,
        ))
    }

    fn ask(&mut self, method: &str, target: &str, headers: &str, body: &str) -> Option<(u16, String)> {
        self.send(method, target, headers, body);
        self.read()
    }
}

#[test]
fn a_script_is_one_queue_for_all_listeners() {
    let server = Scripted::start([Reply::empty(201).into(), Reply::empty(202).into()]);
    let mut first = Client::new(&server.base());
    let mut second = Client::new(&server.fill("__BASE2__"));
    assert_eq!(
        first
            .ask("POST", "/a%20b/../c?x", "X-A: 1\r\nx-a:  2 \r\n", "body")
            .unwrap()
            .0,
        201
    );
    assert_eq!(second.ask("GET", "/", "", "").unwrap().0, 202);
    assert_eq!(
        first.ask("GET", "/", "", "").unwrap().0,
        500,
        "the script is at its end"
    );
    let received = server.received();
    assert_eq!(received.len(), 3);
    assert_eq!(received[0].target, "/a%20b/../c?x");
    assert_eq!(received[0].header("x-a"), Some("1, 2"));
    assert_eq!(received[0].body, b"body");
}

#[test]
fn a_script_can_break_off() {
    let cut = |flag: &str| line(&json!({"status": 200, "reason": "OK", "body": "1234", flag: true}));
    let server = Scripted::start([cut("destroy"), cut("truncate")]);
    assert_eq!(Client::new(&server.base()).ask("GET", "/", "", ""), None);
    let mut client = Client::new(&server.base());
    client.send("GET", "/", "", "");
    let mut all = String::new();
    client.0.read_to_string(&mut all).unwrap();
    assert!(
        all.contains("content-length: 14\r\n") && all.ends_with("\r\n\r\n1234"),
        "{all}"
    );
}

#[test]
fn a_server_stops_whatever_its_clients_do() {
    let started = Instant::now();
    let server = Scripted::start([Line {
        delay: Duration::from_secs(600),
        ..Line::default()
    }]);
    let mut waiting = Client::new(&server.base());
    waiting.send("GET", "/", "", "");
    let _silent = Client::new(&server.base());
    while server.received().is_empty() {
        std::thread::yield_now();
    }
    drop(server);
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn the_case_system_keeps_cases() {
    let system = CaseSystem::start();
    let mut client = Client::new(&system.url());
    let (status, body) = client
        .ask("POST", "/issues", "", r#"{"caseId":"a b","title":"t"}"#)
        .unwrap();
    assert_eq!(
        (status, body.as_str()),
        (201, r#"{"id":"1001","key":"CASE-1001"}"#)
    );
    assert_eq!(
        client
            .ask("PATCH", "/issues/1001", "", r#"{"title":"u"}"#)
            .unwrap()
            .0,
        200
    );
    assert_eq!(
        client
            .ask("POST", "/issues/1001/comments", "", r#"{"body":"c"}"#)
            .unwrap()
            .0,
        201
    );
    let (_, found) = client.ask("GET", "/issues?q=a%20b", "", "").unwrap();
    assert!(found.contains(r#""id":"1001""#), "{found}");
    assert_eq!(
        client.ask("GET", "/issues?q=b", "", "").unwrap().1,
        r#"{"issues":[]}"#
    );
    assert_eq!(client.ask("GET", "/issues/7", "", "").unwrap().0, 404);
    let incidents = system.incidents_of("a b");
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].fields["title"], "u");
    assert_eq!((incidents[0].updates, incidents[0].comments.len()), (1, 1));
}

#[test]
fn the_case_system_honours_keys_when_told_to() {
    let system = CaseSystem::start();
    let mut client = Client::new(&system.url());
    let mut create = || {
        client
            .ask("POST", "/issues", "Idempotency-Key: k\r\n", "{}")
            .unwrap()
    };
    create();
    create();
    assert_eq!(system.incidents().len(), 2);
    system.honour_keys(true);
    let first = create();
    assert_eq!(create(), first);
    assert_eq!(system.incidents().len(), 3);
}

#[test]
fn the_case_system_fails_as_told() {
    let system = CaseSystem::start();
    let create = || Client::new(&system.url()).ask("POST", "/issues", "", "{}");
    for (fault, status, read, made) in [
        (
            Fault::Reply(Reply::empty(503).with("retry-after", "1")),
            Some(503),
            1,
            0,
        ),
        (Fault::CutBeforeReading, None, 0, 0),
        (Fault::CutAfterReading, None, 1, 0),
        (Fault::CutAfterActing, None, 1, 1),
    ] {
        let before = (system.requests().len(), system.incidents().len());
        system.fail_next(1, fault.clone());
        assert_eq!(create().map(|(status, _)| status), status, "{fault:?}");
        assert_eq!(system.requests().len() - before.0, read, "{fault:?}");
        assert_eq!(system.incidents().len() - before.1, made, "{fault:?}");
    }
    assert_eq!(
        create().map(|(status, _)| status),
        Some(201),
        "the faults are used up"
    );
}

#[test]
fn the_case_system_hangs_until_let_go() {
    let system = CaseSystem::start();
    system.fail_always(Fault::Hang);
    let mut client = Client::new(&system.url());
    client.send("POST", "/issues", "", "{}");
    assert!(system.wait_for_requests(1, PATIENCE));
    system.clear_faults();
    assert_eq!(client.read(), None);
    assert!(system.incidents().is_empty());
}

#[test]
fn the_case_system_goes_down_and_comes_back_on_its_port() {
    let system = CaseSystem::start();
    let url = system.url();
    let mut client = Client::new(&url);
    client.ask("POST", "/issues", "", "{}").unwrap();
    system.down();
    assert!(TcpStream::connect(url.trim_start_matches("http://")).is_err());
    assert_eq!(client.ask("GET", "/issues/1001", "", ""), None);
    system.up();
    assert_eq!(
        Client::new(&url).ask("GET", "/issues/1001", "", "").unwrap().0,
        200
    );
}

#[test]
fn a_script_can_speak_tls() {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
    use std::sync::Arc;

    let pem = include_bytes!("conformance/vectors/tls-files/server.pem");
    let key = include_bytes!("conformance/vectors/tls-files/server.key");
    let tls = support::tls::Tls::new(pem, key);
    let server = Scripted::start_with([Reply::empty(204).into()], Some(tls));
    let mut roots = rustls::RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(include_bytes!("conformance/vectors/tls-files/ca.pem"));
    roots.add(authority.unwrap()).unwrap();
    let client = CertificateDer::from_pem_slice(include_bytes!("conformance/vectors/tls-files/client.pem"));
    let client_key = rustls::pki_types::PrivateKeyDer::from_pem_slice(include_bytes!(
        "conformance/vectors/tls-files/client.key"
    ));
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![client.unwrap()], client_key.unwrap())
            .unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(server.fill("127.0.0.1:__TLSPORT__")).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, stream);
    stream
        .write_all(b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    let _ = BufReader::new(&mut stream).read_line(&mut answer);
    assert_eq!(answer, "HTTP/1.1 204 \r\n");
    assert_eq!(server.received()[0].client_cn.as_deref(), Some("oracle client"));
}
