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

const COUNT: usize = 1_000;

pub(crate) fn run(report: &mut Report, disk: &Path) {
    let dir = tempfile::tempdir_in(disk).unwrap();
    let mut member = Member::start("syncs", dir.path(), &[COUNT]);
    member.go();
    let figures = member.figures();
    report.figure("fsyncs of a push, 1 thread", "", Aim::None, &figures[..1]);
    report.figure(
        "fsyncs of a delivery, create and get, 4 workers",
        "",
        Aim::None,
        &figures[1..],
    );
}

/// Syncs of a push, and of a delivery while `count` wait, those of configuring and of checkpoints included.
pub(crate) fn count(dir: &Path, count: usize) -> Vec<f64> {
    let disk = Disk::at(dir);
    let server = Server::start(Duration::ZERO);
    let path = dir.join("outbox.db");
    let each = |syncs: u64| syncs as f64 / count as f64;

    let pushing = agent(&path, Options::default().drain(false), &server.origin());
    disk.heal();
    (0..count).for_each(|number| {
        pushing.push("t", &case(number)).unwrap();
    });
    let pushed = each(disk.count(Call::Sync));
    pushing.close(Duration::from_secs(5)).unwrap();

    disk.heal();
    let draining = agent(&path, Options::default(), &server.origin());
    assert!(draining.flush(Duration::from_secs(600)).unwrap());
    let delivered = each(disk.count(Call::Sync));
    draining.close(Duration::from_secs(5)).unwrap();
    vec![pushed, delivered]
}
