//! The power fails, at every moment of the scenario.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use casehook_test_vfs::{Disk, Keep, Recording};

use crate::ledger::{Ledger, Tally, assert_whole};
use crate::scenario::{Run, database, open, trouble};
use crate::support::case_system::{CaseSystem, Memory};
use crate::support::temp_dir;
use crate::{points, spread, tell};

/// What was synced is there, what was not is gone.
#[test]
fn the_power_can_fail_at_every_moment() {
    tell(&format!(
        "power cuts, unsynced lost: {}",
        try_all(&[Keep::Synced])
    ));
}

/// Of what was not synced some is there, down to single sectors.
#[test]
fn the_power_can_fail_and_leave_torn_files() {
    let keeps: Vec<Keep> = (1..=2).map(Keep::Torn).collect();
    tell(&format!("power cuts, unsynced torn: {}", try_all(&keeps)));
}

/// The process dies, and everything that it wrote is there.
#[test]
fn the_process_can_end_at_every_moment() {
    tell(&format!("process gone: {}", try_all(&[Keep::All])));
}

/// The scenario as it went once.
struct Take {
    system: CaseSystem,
    recording: Recording,
    ledger: Ledger,
    /// What the target remembered, and from which moment on.
    memories: Vec<(usize, Memory)>,
}

fn try_all(keeps: &[Keep]) -> Tally {
    let tally = Mutex::new(Tally::default());
    const TAKES: usize = 6;
    let takes: Vec<usize> = (0..TAKES).collect();
    spread(&takes, |number| {
        // With keys honoured nothing may be there twice; without, only what is marked.
        let take = record(number % 2 == 0);
        let last = take.recording.events().len();
        let wanted = points(12).min(last / TAKES);
        let step = TAKES * last.div_ceil(TAKES * wanted).max(1);
        for moment in (0..=last).skip(*number).step_by(step) {
            for keep in keeps {
                let keep = match keep {
                    Keep::Torn(seed) => Keep::Torn(seed * 1_000_003 + moment as u64),
                    keep => *keep,
                };
                let one = replay(&take, moment, keep);
                tally.lock().unwrap().add(one);
            }
        }
    });
    let tally = tally.into_inner().unwrap();
    assert!(tally.points > 0 && tally.pushes > 0, "nothing was tried: {tally}");
    tally
}

fn record(keys: bool) -> Take {
    let folder = temp_dir();
    let disk = Arc::new(Disk::at(folder.path()));
    let system = CaseSystem::start();
    system.honour_keys(keys);
    trouble(&system);
    let memories = Arc::new(Mutex::new(Vec::new()));
    system.watch({
        let (disk, memories) = (Arc::clone(&disk), Arc::clone(&memories));
        move |memory| memories.lock().unwrap().push((disk.moment(), memory.clone()))
    });
    disk.record();
    let mut run = Run::new(folder.path(), &system.url(), Some(&disk));
    run.patience = Duration::from_secs(20);
    run.go();
    run.close();
    assert_eq!(run.ledger.errors(), 0);
    let ledger = std::mem::take(&mut run.ledger);
    let recording = disk.recorded();
    system.restore(Memory::default());
    let memories = memories.lock().unwrap().clone();
    Take {
        system,
        recording,
        ledger,
        memories,
    }
}

fn replay(take: &Take, moment: usize, keep: Keep) -> Tally {
    let point = format!("cut at {moment} of {}, {keep:?}", take.recording.events().len());
    let folder = temp_dir();
    take.recording.cut(moment, keep, folder.path()).unwrap();
    let then = take.memories.iter().rev().find(|(at, _)| *at <= moment);
    take.system
        .restore(then.map_or_else(Memory::default, |(_, memory)| memory.clone()));
    let agent = open(folder.path()).unwrap_or_else(|error| panic!("{point}: {error}"));
    let tally = take.ledger.until(moment).check(&agent, &take.system, &point);
    agent.close(Duration::from_secs(20)).unwrap();
    assert_whole(&database(folder.path()), &point);
    tally
}
