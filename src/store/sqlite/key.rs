//! Where the key that seals secrets comes from.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind as Io, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::files::{beside, create_whole, drafts_of, io, sync_directory};
use crate::error::{Error, ErrorKind, Result};

/// The environment variable that may hold the key.
pub(crate) const KEY_VARIABLE: &str = "CASEHOOK_KEY";

/// The key, 32 bytes.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// Where the host says the key comes from.
#[derive(Clone)]
pub(crate) enum KeySource {
    /// The host gives it.
    Given(Key),
    /// `CASEHOOK_KEY` as it is at opening (64 hex digits, or base64 of 32 bytes), else the file
    /// `<database>.key`, made when the first secret is stored.
    Default,
}

/// A key that is read when it is needed, so that a missing one stops nothing but secrets.
pub(super) enum KeyHolder {
    Given(Key),
    Variable(Zeroizing<String>),
    File(PathBuf),
}

impl KeyHolder {
    pub(super) fn new(source: KeySource, database: &Path) -> KeyHolder {
        let variable = match source {
            KeySource::Given(key) => return KeyHolder::Given(key),
            KeySource::Default => std::env::var_os(KEY_VARIABLE),
        };
        // Text that is not UTF-8 becomes text that is no key: told when the key is needed.
        let variable = variable.map(|v| Zeroizing::new(v.to_string_lossy().into_owned()));
        KeyHolder::from_variable(variable, database)
    }

    fn from_variable(variable: Option<Zeroizing<String>>, database: &Path) -> KeyHolder {
        match variable.filter(|text| !text.is_empty()) {
            Some(text) => KeyHolder::Variable(text),
            None => KeyHolder::File(beside(database, ".key")),
        }
    }

    /// The keys that what is stored may be sealed with, the likeliest first; never none.
    ///
    /// There are two while a change of the key file is under way, or was cut off: which one holds is for the caller to try.
    /// `Key` error when there is none, or the file cannot be read.
    pub(super) fn candidates(&self) -> Result<Vec<Key>> {
        match self {
            KeyHolder::Given(key) => Ok(vec![key.clone()]),
            KeyHolder::Variable(text) => Ok(vec![from_variable(text)?]),
            KeyHolder::File(path) => {
                let present = read_file(path)?;
                // One that cannot be read says nothing while the one in force can.
                let next = read_file(&successor(path)).unwrap_or(None);
                let keys: Vec<Key> = present.into_iter().chain(next).collect();
                if keys.is_empty() {
                    return Err(error(format!(
                        "the key file {} is missing; put it back, set {KEY_VARIABLE}, or remove the connectors \
                         and configure them again with their secrets",
                        path.display()
                    )));
                }
                Ok(keys)
            }
        }
    }

    /// The key, made first when it is to come from a file that is not there. Only while nothing is sealed.
    pub(super) fn get_or_make(&self) -> Result<Key> {
        match self {
            KeyHolder::Given(key) => Ok(key.clone()),
            KeyHolder::Variable(text) => from_variable(text),
            KeyHolder::File(path) => in_file(path),
        }
    }

    /// A key for the time after a change, durable in a file of its own before this returns.
    ///
    /// One that an earlier change left there, cut off, is taken again: after a failed commit nobody can tell whether the
    /// disk holds what was sealed with it, so it may not be thrown away.
    pub(super) fn make_next(&self) -> Result<Key> {
        match self {
            KeyHolder::File(path) => in_file(&successor(path)),
            KeyHolder::Given(_) | KeyHolder::Variable(_) => {
                let origin = match self {
                    KeyHolder::Variable(_) => KEY_VARIABLE,
                    _ => "the host program",
                };
                let message = format!(
                    "the key of this database comes from {origin}, so a new one must come from there too; \
                     give the new key"
                );
                Err(Error::new(ErrorKind::Argument, message).at("key"))
            }
        }
    }

    /// The drafts of keys that killed processes left. Without the right to write to the database these may be of processes
    /// that live.
    pub(super) fn drafts(&self) -> Vec<PathBuf> {
        match self {
            KeyHolder::File(path) => [drafts_of(path), drafts_of(&successor(path))].concat(),
            KeyHolder::Given(_) | KeyHolder::Variable(_) => Vec::new(),
        }
    }

    /// Removes them. Only inside a writing transaction, as keys are made.
    pub(super) fn sweep(&self) {
        for draft in self.drafts() {
            if let Err(error) = fs::remove_file(&draft) {
                log::warn!(
                    "{} holds a key of no use and cannot be removed: {error}",
                    draft.display()
                );
            }
        }
    }

    /// The key of [`KeyHolder::make_next`], if there is one.
    pub(super) fn next(&self) -> Option<Key> {
        match self {
            KeyHolder::File(path) => read_file(&successor(path)).unwrap_or(None),
            KeyHolder::Given(_) | KeyHolder::Variable(_) => None,
        }
    }

    /// Puts the next key in the place of the present one, whose seals are all gone.
    pub(super) fn promote_next(&self) -> Result<()> {
        let KeyHolder::File(path) = self else {
            return Ok(());
        };
        fs::rename(successor(path), path).map_err(|e| io(path, "cannot be replaced", &e))?;
        sync_directory(path)
    }
}

/// Where the key of a change of keys waits until the change is committed.
fn successor(path: &Path) -> PathBuf {
    beside(path, ".new")
}

fn from_variable(text: &str) -> Result<Key> {
    read_key(text).ok_or_else(|| {
        error(format!(
            "{KEY_VARIABLE} is not a key; set it to 64 hex digits or to base64 of 32 bytes"
        ))
    })
}

/// The key in this file, made first if it is not there.
fn in_file(path: &Path) -> Result<Key> {
    if let Some(key) = read_file(path)? {
        return Ok(key);
    }
    let mut key = Key::default();
    randomize(key.as_mut())?;
    let mut text = hex(key.as_ref());
    text.push('\n');
    create_whole(path, text.as_bytes())?;
    // Another process may have been first; what counts is what is in the file.
    read_file(path)?.ok_or_else(|| error(format!("the key file {} is gone again", path.display())))
}

fn read_file(path: &Path) -> Result<Option<Key>> {
    let unreadable =
        |e: std::io::Error| error(format!("the key file {} cannot be read: {e}", path.display()));
    let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(no_follow).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == Io::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(e)),
    };
    let mut text = Zeroizing::new(String::with_capacity(256));
    file.take(256).read_to_string(&mut text).map_err(unreadable)?;
    read_key(text.trim()).map(Some).ok_or_else(|| {
        error(format!(
            "the key file {} is damaged; put the right one back: 64 hex digits or base64 of 32 bytes",
            path.display()
        ))
    })
}

/// 64 hex digits, or base64 (either alphabet, padded or not) of 32 bytes.
pub(crate) fn read_key(text: &str) -> Option<Key> {
    let mut key = Key::default();
    if text.len() == 64 {
        for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digit = |d: u8| char::from(d).to_digit(16);
            let value = digit(digits[0])? * 16 + digit(digits[1])?;
            *byte = u8::try_from(value).ok()?;
        }
        return Some(key);
    }
    let digits = match text.as_bytes() {
        [digits @ .., b'='] if digits.len() == 43 => digits,
        digits if digits.len() == 43 => digits,
        _ => return None,
    };
    let (mut bits, mut held, mut at) = (0u32, 0, 0);
    for &digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            *key.get_mut(at)? = (bits >> held & 0xff) as u8;
            at += 1;
        }
    }
    Some(key)
}

/// Fills the bytes with random ones.
pub(super) fn randomize(bytes: &mut [u8]) -> Result<()> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| Error::internal("the system gives no random numbers"))
}

/// 32 hex digits that nothing else has.
pub(in crate::store) fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    randomize(&mut bytes)?;
    Ok(hex(&bytes).as_str().to_owned())
}

/// Lower-case hex digits.
pub(super) fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2 + 1));
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    text
}

fn error(message: String) -> Error {
    Error::new(ErrorKind::Key, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::tests::TempDir;

    #[test]
    fn a_key_is_hex_or_base64() {
        let key: Key = Zeroizing::new(std::array::from_fn(|i| (i * 7 + 3) as u8));
        let base64 = "AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dw=";
        assert_eq!(read_key(&hex(key.as_ref())).unwrap(), key);
        assert_eq!(read_key(&hex(key.as_ref()).to_uppercase()).unwrap(), key);
        assert_eq!(read_key(base64).unwrap(), key);
        assert_eq!(read_key(base64.trim_end_matches('=')).unwrap(), key);
        for bad in [
            "",
            "00",
            "zz",
            &"g".repeat(64),
            &"=".repeat(44),
            &"ä".repeat(32),
            &"A".repeat(44),
        ] {
            assert!(read_key(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_variable_wins_over_the_file_and_an_empty_one_counts_as_absent() {
        let db = Path::new("a.db");
        let hex = Zeroizing::new("11".repeat(32));
        assert_eq!(
            *KeyHolder::from_variable(Some(hex), db).get_or_make().unwrap(),
            [0x11; 32]
        );
        let empty = KeyHolder::from_variable(Some(Zeroizing::new(String::new())), db);
        assert!(matches!(empty, KeyHolder::File(path) if path == Path::new("a.db.key")));
    }

    #[test]
    fn a_bad_variable_is_told_without_its_text() {
        let holder = KeyHolder::from_variable(Some(Zeroizing::new("hunter2".into())), Path::new("a.db"));
        let error = holder.get_or_make().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Key);
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn a_key_file_is_made_once_and_a_damaged_one_is_never_replaced() {
        let dir = TempDir::new();
        let holder = KeyHolder::File(dir.path("a.db.key"));
        assert_eq!(holder.candidates().unwrap_err().kind(), ErrorKind::Key);
        let key = holder.get_or_make().unwrap();
        assert_eq!(holder.get_or_make().unwrap(), key);
        fs::write(dir.path("a.db.key"), "short").unwrap();
        assert_eq!(holder.get_or_make().unwrap_err().kind(), ErrorKind::Key);
        assert_eq!(fs::read(dir.path("a.db.key")).unwrap(), b"short");
    }
}
