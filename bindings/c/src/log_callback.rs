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

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::error::{casehook_error, fallible};
use crate::failure::Failure;
use crate::guard::plain;
use crate::result::casehook_result;
use crate::signals;
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
/// than it takes them are dropped, and a message says how many. When this function returns, what was logged before has been
/// handed to the callback before, which is not running and will not be called again, so that its `user_data` may go; for
/// that it waits for the callback, so do not call it while holding a lock that the callback takes. Called from the callback
/// itself it cannot wait: the callback ends after that call, and the next one goes on with what was not handed out yet. If
/// another thread is waiting in this function then, its callback is the one that stays. In a forked child there is no
/// callback until the child sets one.
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
            let level = match max_level {
                _ if callback.is_none() => LevelFilter::Off,
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
            change(callback.map(|function| Target {
                function,
                user_data: UserData(user_data),
                level,
            }))
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
    level: LevelFilter,
}

impl Target {
    fn call(&self, level: casehook_log_level, text: &CString) {
        // SAFETY: the function and its data are good until they are replaced, as the caller of the setter promised;
        // the text lives through the call.
        unsafe { (self.function)(self.user_data.0, level, text.as_ptr()) }
    }

    fn takes(&self, level: casehook_log_level) -> bool {
        level as usize <= self.level as usize
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
    /// The one thread that calls callbacks; taken by whoever waits for its end.
    thread: Option<JoinHandle<()>>,
    /// Somebody outside the callback waits for the thread, which ends when the queue is empty.
    ending: bool,
    /// The thread, while it is inside the callback.
    caller: Option<ThreadId>,
}

/// The sink of this process, never freed: a thread may log at any time.
static SINK: AtomicPtr<Sink> = AtomicPtr::new(ptr::null_mut());

struct Forward;

fn change(target: Option<Target>) -> Result<(), Failure> {
    let sink = own_sink();
    let mut state = sink.lock();
    if state.caller == Some(std::thread::current().id()) {
        state.hand_over(target);
        return Ok(());
    }
    drop(state);
    let _one_at_a_time = sink.changing.lock().unwrap_or_else(PoisonError::into_inner);
    sink.end_thread();
    let mut state = sink.lock();
    state.target = target;
    if target.is_none() {
        return Ok(());
    }
    // Fails when it was set before, by an earlier call.
    let _ = log::set_logger(&Forward);
    let thread = signals::spawn("casehook-log", || plain((), || sink.run()));
    state.thread = Some(thread.inspect_err(|_| state.target = None)?);
    state.announce();
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

    /// Has what was logged handed to the callback, and waits until its thread is gone and the queue is empty.
    fn end_thread(&self) {
        let mut state = self.lock();
        state.ending = true;
        state.announce();
        let thread = state.thread.take();
        drop(state);
        self.work.notify_all();
        if let Some(thread) = thread {
            // A thread that panicked has nothing left to say.
            let _ = thread.join();
        }
        let mut state = self.lock();
        state.ending = false;
        state.caller = None;
        state.queue.clear();
        state.dropped = 0;
    }

    /// Hands records to the callback until there is none, or somebody waits for the end and the queue is empty.
    fn run(&self) {
        let mut state = self.lock();
        while let Some(target) = state.target {
            let Some((level, text)) = state.next(target) else {
                if state.ending {
                    return;
                }
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.caller = Some(std::thread::current().id());
            drop(state);
            target.call(level, &text);
            state = self.lock();
            state.caller = None;
        }
        // The callback took itself away: nobody waits for this thread but one who has its handle already.
        state.thread = None;
    }
}

impl State {
    /// Another callback, set by the one that is being called: the same thread goes on with it, after that call.
    fn hand_over(&mut self, target: Option<Target>) {
        self.target = target;
        self.queue
            .retain(|(level, _)| target.is_some_and(|target| target.takes(*level)));
        self.announce();
    }

    /// Tells the library what to log. While somebody waits for the thread, nothing: it would never be done.
    fn announce(&self) {
        let target = self.target.filter(|_| !self.ending);
        log::set_max_level(target.map_or(LevelFilter::Off, |target| target.level));
    }

    fn next(&mut self, target: Target) -> Option<(casehook_log_level, CString)> {
        if let Some(record) = self.queue.pop_front() {
            return Some(record);
        }
        let dropped = std::mem::take(&mut self.dropped);
        let text = c_text(&format!("{dropped} log messages came too fast and were dropped"));
        let level = match target.takes(CASEHOOK_LOG_WARN) {
            true => CASEHOOK_LOG_WARN,
            false => CASEHOOK_LOG_ERROR,
        };
        (dropped > 0).then_some((level, text))
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize};
    use std::time::{Duration, Instant};

    use super::*;

    #[derive(Default)]
    struct Seen {
        calls: AtomicUsize,
        released: AtomicBool,
        /// The callback that the first one sets while it is being replaced.
        later: Mutex<Vec<String>>,
        inside: AtomicBool,
        returned: AtomicBool,
        reports: Mutex<Vec<(casehook_log_level, String)>>,
    }

    fn set(callback: casehook_log_callback, seen: &Seen, level: casehook_log_level) {
        let data = ptr::from_ref(seen).cast_mut().cast();
        // SAFETY: `seen` outlives the callback, which every test takes away again.
        let result = unsafe { casehook_set_log_callback(callback, data, level as i32, ptr::null_mut()) };
        assert_eq!(result, casehook_result::CASEHOOK_OK);
    }

    fn wait_until(what: &str, met: impl Fn() -> bool) {
        let started = Instant::now();
        while !met() {
            assert!(started.elapsed() < Duration::from_secs(60), "never: {what}");
            std::thread::yield_now();
        }
    }

    fn being_replaced() -> bool {
        own_sink().lock().thread.is_none()
    }

    unsafe fn seen<'a>(user_data: *mut c_void) -> &'a Seen {
        // SAFETY: what `set` handed in, alive until the callback is taken away.
        unsafe { &*user_data.cast::<Seen>() }
    }

    /// Sets another callback while somebody outside waits for this one to end.
    unsafe extern "C" fn sets_another(user_data: *mut c_void, _: casehook_log_level, _: *const c_char) {
        // SAFETY: as `set` handed it in.
        let seen = unsafe { seen(user_data) };
        seen.calls.fetch_add(1, Ordering::SeqCst);
        wait_until("the other thread waits", being_replaced);
        set(Some(another), seen, CASEHOOK_LOG_INFO);
        log::error!(target: "casehook", "for the other callback");
        seen.released.store(true, Ordering::SeqCst);
    }

    /// Is inside until the setter has returned, should it ever while this runs.
    unsafe extern "C" fn another(user_data: *mut c_void, _: casehook_log_level, text: *const c_char) {
        // SAFETY: as `set` handed it in; a string of casehook's own.
        let (seen, text) = unsafe { (seen(user_data), std::ffi::CStr::from_ptr(text)) };
        seen.inside.store(true, Ordering::SeqCst);
        seen.later
            .lock()
            .unwrap()
            .push(text.to_string_lossy().into_owned());
        let until = Instant::now() + Duration::from_millis(200);
        while !seen.returned.load(Ordering::SeqCst) && Instant::now() < until {
            std::thread::yield_now();
        }
        seen.inside.store(false, Ordering::SeqCst);
    }

    /// Holds its first call until it is being replaced; notes every report of losses.
    unsafe extern "C" fn slow(user_data: *mut c_void, level: casehook_log_level, text: *const c_char) {
        // SAFETY: as `set` handed it in; a string of casehook's own.
        let (seen, text) = unsafe { (seen(user_data), std::ffi::CStr::from_ptr(text)) };
        if seen.calls.fetch_add(1, Ordering::SeqCst) == 0 {
            wait_until("all is logged", || seen.released.load(Ordering::SeqCst));
            wait_until("the other thread waits", being_replaced);
        }
        let text = text.to_string_lossy().into_owned();
        if text.ends_with("were dropped") {
            seen.reports.lock().unwrap().push((level, text));
        }
    }

    fn cleared_while_the_callback_sets_another() {
        let seen = Seen::default();
        set(Some(sets_another), &seen, CASEHOOK_LOG_INFO);
        log::error!(target: "casehook", "the first");
        log::error!(target: "casehook", "the second");
        wait_until("the callback is called", || {
            seen.calls.load(Ordering::SeqCst) == 1
        });
        set(None, &seen, CASEHOOK_LOG_ERROR);
        seen.returned.store(true, Ordering::SeqCst);
        assert!(!seen.inside.load(Ordering::SeqCst), "a callback still runs");
        assert!(seen.released.load(Ordering::SeqCst));
        assert_eq!(seen.calls.load(Ordering::SeqCst), 1);
        // What was waiting went to the callback that was set then.
        assert!(seen.later.lock().unwrap().contains(&"the second".to_owned()));
        assert_eq!(log::max_level(), LevelFilter::Off);
    }

    fn losses_are_told_before_the_callback_goes(level: casehook_log_level) {
        let seen = Seen::default();
        set(Some(slow), &seen, level);
        log::error!(target: "casehook", "the first");
        wait_until("the callback is called", || {
            seen.calls.load(Ordering::SeqCst) == 1
        });
        for _ in 0..QUEUED + 7 {
            log::error!(target: "casehook", "too fast");
        }
        seen.released.store(true, Ordering::SeqCst);
        set(None, &seen, CASEHOOK_LOG_ERROR);
        let reports = seen.reports.lock().unwrap();
        let [(report, text)] = reports.as_slice() else {
            panic!("{reports:?}");
        };
        let lost: usize = text.split(' ').next().unwrap().parse().unwrap();
        // Other tests of this process may log too.
        assert!(lost >= 7, "{text}");
        assert!(seen.calls.load(Ordering::SeqCst) >= QUEUED + 2);
        assert_eq!(*report as i32, (level as i32).min(CASEHOOK_LOG_WARN as i32));
    }

    /// One test: the callback belongs to the process.
    #[test]
    fn the_callback_before_is_done_when_another_is_set() {
        cleared_while_the_callback_sets_another();
        losses_are_told_before_the_callback_goes(CASEHOOK_LOG_INFO);
        losses_are_told_before_the_callback_goes(CASEHOOK_LOG_ERROR);
    }
}
