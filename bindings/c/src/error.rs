//! `casehook_error`: why a call failed.

use std::ffi::{CString, c_char};
use std::ptr;

use casehook_rs::ErrorKind;

use crate::guard::plain;
use crate::output::c_text;
use crate::result::casehook_result;

/// Why a call failed. Made by a failing call that was given a place for it, freed by casehook_error_free().
pub struct casehook_error {
    kind: ErrorKind,
    name: CString,
    message: CString,
    field: Option<CString>,
}

/// A failure on its way to the caller.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: ErrorKind,
    field: Option<String>,
    message: String,
}

impl Failure {
    /// An argument that cannot be used; `field` is its name in the header.
    pub(crate) fn argument(field: &str, message: impl Into<String>) -> Failure {
        Failure::new(ErrorKind::Argument, message).at(field)
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            field: None,
            message: message.into(),
        }
    }

    pub(crate) fn at(mut self, field: impl Into<String>) -> Failure {
        self.field = Some(field.into());
        self
    }

    /// The same about a part of something larger: `cases[3]` before `incident.title`.
    pub(crate) fn within(self, outer: &str) -> Failure {
        let field = match &self.field {
            Some(inner) => format!("{outer}.{inner}"),
            None => outer.to_owned(),
        };
        self.at(field)
    }

    pub(crate) fn result(&self) -> casehook_result {
        self.kind.into()
    }
}

impl From<casehook_rs::Error> for Failure {
    fn from(error: casehook_rs::Error) -> Failure {
        Failure {
            kind: error.kind(),
            field: error.field().map(str::to_owned),
            message: error.message().to_owned(),
        }
    }
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
            // SAFETY: made by `Box::into_raw` in `guard`, and freed once, as the caller promises.
            drop(unsafe { Box::from_raw(error) });
        }
    });
}
