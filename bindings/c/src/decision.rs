//! What a person or the program decides about a push.

use std::ffi::c_char;

use casehook_rs::PushId;

use crate::agent::{casehook_agent, with};
use crate::error::casehook_error;
use crate::input::text;
use crate::result::casehook_result;

/// Sends a failed or held push again, from the first step that is not done, and a waiting one now.
///
/// Ownership: takes none. Threads: any. Errors: STATE when it is neither failed nor held nor waiting, NOT_FOUND, STORE, BUSY.
///
/// # Safety
/// `agent` is NULL or live, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_retry(
    agent: *const casehook_agent,
    id: i64,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe { with(agent, err, |agent| Ok(agent.retry(PushId::from(id))?)) }
}

/// Gives up a push that is queued, waiting or held.
///
/// Ownership: takes none. Threads: any. Errors: STATE when a request of it is under way or it is done, NOT_FOUND, STORE,
/// BUSY.
///
/// # Safety
/// `agent` is NULL or live, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_cancel(
    agent: *const casehook_agent,
    id: i64,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe { with(agent, err, |agent| Ok(agent.cancel(PushId::from(id))?)) }
}

/// Names the incident of a held push, or of one that failed without an incident; it goes on from there.
///
/// Ownership: the text is only read. Threads: any. Errors: STATE when the push is in no such state, ARGUMENT when the id
/// cannot be one, NOT_FOUND, STORE, BUSY.
///
/// # Safety
/// `agent` is NULL or live, `external_id` NULL or a string, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_adopt(
    agent: *const casehook_agent,
    id: i64,
    external_id: *const c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        with(agent, err, |agent| {
            Ok(agent.adopt(PushId::from(id), text!(external_id))?)
        })
    }
}

/// Removes a failed push for good.
///
/// Ownership: takes none. Threads: any. Errors: STATE when it has not failed, NOT_FOUND, STORE, BUSY.
///
/// # Safety
/// `agent` is NULL or live, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_discard(
    agent: *const casehook_agent,
    id: i64,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe { with(agent, err, |agent| Ok(agent.discard(PushId::from(id))?)) }
}
