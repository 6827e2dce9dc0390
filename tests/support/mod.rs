//! What the integration tests share: servers on loopback, written by hand so that every byte is theirs to choose.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

pub mod case_system;
pub mod http;
pub mod listener;
pub mod scripted;
pub mod tls;

use std::path::PathBuf;

/// A directory that goes away with the value. In memory where the machine has such a place: no test here is about
/// the disk, and thousands of flushes would be most of the running time.
pub fn temp_dir() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    tempfile::Builder::new()
        .prefix("casehook-")
        .tempdir_in(memory)
        .or_else(|_| tempfile::tempdir())
        .expect("no place for temporary files")
}
