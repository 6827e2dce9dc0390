//! Strings as C has them, and those that the caller owns.

use std::ffi::{CString, c_char};

use crate::guard::plain;

/// Frees a string that a casehook function gave out as the caller's own; NULL is ignored.
///
/// Ownership: takes the string. Threads: any, once. Errors: none.
///
/// # Safety
/// `string` is NULL or a string that a `casehook_*_json` function gave out and that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_string_free(string: *mut c_char) {
    plain((), || {
        if !string.is_null() {
            // SAFETY: made by `CString::into_raw` in `output`, and freed once, as the caller promises.
            drop(unsafe { CString::from_raw(string) });
        }
    });
}

/// The text as C has it. A NUL within becomes U+FFFD: whatever a target sends must not end a string early.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default())
}
