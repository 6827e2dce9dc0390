//! Which call fails, and how.

use rusqlite::ffi;

/// What SQLite asks of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Call {
    Open,
    Delete,
    Access,
    Read,
    Write,
    Truncate,
    Sync,
    Size,
    Lock,
    ShmMap,
    ShmLock,
}

impl Call {
    /// Every kind.
    pub const ALL: [Call; 11] = [
        Call::Open,
        Call::Delete,
        Call::Access,
        Call::Read,
        Call::Write,
        Call::Truncate,
        Call::Sync,
        Call::Size,
        Call::Lock,
        Call::ShmMap,
        Call::ShmLock,
    ];

    /// The result codes with which the call can fail.
    pub const fn codes(self) -> &'static [i32] {
        match self {
            Call::Open => &[ffi::SQLITE_CANTOPEN, ffi::SQLITE_FULL],
            Call::Delete => &[ffi::SQLITE_IOERR_DELETE],
            Call::Access => &[ffi::SQLITE_IOERR_ACCESS],
            Call::Read => &[ffi::SQLITE_IOERR_READ],
            Call::Write => &[ffi::SQLITE_FULL, ffi::SQLITE_IOERR_WRITE],
            Call::Truncate => &[ffi::SQLITE_IOERR_TRUNCATE],
            Call::Sync => &[ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_FULL],
            Call::Size => &[ffi::SQLITE_IOERR_FSTAT],
            Call::Lock => &[ffi::SQLITE_IOERR_LOCK, ffi::SQLITE_BUSY],
            Call::ShmMap => &[ffi::SQLITE_IOERR_SHMMAP, ffi::SQLITE_IOERR_SHMSIZE],
            Call::ShmLock => &[ffi::SQLITE_IOERR_SHMLOCK, ffi::SQLITE_BUSY],
        }
    }
}

/// What a planned call does in place of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing is done, and this result code returned.
    Fail(i32),
    /// Half of what was to be written is, and this result code returned. Other calls fail whole.
    Half(i32),
    /// The process is killed instead.
    Kill,
    /// The process is killed after half of what was to be written is. Other calls are done first.
    KillHalfway,
}

/// What is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Calls of this kind count.
    pub call: Call,
    /// The first one that meets the effect, from 1.
    pub nth: u64,
    /// How many meet it in a row; `u64::MAX` for all that follow.
    pub times: u64,
    /// What they meet.
    pub effect: Effect,
}

/// A plan and how far it is.
#[derive(Default)]
pub(crate) struct Planned {
    plan: Option<Plan>,
    counts: [u64; Call::ALL.len()],
    met: u64,
}

impl Planned {
    pub(crate) fn begin(&mut self, plan: Option<Plan>) {
        *self = Planned {
            plan,
            ..Planned::default()
        };
    }

    /// Counts a call; the effect when it is to meet one.
    pub(crate) fn enter(&mut self, call: Call) -> Option<Effect> {
        let count = &mut self.counts[call as usize];
        *count += 1;
        let count = *count;
        let plan = self.plan.as_ref().filter(|plan| plan.call == call)?;
        let hit = count >= plan.nth && count - plan.nth < plan.times;
        hit.then(|| {
            self.met += 1;
            plan.effect
        })
    }

    pub(crate) fn count(&self, call: Call) -> u64 {
        self.counts[call as usize]
    }

    pub(crate) fn met(&self) -> u64 {
        self.met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_meets_the_calls_it_names() {
        let mut planned = Planned::default();
        let effect = Effect::Fail(1);
        planned.begin(Some(Plan {
            call: Call::Write,
            nth: 2,
            times: 2,
            effect,
        }));
        let met: Vec<bool> = (0..5).map(|_| planned.enter(Call::Write).is_some()).collect();
        assert_eq!(met, [false, true, true, false, false]);
        assert_eq!(planned.enter(Call::Read), None);
        assert_eq!((planned.count(Call::Write), planned.met()), (5, 2));
    }
}
