//! See `casehook::fuzzing::token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| casehook::fuzzing::token(data));
