//! The process that is killed: it drains, pushes, and says which pushes it was given numbers for.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use casehook::{Agent, Case, Options};

/// The connectors of the torture.
pub const LANES: [&str; 4] = ["keys", "find", "retry", "hold"];

const DATABASE: &str = "CASEHOOK_CRASH_DATABASE";
const LIFE: &str = "CASEHOOK_CRASH_LIFE";
/// Set where several processes push at once: each to cases of its own, so that their order is known, and without
/// giving up when the database is away.
const SLOT: &str = "CASEHOOK_CRASH_SLOT";
const KEY: [u8; 32] = [7; 32];

/// How everybody here opens the database.
pub fn options() -> Options {
    Options::new().key(KEY)
}

/// One push as the child tried it, with its number once it was accepted.
#[derive(Debug, Clone)]
pub struct Try {
    pub lane: String,
    pub case: String,
    pub version: u64,
    pub comments: Vec<String>,
    pub push: Option<i64>,
}

/// Starts one life in another process: `test` is the test of this binary that calls [`live`].
#[allow(
    dead_code,
    reason = "one of the programs that share this has several processes at a time"
)]
pub fn spawn(test: &str, database: &std::path::Path, life: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(DATABASE, database)
        .env(LIFE, life.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The same beside other processes.
#[allow(
    dead_code,
    reason = "one of the programs that share this has one process at a time"
)]
pub fn spawn_beside(test: &str, database: &std::path::Path, life: u64, slot: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(DATABASE, database)
        .env(LIFE, life.to_string())
        .env(SLOT, slot.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What a child said until it died.
pub fn listen(stdout: impl std::io::Read) -> Vec<Try> {
    let mut tries: Vec<Try> = Vec::new();
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split('\t').collect();
        match words.as_slice() {
            ["try", lane, case, version, comments] => tries.push(Try {
                lane: (*lane).to_owned(),
                case: (*case).to_owned(),
                version: version.parse().unwrap(),
                comments: comments.split_whitespace().map(str::to_owned).collect(),
                push: None,
            }),
            ["ack", push] => tries.last_mut().unwrap().push = push.parse().ok(),
            ["trouble", what] => panic!("the child met {what}"),
            _ => {}
        }
    }
    tries
}

/// One life, when this process was started for one; it ends by being killed.
pub fn live() {
    let (Ok(database), Ok(life)) = (std::env::var(DATABASE), std::env::var(LIFE)) else {
        return;
    };
    let life: u64 = life.parse().unwrap();
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        // Nobody listens any more: then there is nothing to live for.
        if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
            std::process::exit(0);
        }
    };
    // The test harness left a line unfinished.
    say("\n".to_owned());
    let mut dice = fastrand::Rng::with_seed(life);
    let slot = std::env::var(SLOT).map(|slot| format!("-{slot}"));
    let agent = loop {
        match Agent::open(PathBuf::from(&database), options()) {
            Ok(agent) => break agent,
            Err(error) if slot.is_ok() && error.is_retryable() => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(error) => {
                say(format!("trouble\topen: {error}\n"));
                std::process::exit(1);
            }
        }
    };
    let slot_name = slot.clone().unwrap_or_default();
    let most = dice.u64(1..=12);
    let mut comment = 0;
    for number in 0..most {
        let lane = LANES[dice.usize(..LANES.len())];
        // New cases as the lives go on, and old ones again and again.
        let newest = life / 3;
        let case = format!("c{}{slot_name}", newest.saturating_sub(dice.u64(0..12)));
        let version = life * 100 + number;
        let mut whole = Case::new(version.to_string())
            .id(case.as_str())
            .description(format!("version {version}"));
        let mut comments = Vec::new();
        for _ in 0..dice.usize(0..3) {
            let id = format!("{life}-{comment}");
            comment += 1;
            whole = whole.comment(&id, format!("comment {id}"));
            comments.push(id);
        }
        say(format!(
            "try\t{lane}\t{case}\t{version}\t{}\n",
            comments.join(" ")
        ));
        match agent.push(lane, &whole) {
            Ok(push) => say(format!("ack\t{push}\n")),
            Err(error) if slot.is_ok() && error.is_retryable() => {}
            Err(error) => say(format!("trouble\tpush: {error}\n")),
        }
        std::thread::sleep(Duration::from_micros(dice.u64(0..3_000)));
    }
    std::thread::sleep(Duration::from_secs(60));
    std::process::exit(0);
}
