//! Several processes that push into one database at once.

use std::path::Path;
use std::time::Duration;

use casehook::Options;

use crate::agent;
use crate::member::Member;
use crate::report::{Aim, Report};

const PROCESSES: usize = 4;
/// Pushes of each process in a round.
const ROUND: usize = 400;
const ROUNDS: usize = 5;

pub(crate) fn run(report: &mut Report, disk: &Path) {
    let dir = tempfile::tempdir_in(disk).unwrap();
    let path = dir.path().join("outbox.db");
    agent(&path, Options::default().drain(false), "http://127.0.0.1:9")
        .close(Duration::from_secs(5))
        .unwrap();
    let (mut waits, mut rates) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let first = |process| (round * PROCESSES + process) * ROUND;
        let mut members: Vec<Member> = (0..PROCESSES)
            .map(|process| Member::start("push", &path, &[first(process), ROUND]))
            .collect();
        members.iter_mut().for_each(Member::go);
        let figures: Vec<Vec<f64>> = members.into_iter().map(Member::figures).collect();
        let most = |place: usize| figures.iter().map(|own| own[place]).fold(0.0, f64::max);
        waits.push(most(0));
        rates.push((PROCESSES * ROUND) as f64 / most(1));
    }
    let what = format!("{PROCESSES} processes push at once: longest wait of a push");
    report.figure(&what, "ms", Aim::AtMost(100.0), &waits);
    let what = format!("{PROCESSES} processes push at once: pushes together");
    report.figure(&what, "/s", Aim::None, &rates);
}
