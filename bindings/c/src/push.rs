//! Pushing cases and waiting for them.

use std::ffi::c_char;

use casehook_rs::{Case, ErrorKind, PushId};
use serde_json::value::RawValue;

use crate::agent::{casehook_agent, giving, giving_json};
use crate::case::{self, casehook_case};
use crate::error::casehook_error;
use crate::failure::Failure;
use crate::input::{self, text};
use crate::result::casehook_result;
use crate::status::{self, casehook_status};

/// Accepts a case for delivery and gives its number: above 0, and below while a spool holds it (see
/// casehook_options_set_spool()); never 0. The push survives power loss once this returns; the network is not touched.
///
/// Ownership: the case and its texts are only read. Threads: any; pushes of several threads share their commits.
/// Errors: CASE names the field that is over a limit or that the connector cannot render; NOT_FOUND lists the connectors
/// there are; QUEUE_FULL, DISK_FULL and BUSY can be tried again; STORE. Nothing is stored then.
///
/// # Safety
/// `agent` is NULL or live, `connector` NULL or a string, `case` NULL or as its description says, `out_id` and `err` can be
/// written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_push(
    agent: *const casehook_agent,
    connector: *const c_char,
    case: *const casehook_case,
    out_id: *mut i64,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        giving(agent, (out_id, "out_id"), err, |agent| {
            let connector = text!(connector);
            let case = case::read(case)?;
            Ok(agent.push(connector, &case).map_err(case::refused)?.get())
        })
    }
}

/// The same for a case as JSON: {"incident": {"title", "id"?, "description"?, "severity"?, "status"?, "tags"?,
/// "externalId"?, "fields"?}, "comments"?: [{"commentId", "comment"}], "traceparent"?}.
///
/// Ownership: the texts are only read. Threads: any. Errors: as casehook_push().
///
/// # Safety
/// `agent` is NULL or live, the texts are strings or NULL, `out_id` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_push_json(
    agent: *const casehook_agent,
    connector: *const c_char,
    params_json: *const c_char,
    out_id: *mut i64,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        giving(agent, (out_id, "out_id"), err, |agent| {
            let connector = text!(connector);
            let case = Case::from_json(text!(params_json))?;
            Ok(agent.push(connector, &case)?.get())
        })
    }
}

/// Accepts many cases in one transaction, all or none: a JSON array of what casehook_push_json() takes. Gives a JSON array
/// of their numbers in the same order.
///
/// Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: as casehook_push(); the field
/// begins with the place of the case, such as "cases[3].incident.title".
///
/// # Safety
/// `agent` is NULL or live, the texts are strings or NULL, `out_json` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_push_many_json(
    agent: *const casehook_agent,
    connector: *const c_char,
    cases_json: *const c_char,
    out_json: *mut *mut c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        giving_json(agent, out_json, err, |agent| {
            let connector = text!(connector);
            let cases = cases(text!(cases_json))?;
            Ok(agent.push_many(connector, &cases)?)
        })
    }
}

/// Waits until a push is delivered, failed, cancelled or held, and gives where it stands then; for a superseded push it
/// follows the one that took its place. `timeout_ms` below 0 waits without limit.
///
/// Ownership: *out_status is the caller's, for casehook_status_free(). Threads: any; casehook_close() ends the wait.
/// Errors: TIMEOUT when it takes longer, and the push goes on; NOT_FOUND, STORE.
///
/// # Safety
/// `agent` is NULL or live, `out_status` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_wait(
    agent: *const casehook_agent,
    id: i64,
    timeout_ms: i64,
    out_status: *mut *mut casehook_status,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        giving(agent, (out_status, "out_status"), err, |agent| {
            let status = agent.wait(PushId::from(id), input::timeout(timeout_ms))?;
            Ok(status::give(status))
        })
    }
}

/// Waits until nothing is left to deliver, and sets *out_done to true then. False when the time ran out, and at once when
/// only pushes remain that nothing moves by itself: held ones, those behind them, those of paused or blocked connectors.
/// `timeout_ms` below 0 waits without limit.
///
/// Ownership: takes none. Threads: any; casehook_close() ends the wait. Errors: STORE; that the time ran out is none.
///
/// # Safety
/// `agent` is NULL or live, `out_done` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_flush(
    agent: *const casehook_agent,
    timeout_ms: i64,
    out_done: *mut bool,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        giving(agent, (out_done, "out_done"), err, |agent| {
            Ok(agent.flush(input::timeout(timeout_ms))?)
        })
    }
}

fn cases(json: &str) -> Result<Vec<Case>, Failure> {
    let list: Vec<Box<RawValue>> = serde_json::from_str(json).map_err(|error| {
        let message = format!("this must be a JSON array of cases: {error}");
        Failure::new(ErrorKind::Case, message).at("cases")
    })?;
    let cases = list.iter().enumerate().map(|(place, params)| {
        Case::from_json(params.get()).map_err(|error| Failure::from(error).within(&format!("cases[{place}]")))
    });
    cases.collect()
}
