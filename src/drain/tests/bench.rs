//! An engine on a real store, with a clock that stands still and a target that says what the test wants.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::faulty::FaultyStore;
pub(super) use super::samples::{answer, case, config, failure, with_find};
use crate::clock::Now;
use crate::connector::{Connector, SecretSources, Settings};
use crate::drain::fetch::{Fetch, Fetched, Unfetched};
use crate::drain::{Dispatch, Engine, Entry, Next};
use crate::error::Result;
use crate::model::{Attempt, Case, CommentState, Link, PushId, PushState, PushStatus, Timestamp};
use crate::outbox::{ConnectorId, NewPush, decision};
use crate::store::sqlite::{KeySource, SqliteStore};
use crate::store::{NewConnector, Retention, Store, StoredConnector, Undelivered};
use crate::transport::{Answer, Failure, FailureKind};

pub(super) const MINUTE: u64 = 60;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * 3_600;

const RETENTION: Retention = Retention {
    max_queued: 1_000_000,
    history_age: Duration::from_secs(30 * 24 * 3_600),
    history_count: 100_000,
};

/// One request as it was handed out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sent {
    pub(super) push: PushId,
    /// Method and path, such as `POST /issues`.
    pub(super) line: String,
    pub(super) host: String,
    pub(super) body: String,
    pub(super) key: Option<String>,
    pub(super) if_match: Option<String>,
    pub(super) headers: Vec<(String, String)>,
}

impl Sent {
    fn of(dispatch: &Dispatch) -> Sent {
        let request = &dispatch.request;
        let header = |name: &str| {
            let field = request.headers.iter().find(|f| f.name.eq_ignore_ascii_case(name));
            field.map(|f| f.value.to_string())
        };
        let path = &request.url[url::Position::BeforePath..];
        Sent {
            push: dispatch.push,
            line: format!("{} {path}", request.method.as_str()),
            host: request.url.host_str().unwrap_or_default().to_owned(),
            body: String::from_utf8_lossy(request.body.as_deref().unwrap_or_default()).into_owned(),
            key: header("idempotency-key"),
            if_match: header("if-match"),
            headers: request
                .headers
                .iter()
                .map(|f| (f.name.to_ascii_lowercase(), f.value.to_string()))
                .collect(),
        }
    }

    pub(super) fn is_create(&self) -> bool {
        self.line == "POST /issues"
    }
}

pub(super) struct Bench {
    /// Where the outbox lies, and files that secrets refer to.
    pub(super) dir: tempfile::TempDir,
    pub(super) store: Arc<FaultyStore>,
    pub(super) engine: Engine,
    pub(super) now: Now,
    pub(super) seed: u64,
    /// Requests that wait for their answers, oldest first.
    pub(super) flying: VecDeque<Sent>,
    /// Whether another push begins in the commit that ends one, as it does in the threads that drain.
    pub(super) begins_beside: bool,
    /// Requests that began so and that the test has not been told of.
    pub(super) began: VecDeque<Sent>,
    /// Whether secrets in files are read when the test says so, and not at once.
    pub(super) holds_fetches: bool,
    /// Those that wait for it, oldest first.
    pub(super) fetching: VecDeque<Fetch>,
    /// How many incidents the obliging target has opened.
    pub(super) opened: u32,
}

impl Bench {
    /// One connector named `c`.
    pub(super) fn new(changes: Value) -> Bench {
        let mut bench = Bench::empty();
        bench.configure("c", changes);
        bench
    }

    pub(super) fn empty() -> Bench {
        let memory = std::path::Path::new("/dev/shm");
        let dir = match memory.is_dir() {
            true => tempfile::tempdir_in(memory).unwrap(),
            false => tempfile::tempdir().unwrap(),
        };
        let key = KeySource::Given(zeroize::Zeroizing::new([7; 32]));
        let store = SqliteStore::open(&dir.path().join("outbox.db"), key).unwrap();
        let store = Arc::new(FaultyStore::new(store));
        let mut bench = Bench {
            engine: engine(&store, dir.path(), 1),
            dir,
            store,
            now: Now {
                wall: Timestamp::from_millis(1_800_000_000_000),
                steady: Duration::from_secs(1_000),
            },
            seed: 1,
            flying: VecDeque::new(),
            begins_beside: false,
            began: VecDeque::new(),
            holds_fetches: false,
            fetching: VecDeque::new(),
            opened: 0,
        };
        bench.engine.recover(bench.now).unwrap();
        bench
    }

    // What the host does

    pub(super) fn configure(&mut self, name: &str, changes: Value) -> ConnectorId {
        self.configure_document(name, &json!({"config": config(changes)}))
    }

    pub(super) fn configure_document(&mut self, name: &str, document: &Value) -> ConnectorId {
        let connector = Connector::from_json(&document.to_string()).unwrap();
        let stored = NewConnector {
            name,
            config: &connector.config_json(),
            warnings: "[]",
            target: &connector.config.target,
            secrets: connector.secrets.clone(),
        };
        let stored = self.store.put_connector(&stored, self.now.wall).unwrap();
        self.engine.connectors_changed();
        stored.id
    }

    pub(super) fn push(&self, case: Case) -> PushId {
        self.push_to("c", case)
    }

    pub(super) fn push_to(&self, name: &str, case: Case) -> PushId {
        let stored = self.stored(name);
        let connector =
            Connector::restore(&stored.name, &stored.config, &stored.warnings, Vec::new()).unwrap();
        let push = NewPush {
            connector: stored.id,
            revision: None,
            case,
            coalesce: connector.config.coalesce,
        };
        self.store.enqueue(vec![push], &RETENTION, self.now.wall).unwrap()[0]
    }

    pub(super) fn pause(&mut self, paused: bool) {
        self.store.set_paused("c", paused, self.now.wall).unwrap();
        self.engine.connectors_changed();
    }

    pub(super) fn retry(&self, id: PushId) -> Result<()> {
        let now = self.now.wall;
        self.store
            .decide(id, now, &mut |claim| decision::retry(claim, now))
    }

    pub(super) fn cancel(&self, id: PushId) -> Result<()> {
        self.store.decide(id, self.now.wall, &mut decision::cancel)
    }

    pub(super) fn adopt(&self, id: PushId, external_id: &str) -> Result<()> {
        let now = self.now.wall;
        self.store
            .decide(id, now, &mut |claim| decision::adopt(claim, external_id, now))
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<()> {
        self.engine.connectors_changed();
        self.store
            .remove_connector(name, Undelivered::Cancel, self.now.wall)
    }

    // Time

    pub(super) fn advance(&mut self, seconds: u64) {
        self.advance_by(Duration::from_secs(seconds));
    }

    pub(super) fn advance_by(&mut self, passed: Duration) {
        self.now.wall = self.now.wall.plus(passed);
        self.now.steady += passed;
    }

    /// The wall clock is set to another time; no time passes.
    pub(super) fn jump(&mut self, seconds: i64) {
        self.now.wall = Timestamp::from_millis(self.now.wall.as_millis() + seconds * 1_000);
    }

    // What the deliverer does

    /// The next request; panics when there is none.
    pub(super) fn send(&mut self) -> Sent {
        match self.turn() {
            Ok(sent) => sent,
            Err(wait) => panic!(
                "a request was expected, and there is none for {wait:?}: {:?}",
                self.store.pushes(&crate::Filter::default())
            ),
        }
    }

    /// The next request, or how long there is none.
    pub(super) fn turn(&mut self) -> std::result::Result<Sent, Option<Duration>> {
        self.try_turn().expect("the store works")
    }

    pub(super) fn try_turn(&mut self) -> Result<std::result::Result<Sent, Option<Duration>>> {
        loop {
            let dispatch = match self.engine.turn(self.now)? {
                Next::Wait(wait) => return Ok(Err(wait)),
                next => self.work_off(next)?,
            };
            if let Some(dispatch) = dispatch {
                let sent = Sent::of(&dispatch);
                self.flying.push_back(sent.clone());
                return Ok(Ok(sent));
            }
        }
    }

    fn work_off(&mut self, next: Next) -> Result<Option<Box<Dispatch>>> {
        match next {
            Next::Send(dispatch) => Ok(Some(dispatch)),
            Next::Store(entry) => self.put(entry),
            Next::Fetch(fetch) if self.holds_fetches => {
                self.fetching.push_back(*fetch);
                Ok(None)
            }
            Next::Fetch(fetch) => {
                let fetched = (fetch.read)().map_err(Unfetched::Failed);
                self.fetched(fetch.push, fetched)
            }
            Next::Wait(_) => Ok(None),
        }
    }

    fn fetched(&mut self, push: PushId, fetched: Fetched) -> Result<Option<Box<Dispatch>>> {
        match self.engine.fetched(push, fetched, self.now) {
            Some(next) => self.work_off(next),
            None => Ok(None),
        }
    }

    /// Ends the oldest of the reads that wait: it is done, or has this end. The request that follows, if one does.
    pub(super) fn end_fetch(&mut self, end: Option<Unfetched>) -> Option<Sent> {
        let fetch = self.fetching.pop_front().expect("secrets are being read");
        let fetched = match end {
            Some(end) => Err(end),
            None => (fetch.read)().map_err(Unfetched::Failed),
        };
        let dispatch = self.fetched(fetch.push, fetched).expect("the store works");
        dispatch.map(|dispatch| {
            let sent = Sent::of(&dispatch);
            self.flying.push_back(sent.clone());
            sent
        })
    }

    fn put(&mut self, entry: Box<Entry>) -> Result<Option<Box<Dispatch>>> {
        let beside = match self.begins_beside {
            true => self.engine.begin_beside(&entry, self.now)?,
            false => None,
        };
        let wall = self.now.wall;
        let begun = match beside {
            Some(Next::Store(begun)) => begun,
            beside => {
                let done = entry.store(self.store.as_ref(), wall);
                let ended = self.engine.stored(entry, done, self.now);
                if let Some(next) = beside
                    && let Some(dispatch) = self.work_off(next)?
                {
                    self.note(&dispatch);
                }
                return ended;
            }
        };
        let (ended, done) = entry.store_with(&begun, self.store.as_ref(), wall);
        let ended = self.engine.stored(entry, ended, self.now);
        if let Some(dispatch) = self.engine.stored(begun, done, self.now)? {
            self.note(&dispatch);
        }
        ended
    }

    fn note(&mut self, dispatch: &Dispatch) {
        let sent = Sent::of(dispatch);
        self.flying.push_back(sent.clone());
        self.began.push_back(sent);
    }

    /// How long the engine wants to sleep; panics when it wants to send.
    pub(super) fn wait(&mut self) -> Option<Duration> {
        match self.turn() {
            Ok(sent) => panic!("nothing was to be sent now: {sent:?}"),
            Err(wait) => wait,
        }
    }

    /// Sleeps as long as the engine wants, and not a millisecond less.
    pub(super) fn sleep(&mut self) -> Duration {
        let wait = self.wait().expect("something is due some time");
        if wait > Duration::from_millis(1) {
            self.advance_by(wait - Duration::from_millis(1));
            assert!(self.turn().is_err(), "it sends before the time it said");
            self.advance_by(Duration::from_millis(1));
        } else {
            self.advance_by(wait);
        }
        wait
    }

    /// Sleeps and sends.
    pub(super) fn sleep_and_send(&mut self) -> Sent {
        self.sleep();
        self.send()
    }

    pub(super) fn end(&mut self, sent: &Sent, result: std::result::Result<Answer, Failure>) {
        self.try_end(sent, result).expect("the store works");
    }

    pub(super) fn try_end(
        &mut self,
        sent: &Sent,
        result: std::result::Result<Answer, Failure>,
    ) -> Result<()> {
        self.flying.retain(|other| other.push != sent.push);
        let Some(entry) = self.engine.complete(sent.push, result, self.now) else {
            return Ok(());
        };
        match self.put(entry)? {
            Some(dispatch) => panic!("the end of {sent:?} began {:?}", Sent::of(&dispatch)),
            None => Ok(()),
        }
    }

    fn oldest(&self) -> Sent {
        self.flying.front().expect("a request is under way").clone()
    }

    /// Answers the oldest request.
    pub(super) fn answer(&mut self, status: u16, body: &str) {
        let sent = self.oldest();
        self.end(&sent, Ok(answer(status, &[], body)));
    }

    pub(super) fn answer_with(&mut self, status: u16, headers: &[(&str, &str)], body: &str) {
        let sent = self.oldest();
        self.end(&sent, Ok(answer(status, headers, body)));
    }

    /// Ends the oldest request without an answer.
    pub(super) fn fail(&mut self, kind: FailureKind) {
        let sent = self.oldest();
        self.end(&sent, Err(failure(kind)));
    }

    /// Answers the oldest request as an obliging target does.
    pub(super) fn oblige(&mut self) -> Sent {
        let sent = self.oldest();
        let reply = self.reply(&sent);
        self.end(&sent, Ok(reply));
        sent
    }

    pub(super) fn reply(&mut self, sent: &Sent) -> Answer {
        match sent.line.as_str() {
            "POST /issues" => {
                self.opened += 1;
                answer(201, &[], &format!(r#"{{"id":"{}"}}"#, self.opened))
            }
            line if line.starts_with("GET /issues/") => {
                let key = format!(r#"{{"key":"T-{}"}}"#, &line["GET /issues/".len()..]);
                answer(200, &[("etag", "\"v1\"")], &key)
            }
            line if line.starts_with("GET /search") => answer(200, &[], r#"{"issues":[]}"#),
            _ => answer(200, &[], "{}"),
        }
    }

    /// Lets an obliging target answer everything that is due now; the lines of the requests.
    pub(super) fn run(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            while !self.flying.is_empty() {
                self.oblige();
            }
            match self.turn() {
                Ok(sent) => lines.push(sent.line),
                Err(_) if self.flying.is_empty() => break,
                Err(_) => {}
            }
            assert!(lines.len() < 10_000, "it never ends");
        }
        lines
    }

    /// The process dies, and another one takes over.
    pub(super) fn crash(&mut self) {
        self.flying.clear();
        self.began.clear();
        self.fetching.clear();
        self.seed += 1;
        self.engine = engine(&self.store, self.dir.path(), self.seed);
        self.engine.recover(self.now).unwrap();
    }

    // What there is to see

    pub(super) fn stored(&self, name: &str) -> StoredConnector {
        self.store.connector(name).unwrap().unwrap()
    }

    pub(super) fn status(&self, id: PushId) -> PushStatus {
        self.store.status(id).unwrap().unwrap()
    }

    pub(super) fn state(&self, id: PushId) -> PushState {
        self.status(id).state
    }

    pub(super) fn comments(&self, id: PushId) -> Vec<CommentState> {
        self.status(id).comments.iter().map(|c| c.state).collect()
    }

    pub(super) fn attempts(&self, id: PushId) -> Vec<Attempt> {
        self.store.attempts(id).unwrap()
    }

    pub(super) fn link(&self, case: &str) -> Option<Link> {
        let stored = self.stored("c");
        self.store.link("c", &stored.target, case).unwrap()
    }
}

fn engine(store: &Arc<FaultyStore>, secrets: &Path, seed: u64) -> Engine {
    let store: Arc<dyn Store> = store.clone();
    let sources = SecretSources {
        dir: Some(secrets.to_owned()),
        ..SecretSources::default()
    };
    Engine::new(store, Settings::default(), sources, seed)
}
