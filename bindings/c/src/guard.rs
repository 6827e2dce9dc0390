//! No panic leaves the library: it becomes an error, and the agent it happened in is not used again.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use casehook_rs::ErrorKind;

use crate::agent::casehook_agent;
use crate::error::{Failure, casehook_error};
use crate::result::casehook_result;

/// Runs a fallible export. A failure goes to `err` where there is one; a panic poisons `agent` where there is one.
///
/// # Safety
/// `agent` is NULL or a live handle; `err` is NULL or can be written.
pub(crate) unsafe fn fallible(
    agent: *const casehook_agent,
    err: *mut *mut casehook_error,
    body: impl FnOnce() -> Result<(), Failure>,
) -> casehook_result {
    if !err.is_null() {
        // SAFETY: it can be written, as the caller promises.
        unsafe { err.write(ptr::null_mut()) };
    }
    // What a panic may leave half done is behind the poisoned handle.
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return casehook_result::CASEHOOK_OK,
        Ok(Err(failure)) => failure,
        Err(payload) => {
            // SAFETY: NULL or live, as the caller promises.
            if let Some(agent) = unsafe { agent.as_ref() } {
                agent.poison();
            }
            panicked(payload)
        }
    };
    let result = failure.result();
    if !err.is_null() {
        let error = Box::new(casehook_error::from(failure));
        // SAFETY: it can be written, as the caller promises.
        unsafe { err.write(Box::into_raw(error)) };
    }
    result
}

/// Runs an export that cannot fail; `fallback` is the answer should it panic.
pub(crate) fn plain<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        std::mem::forget(payload);
        fallback
    })
}

fn panicked(payload: Box<dyn Any + Send>) -> Failure {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    // The drop of an unknown payload could panic in its turn.
    std::mem::forget(payload);
    Failure::new(
        ErrorKind::Internal,
        format!("casehook ran into a fault of its own: {text}"),
    )
}
