//! Group commit: who writes while others wait to write commits for all of them.
//!
//! The first to come leads: it runs its own work and that of everybody who comes meanwhile in one transaction, commits once
//! and wakes them. Those who come during the commit are led by the first of them. Alone, a writer does nothing but its own
//! work. Where several shared the last commit, the leader gives them a moment to come back: they were just woken, and a
//! commit without them would cost more than the moment. Of those that a commit was for, each who is woken wakes others, so
//! that all processors are at it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::fault::{Fault, Sql};
use super::lock::lock;
use crate::error::{Error, Result};

/// How many share a commit at most, so that nobody waits long for the work of others.
const LARGEST: usize = 128;
/// How many each wakes of those who share a commit.
const TOLD_BY_EACH: usize = 3;
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
    /// How it ended, and who may not know yet how theirs did.
    Done(Result<()>, Arc<News>),
}

/// A job and how it ended.
type Ended = (Arc<Job>, Result<()>);

/// What those who wait learn one from the other.
struct News {
    ended: Vec<Ended>,
    /// The first that nobody told yet.
    next: AtomicUsize,
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
            None => self.lead(session)?,
        }
        let value = lock(&value).take();
        value.ok_or_else(|| Error::internal("work was committed that was not run"))
    }

    /// Runs the next group, whose first is the caller's work, and hands the lead on.
    fn lead(&self, session: impl FnOnce(&mut dyn FnMut(&Connection) -> Sql<()>) -> Result<()>) -> Result<()> {
        let mut led = Led {
            group: self,
            jobs: Vec::new(),
            ends: Vec::new(),
        };
        let lent = session(&mut |conn| {
            let mut intake = self.intake();
            let took;
            (led.ends, took) = run(conn, || intake.next(), &mut led.jobs);
            lock(&self.queue).last = (led.jobs.len(), took);
            Ok(())
        });
        if let Err(error) = lent {
            // There is no connection to be had: nobody gets to write.
            led.jobs.extend(std::iter::from_fn(|| self.take()).take(LARGEST));
            led.ends = vec![Err(error); led.jobs.len()];
        }
        let own = led.ends.first().cloned();
        drop(led);
        own.unwrap_or_else(|| Err(Error::internal("a writer led a group that it was not part of")))
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
    /// The leader's first, for which nobody waits.
    jobs: Vec<Arc<Job>>,
    /// How they ended. What did not, since the leader panicked, failed.
    ends: Vec<Result<()>>,
}

impl Drop for Led<'_> {
    fn drop(&mut self) {
        // Before the others are woken: the next group can begin meanwhile.
        self.group.hand_on();
        let panicked = || Err(Error::internal("the writer of this transaction panicked"));
        let ends = self.ends.drain(..).chain(std::iter::repeat_with(panicked));
        let news = Arc::new(News {
            ended: self.jobs.drain(..).zip(ends).collect(),
            next: AtomicUsize::new(1),
        });
        news.spread();
    }
}

impl News {
    /// Wakes some of those who do not know yet; each of them does the same.
    fn spread(self: &Arc<News>) {
        for _ in 0..TOLD_BY_EACH {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            match self.ended.get(next) {
                Some((job, end)) => job.turn(State::Done(end.clone(), Arc::clone(self))),
                None => return,
            }
        }
    }
}

impl Job {
    /// Waits until it is done, or its turn to lead: then `None`.
    fn await_turn(&self) -> Option<Result<()>> {
        let mut state = self
            .changed
            .wait_while(lock(&self.state), |state| matches!(state, State::Waiting))
            .unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Waiting) {
            State::Done(end, news) => {
                news.spread();
                Some(end)
            }
            _ => None,
        }
    }

    fn turn(&self, state: State) {
        *lock(&self.state) = state;
        self.changed.notify_one();
    }

    fn run(&self, conn: &Connection) -> Sql<()> {
        (lock(&self.work))(conn)
    }
}

/// One transaction for all that `next` gives, which are in `jobs` then; where one of them fails, each gets a transaction of
/// its own. How each ended, and how long the commit took.
fn run(
    conn: &Connection,
    mut next: impl FnMut() -> Option<Arc<Job>>,
    jobs: &mut Vec<Arc<Job>>,
) -> (Vec<Result<()>>, Duration) {
    if let Err(unbegun) = frame(conn, "BEGIN IMMEDIATE") {
        // Whoever else is there would fare no better, after as long a wait.
        jobs.extend(std::iter::from_fn(next));
        let error = unbegun.fault().into_error();
        return (vec![Err(error); jobs.len()], Duration::ZERO);
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
    let ends = match (done, jobs.as_slice()) {
        (Ok(()), jobs) => vec![Ok(()); jobs.len()],
        (Err(End::Work(fault)), [_]) => vec![Err(fault.into_error())],
        (Err(End::Work(_)), jobs) => jobs.iter().map(|job| alone(conn, job)).collect(),
        (Err(End::Frame(fault)), jobs) => vec![Err(fault.into_error()); jobs.len()],
    };
    (ends, took)
}

fn alone(conn: &Connection, job: &Job) -> Result<()> {
    let done = frame(conn, "BEGIN IMMEDIATE").and_then(|()| end(conn, job.run(conn)));
    done.map_err(|end| end.fault().into_error())
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

    #[test]
    fn who_fails_fails_alone() {
        let conn = database();
        let refuse: Work = Box::new(|conn| {
            conn.execute("INSERT INTO t (n) VALUES (99)", [])?;
            Err(Error::new(ErrorKind::QueueFull, "no room").into())
        });
        let mut given = VecDeque::from([job(insert(1)), job(refuse), job(insert(2)), job(insert(1))]);
        let mut ends = Vec::new();
        while !given.is_empty() {
            ends.extend(run(&conn, || given.pop_front(), &mut Vec::new()).0);
        }
        assert_eq!(rows(&conn), [1, 2]);
        let kinds: Vec<_> = ends
            .iter()
            .map(|end| end.as_ref().err().map(Error::kind))
            .collect();
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
            for n in 0..40 {
                let (group, session) = (&group, &session);
                scope.spawn(move || group.write(session, insert(n)).unwrap());
            }
            // The first waits for the connection, the others for the first.
            while lock(&group.queue).waiting.len() < 40 {
                std::thread::yield_now();
            }
            drop(held);
        });
        assert_eq!(rows(&lock(&conn)), (0..40).collect::<Vec<_>>());
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
    fn a_panic_of_one_leaves_nobody_waiting() {
        let conn = Mutex::new(database());
        let group = Group::default();
        let session = |work: &mut dyn FnMut(&Connection) -> Sql<()>| {
            let conn = lock(&conn);
            if !conn.is_autocommit() {
                conn.execute_batch("ROLLBACK").unwrap();
            }
            work(&conn).map_err(Fault::into_error)
        };
        let held = lock(&conn);
        let ends: Vec<_> = std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for n in 0..9 {
                let work = move |conn: &Connection| match n {
                    4 => panic!("on purpose"),
                    n => insert(n)(conn),
                };
                let (group, session) = (&group, &session);
                threads.push(scope.spawn(move || group.write(session, work)));
                while lock(&group.queue).waiting.len() < threads.len() {
                    std::thread::yield_now();
                }
            }
            drop(held);
            threads.into_iter().map(|thread| thread.join().ok()).collect()
        });
        // Whose work the panic undid, and those whose it did not reach.
        let kinds: Vec<_> = ends
            .iter()
            .map(|end| end.as_ref().map(|end| end.is_ok()))
            .collect();
        let failed = Some(false);
        let expected = [
            None,
            failed,
            failed,
            failed,
            failed,
            Some(true),
            Some(true),
            Some(true),
            Some(true),
        ];
        assert_eq!(kinds, expected);
        assert_eq!(rows(&lock(&conn)), [5, 6, 7, 8]);
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
