//! A process that forks with an agent open: the child is refused, and the parent does not notice.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use casehook::{Agent, Case, Connector, ErrorKind, Filter, Options, PushId, PushState};
use casehook_test_fork::{Child, fork};
use serde_json::json;
use support::case_system::CaseSystem;

const PATIENCE: Duration = Duration::from_secs(20);

/// A fork copies whatever other tests of this process are in the middle of.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn options() -> Options {
    Options::new().key([3; 32])
}

fn open(path: &Path, system: &CaseSystem) -> Agent {
    let agent = Agent::open(path, options()).unwrap();
    let connector = Connector::from_json(&json!({ "config": system.config() }).to_string()).unwrap();
    agent.configure("t", &connector).unwrap();
    agent
}

fn case(number: u32) -> Case {
    Case::new(format!("case {number}")).id(format!("c{number}"))
}

/// Forks as a host does that says so.
fn fork_announced(work: impl FnOnce() -> u8) -> Child {
    casehook::fork::before();
    let child = fork(|| {
        casehook::fork::after_in_child();
        work()
    });
    casehook::fork::after_in_parent();
    child
}

fn integrity(path: &Path) -> String {
    rusqlite::Connection::open(path)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn every_call_in_the_child_says_that_it_is_forked() {
    let _alone = alone();
    let (folder, system) = (support::temp_dir(), CaseSystem::start());
    let path = folder.path().join("a.db");
    let agent = open(&path, &system);
    let push = agent.push("t", &case(0)).unwrap();
    let connector = agent.connector("t").unwrap();
    let backup = folder.path().join("b.db");
    type Call<'a> = (&'a str, Box<dyn Fn() -> Option<ErrorKind> + 'a>);
    macro_rules! calls {
        ($($name:ident($($argument:expr),*)),* $(,)?) => {
            [$((stringify!($name), Box::new(|| agent.$name($($argument),*).err().map(|e| e.kind()))
                as Box<dyn Fn() -> Option<ErrorKind>>)),*]
        };
    }
    let calls: Vec<Call<'_>> = calls![
        configure("t", &connector),
        connector("t"),
        connectors(),
        remove("t"),
        remove_cancelling("t"),
        push("t", &case(1)),
        push_many("t", &[]),
        status(push),
        attempts(push),
        pushes(&Filter::new()),
        wait(push, PATIENCE),
        flush(PATIENCE),
        retry(push),
        cancel(push),
        adopt(push, "1"),
        discard(push),
        link("t", "c0"),
        stats(),
        preview("t", &case(1)),
        test("t", &case(1)),
        pause("t"),
        resume("t"),
        backup(&backup),
        close(PATIENCE),
    ]
    .into();
    let mut child = fork(|| {
        let wrong = calls
            .iter()
            .position(|(_, call)| call() != Some(ErrorKind::Forked));
        wrong.map_or(0, |place| place as u8 + 1)
    });
    let code = child.wait(PATIENCE).expect("no call hangs");
    let wrong = usize::try_from(code - 1).ok().and_then(|place| calls.get(place));
    assert_eq!((code, wrong.map(|(name, _)| name)), (0, None));
    drop(calls);
    agent.wait(push, PATIENCE).unwrap();
    agent.close(PATIENCE).unwrap();
}

#[test]
fn a_child_that_drops_the_agent_hurts_nobody() {
    let _alone = alone();
    let (folder, system) = (support::temp_dir(), CaseSystem::start());
    let path = folder.path().join("a.db");
    let agent = open(&path, &system);
    let stop = AtomicBool::new(false);
    let pushed: u32 = std::thread::scope(|scope| {
        let pushing: Vec<_> = (0..3u32)
            .map(|thread| {
                let (agent, stop) = (agent.clone(), &stop);
                scope.spawn(move || {
                    let mut count = 0;
                    while !stop.load(Ordering::Relaxed) {
                        agent.push("t", &case(thread * 1_000_000 + count)).unwrap();
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for round in 0..10 {
            // The child drops its handle and everything that this closure owns.
            let (mine, other) = (agent.clone(), agent.clone());
            let mut child = fork(move || {
                drop(mine);
                u8::from(other.push("t", &case(7)).err().map(|e| e.kind()) != Some(ErrorKind::Forked))
            });
            assert_eq!(child.wait(PATIENCE), Some(0), "round {round}");
        }
        stop.store(true, Ordering::Relaxed);
        pushing.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(pushed > 0);
    let last = agent.push("t", &case(9_999_999)).unwrap();
    assert!(agent.flush(PATIENCE * 3).unwrap());
    assert_eq!(agent.status(last).unwrap().state, PushState::Delivered);
    agent.close(PATIENCE).unwrap();
    assert_eq!(integrity(&path), "ok");
    let incidents = system.incidents();
    assert_eq!(incidents.len(), pushed as usize + 1, "each case once");
}

#[test]
fn the_child_opens_another_database() {
    let _alone = alone();
    let (folder, system) = (support::temp_dir(), CaseSystem::start());
    let agent = open(&folder.path().join("a.db"), &system);
    let other = folder.path().join("b.db");
    let mut child = fork_announced(|| {
        let own = open(&other, &system);
        let push = own.push("t", &case(1)).unwrap();
        let state = own.wait(push, PATIENCE).unwrap().state;
        own.close(PATIENCE).unwrap();
        u8::from(state != PushState::Delivered)
    });
    assert_eq!(child.wait(PATIENCE), Some(0));
    agent.close(PATIENCE).unwrap();
    assert_eq!(integrity(&other), "ok");
}

/// A child would wait for ever for a lock of SQLite's that a thread of the parent held at the fork.
#[test]
fn a_child_of_a_parent_at_work_opens_a_database_of_its_own() {
    let _alone = alone();
    let (folder, system) = (support::temp_dir(), CaseSystem::start());
    let agent = open(&folder.path().join("a.db"), &system);
    while_pushing(&agent, || {
        for round in 0..40 {
            let path = folder.path().join(format!("{round}.db"));
            let mut child = fork_announced(|| {
                let Ok(own) = Agent::open(&path, options().drain(false)) else {
                    return 2;
                };
                let connector = agent.connector("t").err().map(|e| e.kind());
                u8::from(connector != Some(ErrorKind::Forked) || own.close(PATIENCE).is_err())
            });
            assert_eq!(child.wait(PATIENCE), Some(0), "round {round}");
        }
    });
    agent.close(PATIENCE).unwrap();
}

#[test]
fn a_child_that_nobody_announced_opens_a_database_or_is_told_that_it_cannot() {
    let _alone = alone();
    let (folder, system) = (support::temp_dir(), CaseSystem::start());
    let agent = open(&folder.path().join("a.db"), &system);
    let mut told = 0;
    while_pushing(&agent, || {
        for round in 0..400 {
            let path = folder.path().join(format!("{round}.db"));
            let mut child = fork(|| match Agent::open(&path, options().drain(false)) {
                Ok(own) => u8::from(own.close(PATIENCE).is_err()),
                Err(error) if error.kind() == ErrorKind::Forked => 2,
                Err(_) => 3,
            });
            let code = child.wait(PATIENCE);
            assert!(matches!(code, Some(0 | 2)), "round {round}: {code:?}");
            told += u32::from(code == Some(2));
            if told == 3 {
                break;
            }
        }
    });
    assert!(told > 0, "no fork met a thread in SQLite");
    agent.close(PATIENCE).unwrap();
}

/// Runs `work` while four threads push.
fn while_pushing(agent: &Agent, work: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let stop = &stop;
            scope.spawn(move || {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    agent.push("t", &case(thread * 1_000_000 + number)).unwrap();
                }
            });
        }
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = worked {
            std::panic::resume_unwind(panic);
        }
    });
}

/// SQLite keeps the locks of a process in its memory. A child that opened the database would count the parent's as its
/// own and take none: the parent, closing last as it believes, would remove the log that the child goes on writing to.
#[test]
fn the_child_is_refused_the_database_that_its_parent_has_open() {
    let _alone = alone();
    let (folder, system) = (support::temp_dir(), CaseSystem::start());
    let path = folder.path().join("a.db");
    let agent = open(&path, &system);
    let refused = || Agent::open(&path, options()).err().map(|e| e.kind());
    let mut child = fork(|| u8::from(refused() != Some(ErrorKind::Forked)));
    assert_eq!(child.wait(PATIENCE), Some(0));
    let mut child = fork(|| {
        drop(agent.clone());
        let mut grandchild = fork(|| u8::from(refused() != Some(ErrorKind::Forked)));
        grandchild.wait(PATIENCE).map_or(2, |code| code as u8)
    });
    assert_eq!(child.wait(PATIENCE), Some(0));
    let push = agent.push("t", &case(1)).unwrap();
    assert_eq!(agent.wait(push, PATIENCE).unwrap().state, PushState::Delivered);
    agent.close(PATIENCE).unwrap();
    assert_eq!(integrity(&path), "ok");
}

#[test]
fn the_child_opens_a_database_that_its_parent_had_closed_and_both_share_it() {
    let _alone = alone();
    let (folder, system) = (support::temp_dir(), CaseSystem::start());
    let path = folder.path().join("a.db");
    open(&path, &system).close(PATIENCE).unwrap();
    let (ready, go) = (folder.path().join("ready"), folder.path().join("go"));
    let mut child = fork(|| {
        while !go.exists() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let Ok(own) = Agent::open(&path, options()) else {
            return 2;
        };
        std::thread::sleep(Duration::from_millis(200));
        if own.stats().unwrap().draining {
            return 3;
        }
        let Ok(push) = own.push("t", &case(1)) else {
            return 4;
        };
        std::fs::write(&ready, push.get().to_string()).unwrap();
        u8::from(own.close(PATIENCE).is_err())
    });
    let agent = open(&path, &system);
    let push = agent.push("t", &case(0)).unwrap();
    agent.wait(push, PATIENCE).unwrap();
    std::fs::write(&go, "").unwrap();
    assert_eq!(child.wait(PATIENCE), Some(0));
    let push = std::fs::read_to_string(&ready).unwrap().parse::<i64>().unwrap();
    let status = agent.wait(PushId::from(push), PATIENCE).unwrap();
    assert_eq!(status.state, PushState::Delivered);
    agent.close(PATIENCE).unwrap();
    assert_eq!(integrity(&path), "ok");
}
