//! A server that answers from a script: one queue for all its listeners, every request written down.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::http::{Received, Reply};
use super::listener::{Answer, Listener, Service};
use super::tls::Tls;

/// One line of a script.
#[derive(Debug, Clone, Default)]
pub struct Line {
    pub reply: Reply,
    pub delay: Duration,
    /// Close without answering.
    pub destroy: bool,
}

impl From<Reply> for Line {
    fn from(reply: Reply) -> Line {
        Line {
            reply,
            ..Line::default()
        }
    }
}

/// Two listeners on 127.0.0.1, one on `[::1]` where the machine has it, and one behind TLS on 127.0.0.1 where asked for.
pub struct Scripted {
    plain: [Listener; 2],
    ipv6: Option<Listener>,
    tls: Option<Listener>,
    script: Arc<Script>,
}

#[derive(Default)]
struct Script {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Line>,
    received: Vec<Received>,
    stopping: bool,
}

impl Scripted {
    pub fn start(lines: impl IntoIterator<Item = Line>) -> Scripted {
        Scripted::start_with(lines, None)
    }

    /// The same, with a listener behind TLS where it is given.
    pub fn start_with(lines: impl IntoIterator<Item = Line>, tls: Option<Tls>) -> Scripted {
        let script = Arc::new(Script::default());
        script.state.lock().unwrap().lines.extend(lines);
        let listen = |address: &str, tls: Option<Tls>| Listener::start_with(address, script.clone(), tls);
        let loopback = |tls| listen("127.0.0.1:0", tls).expect("a free port on loopback");
        Scripted {
            plain: [loopback(None), loopback(None)],
            ipv6: listen("[::1]:0", None).ok(),
            tls: tls.map(|tls| loopback(Some(tls))),
            script,
        }
    }

    /// Adds to the end of the script.
    pub fn extend(&self, lines: impl IntoIterator<Item = Line>) {
        self.script.state.lock().unwrap().lines.extend(lines);
    }

    /// `http://127.0.0.1:port` of the first listener.
    pub fn base(&self) -> String {
        format!("http://{}", self.plain[0].authority())
    }

    /// Every request so far, in the order in which they were read.
    pub fn received(&self) -> Vec<Received> {
        self.script.state.lock().unwrap().received.clone()
    }

    /// Replaces the tokens of the vectors (`__BASE__`, `__HOST2__`, `__TLSPORT__`, ...) by this server's addresses.
    pub fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (suffix, listener) in self.http() {
            let authority = listener.authority();
            text = text
                .replace(&format!("__BASE{suffix}__"), &format!("http://{authority}"))
                .replace(&format!("__HOST{suffix}__"), &authority)
                .replace(&format!("__PORT{suffix}__"), &listener.port().to_string());
        }
        if let Some(tls) = &self.tls {
            text = text
                .replace("__TLS__", &format!("https://{}", tls.authority()))
                .replace("__TLSPORT__", &tls.port().to_string());
        }
        text
    }

    /// What this server lacks for the tokens in the text.
    pub fn lacking(&self, text: &str) -> Option<&'static str> {
        let ipv6 = ["__BASE6__", "__HOST6__", "__PORT6__"];
        match text {
            _ if self.tls.is_none() && text.contains("__TLS") => Some("TLS listener"),
            _ if self.ipv6.is_none() && ipv6.iter().any(|token| text.contains(token)) => {
                Some("IPv6 on loopback")
            }
            _ => None,
        }
    }

    fn http(&self) -> impl Iterator<Item = (&'static str, &Listener)> {
        let [first, second] = &self.plain;
        let ipv6 = self.ipv6.as_ref().map(|listener| ("6", listener));
        [("", first), ("2", second)].into_iter().chain(ipv6)
    }
}

impl Service for Script {
    fn answer(&self, request: Received) -> Answer {
        let mut state = self.state.lock().unwrap();
        state.received.push(request);
        let Some(line) = state.lines.pop_front() else {
            // Not in the script: the extra request shows in what was received.
            return Answer::Reply(Reply::empty(500));
        };
        let until = Instant::now() + line.delay;
        while !state.stopping {
            let Some(left) = until
                .checked_duration_since(Instant::now())
                .filter(|d| !d.is_zero())
            else {
                break;
            };
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
        if line.destroy {
            Answer::Cut
        } else {
            Answer::Reply(line.reply)
        }
    }

    fn stopping(&self) {
        self.state.lock().unwrap().stopping = true;
        self.changed.notify_all();
    }
}

/// Reads one answer of a vector, its tokens replaced already.
pub fn line(answer: &Value) -> Line {
    let flag = |name: &str| answer[name].as_bool().unwrap_or(false);
    let mut headers = Vec::new();
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        match value {
            Value::Array(values) => headers.extend(values.iter().map(|v| (name.clone(), plain(v)))),
            value => headers.push((name.clone(), plain(value))),
        }
    }
    Line {
        reply: Reply {
            status: answer["status"]
                .as_u64()
                .and_then(|s| u16::try_from(s).ok())
                .unwrap_or(0),
            reason: plain(&answer["reason"]),
            headers,
            body: body(answer),
            chunked: flag("chunked"),
            truncate: flag("truncate"),
        },
        delay: Duration::from_millis(answer["delay_ms"].as_u64().unwrap_or(0)),
        destroy: flag("destroy"),
    }
}

fn body(answer: &Value) -> Vec<u8> {
    use base64::Engine;
    if let Some(text) = answer["body_b64"].as_str() {
        let engine = base64::engine::general_purpose::STANDARD;
        return engine.decode(text).expect("base64 in a vector");
    }
    let made = &answer["body_gen"];
    if made.is_object() {
        let count = made["count"].as_u64().and_then(|n| usize::try_from(n).ok());
        let middle = plain(&made["repeat"]).repeat(count.expect("a count"));
        return format!("{}{middle}{}", plain(&made["prefix"]), plain(&made["suffix"])).into_bytes();
    }
    plain(&answer["body"]).into_bytes()
}

/// A string without its quotes, nothing for null, anything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
