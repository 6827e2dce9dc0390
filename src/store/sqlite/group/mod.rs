//! Group commit: who writes while others wait to write commits for all of them.
//!
//! The first to come leads: it runs its own work and that of everybody who comes meanwhile in one transaction, commits once
//! and wakes them. Those who come during the commit are led by the first of them. Alone, a writer does nothing but its own
//! work. Where several shared the last commit, the leader gives them a moment to come back: they were just woken, and a
//! commit without them would cost more than the moment. Of those that a commit was for, each who is woken wakes others, so
//! that all processors are at it.

mod batch;
mod job;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use self::batch::Batch;
use self::job::{Job, News, State};
use super::fault::Sql;
use super::lock::lock;
use super::transaction::Work;
use crate::error::{Error, Result};

/// How many share a commit at most, so that nobody waits long for the work of others.
const LARGEST: usize = 128;
/// How long a leader waits at most for those of the last group, however slow the disk is.
const LONGEST_WAIT: Duration = Duration::from_micros(250);

/// Everybody who wants to write.
#[derive(Default)]
pub(super) struct Group {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Arc<Job>>,
    /// Whether somebody runs work now, or was told to.
    led: bool,
    /// How many shared the last commit, and what that took.
    last: (usize, Duration),
}

/// Lends the writing connection.
type Session<'a> = dyn FnMut(&mut Work<'_>) -> Result<()> + 'a;

impl Group {
    /// Runs `work` in a transaction, together with that of others; returns when it is committed, or rolled back.
    ///
    /// `session` lends the writing connection.
    pub(super) fn write<T: Send + 'static>(
        &self,
        mut session: impl FnMut(&mut Work<'_>) -> Result<()>,
        mut work: impl FnMut(&Connection) -> Sql<T> + Send + 'static,
    ) -> Result<T> {
        let value = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&value);
        let job = Job::new(move |conn| {
            let value = work(conn)?;
            *lock(&kept) = Some(value);
            Ok(())
        });
        self.commit(&job, &mut session)?;
        let value = lock(&value).take();
        value.ok_or_else(|| Error::internal("work was committed that was not run"))
    }

    /// Returns when the job is committed: with the group of somebody else, or with one that the caller leads.
    fn commit(&self, job: &Arc<Job>, session: &mut Session<'_>) -> Result<()> {
        let first = {
            let mut queue = lock(&self.queue);
            queue.waiting.push_back(Arc::clone(job));
            !std::mem::replace(&mut queue.led, true)
        };
        let done = match first {
            true => None,
            false => job.await_turn(),
        };
        match done {
            Some(done) => done,
            None => self.lead(session),
        }
    }

    /// Runs the next group, whose first is the caller's work, and hands the lead on.
    fn lead(&self, session: &mut Session<'_>) -> Result<()> {
        let mut led = Led {
            group: self,
            batch: Batch::default(),
        };
        let lent = session(&mut |conn| {
            let mut intake = self.intake();
            let took = led.batch.run(conn, intake.present, || intake.next());
            lock(&self.queue).last = (led.batch.jobs.len(), took);
            Ok(())
        });
        if let Err(error) = lent {
            // There is no connection to be had: nobody gets to write.
            let waiting = std::iter::from_fn(|| self.take()).take(LARGEST);
            led.batch.jobs.extend(waiting);
            led.batch.end_all(&Err(error));
        }
        let own = led.batch.ends.first().cloned();
        drop(led);
        own.unwrap_or_else(|| Err(Error::internal("a writer led a group that it was not part of")))
    }

    /// Who gets into the next commit.
    fn intake(&self) -> Intake<'_> {
        let queue = lock(&self.queue);
        let (expected, took) = queue.last;
        Intake {
            group: self,
            present: queue.waiting.len(),
            taken: 0,
            expected,
            patience: (took / 2).min(LONGEST_WAIT),
        }
    }

    fn take(&self) -> Option<Arc<Job>> {
        lock(&self.queue).waiting.pop_front()
    }

    /// The first of those who wait leads next.
    fn hand_on(&self) {
        let mut queue = lock(&self.queue);
        match queue.waiting.front() {
            Some(next) => next.turn(State::Leading),
            None => queue.led = false,
        }
    }
}

/// Lets those who came, and those who come back in time, into one commit.
struct Intake<'a> {
    group: &'a Group,
    /// How many were there before anything was begun.
    present: usize,
    taken: usize,
    /// How many shared the last commit. Once they were waited for in vain, there are fewer this time, and that many are
    /// expected next.
    expected: usize,
    /// For how long they may still be waited for: at first for half as long as the last commit took.
    patience: Duration,
}

impl Intake<'_> {
    fn next(&mut self) -> Option<Arc<Job>> {
        if self.taken == LARGEST {
            return None;
        }
        let job = self.group.take().or_else(|| self.await_one())?;
        self.taken += 1;
        Some(job)
    }

    fn await_one(&mut self) -> Option<Arc<Job>> {
        if self.taken >= self.expected {
            return None;
        }
        let begun = Instant::now();
        loop {
            let waited = begun.elapsed();
            if waited >= self.patience {
                self.patience = Duration::ZERO;
                return None;
            }
            std::thread::yield_now();
            if let Some(job) = self.group.take() {
                self.patience = self.patience.saturating_sub(waited);
                return Some(job);
            }
        }
    }
}

/// A group under way: however it ends, the lead is handed on, and everybody in it learns of the end.
struct Led<'a> {
    group: &'a Group,
    /// The leader's first, for which nobody waits.
    batch: Batch,
}

impl Drop for Led<'_> {
    fn drop(&mut self) {
        // Before the others are woken: the next group can begin meanwhile.
        self.group.hand_on();
        let Batch { jobs, ends } = std::mem::take(&mut self.batch);
        let panicked = || Err(Error::internal("the writer of this transaction panicked"));
        let ends = ends.into_iter().chain(std::iter::repeat_with(panicked));
        News::new(jobs.into_iter().zip(ends).collect()).spread();
    }
}
