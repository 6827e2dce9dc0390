//! The C interface: calls with arguments that the bytes choose, in an order that they choose; see
//! `bindings/c/tests/random_calls.c`.
#![no_main]

// For its symbols.
use casehook_c_fuzz as _;

use std::ffi::{CString, c_char};
use std::os::unix::ffi::OsStrExt;

unsafe extern "C" {
    fn casehook_random_calls(db: *const c_char, connector: *const c_char, bytes: *const u8, count: usize);
}

/// Nothing listens there.
const CONNECTOR: &str = r#"{"config": {
    "createIncidentUrl": "http://127.0.0.1:9/issues", "createIncidentResponseKey": "id",
    "createIncidentJson": "{\"title\": {{{case.title}}}, \"text\": {{{case.description}}}}",
    "getIncidentUrl": "http://127.0.0.1:9/issues/{{{external.system.id}}}",
    "getIncidentResponseExternalTitleKey": "title",
    "viewIncidentUrl": "http://127.0.0.1:9/issues/{{{external.system.id}}}",
    "updateIncidentUrl": "http://127.0.0.1:9/issues/{{{external.system.id}}}",
    "updateIncidentJson": "{\"title\": {{{case.title}}}, \"text\": {{{case.description}}}}",
    "hasAuth": false}}"#;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let db = CString::new(folder.path().join("c.db").as_os_str().as_bytes()).expect("no NUL");
    let connector = CString::new(CONNECTOR).expect("no NUL");
    // SAFETY: the function is that of random_calls.c, with these parameters; it keeps none of them, and libFuzzer calls
    // from one thread.
    unsafe { casehook_random_calls(db.as_ptr(), connector.as_ptr(), bytes.as_ptr(), bytes.len()) }
});
