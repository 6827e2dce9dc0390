//! The target of the torture: it does what it is asked, records every effect, and kills its client when told to.
#![allow(dead_code)]

use std::collections::{HashMap, HashSet};
use std::io::{BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::http::{Received, Reply, read_request};

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    Create,
    Find,
    Get,
    Update,
    Comment,
}

/// Where in an exchange the client dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    Received,
    Acted,
    HalfAnswered,
    Answered,
}

/// Kill at this moment of the n-th (from 0) request of this step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    pub step: Step,
    pub moment: Moment,
    pub countdown: u32,
}

/// One incident: the connector and case it was made for, and the versions it took.
#[derive(Debug, Clone)]
pub struct Incident {
    pub lane: String,
    pub case: String,
    pub version: u64,
}

/// What the server did, in the order in which it did it.
#[derive(Debug, Default)]
pub struct Record {
    pub incidents: Vec<Incident>,
    /// Effects of creates: (connector/case, version) and how often.
    pub creates: HashMap<(String, u64), u32>,
    /// Comments of a connector/case in the order in which they came.
    pub comments: HashMap<String, Vec<String>>,
    /// Every request of a connector/case, for people who look for the cause of a fault.
    pub log: HashMap<String, Vec<String>>,
    pub requests: u64,
    /// Rules that the client broke as seen from here.
    pub broken: Vec<String>,
}

#[derive(Default)]
struct State {
    record: Record,
    by_case: HashMap<String, Vec<usize>>,
    /// What was answered under a key, for the connector whose target honours keys.
    answered: HashMap<String, Reply>,
    /// Per case: the last write, and the writes that something else followed, so that they were committed.
    last: HashMap<String, String>,
    done: HashMap<String, HashSet<String>>,
    under_way: HashSet<String>,
    plan: Option<Plan>,
    connections: usize,
    /// The client's port of the last connection that was taken from the queue of the listener.
    accepted: u16,
}

type Killer = Box<dyn FnMut() + Send>;

pub struct Server {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    quiet: Condvar,
    killer: Mutex<Option<Killer>>,
}

impl Server {
    /// Starts it; its threads end with the process.
    pub fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        let server = Server {
            address,
            shared: Arc::clone(&shared),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                let port = stream.peer_addr().map_or(0, |peer| peer.port());
                {
                    let mut state = shared.state.lock().unwrap();
                    state.connections += 1;
                    state.accepted = port;
                }
                std::thread::spawn(move || {
                    shared.serve(stream);
                    shared.state.lock().unwrap().connections -= 1;
                    shared.quiet.notify_all();
                });
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Who is killed when the plan says so; called once.
    pub fn aim(&self, plan: Option<Plan>, killer: impl FnMut() + Send + 'static) {
        *self.shared.killer.lock().unwrap() = Some(Box::new(killer));
        self.shared.state.lock().unwrap().plan = plan;
    }

    /// Calls the plan off. False when it was carried out already.
    pub fn disarm(&self) -> bool {
        self.shared.killer.lock().unwrap().take().is_some()
    }

    /// Waits until what a dead client sent is done: a target that acts later than that is another matter.
    pub fn settle(&self, patience: Duration) {
        let until = Instant::now() + patience;
        // Its connections may still wait to be accepted: this one comes behind them.
        let last = TcpStream::connect(&self.address).unwrap();
        let port = last.local_addr().unwrap().port();
        while self.shared.state.lock().unwrap().accepted != port {
            assert!(Instant::now() < until, "the target accepts nothing");
            std::thread::sleep(Duration::from_micros(100));
        }
        drop(last);
        let mut state = self.shared.state.lock().unwrap();
        while state.connections > 0 {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "connections of a dead client stay open");
            state = self.shared.quiet.wait_timeout(state, left).unwrap().0;
        }
    }

    pub fn read<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.shared.state.lock().unwrap().record)
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let mut reader = BufReader::new(stream);
        while let Ok(Some(request)) = read_request(&mut reader) {
            let Some((step, lane, case)) = self.address(&request) else {
                self.state
                    .lock()
                    .unwrap()
                    .record
                    .broken
                    .push(format!("{} {} leads nowhere", request.method, request.target));
                return;
            };
            let dies = self.due(step);
            if dies == Some(Moment::Received) {
                self.kill();
                return;
            }
            let reply = self.act(step, &lane, &case, &request);
            if dies == Some(Moment::Acted) {
                self.kill();
                return;
            }
            let mut bytes = Vec::new();
            let _ = reply.write(&mut bytes);
            let stream = reader.get_mut();
            if dies == Some(Moment::HalfAnswered) {
                let _ = stream.write_all(&bytes[..bytes.len() * 2 / 3]);
                self.kill();
                return;
            }
            if stream.write_all(&bytes).is_err() {
                return;
            }
            if dies == Some(Moment::Answered) {
                self.kill();
                return;
            }
        }
        let _ = reader.get_mut().shutdown(Shutdown::Both);
    }

    fn kill(&self) {
        if let Some(mut killer) = self.killer.lock().unwrap().take() {
            killer();
        }
    }

    fn due(&self, step: Step) -> Option<Moment> {
        let mut state = self.state.lock().unwrap();
        let plan = state.plan.as_mut().filter(|plan| plan.step == step)?;
        if plan.countdown > 0 {
            plan.countdown -= 1;
            return None;
        }
        state.plan.take().map(|plan| plan.moment)
    }

    /// The step of a request, and the connector and case that it is about.
    fn address(&self, request: &Received) -> Option<(Step, String, String)> {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let words: Vec<&str> = path.trim_matches('/').split('/').collect();
        let of = |id: &str| {
            let state = self.state.lock().unwrap();
            let incident = state.record.incidents.get(id.parse::<usize>().ok()?)?;
            Some((incident.lane.clone(), incident.case.clone()))
        };
        match (request.method.as_str(), words.as_slice()) {
            ("POST", [lane, "issues"]) => {
                let case = request.json()["caseId"].as_str()?.to_owned();
                Some((Step::Create, (*lane).to_owned(), case))
            }
            ("GET", [lane, "issues"]) => {
                let case = query.strip_prefix("q=")?;
                Some((Step::Find, (*lane).to_owned(), case.to_owned()))
            }
            ("GET", [_, "issues", id]) => of(id).map(|(lane, case)| (Step::Get, lane, case)),
            ("PUT", [_, "issues", id]) => of(id).map(|(lane, case)| (Step::Update, lane, case)),
            ("POST", [_, "issues", id, "comments"]) => of(id).map(|(lane, case)| (Step::Comment, lane, case)),
            _ => None,
        }
    }

    fn act(&self, step: Step, lane: &str, case: &str, request: &Received) -> Reply {
        let key = format!("{lane}/{case}");
        {
            let mut state = self.state.lock().unwrap();
            if !state.under_way.insert(key.clone()) {
                let what = format!("{key}: two requests at once, the second a {step:?}");
                state.record.broken.push(what);
            }
        }
        // Time for a second request of the case to meet this one, if there were one.
        std::thread::yield_now();
        let mut state = self.state.lock().unwrap();
        state.record.requests += 1;
        state.note(step, &key, request);
        let honoured = request
            .header("idempotency-key")
            .filter(|_| lane == "keys")
            .map(|name| format!("{key} {name}"));
        let known = honoured
            .as_ref()
            .and_then(|name| state.answered.get(name))
            .cloned();
        let reply = known.unwrap_or_else(|| {
            let reply = state.perform(step, lane, case, request);
            if let Some(name) = honoured.filter(|_| matches!(step, Step::Create | Step::Comment)) {
                state.answered.insert(name, reply.clone());
            }
            reply
        });
        state.under_way.remove(&key);
        reply
    }
}

impl State {
    /// A write that another step followed was committed, so it must not come again.
    fn note(&mut self, step: Step, key: &str, request: &Received) {
        let body = request.json();
        let token = match step {
            Step::Find => "find".to_owned(),
            Step::Get => "get".to_owned(),
            Step::Create | Step::Update => format!("{step:?} {}", body["version"]),
            Step::Comment => format!("comment {}", body["id"]),
        };
        self.record
            .log
            .entry(key.to_owned())
            .or_default()
            .push(token.clone());
        let done = self.done.entry(key.to_owned()).or_default();
        if done.contains(&token) {
            let what = format!("{key}: {token} came again after its effect was committed");
            self.record.broken.push(what);
        }
        let last = self.last.entry(key.to_owned()).or_default();
        if token == "find" {
            return;
        }
        if *last != token && *last != "get" {
            done.insert(std::mem::take(last));
        }
        *last = token;
    }

    fn perform(&mut self, step: Step, lane: &str, case: &str, request: &Received) -> Reply {
        let key = format!("{lane}/{case}");
        let body = request.json();
        let version = body["version"].as_str().and_then(|v| v.parse().ok());
        match step {
            Step::Create => {
                let version = version.unwrap_or(0);
                let number = self.record.incidents.len();
                self.record.incidents.push(Incident {
                    lane: lane.to_owned(),
                    case: case.to_owned(),
                    version,
                });
                *self.record.creates.entry((key.clone(), version)).or_default() += 1;
                self.by_case.entry(key).or_default().push(number);
                Reply::json(201, &json!({"id": number.to_string()}))
            }
            Step::Find => {
                let found: Vec<Value> = self
                    .by_case
                    .get(&key)
                    .into_iter()
                    .flatten()
                    .map(|number| json!({"id": number.to_string()}))
                    .collect();
                Reply::json(200, &json!({"issues": found}))
            }
            Step::Get | Step::Update | Step::Comment => {
                let number = request
                    .target
                    .split('/')
                    .nth(3)
                    .and_then(|n| n.parse::<usize>().ok());
                let Some((number, incident)) =
                    number.and_then(|n| self.record.incidents.get_mut(n).map(|i| (n, i)))
                else {
                    return Reply::empty(404);
                };
                match step {
                    Step::Update => {
                        let version = version.unwrap_or(0);
                        if version < incident.version {
                            let what = format!("{key}: {version} came after {}", incident.version);
                            self.record.broken.push(what);
                        }
                        incident.version = version;
                    }
                    Step::Comment => {
                        let id = body["id"].as_str().unwrap_or("?").to_owned();
                        self.record.comments.entry(key).or_default().push(id);
                    }
                    _ => {}
                }
                Reply::json(
                    200,
                    &json!({"id": number.to_string(), "key": format!("T-{number}")}),
                )
            }
        }
    }
}
