//! The head of a request from a [`Request`], and the headers of an answer as text.

use ureq::http::{self, HeaderMap, HeaderName, HeaderValue};
use url::{Position, Url};
use zeroize::Zeroizing;

use super::body::ACCEPTED;
use super::phase::Exchange;
use super::{Failure, FailureKind, HeaderField, Method, Request, redirect};

/// Headers that say how a message is framed or who is asked, and follow from the request itself.
const OWN_HEADERS: [&str; 8] = [
    "accept-encoding",
    "content-length",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// How the text begins that stands for a secret value until the bytes are written: what ureq is not told it can neither log
/// nor keep in its buffers. It also refuses an `authorization` with bytes above 0x7f, and so gets none.
const STAND_IN: &str = "casehook-stand-in";

/// The head of a request; what the connection must know of it goes into `exchange`.
pub(super) fn write(
    request: &Request,
    url: &Url,
    all: bool,
    exchange: &mut Exchange,
) -> Result<http::Request<()>, Failure> {
    let mut head = http::Request::new(());
    *head.method_mut() = match request.method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
    };
    *head.uri_mut() = url[..Position::AfterQuery]
        .parse()
        .map_err(|error| unsendable(format!("{} cannot be asked for: {error}", redirect::named(url))))?;
    let mut longest = url.as_str().len();
    let fields = request.headers.iter().filter(|field| all || field.travels);
    for HeaderField {
        name, value, secret, ..
    } in fields.filter(|field| !is_own(&field.name))
    {
        let mut bytes = Zeroizing::new(Vec::with_capacity(value.len()));
        for c in value.chars() {
            bytes.push(u8::try_from(u32::from(c)).map_err(|_| bad_header(name))?);
        }
        longest = longest.max(name.len() + bytes.len());
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad_header(name))?;
        let value = if *secret || key == "authorization" {
            if !bytes
                .iter()
                .all(|byte| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f))
            {
                return Err(bad_header(name));
            }
            let text = format!("{STAND_IN}-{:016x}", fastrand::u64(..));
            let stand_in = HeaderValue::from_str(&text).map_err(|_| bad_header(name))?;
            longest = longest.max(name.len() + text.len());
            exchange.stand_ins.push((text, bytes));
            stand_in
        } else {
            HeaderValue::from_bytes(&bytes).map_err(|_| bad_header(name))?
        };
        head.headers_mut().append(key, value);
    }
    // The connector's own word for it stays behind where its headers do.
    if request.body.is_some() && !head.headers().contains_key("content-type") && !all {
        let json = HeaderValue::from_static("application/json");
        head.headers_mut().insert("content-type", json);
    }
    let host = &url[Position::BeforeHost..Position::AfterPort];
    let host = HeaderValue::from_str(host).map_err(|_| bad_header("Host"))?;
    head.headers_mut().insert("host", host);
    head.headers_mut()
        .insert("accept-encoding", HeaderValue::from_static(ACCEPTED));
    // Room for method, version, separators and the end of the head.
    exchange.longest_line = longest + 64;
    Ok(head)
}

fn is_own(name: &str) -> bool {
    OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own))
}

fn bad_header(name: &str) -> Failure {
    unsendable(format!(
        "the header {} cannot be sent as given",
        name.escape_debug()
    ))
}

pub(super) fn unsendable(message: String) -> Failure {
    Failure {
        kind: FailureKind::Refused,
        code: "request",
        message,
        status: None,
    }
}

/// Names in lower case, values as latin-1.
pub(super) fn read(headers: &HeaderMap) -> Vec<(String, String)> {
    let latin1 = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), latin1(value.as_bytes())))
        .collect()
}
