//! What an agent takes that has nothing to do.

use std::path::Path;
use std::time::Duration;

use casehook::Options;

use crate::agent;
use crate::member::Member;
use crate::report::{Aim, Report};

const SECONDS: usize = 10;

pub(crate) fn run(report: &mut Report, disk: &Path) {
    let figures = figures(disk, SECONDS);
    report.figure(
        "idle agent: wake-ups a second",
        "/s",
        Aim::AtMost(1.0),
        &figures[..1],
    );
    report.figure(
        "idle agent: processor time",
        "%",
        Aim::AtMost(0.5),
        &figures[1..2],
    );
    report.figure("idle agent: memory", "MB", Aim::AtMost(8.0), &figures[2..3]);
}

/// Wake-ups a second, percent of a processor, memory now and at most in MB of a process with an agent that is idle.
pub(crate) fn figures(directory: &Path, seconds: usize) -> Vec<f64> {
    let dir = tempfile::tempdir_in(directory).unwrap();
    let path = dir.path().join("outbox.db");
    agent(&path, Options::default().drain(false), "http://127.0.0.1:9")
        .close(Duration::from_secs(5))
        .unwrap();
    let mut member = Member::start("idle", &path, &[seconds]);
    member.go();
    member.figures()
}
