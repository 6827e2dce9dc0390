//! The version of the library.

use std::ffi::{CStr, c_char};

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("a version holds no NUL"),
};

/// The version of the library that is loaded, such as "0.1.0"; CASEHOOK_VERSION is that of the header.
///
/// Ownership: borrowed, valid for ever. Threads: any, also in a forked child. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn casehook_version() -> *const c_char {
    VERSION.as_ptr()
}
