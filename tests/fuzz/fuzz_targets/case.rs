//! See `casehook::fuzzing::case`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| casehook::fuzzing::case(data));
