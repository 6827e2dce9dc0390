//! The checks that need no open database: files and their modes, the key, the disk, the clock.
//!
//! No file is opened: closing one of the database's would drop the locks of an agent in this process.

use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Finding;
use crate::Timestamp;
use crate::cli::connectors::now;
use crate::cli::{Session, database};

/// Below so many free bytes pushes are about to be refused.
const LOW_BYTES: u64 = 256 << 20;
const EMPTY_BYTES: u64 = 16 << 20;
/// A write-ahead log of this size is not cut back: something keeps an old view of the database open.
const LARGE_LOG_BYTES: u64 = 64 << 20;
/// casehook was written later than this (2026-01-01), so a clock that says less is wrong.
const LATER_THAN_MILLIS: i64 = 1_767_225_600_000;

pub(super) fn look(session: &Session<'_>, path: &Path) -> Vec<Finding> {
    let mut findings = vec![file(session, path)];
    findings.extend(log(path));
    findings.push(key(path));
    findings.extend(disk(path));
    findings.push(clock(now()));
    findings
}

fn file(session: &Session<'_>, path: &Path) -> Finding {
    let shown = database::shown(path);
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let configure = session.command("configure NAME FILE");
            return Finding::problem(
                "database",
                format!("there is no {shown}"),
                format!("{configure} creates one; or name another with --db"),
            );
        }
        Err(error) => {
            let advice = "run this as the user whose database it is";
            return Finding::problem(
                "database",
                format!("{shown} cannot be looked at: {error}"),
                advice,
            );
        }
    };
    if let Some(finding) = not_ours("database", path, &metadata) {
        return finding;
    }
    let size = metadata.len() >> 10;
    Finding::ok(
        "database",
        format!("{shown}, {size} KiB, mode {:03o}", mode(&metadata)),
    )
}

/// Not a file, somebody else's, or readable to others.
fn not_ours(check: &'static str, path: &Path, metadata: &Metadata) -> Option<Finding> {
    let shown = path.display();
    if !metadata.is_file() {
        return Some(Finding::problem(
            check,
            format!("{shown} is not a file"),
            "give casehook a path of its own",
        ));
    }
    let own = rustix::process::geteuid().as_raw();
    if own != 0 && metadata.uid() != own {
        return Some(Finding::problem(
            check,
            format!("{shown} belongs to user {}, this is user {own}", metadata.uid()),
            "run casehook as the user whose file it is; files made by two users lock each other out",
        ));
    }
    (mode(metadata) & 0o077 != 0).then(|| {
        Finding::warning(
            check,
            format!(
                "{shown} can be read or written by others (mode {:03o})",
                mode(metadata)
            ),
            format!("chmod 600 {}", crate::cli::quote(&shown.to_string())),
        )
    })
}

fn log(path: &Path) -> Option<Finding> {
    let log = beside(path, "-wal");
    let size = log.metadata().ok()?.len();
    Some(match size {
        ..=LARGE_LOG_BYTES => Finding::ok("database", format!("the write-ahead log has {} KiB", size >> 10)),
        _ => Finding::warning(
            "database",
            format!("the write-ahead log has {} MiB", size >> 20),
            "a program reads the database without ever ending its transaction; end it (sqlite3 shells and \
             backup tools are the usual ones)",
        ),
    })
}

fn key(path: &Path) -> Finding {
    let file = beside(path, ".key");
    let from_environment = std::env::var_os("CASEHOOK_KEY").is_some_and(|text| !text.is_empty());
    match (from_environment, file.metadata()) {
        (true, Ok(_)) => Finding::warning(
            "key",
            format!("CASEHOOK_KEY is set, and {} is there too", file.display()),
            "CASEHOOK_KEY is what is used; remove the file if it is not the key of this database",
        ),
        (true, Err(_)) => Finding::ok("key", "from CASEHOOK_KEY"),
        (false, Ok(metadata)) => not_ours("key", &file, &metadata)
            .unwrap_or_else(|| Finding::ok("key", format!("in {}; keep a copy of it apart", file.display()))),
        (false, Err(_)) => Finding::ok(
            "key",
            "there is no key file: it is made with the first stored secret",
        ),
    }
}

fn disk(path: &Path) -> Option<Finding> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let told = rustix::fs::statvfs(folder).ok()?;
    let free = told.f_bavail.saturating_mul(told.f_frsize);
    let text = format!("{} MiB free at {}", free >> 20, folder.display());
    let advice = "make room; without it every push is refused, and nothing that is stored is lost";
    Some(match free {
        _ if free < EMPTY_BYTES => Finding::problem("disk", text, advice),
        _ if free < LOW_BYTES => Finding::warning("disk", text, advice),
        _ => Finding::ok("disk", text),
    })
}

pub(super) fn clock(now: Timestamp) -> Finding {
    let text = format!("{now}");
    if now.as_millis() < LATER_THAN_MILLIS {
        let advice = "set it: certificates are judged and retries are timed by it";
        return Finding::problem("clock", format!("it says {text}, which is long past"), advice);
    }
    Finding::ok("clock", text)
}

fn mode(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o777
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_clock_that_was_never_set_is_a_problem() {
        assert_eq!(clock(Timestamp::from_millis(0)).verdict, Verdict::Problem);
        assert_eq!(
            clock(Timestamp::from_millis(LATER_THAN_MILLIS)).verdict,
            Verdict::Ok
        );
    }
}
