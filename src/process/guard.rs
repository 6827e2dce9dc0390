//! Keeps a second copy of casehook in the same process off the same database.
//!
//! Two copies have two SQLites, and two SQLites in one process lose each other's locks, and with them data. A lock that
//! belongs to the open file (not to the process) on a file named after the process tells the copies of one process apart,
//! and says nothing to other processes or to a forked child. A process number alone would not name the process: every
//! container has its own number 1, and two of them may share a folder.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::ffi::OsStrExt;
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
    /// A fork has another number, and may not remove the file.
    pid: u32,
    _file: File,
}

impl ProcessGuard {
    /// Takes the guard for this process, and clears away what killed processes left.
    pub(crate) fn take(database: &Path) -> Result<ProcessGuard> {
        ProcessGuard::take_as(database, &identity())
    }

    fn take_as(database: &Path, identity: &str) -> Result<ProcessGuard> {
        sweep(database, identity);
        let path = beside(database, &format!(".lock-{identity}"));
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
                    pid: std::process::id(),
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

/// What all copies of casehook in this process agree on, and no other process on this machine or another: its number, and
/// a hash of when the system and the process began and of the process's name space.
fn identity() -> String {
    let pid = std::process::id();
    let read = |path: &str| std::fs::read(path).unwrap_or_default();
    let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let stat = read("/proc/self/stat");
    name(
        pid,
        &[
            &read("/proc/sys/kernel/random/boot_id"),
            space.as_os_str().as_bytes(),
            started(&stat),
        ],
    )
}

/// When a process began, in ticks since the system did: the 22nd field of its `stat`, the 20th after the name, which ends
/// at the last parenthesis and may hold anything.
fn started(stat: &[u8]) -> &[u8] {
    let after_name = stat.iter().rposition(|&byte| byte == b')').map_or(0, |at| at + 2);
    let fields = stat.get(after_name..).unwrap_or_default();
    fields.split(|&byte| byte == b' ').nth(19).unwrap_or_default()
}

/// The number alone where the system tells no more (macOS, which has no containers of its own).
fn name(pid: u32, facts: &[&[u8]]) -> String {
    if facts.iter().all(|fact| fact.is_empty()) {
        return pid.to_string();
    }
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    for fact in facts {
        hash.update(&fact.len().to_le_bytes());
        hash.update(fact);
    }
    let hash = hash.finish();
    let (start, _) = hash.as_ref().split_at(8);
    let hex: String = start.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{pid}-{hex}")
}

/// Whether this is the end of a guard file's name: a number, perhaps with 16 hex digits after it.
fn is_identity(text: &str) -> bool {
    let (pid, hash) = text.split_once('-').unwrap_or((text, "0123456789abcdef"));
    pid.parse::<u32>().is_ok() && hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit())
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
fn sweep(database: &Path, own: &str) {
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
        let identity = file_name
            .to_str()
            .and_then(|name| name.strip_prefix(&prefix))
            .filter(|rest| is_identity(rest));
        let stale = identity.is_some_and(|identity| identity != own)
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
                        sweep(&database, "0");
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
        let side = |name: &str| folder.path().join(format!("a.db.lock-{name}"));
        let (left, held) = (side("1"), side("2-0123456789abcdef"));
        let (left_too, foreign) = (side("3-fedcba9876543210"), side("1-notes"));
        for path in [&left, &left_too, &foreign] {
            std::fs::write(path, "").unwrap();
        }
        let holder = open_private(&held).unwrap();
        holder.try_lock().unwrap();
        let _guard = ProcessGuard::take(&database).unwrap();
        assert!(!left.exists() && !left_too.exists());
        assert!(held.exists() && foreign.exists());
    }

    #[test]
    fn processes_of_one_number_in_two_containers_do_not_refuse_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let here = name(1, &[b"boot", b"pid:[4026531836]", b"77"]);
        let facts: [[&[u8]; 3]; 3] = [
            [b"other boot", b"pid:[4026531836]", b"77"],
            [b"boot", b"pid:[4026532999]", b"77"],
            [b"boot", b"pid:[4026531836]", b"78"],
        ];
        let first = ProcessGuard::take_as(&database, &here).unwrap();
        let mut others = Vec::new();
        for facts in &facts {
            let there = name(1, facts);
            others.push(ProcessGuard::take_as(&database, &there).unwrap());
            let second_copy = ProcessGuard::take_as(&database, &there).unwrap_err();
            assert_eq!(second_copy.kind(), ErrorKind::SecondCopy);
        }
        assert!(first.path.exists(), "nobody swept a guard that is held");
        assert_eq!(
            ProcessGuard::take_as(&database, &here).unwrap_err().kind(),
            ErrorKind::SecondCopy
        );
    }

    #[test]
    fn the_start_is_read_after_a_name_that_looks_like_fields() {
        let stat = b"12 (a) b (c 1) S 1 12 12 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 9 9";
        assert_eq!(started(stat), b"4711");
        assert_eq!(started(b"12 (short) S 1"), b"");
        assert_eq!(started(b""), b"");
        assert_eq!(name(7, &[b"", b""]), "7");
        assert!(is_identity(&identity()), "{}", identity());
        assert_eq!(identity(), identity());
    }
}
