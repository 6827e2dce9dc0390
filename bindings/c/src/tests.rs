//! The panic guard, from inside: outside nobody can cause a panic.

use std::ffi::CStr;
use std::ptr;

use crate::agent::{casehook_agent, casehook_agent_free, casehook_close, casehook_open, with};
use crate::error::{
    casehook_error, casehook_error_code, casehook_error_free, casehook_error_message, fallible,
};
use crate::guard::plain;
use crate::outbox::casehook_stats_json;
use crate::result::casehook_result::{self, *};

fn open(folder: &tempfile::TempDir) -> *mut casehook_agent {
    let path = format!("{}\0", folder.path().join("a.db").display());
    let mut agent = ptr::null_mut();
    // SAFETY: a NUL-terminated path and places of our own.
    let result = unsafe { casehook_open(path.as_ptr().cast(), ptr::null(), &mut agent, ptr::null_mut()) };
    assert_eq!(result, CASEHOOK_OK);
    agent
}

/// Takes the error apart: its code and its text.
fn taken(err: *mut casehook_error) -> (casehook_result, String) {
    // SAFETY: an error that a call just gave, freed here.
    unsafe {
        let text = CStr::from_ptr(casehook_error_message(err))
            .to_str()
            .unwrap()
            .to_owned();
        let code = casehook_error_code(err);
        casehook_error_free(err);
        (code, text)
    }
}

#[test]
fn a_panic_becomes_an_error_and_poisons_the_agent() {
    let folder = tempfile::tempdir().unwrap();
    let agent = open(&folder);
    let mut err = ptr::null_mut();
    // SAFETY: a live agent and a place of our own.
    let result = unsafe { with(agent, &mut err, |_| panic!("place {}", 7)) };
    assert_eq!(result, CASEHOOK_ERROR_INTERNAL);
    let (code, text) = taken(err);
    assert_eq!(code, CASEHOOK_ERROR_INTERNAL);
    assert!(text.contains("place 7"), "{text}");

    let mut json = ptr::null_mut();
    // SAFETY: a live agent and places of our own.
    let result = unsafe { casehook_stats_json(agent, &mut json, &mut err) };
    assert_eq!(result, CASEHOOK_ERROR_INTERNAL);
    assert!(json.is_null());
    assert!(taken(err).1.contains("open the database again"));
    // SAFETY: a live agent, freed here; a place of our own.
    unsafe {
        assert_eq!(casehook_close(agent, 0, ptr::null_mut()), CASEHOOK_ERROR_INTERNAL);
        casehook_agent_free(agent);
    }

    let again = open(&folder);
    // SAFETY: a live agent, freed here.
    unsafe {
        assert_eq!(casehook_close(again, 1000, ptr::null_mut()), CASEHOOK_OK);
        casehook_agent_free(again);
    }
}

#[test]
fn a_panic_in_a_getter_gives_its_neutral_answer() {
    assert_eq!(plain(7, || panic!("a getter")), 7);
}

#[test]
fn a_panic_whose_payload_panics_is_caught_too() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    // SAFETY: NULL is fine for both.
    let result = unsafe { fallible(ptr::null_mut(), || std::panic::panic_any(Bad)) };
    assert_eq!(result, CASEHOOK_ERROR_INTERNAL);
}
