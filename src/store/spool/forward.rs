//! The thread that forwards what was spooled, in order, when the database is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use super::far::Far;
use super::held::{Held, Verdict, judge};
use super::keys;
use crate::connector::Connector;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{PushId, Timestamp};
use crate::outbox::NewPush;
use crate::process::{Bell, DrainLock};
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::spool::Bundle;
use crate::store::sqlite::{SqliteStore, random_id};
use crate::store::{Cause, Lost, Retention, Store};

/// How often it is looked for what other processes spooled, and how long a database that fails is left alone.
const POLL: Duration = Duration::from_secs(1);
/// How long closing waits for what is under way, at most; and at least, once its connection is closed.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
const GRACE: Duration = Duration::from_millis(250);

/// Forwards as long as it lives.
pub(super) struct Forwarder {
    line: Arc<Line>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread works with.
struct Line {
    near: Arc<SqliteStore>,
    far: Arc<Far>,
    keys: Arc<keys::Keys>,
    retention: Retention,
    /// One process at a time forwards from a spool, or the order would be lost.
    lock: DrainLock,
    work: Bell,
    stopping: AtomicBool,
    ended: Bell,
}

impl Forwarder {
    pub(super) fn start(
        near: &Arc<SqliteStore>,
        far: &Arc<Far>,
        keys: &Arc<keys::Keys>,
        retention: Retention,
        lock: DrainLock,
    ) -> Result<Forwarder> {
        let line = Arc::new(Line {
            near: Arc::clone(near),
            far: Arc::clone(far),
            keys: Arc::clone(keys),
            retention,
            lock,
            work: Bell::default(),
            stopping: AtomicBool::new(false),
            ended: Bell::default(),
        });
        let own = Arc::clone(&line);
        let thread = std::thread::Builder::new()
            .name("casehook-spool".to_owned())
            .spawn(move || own.run())
            .map_err(|error| Error::internal(format!("no thread could be started: {error}")))?;
        Ok(Forwarder {
            line,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// There is something to forward.
    pub(super) fn wake(&self) {
        self.line.work.ring();
    }

    /// Forwards nothing more after what is under way.
    pub(super) fn stop(&self) {
        self.line.stopping.store(true, Ordering::Release);
        self.line.work.ring();
    }

    /// Waits for the end of what is under way.
    pub(super) fn wait(&self, patience: Duration) {
        self.line.ended.wait_beyond(0, Some(patience.min(PATIENCE)));
    }

    /// The same for what ends by itself now, and gives way to other processes.
    pub(super) fn join(&self, patience: Duration) {
        self.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            self.wait(patience.max(GRACE));
            if !thread.is_finished() && self.line.ended.count() == 0 {
                log::warn!("closed while a push was being forwarded; the next start ends it");
                return;
            }
            // A panic there has said so itself.
            let _ = thread.join();
            self.line.lock.release();
        }
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.join(PATIENCE);
    }
}

impl Line {
    fn run(&self) {
        // Also when it panics.
        struct End<'a>(&'a Bell);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.ring();
            }
        }
        let _end = End(&self.ended);
        let mut said = String::new();
        let mut held = Held::default();
        while !self.stopping.load(Ordering::Acquire) {
            let seen = self.work.count();
            match self.turn(&mut held) {
                Ok(true) => said.clear(),
                Ok(false) => self.work.wait_beyond(seen, Some(POLL)),
                Err(error) => {
                    let text = error.to_string();
                    if text != said {
                        log::warn!("pushes stay in the spool: {text}");
                        said = text;
                    }
                    // Not woken by new pushes: they cannot go either.
                    self.pause();
                }
            }
        }
        self.settle();
    }

    /// Tells the database which keys nobody is going to use again.
    fn settle(&self) {
        let settled = self.keys.take_settled();
        if !settled.is_empty()
            && let Some(far) = self.far.opened()
            && let Err(error) = far.settle(&settled)
        {
            log::debug!("{} receipts stay in the database: {error}", settled.len());
        }
    }

    fn pause(&self) {
        let until = Instant::now() + POLL;
        while !self.stopping.load(Ordering::Acquire) {
            let seen = self.work.count();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stopping.load(Ordering::Acquire) {
                return;
            }
            self.work.wait_beyond(seen, Some(left));
        }
    }

    /// Forwards what one call pushed; false when there is nothing whose turn it is, or another process does it.
    fn turn(&self, held: &mut Held) -> Result<bool> {
        if !self.near.anything_waits()? {
            self.lock.release();
            return Ok(false);
        }
        if !self.lock.try_acquire()? {
            return Ok(false);
        }
        let far = self.far.get()?;
        // Before anything is marked as under way, so that what waits for a database that is away can be cancelled.
        far.data_version()?;
        let Some(mut bundle) = self.near.take_bundle(&held.present(Instant::now()))? else {
            return Ok(false);
        };
        let pushes = std::mem::take(&mut bundle.pushes);
        match self.forward(far, &bundle, pushes) {
            Ok(ids) => {
                self.near.forwarded(&bundle.ids, &ids)?;
                self.keys.settle(bundle.key);
                held.remove(bundle.connector);
                self.far.ring();
            }
            Err(lost) => self.judge(&bundle, lost, held)?,
        }
        Ok(true)
    }

    /// Stores it in the database; what it became there.
    fn forward(
        &self,
        far: &PostgresStore,
        bundle: &Bundle,
        pushes: Vec<NewPush>,
    ) -> Result<Vec<PushId>, Lost> {
        // First of all, whatever else keeps it from being forwarded: it may be there.
        if bundle.begun
            && let Some(ids) = far.stored_under(&bundle.key)?
        {
            return as_pushed(bundle, ids);
        }
        let asked = bundle.begun;
        let coalesce = coalesces(far, &bundle.name).map_err(|error| Lost {
            asked,
            ..Lost::entirely(error)
        })?;
        let pushes = pushes
            .into_iter()
            .map(|push| NewPush { coalesce, ..push })
            .collect();
        let settled = self.keys.take_settled();
        let stored = far.enqueue_once(&bundle.key, &settled, pushes, &self.retention, bundle.accepted_at);
        match stored {
            Ok(ids) => as_pushed(bundle, ids),
            Err(lost) => {
                self.keys.settle_again(settled);
                Err(Lost {
                    asked: asked || lost.asked,
                    ..lost
                })
            }
        }
    }

    /// Does with a bundle that was not taken what has to be done; the error where nothing can be taken now.
    fn judge(&self, bundle: &Bundle, lost: Lost, held: &mut Held) -> Result<()> {
        // One that was tried before may be there, unless the database itself says that it is not.
        let back = !lost.in_doubt && (lost.asked || !bundle.begun);
        match judge(&lost) {
            Verdict::Away => {
                if back {
                    self.near.give_back(&bundle.ids)?;
                }
                return Err(lost.error);
            }
            Verdict::Held => {
                self.near.hold(&bundle.ids, back, &lost.error)?;
                if held.add(bundle.connector, &lost.error, Instant::now()) {
                    log::warn!(
                        "{} waits in the spool, and so do later pushes for {:?}: {}",
                        named(bundle),
                        bundle.name,
                        lost.error
                    );
                }
            }
            Verdict::Failed => {
                let keys = bundle.ids.iter().map(|_| random_id());
                let keys = keys.collect::<Result<Vec<_>>>()?;
                let now = Timestamp::from(SystemTime::now());
                self.near.refuse(&bundle.ids, &keys, &lost.error, now)?;
                held.remove(bundle.connector);
                log::warn!(
                    "{} for {:?} failed in the spool: {}",
                    named(bundle),
                    bundle.name,
                    lost.error
                );
                // Whoever waits for one of them.
                self.far.ring();
            }
        }
        Ok(())
    }
}

/// What the pushes became, if the call is known there as it is here.
fn as_pushed(bundle: &Bundle, ids: Vec<PushId>) -> Result<Vec<PushId>, Lost> {
    if ids.len() == bundle.ids.len() {
        return Ok(ids);
    }
    let message = "the database knows the call otherwise than the spool, whose file was copied or put back; look there \
                   before you retry the push";
    Err(Lost {
        cause: Cause::Refusal,
        asked: true,
        ..Lost::entirely(Error::new(ErrorKind::Corrupt, message))
    })
}

/// A bundle's pushes, in the words of a log.
fn named(bundle: &Bundle) -> String {
    let number = |id: Option<&PushId>| id.map_or(0, |id| id.get());
    let (first, last) = (number(bundle.ids.first()), number(bundle.ids.last()));
    match first == last {
        true => format!("push -{first}"),
        false => format!("the call of pushes -{first} to -{last}"),
    }
}

/// Whether pushes of the connector may take the place of earlier ones, as it is configured now.
fn coalesces(far: &PostgresStore, name: &str) -> Result<bool> {
    let Some(stored) = far.connector(name)? else {
        return Ok(false);
    };
    let connector = Connector::restore(&stored.name, &stored.config, &stored.warnings, Vec::new())?;
    Ok(connector.config.coalesce)
}
