//! Deliveries against a loop that sends the same requests and stores nothing.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use casehook::{Agent, Case, Options};

use crate::report::{Report, rate};
use crate::server::Server;
use crate::{TITLE, case, connector};

const ROUND: usize = 600;
const BODY: &str =
    r#"{"summary":"Disk full on a host of the second rack","description":"","labels":["infra"]}"#;

pub(crate) fn run(report: &mut Report, disk: &Path) {
    let server = Server::start();
    let loops = "the same requests by ureq, storing nothing";
    for workers in [1, 4] {
        // POST and GET, then POST, GET and two comments.
        for (what, comments) in [("create and get", 0), ("create, get, 2 comments", 2)] {
            let requests = 2 + comments;
            let ours = |round| deliver(&server, disk, workers, comments, round) * requests as f64;
            let theirs = |_| requests_alone(&server, workers, ROUND * requests);
            report.compare(
                &format!("deliver {what}, {workers} worker(s)"),
                loops,
                None,
                ours,
                theirs,
            );
        }
    }
}

/// Pushes delivered a second.
fn deliver(server: &Server, disk: &Path, workers: usize, comments: usize, round: usize) -> f64 {
    let dir = tempfile::tempdir_in(disk).unwrap();
    let path = dir.path().join("outbox.db");
    let filling = Agent::open(&path, Options::default().drain(false)).unwrap();
    filling.configure("t", &connector(&server.origin())).unwrap();
    let cases: Vec<Case> = (0..ROUND)
        .map(|n| {
            let case = case(round * ROUND + n);
            (0..comments).fold(case, |case, n| case.comment(format!("c{n}"), "first look"))
        })
        .collect();
    filling.push_many("t", &cases).unwrap();
    filling.close(Duration::from_secs(5)).unwrap();
    let draining = Agent::open(&path, Options::default().workers(workers)).unwrap();
    let delivered = rate(ROUND, || {
        assert!(draining.flush(Duration::from_secs(600)).unwrap())
    });
    draining.close(Duration::from_secs(5)).unwrap();
    delivered
}

/// Requests a second: half of them POST, half GET.
fn requests_alone(server: &Server, threads: usize, count: usize) -> f64 {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .max_idle_connections_per_host(threads)
        .build()
        .into();
    let (left, url) = (AtomicUsize::new(count), format!("{}/issue", server.origin()));
    assert!(BODY.contains(TITLE));
    rate(count, || {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Ok(number) =
                        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                    {
                        let answer = match number % 2 {
                            0 => agent
                                .post(&url)
                                .header("content-type", "application/json")
                                .send(BODY),
                            _ => agent.get(&url).call(),
                        };
                        answer.unwrap().body_mut().read_to_string().unwrap();
                    }
                });
            }
        });
    })
}
