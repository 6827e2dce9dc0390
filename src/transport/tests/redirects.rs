//! Redirects on the wire: which hops are made, with which headers.

use super::super::{FailureKind, redirect};
use super::*;

fn only(hosts: &[&str], mut request: Request) -> Request {
    let allowed_hosts = AllowedHosts::parse(hosts).unwrap();
    request.network = Arc::new(NetworkPolicy {
        allowed_hosts,
        ..policy(LIMITS)
    });
    request
}

#[test]
fn every_hop_is_held_against_the_allowed_hosts() {
    let target = Server::start(vec![ok()]);
    let by_name = format!("http://localhost:{}/x", target.address.port());
    let server = Server::start(vec![to(307, &by_name)]);
    let failure = send(&only(&["127.0.0.1"], post(&server.url("/")))).unwrap_err();
    assert_eq!(
        (failure.kind, failure.code),
        (FailureKind::Redirect, "hostNotAllowed")
    );
    assert_eq!(failure.status, Some(307));
    assert!(failure.message.contains("localhost"), "{}", failure.message);
    assert!(target.is_silent());

    server.then(to(307, &target.url("/y")));
    assert_eq!(
        send(&only(&["127.0.0.1"], post(&server.url("/"))))
            .unwrap()
            .status,
        200
    );

    let failure = send(&only(&["other.test"], post(&server.url("/")))).unwrap_err();
    assert_eq!(
        (failure.kind, failure.code),
        (FailureKind::Refused, "hostNotAllowed")
    );
}

fn to(status: u16, location: &str) -> Vec<Act> {
    vec![answer(
        &format!("{status} Go"),
        &format!("location: {location}\r\n"),
        b"moved",
    )]
}

fn with_headers(method: Method, url: &str) -> Request {
    let mut request = request(
        method,
        url,
        &[("authorization", "Basic dTpw"), ("x-key", "k")],
        None,
    );
    request
        .headers
        .push(field("content-type", "application/json", true));
    if method != Method::Get {
        request.body = Some(b"{\"a\":1}".to_vec());
    }
    request
}

#[test]
fn within_an_origin_everything_goes_along() {
    for (method, status) in [
        (Method::Get, 301),
        (Method::Get, 302),
        (Method::Get, 303),
        (Method::Get, 308),
        (Method::Post, 307),
        (Method::Put, 308),
    ] {
        let server = Server::start(vec![to(status, "/new?x"), ok()]);
        let got = send(&with_headers(method, &server.url("/old"))).unwrap();
        assert_eq!(got.status, 200);
        let (first, second) = (server.next(), server.next());
        assert_eq!(second.line, format!("{} /new?x HTTP/1.1", method.as_str()));
        assert_eq!(
            (first.headers, first.body, first.connection),
            (second.headers, second.body, second.connection)
        );
    }
}

#[test]
fn another_origin_gets_only_what_travels_and_so_does_every_later_hop() {
    let (home, other) = (Server::start(vec![]), Server::start(vec![]));
    home.then(to(307, &other.url("/new")));
    other.then(to(308, &home.url("/back")));
    home.then(ok());
    send(&with_headers(Method::Post, &home.url("/old"))).unwrap();
    assert_eq!(home.next().header("authorization"), Some(&b"Basic dTpw"[..]));
    for seen in [other.next(), home.next()] {
        assert_eq!((seen.header("authorization"), seen.header("x-key")), (None, None));
        assert_eq!(seen.header("content-type"), Some(&b"application/json"[..]));
        assert_eq!(seen.body, b"{\"a\":1}");
    }
}

#[test]
fn a_body_that_travels_says_what_it_is() {
    let (home, other) = (Server::start(vec![]), Server::start(vec![]));
    home.then(to(307, &other.url("/new")));
    other.then(ok());
    let mut sent = with_headers(Method::Post, &home.url("/old"));
    sent.headers
        .retain(|field| !field.name.eq_ignore_ascii_case("content-type"));
    sent.headers
        .push(field("Content-Type", "application/json;tenant=7", false));
    send(&sent).unwrap();
    assert_eq!(
        home.next().header("content-type"),
        Some(&b"application/json;tenant=7"[..])
    );
    assert_eq!(
        other.next().header("content-type"),
        Some(&b"application/json"[..])
    );
}

#[test]
fn a_write_is_not_turned_into_a_get() {
    for status in [301, 302, 303] {
        let server = Server::start(vec![to(status, "/login?next=secret"), ok()]);
        let failure = send(&post(&server.url("/"))).unwrap_err();
        assert_eq!((failure.kind, failure.code), (FailureKind::Redirect, "redirect"));
        assert_eq!(failure.status, Some(status));
        assert!(
            failure.message.contains(&server.url("/login")),
            "{}",
            failure.message
        );
        assert!(!failure.message.contains("secret"), "{}", failure.message);
        server.next();
        assert!(server.is_silent());
    }
}

#[test]
fn ten_hops_and_no_more() {
    let mut script: Vec<Vec<Act>> = (0..redirect::MAX_HOPS)
        .map(|n| to(307, &format!("/{n}")))
        .collect();
    script.push(ok());
    let server = Server::start(script);
    assert_eq!(send(&post(&server.url("/"))).unwrap().status, 200);

    let server = Server::start(vec![to(307, "/again"); 20]);
    let failure = send(&post(&server.url("/"))).unwrap_err();
    assert_eq!((failure.kind, failure.status), (FailureKind::Redirect, Some(307)));
    for _ in 0..=redirect::MAX_HOPS {
        server.next();
    }
    assert!(server.is_silent());
}

#[test]
fn without_location_it_is_an_answer() {
    for acts in [
        to(302, ""),
        to(300, "/x"),
        vec![answer("302 Found", "", b"")],
        to(201, "/x"),
        to(304, "/x"),
    ] {
        let server = Server::start(vec![acts]);
        assert!(send(&post(&server.url("/"))).unwrap().status < 305);
        server.next();
        assert!(server.is_silent());
    }
}

#[test]
fn a_hop_with_credentials_is_refused() {
    let server = Server::start(vec![to(307, "http://evil:pw@127.0.0.1/x")]);
    let failure = send(&post(&server.url("/"))).unwrap_err();
    assert_eq!((failure.kind, failure.status), (FailureKind::Redirect, Some(307)));
    assert!(!failure.message.contains("pw"), "{}", failure.message);
}

#[test]
fn all_hops_share_the_response_time() {
    let limits = ExchangeLimits {
        response: Duration::from_millis(300),
        ..LIMITS
    };
    let late = b"HTTP/1.1 307 Go\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n".to_vec();
    let server = Server::start(vec![vec![Act::Drip(late, Duration::from_millis(3))]; 10]);
    let failure = send(&limited(post(&server.url("/")), limits)).unwrap_err();
    assert_eq!(failure.code, "responseTimeout");
    // Between two hops nothing is under way.
    assert!(matches!(
        failure.kind,
        FailureKind::Lost | FailureKind::NotWritten
    ));
}

#[test]
fn a_hop_is_not_made_when_no_time_is_left() {
    let server = Server::start(vec![]);
    let over = std::time::Instant::now();
    let failure = HttpTransport::new(1)
        .follow(&post(&server.url("/")), over)
        .unwrap_err();
    assert_eq!(
        (failure.kind, failure.code),
        (FailureKind::NotWritten, "responseTimeout")
    );
    assert!(failure.message.contains(&server.url("/")), "{}", failure.message);
    assert!(server.is_silent());
}
