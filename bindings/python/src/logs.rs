//! The library's log lines, kept until Python fetches them. Bounded; what does not fit is counted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;

use crate::calls::detached_at_exit;

/// Lines that wait for Python.
const LINES: usize = 1_000;
/// The longest line, in bytes; the rest is cut.
const LINE_BYTES: usize = 8 * 1024;

/// Python's level, seconds since the epoch, the part of the library, the text.
type Line = (u8, f64, String, String);
/// What `next_lines` gives: the lines, how many were dropped so far, whether that is all there will be.
pub(crate) type Batch = (Vec<Line>, u64, bool);

struct Ring {
    state: Mutex<State>,
    arrived: Condvar,
}

struct State {
    lines: VecDeque<Line>,
    dropped: u64,
    stopped: bool,
}

impl Ring {
    const fn new() -> Ring {
        Ring {
            state: Mutex::new(State {
                lines: VecDeque::new(),
                dropped: 0,
                stopped: false,
            }),
            arrived: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, line: Line) {
        let mut state = self.lock();
        if state.lines.len() < LINES {
            state.lines.push_back(line);
        } else {
            state.dropped += 1;
        }
        drop(state);
        self.arrived.notify_one();
    }
}

// A fork may copy a ring that a thread of the parent has locked. The child therefore uses the next one; more than this
// many forks of forks would meet an old one again.
const GENERATIONS: u64 = 32;
static RINGS: [Ring; GENERATIONS as usize] = [const { Ring::new() }; GENERATIONS as usize];
/// The process that the present ring belongs to, and the ring's place: pid << 32 | place.
static OWNER: AtomicU64 = AtomicU64::new(0);

fn ring() -> &'static Ring {
    let pid = u64::from(std::process::id());
    let mut owner = OWNER.load(Ordering::Acquire);
    while owner >> 32 != pid {
        let place = if owner == 0 {
            0
        } else {
            ((owner & 0xffff_ffff) + 1) % GENERATIONS
        };
        let next = pid << 32 | place;
        owner = match OWNER.compare_exchange(owner, next, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => next,
            Err(now) => now,
        };
    }
    &RINGS[usize::try_from(owner & 0xffff_ffff).unwrap_or(0) % RINGS.len()]
}

struct Collector;

impl Log for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("casehook")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => 40,
            Level::Warn => 30,
            Level::Info => 20,
            Level::Debug => 10,
            Level::Trace => 5,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut text = record.args().to_string();
        if text.len() > LINE_BYTES {
            let end = (0..=LINE_BYTES).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or(0));
            text.push('…');
        }
        ring().put((level, now.as_secs_f64(), record.target().to_owned(), text));
    }

    fn flush(&self) {}
}

/// Collects the library's log lines from now on.
#[pyfunction]
pub(crate) fn start_log() {
    // The second time it is set already, and the same one.
    let _ = log::set_logger(&Collector);
    ring().lock().stopped = false;
}

/// Collects lines of Python's `level` and above.
#[pyfunction]
pub(crate) fn set_log_level(level: i64) {
    log::set_max_level(match level {
        ..10 => LevelFilter::Trace,
        10..20 => LevelFilter::Debug,
        20..30 => LevelFilter::Info,
        30..40 => LevelFilter::Warn,
        40..=50 => LevelFilter::Error,
        _ => LevelFilter::Off,
    });
}

/// Takes the lines that are there, oldest first; waits for one so long when there are none.
#[pyfunction]
pub(crate) fn next_lines(py: Python<'_>, seconds: f64) -> PyResult<Batch> {
    let patience = Duration::from_secs_f64(seconds.clamp(0.0, 3600.0));
    let fetch = || {
        let ring = ring();
        let empty = |state: &mut State| state.lines.is_empty() && !state.stopped;
        let (mut state, _) = ring
            .arrived
            .wait_timeout_while(ring.lock(), patience, empty)
            .unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<Line> = state.lines.drain(..).collect();
        Ok((lines, state.dropped, state.stopped))
    };
    detached_at_exit(py, fetch).map_err(|failure| failure.raise(py))
}

/// Wakes whoever waits for lines: there is nothing more to wait for.
#[pyfunction]
pub(crate) fn stop_log() {
    let ring = ring();
    ring.lock().stopped = true;
    ring.arrived.notify_all();
}
