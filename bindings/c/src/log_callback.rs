//! The log callback: records go through a bounded queue to a thread of their own, which holds no lock while it calls.
//!
//! The library logs while it holds locks of its own, and a callback may take its time or call casehook again; hence the
//! thread. A fork inherits the queue in whatever state it is in, so a child begins with a new one.

use std::collections::VecDeque;
use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, ThreadId};

use casehook_rs::ErrorKind;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::error::{casehook_error, fallible};
use crate::failure::Failure;
use crate::guard::plain;
use crate::result::casehook_result;
use crate::text::c_text;

/// How many records wait for the callback at most; later ones are counted and dropped.
const QUEUED: usize = 1024;

/// How grave a log message is, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum casehook_log_level {
    /// Something does not work and needs somebody's attention.
    CASEHOOK_LOG_ERROR = 1,
    /// Something failed and is tried again, or was refused by a target.
    CASEHOOK_LOG_WARN = 2,
    /// What happens now and then.
    CASEHOOK_LOG_INFO = 3,
    /// Every exchange.
    CASEHOOK_LOG_DEBUG = 4,
    /// More than anybody wants.
    CASEHOOK_LOG_TRACE = 5,
}

use casehook_log_level::*;

/// Takes a log message: the pointer given with the callback, the level, and the text, which is valid during the call only.
pub type casehook_log_callback =
    Option<unsafe extern "C" fn(user_data: *mut c_void, level: casehook_log_level, message: *const c_char)>;

/// Has `callback` called with every message up to `max_level` (CASEHOOK_LOG_ERROR to CASEHOOK_LOG_TRACE) of every agent in
/// this process, in place of the callback before; NULL for none. Messages hold no secrets.
///
/// The callback runs on a thread of casehook's, one call at a time, without any lock of casehook's: it may take its time and
/// may call casehook, this function included. It must not throw, and must not end its thread. Messages that come faster
/// than it takes them are dropped and counted. When this function returns, what was logged before has been handed to the
/// callback before, which is not running and will not be called again, so that its `user_data` may go; for that it waits
/// for the callback, so do not call it while holding a lock that the callback takes. Called from the callback itself it
/// cannot wait: the callback ends after that call. In a forked child there is no callback until the child sets one.
///
/// Ownership: `user_data` is handed through and never touched. Threads: any; the callback belongs to the process.
/// Errors: ARGUMENT when `max_level` is not a level, INTERNAL when no thread can be started.
///
/// # Safety
/// `callback` can be called from another thread with `user_data` until it is replaced; `err` can be written or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn casehook_set_log_callback(
    callback: casehook_log_callback,
    user_data: *mut c_void,
    max_level: i32,
    err: *mut *mut casehook_error,
) -> casehook_result {
    // SAFETY: `err` is as the caller promises.
    unsafe {
        fallible(err, || {
            let target = callback.map(|function| Target {
                function,
                user_data: UserData(user_data),
            });
            let level = match max_level {
                _ if target.is_none() => LevelFilter::Off,
                1 => LevelFilter::Error,
                2 => LevelFilter::Warn,
                3 => LevelFilter::Info,
                4 => LevelFilter::Debug,
                5 => LevelFilter::Trace,
                _ => {
                    let message =
                        format!("{max_level} is no level; use CASEHOOK_LOG_ERROR to CASEHOOK_LOG_TRACE");
                    return Err(Failure::argument("max_level", message));
                }
            };
            change(target, level)
        })
    }
}

/// The caller's pointer, handed through to the callback.
#[derive(Clone, Copy)]
struct UserData(*mut c_void);

// SAFETY: never dereferenced here; that it may be used from the callback's thread is the caller's promise.
unsafe impl Send for UserData {}

#[derive(Clone, Copy)]
struct Target {
    function: unsafe extern "C" fn(*mut c_void, casehook_log_level, *const c_char),
    user_data: UserData,
}

impl Target {
    fn call(&self, level: casehook_log_level, text: &CString) {
        // SAFETY: the function and its data are good until they are replaced, as the caller of the setter promised;
        // the text lives through the call.
        unsafe { (self.function)(self.user_data.0, level, text.as_ptr()) }
    }
}

/// The records of one process and who takes them.
struct Sink {
    pid: u32,
    state: Mutex<State>,
    /// Rung when there is something for the thread.
    work: Condvar,
    /// Held by a thread that changes the callback from outside it.
    changing: Mutex<()>,
}

#[derive(Default)]
struct State {
    target: Option<Target>,
    queue: VecDeque<(casehook_log_level, CString)>,
    dropped: u64,
    /// Counts the callbacks set; a thread ends when its own is not the last.
    turn: u64,
    thread: Option<JoinHandle<()>>,
    caller: Option<ThreadId>,
}

/// The sink of this process, never freed: a thread may log at any time.
static SINK: AtomicPtr<Sink> = AtomicPtr::new(ptr::null_mut());

struct Forward;

fn change(target: Option<Target>, level: LevelFilter) -> Result<(), Failure> {
    let sink = own_sink();
    let from_within = sink.lock().caller == Some(std::thread::current().id());
    let _one_at_a_time = match from_within {
        // Somebody outside may hold it and wait for this very call to end.
        true => None,
        false => Some(sink.changing.lock().unwrap_or_else(PoisonError::into_inner)),
    };
    log::set_max_level(LevelFilter::Off);
    let before = {
        let mut state = sink.lock();
        state.turn += 1;
        state.thread.take()
    };
    sink.work.notify_all();
    if let (Some(thread), false) = (before, from_within) {
        // A thread that panicked has nothing left to say.
        let _ = thread.join();
    }
    let mut state = sink.lock();
    state.target = target;
    state.queue.clear();
    state.dropped = 0;
    if target.is_none() {
        return Ok(());
    }
    let turn = state.turn;
    let started = std::thread::Builder::new()
        .name("casehook-log".to_owned())
        .spawn(move || plain((), || sink.run(turn)));
    match started {
        Ok(thread) => state.thread = Some(thread),
        Err(error) => {
            state.target = None;
            let message = format!("no thread could be started: {error}");
            return Err(Failure::new(ErrorKind::Internal, message));
        }
    }
    drop(state);
    // Fails when it was set before, by an earlier call.
    let _ = log::set_logger(&Forward);
    log::set_max_level(level);
    Ok(())
}

fn own_sink() -> &'static Sink {
    let pid = std::process::id();
    let old = SINK.load(Ordering::Acquire);
    // SAFETY: NULL or a sink, and sinks are never freed.
    if let Some(sink) = unsafe { old.as_ref() }.filter(|sink| sink.pid == pid) {
        return sink;
    }
    let new = Box::into_raw(Box::new(Sink {
        pid,
        state: Mutex::default(),
        work: Condvar::new(),
        changing: Mutex::new(()),
    }));
    let sink = match SINK.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => new,
        Err(other) => {
            // SAFETY: nobody else has seen it.
            drop(unsafe { Box::from_raw(new) });
            other
        }
    };
    // SAFETY: not NULL, and sinks are never freed.
    unsafe { &*sink }
}

impl Sink {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands records to the callback of that turn until there is a later one and the queue is empty.
    fn run(&self, turn: u64) {
        let me = std::thread::current().id();
        let mut state = self.lock();
        loop {
            let Some(target) = state.target else { return };
            let record = match state.queue.pop_front() {
                Some(record) => record,
                None if state.turn != turn => return,
                None if state.dropped > 0 => {
                    let text = format!("{} log messages came too fast and were dropped", state.dropped);
                    state.dropped = 0;
                    (CASEHOOK_LOG_WARN, c_text(&text))
                }
                None => {
                    state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
            };
            state.caller = Some(me);
            drop(state);
            target.call(record.0, &record.1);
            state = self.lock();
            // The call itself may have set another callback, whose thread has begun.
            if state.caller == Some(me) {
                state.caller = None;
            }
            if state.turn != turn
                && state
                    .thread
                    .as_ref()
                    .is_some_and(|thread| thread.thread().id() != me)
            {
                return;
            }
        }
    }
}

impl Log for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What dependencies log may hold what casehook would mask.
        metadata.target().starts_with("casehook")
    }

    fn log(&self, record: &Record<'_>) {
        // SAFETY: NULL or a sink, and sinks are never freed.
        let sink = unsafe { SINK.load(Ordering::Acquire).as_ref() };
        let Some(sink) =
            sink.filter(|sink| sink.pid == std::process::id() && self.enabled(record.metadata()))
        else {
            return;
        };
        let level = match record.level() {
            Level::Error => CASEHOOK_LOG_ERROR,
            Level::Warn => CASEHOOK_LOG_WARN,
            Level::Info => CASEHOOK_LOG_INFO,
            Level::Debug => CASEHOOK_LOG_DEBUG,
            Level::Trace => CASEHOOK_LOG_TRACE,
        };
        let text = c_text(&record.args().to_string());
        let mut state = sink.lock();
        if state.target.is_none() {
            return;
        }
        if state.queue.len() >= QUEUED {
            state.dropped += 1;
            return;
        }
        state.queue.push_back((level, text));
        drop(state);
        sink.work.notify_one();
    }

    fn flush(&self) {}
}
