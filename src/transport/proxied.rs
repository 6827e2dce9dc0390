//! What goes to an HTTP proxy beside the request itself, and which of its answers are its own and not the target's.

use zeroize::Zeroizing;

use super::ProxyPolicy;
use super::failure::not_connected;
use super::pem::to_base64;
use super::{Answer, Failure, FailureKind};

/// How requests for one http origin are written to a proxy.
pub(super) struct Forward {
    /// Stands before the path, which makes the request's target absolute.
    pub(super) origin: String,
    /// Whole lines for the proxy, to follow the request line.
    pub(super) lines: Zeroizing<Vec<u8>>,
}

impl Forward {
    pub(super) fn new(proxy: &ProxyPolicy, origin: String) -> Forward {
        let mut lines = lines(proxy);
        // Names listed here belong to this hop alone, so that the proxy must not send them on.
        let names: Vec<&str> = proxy.headers.iter().map(|(name, _)| name.as_str()).collect();
        if !names.is_empty() {
            lines.extend_from_slice(format!("Connection: {}\r\n", names.join(", ")).as_bytes());
        }
        Forward { origin, lines }
    }

    /// The first line of a request, made absolute, with the lines for the proxy behind it.
    pub(super) fn rewrite(&self, head: &[u8]) -> Option<Vec<u8>> {
        let target = head.iter().position(|byte| *byte == b' ')? + 1;
        let end = head.windows(2).position(|pair| pair == b"\r\n")? + 2;
        if head.get(target) != Some(&b'/') || end < target {
            return None;
        }
        let mut out = Vec::with_capacity(head.len() + self.origin.len() + self.lines.len());
        out.extend_from_slice(&head[..target]);
        out.extend_from_slice(self.origin.as_bytes());
        out.extend_from_slice(&head[target..end]);
        out.extend_from_slice(&self.lines);
        out.extend_from_slice(&head[end..]);
        Some(out)
    }
}

/// The header lines for a proxy: its login, unless its headers bring one, and its headers as latin-1.
pub(super) fn lines(proxy: &ProxyPolicy) -> Zeroizing<Vec<u8>> {
    let mut lines = Zeroizing::new(Vec::new());
    let given = proxy
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
    if let (Some(login), false) = (&proxy.login, given) {
        let pair = Zeroizing::new(format!("{}:{}", login.user.as_str(), login.password.as_str()));
        lines.extend_from_slice(b"Proxy-Authorization: Basic ");
        lines.extend_from_slice(to_base64(pair.as_bytes()).as_bytes());
        lines.extend_from_slice(b"\r\n");
    }
    for (name, value) in &proxy.headers {
        lines.extend_from_slice(name.as_bytes());
        lines.extend_from_slice(b": ");
        lines.extend(value.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')));
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

/// The failure that an answer tells of, when it is the proxy's own and no request of ours reached the target.
pub(super) fn own_failure(named: &str, answer: &Answer) -> Option<Failure> {
    if answer.status == 407 {
        return Some(login_refused(named, 407));
    }
    if answer.status < 400 {
        return None;
    }
    let told = answer
        .header("x-squid-error")
        .filter(|value| squid_did_not_send(value) && is_squids_own(answer))
        .map(|value| value.trim().to_owned())
        .or_else(|| proxy_status_did_not_send(answer))?;
    Some(Failure {
        status: Some(answer.status),
        ..refused(named, answer.status, Some(&told))
    })
}

/// The proxy answered CONNECT with this status.
pub(super) fn refused_tunnel(named: &str, answer: &Answer) -> Failure {
    // tinyproxy answers a wrong login with 401; nobody else can answer CONNECT.
    if matches!(answer.status, 401 | 407) {
        return login_refused(named, answer.status);
    }
    let told = answer
        .header("x-squid-error")
        .or_else(|| answer.header("proxy-status"))
        .map(|value| value.trim().chars().take(200).collect::<String>());
    refused(named, answer.status, told.as_deref())
}

fn login_refused(named: &str, status: u16) -> Failure {
    Failure {
        kind: FailureKind::Credentials,
        code: "proxy",
        message: format!(
            "the proxy {named} refused the login ({status}): check the user and password of the proxy"
        ),
        status: Some(status),
    }
}

fn refused(named: &str, status: u16, told: Option<&str>) -> Failure {
    let told = told.map(|told| format!(" ({told})")).unwrap_or_default();
    let why = match status {
        403 => "its rules do not allow it",
        404 | 502 | 503 => "it cannot reach the target",
        504 => "the target did not answer it in time",
        _ => "it could not connect to the target",
    };
    not_connected(
        "proxy",
        format!("the proxy {named} answered {status}{told}: {why}"),
    )
}

/// Whether squid made the answer: it lets a header of that name pass that a target sends.
fn is_squids_own(answer: &Answer) -> bool {
    let server = answer.header("server").map(str::trim_start);
    server.is_none_or(|name| {
        name.get(..5)
            .is_some_and(|name| name.eq_ignore_ascii_case("squid"))
    })
}

/// Squid's names for pages that it makes before it has written anything to the target.
fn squid_did_not_send(value: &str) -> bool {
    let name = value.split_ascii_whitespace().next().unwrap_or_default();
    matches!(
        name,
        "ERR_ACCESS_DENIED"
            | "ERR_CANNOT_FORWARD"
            | "ERR_CONFLICT_HOST"
            | "ERR_CONNECT_FAIL"
            | "ERR_DNS_FAIL"
            | "ERR_SECURE_CONNECT_FAIL"
            | "ERR_SHUTTING_DOWN"
            | "ERR_SOCKET_FAILURE"
    )
}

/// An `error` of RFC 9209 that says that nothing was sent on.
fn proxy_status_did_not_send(answer: &Answer) -> Option<String> {
    const BEFORE_SENDING: [&str; 12] = [
        "connection_limit_reached",
        "connection_refused",
        "connection_timeout",
        "destination_ip_prohibited",
        "destination_ip_unroutable",
        "destination_not_found",
        "destination_unavailable",
        "dns_error",
        "dns_timeout",
        "http_request_denied",
        "tls_certificate_error",
        "tls_protocol_error",
    ];
    let fields = answer.headers.iter().filter(|(name, _)| name == "proxy-status");
    fields
        .flat_map(|(_, value)| value.split([',', ';']))
        .filter_map(|part| part.trim().strip_prefix("error="))
        .find(|error| BEFORE_SENDING.contains(&error.trim()))
        .map(|error| error.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Answer {
        Answer {
            status,
            headers: headers
                .iter()
                .map(|(n, v)| (n.to_string(), v.to_string()))
                .collect(),
            body: Vec::new(),
            body_fault: None,
            tokens: Default::default(),
        }
    }

    #[test]
    fn a_proxy_that_sent_nothing_on_says_so() {
        type Row = (u16, &'static [(&'static str, &'static str)], Option<FailureKind>);
        let not = Some(FailureKind::NotConnected);
        let rows: &[Row] = &[
            (407, &[], Some(FailureKind::Credentials)),
            (503, &[("x-squid-error", "ERR_CONNECT_FAIL 111")], not),
            (503, &[("x-squid-error", "ERR_DNS_FAIL 0")], not),
            (403, &[("x-squid-error", "ERR_ACCESS_DENIED 0")], not),
            (
                503,
                &[
                    ("server", "squid/6.13"),
                    ("x-squid-error", "ERR_CONNECT_FAIL 111"),
                ],
                not,
            ),
            (
                503,
                &[("server", "nginx"), ("x-squid-error", "ERR_CONNECT_FAIL 111")],
                None,
            ),
            (504, &[("x-squid-error", "ERR_READ_TIMEOUT 0")], None),
            (502, &[("x-squid-error", "ERR_ZERO_SIZE_OBJECT 0")], None),
            (502, &[("proxy-status", "edge; error=connection_refused")], not),
            (
                504,
                &[(
                    "proxy-status",
                    "a, edge; next-hop=x; error=dns_timeout; details=\"x\"",
                )],
                not,
            ),
            (
                502,
                &[("proxy-status", "edge; error=connection_terminated")],
                None,
            ),
            (500, &[], None),
            (503, &[("retry-after", "1")], None),
            (200, &[("x-squid-error", "ERR_CONNECT_FAIL 111")], None),
        ];
        for (status, headers, kind) in rows {
            let failure = own_failure("p:1", &answer(*status, headers));
            assert_eq!(failure.as_ref().map(|f| f.kind), *kind, "{status} {headers:?}");
            assert!(failure.is_none_or(|f| f.code == "proxy" && f.status == Some(*status)));
        }
    }

    #[test]
    fn requests_become_absolute() {
        let mut proxy = ProxyPolicy::parse("x", "http://u:p@h").unwrap();
        proxy.headers = vec![
            ("X-One".to_owned(), "1\u{e9}".to_owned()),
            ("X-Two".to_owned(), "2".to_owned()),
        ];
        let forward = Forward::new(&proxy, "http://t:1".to_owned());
        let head = b"POST /a?b HTTP/1.1\r\nhost: t:1\r\n";
        let expected = b"POST http://t:1/a?b HTTP/1.1\r\nProxy-Authorization: Basic dTpw\r\nX-One: 1\xe9\r\nX-Two: 2\r\n\
                         Connection: X-One, X-Two\r\nhost: t:1\r\n";
        assert_eq!(forward.rewrite(head).unwrap(), expected);
        assert_eq!(forward.rewrite(b"POST"), None);
    }

    #[test]
    fn given_headers_win_over_the_login() {
        let mut proxy = ProxyPolicy::parse("x", "http://u:p@h").unwrap();
        proxy.headers = vec![("proxy-authorization".to_owned(), "Bearer x".to_owned())];
        assert_eq!(lines(&proxy).as_slice(), b"proxy-authorization: Bearer x\r\n");
    }
}
