//! Headers that can be sent exactly as given; all others are refused (R9).

use serde_json::{Map, Value};

use super::refusals::Refusals;
use super::table::child;
use crate::error::{Error, Result};
use crate::model::limits::{HEADER_BYTES, HEADER_NAME_BYTES, HEADERS};

/// Headers that follow from the request itself and are never sent as given, and why.
const OWN: [(&str, &str); 8] = [
    ("host", "the Host header is made from the URL and cannot be set"),
    ("content-length", FROM_THE_BODY),
    ("transfer-encoding", FROM_THE_BODY),
    (
        "accept-encoding",
        "answers are read plain or with gzip, and this header always says so: it cannot be set; leave it out",
    ),
    (
        "expect",
        "the body is sent without waiting for a \"100 Continue\": this header cannot be set; leave it out",
    ),
    ("te", NO_TRAILERS),
    ("trailer", NO_TRAILERS),
    (
        "upgrade",
        "requests stay with HTTP/1.1: this header cannot be set; leave it out",
    ),
];

const LOST: &str = "Kibana loses such characters without a word";
const FROM_THE_BODY: &str = "this header is made from the body and cannot be set";
const NO_TRAILERS: &str = "trailers are neither sent nor read: this header cannot be set; leave it out";

/// Whether it is made of what names of headers are made of.
pub(crate) fn is_name(text: &str) -> bool {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(token)
}

/// Checks the name and trims it; `path` is the header's own.
pub(crate) fn name(path: &str, given: &str) -> Result<String> {
    let name = given.trim();
    let refuse = |message: &str| Err(Error::config(path, message));
    if name.is_empty() {
        return refuse("a header's name must not be empty");
    }
    if !is_name(name) {
        return refuse("a header's name can only have ASCII letters, digits and !#$%&'*+-.^_`|~")
            .map_err(|error| error.since(LOST));
    }
    if name.len() > HEADER_NAME_BYTES {
        return refuse(&format!(
            "this name has {} bytes; the limit is {HEADER_NAME_BYTES}",
            name.len()
        ));
    }
    let own = OWN.iter().find(|(own, _)| name.eq_ignore_ascii_case(own));
    if let Some((_, why)) = own {
        return refuse(why);
    }
    Ok(name.to_owned())
}

/// Checks a value and trims it; `path` is the header's own. The error never shows the value.
pub(crate) fn value<'a>(path: &str, name: &str, given: &'a str) -> Result<&'a str> {
    let value = given.trim();
    if value.chars().any(|c| c != '\t' && c.is_control()) {
        return Err(Error::config(
            path,
            "a header's value cannot hold control characters such as line breaks",
        )
        .since(LOST));
    }
    if value.chars().any(|c| c > '\u{ff}') {
        return Err(Error::config(
            path,
            "a header's value can only hold latin-1 characters (up to U+00FF)",
        )
        .since(LOST));
    }
    if value.len() > HEADER_BYTES {
        let message = format!("this has {} bytes; the limit is {HEADER_BYTES}", value.len());
        return Err(Error::config(path, message));
    }
    if value.is_empty() && name.eq_ignore_ascii_case("content-type") {
        return Err(Error::config(path, "the content type must not be empty"));
    }
    Ok(value)
}

/// Refuses a name that stands twice in one map, in whatever case.
pub(crate) fn unique<'a>(path: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if seen.len() == HEADERS {
            return Err(Error::config(
                path,
                format!("these are more than {HEADERS} headers; that is the limit"),
            ));
        }
        if let Some(other) = seen.iter().find(|other| other.eq_ignore_ascii_case(name)) {
            return Err(Error::config(
                child(path, name),
                format!("this header is given twice: \"{other}\" is the same one; leave one of them out"),
            ));
        }
        seen.push(name);
    }
    Ok(())
}

/// Reads an object of headers whose values are known to be strings.
pub(crate) fn read(path: &str, map: Option<&Map<String, Value>>) -> Result<Vec<(String, String)>> {
    let mut refusals = Refusals::default();
    let headers = gather(path, map, &mut refusals);
    refusals.or_first(Ok(headers))
}

/// The same with every refusal; what is left are the headers that can be sent.
pub(super) fn gather(
    path: &str,
    map: Option<&Map<String, Value>>,
    refusals: &mut Refusals,
) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for (given, text) in map.into_iter().flatten() {
        let at = child(path, given);
        let header = name(&at, given).and_then(|name| {
            let text = value(&at, &name, text.as_str().unwrap_or_default())?;
            Ok((name, text.to_owned()))
        });
        headers.extend(refusals.take(header));
    }
    refusals.check(unique(path, headers.iter().map(|(name, _)| name.as_str())));
    headers
}

/// Names of headers that a key would break a request in the place of.
const MEANINGS: [&str; 19] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-type",
    "cookie",
    "expect",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "keep-alive",
    "proxy-authorization",
    "range",
    "te",
    "trailer",
    "upgrade",
];

/// Whether a header of that name has a meaning of its own in HTTP.
pub(super) fn has_a_meaning(name: &str) -> bool {
    MEANINGS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Parts of names whose values are credentials more often than not.
const TELLTALES: [&str; 11] = [
    "authorization",
    "authenticate",
    "cookie",
    "token",
    "secret",
    "password",
    "passwd",
    "api-key",
    "apikey",
    "api_key",
    "credential",
];

/// Whether a header of that name is taken for a credential, and its value never shown.
pub(crate) fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if name == "idempotency-key" {
        return false;
    }
    TELLTALES.iter().any(|part| name.contains(part)) || name.ends_with("-key") || name == "key"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: Value) -> Result<Vec<(String, String)>> {
        read("config.headers", value.as_object())
    }

    #[test]
    fn trims_and_keeps_what_can_be_sent() {
        let headers =
            parse(json!({"x-pad": "  v  ", "x-tab": "a\tb", "x-empty": "", " x-latin ": "é"})).unwrap();
        let find = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!(find("x-pad"), Some("v"));
        assert_eq!(find("x-tab"), Some("a\tb"));
        assert_eq!(find("x-empty"), Some(""));
        assert_eq!(find("x-latin"), Some("é"));
        assert_eq!(read("h", None).unwrap(), []);
    }

    #[test]
    fn refuses_what_cannot_be_sent_as_given() {
        let table = [
            json!({"content-type": ""}),
            json!({"Content-Type": "  "}),
            json!({"x": "тест"}),
            json!({"x": "a\r\nb: c"}),
            json!({"x": "a\u{0}b"}),
            json!({"x": "a\u{7f}b"}),
            json!({"bad name": "v"}),
            json!({"": "v"}),
            json!({"x\r\ny": "v"}),
            json!({"é": "v"}),
            json!({"X-Dup": "1", "x-dup": "2"}),
            json!({"x-dup ": "1", "x-dup": "2"}),
            json!({"host": "a"}),
            json!({"Content-Length": "1"}),
            json!({"Accept-Encoding": "br"}),
            json!({"EXPECT": "100-continue"}),
            json!({"te": "trailers"}),
            json!({"Trailer": "X"}),
            json!({"upgrade": "h2c"}),
        ];
        for headers in table {
            let error = parse(headers.clone()).expect_err(&headers.to_string());
            assert!(error.field().unwrap().starts_with("config.headers"), "{error}");
        }
    }
}
