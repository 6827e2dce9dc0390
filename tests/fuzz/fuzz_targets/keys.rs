//! See `casehook::fuzzing::keys`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| casehook::fuzzing::keys(data));
