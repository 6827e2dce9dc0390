//! What the C interface costs: a push against the Rust call within it, the libraries' sizes, the time to open.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use casehook_rs::{Agent, Case, Connector, Filter, Options};
use common::{C99, Link, Scene, build_dir, installed, ok, size, there};

/// Prints the figures; `make bench-c` runs it, after it has built the libraries whose sizes count.
#[test]
#[ignore = "measures; says little in a debug build"]
fn figures() {
    let scene = Scene::new();
    let program = installed().compile(scene.path(), "tests/push_cost.c", "push_cost", C99, Link::Shared);
    sizes(scene.path());
    instructions(&scene, &program);
    pushes(&scene, &program);
    openings(&scene, &program);
}

/// Each build there is, stripped as `make install` does.
fn sizes(place: &Path) {
    for profile in ["release", "dist", "slim"] {
        let built = build_dir().parent().unwrap().join(profile).join("libcasehook.so");
        if !built.exists() {
            println!("size, {profile}: not built");
            continue;
        }
        let stripped = place.join(profile);
        ok(Command::new("strip")
            .args(["--strip-unneeded", "-o"])
            .arg(&stripped)
            .arg(built));
        let bytes = fs::metadata(stripped).unwrap().len();
        println!("size of libcasehook.so, {profile}: {:.2} MB", bytes as f64 / 1e6);
    }
}

/// Instructions of a push in user space: of `casehook_push`, and of the Rust `Agent::push` that it calls. What is between
/// is the interface, the making of the case included, which a Rust program does too.
fn instructions(scene: &Scene, program: &Path) {
    if !there("valgrind") {
        return;
    }
    // The library as it was built, for the installed one does not name the functions within.
    let named = scene.path().join("named");
    fs::create_dir(&named).unwrap();
    fs::copy(build_dir().join("libcasehook.so"), named.join("libcasehook.so.0")).unwrap();
    let out = scene.path().join("callgrind.out");
    let pushes = 200;
    ok(Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--toggle-collect=casehook_push"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .arg(scene.path().join("counted.db"))
        .arg(scene.connector())
        .arg(pushes.to_string())
        .env("LD_PRELOAD", named.join("libcasehook.so.0")));
    let listing = ok(Command::new("callgrind_annotate")
        .args(["--inclusive=yes", "--threshold=100"])
        .arg(&out));
    // "71,170,157 (100.0%)  file:function [object]"; a method may stand as that of an <impl ...>.
    let of = |names: &[&str]| -> f64 {
        let named = |line: &&str| {
            let function = line.rsplit_once(" [").map_or(*line, |(function, _)| function);
            names.iter().any(|name| function.ends_with(name))
        };
        let line = listing.lines().find(named);
        let line = line.unwrap_or_else(|| panic!("{names:?} is not in what callgrind saw"));
        let number = line.split_whitespace().next().unwrap().replace(',', "");
        number.parse::<f64>().unwrap() / f64::from(pushes)
    };
    let (c, rust) = (of(&[":casehook_push"]), of(&["Agent::push", "Agent>::push"]));
    println!(
        "instructions of a push: Rust {rust:.0}, C {c:.0}, {:+.2} %",
        (c / rust - 1.0) * 100.0
    );
}

/// The time of a push from C and from Rust, in turns, so that both meet the same disk and the same neighbours.
fn pushes(scene: &Scene, program: &Path) {
    let on_disk = tempfile::tempdir().unwrap();
    let file = |name: String| on_disk.path().join(name);
    let connector = Connector::from_json(&scene.system.config().to_string()).unwrap();
    let pushes = size("CASEHOOK_C_PUSHES", 1000);
    let rounds = size("CASEHOOK_C_ROUNDS", 15);
    let (mut c, mut rust, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let from_c = || -> f64 {
            let mut command = Command::new(program);
            command
                .arg(file(format!("c{round}.db")))
                .arg(scene.connector())
                .arg(pushes.to_string());
            ok(&mut command).trim().parse().unwrap()
        };
        let from_rust = || rust_push(&file(format!("rust{round}.db")), &connector, pushes);
        let (c_us, rust_us) = if round % 2 == 0 {
            let first = from_c();
            (first, from_rust())
        } else {
            let first = from_rust();
            (from_c(), first)
        };
        ratios.push(c_us / rust_us);
        c.push(c_us);
        rust.push(rust_us);
    }
    println!(
        "time of a push: Rust {:.1} us, C {:.1} us, {:+.1} % (medians of {rounds} rounds in turns, the last of pairs)",
        median(&mut rust),
        median(&mut c),
        (median(&mut ratios) - 1.0) * 100.0
    );
}

/// Microseconds of one push.
fn rust_push(db: &Path, connector: &Connector, pushes: usize) -> f64 {
    let agent = Agent::open(db, Options::new().drain(false)).unwrap();
    agent.configure("tracker", connector).unwrap();
    let started = Instant::now();
    for _ in 0..pushes {
        let case = Case::new("Disk full")
            .id("host-7/disk")
            .description("95 % of /var is in use")
            .severity("high")
            .tag("infra")
            .comment("c1", "first look");
        agent.push("tracker", &case).unwrap();
    }
    started.elapsed().as_secs_f64() * 1e6 / pushes as f64
}

/// The time of `casehook_open` with its threads: of a database that is not there yet, and of one that holds many pushes.
fn openings(scene: &Scene, program: &Path) {
    let on_disk = tempfile::tempdir().unwrap();
    let rows = size("CASEHOOK_C_ROWS", 1_000_000);
    let full = on_disk.path().join("rows.db");
    fill(
        &full,
        &Connector::from_json(&scene.system.config().to_string()).unwrap(),
        rows,
    );
    let times = |db: &dyn Fn(usize) -> PathBuf| {
        let mut times: Vec<f64> = (0..15)
            .map(|round| {
                let mut command = Command::new(program);
                ok(command.arg(db(round)).arg("open").arg("0"))
                    .trim()
                    .parse()
                    .unwrap()
            })
            .collect();
        (median(&mut times) / 1e3, times[0] / 1e3)
    };
    let (new, least) = times(&|round| on_disk.path().join(format!("new{round}.db")));
    println!("casehook_open, a new database: {new:.2} ms (at best {least:.2})");
    let (many, least) = times(&|_| full.clone());
    println!("casehook_open, {rows} rows: {many:.2} ms (at best {least:.2})");
}

fn fill(db: &Path, connector: &Connector, rows: usize) {
    let agent = Agent::open(db, Options::new().drain(false).max_queued(u64::MAX)).unwrap();
    agent.configure("tracker", connector).unwrap();
    for start in (0..rows).step_by(10_000) {
        let cases: Vec<Case> = (start..rows.min(start + 10_000))
            .map(|number| Case::new("Disk full").id(format!("case-{number}")))
            .collect();
        agent.push_many("tracker", &cases).unwrap();
    }
    let last = agent.pushes(&Filter::new().limit(1)).unwrap();
    assert_eq!(last[0].id.get(), rows as i64);
    agent.close(std::time::Duration::from_secs(60)).unwrap();
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
