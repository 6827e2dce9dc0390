//! Forks the test's process: the one thing that the tests of casehook cannot do in safe code.
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// A forked child. Killed and reaped when dropped.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    ended: Option<i32>,
}

/// Forks; the child does `work` and exits with what it returns, or with 101 when it panics.
///
/// Of the threads only the calling one lives on in the child. It must not print: another thread may have held the lock
/// of standard output when the process was forked.
///
/// # Panics
/// When the system cannot fork.
pub fn fork(work: impl FnOnce() -> u8) -> Child {
    // SAFETY: the child calls code that is not async-signal-safe, as every host does that forks with casehook in it (a
    // Python `multiprocessing` pool, a pre-forking server); on Linux and macOS the allocator survives that. It leaves by
    // `_exit`, so that no exit handler and no test harness runs twice.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let code = catch_unwind(AssertUnwindSafe(work)).unwrap_or(101);
        // SAFETY: ends this process without running anything else of it.
        unsafe { libc::_exit(i32::from(code)) }
    }
    Child {
        pid: Pid::from_raw(pid).expect("the system can fork"),
        ended: None,
    }
}

impl Child {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// What it exited with; none when it goes on for longer than `patience`, -1 when a signal ended it.
    pub fn wait(&mut self, patience: Duration) -> Option<i32> {
        let until = Instant::now() + patience;
        while self.ended.is_none() {
            if let Ok(Some((_, status))) = waitpid(Some(self.pid), WaitOptions::NOHANG) {
                self.ended = Some(status.exit_status().unwrap_or(-1));
            } else if Instant::now() >= until {
                break;
            } else {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.ended
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if self.ended.is_none() {
            let _ = kill_process(self.pid, Signal::KILL);
            self.wait(Duration::from_secs(10));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}
