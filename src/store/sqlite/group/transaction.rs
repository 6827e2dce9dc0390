//! The transactions of a group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::job::Job;
use crate::error::Result;
use crate::store::sqlite::transaction::{EXCLUDING, End, end, frame};

/// One transaction for all that `next` gives, which are in `jobs` then; where one of them fails, each gets a transaction of
/// its own. How each ended, and how long the commit took.
pub(super) fn run(
    conn: &Connection,
    mut next: impl FnMut() -> Option<Arc<Job>>,
    jobs: &mut Vec<Arc<Job>>,
) -> (Vec<Result<()>>, Duration) {
    if let Err(unbegun) = frame(conn, EXCLUDING) {
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
    let done = frame(conn, EXCLUDING).and_then(|()| end(conn, job.run(conn)));
    done.map_err(|end| end.fault().into_error())
}
