//! `casehook_status`: where a push stands.

use std::ffi::{CString, c_char};
use std::ptr;

use casehook_rs::{PushId, PushState, PushStatus};

use crate::agent::{casehook_agent, giving};
use crate::error::{casehook_error, fallible};
use crate::guard::plain;
use crate::input;
use crate::output::{self, Out};
use crate::result::casehook_result;
use crate::text::c_text;

/// Where a push stands. Numbers are never reused; a later version may add some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum casehook_state {
    /// None of those below; casehook_status_state_name() tells.
    CASEHOOK_STATE_UNKNOWN = 0,
    /// Accepted; nothing was sent for it yet, or its turn has not come again.
    CASEHOOK_STATE_QUEUED = 1,
    /// A request of it is on its way, or a step was just finished.
    CASEHOOK_STATE_SENDING = 2,
    /// A retry is scheduled.
    CASEHOOK_STATE_WAITING = 3,
    /// Needs a decision: casehook_retry(), casehook_adopt() or casehook_cancel().
    CASEHOOK_STATE_HELD = 4,
    /// Every step is done.
    CASEHOOK_STATE_DELIVERED = 5,
    /// Given up; keeps its external id and the step it failed at.
    CASEHOOK_STATE_FAILED = 6,
    /// A later push of the same case took its place before anything was sent.
    CASEHOOK_STATE_SUPERSEDED = 7,
    /// Cancelled by the program.
    CASEHOOK_STATE_CANCELLED = 8,
}

use casehook_state::*;

impl From<PushState> for casehook_state {
    fn from(state: PushState) -> casehook_state {
        match state {
            PushState::Queued => CASEHOOK_STATE_QUEUED,
            PushState::Sending => CASEHOOK_STATE_SENDING,
            PushState::Waiting => CASEHOOK_STATE_WAITING,
            PushState::Held => CASEHOOK_STATE_HELD,
            PushState::Delivered => CASEHOOK_STATE_DELIVERED,
            PushState::Failed => CASEHOOK_STATE_FAILED,
            PushState::Superseded => CASEHOOK_STATE_SUPERSEDED,
            PushState::Cancelled => CASEHOOK_STATE_CANCELLED,
            _ => CASEHOOK_STATE_UNKNOWN,
        }
    }
}

/// Where a push stood when it was asked for. It does not change afterwards.
pub struct casehook_status {
    whole: PushStatus,
    texts: Texts,
}

/// What the getters lend, with the NUL that C wants.
struct Texts {
    connector: CString,
    state_name: CString,
    case_id: Option<CString>,
    external_id: Option<CString>,
    external_title: Option<CString>,
    external_url: Option<CString>,
    error_code: Option<CString>,
    error_kind: Option<CString>,
    error_message: Option<CString>,
    error_step: Option<CString>,
}

/// A status that becomes the caller's.
pub(crate) fn give(status: PushStatus) -> *mut casehook_status {
    let texts = Texts::of(&status);
    Box::into_raw(Box::new(casehook_status { whole: status, texts }))
}

impl Texts {
    fn of(status: &PushStatus) -> Texts {
        let given = |text: &Option<String>| text.as_deref().map(c_text);
        let error = status.error.as_ref();
        Texts {
            connector: c_text(&status.connector),
            state_name: c_text(status.state.as_str()),
            case_id: given(&status.case_id),
            external_id: given(&status.external_id),
            external_title: given(&status.external_title),
            external_url: given(&status.external_url),
            error_code: error.map(|error| c_text(&error.code)),
            error_kind: error.map(|error| c_text(error.kind.as_str())),
            error_message: error.map(|error| c_text(&error.message)),
            error_step: error.map(|error| c_text(error.step.as_str())),
        }
    }
}

/// What a getter answers, `none` for NULL.
///
/// # Safety
/// `status` is NULL or live.
unsafe fn get<T>(status: *const casehook_status, none: T, read: impl FnOnce(&casehook_status) -> T) -> T
where
    T: Copy,
{
    plain(none, || {
        // SAFETY: as the caller promises.
        unsafe { status.as_ref() }.map_or(none, read)
    })
}

fn lend(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

/// Where a push stands now. Reads the store only.
///
/// Ownership: *out_status is the caller's, for casehook_status_free(). Threads: any. Errors: NOT_FOUND when there is no push
/// of that number (any more: history is pruned), STORE.
///
/// # Safety
/// `agent` is NULL or live, `out_status` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_get_status(
    agent: *const casehook_agent,
    id: i64,
    out_status: *mut *mut casehook_status,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        giving(agent, (out_status, "out_status"), err, |agent| {
            Ok(give(agent.status(PushId::from(id))?))
        })
    }
}

/// Frees a status; NULL is ignored.
///
/// Ownership: takes the status, and with it every text borrowed from it. Threads: any, once. Errors: none.
///
/// # Safety
/// `status` is NULL or live, and no other call uses it now or later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_free(status: *mut casehook_status) {
    plain((), || {
        if !status.is_null() {
            // SAFETY: made by `Box::into_raw` in `give`, and freed once, as the caller promises.
            drop(unsafe { Box::from_raw(status) });
        }
    });
}

/// All of it as JSON, the comments with their states included.
///
/// Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: ARGUMENT.
///
/// # Safety
/// `status` is NULL or live, `out_json` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_json(
    status: *const casehook_status,
    out_json: *mut *mut c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        fallible(err, || {
            let out = Out::new(out_json, "out_json")?;
            out.set(output::json(&input::object(status, "status")?.whole)?);
            Ok(())
        })
    }
}

/// The number of the push.
///
/// Ownership: takes none. Threads: any. Errors: 0 for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_id(status: *const casehook_status) -> i64 {
    // SAFETY: as the caller promises.
    unsafe { get(status, 0, |status| status.whole.id.get()) }
}

/// The connector's name.
///
/// Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_connector(status: *const casehook_status) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { get(status, ptr::null(), |status| status.texts.connector.as_ptr()) }
}

/// The program's own id of the case; NULL when it gave none.
///
/// Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_case_id(status: *const casehook_status) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { get(status, ptr::null(), |status| lend(&status.texts.case_id)) }
}

/// Where the push stands.
///
/// Ownership: takes none. Threads: any. Errors: CASEHOOK_STATE_UNKNOWN for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_state(status: *const casehook_status) -> casehook_state {
    // SAFETY: as the caller promises.
    unsafe {
        get(status, casehook_state::CASEHOOK_STATE_UNKNOWN, |status| {
            status.whole.state.into()
        })
    }
}

/// The name of the state as it stands in JSON, such as "delivered".
///
/// Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_state_name(status: *const casehook_status) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { get(status, ptr::null(), |status| status.texts.state_name.as_ptr()) }
}

/// Whether nothing more will happen unless somebody asks for it: delivered, failed, superseded, cancelled.
///
/// Ownership: takes none. Threads: any. Errors: false for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_is_final(status: *const casehook_status) -> bool {
    // SAFETY: as the caller promises.
    unsafe { get(status, false, |status| status.whole.state.is_final()) }
}

/// How many exchanges failed so far in a way that counts, of all steps; waiting for a target that is away does not.
///
/// Ownership: takes none. Threads: any. Errors: 0 for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_attempts(status: *const casehook_status) -> u32 {
    // SAFETY: as the caller promises.
    unsafe { get(status, 0, |status| status.whole.attempts) }
}

/// When the push was accepted, in milliseconds since 1970-01-01T00:00:00Z.
///
/// Ownership: takes none. Threads: any. Errors: 0 for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_created_at(status: *const casehook_status) -> i64 {
    // SAFETY: as the caller promises.
    unsafe { get(status, 0, |status| status.whole.created_at.as_millis()) }
}

/// When the state last changed, in milliseconds since 1970-01-01T00:00:00Z.
///
/// Ownership: takes none. Threads: any. Errors: 0 for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_updated_at(status: *const casehook_status) -> i64 {
    // SAFETY: as the caller promises.
    unsafe { get(status, 0, |status| status.whole.updated_at.as_millis()) }
}

/// When the next exchange is due, in milliseconds since 1970-01-01T00:00:00Z; 0 unless queued or waiting.
///
/// Ownership: takes none. Threads: any. Errors: 0 for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_next_attempt_at(status: *const casehook_status) -> i64 {
    // SAFETY: as the caller promises.
    unsafe {
        get(status, 0, |status| {
            status.whole.next_attempt_at.map_or(0, |at| at.as_millis())
        })
    }
}

/// The incident's id at the target; NULL as long as none is known.
///
/// Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_external_id(status: *const casehook_status) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { get(status, ptr::null(), |status| lend(&status.texts.external_id)) }
}

/// The incident's title at the target; NULL as long as none is known.
///
/// Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_external_title(status: *const casehook_status) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { get(status, ptr::null(), |status| lend(&status.texts.external_title)) }
}

/// The link to the incident for people; NULL as long as none is known.
///
/// Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_external_url(status: *const casehook_status) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { get(status, ptr::null(), |status| lend(&status.texts.external_url)) }
}

/// Whether a request was sent again without knowing that the first had no effect.
///
/// Ownership: takes none. Threads: any. Errors: false for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_is_uncertain(status: *const casehook_status) -> bool {
    // SAFETY: as the caller promises.
    unsafe { get(status, false, |status| status.whole.uncertain) }
}

/// The push that took the place of this one; 0 when none did.
///
/// Ownership: takes none. Threads: any. Errors: 0 for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_superseded_by(status: *const casehook_status) -> i64 {
    // SAFETY: as the caller promises.
    unsafe {
        get(status, 0, |status| {
            status.whole.superseded_by.map_or(0, PushId::get)
        })
    }
}

/// A stable word for why the last exchange failed, such as "connectionRefused"; NULL once a later one succeeded.
///
/// Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_error_code(status: *const casehook_status) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { get(status, ptr::null(), |status| lend(&status.texts.error_code)) }
}

/// The class of that failure, such as "notSent"; NULL when there is none.
///
/// Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_error_kind(status: *const casehook_status) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { get(status, ptr::null(), |status| lend(&status.texts.error_kind)) }
}

/// What happened and what to do, for people; holds no secret; NULL when there is no failure.
///
/// Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_error_message(status: *const casehook_status) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { get(status, ptr::null(), |status| lend(&status.texts.error_message)) }
}

/// The step that failed, such as "create"; NULL when there is no failure.
///
/// Ownership: borrowed from the status, valid until it is freed. Threads: any. Errors: NULL for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_error_step(status: *const casehook_status) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { get(status, ptr::null(), |status| lend(&status.texts.error_step)) }
}

/// The status of the answer that was a failure; 0 when there was no answer or no failure.
///
/// Ownership: takes none. Threads: any. Errors: 0 for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_error_http_status(status: *const casehook_status) -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        get(status, 0, |status| {
            status
                .whole
                .error
                .as_ref()
                .and_then(|error| error.http_status)
                .map_or(0, i32::from)
        })
    }
}

/// Whether casehook tries again by itself after that failure.
///
/// Ownership: takes none. Threads: any. Errors: false for NULL.
///
/// # Safety
/// `status` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_status_error_is_retryable(status: *const casehook_status) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        get(status, false, |status| {
            status.whole.error.as_ref().is_some_and(|error| error.retryable)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_number_in_the_order_of_the_table() {
        for (place, state) in PushState::ALL.iter().enumerate() {
            assert_eq!(casehook_state::from(*state) as usize, place + 1, "{state}");
        }
    }
}
