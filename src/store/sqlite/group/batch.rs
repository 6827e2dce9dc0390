//! Those who share a commit, and the transactions that they get.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::job::Job;
use crate::error::Result;
use crate::store::sqlite::transaction::{EXCLUDING, End, Open};

/// Jobs in the order in which they were taken in.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) jobs: Vec<Arc<Job>>,
    /// How the first of them ended, as far as that is known.
    pub(super) ends: Vec<Result<()>>,
}

impl Batch {
    /// One transaction for all that `next` gives; where one of them fails, each gets a transaction of its own. Where none
    /// can be begun, the `present` who waited for that from the beginning fail. How long the commit took.
    pub(super) fn run(
        &mut self,
        conn: &Connection,
        present: usize,
        mut next: impl FnMut() -> Option<Arc<Job>>,
    ) -> Duration {
        let open = match Open::begin(conn, EXCLUDING) {
            Ok(open) => open,
            Err(unbegun) => {
                self.jobs.extend(std::iter::from_fn(next).take(present));
                self.end_all(&Err(unbegun.fault().into_error()));
                return Duration::ZERO;
            }
        };
        let mut each = || {
            while let Some(job) = next() {
                self.jobs.push(Arc::clone(&job));
                job.run(conn)?;
            }
            Ok(())
        };
        let done = each();
        let begun = Instant::now();
        let done = open.end(done);
        let took = begun.elapsed();
        match done {
            Ok(()) => self.end_all(&Ok(())),
            Err(End::Work(fault)) if self.jobs.len() == 1 => self.end_all(&Err(fault.into_error())),
            Err(End::Work(_)) => {
                for job in &self.jobs {
                    self.ends.push(alone(conn, job));
                }
            }
            Err(End::Frame(fault)) => self.end_all(&Err(fault.into_error())),
        }
        took
    }

    pub(super) fn end_all(&mut self, end: &Result<()>) {
        self.ends.resize_with(self.jobs.len(), || end.clone());
    }
}

fn alone(conn: &Connection, job: &Job) -> Result<()> {
    let done = Open::begin(conn, EXCLUDING).and_then(|open| open.end(job.run(conn)));
    done.map_err(|end| end.fault().into_error())
}
