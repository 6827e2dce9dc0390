//! The `casehook` command: signals in, exit code out; everything else is [`casehook::cli`].

use std::process::exit;
use std::thread;

use casehook::cli::{StopFlag, run_with};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

fn main() {
    let stop = StopFlag::new();
    watch_signals(&stop);
    exit(run_with(std::env::args_os(), &stop));
}

/// The first signal asks for a graceful stop, a second one ends the process as that signal would.
fn watch_signals(stop: &StopFlag) {
    // Without handlers the signals keep their default effect, which is safe too: every step is committed.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else {
        return;
    };
    let stop = stop.clone();
    thread::spawn(move || {
        for signal in signals.forever() {
            if stop.is_stopped() {
                exit(128 + signal);
            }
            stop.stop();
        }
    });
}
