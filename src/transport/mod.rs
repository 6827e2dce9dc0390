//! Sending one request and reading one answer: [`Transport`] is all that others know of the network.

mod address;
#[cfg(feature = "pkcs12")]
mod archive;
mod body;
mod buffers;
mod certificate;
#[cfg(feature = "encrypted-keys")]
mod cipher;
mod connect;
#[cfg(feature = "encrypted-keys")]
mod encrypted;
mod failure;
mod flaw;
mod head;
mod hosts;
mod http;
mod identity;
mod link;
mod live;
#[cfg(not(feature = "encrypted-keys"))]
mod no_encryption;
#[cfg(not(feature = "pkcs12"))]
mod no_pfx;
mod pem;
#[cfg(feature = "pkcs12")]
mod pfx;
mod phase;
mod policy;
mod proxied;
mod redirect;
mod resolve;
mod roots;
#[cfg(feature = "encrypted-keys")]
mod sealed;
mod socket;
mod socks;
mod suites;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod tunnel;
mod verify;
mod walk;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::mask::Masks;
pub(crate) use address::private_literal;
pub(crate) use hosts::AllowedHosts;
pub(crate) use http::HttpTransport;
pub(crate) use identity::Identity;
pub(crate) use pem::{base64 as from_base64, to_base64};
pub(crate) use policy::{
    HostTls, NetworkPolicy, ProxyKind, ProxyLogin, ProxyPolicy, SaidBy, TlsPolicy, Verification,
};
pub(crate) use roots::Roots;
#[cfg(feature = "postgres")]
pub(crate) use tls::database_tls;
pub(crate) use token::{TokenGrant, form_encoded};

/// The methods that a connector can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Patch,
}

impl Method {
    /// As it stands on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
        }
    }
}

/// One header. The value is a sequence of latin-1 code points (each `char` at most U+00FF, no controls but
/// tab).
#[derive(Clone)]
pub(crate) struct HeaderField {
    pub(crate) name: String,
    pub(crate) value: Zeroizing<String>,
    /// Whether the value is masked wherever it is shown.
    pub(crate) secret: bool,
    /// Whether it goes along when a redirect leads to another origin.
    pub(crate) travels: bool,
}

/// One request, complete: headers hold authorization and content type already.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: url::Url,
    pub(crate) headers: Vec<HeaderField>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) network: Arc<NetworkPolicy>,
    /// An access token is fetched by this and sent along, unless there is an `Authorization` in the headers.
    pub(crate) token: Option<Arc<TokenGrant>>,
}

/// One answer, decoded and within the size limit. Header names are lower case, values latin-1.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Where a body could not be taken as it is (too large, an encoding that was not offered, a broken one),
    /// why. `body` then holds what could be read. Only non-2xx answers may still be judged by their status.
    pub(crate) body_fault: Option<BodyFault>,
    /// The access tokens that the exchange was sent with: nobody beyond the transport knows them, and what is shown of the
    /// answer must not hold them.
    pub(crate) tokens: Arc<Masks>,
}

impl Answer {
    /// The first header of that (lower-case) name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

/// Why a body could not be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BodyFault {
    /// Larger than `maxResponseContentLength`, before or after decoding.
    TooLarge { limit: u64 },
    /// A content encoding that casehook did not offer.
    Encoding(String),
    /// It does not decode.
    Broken(String),
}

/// Why no answer came, in the order of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FailureKind {
    /// Refused by casehook's own rules before a connection was made: allowedHosts, address policy, userinfo
    /// in a URL.
    Refused,
    /// No connection: name not resolved, refused, unreachable, connect time-out, TLS handshake, proxy cannot
    /// connect.
    NotConnected,
    /// The connection was lost before any byte of the request was written.
    NotWritten,
    /// The connection was lost, or time ran out, after bytes of the request were written.
    Lost,
    /// A redirect that must not be followed.
    Redirect,
    /// A proxy refused its login, or no access token could be had; nothing reached the target.
    Credentials,
}

/// No answer, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// A stable word: `dns`, `connectionRefused`, `unreachable`, `connectTimeout`, `tls`, `proxy`,
    /// `connectionLost`, `responseTimeout`, `redirect`, `token`, `hostNotAllowed`, `addressNotAllowed`, `closed`,
    /// `request` (a URL or a header that cannot be sent).
    pub(crate) code: &'static str,
    /// What happened and what to do, without secrets.
    pub(crate) message: String,
    /// The status of the answer that led here, for redirects.
    pub(crate) status: Option<u16>,
}

/// Sends one request and reads one answer, redirects followed by casehook's own rules.
///
/// Called from several worker threads at once.
pub(crate) trait Transport: Send + Sync {
    fn send(&self, request: &Request) -> Result<Answer, Failure>;

    /// Ends exchanges under way with `Lost` or `NotConnected` (code `closed`), and every later one at once.
    fn shutdown(&self);
}

/// Bounds on one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ExchangeLimits {
    pub(crate) connect: Duration,
    /// From the request being sent to the last byte of the answer.
    pub(crate) response: Duration,
    /// The largest answer, before and after decoding, in bytes.
    pub(crate) body_bytes: u64,
}
