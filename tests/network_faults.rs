//! The network between agent and case system breaks at every byte: what both sides say afterwards must agree.
//!
//! `CASEHOOK_CUTS=all` cuts at every byte; without it about every eleventh.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use casehook::{Agent, Case, CommentState, Connector, Options, PushState, PushStatus};
use serde_json::{Value, json};
use support::case_system::CaseSystem;

const PATIENCE: Duration = Duration::from_secs(20);

/// Where the one fault strikes: at which exchange, counted from 0, and after how many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Of the request; the rest never reaches the system.
    Request(usize, usize),
    /// Of the answer; the system has acted.
    Answer(usize, usize),
    /// The answer is held back beyond the time-out.
    Delay(usize),
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Fin,
    Reset,
}

/// What went through without a fault: the lengths of request and answer, exchange by exchange.
type Sizes = Vec<(usize, usize)>;

/// A proxy on loopback that forwards exchange by exchange and breaks one of them.
struct Proxy {
    address: String,
    state: Arc<Mutex<State>>,
}

struct State {
    cut: Option<(Cut, End)>,
    sizes: Sizes,
}

impl Proxy {
    fn start(system: &CaseSystem) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State {
            cut: None,
            sizes: Vec::new(),
        }));
        let target = system.url().trim_start_matches("http://").to_owned();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (target, state) = (target.clone(), Arc::clone(&shared));
                std::thread::spawn(move || while exchange(&client, &target, &state).is_some() {});
            }
        });
        Proxy { address, state }
    }

    fn arm(&self, cut: Option<(Cut, End)>) {
        let mut state = self.state.lock().unwrap();
        state.cut = cut;
        state.sizes.clear();
    }

    fn sizes(&self) -> Sizes {
        self.state.lock().unwrap().sizes.clone()
    }
}

/// Forwards one exchange; none when the connection is over.
fn exchange(mut client: &TcpStream, target: &str, state: &Mutex<State>) -> Option<()> {
    // The exchange begins with its first byte.
    let mut first = [0; 1];
    if client.read(&mut first).ok()? == 0 {
        return None;
    }
    let (number, fault) = {
        let mut state = state.lock().unwrap();
        let number = state.sizes.len();
        state.sizes.push((0, 0));
        let strikes = |(cut, _): &(Cut, End)| match cut {
            Cut::Request(at, _) | Cut::Answer(at, _) | Cut::Delay(at) => *at == number,
        };
        (number, state.cut.filter(strikes))
    };
    let limit = match fault {
        Some((Cut::Request(_, bytes), _)) => bytes,
        _ => usize::MAX,
    };
    // A system that gets half a request does not act on it, so nothing of it need be sent on.
    let Ok(request) = read_message(client, first.to_vec(), limit)? else {
        return finish(client, fault?.1);
    };
    let mut system = TcpStream::connect(target).ok()?;
    system.write_all(&request).ok()?;
    let answer = read_message(&system, Vec::new(), usize::MAX)?.ok()?;
    state.lock().unwrap().sizes[number] = (request.len(), answer.len());
    match fault {
        Some((Cut::Answer(_, bytes), end)) => {
            client.write_all(&answer[..bytes]).ok()?;
            finish(client, end)
        }
        // Until the agent has lost patience and closed.
        Some((Cut::Delay(_), _)) => drain(client),
        _ => client.write_all(&answer).ok(),
    }
}

fn finish(client: &TcpStream, end: End) -> Option<()> {
    match end {
        End::Reset => rustix::net::sockopt::set_socket_linger(client, Some(Duration::ZERO)).unwrap(),
        End::Fin => {
            let _ = client.shutdown(Shutdown::Write);
            return drain(client);
        }
    }
    None
}

/// Reads until the other side closes: closing with unread bytes would be a reset.
fn drain(mut client: &TcpStream) -> Option<()> {
    let mut rest = [0; 1024];
    while matches!(client.read(&mut rest), Ok(1..)) {}
    None
}

/// One HTTP message with a content length, `begun` being its beginning; an error when it was cut at `limit` bytes.
fn read_message(mut stream: &TcpStream, begun: Vec<u8>, limit: usize) -> Option<Result<Vec<u8>, ()>> {
    let mut message = begun;
    let mut whole = usize::MAX;
    while message.len() < whole {
        if message.len() >= limit {
            return Some(Err(()));
        }
        let mut byte = [0; 1];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        message.push(byte[0]);
        if whole == usize::MAX && message.ends_with(b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&message).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .map_or(0, |length| length.trim().parse().unwrap());
            whole = message.len() + length;
        }
    }
    Some(Ok(message))
}

struct Scene {
    _dir: tempfile::TempDir,
    system: CaseSystem,
    proxy: Proxy,
    agent: Agent,
    cases: u32,
}

impl Scene {
    fn new() -> Scene {
        let system = CaseSystem::start();
        system.honour_keys(true);
        let proxy = Proxy::start(&system);
        let dir = support::temp_dir();
        let agent = Agent::open(dir.path().join("outbox.db"), Options::new().workers(1)).unwrap();
        let scene = Scene {
            _dir: dir,
            system,
            proxy,
            agent,
            cases: 0,
        };
        scene.configure(&format!("http://{}", scene.proxy.address));
        scene
    }

    fn configure(&self, url: &str) {
        let text = self.system.config().to_string().replace(&self.system.url(), url);
        let mut config: Value = serde_json::from_str(&text).unwrap();
        config["retry"] = json!({"baseMs": 1, "capMs": 10});
        config["timeouts"] = json!({"connectMs": 300, "responseMs": 400});
        config["targetId"] = json!("system");
        let connector = Connector::from_json(&json!({"config": config}).to_string()).unwrap();
        self.agent.configure("c", &connector).unwrap();
    }

    /// Two pushes of one case: one that creates, one that updates; the fault strikes in one of them.
    fn deliver(&mut self, update: bool, fault: Option<(Cut, End)>) -> PushStatus {
        self.cases += 1;
        let id = format!("case-{}", self.cases);
        let case = Case::new("title").id(&id).comment("a", "one").comment("b", "two");
        if update {
            self.proxy.arm(None);
            let push = self.agent.push("c", &Case::new("first").id(&id)).unwrap();
            assert_eq!(
                self.agent.wait(push, PATIENCE).unwrap().state,
                PushState::Delivered
            );
        }
        self.proxy.arm(fault);
        let push = self.agent.push("c", &case).unwrap();
        let status = self.agent.wait(push, PATIENCE).unwrap();
        self.proxy.arm(None);
        assert_eq!(status.state, PushState::Delivered, "{fault:?} {status:?}");
        let incidents = self.system.incidents_of(&id);
        assert_eq!(incidents.len(), 1, "{fault:?}: one incident");
        assert_eq!(status.external_id.as_ref(), Some(&incidents[0].id), "{fault:?}");
        assert_eq!(incidents[0].fields["title"], "title", "{fault:?}");
        let texts: Vec<&Value> = incidents[0]
            .comments
            .iter()
            .map(|comment| &comment["body"])
            .collect();
        assert_eq!(texts, ["one", "two"], "{fault:?}: each comment once and in order");
        for comment in &status.comments {
            let known = [CommentState::Sent, CommentState::Uncertain].contains(&comment.state);
            assert!(known, "{fault:?} {:?}", comment.state);
            assert!(comment.state == CommentState::Sent || status.uncertain);
        }
        status
    }
}

/// create, get, two comments; or update, get, two comments.
fn breaks_everywhere(update: bool) {
    let mut scene = Scene::new();
    scene.deliver(update, None);
    // The lengths of an undisturbed delivery, measured on one more.
    scene.cases += 1;
    let id = format!("case-{}", scene.cases);
    if update {
        let push = scene.agent.push("c", &Case::new("first").id(&id)).unwrap();
        scene.agent.wait(push, PATIENCE).unwrap();
    }
    scene.proxy.arm(None);
    let case = Case::new("title").id(&id).comment("a", "one").comment("b", "two");
    let push = scene.agent.push("c", &case).unwrap();
    scene.agent.wait(push, PATIENCE).unwrap();
    let sizes = scene.proxy.sizes();
    assert_eq!(sizes.len(), 4);
    let stride = if std::env::var("CASEHOOK_CUTS").is_ok_and(|cuts| cuts == "all") {
        1
    } else {
        23
    };
    let mut cuts = 0;
    for (number, (request, answer)) in sizes.into_iter().enumerate() {
        let of_request = (1..request).step_by(stride).chain([request - 1]);
        let of_answer = (0..answer).step_by(stride).chain([answer - 1]);
        let all = of_request
            .map(|bytes| Cut::Request(number, bytes))
            .chain(of_answer.map(|bytes| Cut::Answer(number, bytes)));
        for cut in all {
            for end in [End::Fin, End::Reset] {
                let status = scene.deliver(update, Some((cut, end)));
                let repeated = matches!((number, update), (0, false) | (2 | 3, _));
                assert_eq!(status.uncertain, repeated, "{cut:?} {end:?}: {status:?}");
                cuts += 1;
            }
        }
        let status = scene.deliver(update, Some((Cut::Delay(number), End::Fin)));
        assert_eq!(
            status.uncertain,
            matches!((number, update), (0, false) | (2 | 3, _))
        );
    }
    println!("{cuts} cuts");
}

#[test]
fn a_delivery_that_creates_survives_a_cut_at_any_byte() {
    breaks_everywhere(false);
}

#[test]
fn a_delivery_that_updates_survives_a_cut_at_any_byte() {
    breaks_everywhere(true);
}

#[test]
fn a_black_hole_costs_nothing() {
    let scene = Scene::new();
    // A listener whose queue is full answers no further connection.
    let hole = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&hole, 0).unwrap();
    let address = hole.local_addr().unwrap();
    let _fill: Vec<_> = (0..4)
        .map_while(|_| TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok())
        .collect();
    scene.configure(&format!("http://{address}"));
    let push = scene.agent.push("c", &Case::new("title").id("k")).unwrap();
    let until = Instant::now() + PATIENCE;
    while scene.agent.attempts(push).unwrap().len() < 2 {
        assert!(Instant::now() < until, "no try is noted");
        std::thread::yield_now();
    }
    let status = scene.agent.status(push).unwrap();
    assert_eq!(
        (status.attempts, status.uncertain),
        (0, false),
        "no attempt is counted"
    );
    scene.configure(&scene.system.url());
    assert_eq!(
        scene.agent.wait(push, PATIENCE).unwrap().state,
        PushState::Delivered
    );
    assert_eq!(scene.system.incidents().len(), 1);
}
