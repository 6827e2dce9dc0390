//! Every way in which there is no answer, and what it means.

use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Instant;

use rustix::net::{AddressFamily, SocketType};

use super::super::FailureKind::{self, Lost, NotConnected, Refused};
use super::server::{tls_config, tls_config_that_asks};
use super::*;

#[track_caller]
fn expect(result: Result<Answer, Failure>, kind: FailureKind, code: &str) -> String {
    let failure = result.expect_err("a failure");
    assert_eq!((failure.kind, failure.code), (kind, code), "{}", failure.message);
    failure.message
}

/// An address where connecting never ends: a listener whose queue is full.
fn tarpit() -> (impl Drop, Vec<std::net::TcpStream>, std::net::SocketAddr) {
    struct Kept(#[allow(dead_code)] TcpListener);
    impl Drop for Kept {
        fn drop(&mut self) {}
    }
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap()).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let mut fillers = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        fillers.push(stream);
        assert!(fillers.len() < 50, "the queue never fills");
    }
    (Kept(listener), fillers, address)
}

#[test]
fn refused_connection() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let message = expect(
        send(&post(&format!("http://{address}/"))),
        NotConnected,
        "connectionRefused",
    );
    assert!(message.contains(&address.to_string()), "{message}");
}

#[test]
fn names_without_address() {
    for lookup in [Ok(vec![]), Err("no such host")] {
        let names = Names::new(Arc::new(move |_| lookup.clone().map_err(std::io::Error::other)));
        let transport = HttpTransport::with(1, names);
        let message = expect(transport.send(&post("http://nowhere.test/")), NotConnected, "dns");
        assert!(message.contains("nowhere.test"), "{message}");
    }
}

#[test]
fn a_name_is_looked_up_once_in_a_while_and_its_failure_every_time() {
    let server = Server::start(vec![ok(), ok()]);
    let (asked, counted) = mpsc::channel();
    let names = Names::new(Arc::new(move |name| {
        asked.send(name.to_owned()).unwrap();
        if name == "gone.test" {
            Ok(vec![])
        } else {
            Ok(vec!["127.0.0.1".parse().unwrap()])
        }
    }));
    let transport = HttpTransport::with(1, names);
    let url = format!("http://here.test:{}/", server.address.port());
    for _ in 0..2 {
        transport.send(&post(&url)).unwrap();
        transport.send(&post("http://gone.test/")).unwrap_err();
    }
    let asked: Vec<String> = counted.try_iter().collect();
    assert_eq!(asked, ["here.test", "gone.test", "gone.test"]);
}

#[test]
fn the_second_address_is_tried() {
    let server = Server::start(vec![ok()]);
    let names = Names::new(Arc::new(|_| {
        Ok(vec!["::1".parse().unwrap(), "127.0.0.1".parse().unwrap()])
    }));
    let transport = HttpTransport::with(1, names);
    transport
        .send(&post(&format!("http://both.test:{}/", server.address.port())))
        .unwrap();
}

#[test]
fn connect_time_out() {
    let limits = ExchangeLimits {
        connect: Duration::from_millis(150),
        ..LIMITS
    };
    let (_listener, _fillers, address) = tarpit();
    let began = Instant::now();
    expect(
        send(&limited(post(&format!("http://{address}/")), limits)),
        NotConnected,
        "connectTimeout",
    );
    assert!(began.elapsed() < Duration::from_secs(10));

    // A look-up that does not end, and a handshake that does not.
    let (_release, hold) = mpsc::channel::<()>();
    let hold = std::sync::Mutex::new(hold);
    let names = Names::new(Arc::new(move |_| {
        let _ = hold.lock().unwrap().recv();
        Ok(vec![])
    }));
    let transport = HttpTransport::with(1, names);
    expect(
        transport.send(&limited(post("http://slow.test/"), limits)),
        NotConnected,
        "connectTimeout",
    );

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    expect(send(&limited(post(&url), limits)), NotConnected, "connectTimeout");
}

#[test]
fn tls_that_fails() {
    let server = Server::on("127.0.0.1:0", vec![ok()], Some(tls_config()));
    let message = expect(send(&post(&server.url("/"))), NotConnected, "tls");
    assert!(message.contains("authority that is not trusted"), "{message}");
    assert!(server.is_silent());

    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", plain.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = plain.accept().unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let message = expect(send(&post(&url)), NotConnected, "tls");
    assert!(message.contains("http port"), "{message}");

    let port = server.address.port();
    let message = expect(
        transport_where_names_are("127.0.0.1").send(&trusting(post(&format!("https://other.test:{port}/")))),
        NotConnected,
        "tls",
    );
    assert!(message.contains("another name"), "{message}");
}

#[test]
fn a_client_certificate_that_is_missed_after_the_handshake() {
    let server = Server::on("127.0.0.1:0", vec![ok()], Some(tls_config_that_asks(true)));
    let message = expect(send(&trusting(post(&server.url("/")))), NotConnected, "tls");
    assert!(message.contains("client certificate"), "{message}");
    assert!(server.is_silent());
}

#[test]
fn a_connection_that_breaks_after_the_request() {
    let cut = raw("HTTP/1.1 201 Created\r\ncontent-length: 10\r\n\r\n{}");
    let chunked = raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab");
    let open_end = raw("HTTP/1.1 200 OK\r\n\r\n{}");
    for acts in [
        vec![Act::Close],
        vec![Act::Reset],
        vec![raw("HTTP/1.1 20"), Act::Close],
        vec![raw("HTTP/1.1 200 OK\r\ncontent-"), Act::Close],
        vec![cut.clone(), Act::Close],
        vec![cut, Act::Reset],
        vec![chunked, Act::Close],
        vec![raw("what is this?\r\n\r\n"), Act::Close],
        // Sent apart, so that the client reads the bytes before it meets the reset.
        vec![
            open_end,
            Act::Drip(b"   ".to_vec(), Duration::from_millis(20)),
            Act::Reset,
        ],
    ] {
        let server = Server::start(vec![acts]);
        expect(send(&post(&server.url("/"))), Lost, "connectionLost");
        server.next();
        assert!(server.is_silent(), "sent twice");
    }
}

#[test]
fn an_answer_that_takes_too_long() {
    let limits = ExchangeLimits {
        response: Duration::from_millis(200),
        ..LIMITS
    };
    let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n");
    for acts in [
        vec![Act::Hang],
        vec![head.clone(), Act::Hang],
        vec![head, Act::Drip(vec![b' '; 10_000], Duration::from_millis(10))],
    ] {
        let server = Server::start(vec![acts]);
        let began = Instant::now();
        expect(
            send(&limited(post(&server.url("/")), limits)),
            Lost,
            "responseTimeout",
        );
        let took = began.elapsed();
        assert!(
            (Duration::from_millis(190)..Duration::from_secs(10)).contains(&took),
            "{took:?}"
        );
    }
}

#[test]
fn token_redirects_and_answer_share_one_end() {
    use super::super::token::TokenGrant;
    let limits = ExchangeLimits {
        connect: Duration::from_millis(100),
        response: Duration::from_millis(1000),
        body_bytes: 1 << 20,
    };
    // Each alone is within its time: 600 ms for the token, and as much for an answer that refuses it.
    let slow = |text: &str| {
        vec![Act::Drip(
            text.as_bytes().to_vec(),
            Duration::from_millis(600) / text.len() as u32,
        )]
    };
    let token = "HTTP/1.1 200 OK\r\ncontent-length: 23\r\n\r\n{\"access_token\": \"tok\"}";
    let refused = "HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n";
    let tokens = Server::start(vec![slow(token), slow(token), slow(token)]);
    let server = Server::start(vec![slow(refused), slow(refused)]);
    let mut request = limited(post(&server.url("/")), limits);
    let grant = TokenGrant::new(tokens.url("/").parse().unwrap(), &[("a", "b")], None);
    request.token = Some(Arc::new(grant));
    let failure = send(&request).unwrap_err();
    assert!(
        matches!(failure.code, "responseTimeout" | "connectTimeout"),
        "{failure:?}"
    );
}

#[test]
fn a_request_that_nobody_reads_times_out() {
    let limits = ExchangeLimits {
        response: Duration::from_millis(200),
        ..LIMITS
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let large = request(Method::Post, &url, &[], Some(&vec![b'x'; 30_000_000]));
    expect(send(&limited(large, limits)), Lost, "responseTimeout");
}

#[test]
fn private_addresses() {
    let server = Server::start(vec![]);
    let port = server.address.port();
    for host in ["127.0.0.1", "name.test"] {
        let mut request = post(&format!("http://{host}:{port}/"));
        request.network = Arc::new(NetworkPolicy {
            deny_private_addresses: true,
            ..policy(LIMITS)
        });
        let message = expect(
            transport_where_names_are("127.0.0.1").send(&request),
            Refused,
            "addressNotAllowed",
        );
        assert!(message.contains("127.0.0.1"), "{message}");
    }
    assert!(server.is_silent());
}

#[test]
fn urls_that_are_not_sent() {
    for url in [
        "ftp://127.0.0.1/",
        "http://user:geheim@127.0.0.1/",
        "http://user@127.0.0.1/",
    ] {
        let message = expect(send(&post(url)), Refused, "request");
        assert!(
            !message.contains("geheim") && !message.contains("user@"),
            "{message}"
        );
    }
}

/// Runs `send` in a thread, calls `shutdown` once `begun` has returned, and gives the result back.
fn shut_down_during(
    transport: HttpTransport,
    request: Request,
    begun: impl FnOnce(),
) -> Result<Answer, Failure> {
    let transport = Arc::new(transport);
    let sender = std::thread::spawn({
        let transport = Arc::clone(&transport);
        move || transport.send(&request)
    });
    begun();
    let began = Instant::now();
    transport.shutdown();
    let result = sender.join().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    expect(transport.send(&post("http://127.0.0.1/")), NotConnected, "closed");
    result
}

#[test]
fn shutdown_while_waiting_for_an_answer() {
    let head = raw("HTTP/1.1 200 OK\r\n\r\n{}");
    for acts in [vec![Act::Hang], vec![head, Act::Hang]] {
        let server = Server::start(vec![acts]);
        let request = post(&server.url("/"));
        let result = shut_down_during(HttpTransport::new(1), request, || {
            server.next();
        });
        expect(result, Lost, "closed");
    }
}

#[test]
fn shutdown_while_writing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let large = request(Method::Post, &url, &[], Some(&vec![b'x'; 30_000_000]));
    let result = shut_down_during(HttpTransport::new(1), large, || {
        let (stream, _) = listener.accept().unwrap();
        stream.peek(&mut [0]).unwrap();
        std::mem::forget(stream);
    });
    expect(result, Lost, "closed");
}

#[test]
fn shutdown_while_connecting() {
    let (_listener, _fillers, address) = tarpit();
    let (resolved, connecting) = mpsc::channel();
    let names = Names::new(Arc::new(move |_| {
        resolved.send(()).unwrap();
        Ok(vec!["127.0.0.1".parse().unwrap()])
    }));
    let request = post(&format!("http://name.test:{}/", address.port()));
    let result = shut_down_during(HttpTransport::with(1, names), request, || {
        connecting.recv().unwrap()
    });
    expect(result, NotConnected, "closed");
}

#[test]
fn shutdown_while_resolving_or_shaking_hands() {
    let (asked, resolving) = mpsc::channel();
    let (_release, hold) = mpsc::channel::<()>();
    let hold = std::sync::Mutex::new(hold);
    let names = Names::new(Arc::new(move |_| {
        asked.send(()).unwrap();
        let _ = hold.lock().unwrap().recv();
        Ok(vec![])
    }));
    let request = post("http://name.test/");
    let result = shut_down_during(HttpTransport::with(1, names), request, || {
        resolving.recv().unwrap()
    });
    expect(result, NotConnected, "closed");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let request = post(&format!("https://{}/", silent.local_addr().unwrap()));
    let mut accepted = None;
    let result = shut_down_during(HttpTransport::new(1), request, || {
        let (stream, _) = silent.accept().unwrap();
        stream.peek(&mut [0]).unwrap();
        accepted = Some(stream);
    });
    expect(result, NotConnected, "closed");
}
