//! What delivery promises when the disk below SQLite fails, fills up or loses power, and when the process is killed.
//!
//! Each test runs one scenario through the public API once for every point at which something can go wrong, and then
//! asks the database and the case system whether everything that was accepted arrived, once. The number of points is
//! kept small; `CASEHOOK_FAULTS=N` tries N of each kind, `CASEHOOK_FAULTS=full` every one, and `CASEHOOK_KILLS=N` kills N
//! times.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "faults/cuts.rs"]
mod cuts;
#[path = "faults/errors.rs"]
mod errors;
#[path = "faults/kills.rs"]
mod kills;
#[path = "faults/ledger.rs"]
mod ledger;
#[path = "faults/scenario.rs"]
mod scenario;
mod support;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much is tried: `few` points of a kind, or as many as `CASEHOOK_FAULTS` says, or `full` for all.
fn points(few: usize) -> usize {
    match std::env::var("CASEHOOK_FAULTS").as_deref() {
        Ok("full") => usize::MAX,
        Ok(number) => number.parse().expect("CASEHOOK_FAULTS is a number or `full`"),
        Err(_) => few,
    }
}

/// Runs `each` for every item, several at once: most of the time is spent waiting.
fn spread<T: Sync>(items: &[T], each: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    each(item);
                }
            });
        }
    });
}

/// A line to standard error, past the capture of the test runner.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
