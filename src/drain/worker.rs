//! The threads that drain: they take requests from the engine, send them, and hand their ends back. No policy here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::fetcher::Fetcher;
use super::{Dispatch, Engine, Entry, Fetch, Next};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::process::{Bell, Bells, DrainLock, ProcessGuard};
use crate::store::{Retention, Store};
use crate::transport::Transport;

/// How often another process' changes are looked for, and how often a process that waits to drain asks for its turn.
const POLL: Duration = Duration::from_secs(1);
/// How long to leave a store alone that just failed.
const STORE_PAUSE: Duration = Duration::from_millis(500);
/// How often history is pruned, at most.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// What is kept back from the time allowed for closing, to shut sockets and store what they ended in.
const SHUTDOWN_SHARE: Duration = Duration::from_millis(300);
/// Stands for every time-out that the clock cannot hold.
const LONGEST_STOP: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What the threads need from outside.
pub(crate) struct Tools {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bells: Arc<Bells>,
    /// Where one process drains at a time: what tells which.
    pub(crate) lock: Option<DrainLock>,
    pub(crate) retention: Retention,
    // Last. As long as a thread has the database open, nobody else in this process opens it.
    pub(crate) _guard: Option<Arc<ProcessGuard>>,
}

/// The running threads.
pub(crate) struct Workers {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    tools: Tools,
    state: Mutex<State>,
    /// Rung when there may be something to do. Apart from `state`, so that ringing never waits for a commit.
    work: Bell,
    /// Another process changed something: look at once.
    news: AtomicBool,
    fetcher: Fetcher,
    /// Of its own, as the next: whoever closes must not wait for a thread that waits for the store.
    stopping: AtomicBool,
    /// How many threads have not ended.
    alive: Mutex<usize>,
    /// Rung when a thread ends.
    ended: Condvar,
}

struct State {
    engine: Engine,
    draining: bool,
    /// How many threads take work; the last one to stop leaves things tidy.
    running: usize,
    /// When the thread that watches the clock wakes; others sleep until they are called.
    alarm: Option<Instant>,
    looked_at: Option<Instant>,
    data_version: i64,
    pruned_at: Option<Instant>,
}

/// What is left to do after something was done, or why the store could not take it.
type Done<'a> = (MutexGuard<'a, State>, Result<Option<Next>>);

impl Workers {
    /// Starts `count` threads.
    pub(crate) fn start(count: usize, engine: Engine, tools: Tools) -> Result<Workers> {
        let shared = Arc::new(Shared {
            tools,
            state: Mutex::new(State {
                engine,
                draining: false,
                running: 0,
                alarm: None,
                looked_at: None,
                data_version: 0,
                pruned_at: None,
            }),
            work: Bell::default(),
            news: AtomicBool::new(false),
            fetcher: Fetcher::default(),
            stopping: AtomicBool::new(false),
            alive: Mutex::new(0),
            ended: Condvar::new(),
        });
        let listener = Arc::downgrade(&shared);
        shared.tools.store.watch(Box::new(move || {
            if let Some(shared) = listener.upgrade() {
                shared.news.store(true, Ordering::Release);
                shared.work.ring_for_one();
                shared.tools.bells.ring();
            }
        }));
        let workers = Workers {
            shared,
            threads: Mutex::new(Vec::new()),
        };
        for number in 0..count {
            let shared = Arc::clone(&workers.shared);
            shared.lock().running += 1;
            *lock(&shared.alive) += 1;
            let spawned = std::thread::Builder::new()
                .name(format!("casehook-{number}"))
                .spawn(move || shared.run());
            match spawned {
                Ok(thread) => lock(&workers.threads).push(thread),
                Err(error) => {
                    workers.shared.lock().running -= 1;
                    *lock(&workers.shared.alive) -= 1;
                    workers.stop(Duration::ZERO);
                    return Err(Error::internal(format!("no thread could be started: {error}")));
                }
            }
        }
        Ok(workers)
    }

    /// Something was pushed, or a push decided on.
    pub(crate) fn wake(&self) {
        self.shared.work.ring_for_one();
    }

    /// A connector was configured, removed, paused or resumed.
    pub(crate) fn connectors_changed(&self) {
        self.shared.lock().engine.connectors_changed();
        self.shared.work.ring_for_one();
    }

    /// Whether there is a process that drains, this one or another.
    pub(crate) fn somebody_drains(&self) -> bool {
        let lock = self.shared.tools.lock.as_ref();
        // Without one, everybody may drain, and the store knows who does.
        self.is_draining() || lock.is_none_or(DrainLock::is_held_elsewhere)
    }

    /// Whether this process drains.
    pub(crate) fn is_draining(&self) -> bool {
        self.shared.lock().draining
    }

    /// Stops claiming, waits for requests under way and not for secrets, then shuts their sockets; all within `timeout`. True when every
    /// thread ended.
    pub(crate) fn stop(&self, timeout: Duration) -> bool {
        let timeout = timeout.min(LONGEST_STOP);
        let deadline = Instant::now() + timeout;
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.fetcher.close();
        self.shared.work.ring();
        let patience = deadline - SHUTDOWN_SHARE.min(timeout / 2);
        let mut all_ended = self.shared.await_end(patience);
        if !all_ended {
            self.shared.tools.transport.shutdown();
            all_ended = self
                .shared
                .await_end(deadline.max(Instant::now() + SHUTDOWN_SHARE));
        }
        if all_ended {
            for thread in lock(&self.threads).drain(..) {
                // A thread that panicked has said so; there is nothing to add at closing.
                let _ = thread.join();
            }
        }
        all_ended
    }
}

impl Shared {
    fn run(&self) {
        let mut state = self.lock();
        while !self.stopping.load(Ordering::Acquire) {
            state = self.step(state);
        }
        state.running -= 1;
        if state.running == 0 {
            let now = self.tools.clock.now();
            if let Err(error) = state.engine.release(now) {
                log::warn!("a push stays marked as under way until the next start: {error}");
            }
            if state.draining {
                let _ = self.tools.store.note_drainer(None, now.wall);
                state.draining = false;
                self.release_lock();
            }
        }
        drop(state);
        *lock(&self.alive) -= 1;
        self.ended.notify_all();
        self.tools.bells.ring();
    }

    fn step<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        // Before anything is looked at: what is rung for after this ends the sleep at once.
        let seen = self.work.count();
        if !state.draining && !self.take_over(&mut state) {
            return self.sleep(state, seen, POLL);
        }
        self.look_around(&mut state);
        match state.engine.turn(self.tools.clock.now()) {
            Ok(Next::Wait(wait)) => {
                self.tools.bells.change.ring();
                if state.engine.is_idle() {
                    self.tools.bells.lull.ring();
                }
                self.prune(&mut state);
                self.sleep(state, seen, wait.map_or(POLL, |wait| wait.min(POLL)))
            }
            Ok(next) => self.work_off(state, seen, next),
            Err(error) => self.store_failed(state, seen, &error),
        }
    }

    /// Does what was handed out, and what follows from it at once.
    fn work_off<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        seen: u64,
        next: Next,
    ) -> MutexGuard<'a, State> {
        let mut left = Some(next);
        while let Some(next) = left {
            let done;
            (state, done) = match next {
                Next::Send(dispatch) => self.exchange(state, &dispatch),
                Next::Store(entry) => self.put(state, entry),
                Next::Fetch(fetch) => self.fetch(state, *fetch),
                Next::Wait(_) => return state,
            };
            left = match done {
                Ok(next) => next,
                Err(error) => return self.store_failed(state, seen, &error),
            };
        }
        state
    }

    /// Has an entry stored, and where it ends a push, with it that another one begins. What may be done then.
    fn put<'a>(&'a self, mut state: MutexGuard<'a, State>, entry: Box<Entry>) -> Done<'a> {
        let beside = self.begin_beside(&mut state, &entry);
        // Whoever is idle looks whether there is more.
        self.work.ring_for_one();
        drop(state);
        let (store, wall) = (self.tools.store.as_ref(), self.tools.clock.now().wall);
        let (ended, begun, beside) = match beside {
            Some(Next::Store(begun)) => {
                let (ended, done) = entry.store_with(&begun, store, wall);
                (ended, Some((begun, done)), None)
            }
            beside => (entry.store(store, wall), None, beside),
        };
        let mut state = self.lock();
        let now = self.tools.clock.now();
        let (mut next, mut trouble) = (beside, None);
        for (entry, done) in [Some((entry, ended)), begun].into_iter().flatten() {
            match state.engine.stored(entry, done, now) {
                Ok(Some(dispatch)) => next = Some(Next::Send(dispatch)),
                Ok(None) => {}
                Err(error) => trouble = Some(error),
            }
        }
        self.tools.bells.change.ring();
        self.prune(&mut state);
        let next = match (next, trouble) {
            (None, Some(error)) => Err(error),
            (next, None) => Ok(next),
            // The one is to be stored again, the other goes on.
            (next, Some(error)) => {
                log::error!("the outbox cannot be written, trying again: {error}");
                Ok(next)
            }
        };
        (state, next)
    }

    /// What begins while an entry is stored; trouble with that shows at the next turn.
    fn begin_beside(&self, state: &mut State, entry: &Entry) -> Option<Next> {
        if self.stopping.load(Ordering::Acquire) {
            return None;
        }
        self.look_around(state);
        let next = state.engine.begin_beside(entry, self.tools.clock.now());
        next.ok().flatten()
    }

    /// Reads the secrets for a request; what follows from that.
    fn fetch<'a>(&'a self, state: MutexGuard<'a, State>, fetch: Fetch) -> Done<'a> {
        self.work.ring_for_one();
        drop(state);
        let push = fetch.push;
        let fetched = self.fetcher.fetch(fetch);
        let mut state = self.lock();
        let now = self.tools.clock.now();
        let next = state.engine.fetched(push, fetched, now);
        (state, Ok(next))
    }

    /// Sends a request; what it came to is to be stored.
    fn exchange<'a>(&'a self, state: MutexGuard<'a, State>, dispatch: &Dispatch) -> Done<'a> {
        self.work.ring_for_one();
        drop(state);
        let result = self.tools.transport.send(&dispatch.request);
        let mut state = self.lock();
        let now = self.tools.clock.now();
        let entry = state.engine.complete(dispatch.push, result, now);
        (state, Ok(entry.map(Next::Store)))
    }

    /// Becomes the process that drains, if no other one is.
    fn take_over(&self, state: &mut State) -> bool {
        match self.tools.lock.as_ref().map_or(Ok(true), DrainLock::try_acquire) {
            Ok(true) => {}
            Ok(false) => return false,
            Err(error) => {
                log::error!("the lock of the draining process cannot be taken: {error}");
                return false;
            }
        }
        let now = self.tools.clock.now();
        if let Err(error) = state.engine.recover(now) {
            log::error!("the outbox cannot be read: {error}");
            self.release_lock();
            return false;
        }
        let _ = self.tools.store.note_drainer(Some(std::process::id()), now.wall);
        state.draining = true;
        self.work.ring();
        true
    }

    fn release_lock(&self) {
        if let Some(lock) = &self.tools.lock {
            lock.release();
        }
    }

    /// Another process may have configured or pushed, or died.
    fn look_around(&self, state: &mut State) {
        let now = Instant::now();
        let recent = state.looked_at.is_some_and(|at| now.duration_since(at) < POLL);
        if recent && !self.news.swap(false, Ordering::AcqRel) {
            return;
        }
        if !recent {
            state.looked_at = Some(now);
            if let Err(error) = state.engine.relieve(self.tools.clock.now()) {
                log::warn!("what other processes left cannot be taken over: {error}");
            }
        }
        match self.tools.store.data_version() {
            Ok(version) if version != state.data_version => {
                state.data_version = version;
                state.engine.connectors_changed();
            }
            Ok(_) => {}
            Err(error) => log::warn!("changes of other processes cannot be seen: {error}"),
        }
    }

    fn prune(&self, state: &mut State) {
        let now = Instant::now();
        if state
            .pruned_at
            .is_some_and(|at| now.duration_since(at) < PRUNE_EVERY)
        {
            return;
        }
        match self
            .tools
            .store
            .prune(&self.tools.retention, self.tools.clock.now().wall)
        {
            Ok(true) => {}
            Ok(false) => state.pruned_at = Some(now),
            Err(error) => {
                state.pruned_at = Some(now);
                log::warn!("history was not pruned: {error}");
            }
        }
    }

    fn store_failed<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        seen: u64,
        error: &Error,
    ) -> MutexGuard<'a, State> {
        log::error!("the outbox cannot be written, trying again: {error}");
        self.sleep(state, seen, STORE_PAUSE)
    }

    /// Sleeps until called, or until the time is up if no other thread wakes earlier.
    fn sleep<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        seen: u64,
        wait: Duration,
    ) -> MutexGuard<'a, State> {
        if self.stopping.load(Ordering::Acquire) {
            return state;
        }
        let until = Instant::now() + wait;
        let mine = state.alarm.is_none_or(|alarm| until < alarm);
        if mine {
            state.alarm = Some(until);
        }
        drop(state);
        self.work.wait_beyond(seen, mine.then_some(wait));
        let mut state = self.lock();
        if mine && state.alarm == Some(until) {
            state.alarm = None;
        }
        state
    }

    /// Whether every thread has ended by then.
    fn await_end(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let (alive, _) = self
            .ended
            .wait_timeout_while(lock(&self.alive), left, |alive| *alive > 0)
            .unwrap_or_else(PoisonError::into_inner);
        *alive == 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A panic while the lock was held leaves the state as of the last finished statement; every outcome is in the store.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
