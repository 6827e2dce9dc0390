//! Whether the place of a database is one where nobody else can put files in its way.
//!
//! Checked before anything is opened. What is opened afterwards is opened without following links, so that a file that is
//! exchanged in between meets an error and never a foreign file.

use std::fs::{self, Metadata};
use std::io::ErrorKind as Io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::guard::beside;
use crate::error::{Error, ErrorKind, Result};

/// What may lie beside a database: SQLite's files, the key and its successor, the lock.
const SIDE_FILES: [&str; 6] = ["-wal", "-shm", "-journal", ".key", ".key.new", ".lock"];

/// Anybody may write to it.
const WORLD_WRITABLE: u32 = 0o002;
/// Its group may write to it.
const GROUP_WRITABLE: u32 = 0o020;
/// Whatever somebody else than the owner may do.
const OTHERS: u32 = 0o077;
/// In such a folder only the owner of a file may remove or rename it.
const STICKY: u32 = 0o1000;
/// The user, and the group, that may do anything anyway.
const ROOT: u32 = 0;
/// The usual number of a user that is not known here.
const NOBODY: u32 = 65_534;

/// Refuses a database (its path without links) whose files others could replace, or may have put there.
///
/// A folder that anybody may write to is taken only with the sticky bit (as `/tmp` has it), since then files of others
/// are told by their owner and ours cannot be moved away; the same holds for every folder above it. Links in the place of a side file are refused whatever
/// `trusted` says.
///
/// # Errors
/// `Store`, saying which file and what would be right.
pub(crate) fn check(database: &Path, trusted: bool) -> Result<()> {
    for suffix in SIDE_FILES {
        let path = beside(database, suffix);
        let Some(found) = look(&path)? else { continue };
        if !found.is_file() {
            let what = if found.is_symlink() {
                "a symbolic link"
            } else {
                "no ordinary file"
            };
            return Err(refused(
                &path,
                &format!("is {what}; put the file itself there, or remove it"),
            ));
        }
        if !trusted {
            check_owner(&path, &found)?;
            match suffix {
                ".key" | ".key.new" => keep_private(&path, &found)?,
                _ => check_writers(&path, &found)?,
            }
        }
    }
    if trusted {
        return Ok(());
    }
    if let Some(found) = look(database)? {
        check_owner(database, &found)?;
        check_writers(database, &found)?;
    }
    check_folders(database)
}

/// Refuses a folder on the way to the database in which anybody could put another one, or another database, in the place of
/// ours, and warns of those in which some others could.
///
/// A warning and no more, since in containers a folder often belongs to a number that nobody there has, and groups are given
/// what they are meant to have.
fn check_folders(database: &Path) -> Result<()> {
    let here = match database.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let us = Us::now();
    for folder in here.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
        // What cannot be looked at from within a sandbox cannot be judged.
        let found = match look(folder) {
            Ok(Some(found)) => found,
            Err(error) if folder == here => return Err(error),
            _ => continue,
        };
        let mode = found.permissions().mode();
        if mode & WORLD_WRITABLE != 0 && mode & STICKY == 0 {
            let what = match folder == here {
                true => "the database or the key; use a folder that is writable for its owner alone",
                false => {
                    "what lies in it, the folder of the database too; take that right away (chmod o-w, or +t where all need it)"
                }
            };
            let message = format!(
                "may be written to by everybody, who could replace {what}, or open with the option that trusts the location"
            );
            return Err(refused(folder, &message));
        }
        if let Some(doubt) = us.doubt(found.uid(), found.gid(), mode, folder == here) {
            log::warn!(
                "{} {doubt}, who could replace the database with another one; the option that trusts the location says that \
                 this is meant so",
                folder.display()
            );
        }
    }
    Ok(())
}

/// Who this process is, to whoever owns a folder.
struct Us {
    user: u32,
    group: u32,
    /// What the owner of a file shows as that this name space of users does not know.
    unknown: u32,
}

impl Us {
    fn now() -> Us {
        let unknown = fs::read_to_string("/proc/sys/kernel/overflowuid").ok();
        Us {
            user: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
            unknown: unknown
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(NOBODY),
        }
    }

    /// What makes it doubtful that nobody else can put something else into the folder. Of the folder that the database lies in
    /// its group is no doubt: sharing it is what that is for.
    fn doubt(&self, owner: u32, group: u32, mode: u32, is_own: bool) -> Option<String> {
        if ![ROOT, self.user, self.unknown].contains(&owner) {
            return Some(format!("belongs to another user (number {owner})"));
        }
        let shared = mode & GROUP_WRITABLE != 0 && mode & STICKY == 0;
        if shared && !is_own && ![ROOT, self.group].contains(&group) {
            return Some(format!("may be written to by a group (number {group})"));
        }
        None
    }
}

/// Refuses a file that anybody may write to.
fn check_writers(path: &Path, found: &Metadata) -> Result<()> {
    let mode = found.permissions().mode();
    // An empty one holds nothing yet, and is closed to others before it does.
    if mode & WORLD_WRITABLE == 0 || found.len() == 0 {
        return Ok(());
    }
    let message = format!(
        "may be written to by everybody (mode {:03o}), who could change what is delivered and to where; take that right \
         away (chmod 600), or open with the option that trusts the location",
        mode & 0o777
    );
    Err(refused(path, &message))
}

/// Takes from everybody else what they may do with the key.
fn keep_private(path: &Path, found: &Metadata) -> Result<()> {
    let mode = found.permissions().mode() & 0o777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode & !OTHERS)).map_err(|error| {
        refused(
            path,
            &format!("is open to others (mode {mode:03o}) and stays so: {error}"),
        )
    })?;
    log::warn!(
        "{} was open to others (mode {mode:03o}) and is closed to them now; if somebody may have read it, change the key \
         with rekey",
        path.display()
    );
    Ok(())
}

fn check_owner(path: &Path, found: &Metadata) -> Result<()> {
    let own = rustix::process::geteuid().as_raw();
    if found.uid() == own {
        return Ok(());
    }
    let message = format!(
        "belongs to another user (number {}, this process is {own}); run as that user, change the owner, or open with \
         the option that trusts the location",
        found.uid()
    );
    Err(refused(path, &message))
}

fn look(path: &Path) -> Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), Io::NotFound | Io::NotADirectory) => Ok(None),
        Err(error) => Err(refused(path, &format!("cannot be looked at: {error}"))),
    }
}

fn refused(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Store, format!("{} {what}", path.display())).at("path")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_for_everybody_is_refused_unless_sticky_or_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        for (mode, fine) in [
            (0o700, true),
            (0o755, true),
            (0o770, true),
            (0o777, false),
            (0o702, false),
            (0o1777, true),
        ] {
            set_mode(folder.path(), mode);
            let checked = check(&database, false);
            assert_eq!(checked.is_ok(), fine, "{mode:o} {checked:?}");
            check(&database, true).unwrap();
        }
        set_mode(folder.path(), 0o777);
        let error = check(&database, false).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Store, Some("path")));
        assert!(error.message().contains("trusts the location"), "{error}");
    }

    #[test]
    fn a_folder_above_for_everybody_is_refused_unless_sticky_or_trusted() {
        let top = tempfile::tempdir().unwrap();
        let middle = top.path().join("middle");
        let folder = middle.join("folder");
        fs::create_dir_all(&folder).unwrap();
        let database = folder.join("a.db");
        check(&database, false).unwrap();
        for above in [top.path(), middle.as_path()] {
            for (mode, fine) in [(0o777, false), (0o703, false), (0o1777, true), (0o775, true)] {
                set_mode(above, mode);
                let checked = check(&database, false);
                assert_eq!(checked.is_ok(), fine, "{} {mode:o} {checked:?}", above.display());
                if let Err(error) = checked {
                    let named = error
                        .message()
                        .starts_with(&format!("{} may be", above.display()));
                    assert!(named && error.message().contains("chmod o-w"), "{error}");
                    assert_eq!((error.kind(), error.field()), (ErrorKind::Store, Some("path")));
                }
                check(&database, true).unwrap();
            }
            set_mode(above, 0o700);
        }
    }

    #[test]
    fn others_who_could_replace_a_folder_are_warned_of() {
        let us = Us {
            user: 1_000,
            group: 100,
            unknown: NOBODY,
        };
        for (owner, group, mode, is_own, doubt) in [
            (0, 0, 0o755, false, None),
            (1_000, 1_000, 0o700, true, None),
            (NOBODY, NOBODY, 0o755, false, None),
            (1_001, 0, 0o700, false, Some("user (number 1001)")),
            (1_001, 0, 0o700, true, Some("user (number 1001)")),
            (0, 50, 0o2775, false, Some("group (number 50)")),
            (0, 50, 0o3775, false, None),
            (0, 50, 0o2775, true, None),
            (1_000, 100, 0o775, false, None),
            (0, 0, 0o775, false, None),
        ] {
            let said = us.doubt(owner, group, mode, is_own);
            let what = format!("{owner}:{group} {mode:o} {is_own}: {said:?}");
            assert_eq!(said.is_some(), doubt.is_some(), "{what}");
            assert!(
                said.unwrap_or_default().contains(doubt.unwrap_or_default()),
                "{what}"
            );
        }
    }

    #[test]
    fn a_link_or_a_folder_in_the_place_of_a_side_file_is_refused_even_when_trusted() {
        for suffix in SIDE_FILES {
            for dangling in [true, false] {
                let folder = tempfile::tempdir().unwrap();
                let database = folder.path().join("a.db");
                let aim = folder.path().join("aim");
                if !dangling {
                    fs::write(&aim, "").unwrap();
                }
                symlink(&aim, beside(&database, suffix)).unwrap();
                for trusted in [true, false] {
                    let error = check(&database, trusted).unwrap_err();
                    assert!(error.message().contains("a symbolic link"), "{suffix}: {error}");
                }
            }
            let folder = tempfile::tempdir().unwrap();
            let database = folder.path().join("a.db");
            fs::create_dir(beside(&database, suffix)).unwrap();
            assert!(check(&database, true).is_err(), "{suffix}");
        }
    }

    #[test]
    fn a_database_for_everybody_is_refused_and_a_key_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        for suffix in SIDE_FILES.iter().chain(&[""]) {
            let path = beside(&database, suffix);
            fs::write(&path, "x").unwrap();
            set_mode(&path, 0o666);
            check(&database, true).unwrap();
            assert_eq!(look(&path).unwrap().unwrap().mode() & 0o777, 0o666, "{suffix}");
            let checked = check(&database, false);
            if suffix.starts_with(".key") {
                checked.unwrap();
                assert_eq!(look(&path).unwrap().unwrap().mode() & 0o777, 0o600, "{suffix}");
            } else {
                let error = checked.unwrap_err();
                assert!(
                    error.message().contains("everybody (mode 666)"),
                    "{suffix}: {error}"
                );
                set_mode(&path, 0o644);
                check(&database, false).unwrap();
            }
        }
    }

    #[test]
    fn files_of_another_user_are_refused_unless_trusted() {
        if !rustix::process::geteuid().is_root() {
            // Only root can give files away; what follows needs that.
            return;
        }
        for suffix in SIDE_FILES.iter().chain(&[""]) {
            let folder = tempfile::tempdir().unwrap();
            let database = folder.path().join("a.db");
            let path = beside(&database, suffix);
            fs::write(&path, "").unwrap();
            check(&database, false).unwrap();
            std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
            let error = check(&database, false).unwrap_err();
            assert!(error.message().contains("another user (number 12345"), "{error}");
            check(&database, true).unwrap();
        }
    }
}
