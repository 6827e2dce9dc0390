//! Files beside SQLite's own handling: made for their owner alone, and never opened again while SQLite has
//! them.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind as Io, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// The file's owner may read and write it, nobody else.
const OWNER_ONLY: u32 = 0o600;

/// Where the database lies, links resolved, and made empty for its owner alone if it was not there.
///
/// The file exists when this returns, and no descriptor of it is left open: closing one later would drop
/// SQLite's locks.
pub(super) fn prepare_database(path: &Path) -> Result<PathBuf> {
    match create_exclusively(path) {
        Ok(file) => {
            file.sync_all().map_err(|e| io(path, "cannot be written", &e))?;
            drop(file);
            sync_directory(path)?;
        }
        Err(error) if error.kind() == Io::AlreadyExists => {}
        Err(error) => return Err(io(path, "cannot be created", &error)),
    }
    let path = fs::canonicalize(path).map_err(|e| io(path, "cannot be reached", &e))?;
    let metadata = fs::metadata(&path).map_err(|e| io(&path, "cannot be read", &e))?;
    if !metadata.is_file() {
        return Err(Error::new(
            ErrorKind::Store,
            format!(
                "{} is not a file; give the path of a database file",
                path.display()
            ),
        ));
    }
    if metadata.len() == 0 && metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(&path, fs::Permissions::from_mode(OWNER_ONLY))
            .map_err(|e| io(&path, "cannot be kept from other users", &e))?;
    }
    Ok(path)
}

/// Makes a file for its owner alone; fails when anything of that name is there, a dangling link included.
pub(super) fn create_exclusively(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY)
        .open(path)
}

/// Makes a file with this content, whole and on disk, or leaves nothing. False when a file of that name is
/// there.
pub(super) fn create_whole(path: &Path, content: &[u8]) -> Result<bool> {
    let draft = beside(path, &format!(".{:016x}.new", fastrand::u64(..)));
    let result = write_draft(&draft, content).and_then(|()| match fs::hard_link(&draft, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == Io::AlreadyExists => Ok(false),
        Err(error) => match fs::symlink_metadata(path) {
            Ok(_) => Ok(false),
            // A file system without hard links: renaming is as whole, and only another first start could be
            // overwritten.
            Err(_) if matches!(error.kind(), Io::Unsupported | Io::PermissionDenied) => {
                fs::rename(&draft, path).map(|()| true)
            }
            Err(_) => Err(error),
        },
    });
    let _ = fs::remove_file(&draft);
    let made = result.map_err(|e| io(path, "cannot be created", &e))?;
    sync_directory(path)?;
    Ok(made)
}

/// What [`create_whole`] left of files of this name when it was killed, or has in hand just now.
pub(super) fn drafts_of(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let (Some(name), Ok(entries)) = (path.file_name(), fs::read_dir(folder.unwrap_or(Path::new(".")))) else {
        return Vec::new();
    };
    let is_draft = |entry: &fs::DirEntry| {
        let entry = entry.file_name();
        let rest = entry.as_bytes().strip_prefix(name.as_bytes());
        let middle = rest.and_then(|rest| rest.strip_prefix(b".")?.strip_suffix(b".new"));
        middle.is_some_and(|middle| middle.len() == 16 && middle.iter().all(u8::is_ascii_hexdigit))
    };
    let drafts = entries.flatten().filter(is_draft);
    drafts.map(|entry| entry.path()).collect()
}

fn write_draft(draft: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = create_exclusively(draft)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes a file that nobody has open, and its entry, survive power loss.
pub(super) fn sync(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|e| io(path, "cannot be synced", &e))?;
    sync_directory(path)
}

/// Makes the entry of `path` in its directory survive power loss.
pub(super) fn sync_directory(path: &Path) -> Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)
        .and_then(|d| d.sync_all())
        .map_err(|e| io(directory, "cannot be synced", &e))
}

/// `path` with `suffix` after its whole name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The error for a file that could not be worked with.
pub(super) fn io(path: &Path, what: &str, error: &std::io::Error) -> Error {
    let kind = match error.kind() {
        Io::StorageFull | Io::QuotaExceeded => ErrorKind::DiskFull,
        _ => ErrorKind::Store,
    };
    Error::new(kind, format!("{} {what}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::tests::TempDir;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_database_file_is_empty_and_its_owners() {
        let dir = TempDir::new();
        let path = prepare_database(&dir.path("a.db")).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    }

    #[test]
    fn an_empty_file_that_others_may_read_is_closed_to_them() {
        let dir = TempDir::new();
        let path = dir.path("a.db");
        fs::write(&path, b"").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        prepare_database(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_dangling_link_and_a_directory_are_refused() {
        let dir = TempDir::new();
        let link = dir.path("link.db");
        std::os::unix::fs::symlink(dir.path("nowhere.db"), &link).unwrap();
        assert_eq!(prepare_database(&link).unwrap_err().kind(), ErrorKind::Store);
        assert!(!dir.path("nowhere.db").exists());
        assert_eq!(
            prepare_database(&dir.path("")).unwrap_err().kind(),
            ErrorKind::Store
        );
    }

    #[test]
    fn a_whole_file_is_never_replaced() {
        let dir = TempDir::new();
        let path = dir.path("k");
        assert!(create_whole(&path, b"one").unwrap());
        assert!(!create_whole(&path, b"two").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(dir.path("")).unwrap().count(), 1, "drafts are gone");
    }
}
