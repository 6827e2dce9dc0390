//! See `casehook::fuzzing::database`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| casehook::fuzzing::database(data));
