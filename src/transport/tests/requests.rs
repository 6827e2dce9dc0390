//! What goes over the wire, and over which connection.

use super::server::tls_config;
use super::*;

#[test]
fn a_request_on_the_wire() {
    let server = Server::start(vec![ok()]);
    let headers = [("Content-Type", "application/json"), ("X-Caf\u{e9}", "")];
    let refused = send(&request(Method::Put, &server.url("/a"), &headers, Some(b"{}"))).unwrap_err();
    assert_eq!(
        (refused.kind, refused.code),
        (super::super::FailureKind::Refused, "request")
    );

    let headers = [
        ("Content-Type", "application/json"),
        ("X-Key", "caf\u{e9} \u{ff}\tx"),
        ("Authorization", "Token \u{e9}"),
        ("Accept-Encoding", "br"),
        ("Content-Length", "999"),
        ("Host", "elsewhere"),
    ];
    let body = br#"{"a":1}"#;
    let got = send(&request(
        Method::Put,
        &server.url("/i%20x?q=1#frag"),
        &headers,
        Some(body),
    ))
    .unwrap();
    assert_eq!(
        (got.status, got.body.as_slice(), got.body_fault.clone()),
        (200, &b"{}"[..], None)
    );
    assert_eq!(got.header("content-type"), Some("application/json"));

    let seen = server.next();
    assert_eq!(seen.line, "PUT /i%20x?q=1 HTTP/1.1");
    assert_eq!(seen.body, body);
    for (name, value) in [
        ("host", server.address.to_string().as_bytes()),
        ("content-type", b"application/json"),
        ("content-length", b"7"),
        ("x-key", b"caf\xe9 \xff\tx"),
        ("authorization", b"Token \xe9"),
        ("accept", b"application/json, */*"),
        ("accept-encoding", b"gzip"),
        (
            "user-agent",
            concat!("casehook/", env!("CARGO_PKG_VERSION")).as_bytes(),
        ),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    assert_eq!(seen.headers.len(), 8, "{:?}", seen.headers);
}

#[test]
fn configured_accept_and_user_agent_win() {
    let server = Server::start(vec![ok()]);
    let headers = [("Accept", "text/plain"), ("User-Agent", "me")];
    send(&request(Method::Get, &server.url("/"), &headers, None)).unwrap();
    let seen = server.next();
    assert_eq!(
        (seen.header("accept"), seen.header("user-agent")),
        (Some(&b"text/plain"[..]), Some(&b"me"[..]))
    );
    assert_eq!(seen.header("content-length"), None);
}

#[test]
fn every_url_is_asked_for_as_it_is_serialised() {
    let printable: String = (' '..='~').filter(|c| !matches!(c, '#' | '?' | '\\')).collect();
    let mut targets: Vec<String> = [
        "/",
        "/?",
        "/a//b/",
        "/?a=1",
        "/a%2Fb%zz",
        "/a?x=//b//&y",
        "/\u{e9}?\u{1f600}",
        "/a|b^c`d\"e<f>g",
        "/a{b}c",
    ]
    .map(str::to_owned)
    .to_vec();
    targets.push(format!("/p{printable}"));
    targets.push(format!("/q?{printable}\\?"));
    let server = Server::start(vec![ok(); targets.len()]);
    let transport = HttpTransport::new(1);
    for target in targets {
        let request = request(Method::Get, &server.url(&target), &[], None);
        transport.send(&request).unwrap();
        let expected = &request.url[url::Position::BeforePath..url::Position::AfterQuery];
        assert_eq!(server.next().line, format!("GET {expected} HTTP/1.1"));
    }
    let expected = "/issue?a={x}|y^z`w\\v";
    let server = Server::start(vec![ok()]);
    send(&request(Method::Get, &server.url(expected), &[], None)).unwrap();
    assert_eq!(server.next().line, format!("GET {expected} HTTP/1.1"));
}

#[test]
fn hosts_as_the_url_parser_writes_them() {
    for (host, expected) in [
        ("LOCALHOST", "localhost"),
        ("127.1", "127.0.0.1"),
        ("b\u{fc}cher.test", "xn--bcher-kva.test"),
    ] {
        let server = Server::start(vec![ok()]);
        let port = server.address.port();
        let transport = transport_where_names_are("127.0.0.1");
        transport.send(&post(&format!("http://{host}:{port}/"))).unwrap();
        assert_eq!(
            server.next().header("host"),
            Some(format!("{expected}:{port}").as_bytes())
        );
    }
}

#[test]
fn over_ipv6() {
    let server = Server::on("[::1]:0", vec![ok(), ok()], None);
    let port = server.address.port();
    for host in ["[::1]", "[0:0:0:0:0:0:0:1]"] {
        send(&post(&format!("http://{host}:{port}/"))).unwrap();
        assert_eq!(
            server.next().header("host"),
            Some(format!("[::1]:{port}").as_bytes())
        );
    }
}

#[test]
fn large_lines_and_bodies() {
    let server = Server::start(vec![ok(), ok()]);
    let transport = HttpTransport::new(1);
    transport.send(&post(&server.url("/small"))).unwrap();
    server.next();
    let value = "v".repeat(40_000);
    let target = format!("/{}", "p".repeat(50_000));
    let body = vec![b'x'; 3_000_000];
    transport
        .send(&request(
            Method::Post,
            &server.url(&target),
            &[("x-long", &value)],
            Some(&body),
        ))
        .unwrap();
    let seen = server.next();
    assert_eq!(seen.line, format!("POST {target} HTTP/1.1"));
    assert_eq!(
        (seen.connection, seen.header("x-long")),
        (0, Some(value.as_bytes()))
    );
    assert!(seen.body == body);
    let endless = request(
        Method::Get,
        &server.url(&format!("/{}", "p".repeat(70_000))),
        &[],
        None,
    );
    assert_eq!(transport.send(&endless).unwrap_err().code, "request");
}

#[test]
fn head_and_body_leave_in_one_write() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = vec![0; 10_000];
        let amount = stream.read(&mut bytes).unwrap();
        stream.write_all(b"HTTP/1.1 204 No\r\n\r\n").unwrap();
        bytes.truncate(amount);
        bytes
    });
    send(&request(Method::Post, &url, &[], Some(b"the body"))).unwrap();
    assert!(server.join().unwrap().ends_with(b"\r\n\r\nthe body"));
}

#[test]
fn an_empty_body_has_a_length() {
    let server = Server::start(vec![ok(), ok()]);
    for body in [None, Some(&b""[..])] {
        send(&request(Method::Post, &server.url("/"), &[], body)).unwrap();
        assert_eq!(server.next().header("content-length"), Some(&b"0"[..]));
    }
}

#[test]
fn connections_are_kept_for_each_policy() {
    let server = Server::start(vec![ok(); 6]);
    let transport = HttpTransport::new(2);
    let mut used = Vec::new();
    for _ in 0..4 {
        transport.send(&post(&server.url("/"))).unwrap();
        used.push(server.next().connection);
    }
    assert_eq!(used, [0, 0, 0, 0]);
    let other = limited(
        post(&server.url("/")),
        ExchangeLimits {
            body_bytes: 77,
            ..LIMITS
        },
    );
    transport.send(&other).unwrap();
    assert_eq!(server.next().connection, 1);
    transport.send(&post(&server.url("/"))).unwrap();
    assert_eq!(server.next().connection, 0);
}

#[test]
fn a_connection_that_its_server_closed_is_not_used_again() {
    let closing = [ok(), vec![Act::Close]].concat();
    let server = Server::start(vec![closing.clone(), closing, ok()]);
    let transport = HttpTransport::new(1);
    for expected in 0..3 {
        // The close and the next request race: it is lost or goes over a new connection, and never comes
        // twice.
        while transport.send(&post(&server.url("/"))).is_err() {
            assert!(server.is_silent());
        }
        assert_eq!(server.next().connection, expected);
    }
}

#[test]
fn over_tls() {
    let server = Server::on("127.0.0.1:0", vec![ok(), ok(), ok()], Some(tls_config()));
    let transport = HttpTransport::new(1);
    let body = vec![b'x'; 300_000];
    for expected in [&b"{}"[..], &body, b"last"] {
        let request = trusting(request(Method::Post, &server.url("/t"), &[], Some(expected)));
        assert_eq!(transport.send(&request).unwrap().status, 200);
        let seen = server.next();
        assert_eq!((seen.connection, seen.line.as_str()), (0, "POST /t HTTP/1.1"));
        assert!(seen.body == expected);
    }
}
