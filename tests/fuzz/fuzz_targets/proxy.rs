//! See `casehook::fuzzing::proxy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| casehook::fuzzing::proxy(data));
