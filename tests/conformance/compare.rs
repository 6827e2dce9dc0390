//! Holds what happened against what the vector expects, by the vector's rule.

use std::collections::BTreeMap;

use casehook::CommentState;
use serde_json::Value;

use crate::json_text::same_body;
use crate::run::{Delivered, End, Outcome};
use crate::support::http::Received;
use crate::vector::Vector;

/// Headers that are the client's own, or of the connection.
const CLIENTS_OWN: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "host",
    "transfer-encoding",
    "user-agent",
];

/// What differs, or nothing.
pub(crate) fn compare(vector: &Vector, outcome: &Outcome) -> Result<(), String> {
    let case = Comparison::new(outcome);
    match (vector.rule.as_deref(), vector.ours.as_deref()) {
        (None, None) => case.exact(),
        (Some(_), Some("reject")) => case.refused(),
        (Some(_), Some("fail")) => case.fails(),
        (Some(_), Some("accept")) => case.accepted(),
        // The reference refuses OAuth2; here a token is asked for, from a host that does not exist.
        (Some("R16"), Some("free")) if matches!(&outcome.end, End::Failed(why) if why.contains("access token")) => {
            Ok(())
        }
        (Some(_), Some("free")) => case.exact().or_else(|parity| {
            case.refused()
                .map_err(|refusal| format!("{parity}; and {refusal}"))
        }),
        (Some("R18"), Some("rendered")) => case.parity(&Detail {
            text: with_single_slashes,
            ..Detail::NONE
        }),
        (Some("R14"), Some("rendered")) => case.parity(&Detail {
            link: false,
            ..Detail::NONE
        }),
        (Some("R6"), Some("rendered")) => case.parity(&Detail {
            bare_hops: true,
            ..Detail::NONE
        }),
        (Some("R4"), Some("idtext")) => case.digits_of_the_wire(vector),
        (Some("R11"), Some("report")) => case.parity(&Detail {
            comments: CommentState::Skipped,
            ..Detail::NONE
        }),
        (rule, ours) => Err(format!("no way to compare {rule:?} {ours:?}")),
    }
}

/// In what an outcome may differ from the reference where its rule says so.
struct Detail {
    /// Applied to targets and links of both sides.
    text: fn(&str) -> String,
    /// Whether the link for people is compared.
    link: bool,
    /// Requests to another origin than the first carry no headers but the content type.
    bare_hops: bool,
    /// What the comments that the reference reports as sent must be.
    comments: CommentState,
}

impl Detail {
    const NONE: Detail = Detail {
        text: str::to_owned,
        link: true,
        bare_hops: false,
        comments: CommentState::Sent,
    };
}

struct Comparison<'a> {
    outcome: &'a Outcome,
    expected: Vec<Request>,
}

/// A request as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    method: String,
    target: String,
    host: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
    /// The common name in the client's certificate; none where it sent none.
    client_cn: Option<String>,
}

impl<'a> Comparison<'a> {
    fn new(outcome: &'a Outcome) -> Comparison<'a> {
        let requests = outcome.expect["requests"].as_array().into_iter().flatten();
        Comparison {
            outcome,
            expected: requests.map(Request::expected).collect(),
        }
    }

    fn exact(&self) -> Result<(), String> {
        self.parity(&Detail::NONE)?;
        self.stored()
    }

    fn parity(&self, detail: &Detail) -> Result<(), String> {
        self.end(detail)?;
        let first = self.expected.first().map(|r| r.host.clone());
        let turned = |mut request: Request| {
            request.target = (detail.text)(&request.target);
            request
        };
        let expected: Vec<Request> = self
            .expected
            .iter()
            .cloned()
            .map(turned)
            .map(|mut request| {
                if detail.bare_hops && first.as_ref() != Some(&request.host) {
                    request.headers.retain(|name, _| name == "content-type");
                }
                request
            })
            .collect();
        let received: Vec<Request> = self.received().into_iter().map(turned).collect();
        same_requests(&expected, &received, expected.len())
    }

    /// The stage of an error, or the result.
    fn end(&self, detail: &Detail) -> Result<(), String> {
        let end = &self.outcome.end;
        let Some(stage) = self.outcome.expect["error"]["stage"].as_str() else {
            return self.result(detail);
        };
        let agrees = match stage {
            "config" | "secrets" | "connector" => matches!(end, End::Configure(_)),
            "params" => matches!(end, End::Params(_)),
            "push" => matches!(end, End::Failed(_)),
            _ => false,
        };
        agrees
            .then_some(())
            .ok_or_else(|| format!("expected an error at {stage}, got {}", shown(end)))
    }

    fn result(&self, detail: &Detail) -> Result<(), String> {
        let expected = &self.outcome.expect["result"];
        let ours = self.delivered()?;
        let turn = |text: &str| (detail.text)(text);
        same("id", expected["id"].as_str(), &ours.id)?;
        same("title", expected["title"].as_str(), &ours.title)?;
        if detail.link {
            same(
                "url",
                expected["url"].as_str().map(turn).as_deref(),
                &turn(&ours.url),
            )?;
        }
        let expected: Vec<&str> = expected["comments"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let ids: Vec<&str> = ours
            .comments
            .iter()
            .filter(|(_, state)| *state == detail.comments)
            .map(|(id, _)| id.as_str())
            .collect();
        if expected == ids {
            return Ok(());
        }
        let states: Vec<String> = ours
            .comments
            .iter()
            .map(|(id, state)| format!("{id} {state}"))
            .collect();
        Err(format!(
            "expected the comments {expected:?} to be {}, got {states:?}",
            detail.comments
        ))
    }

    fn delivered(&self) -> Result<&Delivered, String> {
        match &self.outcome.end {
            End::Delivered(delivered) => Ok(delivered),
            other => Err(format!("expected a delivered push, got {}", shown(other))),
        }
    }

    fn refused(&self) -> Result<(), String> {
        if !matches!(self.outcome.end, End::Configure(_) | End::Params(_)) {
            return Err(format!("expected a refusal, got {}", shown(&self.outcome.end)));
        }
        match self.received().first() {
            Some(request) => Err(format!("refused, but sent {} {}", request.method, request.target)),
            None => Ok(()),
        }
    }

    fn fails(&self) -> Result<(), String> {
        if !matches!(self.outcome.end, End::Failed(_) | End::Params(_)) {
            return Err(format!(
                "expected the push to fail, got {}",
                shown(&self.outcome.end)
            ));
        }
        let received = self.received();
        if received.len() > self.expected.len() {
            return Err(more(&received[self.expected.len()]));
        }
        same_requests(&self.expected[..received.len()], &received, received.len())
    }

    fn accepted(&self) -> Result<(), String> {
        self.delivered()?;
        if self.outcome.expect["result"].is_object() {
            self.result(&Detail::NONE)?;
        }
        same_requests(&self.expected, &self.received(), usize::MAX)
    }

    /// R4: ours are the digits that the server wrote; apart from them everything is equal.
    fn digits_of_the_wire(&self, vector: &Vector) -> Result<(), String> {
        let ours = self.delivered()?;
        let result = &self.outcome.expect["result"];
        let wire = vector.server.to_string();
        let mut turned = Outcome {
            expect: self.outcome.expect.clone(),
            received: self.outcome.received.clone(),
            end: self.outcome.end.clone(),
            stored: None,
        };
        for (name, ours) in [("id", &ours.id), ("title", &ours.title)] {
            let theirs = result[name].as_str().unwrap_or_default();
            if theirs == ours {
                continue;
            }
            if !wire.contains(ours.as_str()) {
                return Err(format!("{name} {ours:?} is not what the server wrote"));
            }
            turned.expect["result"][name] = Value::from(ours.as_str());
            replace_word(&mut turned.expect["result"]["url"], theirs, ours);
            for request in turned.expect["requests"].as_array_mut().into_iter().flatten() {
                replace_word(&mut request["target"], theirs, ours);
            }
        }
        Comparison::new(&turned).parity(&Detail::NONE)
    }

    fn stored(&self) -> Result<(), String> {
        let Some(expected) = self.outcome.expect["stored"]["config"].as_object() else {
            return Ok(());
        };
        let Some(ours) = &self.outcome.stored else {
            return Err("the connector's document cannot be read back".to_owned());
        };
        let ours = ours
            .get("config")
            .filter(|config| config.is_object())
            .unwrap_or(ours);
        for (name, value) in expected {
            let found = ours.get(name).unwrap_or(&Value::Null);
            if found != value {
                return Err(format!("stored {name}: expected {value}, got {found}"));
            }
        }
        Ok(())
    }

    fn received(&self) -> Vec<Request> {
        self.outcome.received.iter().map(Request::received).collect()
    }
}

impl Request {
    fn expected(value: &Value) -> Request {
        use base64::Engine;
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let headers = value["headers"].as_object().into_iter().flatten();
        Request {
            method: text("method"),
            target: text("target"),
            host: text("host"),
            headers: headers
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect(),
            body: match value["body_b64"].as_str() {
                Some(coded) => base64::engine::general_purpose::STANDARD
                    .decode(coded)
                    .expect("base64 in a vector"),
                None => text("body").into_bytes(),
            },
            client_cn: value["tls_client_cn"].as_str().map(str::to_owned),
        }
    }

    fn received(request: &Received) -> Request {
        let mut headers = request.headers.clone();
        headers.retain(|name, _| !CLIENTS_OWN.contains(&name.as_str()));
        Request {
            method: request.method.clone(),
            target: request.target.clone(),
            host: request.host.clone(),
            headers,
            body: request.body.clone(),
            client_cn: request.client_cn.clone(),
        }
    }

    /// The first difference.
    fn differs(&self, ours: &Request) -> Option<String> {
        let pair =
            |what: &str, theirs: &str, ours: &str| Some(format!("{what}: expected {theirs:?}, got {ours:?}"));
        if self.method != ours.method {
            return pair("method", &self.method, &ours.method);
        }
        if self.target != ours.target {
            return pair("target", &self.target, &ours.target);
        }
        if self.host != ours.host {
            return pair("host", &self.host, &ours.host);
        }
        for (name, value) in &self.headers {
            match ours.headers.get(name) {
                Some(found) if found == value => {}
                found => return Some(format!("header {name}: expected {value:?}, got {found:?}")),
            }
        }
        let mut names = ours.headers.keys();
        // A key of casehook's own is allowed.
        if let Some(name) = names.find(|name| !self.headers.contains_key(*name) && *name != "idempotency-key")
        {
            return Some(format!("header {name} is not expected"));
        }
        if self.client_cn != ours.client_cn {
            return Some(format!(
                "client certificate: expected {:?}, got {:?}",
                self.client_cn, ours.client_cn
            ));
        }
        if !same_body(&self.body, &ours.body) {
            let text = |body: &[u8]| cut(&String::from_utf8_lossy(body));
            return pair("body", &text(&self.body), &text(&ours.body));
        }
        None
    }
}

/// Compares the first requests of both sides; more than `most` of ours are too many.
fn same_requests(expected: &[Request], ours: &[Request], most: usize) -> Result<(), String> {
    for (place, request) in expected.iter().enumerate() {
        let Some(found) = ours.get(place) else {
            let Request { method, target, .. } = request;
            return Err(format!("request {} is missing: {method} {target}", place + 1));
        };
        if let Some(what) = request.differs(found) {
            return Err(format!("request {}: {what}", place + 1));
        }
    }
    ours.get(most).map_or(Ok(()), |request| Err(more(request)))
}

fn more(request: &Request) -> String {
    format!(
        "one request more than expected: {} {}",
        request.method, request.target
    )
}

fn same(what: &str, expected: Option<&str>, ours: &str) -> Result<(), String> {
    match expected {
        Some(expected) if expected == ours => Ok(()),
        _ => Err(format!("{what}: expected {expected:?}, got {ours:?}")),
    }
}

fn shown(end: &End) -> String {
    match end {
        End::Configure(why) => format!("a refusal at configure ({})", cut(why)),
        End::Params(why) => format!("a refusal of the push ({})", cut(why)),
        End::Failed(why) => format!("a failed push ({})", cut(why)),
        End::Delivered(delivered) => format!("a delivered push ({} {})", delivered.id, cut(&delivered.url)),
        End::Odd(why) => format!("something odd ({})", cut(why)),
    }
}

fn cut(text: &str) -> String {
    let mut chars = text.chars();
    let start: String = chars.by_ref().take(160).collect();
    if chars.next().is_some() {
        format!("{start}…")
    } else {
        start
    }
}

/// A target or link as the reference would have sent it: one slash where there were several, but not after a colon,
/// and one at the end cut.
fn with_single_slashes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before_slash = ':';
    for c in text.chars() {
        if c == '/' && out.ends_with('/') && before_slash != ':' {
            continue;
        }
        if c == '/' {
            // At the start of a target stands the port, which is no colon.
            before_slash = out.chars().next_back().unwrap_or('0');
        }
        out.push(c);
    }
    if out.ends_with('/') {
        out.pop();
    }
    out
}

/// Replaces a path's word, both percent-encoded.
fn replace_word(text: &mut Value, theirs: &str, ours: &str) {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|b| match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(b).to_string(),
                other => format!("%{other:02X}"),
            })
            .collect()
    };
    let (theirs, ours) = (encode(theirs), encode(ours));
    if let Some(path) = text.as_str() {
        let words: Vec<&str> = path
            .split('/')
            .map(|word| if word == theirs { ours.as_str() } else { word })
            .collect();
        *text = Value::from(words.join("/"));
    }
}

#[test]
fn slashes_collapse_as_the_reference_has_it() {
    for (text, expected) in [
        ("/issue/", "/issue"),
        ("//issue///1", "/issue/1"),
        ("/issue/10001//", "/issue/10001"),
        ("http://h//a/", "http://h/a"),
        ("/issue?u=http://x//y", "/issue?u=http://x/y"),
    ] {
        assert_eq!(with_single_slashes(text), expected, "{text}");
    }
}
