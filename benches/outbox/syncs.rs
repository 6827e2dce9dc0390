//! How often SQLite has the disk written through, for a push and for a delivery. A file system that counts lies below
//! SQLite, in a process of its own.

use std::path::Path;
use std::time::Duration;

use casehook::Options;
use casehook_test_vfs::{Call, Disk};

use crate::member::Member;
use crate::report::{Aim, Report};
use crate::server::Server;
use crate::{agent, case};

/// Pushes of each count.
const COUNT: usize = 960;
const THREADS: [usize; 3] = [1, 4, 32];

pub(crate) fn run(report: &mut Report, disk: &Path) {
    let dir = tempfile::tempdir_in(disk).unwrap();
    let mut member = Member::start("syncs", dir.path(), &[COUNT]);
    member.go();
    let mut figures = member.figures();
    let delivered = figures.pop().unwrap();
    for (threads, pushed) in THREADS.into_iter().zip(figures) {
        let what = format!("fsyncs of a push, {threads} thread(s)");
        report.figure(&what, "", Aim::None, &[pushed]);
    }
    report.figure(
        "fsyncs of a delivery, create and get, 4 workers",
        "",
        Aim::None,
        &[delivered],
    );
}

/// Syncs of a push from each number of threads, then of a delivery with all of those waiting; those of configuring and of
/// checkpoints included.
pub(crate) fn count(dir: &Path, count: usize) -> Vec<f64> {
    let disk = Disk::at(dir);
    let server = Server::start(Duration::ZERO);
    let path = dir.join("outbox.db");
    let pushing = agent(&path, Options::default().drain(false), &server.origin());
    let mut figures = Vec::new();
    for (round, threads) in THREADS.into_iter().enumerate() {
        disk.heal();
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (agent, first) = (&pushing, (round * 100 + thread) * count);
                scope.spawn(move || {
                    for number in first..first + count / threads {
                        agent.push("t", &case(number)).unwrap();
                    }
                });
            }
        });
        figures.push(disk.count(Call::Sync) as f64 / count as f64);
    }
    pushing.close(Duration::from_secs(5)).unwrap();

    disk.heal();
    let draining = agent(&path, Options::default(), &server.origin());
    assert!(draining.flush(Duration::from_secs(600)).unwrap());
    figures.push(disk.count(Call::Sync) as f64 / (THREADS.len() * count) as f64);
    draining.close(Duration::from_secs(5)).unwrap();
    figures
}
