//! Deliveries against a loop that sends the same requests and stores nothing.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use casehook::{Agent, Case, Connector, Options};

use crate::report::{Aim, Report, rate};
use crate::server::Server;
use crate::{TITLE, case, connector, create_only};

const BODY: &str =
    r#"{"summary":"Disk full on a host of the second rack","description":"","labels":["infra"]}"#;

/// What a push comes to.
struct Kind {
    what: &'static str,
    connector: fn(&str) -> Connector,
    comments: usize,
    requests: usize,
    /// For 1 and 4 workers.
    aims: [Aim; 2],
}

const KINDS: [Kind; 3] = [
    Kind {
        what: "create",
        connector: create_only,
        comments: 0,
        requests: 1,
        aims: [Aim::AtLeast(0.90), Aim::AtLeast(0.75)],
    },
    Kind {
        what: "create and get",
        connector,
        comments: 0,
        requests: 2,
        aims: [Aim::None; 2],
    },
    Kind {
        what: "create, get, 2 comments",
        connector,
        comments: 2,
        requests: 4,
        aims: [Aim::AtLeast(0.80); 2],
    },
];

/// A target, and how many requests each worker sends it in a round.
const TARGETS: [(&str, Duration, usize); 2] = [
    ("at once", Duration::ZERO, 600),
    // As case systems do at their fastest.
    ("in 10 ms", Duration::from_millis(10), 60),
];

pub(crate) fn run(report: &mut Report, disk: &Path) {
    for (speed, delay, share) in TARGETS {
        let server = Server::start(delay);
        for kind in &KINDS {
            for (workers, aim) in [1, 4].into_iter().zip(kind.aims) {
                let count = share * workers / kind.requests;
                let what = format!("{}, answered {speed}, {workers} worker(s)", kind.what);
                let ours = |_| deliver(&server, disk, kind, workers, count) * kind.requests as f64;
                let theirs = |_| requests_alone(&server, kind, workers, count);
                report.compare(&what, "ureq sending the same, storing nothing", aim, ours, theirs);
            }
        }
    }
}

/// Pushes delivered a second.
fn deliver(server: &Server, disk: &Path, kind: &Kind, workers: usize, count: usize) -> f64 {
    let dir = tempfile::tempdir_in(disk).unwrap();
    let path = dir.path().join("outbox.db");
    let filling = Agent::open(&path, Options::default().drain(false)).unwrap();
    filling
        .configure("t", &(kind.connector)(&server.origin()))
        .unwrap();
    let comments =
        |case| (0..kind.comments).fold(case, |case: Case, n| case.comment(format!("c{n}"), "look"));
    let cases: Vec<Case> = (0..count).map(|number| comments(case(number))).collect();
    filling.push_many("t", &cases).unwrap();
    filling.close(Duration::from_secs(5)).unwrap();
    let draining = Agent::open(&path, Options::default().workers(workers)).unwrap();
    let delivered = rate(count, || {
        assert!(draining.flush(Duration::from_secs(600)).unwrap())
    });
    draining.close(Duration::from_secs(5)).unwrap();
    delivered
}

/// Requests a second, of each push one GET where it has one, else POST.
fn requests_alone(server: &Server, kind: &Kind, threads: usize, pushes: usize) -> f64 {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .max_idle_connections_per_host(threads)
        .build()
        .into();
    let count = pushes * kind.requests;
    let (left, url) = (AtomicUsize::new(count), format!("{}/issue", server.origin()));
    assert!(BODY.contains(TITLE));
    rate(count, || {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Ok(number) =
                        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                    {
                        let answer = match number % kind.requests {
                            1 => agent.get(&url).call(),
                            _ => agent
                                .post(&url)
                                .header("content-type", "application/json")
                                .send(BODY),
                        };
                        answer.unwrap().body_mut().read_to_string().unwrap();
                    }
                });
            }
        });
    })
}
