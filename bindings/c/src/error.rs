//! `casehook_error`: why a call failed.

use std::ffi::{CString, c_char};
use std::ptr;

use casehook_rs::ErrorKind;

use crate::failure::Failure;
use crate::guard::{fenced, plain};
use crate::result::casehook_result;
use crate::text::c_text;

/// Why a call failed. Made by a failing call that was given a place for it, freed by casehook_error_free().
pub struct casehook_error {
    kind: ErrorKind,
    name: CString,
    message: CString,
    field: Option<CString>,
}

impl From<Failure> for casehook_error {
    fn from(failure: Failure) -> casehook_error {
        let message = match &failure.field {
            Some(field) => format!("{field}: {}", failure.message),
            None => failure.message,
        };
        casehook_error {
            kind: failure.kind,
            name: c_text(failure.kind.name()),
            message: c_text(&message),
            field: failure.field.as_deref().map(c_text),
        }
    }
}

/// The result of the call that failed.
///
/// Ownership: takes none. Threads: any. Errors: CASEHOOK_OK for NULL.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_error_code(error: *const casehook_error) -> casehook_result {
    plain(casehook_result::CASEHOOK_OK, || {
        // SAFETY: NULL or live, as the caller promises.
        unsafe { error.as_ref() }.map_or(casehook_result::CASEHOOK_OK, |error| error.kind.into())
    })
}

/// The stable name of the error's code, such as "not_found".
///
/// Ownership: borrowed from the error, valid until it is freed. Threads: any. Errors: NULL for NULL.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_error_name(error: *const casehook_error) -> *const c_char {
    plain(ptr::null(), || {
        // SAFETY: NULL or live, as the caller promises.
        unsafe { error.as_ref() }.map_or(ptr::null(), |error| error.name.as_ptr())
    })
}

/// What is wrong and what would be right, for people; it names the field at fault and holds no secret.
///
/// Ownership: borrowed from the error, valid until it is freed. Threads: any. Errors: NULL for NULL.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_error_message(error: *const casehook_error) -> *const c_char {
    plain(ptr::null(), || {
        // SAFETY: NULL or live, as the caller promises.
        unsafe { error.as_ref() }.map_or(ptr::null(), |error| error.message.as_ptr())
    })
}

/// The argument or the path of the value at fault, such as "config.createIncidentUrl"; NULL where no single one is.
///
/// Ownership: borrowed from the error, valid until it is freed. Threads: any. Errors: NULL for NULL.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_error_field(error: *const casehook_error) -> *const c_char {
    plain(ptr::null(), || {
        // SAFETY: NULL or live, as the caller promises.
        let field = unsafe { error.as_ref() }.and_then(|error| error.field.as_ref());
        field.map_or(ptr::null(), |field| field.as_ptr())
    })
}

/// Whether the same call can succeed later without anything being changed.
///
/// Ownership: takes none. Threads: any. Errors: false for NULL.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_error_is_retryable(error: *const casehook_error) -> bool {
    plain(false, || {
        // SAFETY: NULL or live, as the caller promises.
        unsafe { error.as_ref() }.is_some_and(|error| error.kind.is_retryable())
    })
}

/// Frees an error; NULL is ignored.
///
/// Ownership: takes the error. Threads: any, once. Errors: none.
///
/// # Safety
/// `error` is NULL or an error that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_error_free(error: *mut casehook_error) {
    plain((), || {
        if !error.is_null() {
            // SAFETY: made by `Box::into_raw` in `told`, and freed once, as the caller promises.
            drop(unsafe { Box::from_raw(error) });
        }
    });
}

/// Runs a fallible export. A failure goes to `err` where there is one.
///
/// # Safety
/// `err` is NULL or can be written.
pub(crate) unsafe fn fallible(
    err: *mut *mut casehook_error,
    body: impl FnOnce() -> Result<(), Failure>,
) -> casehook_result {
    // SAFETY: as the caller promises.
    unsafe { fallible_or(err, &|| (), body) }
}

/// [`fallible`] that calls `panicked` after a panic.
///
/// # Safety
/// As [`fallible`].
pub(crate) unsafe fn fallible_or(
    err: *mut *mut casehook_error,
    panicked: &dyn Fn(),
    body: impl FnOnce() -> Result<(), Failure>,
) -> casehook_result {
    let mut body = Some(body);
    // SAFETY: as the caller promises.
    unsafe { told(err, panicked, &mut || body.take().map_or(Ok(()), |body| body())) }
}

/// What [`fallible_or`] does. Not generic, so that there is one of it and not one for each export.
///
/// # Safety
/// As [`fallible`].
unsafe fn told(
    err: *mut *mut casehook_error,
    panicked: &dyn Fn(),
    body: &mut dyn FnMut() -> Result<(), Failure>,
) -> casehook_result {
    let give = |error| {
        if !err.is_null() {
            // SAFETY: it can be written, as the caller promises.
            unsafe { err.write(error) };
        }
    };
    give(ptr::null_mut());
    let Err(failure) = fenced(body, panicked) else {
        return casehook_result::CASEHOOK_OK;
    };
    let result = failure.kind.into();
    if !err.is_null() {
        give(Box::into_raw(Box::new(failure.into())));
    }
    result
}
