//! OAuth2: tokens are fetched when needed, once, kept, refreshed once, and masked.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::super::FailureKind;
use super::super::token::{TokenGrant, Tokens};
use super::*;
use crate::mask::mask;

fn grant(server: &Server, basic: bool) -> Option<Arc<TokenGrant>> {
    let url = server.url("/token").parse().unwrap();
    let mut fields = vec![("grant_type", "client_credentials"), ("scope", "a b")];
    if !basic {
        fields.extend([("client_id", "me"), ("client_secret", "s&cret")]);
    }
    let login = basic.then_some(("me", "s&cret"));
    Some(Arc::new(TokenGrant::new(url, &fields, login)))
}

fn token(name: &str, seconds: u32) -> Vec<Act> {
    let body = format!(r#"{{"access_token": "{name}", "token_type": "bearer", "expires_in": {seconds}}}"#);
    vec![answer(
        "200 OK",
        "content-type: application/json\r\n",
        body.as_bytes(),
    )]
}

fn with_token(server: &Server, grant: &Option<Arc<TokenGrant>>) -> Request {
    Request {
        token: grant.clone(),
        ..post(&server.url("/"))
    }
}

#[test]
fn fetched_once_kept_and_sent() {
    let server = Server::start(vec![ok(), ok()]);
    for (basic, form) in [
        (
            false,
            "grant_type=client_credentials&scope=a+b&client_id=me&client_secret=s%26cret",
        ),
        (true, "grant_type=client_credentials&scope=a+b"),
    ] {
        let tokens = Server::start(vec![token("tok-1", 3600)]);
        let grant = grant(&tokens, basic);
        let transport = HttpTransport::new(1);
        server.then(ok());
        server.then(ok());
        for _ in 0..2 {
            assert_eq!(transport.send(&with_token(&server, &grant)).unwrap().status, 200);
            assert_eq!(server.next().text("authorization"), Some("Bearer tok-1"));
        }
        let asked = tokens.next();
        assert_eq!(asked.line, "POST /token HTTP/1.1");
        assert_eq!(asked.body, form.as_bytes());
        assert_eq!(
            asked.text("content-type"),
            Some("application/x-www-form-urlencoded")
        );
        let login = basic.then_some("Basic bWU6cyUyNmNyZXQ=");
        assert_eq!(asked.text("authorization"), login);
        assert!(tokens.is_silent());
    }
}

#[test]
fn one_that_soon_expires_is_used_once() {
    let tokens = Server::start(vec![token("tok-1", 29), token("tok-2", 3600)]);
    let server = Server::start(vec![ok(), ok(), ok()]);
    let (grant, transport) = (grant(&tokens, false), HttpTransport::new(1));
    for expected in ["Bearer tok-1", "Bearer tok-2", "Bearer tok-2"] {
        transport.send(&with_token(&server, &grant)).unwrap();
        assert_eq!(server.next().text("authorization"), Some(expected));
    }
}

#[test]
fn a_401_fetches_anew_once() {
    let refused = || vec![answer("401 Unauthorized", "", b"tok-1 and tok-2 are bad")];
    let tokens = Server::start(vec![
        token("tok-1", 3600),
        token("tok-2", 3600),
        token("tok-3", 3600),
    ]);
    let server = Server::start(vec![refused(), ok(), refused(), refused()]);
    let (grant, transport) = (grant(&tokens, false), HttpTransport::new(1));
    assert_eq!(transport.send(&with_token(&server, &grant)).unwrap().status, 200);
    assert_eq!(server.next().text("authorization"), Some("Bearer tok-1"));
    assert_eq!(server.next().text("authorization"), Some("Bearer tok-2"));
    let answer = transport.send(&with_token(&server, &grant)).unwrap();
    assert_eq!(answer.status, 401);
    assert_eq!(server.next().text("authorization"), Some("Bearer tok-2"));
    assert_eq!(server.next().text("authorization"), Some("Bearer tok-3"));
    assert!(server.is_silent());
}

#[test]
fn an_answer_is_left_as_it_is_and_says_what_to_mask() {
    let tokens = Server::start(vec![token("10000001", 3600), token("10000002", 3600)]);
    let echo = |status| {
        answer(
            status,
            "x-echo: 10000001\r\n",
            br#"{"id": "910000001"} 10000001 10000002"#,
        )
    };
    let server = Server::start(vec![vec![echo("401 Unauthorized")], vec![echo("200 OK")]]);
    let answer = HttpTransport::new(1)
        .send(&with_token(&server, &grant(&tokens, false)))
        .unwrap();
    assert_eq!(answer.body, br#"{"id": "910000001"} 10000001 10000002"#);
    assert_eq!(answer.header("x-echo"), Some("10000001"));
    assert_eq!(mask("10000001, 10000002.", &answer.tokens), "***, ***.");
    assert_eq!(format!("{answer:?}").matches("10000002").count(), 0);
}

#[test]
fn a_401_of_another_origin_says_nothing_about_the_token() {
    let tokens = Server::start(vec![token("tok-1", 3600), token("tok-2", 3600)]);
    let other = Server::start(vec![vec![answer("401 Unauthorized", "", b"")]; 2]);
    let moved = answer("307 Go", &format!("location: {}\r\n", other.url("/new")), b"");
    let server = Server::start(vec![vec![moved]; 2]);
    let (grant, transport) = (grant(&tokens, false), HttpTransport::new(1));
    assert_eq!(transport.send(&with_token(&server, &grant)).unwrap().status, 401);
    assert_eq!(server.next().text("authorization"), Some("Bearer tok-1"));
    assert_eq!(other.next().text("authorization"), None);
    tokens.next();
    assert!(server.is_silent() && other.is_silent() && tokens.is_silent());
}

#[test]
fn many_at_once_fetch_one_at_a_time() {
    const MANY: usize = 8;
    let nobody = Server::start(vec![]);
    let grant = grant(&nobody, false).unwrap();
    let network = Arc::new(policy(LIMITS));
    let tokens = Tokens::default();
    let (under_way, fetches) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (everybody, overlapped) = (AtomicBool::new(false), AtomicBool::new(false));
    let fetch = |seconds| {
        fetches.fetch_add(1, Ordering::SeqCst);
        overlapped.fetch_or(under_way.fetch_add(1, Ordering::SeqCst) > 0, Ordering::SeqCst);
        // All are at the door before the first fetch comes to its end.
        while !everybody.load(Ordering::SeqCst) {
            everybody.fetch_or(tokens.callers(&grant, &network) >= MANY, Ordering::SeqCst);
            std::thread::yield_now();
        }
        under_way.fetch_sub(1, Ordering::SeqCst);
        let Some(Act::Send(bytes)) = token("tok-1", seconds).pop() else {
            panic!("an answer");
        };
        let body = bytes.split(|byte| *byte == b'{').nth(1).unwrap();
        grant.read(
            &Answer {
                status: 200,
                headers: Vec::new(),
                body: [b"{", body].concat(),
                body_fault: None,
                tokens: Arc::default(),
            },
            Instant::now(),
        )
    };
    // One that is used up at once serves those who waited for it all the same.
    std::thread::scope(|scope| {
        for _ in 0..MANY {
            scope.spawn(|| tokens.get(&grant, &network, None, || fetch(0)).unwrap());
        }
    });
    assert!(!overlapped.load(Ordering::SeqCst), "two fetches at once");
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
}

#[test]
fn each_way_to_the_server_has_its_own_token() {
    let tokens = Server::start(vec![token("tok-1", 3600)]);
    let server = Server::start(vec![ok()]);
    let (grant, transport) = (grant(&tokens, false), HttpTransport::new(1));
    transport.send(&with_token(&server, &grant)).unwrap();
    let port = server.address.port();
    let mut elsewhere = with_token(&server, &grant);
    elsewhere.network = Arc::new(NetworkPolicy {
        allowed_hosts: AllowedHosts::parse(&[format!("127.0.0.1:{port}")]).unwrap(),
        ..policy(LIMITS)
    });
    let failure = transport.send(&elsewhere).unwrap_err();
    assert_eq!(
        (failure.kind, failure.code),
        (FailureKind::Credentials, "hostNotAllowed")
    );
}

#[test]
fn how_long_a_token_holds() {
    let nobody = Server::start(vec![]);
    let grant = grant(&nobody, false).unwrap();
    for (stated, seconds) in [
        ("3600", 3570),
        ("\"60\"", 30),
        ("-5", 0),
        ("\"-5\"", 0),
        ("0", 0),
        ("1e300", 86_370),
        ("null", 3570),
        ("\"soon\"", 3570),
    ] {
        let now = Instant::now();
        let answer = Answer {
            status: 200,
            headers: Vec::new(),
            body: format!(r#"{{"access_token": "t", "expires_in": {stated}}}"#).into_bytes(),
            body_fault: None,
            tokens: Arc::default(),
        };
        let token = grant.read(&answer, now).unwrap();
        assert_eq!(token.until - now, Duration::from_secs(seconds), "{stated}");
    }
}

#[test]
fn failures_send_nothing_and_have_their_kind() {
    let json = "content-type: application/json\r\n";
    let told = br#"{"error": "invalid_client", "error_description": "who?"}"#;
    for (act, kind, words) in [
        (
            answer("401 Unauthorized", json, told),
            FailureKind::Credentials,
            "invalid_client: who?",
        ),
        (
            answer("400 Bad Request", "", b""),
            FailureKind::Credentials,
            "400",
        ),
        (
            answer("302 Found", "location: /x\r\n", b""),
            FailureKind::Credentials,
            "redirects",
        ),
        (
            answer("200 OK", json, b"{}"),
            FailureKind::Credentials,
            "access_token",
        ),
        (
            answer("200 OK", json, br#"{"access_token": "a b"}"#),
            FailureKind::Credentials,
            "header",
        ),
        (
            answer("503 Service Unavailable", "", b""),
            FailureKind::NotConnected,
            "503",
        ),
        (Act::Close, FailureKind::NotConnected, "lost"),
    ] {
        let tokens = Server::start(vec![vec![act]]);
        let server = Server::start(vec![]);
        let failure = HttpTransport::new(1)
            .send(&with_token(&server, &grant(&tokens, false)))
            .unwrap_err();
        assert_eq!(failure.kind, kind, "{}", failure.message);
        assert!(failure.message.contains(words), "{}", failure.message);
        assert!(
            failure.message.contains("no access token from"),
            "{}",
            failure.message
        );
        assert!(server.is_silent());
    }
}
