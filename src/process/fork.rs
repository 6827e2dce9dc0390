//! Lets a process fork while threads of casehook are at work, and the child use casehook afterwards.
//!
//! A fork copies every lock as it stands, and of the threads only the one that forks. A thread that is inside SQLite may
//! hold locks of SQLite's that belong to the whole process; in the child nobody would ever release them, and the first
//! database that is opened there would hang. So a fork waits until no thread is in there, and no thread goes in until it
//! is over:
//!
//! - [`before`] in the thread that forks, before it does;
//! - [`after_in_parent`] in the same thread afterwards, also when the fork failed;
//! - [`after_in_child`] in the child.
//!
//! The Python package and the C library arrange this by themselves (`os.register_at_fork`, `pthread_atfork`). A Rust program
//! that forks and goes on in the child hands the three to `pthread_atfork`, or calls them around the fork. One that forks
//! only to start another program needs none of this.
//!
//! Without it nothing hangs either: a child that was forked at a bad moment is told so ([`crate::ErrorKind::Forked`]) when
//! it opens a database. The agents of the parent are of no use in the child in any case.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a fork waits at most; a child that is forked then cannot open a database.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a thread stays out of SQLite for a fork at most, should nobody say that the fork is over.
const LONGEST_FORK: Duration = Duration::from_secs(10);
/// Between two looks. No lock and no condition variable: a fork would copy their state, waiting threads included.
const NAP: Duration = Duration::from_micros(50);

/// One word, so that a child finds it consistent: the process it is about, whether this process must not use SQLite, how
/// many threads are about to fork, and how many must not be forked from.
static STATE: AtomicU64 = AtomicU64::new(0);
const INSIDE: u64 = 1;
const ALL_INSIDE: u64 = (1 << 20) - 1;
const FORKING: u64 = 1 << 20;
const ALL_FORKING: u64 = ((1 << 11) - 1) << 20;
const SPOILT: u64 = 1 << 31;

thread_local! {
    /// How often this thread is in, and whether it is about to fork: then it waits for nobody, itself included.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static FORKS: Cell<bool> = const { Cell::new(false) };
}

/// Waits until no thread is where it must not be forked from, and keeps them out until one of the `after` functions is
/// called. For two seconds at most; the fork may go on in any case.
pub fn before() {
    if FORKS.replace(true) {
        return;
    }
    settle();
    STATE.fetch_add(FORKING, Ordering::SeqCst);
    let began = Instant::now();
    let own = u64::from(DEPTH.get() > 0);
    while STATE.load(Ordering::SeqCst) & ALL_INSIDE > own && began.elapsed() < PATIENCE {
        std::thread::sleep(NAP);
    }
}

/// Lets the threads of the parent go on.
pub fn after_in_parent() {
    if FORKS.replace(false) {
        let _ = STATE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |state| {
            (state & ALL_FORKING > 0).then(|| state - FORKING)
        });
    }
}

/// Starts afresh in the child, in which no other thread is.
pub fn after_in_child() {
    FORKS.set(false);
    settle();
}

/// Whether this process can use SQLite: it was not forked from one that had a thread inside.
pub(crate) fn is_whole() -> bool {
    settle();
    STATE.load(Ordering::SeqCst) & SPOILT == 0
}

/// Holds forks off as long as it lives. Held by whoever is inside SQLite, or holds another lock that a child needs.
pub(crate) struct HoldOff {
    // Belongs to the thread that took it.
    _thread: std::marker::PhantomData<*const ()>,
}

/// Waits for a fork that is about to happen, then holds others off. May be nested.
///
/// Whoever holds it must not wait for a thread that takes it for the first time.
pub(crate) fn hold_off() -> HoldOff {
    let depth = DEPTH.get();
    DEPTH.set(depth + 1);
    if depth == 0 {
        enter();
    }
    HoldOff {
        _thread: std::marker::PhantomData,
    }
}

impl Drop for HoldOff {
    fn drop(&mut self) {
        let depth = DEPTH.get();
        DEPTH.set(depth.saturating_sub(1));
        if depth == 1 {
            let _ = STATE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |state| {
                (state & ALL_INSIDE > 0).then(|| state - INSIDE)
            });
        }
    }
}

fn enter() {
    let mut began = None;
    let mut state = STATE.load(Ordering::SeqCst);
    loop {
        let waits = state & ALL_FORKING > 0 && !FORKS.get();
        if waits && began.get_or_insert_with(Instant::now).elapsed() < LONGEST_FORK {
            std::thread::sleep(NAP);
            state = STATE.load(Ordering::SeqCst);
            continue;
        }
        match STATE.compare_exchange_weak(state, state + INSIDE, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => return,
            Err(now) => state = now,
        }
    }
}

/// Makes the state one of this process: in a child the threads of the parent are not there, and what they were inside of
/// stays as they left it.
fn settle() {
    let pid = u64::from(std::process::id());
    let adopt = |state: u64| match state >> 32 {
        same if same == pid => None,
        0 => Some(state | pid << 32),
        _ if state & (ALL_INSIDE | SPOILT) > 0 => Some(pid << 32 | SPOILT),
        _ => Some(pid << 32),
    };
    let _ = STATE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, adopt);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    /// The state is the process's: these run in one test, and other tests of the program only hold forks off.
    #[test]
    fn a_fork_waits_for_who_is_inside_and_who_comes_later_waits_for_the_fork() {
        let (inside, leave, came) = (
            AtomicBool::new(false),
            AtomicBool::new(false),
            AtomicBool::new(false),
        );
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let outer = hold_off();
                let inner = hold_off();
                drop(outer);
                inside.store(true, Ordering::SeqCst);
                while !leave.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                drop(inner);
            });
            while !inside.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            scope.spawn(|| {
                while STATE.load(Ordering::SeqCst) & ALL_FORKING == 0 {
                    std::thread::yield_now();
                }
                scope.spawn(|| {
                    let _held = hold_off();
                    came.store(true, Ordering::SeqCst);
                });
                leave.store(true, Ordering::SeqCst);
            });
            before();
            assert!(leave.load(Ordering::SeqCst), "it waited");
            assert_eq!(STATE.load(Ordering::SeqCst) & ALL_INSIDE, 0);
            // The thread that forks is let in all the same.
            drop(hold_off());
            assert!(!came.load(Ordering::SeqCst));
            before();
            after_in_parent();
            assert_eq!(
                STATE.load(Ordering::SeqCst) & ALL_FORKING,
                0,
                "called twice, counted once"
            );
        });
        assert!(came.load(Ordering::SeqCst));
        after_in_parent();
        assert!(is_whole());
    }
}
