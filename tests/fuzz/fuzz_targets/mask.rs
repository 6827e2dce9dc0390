//! See `casehook::fuzzing::mask`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| casehook::fuzzing::mask(data));
