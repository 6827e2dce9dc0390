//! A small case system in memory, with a switch for everything that a real one can do wrong.
//!
//! `POST /issues` · `GET|PUT|PATCH /issues/ID` · `POST /issues/ID/comments` · `GET /issues?q=CASE-ID`

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::http::{Received, Reply};
use super::listener::{Answer, Listener, Opening, Service};

/// What the system does in place of its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Answers this, nothing else done.
    Reply(Reply),
    /// Does nothing and says nothing until the faults are cleared, then closes the connection.
    Hang,
    /// Closes the connection at the first byte of the request; nothing done, nothing recorded.
    CutBeforeReading,
    /// Reads the request and closes the connection; nothing done.
    CutAfterReading,
    /// Does what was asked and closes the connection instead of answering.
    CutAfterActing,
}

/// One incident as the system keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    pub id: String,
    pub key: String,
    /// Its fields: those of the create, under those of later updates.
    pub fields: Map<String, Value>,
    /// How often it was updated.
    pub updates: u32,
    /// The comments' bodies, oldest first.
    pub comments: Vec<Value>,
}

/// The system. Its port stays the same over [`CaseSystem::down`] and [`CaseSystem::up`].
pub struct CaseSystem {
    listener: Mutex<Option<Listener>>,
    address: String,
    world: Arc<World>,
}

#[derive(Default)]
struct World {
    state: Mutex<State>,
    changed: Condvar,
}

/// What the system would still know after its own restart.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    pub incidents: Vec<Incident>,
    /// What was answered under a key, while keys are honoured.
    answered: BTreeMap<String, Reply>,
}

type Watcher = Box<dyn Fn(&Memory) + Send>;
type Rule = (Box<dyn Fn(&Received) -> bool + Send>, Fault);

#[derive(Default)]
struct State {
    memory: Memory,
    requests: Vec<Received>,
    /// Told of what there is to remember after each write, before it is answered.
    watcher: Option<Watcher>,
    /// Each for the first request that it fits.
    rules: Vec<Rule>,
    honours_keys: bool,
    hidden: bool,
    /// Faults for the next requests, in order; then `always`.
    faults: VecDeque<Fault>,
    always: Option<Fault>,
    /// Grows when faults are cleared: whoever hangs is let go.
    cleared: u64,
    stopping: bool,
}

impl CaseSystem {
    /// A system that is up, has no incidents and ignores idempotency keys.
    pub fn start() -> CaseSystem {
        let world = Arc::new(World::default());
        let listener = Listener::start("127.0.0.1:0", world.clone()).expect("loopback");
        CaseSystem {
            address: listener.authority(),
            listener: Mutex::new(Some(listener)),
            world,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A connector's `config` for this system, without credentials and without look-up.
    pub fn config(&self) -> Value {
        config_for(&self.url())
    }

    /// The same with the look-up of cases whose create had no clear outcome.
    pub fn config_with_find(&self) -> Value {
        let mut config = self.config();
        config["findIncidentUrl"] = json!(format!("{}/issues?q={{{{{{case.id}}}}}}", self.url()));
        config["findIncidentResponseKey"] = json!("issues[].id");
        config
    }

    // Switches

    /// Refuses connections and ends those that are open.
    pub fn down(&self) {
        let listener = self.listener.lock().unwrap().take();
        drop(listener);
        self.world.state.lock().unwrap().stopping = false;
    }

    /// Listens again.
    pub fn up(&self) {
        let mut listener = self.listener.lock().unwrap();
        if listener.is_none() {
            *listener = Some(Listener::start(&self.address, self.world.clone()).expect("its own port"));
        }
    }

    /// The next `count` requests meet this fault.
    pub fn fail_next(&self, count: usize, fault: Fault) {
        self.change(|state| state.faults.extend(std::iter::repeat_n(fault, count)));
    }

    /// Every request meets this fault, after those of `fail_next`.
    pub fn fail_always(&self, fault: Fault) {
        self.change(|state| state.always = Some(fault));
    }

    /// No more faults; hanging requests are let go.
    pub fn clear_faults(&self) {
        self.change(|state| {
            state.faults.clear();
            state.always = None;
            state.cleared += 1;
        });
    }

    /// Whether a write under an `Idempotency-Key` seen before gets the first answer and does nothing.
    pub fn honour_keys(&self, yes: bool) {
        self.change(|state| state.honours_keys = yes);
    }

    pub fn honours_keys(&self) -> bool {
        self.world.state.lock().unwrap().honours_keys
    }

    /// Whether the look-up finds nothing, as an index that lags.
    pub fn hide_from_search(&self, yes: bool) {
        self.change(|state| state.hidden = yes);
    }

    /// The first request that fits meets this fault, whatever others come before it.
    pub fn fail_where(&self, fits: impl Fn(&Received) -> bool + Send + 'static, fault: Fault) {
        self.change(|state| state.rules.push((Box::new(fits), fault)));
    }

    /// Has this told of the memory after each write, before the answer to it.
    pub fn watch(&self, watcher: impl Fn(&Memory) + Send + 'static) {
        self.change(|state| state.watcher = Some(Box::new(watcher)));
    }

    /// Goes back to what was remembered then. No watcher and no fault stays; requests are counted anew.
    pub fn restore(&self, memory: Memory) {
        self.change(|state| {
            state.memory = memory;
            state.requests.clear();
            state.watcher = None;
            state.rules.clear();
            state.faults.clear();
            state.always = None;
        });
    }

    // What there is to see

    /// The incidents, oldest first.
    pub fn incidents(&self) -> Vec<Incident> {
        self.world.state.lock().unwrap().memory.incidents.clone()
    }

    /// Those that were created for this case of the host.
    pub fn incidents_of(&self, case_id: &str) -> Vec<Incident> {
        let mut incidents = self.incidents();
        incidents.retain(|incident| incident.fields.get("caseId").is_some_and(|id| id == case_id));
        incidents
    }

    /// Every request that was read, in the order of reading.
    pub fn requests(&self) -> Vec<Received> {
        self.world.state.lock().unwrap().requests.clone()
    }

    /// Waits until so many requests have been read; false when that takes longer than `timeout`.
    pub fn wait_for_requests(&self, count: usize, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let mut state = self.world.state.lock().unwrap();
        while state.requests.len() < count {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return false;
            };
            state = self.world.changed.wait_timeout(state, left).unwrap().0;
        }
        true
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.world.state.lock().unwrap());
        self.world.changed.notify_all();
    }
}

/// A connector's `config` for a system at that address, without credentials and without look-up.
pub fn config_for(base: &str) -> Value {
    let body = r#"{"caseId":{{{case.id}}},"title":{{{case.title}}},"description":{{{case.description}}}}"#;
    json!({
        "createIncidentUrl": format!("{base}/issues"),
        "createIncidentJson": body,
        "createIncidentResponseKey": "id",
        "getIncidentUrl": format!("{base}/issues/{{{{{{external.system.id}}}}}}"),
        "getIncidentResponseExternalTitleKey": "key",
        "viewIncidentUrl": format!("{base}/browse/{{{{{{external.system.title}}}}}}"),
        "updateIncidentUrl": format!("{base}/issues/{{{{{{external.system.id}}}}}}"),
        "updateIncidentJson": body,
        "createCommentUrl": format!("{base}/issues/{{{{{{external.system.id}}}}}}/comments"),
        "createCommentMethod": "post",
        "createCommentJson": r#"{"id":{{{case.commentId}}},"body":{{{case.comment}}}}"#,
        "hasAuth": false,
    })
}

impl Service for World {
    fn opening(&self) -> Opening {
        let mut state = self.state.lock().unwrap();
        if state.next_fault() == Some(&Fault::CutBeforeReading) {
            state.take_fault();
            return Opening::Cut;
        }
        Opening::Read
    }

    fn answer(&self, request: Received) -> Answer {
        let mut state = self.state.lock().unwrap();
        state.requests.push(request.clone());
        self.changed.notify_all();
        match state.take_fault_of(&request) {
            None => Answer::Reply(state.act(&request)),
            Some(Fault::Reply(reply)) => Answer::Reply(reply),
            Some(Fault::CutBeforeReading | Fault::CutAfterReading) => Answer::Cut,
            Some(Fault::CutAfterActing) => {
                state.act(&request);
                Answer::Cut
            }
            Some(Fault::Hang) => {
                let cleared = state.cleared;
                let _let_go = self
                    .changed
                    .wait_while(state, |s| !s.stopping && s.cleared == cleared);
                Answer::Cut
            }
        }
    }

    fn stopping(&self) {
        self.state.lock().unwrap().stopping = true;
        self.changed.notify_all();
    }
}

impl State {
    fn next_fault(&self) -> Option<&Fault> {
        self.faults.front().or(self.always.as_ref())
    }

    fn take_fault(&mut self) -> Option<Fault> {
        self.faults.pop_front().or_else(|| self.always.clone())
    }

    fn take_fault_of(&mut self, request: &Received) -> Option<Fault> {
        match self.rules.iter().position(|(fits, _)| fits(request)) {
            Some(place) => Some(self.rules.remove(place).1),
            None => self.take_fault(),
        }
    }

    fn act(&mut self, request: &Received) -> Reply {
        let key = request.header("idempotency-key").filter(|_| self.honours_keys);
        if let Some(reply) = key.and_then(|key| self.memory.answered.get(key)) {
            return reply.clone();
        }
        let reply = self.route(request);
        if let Some(key) = key.filter(|_| reply.status < 300) {
            self.memory.answered.insert(key.to_owned(), reply.clone());
        }
        if let Some(watcher) = self.watcher.as_ref().filter(|_| request.method != "GET") {
            watcher(&self.memory);
        }
        reply
    }

    fn route(&mut self, request: &Received) -> Reply {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let words: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), words.as_slice()) {
            ("POST", ["issues"]) => self.create(request),
            ("GET", ["issues"]) => self.search(query),
            ("GET", ["issues", id]) => self.on(id, |incident| Reply::json(200, &incident.shown())),
            ("PUT" | "PATCH", ["issues", id]) => self.on(id, |incident| {
                let Value::Object(fields) = request.json() else {
                    return refusal(400, "an update is a JSON object");
                };
                incident.fields.extend(fields);
                incident.updates += 1;
                Reply::json(200, &incident.shown())
            }),
            ("POST", ["issues", id, "comments"]) => self.on(id, |incident| {
                incident.comments.push(request.json());
                Reply::json(201, &json!({"id": format!("c{}", incident.comments.len())}))
            }),
            _ => refusal(405, "no such operation"),
        }
    }

    fn create(&mut self, request: &Received) -> Reply {
        let Value::Object(fields) = request.json() else {
            return refusal(400, "an incident is a JSON object");
        };
        let number = 1001 + self.memory.incidents.len();
        let incident = Incident {
            id: number.to_string(),
            key: format!("CASE-{number}"),
            fields,
            updates: 0,
            comments: Vec::new(),
        };
        let reply = Reply::json(201, &json!({"id": incident.id, "key": incident.key}));
        self.memory.incidents.push(incident);
        reply
    }

    fn search(&self, query: &str) -> Reply {
        let wanted = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("q="))
            .map(percent_decoded);
        let found: Vec<Value> = self
            .memory
            .incidents
            .iter()
            .filter(|incident| {
                !self.hidden && incident.fields.get("caseId").and_then(Value::as_str) == wanted.as_deref()
            })
            .map(Incident::shown)
            .collect();
        Reply::json(200, &json!({"issues": found}))
    }

    fn on(&mut self, id: &str, act: impl FnOnce(&mut Incident) -> Reply) -> Reply {
        match self
            .memory
            .incidents
            .iter_mut()
            .find(|incident| incident.id == id)
        {
            Some(incident) => act(incident),
            None => refusal(404, "no such incident"),
        }
    }
}

impl Incident {
    fn shown(&self) -> Value {
        let mut shown = self.fields.clone();
        shown.insert("id".to_owned(), json!(self.id));
        shown.insert("key".to_owned(), json!(self.key));
        Value::Object(shown)
    }
}

fn refusal(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({"error": message}))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        let digits = (byte == b'%').then(|| [bytes.next(), bytes.next()]);
        match digits {
            Some([Some(high), Some(low)]) => {
                let pair = [high, low];
                let code = std::str::from_utf8(&pair)
                    .ok()
                    .and_then(|p| u8::from_str_radix(p, 16).ok());
                out.extend(code);
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
