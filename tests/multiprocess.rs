//! Several processes on one database: all push, one drains, another takes over when it goes.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

#[path = "crash/connector.rs"]
mod connector;
#[path = "crash/server.rs"]
mod server;
mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use casehook::{Agent, Case, Options};
use server::Server;

const PATIENCE: Duration = Duration::from_secs(30);
const DATABASE: &str = "CASEHOOK_MEMBER_DATABASE";
const DRAIN: &str = "CASEHOOK_MEMBER_DRAIN";

fn options() -> Options {
    Options::new().key([5; 32])
}

/// Not a test by itself: a process that does with its agent what it is told, line by line.
#[test]
fn member() {
    let Ok(database) = std::env::var(DATABASE) else {
        return;
    };
    let agent = Agent::open(database, options().drain(std::env::var(DRAIN).is_ok())).unwrap();
    println!("\nopen");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words.as_slice() {
            ["push", lane, case, version] => {
                let case = Case::new(*version)
                    .id(*case)
                    .description(std::process::id().to_string());
                agent.push(lane, &case).map(|push| push.to_string())
            }
            ["stats"] => agent
                .stats()
                .map(|stats| format!("{} {}", stats.draining, stats.drained_by.unwrap_or(0))),
            ["state", push] => agent
                .status(push.parse::<i64>().unwrap().into())
                .map(|status| status.state.to_string()),
            ["pause", lane] => agent.pause(lane).map(|()| String::new()),
            ["resume", lane] => agent.resume(lane).map(|()| String::new()),
            ["configure", lane, base] => agent
                .configure(lane, &connector::to(base, lane))
                .map(|_| String::new()),
            // A child that holds every descriptor that this process has open.
            ["fork"] => {
                let child = casehook_test_fork::fork(|| {
                    std::thread::sleep(PATIENCE);
                    0
                });
                let pid = child.pid().to_string();
                std::mem::forget(child);
                Ok(pid)
            }
            ["close"] => agent.close(Duration::from_secs(5)).map(|()| String::new()),
            _ => panic!("{line}"),
        };
        match answer {
            Ok(answer) => println!("ok {answer}"),
            Err(error) => println!("error {}: {error}", error.name()),
        }
    }
    std::process::exit(0);
}

struct Member {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Member {
    fn start(database: &Path, drain: bool) -> Member {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["member", "--exact", "--nocapture", "--test-threads=1"])
            .env(DATABASE, database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if drain {
            command.env(DRAIN, "1");
        }
        let mut process = command.spawn().unwrap();
        let stdin = process.stdin.take().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let mut member = Member {
            process,
            stdin,
            stdout,
        };
        while member.line() != "open" {}
        member
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(
            self.stdout.read_line(&mut line).unwrap() > 0,
            "the member is gone"
        );
        line.trim_end().to_owned()
    }

    fn ask(&mut self, what: &str) -> String {
        writeln!(self.stdin, "{what}").unwrap();
        let answer = self.line();
        answer
            .strip_prefix("ok")
            .map(str::trim_start)
            .unwrap_or_else(|| panic!("{what}: {answer}"))
            .to_owned()
    }

    /// Whether it drains, and which process it takes for the one that does.
    fn stats(&mut self) -> (bool, u32) {
        let answer = self.ask("stats");
        let (draining, by) = answer.split_once(' ').unwrap();
        (draining == "true", by.parse().unwrap())
    }

    fn pid(&self) -> u32 {
        self.process.id()
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A child of a killed process that nobody waits for; it goes with the test.
struct Orphan(u32);

impl Drop for Orphan {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.0)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

struct Scene {
    folder: tempfile::TempDir,
    server: Server,
}

impl Scene {
    fn new() -> Scene {
        let (folder, server) = (support::temp_dir(), Server::start());
        let agent = Agent::open(folder.path().join("a.db"), options().drain(false)).unwrap();
        agent
            .configure("keys", &connector::to(&server.url(), "keys"))
            .unwrap();
        agent.close(PATIENCE).unwrap();
        Scene { folder, server }
    }

    fn member(&self, drain: bool) -> Member {
        Member::start(&self.folder.path().join("a.db"), drain)
    }

    /// Waits until the target made this many incidents; how long that took.
    fn incidents(&self, count: usize) -> Duration {
        until(|| self.server.read(|record| record.incidents.len()) >= count)
    }

    fn check(&self) {
        let broken = self.server.read(|record| record.broken.clone());
        assert!(broken.is_empty(), "{}", broken.join("\n"));
        self.server.read(|record| {
            for (create, times) in &record.creates {
                assert_eq!(*times, 1, "{create:?}");
            }
        });
    }
}

fn until(mut there: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !there() {
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    started.elapsed()
}

/// The place of the one that drains, when one does; more than one is an error.
fn drainer(members: &mut [Member]) -> Option<usize> {
    let draining: Vec<usize> = (0..members.len()).filter(|i| members[*i].stats().0).collect();
    assert!(draining.len() <= 1, "{draining:?} drain");
    draining.first().copied()
}

#[test]
fn all_push_and_one_drains_and_its_death_is_survived() {
    let scene = Scene::new();
    let mut members: Vec<Member> = (0..4).map(|_| scene.member(true)).collect();
    let mut version = 0;
    let mut orphans = Vec::new();
    let mut pushes = Vec::new();
    for round in 0..3 {
        until(|| drainer(&mut members).is_some());
        let first = drainer(&mut members).unwrap();
        for number in 0..30 {
            for member in &mut members {
                version += 1;
                // Cases of one's own, and those that everybody pushes.
                let case = match number % 3 {
                    0 => format!("shared-{}", number % 9),
                    _ => format!("own-{}-{number}", member.pid()),
                };
                pushes.push(member.ask(&format!("push keys {case} {version}")));
            }
            assert_eq!(drainer(&mut members), Some(first), "it stays the same one");
        }
        let pid = members[first].pid();
        for member in &mut members {
            assert_eq!(member.stats().1, pid);
        }
        orphans.push(Orphan(members[first].ask("fork").parse().unwrap()));
        members[first].kill();
        members.remove(first);
        let took = until(|| drainer(&mut members).is_some());
        println!("round {round}: taken over after {took:?}, a forked child of the dead one alive");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    let last = &mut members[0];
    assert_eq!(last.stats(), (true, last.pid()));
    for push in &pushes {
        until(|| {
            matches!(
                last.ask(&format!("state {push}")).as_str(),
                "delivered" | "superseded"
            )
        });
    }
    scene.check();
    scene.server.read(|record| {
        let mut cases: Vec<&str> = record.incidents.iter().map(|i| i.case.as_str()).collect();
        let all = cases.len();
        cases.sort_unstable();
        cases.dedup();
        assert_eq!(cases.len(), all, "each case has one incident");
    });
}

#[test]
fn a_graceful_close_hands_over() {
    let scene = Scene::new();
    let mut members: Vec<Member> = (0..3).map(|_| scene.member(true)).collect();
    for round in 0..2 {
        until(|| drainer(&mut members).is_some());
        let first = drainer(&mut members).unwrap();
        for number in 0..20 {
            members[0].ask(&format!("push keys c{round}-{number} 1"));
        }
        members[first].ask("close");
        let closed = members.remove(first);
        let took = until(|| drainer(&mut members).is_some());
        println!("round {round}: handed over after {took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
        drop(closed);
        scene.incidents(20 * (round + 1));
    }
    scene.check();
}

#[test]
fn what_another_process_does_is_picked_up() {
    let scene = Scene::new();
    let mut drains = scene.member(true);
    until(|| drains.stats().0);
    let mut other = scene.member(false);
    assert_eq!(other.stats(), (false, drains.pid()));
    let mut slowest = Duration::ZERO;
    for number in 1..=8 {
        std::thread::sleep(Duration::from_millis(fastrand::u64(0..300)));
        other.ask(&format!("push keys c{number} {number}"));
        slowest = slowest.max(scene.incidents(number));
    }
    println!("the push of another process was sent after {slowest:?} at most");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");

    other.ask("pause keys");
    std::thread::sleep(Duration::from_secs(2));
    other.ask("push keys paused 9");
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(
        scene.server.read(|record| record.incidents.len()),
        8,
        "it is paused"
    );
    other.ask("resume keys");
    let took = scene.incidents(9);
    println!("a resume took effect after {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");

    let moved = Server::start();
    other.ask(&format!("configure keys {}", moved.url()));
    std::thread::sleep(Duration::from_secs(2));
    other.ask("push keys moved 10");
    let took = until(|| moved.read(|record| record.incidents.len()) == 1);
    println!("a push to the new target took {took:?}");
    assert_eq!(scene.server.read(|record| record.incidents.len()), 9);
    scene.check();
}
