//! Secrets that are referred to: which variables and files may be read, and how.

use std::fs::{File, Metadata};
use std::io::{ErrorKind as Io, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::{OwnFiles, SecretSources, words};
use crate::error::{Error, Result};
use crate::model::limits::SECRET_FILE_BYTES;
use crate::transport::from_base64;

/// Variables that no connector may refer to: keys of all stored secrets, and where they are stored, with a password perhaps.
const OWN_VARIABLES: [&str; 3] = ["CASEHOOK_KEY", "CASEHOOK_NEW_KEY", "CASEHOOK_DB"];

/// What stands behind a database's name in those of its files: of the key (and what a change of keys leaves), the locks,
/// SQLite.
const OWN_ENDINGS: [&str; 5] = [".key", ".lock", "-wal", "-shm", "-journal"];

/// The text of a variable.
pub(crate) fn read_variable(at: &str, name: &str, sources: &SecretSources) -> Result<Zeroizing<String>> {
    check_variable(at, name, sources)?;
    let value = std::env::var(name).map_err(|_| {
        Error::config(
            at,
            format!("the environment variable {name} is not set or not UTF-8"),
        )
    })?;
    Ok(Zeroizing::new(value))
}

/// Refuses a variable that the host does not allow. Its name may be a secret that was put in the wrong place.
pub(crate) fn check_variable(at: &str, name: &str, sources: &SecretSources) -> Result<()> {
    if OWN_VARIABLES.contains(&name) || !sources.env.iter().any(|allowed| allowed == name) {
        return Err(Error::config(
            at,
            "the host program does not allow secrets from the environment variable of that name",
        ));
    }
    Ok(())
}

/// The text of a file.
pub(crate) fn read_file(at: &str, path: &str, sources: &SecretSources) -> Result<Zeroizing<String>> {
    let file = allowed_file(at, path, sources)?;
    let fail = |why: String| Error::config(at, format!("the file {} {why}", words::quoted(path)));
    // Whatever has come into its place since then is no link, and a pipe lets nobody wait.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let open = File::options()
        .read(true)
        .custom_flags(flags.cast_signed())
        .open(&file)
        .map_err(|e| fail(format!("cannot be opened: {}", e.kind())))?;
    let metadata = open
        .metadata()
        .map_err(|e| fail(format!("cannot be looked at: {}", e.kind())))?;
    check(at, &file, &metadata, &sources.own)?;
    let mut text = Zeroizing::new(String::with_capacity(4096));
    open.take(SECRET_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|e| fail(format!("cannot be read as UTF-8 text: {}", e.kind())))?;
    if text.len() as u64 > SECRET_FILE_BYTES {
        return Err(fail(format!("is larger than {SECRET_FILE_BYTES} bytes")));
    }
    if sources.own.is_key(text.trim()) {
        return Err(refused(at));
    }
    Ok(text)
}

/// Refuses a file that the host does not allow, or that is none.
pub(crate) fn check_file(at: &str, path: &str, sources: &SecretSources) -> Result<()> {
    let file = allowed_file(at, path, sources)?;
    match file.metadata() {
        Ok(metadata) => check(at, &file, &metadata, &sources.own),
        Err(e) => Err(unreadable(at, "the file", &e)),
    }
}

/// The true path of an allowed file: links are followed before it is compared with the directory.
fn allowed_file(at: &str, path: &str, sources: &SecretSources) -> Result<PathBuf> {
    let named = sources.dir.as_deref().ok_or_else(|| refused(at))?;
    let directory = named
        .canonicalize()
        .map_err(|e| unreadable(at, "the directory that secrets are allowed from", &e))?;
    let given = directory.join(path);
    // A path that leads outside must not tell whether something is there.
    let inside = given.starts_with(&directory) || given.starts_with(named);
    if !inside || Path::new(path).components().any(|c| c.as_os_str() == "..") {
        return Err(refused(at));
    }
    let file = given.canonicalize().map_err(|e| match e.kind() {
        // What names no file may be a secret that was put in the wrong place.
        Io::NotFound | Io::InvalidInput => unreadable(
            at,
            "the file that this refers to, below the allowed directory,",
            &e,
        ),
        _ => unreadable(at, &format!("the file {}", words::quoted(path)), &e),
    })?;
    if file.starts_with(&directory) {
        Ok(file)
    } else {
        Err(refused(at))
    }
}

/// Refuses what is no ordinary file, what the system makes up of a process, and casehook's own files.
fn check(at: &str, file: &Path, metadata: &Metadata, own: &OwnFiles) -> Result<()> {
    if !metadata.is_file() {
        return Err(Error::config(
            at,
            "what this refers to is no ordinary file; give one that holds nothing but the secret",
        ));
    }
    if of_a_process(file) || own.has(file, metadata) {
        return Err(refused(at));
    }
    Ok(())
}

/// Whether it is one of `/proc`, wherever that is mounted: a process's environment holds keys.
fn of_a_process(file: &Path) -> bool {
    #[cfg(target_os = "linux")]
    if rustix::fs::statfs(file).is_ok_and(|system| system.f_type == rustix::fs::PROC_SUPER_MAGIC) {
        return true;
    }
    file.starts_with("/proc")
}

fn refused(at: &str) -> Error {
    Error::config(at, "the host program does not allow secrets from this file")
}

fn unreadable(at: &str, what: &str, error: &std::io::Error) -> Error {
    Error::config(at, format!("{what} cannot be read: {}", error.kind()))
}

impl OwnFiles {
    /// Whether it is a database, one of the files beside it, or another name of one.
    fn has(&self, file: &Path, metadata: &Metadata) -> bool {
        self.databases.iter().any(|database| {
            let database = database.canonicalize().unwrap_or_else(|_| database.clone());
            let beside = |ending: &str| {
                let mut name = database.clone().into_os_string();
                name.push(ending);
                PathBuf::from(name)
            };
            let same = |path: &Path| {
                let other = path.metadata();
                other.is_ok_and(|other| (other.dev(), other.ino()) == (metadata.dev(), metadata.ino()))
            };
            let name = file.as_os_str().as_bytes();
            let ending = name.strip_prefix(database.as_os_str().as_bytes());
            let own = |ending: &[u8]| OWN_ENDINGS.iter().any(|own| ending.starts_with(own.as_bytes()));
            ending.is_some_and(|ending| ending.is_empty() || own(ending))
                || same(&database)
                || [".key", ".key.new"].iter().any(|ending| same(&beside(ending)))
        })
    }

    /// Whether a text is the key that the host gave, wherever it lies.
    fn is_key(&self, text: &str) -> bool {
        let Some(key) = &self.key else { return false };
        let bytes = match text.len() {
            64 => from_hex(text),
            43 | 44 => from_base64(&text.replace('-', "+").replace('_', "/")),
            _ => None,
        };
        bytes.is_some_and(|bytes| bytes.as_slice() == key.as_slice())
    }
}

fn from_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |two: &[u8]| u8::try_from(digit(two[0])? * 16 + digit(two[1])?).ok();
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks_exact(2).map(byte).collect();
    bytes.map(Zeroizing::new)
}
