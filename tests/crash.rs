//! Crash torture: a process that pushes and drains is killed with SIGKILL again and again, at random moments and at
//! moments of an exchange that the target chooses; what the target recorded must be what was accepted.
//!
//! `CASEHOOK_CRASH_KILLS` says how often (default 160).
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

#[path = "crash/child.rs"]
mod child;
#[path = "crash/connector.rs"]
mod connector;
#[path = "crash/server.rs"]
mod server;
mod support;
#[path = "crash/verdict.rs"]
mod verdict;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use casehook::Agent;

use child::{LANES, Try};
use server::{Moment, Plan, Server, Step};
use verdict::Counts;

const STEPS: [Step; 5] = [Step::Create, Step::Get, Step::Update, Step::Comment, Step::Find];
const MOMENTS: [Moment; 4] = [
    Moment::Received,
    Moment::Acted,
    Moment::HalfAnswered,
    Moment::Answered,
];
/// How long a life lasts at most when its planned death does not come.
const LONGEST_LIFE_MS: u64 = 120;
/// Databases tortured at the same time.
const TRACKS: u64 = 2;

/// Not a test by itself: the process that the torture starts and kills is this one.
#[test]
fn life() {
    child::live();
}

#[test]
fn nothing_is_lost_or_repeated_however_often_the_process_is_killed() {
    let kills: u64 = std::env::var("CASEHOOK_CRASH_KILLS").ok().map_or(160, |text| {
        text.parse().expect("CASEHOOK_CRASH_KILLS is a number")
    });
    let seed = std::env::var("CASEHOOK_CRASH_SEED").ok().map_or_else(
        || fastrand::u64(..),
        |text| text.parse().expect("CASEHOOK_CRASH_SEED"),
    );
    println!("seed {seed}");
    let started = Instant::now();
    let left = Arc::new(AtomicU64::new(kills));
    let tracks: Vec<_> = (0..TRACKS)
        .map(|track| {
            let left = Arc::clone(&left);
            std::thread::spawn(move || torture(&left, fastrand::Rng::with_seed(seed.wrapping_add(track))))
        })
        .collect();
    let mut counts = Counts::default();
    for track in tracks {
        counts.add(&track.join().expect("a track of the torture failed"));
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{counts}\n{:.1} s, {:.1} kills per second",
        seconds,
        counts.kills as f64 / seconds
    );
    assert_eq!(counts.kills, kills);
}

/// Kills processes on one database until no kills are left, lets it drain, and judges.
fn torture(left: &AtomicU64, mut dice: fastrand::Rng) -> Counts {
    let folder = support::temp_dir();
    let database = folder.path().join("cases.db");
    let server = Arc::new(Server::start());
    configure(&database, &server.url());
    let mut counts = Counts::default();
    let mut tries: Vec<Try> = Vec::new();
    let mut life = 0;
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
        .is_ok()
    {
        life += 1;
        tries.extend(one_life(&server, &database, life, &mut dice, &mut counts));
    }
    verdict::judge(&database, &server, &tries, &mut counts);
    counts
}

fn one_life(
    server: &Server,
    database: &Path,
    life: u64,
    dice: &mut fastrand::Rng,
    counts: &mut Counts,
) -> Vec<Try> {
    let mut process = child::spawn("life", database, life);
    let stdout = process.stdout.take().unwrap();
    let process = Arc::new(Mutex::new(process));
    let plan = dice.bool().then(|| {
        let step = STEPS[dice.usize(..STEPS.len())];
        Plan {
            step,
            moment: MOMENTS[dice.usize(..MOMENTS.len())],
            // Look-ups come only after a create of the life before was cut off.
            countdown: if step == Step::Find { 0 } else { dice.u32(0..4) },
        }
    });
    let victim = Arc::clone(&process);
    server.aim(plan, move || victim.lock().unwrap().kill().unwrap());
    let listener = std::thread::spawn(move || child::listen(stdout));
    let wait = match plan {
        Some(_) => LONGEST_LIFE_MS,
        None => dice.u64(2..LONGEST_LIFE_MS),
    };
    let until = Instant::now() + Duration::from_millis(wait);
    let mut planned = true;
    while process.lock().unwrap().try_wait().unwrap().is_none() {
        if Instant::now() >= until {
            planned = !server.disarm();
            process.lock().unwrap().kill().unwrap();
            process.lock().unwrap().wait().unwrap();
            break;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    let tries = listener.join().expect("the child's words");
    server.settle(Duration::from_secs(10));
    counts.kills += 1;
    match plan.filter(|_| planned) {
        Some(plan) => *counts.planned.entry((plan.step, plan.moment)).or_default() += 1,
        None => counts.random += 1,
    }
    tries
}

fn configure(database: &Path, base: &str) {
    let agent = Agent::open(database, child::options().drain(false)).unwrap();
    for lane in LANES {
        agent.configure(lane, &connector::to(base, lane)).unwrap();
    }
    agent.close(Duration::from_secs(5)).unwrap();
}
