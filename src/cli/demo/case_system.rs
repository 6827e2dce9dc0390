//! The demo's case system: a few resources over HTTP/1.1 on loopback, written by hand, kept in memory.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

/// The first incident's number.
const FIRST_ID: usize = 101;
/// The longest request line or header that is read.
const LINE_BYTES: u64 = 16 * 1024;
/// The longest body that is read.
const BODY_BYTES: u64 = 1024 * 1024;
/// How soon an idle connection notices that the system goes down.
const TICK: Duration = Duration::from_millis(100);

/// A case system that is up; dropping it takes it down.
pub(super) struct CaseSystem {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

/// One incident that it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Issue {
    pub(super) title: String,
    pub(super) description: String,
    pub(super) severity: String,
    pub(super) comments: Vec<String>,
    /// How often it was changed after it was opened.
    pub(super) updates: usize,
}

#[derive(Default)]
struct Shared {
    down: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    issues: Vec<Issue>,
    /// Idempotency keys of creates that were acted on, and the issue each one opened.
    keys: HashMap<String, usize>,
}

impl CaseSystem {
    /// A port of loopback on which nothing listens.
    pub(super) fn reserve_port() -> io::Result<u16> {
        Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
    }

    /// Brings it up on that port.
    pub(super) fn start(port: u16) -> io::Result<CaseSystem> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        let handle = thread::Builder::new()
            .name("demo-case-system".to_owned())
            .spawn(move || accept(&listener, &accepting))?;
        Ok(CaseSystem {
            address,
            shared,
            listener: Some(handle),
        })
    }

    /// What it holds: number and content, oldest first.
    pub(super) fn issues(&self) -> Vec<(usize, Issue)> {
        let issues = self.shared.state().issues.clone();
        issues
            .into_iter()
            .enumerate()
            .map(|(place, issue)| (FIRST_ID + place, issue))
            .collect()
    }
}

impl Drop for CaseSystem {
    fn drop(&mut self) {
        self.shared.down.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees that it is over.
        let woken = TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok();
        if let Some(handle) = self.listener.take().filter(|_| woken) {
            let _ = handle.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_down(&self) -> bool {
        self.down.load(Ordering::SeqCst)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.is_down() {
            return;
        }
        if let Ok(stream) = stream {
            let shared = Arc::clone(shared);
            // A connection that fails is the client's to notice; it tries again.
            thread::spawn(move || serve(&stream, &shared));
        }
    }
}

/// Answers the requests of one connection until either side ends it.
fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TICK))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(Patient { stream, shared });
    while let Some(request) = read_request(&mut reader)? {
        let (status, body) = answer(&request, &mut shared.state());
        let body = body.to_string();
        let text = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        (&mut &*stream).write_all(text.as_bytes())?;
    }
    Ok(())
}

/// A socket whose reads wait until something comes or the system goes down.
struct Patient<'a> {
    stream: &'a TcpStream,
    shared: &'a Shared,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
                        && !self.shared.is_down() => {}
                result => return result,
            }
        }
    }
}

#[derive(Debug, Default)]
struct HttpRequest {
    method: String,
    path: String,
    key: Option<String>,
    body: Value,
}

/// The next request, or none at the end of the connection.
fn read_request(reader: &mut impl BufRead) -> io::Result<Option<HttpRequest>> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let line = read_line(reader)?;
    let mut parts = line.split(' ');
    let (Some(method), Some(path)) = (parts.next().filter(|method| !method.is_empty()), parts.next()) else {
        return Ok(None);
    };
    let mut request = HttpRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        ..HttpRequest::default()
    };
    let mut length = 0;
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| invalid("a header without a colon"))?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().map_err(|_| invalid("a wrong length"))?,
            "transfer-encoding" => return Err(invalid("chunks are not understood")),
            "idempotency-key" => request.key = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    if length > BODY_BYTES {
        return Err(invalid("too long a body"));
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    request.body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Some(request))
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.by_ref().take(LINE_BYTES).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn answer(request: &HttpRequest, state: &mut State) -> (&'static str, Value) {
    const CREATED: &str = "201 Created";
    const OK: &str = "200 OK";
    let segments: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    let known = segments
        .get(1)
        .and_then(|id| id.parse::<usize>().ok())
        .and_then(|id| {
            let place = id.checked_sub(FIRST_ID)?;
            (place < state.issues.len()).then_some(place)
        });
    match (request.method.as_str(), segments.as_slice(), known) {
        ("POST", ["issues"], _) => (CREATED, create(request, state)),
        ("GET", ["issues", _], Some(place)) => (OK, shown(place, &state.issues[place])),
        ("PUT", ["issues", _], Some(place)) => {
            let issue = &mut state.issues[place];
            fill(issue, &request.body);
            issue.updates += 1;
            (OK, shown(place, issue))
        }
        ("POST", ["issues", _, "comments"], Some(place)) => {
            let comment = text(&request.body, "comment");
            state.issues[place].comments.push(comment);
            (CREATED, json!({"comments": state.issues[place].comments.len()}))
        }
        _ => ("404 Not Found", json!({"error": "no such thing"})),
    }
}

/// A create under a key that was seen before opens nothing new.
fn create(request: &HttpRequest, state: &mut State) -> Value {
    let seen = request.key.as_ref().and_then(|key| state.keys.get(key).copied());
    let place = seen.unwrap_or_else(|| {
        let mut issue = Issue::default();
        fill(&mut issue, &request.body);
        state.issues.push(issue);
        state.issues.len() - 1
    });
    if let Some(key) = &request.key {
        state.keys.insert(key.clone(), place);
    }
    shown(place, &state.issues[place])
}

fn fill(issue: &mut Issue, body: &Value) {
    issue.title = text(body, "title");
    issue.description = text(body, "description");
    issue.severity = text(body, "severity");
}

fn shown(place: usize, issue: &Issue) -> Value {
    json!({
        "id": FIRST_ID + place,
        "title": issue.title,
        "description": issue.description,
        "severity": issue.severity,
        "comments": issue.comments,
    })
}

fn text(body: &Value, name: &str) -> String {
    body.get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(stream: &TcpStream, method: &str, path: &str, extra: &str, body: &str) -> (u16, Value) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\n{extra}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        (&mut &*stream).write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let status = read_line(&mut reader).unwrap()[9..12].parse().unwrap();
        let mut length = 0;
        loop {
            let line = read_line(&mut reader).unwrap();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn creates_reads_changes_and_comments_over_one_connection() {
        let system = CaseSystem::start(0).unwrap();
        let stream = TcpStream::connect(system.address).unwrap();
        let key = "Idempotency-Key: k1\r\n";
        let (status, body) = exchange(&stream, "POST", "/issues", key, "{\"title\": \"T\"}");
        assert_eq!((status, &body["id"]), (201, &json!(101)));
        let (_, again) = exchange(&stream, "POST", "/issues", key, "{\"title\": \"T\"}");
        assert_eq!(again["id"], json!(101));
        assert_eq!(
            exchange(&stream, "PUT", "/issues/101", "", "{\"title\": \"U\"}").0,
            200
        );
        assert_eq!(
            exchange(
                &stream,
                "POST",
                "/issues/101/comments",
                "",
                "{\"comment\": \"c\"}"
            )
            .0,
            201
        );
        assert_eq!(
            exchange(&stream, "GET", "/issues/101", "", "").1["title"],
            json!("U")
        );
        for path in ["/issues/102", "/issues/0", "/issues/x", "/", "/issues/101/y"] {
            assert_eq!(exchange(&stream, "GET", path, "", "").0, 404, "{path}");
        }
        let issue = Issue {
            title: "U".to_owned(),
            comments: vec!["c".to_owned()],
            updates: 1,
            ..Issue::default()
        };
        assert_eq!(system.issues(), [(101, issue)]);
    }

    #[test]
    fn is_down_before_it_starts_and_after_it_is_dropped() {
        let port = CaseSystem::reserve_port().unwrap();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
        let system = CaseSystem::start(port).unwrap();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        drop(system);
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    }
}
