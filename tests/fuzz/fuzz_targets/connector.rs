//! See `casehook::fuzzing::connector`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| casehook::fuzzing::connector(data));
