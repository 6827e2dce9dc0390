//! A long queue: how soon an agent begins with it, and what memory draining it takes.

use std::path::Path;
use std::time::{Duration, Instant};

use casehook::{Agent, Options};

use crate::member::Member;
use crate::raw::Raw;
use crate::report::{Aim, Report};
use crate::server::Server;
use crate::{agent, idle};

const QUEUED: usize = 1_000_000;
/// How often it is opened.
const OPENINGS: usize = 7;
/// For how long it is drained.
const SECONDS: usize = 5;

pub(crate) fn run(report: &mut Report, memory: &Path) {
    let dir = tempfile::tempdir_in(memory).unwrap();
    let path = dir.path().join("outbox.db");
    let server = Server::start(Duration::ZERO);
    agent(&path, Options::default().drain(false), &server.origin())
        .close(Duration::from_secs(5))
        .unwrap();
    Raw::open(&path).fill(QUEUED);

    let openings: Vec<f64> = (0..OPENINGS).map(|_| first_request(&server, &path)).collect();
    let what = format!("open to first request, {QUEUED} queued");
    report.figure(&what, "ms", Aim::AtMost(5.0), &openings);

    let mut member = Member::start("drain", &path, &[SECONDS]);
    member.go();
    let drained = member.figures();
    let idle = idle::figures(memory, 1)[3];
    let what = format!("memory at most, draining {QUEUED} with 4 workers");
    report.figure(&what, "MB", Aim::None, &drained[..1]);
    report.figure("memory at most, idle", "MB", Aim::None, &[idle]);
    report.figure(
        "memory that draining adds",
        "MB",
        Aim::AtMost(12.0),
        &[drained[0] - idle],
    );
    let what = format!("delivered meanwhile, in {SECONDS} s");
    report.figure(&what, "", Aim::None, &drained[1..]);
}

/// Milliseconds from opening until the target has the first request.
fn first_request(server: &Server, path: &Path) -> f64 {
    server.take_seen();
    let begin = Instant::now();
    let agent = Agent::open(path, Options::default()).unwrap();
    let first = loop {
        if let Some(first) = server.take_seen().first {
            break first;
        }
        std::thread::sleep(Duration::from_micros(200));
    };
    agent.close(Duration::from_secs(5)).unwrap();
    (first - begin).as_secs_f64() * 1e3
}
