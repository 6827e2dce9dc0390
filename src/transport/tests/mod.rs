//! The whole transport against a scripted server.

mod answers;
mod certificates;
mod failures;
mod proxies;
mod ratios;
mod redirects;
mod requests;
mod server;
#[cfg(not(any(feature = "chacha20", feature = "encrypted-keys", feature = "gzip")))]
mod slim;
mod tokens;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::http::HttpTransport;
use super::resolve::Names;
use super::{AllowedHosts, NetworkPolicy, TlsPolicy};
use super::{Answer, ExchangeLimits, Failure, HeaderField, Method, Request, Roots, Transport};
use server::{Act, Server};

/// Long enough never to be what ends an exchange.
const LONG: Duration = Duration::from_secs(30);

const LIMITS: ExchangeLimits = ExchangeLimits {
    connect: LONG,
    response: LONG,
    body_bytes: 1 << 20,
};

fn policy(limits: ExchangeLimits) -> NetworkPolicy {
    NetworkPolicy {
        allowed_hosts: AllowedHosts::default(),
        deny_private_addresses: false,
        limits,
        tls: TlsPolicy::default(),
        proxy: None,
    }
}

/// The same request where the test authority is trusted.
fn trusting(mut request: Request) -> Request {
    let mut policy = NetworkPolicy::clone(&request.network);
    policy.tls.roots = test_roots();
    request.network = Arc::new(policy);
    request
}

fn test_roots() -> Roots {
    Roots::from_pem(include_str!("../../../tests/support/tls/ca.pem")).unwrap()
}

fn request(method: Method, url: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Request {
    Request {
        method,
        url: url.parse().unwrap(),
        headers: headers
            .iter()
            .map(|(name, value)| field(name, value, false))
            .collect(),
        body: body.map(<[u8]>::to_vec),
        network: Arc::new(policy(LIMITS)),
        token: None,
    }
}

fn field(name: &str, value: &str, travels: bool) -> HeaderField {
    HeaderField {
        name: name.to_owned(),
        value: Zeroizing::new(value.to_owned()),
        secret: false,
        travels,
    }
}

fn post(url: &str) -> Request {
    request(
        Method::Post,
        url,
        &[("content-type", "application/json")],
        Some(b"{}"),
    )
}

fn limited(mut request: Request, limits: ExchangeLimits) -> Request {
    request.network = Arc::new(policy(limits));
    request
}

fn send(request: &Request) -> Result<Answer, Failure> {
    HttpTransport::new(1).send(request)
}

/// A transport for which every name has that address.
fn transport_where_names_are(address: &'static str) -> HttpTransport {
    let address: IpAddr = address.parse().unwrap();
    HttpTransport::with(1, Names::new(Arc::new(move |_| Ok(vec![address]))))
}

/// A complete answer with `content-length`.
fn answer(status: &str, headers: &str, body: &[u8]) -> Act {
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    Act::Send([head.as_bytes(), body].concat())
}

fn raw(text: &str) -> Act {
    Act::Send(text.as_bytes().to_vec())
}

fn ok() -> Vec<Act> {
    vec![answer("200 OK", "content-type: application/json\r\n", b"{}")]
}
