//! `python -m casehook`: the command line, on a thread of its own so that Python's signal handlers go on running.

use std::ffi::OsString;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use casehook::ErrorKind;
use pyo3::prelude::*;

use crate::calls::{Failure, call};

/// How often Python's signal handlers get their turn.
const SLICE: Duration = Duration::from_millis(50);

/// Asks a running command to stop.
#[pyclass(frozen, module = "casehook._native")]
pub(crate) struct StopFlag(casehook::cli::StopFlag);

#[pymethods]
impl StopFlag {
    #[new]
    fn new() -> StopFlag {
        StopFlag(casehook::cli::StopFlag::new())
    }

    /// Raises the flag for good.
    fn stop(&self) {
        self.0.stop();
    }
}

/// Runs one command; the first argument is the program's name, the result the exit code.
#[pyfunction]
pub(crate) fn run_cli(py: Python<'_>, arguments: Vec<OsString>, stop: &StopFlag) -> PyResult<i32> {
    let (done, result) = channel();
    let flag = stop.0.clone();
    let start = move || {
        std::thread::Builder::new()
            .name("casehook-cli".to_owned())
            .spawn(move || done.send(casehook::cli::run_with(arguments, &flag)))
            .map_err(|error| {
                Failure::new(
                    ErrorKind::Internal,
                    format!("no thread could be started: {error}"),
                )
            })
    };
    let thread = call(py, start)?;
    // The receiver is not shared, but what runs detached may be told from here only.
    let result = std::sync::Mutex::new(result);
    let mut raised = None;
    loop {
        let wait = || {
            let result = result.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            Ok(result.recv_timeout(SLICE))
        };
        match call(py, wait)? {
            Ok(code) => return raised.map_or(Ok(code), Err),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(error) = py.check_signals() {
                    stop.0.stop();
                    raised = Some(error);
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                let _ = thread.join();
                return Err(Failure::new(ErrorKind::Internal, "the command panicked").raise(py));
            }
        }
    }
}
