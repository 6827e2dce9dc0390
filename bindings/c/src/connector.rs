//! Connectors: how a target is reached.

use std::ffi::c_char;

use casehook_rs::{Case, Connector, ErrorKind, Warning};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::agent::{casehook_agent, giving_json, with};
use crate::error::casehook_error;
use crate::failure::Failure;
use crate::input::{self, text};
use crate::result::casehook_result;
use crate::signals;

/// A connector as it is shown: the document as stored, secrets left out.
#[derive(Serialize)]
struct Shown {
    name: Option<String>,
    config: Box<RawValue>,
    warnings: Vec<Warning>,
}

fn shown(connector: &Connector) -> Result<Shown, Failure> {
    let config = RawValue::from_string(connector.config_json())
        .map_err(|error| Failure::new(ErrorKind::Internal, error.to_string()))?;
    Ok(Shown {
        name: connector.name().map(str::to_owned),
        config,
        warnings: connector.warnings().to_vec(),
    })
}

/// Stores a connector under `name`, new or in place of the one there, and tries its target at once if it was blocked.
/// `config_json` is a connector document: {"config": {...}, "secrets": {...}}, an exported connector of Kibana, or a config
/// object alone. `secrets_json` is an object with the secrets where the document brings none; NULL keeps the stored ones as
/// long as the connector sends to the same origins. casehook_connector_json() shows the warnings.
///
/// Ownership: the texts are only read. Threads: any. Errors: CONFIG names the field, says what is wrong and what would be
/// right, and nothing is stored; KEY when there are secrets and the key that encrypts them cannot be had; STORE, BUSY.
///
/// # Safety
/// `agent` is NULL or live, the texts are strings or NULL, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_configure(
    agent: *const casehook_agent,
    name: *const c_char,
    config_json: *const c_char,
    secrets_json: *const c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        with(agent, err, |agent| {
            let (name, config) = (text!(name), text!(config_json));
            let secrets = input::optional_text(secrets_json, "secrets_json")?;
            agent.configure(name, &Connector::from_parts(config, secrets)?)?;
            Ok(())
        })
    }
}

/// One connector as JSON: {"name", "config", "warnings": [{"field", "message"}]}; secrets are left out.
///
/// Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: NOT_FOUND lists the names there
/// are; STORE.
///
/// # Safety
/// `agent` is NULL or live, `name` NULL or a string, `out_json` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_connector_json(
    agent: *const casehook_agent,
    name: *const c_char,
    out_json: *mut *mut c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        giving_json(agent, out_json, err, |agent| {
            shown(&agent.connector(text!(name))?)
        })
    }
}

/// Every connector by name, as a JSON array of what casehook_connector_json() gives.
///
/// Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: STORE.
///
/// # Safety
/// `agent` is NULL or live, `out_json` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_connectors_json(
    agent: *const casehook_agent,
    out_json: *mut *mut c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        giving_json(agent, out_json, err, |agent| {
            agent
                .connectors()?
                .iter()
                .map(shown)
                .collect::<Result<Vec<_>, _>>()
        })
    }
}

/// Forgets a connector and its secrets. Links between cases and incidents stay, for a connector that is configured under
/// the name later.
///
/// Ownership: the text is only read. Threads: any. Errors: STATE while it has undelivered pushes, NOT_FOUND, STORE, BUSY.
///
/// # Safety
/// `agent` is NULL or live, `name` NULL or a string, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_remove(
    agent: *const casehook_agent,
    name: *const c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe { with(agent, err, |agent| Ok(agent.remove(text!(name))?)) }
}

/// Forgets a connector and cancels what it has not delivered.
///
/// Ownership: the text is only read. Threads: any. Errors: STATE while a request of it is under way, NOT_FOUND, STORE, BUSY.
///
/// # Safety
/// `agent` is NULL or live, `name` NULL or a string, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_remove_cancelling(
    agent: *const casehook_agent,
    name: *const c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe { with(agent, err, |agent| Ok(agent.remove_cancelling(text!(name))?)) }
}

/// Stops delivering for a connector until casehook_resume(), across restarts. It accepts pushes meanwhile.
///
/// Ownership: the text is only read. Threads: any. Errors: NOT_FOUND, STORE, BUSY.
///
/// # Safety
/// `agent` is NULL or live, `name` NULL or a string, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_pause(
    agent: *const casehook_agent,
    name: *const c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe { with(agent, err, |agent| Ok(agent.pause(text!(name))?)) }
}

/// Delivers for a paused connector again.
///
/// Ownership: the text is only read. Threads: any. Errors: NOT_FOUND, STORE, BUSY.
///
/// # Safety
/// `agent` is NULL or live, `name` NULL or a string, `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_resume(
    agent: *const casehook_agent,
    name: *const c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe { with(agent, err, |agent| Ok(agent.resume(text!(name))?)) }
}

/// The requests that a push of this case would send now, in order, secrets masked, as a JSON array. `params_json` is as
/// for casehook_push_json(). Sends nothing and stores nothing.
///
/// Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: CASE, CONFIG, NOT_FOUND, KEY,
/// STORE.
///
/// # Safety
/// `agent` is NULL or live, the texts are strings or NULL, `out_json` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_preview_json(
    agent: *const casehook_agent,
    connector: *const c_char,
    params_json: *const c_char,
    out_json: *mut *mut c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        giving_json(agent, out_json, err, |agent| {
            let connector = text!(connector);
            let case = Case::from_json(text!(params_json))?;
            Ok(agent.preview(connector, &case)?)
        })
    }
}

/// Runs the steps of this case against the target, for real, outside the outbox: it opens or updates an incident there and
/// leaves nothing here. Where the connector has a look-up and the case an id, an incident that was opened is looked up in the
/// end. Gives a report of what was sent, answered and made of it, as JSON; "ok" tells whether every step succeeded. Blocks
/// for as long as the exchanges take.
///
/// Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: CASE, CONFIG, NOT_FOUND, KEY,
/// STORE; that a step failed is none.
///
/// # Safety
/// `agent` is NULL or live, the texts are strings or NULL, `out_json` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_test_json(
    agent: *const casehook_agent,
    connector: *const c_char,
    params_json: *const c_char,
    out_json: *mut *mut c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        giving_json(agent, out_json, err, |agent| {
            let connector = text!(connector);
            let case = Case::from_json(text!(params_json))?;
            signals::apart(|| Ok(agent.test(connector, &case)?))
        })
    }
}

/// Reads one incident back as the connector says and writes nothing, here or there: the harmless half of
/// casehook_test_json(), with the same report. `external_id` is the incident's id in the case system. Blocks for as long as
/// the exchange takes.
///
/// Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: ARGUMENT when the id is empty,
/// CONFIG, NOT_FOUND when there is no such connector, KEY, STORE; that the incident cannot be read is none.
///
/// # Safety
/// `agent` is NULL or live, the texts are strings or NULL, `out_json` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_test_get_json(
    agent: *const casehook_agent,
    connector: *const c_char,
    external_id: *const c_char,
    out_json: *mut *mut c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for.
    unsafe {
        giving_json(agent, out_json, err, |agent| {
            let (connector, external_id) = (text!(connector), text!(external_id));
            signals::apart(|| Ok(agent.test_get(connector, external_id)?))
        })
    }
}
