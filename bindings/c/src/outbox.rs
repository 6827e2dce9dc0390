//! What is in the outbox as a whole: lists, counts, links, copies.

use std::ffi::c_char;

use casehook_rs::{ErrorKind, Filter, PushId, PushState};
use serde::Deserialize;

use crate::agent::{casehook_agent, giving, giving_json, with};
use crate::error::casehook_error;
use crate::failure::Failure;
use crate::input::{self, text};
use crate::result::casehook_result;
use crate::text::c_text;

/// Pushes, newest first, as a JSON array of what casehook_status_json() gives. `filter_json` is NULL for all, or an object
/// whose parts must all hold: {"state"?, "connector"?, "caseId"?, "before"?: only those of a lower number, the last one of
/// the page before; "limit"?: 100 when not given}.
///
/// Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: ARGUMENT when the filter is not
/// one, STORE.
///
/// # Safety
/// `agent` is NULL or live, `filter_json` NULL or a string, `out_json` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_list_json(
    agent: *const casehook_agent,
    filter_json: *const c_char,
    out_json: *mut *mut c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        giving_json(agent, out_json, err, |agent| {
            let filter = match input::optional_text(filter_json, "filter_json")? {
                Some(json) => filter(json)?,
                None => Filter::new(),
            };
            Ok(agent.pushes(&filter)?)
        })
    }
}

/// What happened to a push so far, oldest first, as a JSON array: one entry for each exchange, secrets masked.
///
/// Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: STORE; a push that is not there
/// has had no exchange.
///
/// # Safety
/// `agent` is NULL or live, `out_json` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_attempts_json(
    agent: *const casehook_agent,
    id: i64,
    out_json: *mut *mut c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        giving_json(
            agent,
            out_json,
            err,
            |agent| Ok(agent.attempts(PushId::from(id))?),
        )
    }
}

/// Counts and health by connector in the text format of Prometheus (0.0.4), for a program's own /metrics. The counters are
/// kept in the database, and so say the same in every process and after a restart.
///
/// Ownership: *out_text is the caller's, for casehook_string_free(). Threads: any. Errors: STORE.
///
/// # Safety
/// `agent` is NULL or live, `out_text` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_metrics_text(
    agent: *const casehook_agent,
    out_text: *mut *mut c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        giving(agent, (out_text, "out_text"), err, |agent| {
            Ok(c_text(&agent.metrics_text()?).into_raw())
        })
    }
}

/// Counts and health by connector, and who delivers, as JSON.
///
/// Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: STORE.
///
/// # Safety
/// `agent` is NULL or live, `out_json` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_stats_json(
    agent: *const casehook_agent,
    out_json: *mut *mut c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe { giving_json(agent, out_json, err, |agent| Ok(agent.stats()?)) }
}

/// The incident that a case is linked to at the connector's present target, as JSON; "null" when there is none.
///
/// Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: NOT_FOUND when there is no such
/// connector, STORE.
///
/// # Safety
/// `agent` is NULL or live, the texts are strings or NULL, `out_json` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_link_json(
    agent: *const casehook_agent,
    connector: *const c_char,
    case_id: *const c_char,
    out_json: *mut *mut c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        giving_json(agent, out_json, err, |agent| {
            Ok(agent.link(text!(connector), text!(case_id))?)
        })
    }
}

/// Writes a consistent copy of the database to a new file, while everything goes on. The key file is no part of it.
///
/// Ownership: the text is only read. Threads: any. Errors: ARGUMENT when the file is there already, STORE when
/// it cannot be written.
///
/// # Safety
/// `agent` is NULL or live, `path` NULL or a string, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_backup(
    agent: *const casehook_agent,
    path: *const c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe { with(agent, err, |agent| Ok(agent.backup(text!(path))?)) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parts {
    state: Option<String>,
    connector: Option<String>,
    case_id: Option<String>,
    before: Option<i64>,
    limit: Option<usize>,
}

fn filter(json: &str) -> Result<Filter, Failure> {
    let parts: Parts = serde_json::from_str(json)
        .map_err(|error| Failure::new(ErrorKind::Argument, error.to_string()).at("filter_json"))?;
    let mut filter = Filter::new();
    if let Some(name) = parts.state {
        let state = PushState::from_name(&name).ok_or_else(|| {
            let names: Vec<&str> = PushState::ALL.iter().map(|state| state.as_str()).collect();
            let message = format!("{name:?} is no state; there are: {}", names.join(", "));
            Failure::argument("filter_json.state", message)
        })?;
        filter = filter.state(state);
    }
    filter.connector = parts.connector;
    filter.case_id = parts.case_id;
    filter.before = parts.before.map(PushId::from);
    filter.limit = parts.limit;
    Ok(filter)
}

/// Seals every stored secret with another key, all of them or none: with this one (`length` 32), or with a new random one
/// in the key file when `key` is NULL and `length` 0. Store a key of your own safely before: it alone opens the secrets
/// afterwards, and casehook_options_set_key() needs it from then on. Deliveries go on meanwhile. Backups made before need
/// the key of their time. Other processes with the key file follow; those that were given the old key get KEY errors where
/// they read secrets anew.
///
/// Ownership: the key is copied, and the copy wiped when no longer needed. Threads: any. Errors: KEY when the present key is
/// missing or wrong or a stored secret is damaged, ARGUMENT for a wrong length, and for NULL when the present key is not
/// from the key file; nothing is changed then.
///
/// # Safety
/// `agent` is NULL or live, `key` NULL or `length` bytes, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_rekey(
    agent: *const casehook_agent,
    key: *const u8,
    length: usize,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        with(agent, err, |agent| {
            let key = match (key.is_null(), length) {
                (true, 0) => None,
                (true, _) => return Err(Failure::null("key")),
                (false, _) => Some(input::key(key, length)?),
            };
            Ok(agent.rekey(key)?)
        })
    }
}
