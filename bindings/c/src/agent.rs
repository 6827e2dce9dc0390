//! `casehook_agent`: opening, closing, releasing.

use std::ffi::c_char;
use std::sync::atomic::{AtomicBool, Ordering};

use casehook_rs::{Agent, ErrorKind, Options};
use serde::Serialize;

use crate::error::{casehook_error, fallible, fallible_or};
use crate::failure::Failure;
use crate::guard::plain;
use crate::input::{self, text};
use crate::options::casehook_options;
use crate::output::{self, Neutral, Out};
use crate::result::casehook_result;
use crate::signals;

/// An open outbox and, unless told otherwise, the threads that deliver it.
pub struct casehook_agent {
    agent: Agent,
    poisoned: AtomicBool,
}

/// Opens the database at `path`, creating it (readable by its owner alone) when it is not there, and starts the threads
/// that deliver what it holds. `options` may be NULL for the defaults. Opening the same database again in one process
/// gives another agent that shares the store and the threads.
///
/// Ownership: the agent in *out_agent is the caller's, for casehook_agent_free(); path and options are only read.
/// Threads: any. Errors: SCHEMA_TOO_NEW and CORRUPT leave the file as it is; SECOND_COPY when another copy of casehook in
/// this process has it open; FORKED when this process was forked with it open; STORE when the folder cannot be used; BUSY.
///
/// # Safety
/// `path` is a string, `options` NULL or live and not being changed, `out_agent` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_open(
    path: *const c_char,
    options: *const casehook_options,
    out_agent: *mut *mut casehook_agent,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        fallible(err, || {
            let out = Out::new(out_agent, "out_agent")?;
            let path = text!(path);
            let options = options.as_ref().map_or_else(Options::new, casehook_options::get);
            crate::atfork::watch();
            let agent = casehook_agent {
                agent: signals::apart(|| Ok(Agent::open(path, options)?))?,
                poisoned: AtomicBool::new(false),
            };
            out.set(Box::into_raw(Box::new(agent)));
            Ok(())
        })
    }
}

/// Stops: claims nothing more, waits up to `timeout_ms` for requests under way, then shuts their sockets. Every later call
/// fails with CLOSED, and calls that wait in other threads return so. A second close does nothing. What was not delivered
/// stays stored. Other agents of the same database in this process go on.
///
/// Ownership: the agent stays the caller's; release it with casehook_agent_free(). Threads: any, also while other threads
/// use the agent. Errors: ARGUMENT when `timeout_ms` is below 0, STORE.
///
/// # Safety
/// `agent` is NULL or live, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_close(
    agent: *const casehook_agent,
    timeout_ms: i64,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        with(agent, err, |agent| {
            if timeout_ms < 0 {
                let message =
                    format!("{timeout_ms} is no time that closing may take; use 0 or more milliseconds");
                return Err(Failure::argument("timeout_ms", message));
            }
            Ok(agent.close(input::timeout(timeout_ms))?)
        })
    }
}

/// Releases an agent; NULL is ignored. One that is not closed is closed first, which takes up to 5 seconds. In a forked
/// child it only forgets the agent, and leaves the parent's files and sockets alone.
///
/// Ownership: takes the agent. Threads: any, once, when every other call with this agent has returned. Errors: none.
///
/// # Safety
/// `agent` is NULL or live, and no other call uses it now or later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_agent_free(agent: *mut casehook_agent) {
    plain((), || {
        if !agent.is_null() {
            // SAFETY: made by `Box::into_raw` in `casehook_open`, and freed once, as the caller promises.
            drop(unsafe { Box::from_raw(agent) });
        }
    });
}

/// Runs an export that uses an agent; a panic poisons it.
///
/// # Safety
/// `agent` is NULL or live, `err` NULL or can be written.
pub(crate) unsafe fn with(
    agent: *const casehook_agent,
    err: *mut *mut casehook_error,
    body: impl FnOnce(&Agent) -> Result<(), Failure>,
) -> casehook_result {
    // SAFETY: as the caller promises.
    unsafe { poisoning(agent, err, || body(handle(agent)?)) }
}

/// [`with`] for an export that gives something out, at the place of that name.
///
/// # Safety
/// As [`with`]; the place is NULL or can be written.
pub(crate) unsafe fn giving<T: Neutral>(
    agent: *const casehook_agent,
    (place, name): (*mut T, &str),
    err: *mut *mut casehook_error,
    body: impl FnOnce(&Agent) -> Result<T, Failure>,
) -> casehook_result {
    // SAFETY: as the caller promises.
    unsafe {
        poisoning(agent, err, || {
            let out = Out::new(place, name)?;
            out.set(body(handle(agent)?)?);
            Ok(())
        })
    }
}

/// [`giving`] for a value that goes out as JSON.
///
/// # Safety
/// As [`giving`].
pub(crate) unsafe fn giving_json<T: Serialize>(
    agent: *const casehook_agent,
    out_json: *mut *mut c_char,
    err: *mut *mut casehook_error,
    body: impl FnOnce(&Agent) -> Result<T, Failure>,
) -> casehook_result {
    // SAFETY: as the caller promises.
    unsafe {
        giving(agent, (out_json, "out_json"), err, |agent| {
            output::json(&body(agent)?)
        })
    }
}

/// # Safety
/// As [`with`].
unsafe fn poisoning(
    agent: *const casehook_agent,
    err: *mut *mut casehook_error,
    body: impl FnOnce() -> Result<(), Failure>,
) -> casehook_result {
    let poison = || {
        // SAFETY: NULL or live, as the caller promises.
        if let Some(agent) = unsafe { agent.as_ref() } {
            // No later call comes in: the panic may have left things half done.
            agent.poisoned.store(true, Ordering::Release);
        }
    };
    // SAFETY: as the caller promises.
    unsafe { fallible_or(err, &poison, body) }
}

/// The library's agent behind a handle.
///
/// # Safety
/// `agent` is NULL or a live handle for `'a`.
unsafe fn handle<'a>(agent: *const casehook_agent) -> Result<&'a Agent, Failure> {
    // SAFETY: as the caller promises.
    let agent = unsafe { input::object(agent, "agent") }?;
    if agent.poisoned.load(Ordering::Acquire) {
        let message =
            "an earlier call ran into a fault of casehook's own; free this agent and open the database again";
        return Err(Failure::new(ErrorKind::Internal, message));
    }
    Ok(&agent.agent)
}
