//! Presets: connector documents for well-known case systems.

use std::ffi::c_char;

use casehook_rs::ErrorKind;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::{casehook_error, fallible};
use crate::failure::Failure;
use crate::input;
use crate::output::{Out, json};
use crate::result::casehook_result;

/// The presets there are, as a JSON array: {"name", "title", "parameters": [{"name", "meaning", "example", "default",
/// "optional", "secret", "choices", "form"}], "notes", "unconfirmed", "sources": [{"fact", "url"}]}. A parameter without a
/// default that is neither optional nor secret is required.
///
/// Ownership: *out_json is the caller's, for casehook_string_free(). Threads: any. Errors: ARGUMENT.
///
/// # Safety
/// `out_json` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_presets_json(
    out_json: *mut *mut c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for, and there is no agent to mark.
    unsafe {
        fallible(err, || {
            let out = Out::new(out_json, "out_json")?;
            out.set(json(&casehook_rs::presets())?);
            Ok(())
        })
    }
}

/// A connector document for one installation of a well-known system, for casehook_configure(). `params_json` is a JSON
/// object of the preset's parameters, each a string or a number; NULL stands for none. Without the credentials the document
/// has no secrets.
///
/// Ownership: the texts are only read; *out_json is the caller's, for casehook_string_free(). Threads: any. Errors:
/// NOT_FOUND lists the presets; ARGUMENT names a parameter that is missing, not known or cannot be used, and lists those
/// that there are.
///
/// # Safety
/// `name` is a string or NULL, `params_json` a string or NULL, `out_json` and `err` can be written or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_preset_json(
    name: *const c_char,
    params_json: *const c_char,
    out_json: *mut *mut c_char,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: the pointers are as the caller promises; NULL is checked for, and there is no agent to mark.
    unsafe {
        fallible(err, || {
            let out = Out::new(out_json, "out_json")?;
            let name = input::text!(name);
            let params = params(input::optional_text(params_json, "params_json")?.unwrap_or("{}"))?;
            let params: Vec<(&str, &str)> = params
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            let document = RawValue::from_string(casehook_rs::preset(name, &params)?)
                .map_err(|error| Failure::new(ErrorKind::Internal, error.to_string()))?;
            out.set(json(&document)?);
            Ok(())
        })
    }
}

/// The parameters as texts; errors quote no value, which may be a credential.
fn params(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let map: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
        let message = format!("this must be a JSON object (line {})", error.line());
        Failure::argument("params_json", message)
    })?;
    let pairs = map.into_iter().map(|(name, value)| match value {
        Value::String(text) => Ok((name, text)),
        Value::Number(number) => Ok((name, number.to_string())),
        _ => {
            let shown: String = name.chars().take(60).collect();
            Err(Failure::argument(&shown, "this must be a string or a number"))
        }
    });
    pairs.collect()
}
