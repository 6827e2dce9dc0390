//! An agent from open to close: two of them in one process, a second copy of the library, closing against targets that
//! do not let go.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use casehook::{Agent, Case, Connector, ErrorKind, Filter, Options, PushState};
use serde_json::{Value, json};
use support::case_system::{CaseSystem, Fault};

const PATIENCE: Duration = Duration::from_secs(20);
/// What a close may take beyond its time-out on a busy machine.
const SLACK: Duration = Duration::from_millis(1500);

fn options() -> Options {
    Options::new().key([3; 32])
}

fn connector(config: &Value) -> Connector {
    Connector::from_json(&json!({ "config": config }).to_string()).unwrap()
}

fn open(path: &Path, system: &CaseSystem) -> Agent {
    let agent = Agent::open(path, options()).unwrap();
    agent.configure("t", &connector(&system.config())).unwrap();
    agent
}

fn case(number: u64) -> Case {
    Case::new(format!("case {number}")).id(format!("c{number}"))
}

// Waking

#[test]
fn no_push_waits_for_the_next_look_around() {
    let (folder, system) = (support::temp_dir(), CaseSystem::start());
    let agent = Agent::open(folder.path().join("a.db"), options().workers(1)).unwrap();
    agent.configure("t", &connector(&system.config())).unwrap();
    let mut slowest = Duration::ZERO;
    let mut slow = 0;
    for number in 0..600 {
        // Into the moment at which the only worker finds nothing to do and falls asleep.
        std::thread::sleep(Duration::from_micros(fastrand::u64(0..400)));
        let started = Instant::now();
        let push = agent.push("t", &case(number)).unwrap();
        agent.wait(push, PATIENCE).unwrap();
        slowest = slowest.max(started.elapsed());
        slow += u32::from(started.elapsed() > Duration::from_millis(400));
    }
    println!("slowest {slowest:?}, {slow} slow");
    // A lost wake-up costs up to a second; a busy machine may do so to a few.
    assert!(
        slow < 5,
        "{slow} of 600 pushes were slow, the slowest took {slowest:?}"
    );
    agent.close(PATIENCE).unwrap();
}

// Two agents, two copies

#[test]
fn a_second_copy_of_the_library_is_refused_and_welcome_later() {
    let folder = support::temp_dir();
    let path = folder.path().join("a.db");
    let guards = || -> Vec<_> {
        std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name.to_string_lossy().contains(".lock-"))
            .collect()
    };
    // What the guard of this process is called, only casehook knows.
    let first = Agent::open(folder.path().join("a.db"), options()).unwrap();
    let name = guards().pop().expect("a guard file");
    first.close(PATIENCE).unwrap();
    drop(first);
    std::fs::remove_file(&path).unwrap();
    let other = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.path().join(name))
        .unwrap();
    other.lock().unwrap();
    let error = Agent::open(&path, options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SecondCopy, "{error}");
    assert!(!path.exists(), "the file was not touched");
    other.unlock().unwrap();
    drop(other);
    Agent::open(&path, options()).unwrap().close(PATIENCE).unwrap();
    assert!(guards().is_empty(), "{:?}", guards());
}

#[test]
fn two_agents_of_one_process_share_the_outbox() {
    let (folder, system) = (support::temp_dir(), CaseSystem::start());
    let path = folder.path().join("a.db");
    let first = Agent::open(&path, options().drain(false)).unwrap();
    first.configure("t", &connector(&system.config())).unwrap();
    let push = first.push("t", &case(1)).unwrap();
    assert_eq!(
        first.wait(push, Duration::from_millis(300)).unwrap_err().kind(),
        ErrorKind::Timeout,
        "nobody drains yet"
    );
    std::os::unix::fs::symlink(&path, folder.path().join("link.db")).unwrap();
    let second = Agent::open(folder.path().join("link.db"), options()).unwrap();
    assert_eq!(second.status(push).unwrap().id, push);
    assert_eq!(first.wait(push, PATIENCE).unwrap().state, PushState::Delivered);
    assert!(first.stats().unwrap().draining);
    second.close(PATIENCE).unwrap();
    assert_eq!(second.stats().unwrap_err().kind(), ErrorKind::Closed);
    let push = first.push("t", &case(2)).unwrap();
    assert_eq!(first.wait(push, PATIENCE).unwrap().state, PushState::Delivered);
    first.close(Duration::MAX).unwrap();
    assert_eq!(first.status(push).unwrap_err().kind(), ErrorKind::Closed);
    let third = Agent::open(&path, options()).unwrap();
    assert_eq!(third.status(push).unwrap().state, PushState::Delivered);
}

#[test]
fn an_odd_number_of_workers_is_refused_by_every_open() {
    let folder = support::temp_dir();
    let path = folder.path().join("a.db");
    let _first = Agent::open(&path, options().drain(false)).unwrap();
    for workers in [0, 65] {
        let error = Agent::open(&path, options().workers(workers)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Argument);
    }
}

// Closing

/// Closes with four workers busy, and again; what was under way stays stored.
fn closes_in_time(url: &str, busy: impl FnOnce()) {
    let folder = support::temp_dir();
    let path = folder.path().join("a.db");
    let agent = Agent::open(&path, options()).unwrap();
    let one = format!("{url}/issues/{{{{{{external.system.id}}}}}}");
    let config = json!({
        "createIncidentUrl": format!("{url}/issues"), "createIncidentJson": "{\"title\":{{{case.title}}}}",
        "createIncidentResponseKey": "id", "getIncidentUrl": one, "getIncidentResponseExternalTitleKey": "id",
        "viewIncidentUrl": one, "updateIncidentUrl": one, "updateIncidentJson": "{\"title\":{{{case.title}}}}",
        "hasAuth": false, "timeouts": {"connectMs": 60_000, "responseMs": 60_000},
    });
    agent.configure("t", &connector(&config)).unwrap();
    for number in 0..8 {
        agent.push("t", &case(number)).unwrap();
    }
    let until = Instant::now() + PATIENCE;
    while agent.stats().unwrap().connectors[0].sending < 4 {
        assert!(Instant::now() < until, "four workers get busy");
        std::thread::sleep(Duration::from_millis(5));
    }
    busy();
    for timeout in [Duration::from_millis(700), Duration::from_secs(3)] {
        let started = Instant::now();
        agent.close(timeout).unwrap();
        let took = started.elapsed();
        assert!(took < timeout + SLACK, "close({timeout:?}) took {took:?}");
    }
    assert_eq!(agent.push("t", &case(9)).unwrap_err().kind(), ErrorKind::Closed);
    let again = Agent::open(&path, options().drain(false)).unwrap();
    let states: Vec<PushState> = again
        .pushes(&Filter::new())
        .unwrap()
        .iter()
        .map(|p| p.state)
        .collect();
    assert_eq!(states.len(), 8);
    assert!(states.iter().all(|state| !state.is_final()), "{states:?}");
    let counts = &again.stats().unwrap().connectors[0];
    assert_eq!(counts.sending, 0, "nothing is left as if it were under way");
}

#[test]
fn close_does_not_wait_for_a_target_that_never_answers() {
    let system = CaseSystem::start();
    system.fail_always(Fault::Hang);
    closes_in_time(&system.url(), || assert!(system.wait_for_requests(4, PATIENCE)));
    system.clear_faults();
}

#[test]
fn close_does_not_wait_for_a_target_that_drips() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let dripping = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let (count, over) = (Arc::clone(&dripping), Arc::clone(&stop));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (count, over) = (Arc::clone(&count), Arc::clone(&over));
            std::thread::spawn(move || drip(stream, &count, &over));
        }
    });
    closes_in_time(&url, || {
        while dripping.load(Ordering::Relaxed) < 4 {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    stop.store(true, Ordering::Relaxed);
}

/// A head at once, then a byte of the body every second.
fn drip(mut stream: TcpStream, count: &AtomicU64, over: &AtomicBool) {
    let _ = stream.read(&mut [0; 4096]);
    let head = b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
    let _ = stream.write_all(head);
    count.fetch_add(1, Ordering::Relaxed);
    while !over.load(Ordering::Relaxed) && stream.write_all(b" ").is_ok() {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn close_does_not_wait_for_a_target_that_never_accepts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Whoever comes when the queue of the listener is full gets no answer to its first packet.
    rustix::net::listen(&listener, 0).unwrap();
    let filling: Vec<_> = (0..8)
        .map(|_| std::thread::spawn(move || TcpStream::connect_timeout(&address, Duration::from_millis(300))))
        .collect();
    let queued: Vec<_> = filling.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(queued.iter().any(Result::is_err), "the queue is full");
    closes_in_time(&format!("http://{address}"), || {});
}

#[test]
fn close_from_two_threads_while_eight_push() {
    let (folder, system) = (support::temp_dir(), CaseSystem::start());
    let path = folder.path().join("a.db");
    let agent = open(&path, &system);
    let accepted = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let pushing: Vec<_> = (0..8u64)
            .map(|thread| {
                let (agent, accepted) = (agent.clone(), &accepted);
                scope.spawn(move || {
                    let mut number = thread * 1_000_000;
                    loop {
                        match agent.push("t", &case(number)) {
                            Ok(push) => accepted.lock().unwrap().push(push),
                            Err(error) => break error.kind(),
                        }
                        number += 1;
                    }
                })
            })
            .collect();
        while accepted.lock().unwrap().len() < 200 {
            std::thread::yield_now();
        }
        let closing: Vec<_> = (0..2)
            .map(|_| {
                let agent = agent.clone();
                scope.spawn(move || agent.close(PATIENCE))
            })
            .collect();
        for thread in closing {
            thread.join().unwrap().unwrap();
        }
        for thread in pushing {
            assert_eq!(thread.join().unwrap(), ErrorKind::Closed);
        }
    });
    let again = Agent::open(&path, options().drain(false)).unwrap();
    for push in accepted.into_inner().unwrap() {
        again.status(push).unwrap();
    }
}

#[test]
fn an_agent_that_is_dropped_closes() {
    let (folder, system) = (support::temp_dir(), CaseSystem::start());
    let path = folder.path().join("a.db");
    let agent = open(&path, &system);
    let push = agent.push("t", &case(1)).unwrap();
    agent.wait(push, PATIENCE).unwrap();
    system.fail_always(Fault::Hang);
    let seen = system.requests().len();
    agent.push("t", &case(2)).unwrap();
    assert!(system.wait_for_requests(seen + 1, PATIENCE));
    let started = Instant::now();
    drop(agent);
    assert!(started.elapsed() < Duration::from_secs(5) + SLACK);
    assert!(!folder.path().join("a.db-wal").exists(), "SQLite closed the file");
    Agent::open(&path, options())
        .unwrap()
        .close(Duration::ZERO)
        .unwrap();
    system.clear_faults();
}

#[test]
fn close_does_not_wait_for_a_database_that_somebody_else_holds() {
    let (folder, system) = (support::temp_dir(), CaseSystem::start());
    let path = folder.path().join("a.db");
    let agent = open(&path, &system);
    system.fail_always(Fault::Hang);
    agent.push("t", &case(1)).unwrap();
    assert!(system.wait_for_requests(1, PATIENCE));
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    system.clear_faults();
    // The answer cannot be stored now.
    std::thread::sleep(Duration::from_millis(300));
    let started = Instant::now();
    agent.close(Duration::from_millis(500)).unwrap();
    let took = started.elapsed();
    assert!(took < Duration::from_millis(500) + SLACK, "{took:?}");
    other.execute_batch("ROLLBACK").unwrap();
}
