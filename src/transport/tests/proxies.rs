//! Proxies in this process: what is written to them, what reaches the target, and what their refusals become.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::super::FailureKind::{Credentials, NotConnected, Refused};
use super::server::tls_config;
use super::*;
use crate::transport::ProxyPolicy;

fn through(mut request: Request, proxy: &str, change: impl FnOnce(&mut ProxyPolicy)) -> Request {
    let mut policy = NetworkPolicy::clone(&request.network);
    let mut proxy = ProxyPolicy::parse("settings.proxyUrl", proxy).unwrap();
    proxy.headers = vec![("X-Probe".to_owned(), "1".to_owned())];
    change(&mut proxy);
    policy.proxy = Some(Arc::new(proxy));
    request.network = Arc::new(policy);
    request
}

#[test]
fn http_is_handed_over_in_absolute_form() {
    let proxy = Server::start(vec![ok(), ok()]);
    let url = format!("http://me:pa%20ss@{}", proxy.address);
    let transport = HttpTransport::new(1);
    for _ in 0..2 {
        let request = through(post("http://nowhere.test:81/a?b"), &url, |_| {});
        assert_eq!(transport.send(&request).unwrap().status, 200);
        let seen = proxy.next();
        assert_eq!(seen.connection, 0);
        assert_eq!(seen.line, "POST http://nowhere.test:81/a?b HTTP/1.1");
        assert_eq!(seen.text("host"), Some("nowhere.test:81"));
        assert_eq!(seen.text("Proxy-Authorization"), Some("Basic bWU6cGEgc3M="));
        assert_eq!(seen.text("X-Probe"), Some("1"));
        assert_eq!(seen.text("Connection"), Some("X-Probe"));
        assert_eq!(seen.body, b"{}");
    }
}

#[test]
fn refusals_of_an_http_proxy() {
    for (status, headers, kind) in [
        ("407 Proxy Authentication Required", "", Credentials),
        (
            "503 Service Unavailable",
            "x-squid-error: ERR_CONNECT_FAIL 111\r\n",
            NotConnected,
        ),
        (
            "502 Bad Gateway",
            "proxy-status: p; error=dns_error\r\n",
            NotConnected,
        ),
    ] {
        let proxy = Server::start(vec![vec![answer(status, headers, b"")]]);
        let url = format!("http://{}", proxy.address);
        let failure = send(&through(post("http://t.test/"), &url, |_| {})).unwrap_err();
        assert_eq!(
            (failure.kind, failure.code),
            (kind, "proxy"),
            "{}",
            failure.message
        );
    }
    let proxy = Server::start(vec![vec![answer("500 Internal Server Error", "", b"")]]);
    let url = format!("http://{}", proxy.address);
    assert_eq!(
        send(&through(post("http://t.test/"), &url, |_| {}))
            .unwrap()
            .status,
        500
    );
    // Without a proxy nobody else speaks for the target.
    let target = Server::start(vec![vec![answer(
        "503 X",
        "x-squid-error: ERR_CONNECT_FAIL 111\r\n",
        b"",
    )]]);
    assert_eq!(send(&post(&target.url("/"))).unwrap().status, 503);
}

/// Takes one connection, has `greet` talk to it, and relays it to where that says.
fn relay(greet: impl FnOnce(&mut TcpStream) -> Option<SocketAddr> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let Some(target) = greet(&mut client) else { return };
        let target = TcpStream::connect(target).unwrap();
        let pipe = |mut from: TcpStream, mut to: TcpStream| {
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(std::net::Shutdown::Both);
            })
        };
        pipe(client.try_clone().unwrap(), target.try_clone().unwrap());
        pipe(target, client);
    });
    address
}

fn head(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn https_goes_through_a_tunnel() {
    let target = Server::on("127.0.0.1:0", vec![ok()], Some(tls_config()));
    let goal = target.address;
    let proxy = relay(move |client| {
        let asked = head(client);
        assert!(
            asked.starts_with(&format!("CONNECT {goal} HTTP/1.1\r\nHost: {goal}\r\n")),
            "{asked}"
        );
        assert!(asked.contains("\r\nX-Probe: 1\r\n"), "{asked}");
        client
            .write_all(b"HTTP/1.0 200 Connection established\r\nX: y\r\n\r\n")
            .unwrap();
        Some(goal)
    });
    let request = trusting(post(&target.url("/")));
    assert_eq!(
        send(&through(request, &format!("http://{proxy}"), |_| {}))
            .unwrap()
            .status,
        200
    );
    let seen = target.next();
    assert_eq!(
        (seen.line.as_str(), seen.text("X-Probe")),
        ("POST / HTTP/1.1", None)
    );
}

#[test]
fn refused_tunnels() {
    for (answer, kind, words) in [
        ("HTTP/1.1 407 No\r\n\r\n", Credentials, "login"),
        ("HTTP/1.1 401 No\r\n\r\n", Credentials, "login"),
        ("HTTP/1.1 403 No\r\n\r\n", NotConnected, "rules"),
        (
            "HTTP/1.1 503 No\r\nX-Squid-Error: ERR_CONNECT_FAIL 111\r\n\r\n",
            NotConnected,
            "ERR_CONNECT_FAIL",
        ),
        ("SSH-2.0-OpenSSH\r\n", NotConnected, "not HTTP"),
        ("", NotConnected, "closed the connection"),
    ] {
        let proxy = relay(move |client| {
            head(client);
            client.write_all(answer.as_bytes()).unwrap();
            None
        });
        let request = through(post("https://t.test/"), &format!("http://{proxy}"), |_| {});
        let failure = send(&request).unwrap_err();
        assert_eq!(
            (failure.kind, failure.code),
            (kind, "proxy"),
            "{}",
            failure.message
        );
        assert!(failure.message.contains(words), "{}", failure.message);
    }
}

fn socks(login: Option<&'static [u8]>, request: Vec<u8>, reply: u8, goal: SocketAddr) -> SocketAddr {
    relay(move |client| {
        let mut offer = [0; 2];
        client.read_exact(&mut offer).unwrap();
        let mut methods = vec![0; usize::from(offer[1])];
        client.read_exact(&mut methods).unwrap();
        let method = if login.is_some() { 2 } else { 0 };
        if !methods.contains(&method) {
            client.write_all(&[5, 0xff]).unwrap();
            return None;
        }
        client.write_all(&[5, method]).unwrap();
        if let Some(expected) = login {
            let mut given = vec![0; expected.len()];
            client.read_exact(&mut given).unwrap();
            let fits = given == expected;
            client.write_all(&[1, u8::from(!fits)]).unwrap();
            if !fits {
                return None;
            }
        }
        let mut asked = vec![0; request.len()];
        client.read_exact(&mut asked).unwrap();
        assert_eq!(asked, request);
        client.write_all(&[5, reply, 0, 3, 2, b'x', b'y', 0, 0]).unwrap();
        (reply == 0).then_some(goal)
    })
}

#[test]
fn socks_with_and_without_login_and_names() {
    let target = Server::start(vec![ok(), ok(), ok()]);
    let (goal, port) = (target.address, target.address.port());
    let by_address = [&[5, 1, 0, 1, 127, 0, 0, 1][..], &port.to_be_bytes()].concat();
    let by_name = [&[5, 1, 0, 3, 9][..], b"name.test", &port.to_be_bytes()].concat();
    let url = format!("http://name.test:{port}/");
    let names = transport_where_names_are("127.0.0.1");
    let login: &[u8] = b"\x01\x02me\x02pw";
    let proxy = socks(None, by_address.clone(), 0, goal);
    names
        .send(&through(post(&url), &format!("socks5://{proxy}"), |_| {}))
        .unwrap();
    assert_eq!(target.next().text("X-Probe"), None);
    let proxy = socks(Some(login), by_name.clone(), 0, goal);
    send(&through(post(&url), &format!("socks5h://me:pw@{proxy}"), |_| {})).unwrap();

    let proxy = socks(Some(login), by_name.clone(), 0, goal);
    let failure = send(&through(post(&url), &format!("socks5h://me:xx@{proxy}"), |_| {})).unwrap_err();
    assert_eq!(
        (failure.kind, failure.code),
        (Credentials, "proxy"),
        "{}",
        failure.message
    );
    let proxy = socks(Some(login), by_name.clone(), 0, goal);
    let failure = send(&through(post(&url), &format!("socks5h://{proxy}"), |_| {})).unwrap_err();
    assert_eq!(
        (failure.kind, failure.code),
        (Credentials, "proxy"),
        "{}",
        failure.message
    );
    let proxy = socks(None, by_name, 5, goal);
    let failure = send(&through(post(&url), &format!("socks5h://{proxy}"), |_| {})).unwrap_err();
    assert_eq!(
        (failure.kind, failure.code),
        (NotConnected, "proxy"),
        "{}",
        failure.message
    );
    assert!(
        failure.message.contains("refused the connection"),
        "{}",
        failure.message
    );
}

#[test]
fn private_addresses_behind_proxies() {
    let deny = |mut request: Request| {
        let mut policy = NetworkPolicy::clone(&request.network);
        policy.deny_private_addresses = true;
        request.network = Arc::new(policy);
        request
    };
    let proxy = Server::start(vec![ok()]);
    let url = format!("http://{}", proxy.address);
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "[::ffff:10.0.0.1]",
        "a.localhost",
    ] {
        let request = through(deny(post(&format!("http://{host}/"))), &url, |_| {});
        let failure = send(&request).unwrap_err();
        assert_eq!(
            (failure.kind, failure.code),
            (Refused, "addressNotAllowed"),
            "{host}"
        );
    }
    // The settings' own proxy may be anywhere; what a connector names may not.
    let own = through(deny(post("http://t.test/")), &url, |proxy| {
        proxy.of_connector = true
    });
    assert_eq!(send(&own).unwrap_err().code, "addressNotAllowed");
    assert!(proxy.is_silent());
    assert_eq!(
        send(&through(deny(post("http://t.test/")), &url, |_| {}))
            .unwrap()
            .status,
        200
    );
}
