//! Random lives of an outbox against a simple model of delivery and of the server.
//!
//! `PROPTEST_CASES` says how many lives.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::bench::{Bench, HOUR, Sent, answer, config as config_of, failure, with_find};
use crate::Case;
use crate::drain::fetch::Unfetched;
use crate::model::{CommentState, PushId, PushState, Step};
use crate::outbox::Progress;
use crate::store::Store;
use crate::transport::{Answer, Failure, FailureKind};

const CONNECTORS: [&str; 2] = ["c", "d"];
const HOSTS: [&str; 2] = ["t.example", "u.example"];
const CASES: [&str; 4] = ["", "a", "b", "e"];
const COMMENTS: [&str; 3] = ["x", "y", ""];

#[derive(Debug, Clone)]
enum Op {
    Push {
        connector: usize,
        case: usize,
        comments: Vec<usize>,
    },
    Configure {
        connector: usize,
        host: usize,
        policy: usize,
    },
    Pause(bool),
    Cancel(usize),
    Retry(usize),
    Discard(usize),
    Adopt(usize),
    /// Cancels one that cannot have opened an incident that casehook does not know of.
    CancelSurely(usize),
    /// Gives one the incident that there is of its case.
    AdoptRightly(usize),
    Turn,
    End {
        which: usize,
        how: How,
    },
    /// How the oldest read of secrets ends.
    Fetch(HowRead),
    Advance(u64),
    Jump(i64),
    /// Of the requests under way those whose bit is set had arrived.
    Crash(u8),
}

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Obliged,
    /// No answer, and whether the server acted.
    Lost(bool),
    NotConnected,
    NotWritten,
    /// Refused with this status; nothing done.
    Status(u16),
    /// The same, unless the server knows the request's key: then it was not refused the first time either.
    Refused(u16),
    ThrottledFor(u16),
    /// A 5xx that says nothing of what was done.
    Broken(bool),
    /// Acted, and the answer cannot be used.
    Unusable,
}

/// How a read of secrets ends.
#[derive(Debug, Clone, Copy)]
enum HowRead {
    Read,
    Unreadable,
    /// Nobody waits for it any more.
    Closed,
}

fn gentle() -> impl Strategy<Value = How> {
    prop_oneof![
        6 => Just(How::Obliged),
        2 => any::<bool>().prop_map(How::Lost),
        1 => Just(How::NotConnected),
        1 => Just(How::NotWritten),
        1 => prop_oneof![Just(401), Just(407), Just(408), Just(425), Just(503)].prop_map(How::Status),
        1 => (0..100u16).prop_map(How::ThrottledFor),
        1 => any::<bool>().prop_map(How::Broken),
    ]
}

/// As `gentle`, and some requests are refused for good; see `World::end`.
fn honest() -> impl Strategy<Value = How> {
    prop_oneof![
        8 => gentle(),
        1 => prop_oneof![Just(400), Just(404), Just(409), Just(501)].prop_map(How::Refused),
    ]
}

fn any_end() -> impl Strategy<Value = How> {
    prop_oneof![
        8 => gentle(),
        1 => prop_oneof![Just(400), Just(404), Just(409), Just(501)].prop_map(How::Status),
        1 => Just(How::Unusable),
    ]
}

fn push_op() -> impl Strategy<Value = Op> {
    let comments = proptest::collection::vec(0..COMMENTS.len(), 0..3);
    (0..CONNECTORS.len(), 0..CASES.len(), comments).prop_map(|(connector, case, comments)| Op::Push {
        connector,
        case,
        comments,
    })
}

fn time_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..100u64).prop_map(Op::Advance),
        1 => (0..2 * HOUR).prop_map(Op::Advance),
        1 => prop_oneof![Just(-86_400i64), Just(86_400), -100..100i64].prop_map(Op::Jump),
    ]
}

fn fetch_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => Just(HowRead::Read),
        1 => Just(HowRead::Unreadable),
        1 => Just(HowRead::Closed),
    ]
    .prop_map(Op::Fetch)
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => push_op(),
        1 => (0..2usize, 0..2usize, 0..3usize)
            .prop_map(|(connector, host, policy)| Op::Configure { connector, host, policy }),
        1 => any::<bool>().prop_map(Op::Pause),
        1 => any::<usize>().prop_map(Op::Cancel),
        2 => any::<usize>().prop_map(Op::Retry),
        1 => any::<usize>().prop_map(Op::Discard),
        1 => any::<usize>().prop_map(Op::Adopt),
        14 => Just(Op::Turn),
        12 => (any::<usize>(), any_end()).prop_map(|(which, how)| Op::End { which, how }),
        8 => fetch_op(),
        5 => time_op(),
        1 => any::<u8>().prop_map(Op::Crash),
    ]
}

fn gentle_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => push_op(),
        1 => any::<bool>().prop_map(Op::Pause),
        2 => any::<usize>().prop_map(Op::Retry),
        1 => any::<usize>().prop_map(Op::CancelSurely),
        1 => any::<usize>().prop_map(Op::AdoptRightly),
        14 => Just(Op::Turn),
        12 => (any::<usize>(), honest()).prop_map(|(which, how)| Op::End { which, how }),
        8 => fetch_op(),
        5 => time_op(),
        1 => any::<u8>().prop_map(Op::Crash),
    ]
}

/// An incident as the server keeps it.
#[derive(Debug)]
struct Incident {
    host: String,
    case: String,
    title: String,
    comments: Vec<String>,
}

/// What the model knows of a push.
#[derive(Debug, Default)]
struct Known {
    connector: usize,
    /// The case id; none stands alone.
    case: String,
    title: String,
    /// Its text is never sent: somebody said that the incident is there.
    adopted: bool,
    /// Writes whose success was stored: host, method and path, body.
    done: BTreeSet<[String; 3]>,
    /// Writes that were sent and whose outcome is not known: host and method and path, and of a comment the body.
    open: BTreeSet<[String; 3]>,
}

struct World {
    bench: Bench,
    incidents: Vec<Incident>,
    answered: BTreeMap<String, Answer>,
    pushes: BTreeMap<PushId, Known>,
    comments: u32,
}

/// What is the same write, sent again; a create may be rendered anew.
fn write(sent: &Sent) -> [String; 3] {
    let body = if sent.is_create() {
        String::new()
    } else {
        sent.body.clone()
    };
    [sent.host.clone(), sent.line.clone(), body]
}

fn changes(host: usize, policy: usize) -> Value {
    let host = HOSTS[host];
    let mut changes = json!({
        "createIncidentUrl": format!("http://{host}/issues"),
        "onUncertainCreate": (["retry", "hold", "find"][policy]),
        "maxUncertainResends": 1_000,
    });
    if policy == 2 {
        changes = with_find(changes);
    }
    changes
}

/// The second connector's password lies in a file.
fn document(name: &str, host: usize, policy: usize) -> Value {
    let mut changes = changes(host, policy);
    if name == CONNECTORS[0] {
        return json!({"config": config_of(changes)});
    }
    changes["hasAuth"] = json!(true);
    json!({"config": config_of(changes), "secrets": {"user": "u", "password": {"file": "password"}}})
}

impl World {
    fn new(policy: usize, begins_beside: bool) -> World {
        let mut bench = Bench::empty();
        bench.begins_beside = begins_beside;
        bench.holds_fetches = true;
        std::fs::write(bench.dir.path().join("password"), "hush").unwrap();
        for name in CONNECTORS {
            bench.configure_document(name, &document(name, 0, policy));
        }
        World {
            bench,
            incidents: Vec::new(),
            answered: BTreeMap::new(),
            pushes: BTreeMap::new(),
            comments: 0,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Push {
                connector,
                case: index,
                comments,
            } => self.push(*connector, CASES[*index], comments),
            Op::Configure {
                connector,
                host,
                policy,
            } => {
                let name = CONNECTORS[*connector];
                self.bench
                    .configure_document(name, &document(name, *host, *policy));
                for push in self
                    .pushes
                    .values_mut()
                    .filter(|push| push.connector == *connector)
                {
                    push.done.clear();
                    push.open.clear();
                }
            }
            Op::Pause(paused) => self.bench.pause(*paused),
            Op::Cancel(n) => drop(self.pick(*n).map(|id| self.bench.cancel(id))),
            Op::Retry(n) => drop(self.pick(*n).map(|id| self.bench.retry(id))),
            Op::Adopt(n) => drop(self.pick(*n).map(|id| self.bench.adopt(id, "1"))),
            Op::CancelSurely(n) => {
                if let Some(id) = self.pick(*n)
                    && !self.is_uncertain(id)
                {
                    let _ = self.bench.cancel(id);
                }
            }
            Op::AdoptRightly(n) => {
                if let Some(id) = self.pick(*n)
                    && let Some(incident) = self.incident_of(id)
                {
                    let adopted = self.bench.adopt(id, &incident).is_ok();
                    self.pushes.get_mut(&id).unwrap().adopted |= adopted;
                }
            }
            Op::Discard(n) => {
                if let Some(id) = self.pick(*n)
                    && self.bench.store.discard(id).is_ok()
                {
                    self.pushes.remove(&id);
                }
            }
            Op::Turn => drop(self.turn()),
            Op::End { which, how } => {
                if !self.bench.flying.is_empty() {
                    let sent = self.bench.flying[which % self.bench.flying.len()].clone();
                    self.end(&sent, *how);
                }
            }
            Op::Fetch(how) => drop(self.end_fetch(*how)),
            Op::Advance(seconds) => self.bench.advance(*seconds),
            Op::Jump(seconds) => self.bench.jump(*seconds),
            Op::Crash(arrived) => {
                for (place, sent) in self.bench.flying.clone().iter().enumerate() {
                    if arrived & (1 << place) != 0 {
                        self.act(sent);
                    }
                    self.leave_open(sent);
                }
                self.bench.crash();
            }
        }
    }

    fn pick(&self, n: usize) -> Option<PushId> {
        let ids: Vec<PushId> = self.pushes.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[n % ids.len()])
    }

    fn progress(&self, id: PushId) -> Progress {
        self.bench.store.load(id).unwrap().unwrap().push.progress
    }

    /// Whether a create of it may have had an effect that nobody knows of.
    fn is_uncertain(&self, id: PushId) -> bool {
        let progress = self.progress(id);
        progress.intent.is_some_and(|intent| intent.step == Step::Create)
    }

    fn incident_of(&self, id: PushId) -> Option<String> {
        let known = self.pushes.get(&id).filter(|known| !known.case.is_empty())?;
        let case = format!("{}/{}", known.connector, known.case);
        let place = self.incidents.iter().position(|incident| incident.case == case)?;
        Some((place + 1).to_string())
    }

    fn push(&mut self, connector: usize, case_id: &str, comments: &[usize]) {
        let title = format!("text {}", self.pushes.len());
        let mut new = Case::new(&title).id(case_id);
        for comment in comments {
            self.comments += 1;
            new = new.comment(COMMENTS[*comment], format!("text {}", self.comments));
        }
        let known = Known {
            connector,
            case: case_id.to_owned(),
            title,
            ..Known::default()
        };
        let id = self.bench.push_to(CONNECTORS[connector], new);
        self.pushes.insert(id, known);
    }

    /// Sends one request, if there is one.
    fn turn(&mut self) -> bool {
        let under_way = self.under_way();
        let sent = self.bench.turn().ok();
        let sent: Vec<Sent> = self.bench.began.drain(..).chain(sent).collect();
        sent.iter()
            .for_each(|sent| self.hold_to_promises(sent, &under_way));
        !sent.is_empty()
    }

    /// Ends the oldest read of secrets, if there is one.
    fn end_fetch(&mut self, how: HowRead) -> bool {
        if self.bench.fetching.is_empty() {
            return false;
        }
        let under_way = self.under_way();
        let sent = self.bench.end_fetch(match how {
            HowRead::Read => None,
            HowRead::Unreadable => Some(Unfetched::Failed("no".to_owned())),
            HowRead::Closed => Some(Unfetched::Closed),
        });
        let sent: Vec<Sent> = self.bench.began.drain(..).chain(sent).collect();
        sent.iter()
            .for_each(|sent| self.hold_to_promises(sent, &under_way));
        true
    }

    /// Those that are being sent, and those of which a step is done or may be.
    fn under_way(&self) -> BTreeSet<PushId> {
        let begun = |id: &&PushId| {
            let progress = self.progress(**id);
            let uncertain = progress.intent.is_some_and(|intent| intent.ended_at.is_some());
            let step = progress.step.unwrap_or(Step::Create);
            let half_done = uncertain || !matches!(step, Step::Create | Step::Update);
            progress.state == PushState::Sending || (half_done && !progress.state.is_final())
        };
        self.pushes.keys().filter(begun).copied().collect()
    }

    fn hold_to_promises(&self, sent: &Sent, under_way: &BTreeSet<PushId>) {
        let known = &self.pushes[&sent.push];
        let status = self.bench.status(sent.push);
        assert_eq!(status.state, PushState::Sending);
        let alone = known.case.is_empty();
        for (id, other) in self.pushes.iter().filter(|(id, _)| **id != sent.push) {
            if alone || other.connector != known.connector || other.case != known.case {
                continue;
            }
            let state = self.bench.state(*id);
            assert!(state != PushState::Sending, "{id} and {} at once", sent.push);
            // One that is under way goes on, also when an older one is retried meanwhile.
            let in_turn = *id > sent.push || state.is_final() || under_way.contains(&sent.push);
            assert!(in_turn, "{} passes {id}, which is {state}", sent.push);
        }
        let is_write = sent.line.starts_with("POST");
        if is_write {
            let what = [sent.host.clone(), sent.line.clone(), sent.body.clone()];
            assert!(!known.done.contains(&what), "{sent:?} was done");
            if known.open.contains(&write(sent)) {
                assert!(status.uncertain, "{sent:?} is repeated unmarked");
            }
        }
    }

    fn end(&mut self, sent: &Sent, how: How) {
        let result = self.result(sent, how);
        let usable = matches!(&result, Ok(answer) if answer.status < 300 && how != How::Unusable);
        match how {
            How::Lost(_) | How::Broken(_) | How::Unusable => self.leave_open(sent),
            _ => {}
        }
        if usable && let Some(known) = self.pushes.get_mut(&sent.push) {
            known
                .done
                .insert([sent.host.clone(), sent.line.clone(), sent.body.clone()]);
            known.open.clear();
        }
        let refused = matches!(&result, Ok(answer) if matches!(answer.status, 400 | 404 | 409 | 501));
        if refused && let Some(known) = self.pushes.get_mut(&sent.push) {
            known.open.clear();
        }
        let under_way = self.under_way();
        self.bench.end(sent, result);
        while let Some(began) = self.bench.began.pop_front() {
            self.hold_to_promises(&began, &under_way);
        }
    }

    fn leave_open(&mut self, sent: &Sent) {
        if sent.line.starts_with("POST")
            && let Some(known) = self.pushes.get_mut(&sent.push)
        {
            known.open.insert(write(sent));
        }
    }

    fn result(&mut self, sent: &Sent, how: How) -> Result<Answer, Failure> {
        match how {
            How::Obliged => Ok(self.act(sent)),
            How::Lost(acted) => {
                if acted {
                    self.act(sent);
                }
                Err(failure(FailureKind::Lost))
            }
            How::NotConnected => Err(failure(FailureKind::NotConnected)),
            How::NotWritten => Err(failure(FailureKind::NotWritten)),
            How::Status(status) => Ok(answer(status, &[], "")),
            How::Refused(status) => match &sent.key {
                Some(key) if self.answered.contains_key(key) => Ok(self.act(sent)),
                _ => Ok(answer(status, &[], "")),
            },
            How::ThrottledFor(seconds) => Ok(answer(429, &[("retry-after", &seconds.to_string())], "")),
            How::Broken(acted) => {
                if acted {
                    self.act(sent);
                }
                Ok(answer(502, &[], ""))
            }
            How::Unusable => {
                self.act(sent);
                Ok(answer(200, &[], "<html>"))
            }
        }
    }

    /// What an obliging server that honours keys does.
    fn act(&mut self, sent: &Sent) -> Answer {
        if let Some(known) = sent.key.as_ref().and_then(|key| self.answered.get(key)) {
            return known.clone();
        }
        let words: Vec<&str> = sent
            .line
            .split(['/', ' ', '?'])
            .filter(|w| !w.is_empty())
            .collect();
        let done = match words.as_slice() {
            ["POST", "issues"] => {
                let body: Value = serde_json::from_str(&sent.body).unwrap();
                self.incidents.push(Incident {
                    host: sent.host.clone(),
                    case: format!(
                        "{}/{}",
                        self.pushes[&sent.push].connector,
                        body["case"].as_str().unwrap()
                    ),
                    title: body["title"].as_str().unwrap().to_owned(),
                    comments: Vec::new(),
                });
                answer(201, &[], &format!(r#"{{"id":{}}}"#, self.incidents.len()))
            }
            ["POST", "issues", id, "comments"] => {
                let place: usize = id.parse().unwrap();
                if let Some(incident) = self.incidents.get_mut(place - 1) {
                    incident.comments.push(sent.body.clone());
                }
                answer(201, &[], "{}")
            }
            ["PUT", "issues", id] => {
                let body: Value = serde_json::from_str(&sent.body).unwrap();
                let place: usize = id.parse().unwrap();
                if let Some(incident) = self.incidents.get_mut(place - 1) {
                    incident.title = body["title"].as_str().unwrap().to_owned();
                }
                answer(200, &[], "{}")
            }
            ["GET", "search", query] => {
                let case = format!("{}/{}", self.pushes[&sent.push].connector, &query[2..]);
                let ids: Vec<Value> = (1..)
                    .zip(&self.incidents)
                    .filter(|(_, incident)| incident.case == case && incident.host == self.host(sent.push))
                    .map(|(id, _)| json!({"id": id}))
                    .collect();
                answer(200, &[], &json!({"issues": ids}).to_string())
            }
            _ => answer(200, &[], r#"{"key":"T"}"#),
        };
        if let Some(key) = &sent.key {
            self.answered.insert(key.clone(), done.clone());
        }
        done
    }

    fn host(&self, id: PushId) -> String {
        let stored = self.bench.stored(CONNECTORS[self.pushes[&id].connector]);
        stored.target.trim_start_matches("http://").to_owned()
    }

    /// The server is well again and time passes: everything is delivered that nothing holds up.
    fn heal(&mut self) {
        self.bench.pause(false);
        let mut turns = 0;
        loop {
            while let Some(sent) = self.bench.flying.front().cloned() {
                self.end(&sent, How::Obliged);
            }
            if self.turn() || self.end_fetch(HowRead::Read) {
                turns += 1;
                assert!(turns < 100 + 24 * self.pushes.len(), "it never ends");
                continue;
            }
            match self.bench.wait() {
                None => break,
                Some(wait) => {
                    assert!(wait <= std::time::Duration::from_secs(HOUR), "{wait:?}");
                    self.bench.advance_by(wait);
                }
            }
        }
        // A push waits behind a held one of its case: a newer one that was held, where it was retried itself.
        let lane = |known: &Known| (known.connector, known.case.clone());
        let is_held = |id: &PushId| self.bench.state(*id) == PushState::Held;
        let held: BTreeSet<(usize, String)> = (self.pushes.iter())
            .filter(|(id, known)| is_held(id) && !known.case.is_empty())
            .map(|(_, known)| lane(known))
            .collect();
        for (id, known) in self.pushes.iter().filter(|(id, _)| !is_held(id)) {
            let state = self.bench.state(*id);
            assert!(state.is_final() || held.contains(&lane(known)), "{id} is {state}");
        }
    }
}

fn config() -> ProptestConfig {
    let own = ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => own,
        None => ProptestConfig { cases: 60, ..own },
    }
}

proptest! {
    #![proptest_config(config())]

    /// Whatever happens: order per case, nothing done twice unmarked, and all of it comes to an end.
    #[test]
    fn keeps_its_promises(ops in proptest::collection::vec(any_op(), 1..80), policy in 0..3usize, beside in any::<bool>()) {
        let mut world = World::new(policy, beside);
        for op in &ops {
            world.apply(op);
        }
        world.heal();
    }

    /// Where nobody decides wrongly by hand: one incident a case, each comment once.
    #[test]
    fn opens_one_incident_a_case(ops in proptest::collection::vec(gentle_op(), 1..80), find in any::<bool>(), beside in any::<bool>()) {
        let mut world = World::new(if find { 2 } else { 0 }, beside);
        for op in &ops {
            world.apply(op);
        }
        world.heal();
        // Comments are given up after some resends, and creates without case id have nothing to look for.
        for _ in 0..20 {
            for id in world.pushes.keys() {
                let _ = world.bench.retry(*id);
            }
            world.heal();
        }
        let mut seen = BTreeMap::new();
        for incident in &world.incidents {
            *seen.entry(incident.case.clone()).or_insert(0) += 1;
            let texts: BTreeSet<&String> = incident.comments.iter().collect();
            prop_assert_eq!(texts.len(), incident.comments.len(), "each comment once");
        }
        for (case, count) in seen {
            prop_assert!(count == 1 || case.ends_with('/'), "{case}: {count}");
        }
        for incident in world.incidents.iter().filter(|incident| !incident.case.ends_with('/')) {
            let own = world.pushes.iter().filter(|(_, known)| {
                incident.case == format!("{}/{}", known.connector, known.case) && !known.adopted
            });
            let newer = own.skip_while(|(_, known)| known.title != incident.title).skip(1);
            for (id, known) in newer {
                let state = world.bench.state(*id);
                prop_assert!(state != PushState::Delivered, "{} hides {}", incident.title, known.title);
            }
        }
        for id in world.pushes.keys() {
            let status = world.bench.status(*id);
            prop_assert!(matches!(status.state, PushState::Delivered | PushState::Superseded | PushState::Cancelled), "{status:?}");
            if status.state == PushState::Delivered {
                let open = [CommentState::Pending, CommentState::Failed];
                prop_assert!(!status.comments.iter().any(|c| open.contains(&c.state)), "{status:?}");
            }
        }
    }
}
