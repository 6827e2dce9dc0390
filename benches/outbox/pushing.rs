//! Pushes against rows written with nothing around them.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use casehook::{Agent, Case, Options};

use crate::raw::Raw;
use crate::report::{Aim, Report, cpu, rate};
use crate::{agent, case};

const RAW: &str = "one raw insert a commit";
/// Pushes of one round.
const ROUND: usize = 800;
/// Pushes queued where a long queue is compared with a short one.
const MANY: usize = 300_000;

pub(crate) fn run(report: &mut Report, disk: &Path, memory: &Path) {
    let queue = Queue::new(disk);
    // What the ratios have to be read with: the slower the disk, the more it is worth to share a commit.
    let commits: Vec<f64> = (0..5).map(|round| queue.raw(first(round, 60))).collect();
    report.figure("raw inserts, one a commit", "/s", Aim::None, &commits);
    for (threads, aim) in [(1_usize, 0.95), (4, 2.0), (8, 3.2), (32, 8.5)] {
        let what = format!("durable push, {threads} thread(s)");
        // Many are faster, and take no shorter a round: starting them is no part of a push.
        let count = ROUND * threads.div_ceil(4);
        let ours = |round| rate(count, || queue.push(threads, first(round, threads), count));
        report.compare(&what, RAW, Aim::AtLeast(aim), ours, |round| {
            queue.raw(first(round, threads))
        });
    }
    let ours = |round: usize| {
        let cases: Vec<Case> = (0..10 * ROUND).map(|n| case(first(round, 100) + n)).collect();
        rate(cases.len(), || {
            for batch in cases.chunks(100) {
                queue.agent.push_many("t", batch).unwrap();
            }
        })
    };
    report.compare("push_many of 100", RAW, Aim::AtLeast(18.0), ours, |round| {
        queue.raw(first(round, 100))
    });

    let in_memory = Queue::new(memory);
    let ours = |round| cpu(ROUND, || in_memory.push(1, first(round, 1), ROUND));
    let theirs = |round| {
        cpu(ROUND, || {
            in_memory.raw(first(round, 1));
        })
    };
    report.compare("processor time of a push", RAW, Aim::AtMost(1.25), ours, theirs);

    let long = Queue::new(memory);
    let cases: Vec<Case> = (0..MANY).map(|n| case(500_000_000 + n)).collect();
    for batch in cases.chunks(10_000) {
        long.agent.push_many("t", batch).unwrap();
    }
    let short = "the same with few queued";
    let what = format!("push with {MANY} queued");
    let push = |queue: &Queue, round| rate(ROUND, || queue.push(1, first(round, 50), ROUND));
    report.compare(
        &what,
        short,
        Aim::AtLeast(0.5),
        |round| push(&long, round),
        |round| push(&in_memory, round),
    );
    let stats = |queue: &Queue| rate(200, || (0..200).for_each(|_| drop(queue.agent.stats().unwrap())));
    let what = format!("stats with {MANY} queued");
    report.compare(
        &what,
        short,
        Aim::AtLeast(0.8),
        |_| stats(&long),
        |_| stats(&in_memory),
    );
}

/// Numbers that no other round uses.
fn first(round: usize, part: usize) -> usize {
    (part * 100 + round) * 100_000
}

struct Queue {
    agent: Agent,
    raw: Mutex<Raw>,
    _dir: tempfile::TempDir,
}

impl Queue {
    fn new(dir: &Path) -> Queue {
        let dir = tempfile::tempdir_in(dir).unwrap();
        let open = |name| {
            let options = Options::default().drain(false).max_queued(100_000_000);
            agent(&dir.path().join(name), options, "http://127.0.0.1:9")
        };
        open("raw.db").close(Duration::from_secs(5)).unwrap();
        Queue {
            agent: open("ours.db"),
            raw: Mutex::new(Raw::open(&dir.path().join("raw.db"))),
            _dir: dir,
        }
    }

    /// The rows that `raw` writes, in the order in which the threads come to them.
    fn push(&self, threads: usize, first: usize, count: usize) {
        let next = AtomicUsize::new(first);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= first + count {
                            break;
                        }
                        self.agent.push("t", &case(number)).unwrap();
                    }
                });
            }
        });
    }

    fn raw(&self, first: usize) -> f64 {
        // On a thread of its own, as the pushes: where it runs decides how fast the disk's answer reaches it.
        rate(ROUND, || {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let raw = self.raw.lock().unwrap();
                    (0..ROUND).for_each(|n| raw.insert(first + n, 1));
                });
            })
        })
    }
}
