//! The process is killed, at chosen calls to the file system, and started again.
//!
//! The process is this test program once more, which runs the scenario when it finds [`PLACE`] in its environment.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use casehook::PushId;
use casehook_test_vfs::{Call, Disk, Effect, Plan};
use serde_json::{Value, json};

use crate::ledger::{Accepted, Ledger, Tally, Word, assert_whole};
use crate::scenario::{Run, database, open, trouble};
use crate::support::case_system::CaseSystem;
use crate::support::temp_dir;
use crate::{spread, tell};

/// The directory of the process that is to be killed. `CALL`, `NTH` and `URL` come with it.
const PLACE: &str = "CASEHOOK_TEST_PLACE";
const CALL: &str = "CASEHOOK_TEST_CALL";
const NTH: &str = "CASEHOOK_TEST_NTH";
const URL: &str = "CASEHOOK_TEST_URL";

/// Where a death is told from an end that nobody ordered.
const SIGKILL: i32 = 9;

/// kill -9 right before and in the middle of writing, syncing, truncating, deleting, locking.
#[test]
fn the_process_can_be_killed_at_every_call() {
    let count = match std::env::var("CASEHOOK_KILLS") {
        Ok(count) => count.parse().expect("CASEHOOK_KILLS is a number"),
        Err(_) => 40,
    };
    let kills: Vec<usize> = (0..count).collect();
    let tally = Mutex::new(Tally::default());
    let dead = Mutex::new(0usize);
    spread(&kills, |number| {
        let (one, killed) = kill_one(*number, count);
        tally.lock().unwrap().add(one);
        *dead.lock().unwrap() += usize::from(killed);
    });
    let (tally, dead) = (tally.into_inner().unwrap(), dead.into_inner().unwrap());
    tell(&format!("kill -9: {dead} killed; {tally}"));
    assert!(dead * 2 > count, "most were never killed: {dead} of {count}");
}

/// The process that is killed. Does nothing when it is not started as one.
#[test]
fn the_process_that_is_killed() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let place = Path::new(&place);
    let disk = Disk::at(place);
    let (call, effect) = KILLS[number(CALL) as usize];
    disk.plan(Plan {
        call,
        nth: number(NTH),
        times: 1,
        effect,
    });
    let said = said(place);
    let words = OpenOptions::new().append(true).create(true).open(said).unwrap();
    // One write a word: what was said before the kill is there after it.
    let tell = |word: &Word| {
        let line = format!("{}\n", to_json(word));
        (&words).write_all(line.as_bytes()).unwrap();
    };
    let mut run = Run::new(place, &std::env::var(URL).unwrap(), Some(&disk)).telling(&tell);
    run.patience = Duration::from_secs(20);
    run.go();
    run.close();
    assert_eq!(run.ledger.errors(), 0);
}

const KILLS: &[(Call, Effect)] = &[
    (Call::Write, Effect::Kill),
    (Call::Write, Effect::KillHalfway),
    (Call::Sync, Effect::Kill),
    (Call::Sync, Effect::KillHalfway),
    (Call::Truncate, Effect::Kill),
    (Call::Delete, Effect::Kill),
    (Call::Delete, Effect::KillHalfway),
    (Call::ShmLock, Effect::Kill),
];

/// How often each call comes at least in the scenario: what is beyond would kill nothing.
const fn reach(call: Call) -> u64 {
    match call {
        Call::Write => 1_300,
        Call::Sync => 80,
        Call::ShmLock => 1_000,
        Call::Delete => 2,
        _ => 1,
    }
}

fn kill_one(number: usize, of: usize) -> (Tally, bool) {
    // Most kills at the calls of which there are many.
    let kind = match number % 8 {
        0..4 => number % 2,
        4 | 5 => 2 + number % 2,
        6 => 7,
        _ => 4 + number / 8 % 3,
    };
    let (call, _) = KILLS[kind];
    let nth = 1 + number as u64 * reach(call) / of as u64;
    let point = format!("killed at {nth} of {:?}", KILLS[kind]);
    let folder = temp_dir();
    let system = CaseSystem::start();
    let keys = number / 8 % 2 == 0;
    system.honour_keys(keys);
    trouble(&system);

    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::the_process_that_is_killed"])
        .env(PLACE, folder.path())
        .env(CALL, kind.to_string())
        .env(NTH, nth.to_string())
        .env(URL, system.url())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let killed = child.status.signal() == Some(SIGKILL);
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(killed || child.status.success(), "{point}: {output}");

    let ledger = read(&said(folder.path()));
    let agent = open(folder.path()).unwrap_or_else(|error| panic!("{point}: {error}"));
    let tally = ledger.check(&agent, &system, &point);
    agent.close(Duration::from_secs(20)).unwrap();
    assert_whole(&database(folder.path()), &point);
    let left = fs::read_dir(folder.path()).unwrap().flatten();
    let locks = left.filter(|entry| entry.file_name().to_string_lossy().contains(".lock-"));
    assert_eq!(
        locks.count(),
        0,
        "{point}: a lock file of the dead process is left"
    );
    (tally, killed)
}

fn number(variable: &str) -> u64 {
    std::env::var(variable).unwrap().parse().unwrap()
}

fn said(place: &Path) -> std::path::PathBuf {
    place.join("said")
}

fn to_json(word: &Word) -> Value {
    match word {
        Word::Configured(name) => json!({"configured": name}),
        Word::Accepted(push) => json!({
            "accepted": push.id.get(),
            "connector": push.connector,
            "case": push.case,
            "comments": push.comments,
        }),
        Word::MayCancel(id) => json!({"mayCancel": id.get()}),
        Word::Cancelled(id) => json!({"cancelled": id.get()}),
        Word::MayRemove(name) => json!({"mayRemove": name}),
        Word::Failed(kind) => json!({"failed": kind.number()}),
    }
}

fn read(said: &Path) -> Ledger {
    let mut ledger = Ledger::default();
    for line in fs::read_to_string(said).unwrap_or_default().lines() {
        let value: Value = serde_json::from_str(line).expect("a whole line");
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let id = |name: &str| value[name].as_i64().map(PushId::from);
        let word = if let Some(id) = id("accepted") {
            Word::Accepted(Accepted {
                id,
                connector: text("connector").unwrap(),
                case: text("case").unwrap(),
                comments: serde_json::from_value(value["comments"].clone()).unwrap(),
            })
        } else if let Some(id) = id("mayCancel") {
            Word::MayCancel(id)
        } else if let Some(id) = id("cancelled") {
            Word::Cancelled(id)
        } else if let Some(name) = text("configured") {
            Word::Configured(name)
        } else {
            Word::MayRemove(text("mayRemove").expect("a word"))
        };
        ledger.note(0, word);
    }
    ledger
}
