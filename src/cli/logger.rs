//! Log records on standard error, one line each.

use std::io::{self, Write};
use std::time::SystemTime;

use log::{LevelFilter, Log, Metadata, Record};

use super::out::escape;
use crate::Timestamp;

struct Stderr;

/// Starts logging at that level, unless the program around has a logger of its own.
pub(super) fn start(level: LevelFilter) {
    if level != LevelFilter::Off && log::set_logger(&Stderr).is_ok() {
        log::set_max_level(level);
    }
}

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("casehook")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let now = Timestamp::from(SystemTime::now());
            let text = escape(&record.args().to_string());
            // Nobody is left to tell when standard error is gone.
            let _ = writeln!(io::stderr(), "{now} {:5} {text}", record.level());
        }
    }

    fn flush(&self) {}
}
