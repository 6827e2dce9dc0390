//! Keeps the program's signal handlers off casehook's threads.
//!
//! A thread begins with the signal mask of the one that starts it. What starts threads runs on one that takes no signals
//! and lends its mask to them, so that the caller's own stays as it is, however long the call takes.

use std::mem::MaybeUninit;
use std::panic::resume_unwind;
use std::ptr;
use std::thread::{Builder, JoinHandle};

use casehook_rs::ErrorKind;

use crate::failure::Failure;

/// Signals that a fault of the thread itself raises: blocked, they would end the process without the program's handler.
const FAULTS: [libc::c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGSYS,
];

/// Runs what may start threads, on a thread that takes no signals.
pub(crate) fn apart<T: Send>(body: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
    std::thread::scope(|scope| {
        let builder = Builder::new().name("casehook-start".to_owned());
        let thread = blocked(|| builder.spawn_scoped(scope, body)).map_err(not_started)?;
        thread.join().unwrap_or_else(|payload| resume_unwind(payload))
    })
}

/// Starts a thread that takes no signals.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Failure> {
    blocked(|| Builder::new().name(name.to_owned()).spawn(body)).map_err(not_started)
}

fn not_started(error: std::io::Error) -> Failure {
    Failure::new(
        ErrorKind::Internal,
        format!("no thread could be started: {error}"),
    )
}

/// Runs the body, which does not take long, with all signals blocked that are not a fault of this thread's own.
fn blocked<T>(body: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: both are places for a set; the first is filled before it is read, the second by the call that succeeds.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        for signal in FAULTS {
            libc::sigdelset(all.as_mut_ptr(), signal);
        }
        let done = libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
        let result = body();
        if done == 0 {
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
        }
        result
    }
}
