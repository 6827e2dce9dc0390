//! Three processes push to one database and drain it. They are killed with SIGKILL again and again, and the server is
//! stopped and crashed under them; what the target recorded must be what was accepted.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use casehook::Agent;

use crate::child::{self, LANES, Try};
use crate::connector;
use crate::database::Server as Database;
use crate::server::Server;
use crate::verdict::{self, Counts};

const PROCESSES: usize = 3;

/// One process and what it says.
struct Life {
    process: Child,
    words: JoinHandle<Vec<Try>>,
}

impl Life {
    fn start(database: &Path, number: u64, slot: usize) -> Life {
        let mut process = child::spawn_beside("life", database, number, slot);
        let stdout = process.stdout.take().unwrap();
        Life {
            process,
            words: std::thread::spawn(move || child::listen(stdout)),
        }
    }

    fn end(mut self) -> Vec<Try> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.words.join().expect("the child's words")
    }
}

#[test]
fn nothing_is_lost_or_repeated_when_hosts_are_killed_and_the_server_restarts() {
    let Some(database) = Database::start(&["fsync=off"]) else {
        return;
    };
    let kills: u64 = std::env::var("CASEHOOK_CRASH_KILLS").map_or(40, |text| text.parse().unwrap());
    let seed =
        std::env::var("CASEHOOK_CRASH_SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    println!("seed {seed}");
    let mut dice = fastrand::Rng::with_seed(seed);
    let target = Arc::new(Server::start());
    let url = PathBuf::from(format!("{}&lease=3", database.url("torture")));
    let agent = Agent::open(&url, child::options().drain(false)).unwrap();
    for lane in LANES {
        agent
            .configure(lane, &connector::to(&target.url(), lane))
            .unwrap();
    }
    agent.close(Duration::from_secs(5)).unwrap();

    let started = Instant::now();
    let mut counts = Counts::default();
    let mut tries: Vec<Try> = Vec::new();
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    let mut lives: Vec<Option<Life>> = (0..PROCESSES)
        .map(|slot| Some(Life::start(&url, next(), slot)))
        .collect();
    let mut restarts = 0;
    for kill in 1..=kills {
        std::thread::sleep(Duration::from_millis(dice.u64(20..300)));
        if kill % 10 == 0 {
            database.down(if dice.bool() { "fast" } else { "immediate" });
            std::thread::sleep(Duration::from_millis(dice.u64(0..300)));
            database.up();
            restarts += 1;
        }
        let slot = dice.usize(..PROCESSES);
        tries.extend(lives[slot].take().unwrap().end());
        counts.kills += 1;
        counts.random += 1;
        lives[slot] = Some(Life::start(&url, next(), slot));
    }
    for life in lives.into_iter().flatten() {
        tries.extend(life.end());
    }
    target.settle(Duration::from_secs(10));
    // What a process said is known when it is dead; the order of one case is that of its slot.
    tries.sort_by_key(|tried| tried.version);
    verdict::judge(&url, &target, &tries, &mut counts);
    println!(
        "{counts}\nserver restarts: {restarts}, {:.1} s",
        started.elapsed().as_secs_f64()
    );
    assert!(counts.accepted > 0 && counts.delivered > 0);
}
