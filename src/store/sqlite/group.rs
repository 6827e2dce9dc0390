//! Group commit: who writes while others wait to write commits for all of them.
//!
//! The first to come leads: it runs its own work and that of everybody who comes meanwhile in one transaction, commits once
//! and wakes them. Those who come during the commit are led by the first of them. Alone, a writer does nothing but its own
//! work. Where several shared the last commit, the leader gives them a moment to come back: they were just woken, and a
//! commit without them would cost more than the moment.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::fault::{Fault, Sql};
use super::lock::lock;
use crate::error::{Error, Result};

/// How many share a commit at most, so that nobody waits long for the work of others.
const LARGEST: usize = 128;
/// How long a leader waits at most for those of the last group, however slow the disk is.
const LONGEST_WAIT: Duration = Duration::from_micros(250);

/// What one caller wants written. It is run again, alone, when the transaction it was run in came to nothing.
type Work = Box<dyn FnMut(&Connection) -> Sql<()> + Send>;

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

struct Job {
    work: Mutex<Work>,
    state: Mutex<State>,
    changed: Condvar,
}

enum State {
    Waiting,
    /// To lead the next group, which it is part of.
    Leading,
    Done(Result<()>),
}

impl Group {
    /// Runs `work` in a transaction, together with that of others; returns when it is committed, or rolled back.
    ///
    /// `session` lends the writing connection.
    pub(super) fn write<T: Send + 'static>(
        &self,
        session: impl FnOnce(&mut dyn FnMut(&Connection) -> Sql<()>) -> Result<()>,
        mut work: impl FnMut(&Connection) -> Sql<T> + Send + 'static,
    ) -> Result<T> {
        let value = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&value);
        let job = Arc::new(Job {
            work: Mutex::new(Box::new(move |conn| {
                let value = work(conn)?;
                *lock(&kept) = Some(value);
                Ok(())
            })),
            state: Mutex::new(State::Waiting),
            changed: Condvar::new(),
        });
        let first = {
            let mut queue = lock(&self.queue);
            queue.waiting.push_back(Arc::clone(&job));
            !std::mem::replace(&mut queue.led, true)
        };
        let done = match first {
            true => None,
            false => job.await_turn(),
        };
        match done {
            Some(done) => done?,
            None => self.lead(&job, session)?,
        }
        let value = lock(&value).take();
        value.ok_or_else(|| Error::internal("work was committed that was not run"))
    }

    /// Runs the next group, `own` work included, and hands the lead on.
    fn lead(
        &self,
        own: &Arc<Job>,
        session: impl FnOnce(&mut dyn FnMut(&Connection) -> Sql<()>) -> Result<()>,
    ) -> Result<()> {
        let mut led = Led {
            group: self,
            own,
            jobs: Vec::new(),
        };
        let lent = session(&mut |conn| {
            let mut intake = self.intake();
            let took = run(conn, || intake.next(), &mut led.jobs);
            lock(&self.queue).last = (led.jobs.len(), took);
            Ok(())
        });
        if let Err(error) = lent {
            // There is no connection to be had: nobody gets to write.
            led.jobs.extend(std::iter::from_fn(|| self.take()).take(LARGEST));
            led.jobs.iter().for_each(|job| job.end(Err(error.clone())));
        }
        drop(led);
        match std::mem::replace(&mut *lock(&own.state), State::Waiting) {
            State::Done(done) => done,
            _ => Err(Error::internal("a writer led a group that it was not part of")),
        }
    }

    /// Who gets into the next commit.
    fn intake(&self) -> Intake<'_> {
        let (expected, took) = lock(&self.queue).last;
        Intake {
            group: self,
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
    /// The leader's, for which nobody waits.
    own: &'a Arc<Job>,
    jobs: Vec<Arc<Job>>,
}

impl Drop for Led<'_> {
    fn drop(&mut self) {
        // Before the others are woken: the next group can begin meanwhile.
        self.group.hand_on();
        for job in self.jobs.iter().filter(|job| !Arc::ptr_eq(job, self.own)) {
            job.tell();
        }
    }
}

impl Job {
    /// Waits until it is done, or its turn to lead: then `None`.
    fn await_turn(&self) -> Option<Result<()>> {
        let state = self
            .changed
            .wait_while(lock(&self.state), |state| matches!(state, State::Waiting))
            .unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Done(done) => Some(done.clone()),
            _ => None,
        }
    }

    fn turn(&self, state: State) {
        *lock(&self.state) = state;
        self.changed.notify_one();
    }

    /// Notes how it ended, without waking whoever waits for it.
    fn end(&self, done: Result<()>) {
        *lock(&self.state) = State::Done(done);
    }

    /// Wakes whoever waits for it. What did not end, since its leader panicked, failed.
    fn tell(&self) {
        let mut state = lock(&self.state);
        if !matches!(*state, State::Done(_)) {
            *state = State::Done(Err(Error::internal("the writer of this transaction panicked")));
        }
        drop(state);
        self.changed.notify_one();
    }

    fn run(&self, conn: &Connection) -> Sql<()> {
        (lock(&self.work))(conn)
    }
}

/// One transaction for all that `next` gives, which are in `jobs` then; where one of them fails, each gets a transaction of
/// its own. How long the commit took.
fn run(conn: &Connection, mut next: impl FnMut() -> Option<Arc<Job>>, jobs: &mut Vec<Arc<Job>>) -> Duration {
    if let Err(unbegun) = frame(conn, "BEGIN IMMEDIATE") {
        // Whoever else is there would fare no better, after as long a wait.
        jobs.extend(std::iter::from_fn(next));
        fail(jobs, unbegun.fault());
        return Duration::ZERO;
    }
    let mut each = || {
        while let Some(job) = next() {
            jobs.push(Arc::clone(&job));
            job.run(conn)?;
        }
        Ok(())
    };
    let done = each();
    let begun = Instant::now();
    let done = end(conn, done);
    let took = begun.elapsed();
    match (done, jobs.as_slice()) {
        (Ok(()), jobs) => jobs.iter().for_each(|job| job.end(Ok(()))),
        (Err(End::Work(fault)), [job]) => job.end(Err(fault.into_error())),
        (Err(End::Work(_)), jobs) => {
            for job in jobs {
                let alone = frame(conn, "BEGIN IMMEDIATE").and_then(|()| end(conn, job.run(conn)));
                job.end(alone.map_err(|end| end.fault().into_error()));
            }
        }
        (Err(End::Frame(fault)), jobs) => fail(jobs, fault),
    }
    took
}

fn fail(jobs: &[Arc<Job>], fault: Fault) {
    let error = fault.into_error();
    jobs.iter().for_each(|job| job.end(Err(error.clone())));
}

/// Why a transaction came to nothing: what it was for, or its begin or commit.
enum End {
    Work(Fault),
    Frame(Fault),
}

impl End {
    fn fault(self) -> Fault {
        match self {
            End::Work(fault) | End::Frame(fault) => fault,
        }
    }
}

/// Begins or ends a transaction.
fn frame(conn: &Connection, sql: &str) -> Result<(), End> {
    let done = conn
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute([]));
    done.map(drop).map_err(|error| End::Frame(error.into()))
}

/// Commits what was done in a transaction, or has none of it.
fn end(conn: &Connection, done: Sql<()>) -> Result<(), End> {
    let done = done.map_err(End::Work).and_then(|()| frame(conn, "COMMIT"));
    if done.is_err() && !conn.is_autocommit() {
        // Where this fails too, the next one to use the connection tries again before anything else.
        let _ = frame(conn, "ROLLBACK");
    }
    done
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::ErrorKind;

    fn database() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE t (n INTEGER UNIQUE)").unwrap();
        conn
    }

    fn insert(n: i64) -> Work {
        Box::new(move |conn| {
            conn.execute("INSERT INTO t (n) VALUES (?1)", [n])?;
            Ok(())
        })
    }

    fn job(work: Work) -> Arc<Job> {
        Arc::new(Job {
            work: Mutex::new(work),
            state: Mutex::new(State::Waiting),
            changed: Condvar::new(),
        })
    }

    fn rows(conn: &Connection) -> Vec<i64> {
        let mut statement = conn.prepare("SELECT n FROM t ORDER BY n").unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(|row| row.unwrap()).collect()
    }

    fn kind(job: &Job) -> Option<ErrorKind> {
        match &*lock(&job.state) {
            State::Done(done) => done.as_ref().err().map(Error::kind),
            _ => panic!("it did not end"),
        }
    }

    #[test]
    fn who_fails_fails_alone() {
        let conn = database();
        let refuse: Work = Box::new(|conn| {
            conn.execute("INSERT INTO t (n) VALUES (99)", [])?;
            Err(Error::new(ErrorKind::QueueFull, "no room").into())
        });
        let mut given = VecDeque::from([job(insert(1)), job(refuse), job(insert(2)), job(insert(1))]);
        let jobs = Vec::from_iter(given.clone());
        while !given.is_empty() {
            run(&conn, || given.pop_front(), &mut Vec::new());
        }
        assert_eq!(rows(&conn), [1, 2]);
        let kinds: Vec<_> = jobs.iter().map(|job| kind(job)).collect();
        assert_eq!(
            kinds,
            [None, Some(ErrorKind::QueueFull), None, Some(ErrorKind::Store)]
        );
        assert!(conn.is_autocommit());
    }

    #[test]
    fn those_who_wait_share_a_commit() {
        let conn = Mutex::new(database());
        let commits = AtomicUsize::new(0);
        let group = Group::default();
        let session = |work: &mut dyn FnMut(&Connection) -> Sql<()>| {
            commits.fetch_add(1, Ordering::SeqCst);
            work(&lock(&conn)).map_err(Fault::into_error)
        };
        let held = lock(&conn);
        std::thread::scope(|scope| {
            for n in 0..8 {
                let (group, session) = (&group, &session);
                scope.spawn(move || group.write(session, insert(n)).unwrap());
            }
            // The first waits for the connection, the others for the first.
            while lock(&group.queue).waiting.len() < 8 {
                std::thread::yield_now();
            }
            drop(held);
        });
        assert_eq!(rows(&lock(&conn)), (0..8).collect::<Vec<_>>());
        assert_eq!(commits.into_inner(), 1);
        assert!(!lock(&group.queue).led);
    }

    #[test]
    fn who_comes_while_work_is_done_is_in_the_same_commit() {
        let conn = Mutex::new(database());
        let commits = AtomicUsize::new(0);
        let group = Group::default();
        let session = |work: &mut dyn FnMut(&Connection) -> Sql<()>| {
            commits.fetch_add(1, Ordering::SeqCst);
            work(&lock(&conn)).map_err(Fault::into_error)
        };
        std::thread::scope(|scope| {
            let (group, session) = (Arc::new(&group), &session);
            let (tell, begun) = std::sync::mpsc::channel();
            let (release, hold) = std::sync::mpsc::channel();
            let first = Arc::clone(&group);
            scope.spawn(move || {
                first.write(session, move |conn| {
                    tell.send(()).unwrap();
                    hold.recv().unwrap();
                    conn.execute("INSERT INTO t (n) VALUES (1)", [])?;
                    Ok(())
                })
            });
            begun.recv().unwrap();
            let second = Arc::clone(&group);
            scope.spawn(move || second.write(session, insert(2)));
            while lock(&group.queue).waiting.is_empty() {
                std::thread::yield_now();
            }
            release.send(()).unwrap();
        });
        assert_eq!(rows(&lock(&conn)), [1, 2]);
        assert_eq!(commits.into_inner(), 1);
    }

    #[test]
    fn who_waits_in_vain_for_others_goes_on_alone() {
        let conn = Mutex::new(database());
        let group = Group::default();
        lock(&group.queue).last = (8, Duration::MAX);
        let session =
            |work: &mut dyn FnMut(&Connection) -> Sql<()>| work(&lock(&conn)).map_err(Fault::into_error);
        group.write(session, insert(1)).unwrap();
        assert_eq!(rows(&lock(&conn)), [1]);
        assert_eq!(lock(&group.queue).last.0, 1, "nobody is waited for next time");
    }

    #[test]
    fn a_panic_ends_with_the_call_it_is_in() {
        let conn = Mutex::new(database());
        let group = Group::default();
        let session = |work: &mut dyn FnMut(&Connection) -> Sql<()>| {
            let conn = lock(&conn);
            if !conn.is_autocommit() {
                conn.execute_batch("ROLLBACK").unwrap();
            }
            work(&conn).map_err(Fault::into_error)
        };
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            group.write(session, |_| -> Sql<()> { panic!("on purpose") })
        }));
        assert!(panicked.is_err());
        group.write(session, insert(1)).unwrap();
        assert_eq!(rows(&lock(&conn)), [1]);
    }

    #[test]
    fn without_a_connection_nobody_writes() {
        let group = Group::default();
        let closed = |_: &mut dyn FnMut(&Connection) -> Sql<()>| Err(Error::new(ErrorKind::Closed, "closed"));
        for _ in 0..2 {
            let error = group.write(closed, insert(1)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed);
        }
        assert!(!lock(&group.queue).led);
    }
}
