//! Calls to the file system that fail, one after the other.

use std::sync::Mutex;
use std::time::Duration;

use casehook_test_vfs::{Call, Disk, Effect, Plan};

use crate::ledger::{Tally, assert_whole};
use crate::scenario::{Run, database, open, trouble};
use crate::support::case_system::CaseSystem;
use crate::support::temp_dir;
use crate::{points, spread, tell};

/// One call fails, and the next one works again.
#[test]
fn every_call_can_fail_once() {
    let kinds: Vec<(Call, Effect)> = Call::ALL
        .into_iter()
        .flat_map(|call| call.codes().iter().map(move |code| (call, Effect::Fail(*code))))
        .chain(
            Call::Write
                .codes()
                .iter()
                .map(|code| (Call::Write, Effect::Half(*code))),
        )
        .collect();
    let points = places(&kinds, 1, points(5));
    tell(&format!("one failing call: {}", try_all(&points)));
}

/// A disk that stays broken, or full, until somebody mends it.
#[test]
fn every_call_can_fail_for_good() {
    let codes = |call: Call| call.codes().iter().map(move |code| (call, *code));
    let kinds: Vec<(Call, Effect)> = [Call::Write, Call::Sync, Call::Read, Call::Open, Call::ShmMap]
        .into_iter()
        .flat_map(codes)
        .map(|(call, code)| (call, Effect::Fail(code)))
        .chain([(Call::Write, Effect::Half(casehook_test_vfs::FULL))])
        .collect();
    let points = places(&kinds, u64::MAX, points(4));
    tell(&format!("a disk that stays broken: {}", try_all(&points)));
}

/// The places at which each kind is to fail: all, or so many of them, spread evenly.
fn places(kinds: &[(Call, Effect)], times: u64, most: usize) -> Vec<Plan> {
    let folder = temp_dir();
    let disk = Disk::at(folder.path());
    disk.heal();
    let system = CaseSystem::start();
    system.honour_keys(true);
    trouble(&system);
    let mut run = Run::new(folder.path(), &system.url(), Some(&disk));
    run.patience = Duration::from_secs(20);
    run.go();
    run.close();
    assert_eq!(run.ledger.errors(), 0);
    let mut points = Vec::new();
    for (call, effect) in kinds {
        let count = usize::try_from(disk.count(*call)).unwrap();
        let step = count.div_ceil(most.min(count).max(1)).max(1);
        points.extend((1..=count).step_by(step).map(|nth| Plan {
            call: *call,
            nth: nth as u64,
            times,
            effect: *effect,
        }));
    }
    points
}

fn try_all(points: &[Plan]) -> Tally {
    let tally = Mutex::new(Tally::default());
    spread(points, |plan| {
        let one = try_one(*plan);
        tally.lock().unwrap().add(one);
    });
    let tally = tally.into_inner().unwrap();
    assert!(tally.points > 0 && tally.errors > 0, "nothing was tried: {tally}");
    tally
}

fn try_one(plan: Plan) -> Tally {
    let point = format!("{plan:?}");
    let folder = temp_dir();
    let disk = Disk::at(folder.path());
    let system = CaseSystem::start();
    system.honour_keys(true);
    trouble(&system);

    disk.plan(plan);
    let mut run = Run::new(folder.path(), &system.url(), Some(&disk));
    if plan.times > 1 {
        run.patience = Duration::from_millis(50);
    }
    run.go();
    disk.heal();
    // What is open goes on by itself once the disk works again.
    if let Some(agent) = &run.agent {
        run.ledger.check(agent, &system, &point);
    }
    run.close();

    let agent = open(folder.path()).unwrap_or_else(|error| panic!("{point}: {error}"));
    let tally = run.ledger.check(&agent, &system, &point);
    agent.close(Duration::from_secs(20)).unwrap();
    assert_whole(&database(folder.path()), &point);
    tally
}
