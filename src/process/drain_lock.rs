//! Which process drains: a POSIX record lock on a file that only casehook opens, once per process.
//!
//! A record lock belongs to the process: it goes with it at a kill -9, also while a forked child lives on. It would also go
//! when any descriptor of the file in this process is closed; hence a file of its own, opened once (see `registry`).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk};

use super::guard::{beside, open_private};
use crate::error::{Error, ErrorKind, Result};

/// The lock of the draining process.
#[derive(Debug)]
pub(crate) struct DrainLock {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl DrainLock {
    /// For the database at `path`; nothing is opened yet.
    pub(crate) fn new(path: &Path) -> DrainLock {
        DrainLock {
            path: beside(path, ".lock"),
            file: Mutex::new(None),
        }
    }

    /// Takes the lock unless another process holds it.
    pub(crate) fn try_acquire(&self) -> Result<bool> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match file.take() {
            Some(open) => open,
            None => open_private(&self.path)?,
        };
        let taken = fcntl_lock(&open, FlockOperation::NonBlockingLockExclusive);
        *file = Some(open);
        match taken {
            Ok(()) => Ok(true),
            Err(Errno::ACCESS | Errno::AGAIN) => Ok(false),
            Err(error) => {
                let message = format!("{} cannot be locked: {error}", self.path.display());
                Err(Error::new(ErrorKind::Store, message))
            }
        }
    }

    /// Whether another process has the lock: true as well when that cannot be told.
    ///
    /// In a process that may hold it, only to be asked of the one lock that is taken: looking opens the file.
    pub(crate) fn is_held_elsewhere(&self) -> bool {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.is_none() {
            *file = open_private(&self.path).ok();
        }
        let wanted = Flock::from(FlockType::WriteLock);
        let held = file
            .as_ref()
            .map(|file| fcntl_getlk(file, &wanted).is_ok_and(|held| held.is_none()));
        held != Some(true)
    }

    /// Lets another process drain.
    pub(crate) fn release(&self) {
        // Closing is what releases; a failed unlock would say nothing that closing does not mend.
        self.file.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
