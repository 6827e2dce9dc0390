//! Keeps a second copy of casehook in the same process off the same database.
//!
//! Two copies have two SQLites, and two SQLites in one process lose each other's locks, and with them data. A lock that
//! belongs to the open file (not to the process) on a file named after the process tells the copies of one process apart,
//! and says nothing to other processes or to a forked child.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// Whoever holds the lock for longer than this is another copy, and no sweep.
const SWEEP_LASTS: Duration = Duration::from_millis(250);

/// Held as long as this copy of casehook has the database open.
#[derive(Debug)]
pub(crate) struct ProcessGuard {
    path: PathBuf,
    pid: u32,
    _file: File,
}

impl ProcessGuard {
    /// Takes the guard for this process, and clears away what killed processes left.
    pub(crate) fn take(database: &Path) -> Result<ProcessGuard> {
        let pid = std::process::id();
        sweep(database, pid);
        let path = beside(database, &format!(".lock-{pid}"));
        let started = Instant::now();
        loop {
            let file = open_private(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                // The sweep of another process looks at a file by locking it, for a moment.
                Err(TryLockError::WouldBlock) if started.elapsed() < SWEEP_LASTS => {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                }
                Err(TryLockError::WouldBlock) => {
                    let message = format!(
                        "another copy of casehook in this process has {} open (for example the C library and the \
                         Python package at once); use one of them for it",
                        database.display()
                    );
                    return Err(Error::new(ErrorKind::SecondCopy, message));
                }
                Err(TryLockError::Error(error)) => {
                    let message = format!("{} cannot be locked: {error}", path.display());
                    return Err(Error::new(ErrorKind::Store, message));
                }
            }
            // A sweep may have removed the file between opening and locking it.
            if same_file(&file, &path) {
                return Ok(ProcessGuard {
                    path,
                    pid,
                    _file: file,
                });
            }
        }
    }
}

impl Drop for ProcessGuard {
    fn drop(&mut self) {
        if self.pid == std::process::id() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The path of a side file of the database.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Opens a side file for locking: readable by its owner alone, never through a symbolic link.
pub(super) fn open_private(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(|error| {
            let message = format!("{} cannot be opened: {error}", path.display());
            Error::new(ErrorKind::Store, message)
        })
}

fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Removes the guard files of processes that are gone: nobody holds their lock.
fn sweep(database: &Path, own: u32) {
    let Some(name) = database.file_name() else { return };
    let prefix = format!("{}.lock-", name.to_string_lossy());
    let folder = match database.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let file_name = entry.file_name();
        let pid = file_name
            .to_str()
            .and_then(|name| name.strip_prefix(&prefix))
            .and_then(|pid| pid.parse::<u32>().ok());
        let stale = pid.is_some_and(|pid| pid != own)
            && open_private(&entry.path()).is_ok_and(|file| {
                file.try_lock().is_ok() && {
                    let _ = std::fs::remove_file(entry.path());
                    true
                }
            });
        if stale {
            log::debug!(
                "removed {}, left by a process that is gone",
                entry.path().display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_guard_in_the_process_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let first = ProcessGuard::take(&database).unwrap();
        assert_eq!(
            ProcessGuard::take(&database).unwrap_err().kind(),
            ErrorKind::SecondCopy
        );
        drop(first);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        ProcessGuard::take(&database).unwrap();
    }

    #[test]
    fn a_sweep_of_another_process_is_not_taken_for_a_second_copy() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        sweep(&database, 0);
                    }
                });
            }
            let taken: Vec<Result<ProcessGuard>> = (0..3000)
                .map(|_| ProcessGuard::take(&database))
                .filter(Result::is_err)
                .collect();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(taken.is_empty(), "{} of 3000: {:?}", taken.len(), taken[0]);
        });
    }

    #[test]
    fn files_left_by_killed_processes_are_swept_and_held_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let (left, held) = (
            folder.path().join("a.db.lock-1"),
            folder.path().join("a.db.lock-2"),
        );
        std::fs::write(&left, "").unwrap();
        let holder = open_private(&held).unwrap();
        holder.try_lock().unwrap();
        let _guard = ProcessGuard::take(&database).unwrap();
        assert!(!left.exists());
        assert!(held.exists());
    }
}
