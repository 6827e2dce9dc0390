//! How a call gets from the interpreter into the library and back: detached, fenced against panics, counted.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use casehook::ErrorKind;
use pyo3::prelude::*;

/// How often a waiting call lets Python's signal handlers run.
pub(crate) const SLICE: Duration = Duration::from_millis(100);

/// Why a call failed, on its way to a Python exception.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) field: Option<String>,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            message: message.into(),
            field: None,
        }
    }

    fn panicked(panic: &(dyn Any + Send)) -> Failure {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("it left no message");
        Failure::new(ErrorKind::Internal, format!("casehook panicked: {text}"))
    }

    /// The exception; the package's own code makes it, so that its classes are ordinary Python.
    pub(crate) fn raise(&self, py: Python<'_>) -> PyErr {
        let arguments = (
            self.kind.number(),
            self.kind.name(),
            &self.message,
            self.field.as_deref(),
            self.kind.is_retryable(),
        );
        py.import("casehook._errors")
            .and_then(|errors| errors.call_method1("make", arguments))
            .map_or_else(|error| error, PyErr::from_value)
    }
}

impl From<casehook::Error> for Failure {
    fn from(error: casehook::Error) -> Failure {
        Failure {
            kind: error.kind(),
            message: error.message().to_owned(),
            field: error.field().map(str::to_owned),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        Failure::new(
            ErrorKind::Internal,
            format!("a result cannot be written: {error}"),
        )
    }
}

/// Calls that are detached from the interpreter at the moment.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);
/// Set when the interpreter exits: a call that detached then could come back to an interpreter that is gone.
static EXITING: AtomicBool = AtomicBool::new(false);

/// Counts a call until it is attached again.
struct UnderWay;

impl UnderWay {
    fn begin() -> UnderWay {
        UNDER_WAY.fetch_add(1, Ordering::SeqCst);
        UnderWay
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // A fork sets the count back; a call cannot go on in the child, but saturating costs nothing.
        let _ = UNDER_WAY.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
    }
}

/// Runs what may block, detached from the interpreter. A panic becomes an internal error.
pub(crate) fn detached<T, F>(py: Python<'_>, call: F) -> Result<T, Failure>
where
    T: Send,
    F: Send + FnOnce() -> Result<T, Failure>,
{
    if is_exiting() {
        return Err(Failure::new(ErrorKind::Closed, "the interpreter is exiting"));
    }
    detached_at_exit(py, call)
}

/// Whether the interpreter exits, and only closing is left.
pub(crate) fn is_exiting() -> bool {
    EXITING.load(Ordering::SeqCst)
}

/// The same, also while the interpreter exits: for closing.
pub(crate) fn detached_at_exit<T, F>(py: Python<'_>, call: F) -> Result<T, Failure>
where
    T: Send,
    F: Send + FnOnce() -> Result<T, Failure>,
{
    let _under_way = UnderWay::begin();
    py.detach(|| fenced(call))
}

fn fenced<T>(call: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(Failure::panicked(&*panic)))
}

/// The same, with the failure as an exception.
pub(crate) fn call<T, F>(py: Python<'_>, call: F) -> PyResult<T>
where
    T: Send,
    F: Send + FnOnce() -> Result<T, Failure>,
{
    detached(py, call).map_err(|failure| failure.raise(py))
}

/// Runs what may take as long as a target does on a thread of its own, so that signals are handled meanwhile. A handler
/// that raises ends the call, not what was begun.
pub(crate) fn interruptible<T, F>(py: Python<'_>, call: F) -> PyResult<T>
where
    T: Send + 'static,
    F: Send + Sync + 'static + Fn() -> Result<T, Failure>,
{
    let raise = |failure: Failure| failure.raise(py);
    let (done, result) = channel();
    let call = Arc::new(call);
    let begun = Arc::clone(&call);
    let run = move || {
        // Nobody is there to be told once a signal has ended the call.
        let _ = done.send(fenced(|| begun()));
    };
    let thread = std::thread::Builder::new().name("casehook-call".to_owned());
    if thread.spawn(run).is_err() {
        // A machine that is short of threads can do without the signals.
        return detached(py, || call()).map_err(raise);
    }
    // The receiver is not shared, but what runs detached may be told from here only.
    let result = Mutex::new(result);
    loop {
        let wait = || {
            let result = result.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(result.recv_timeout(SLICE))
        };
        match detached(py, wait).map_err(raise)? {
            Ok(done) => return done.map_err(raise),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(raise(Failure::new(
                    ErrorKind::Internal,
                    "a thread ended without a word",
                )));
            }
        }
    }
}

/// From now on calls are refused, but for closing.
#[pyfunction]
pub(crate) fn begin_exit() {
    EXITING.store(true, Ordering::SeqCst);
}

/// Waits until no thread is inside a call; whether that is so. A thread that came back to an interpreter that is gone
/// would be ended inside Rust code, which aborts the process.
#[pyfunction]
pub(crate) fn await_calls(py: Python<'_>, seconds: f64) -> bool {
    let deadline = Instant::now() + Duration::from_secs_f64(seconds.clamp(0.0, 3600.0));
    loop {
        if UNDER_WAY.load(Ordering::SeqCst) == 0 {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        py.detach(|| std::thread::sleep(Duration::from_millis(1)));
    }
}

/// To be called by the thread that is about to fork: waits until no thread is where it must not be forked from.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    py.detach(casehook::fork::before);
}

/// To be called by the same thread in the parent, also when the fork failed.
#[pyfunction]
pub(crate) fn after_fork_in_parent() {
    casehook::fork::after_in_parent();
}

/// To be called in the child: the threads that were inside a call are not there.
#[pyfunction]
pub(crate) fn after_fork_in_child() {
    casehook::fork::after_in_child();
    UNDER_WAY.store(0, Ordering::SeqCst);
    EXITING.store(false, Ordering::SeqCst);
}

/// Panics inside the fence, to show what comes of it.
#[pyfunction]
pub(crate) fn panic_now(py: Python<'_>) -> PyResult<()> {
    call(py, || std::panic::panic_any("on purpose".to_owned()))
}
