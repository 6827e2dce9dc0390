//! Bodies, limits and heads of answers.

use super::super::BodyFault;
use super::super::body::tests::gzip;
use super::*;

fn get(server: &Server) -> Request {
    request(Method::Get, &server.url("/"), &[], None)
}

#[test]
fn bodies_however_they_are_framed() {
    let server = Server::start(vec![
        vec![raw(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        )],
        vec![raw(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        )],
        vec![raw(
            "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabcde",
        )],
        vec![raw("HTTP/1.1 204 No Content\r\n\r\n")],
        vec![raw("HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n")],
        vec![answer("200 OK", "content-encoding: gzip\r\n", &gzip(b"abcde"))],
        vec![raw("HTTP/1.1 200 OK\r\n\r\nabcde"), Act::Close],
        vec![raw("HTTP/1.0 200\r\n\r\nabcde"), Act::Close],
    ]);
    let transport = HttpTransport::new(1);
    let got: Vec<(u16, Vec<u8>, Option<BodyFault>)> = (0..8)
        .map(|_| transport.send(&get(&server)).unwrap())
        .map(|answer| (answer.status, answer.body, answer.body_fault))
        .collect();
    let (five, none) = (b"abcde".to_vec(), Vec::new());
    let statuses = [200, 200, 200, 204, 304, 200, 200, 200];
    let bodies = [&five, &none, &five, &none, &none, &five, &five, &five];
    for (index, (status, body, fault)) in got.into_iter().enumerate() {
        assert_eq!(
            (status, &body, fault),
            (statuses[index], bodies[index], None),
            "{index}"
        );
    }
    // All the framed ones leave the connection in order.
    assert!((0..7).all(|_| server.next().connection == 0));
    assert_eq!(server.next().connection, 1);
}

#[test]
fn header_values_are_latin_1_and_names_lower_case() {
    let head = b"HTTP/1.1 200 OK\r\nX-One: caf\xe9\r\nx-two: a\r\nX-Two: b\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(vec![vec![Act::Send(head.to_vec())]]);
    let got = send(&get(&server)).unwrap();
    assert_eq!(got.header("x-one"), Some("caf\u{e9}"));
    let two: Vec<&str> = got
        .headers
        .iter()
        .filter(|(name, _)| name == "x-two")
        .map(|(_, v)| v.as_str())
        .collect();
    assert_eq!(two, ["a", "b"]);
}

#[test]
fn limits() {
    let limits = ExchangeLimits {
        body_bytes: 1000,
        ..LIMITS
    };
    let too_large = Some(BodyFault::TooLarge { limit: 1000 });
    let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
    let endless = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}",
        chunk.repeat(1000)
    );
    for (acts, length, fault) in [
        (vec![answer("200 OK", "", &[b'x'; 1000])], 1000, None),
        (vec![answer("200 OK", "", &[b'x'; 1001])], 1000, too_large.clone()),
        (vec![answer("500 No", "", &[b'x'; 5000])], 1000, too_large.clone()),
        (
            vec![
                raw("HTTP/1.1 200 OK\r\ncontent-length: 9999999999999\r\n\r\n"),
                raw(&chunk),
                raw(&chunk),
                Act::Hang,
            ],
            1000,
            too_large.clone(),
        ),
        (vec![raw(&endless), Act::Hang], 1000, too_large.clone()),
        (
            vec![answer(
                "200 OK",
                "content-encoding: gzip\r\n",
                &gzip(&[0; 900_000]),
            )],
            1000,
            too_large.clone(),
        ),
        (
            vec![answer("200 OK", "content-encoding: gzip\r\n", &gzip(&[0; 1000]))],
            1000,
            None,
        ),
    ] {
        let server = Server::start(vec![acts]);
        let got = send(&limited(get(&server), limits)).unwrap();
        assert_eq!((got.body.len(), got.body_fault), (length, fault));
    }
}

#[test]
fn after_an_answer_that_is_too_large_the_connection_is_dropped() {
    let server = Server::start(vec![vec![answer("200 OK", "", &[b'x'; 100_000])], ok()]);
    let transport = HttpTransport::new(1);
    let limits = ExchangeLimits {
        body_bytes: 10,
        ..LIMITS
    };
    transport.send(&limited(get(&server), limits)).unwrap();
    transport.send(&limited(get(&server), limits)).unwrap();
    assert_eq!((server.next().connection, server.next().connection), (0, 1));
}

#[test]
fn encodings_that_were_not_offered() {
    for (name, body) in [("br", &b"\x0b\x02\x80{}\x03"[..]), ("zstd2", b"{}")] {
        let server = Server::start(vec![vec![answer(
            "200 OK",
            &format!("content-encoding: {name}\r\n"),
            body,
        )]]);
        assert_eq!(
            send(&get(&server)).unwrap().body_fault,
            Some(BodyFault::Encoding(name.to_owned()))
        );
    }
    let server = Server::start(vec![vec![answer("200 OK", "content-encoding: gzip\r\n", b"{}")]]);
    assert!(matches!(
        send(&get(&server)).unwrap().body_fault,
        Some(BodyFault::Broken(_))
    ));
}

#[test]
fn a_refusal_counts_though_its_body_is_cut() {
    for end in [Act::Close, Act::Reset] {
        let server = Server::start(vec![vec![
            raw("HTTP/1.1 404 No\r\ncontent-length: 10\r\n\r\n"),
            end,
        ]]);
        let got = send(&post(&server.url("/"))).unwrap();
        assert_eq!(got.status, 404);
        assert!(
            matches!(got.body_fault, Some(BodyFault::Broken(_))),
            "{:?}",
            got.body_fault
        );
    }
}

#[test]
fn a_head_may_have_128_headers() {
    let lines = |count: usize| -> String { (1..count).map(|n| format!("x-{n}: {n}\r\n")).collect() };
    // One more is the content-length.
    let server = Server::start(vec![
        vec![answer("201 Created", &lines(128), b"{}")],
        vec![answer("201 Created", &lines(129), b"{}"), Act::Close],
    ]);
    let transport = HttpTransport::new(1);
    let got = transport.send(&get(&server)).unwrap();
    assert_eq!((got.headers.len(), got.body_fault), (128, None));
    let got = transport.send(&get(&server)).unwrap();
    let Some(BodyFault::Broken(why)) = got.body_fault else {
        panic!("{got:?}");
    };
    assert_eq!(got.status, 201);
    assert!(why.contains("128 headers"), "{why}");
}

#[test]
fn heads_that_cannot_be_read_keep_their_status() {
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let large = format!("x: {}\r\n", "y".repeat(100_000));
    for headers in [
        many.as_str(),
        &large,
        "content-length: 1\r\ncontent-length: 2\r\n",
        "no colon here\r\n",
    ] {
        let server = Server::start(vec![vec![
            raw(&format!("HTTP/1.1 201 Created\r\n{headers}\r\n")),
            Act::Hang,
        ]]);
        let got = send(&post(&server.url("/"))).unwrap();
        assert_eq!(got.status, 201);
        assert!(
            matches!(got.body_fault, Some(BodyFault::Broken(_))),
            "{:?}",
            got.body_fault
        );
    }
    let fits = format!("x: {}\r\n", "y".repeat(60_000));
    let server = Server::start(vec![vec![answer("200 OK", &fits, b"{}")]]);
    assert_eq!(send(&post(&server.url("/"))).unwrap().body_fault, None);
}

#[test]
fn broken_chunks_after_a_success_are_an_answer_that_cannot_be_used() {
    let text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n";
    let server = Server::start(vec![vec![raw(text), Act::Hang]]);
    let got = send(&post(&server.url("/"))).unwrap();
    assert!(
        matches!(got.body_fault, Some(BodyFault::Broken(_))),
        "{:?}",
        got.body_fault
    );
}

#[test]
fn an_answer_before_the_body_was_taken() {
    // The server answers and closes while most of the request is still on its way.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 1000];
        assert!(stream.read(&mut head).unwrap() > 0);
        stream
            .write_all(b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno")
            .unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // Not reading the rest for good would reset the connection before the answer is read.
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    });
    let request = request(
        Method::Post,
        &format!("http://{address}/"),
        &[],
        Some(&vec![b'x'; 5_000_000]),
    );
    let got = send(&request).unwrap();
    assert_eq!((got.status, got.body.as_slice()), (413, &b"no"[..]));
    server.join().unwrap();
}
