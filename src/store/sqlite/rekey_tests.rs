//! Changing the key: what is sealed afterwards, what a crash leaves, what others see.

use std::fs;

use super::tests::{TempDir, connector};
use super::*;
use crate::store::sqlite::key::Key;

const OLD: [u8; 32] = [7; 32];
const NEW: [u8; 32] = [9; 32];

/// A store that keeps its key in the file, whatever the environment of the tests says.
fn with_file(dir: &TempDir) -> SqliteStore {
    SqliteStore {
        key: RwLock::new(KeyHolder::File(dir.path("a.db.key"))),
        ..with_key(dir, OLD)
    }
}

fn with_key(dir: &TempDir, key: [u8; 32]) -> SqliteStore {
    SqliteStore::open_with(&dir.path("a.db"), KeySource::Given(Zeroizing::new(key)), PATIENCE).unwrap()
}

fn secret(store: &SqliteStore, id: ConnectorId) -> String {
    store.secrets(id).unwrap()[0].1.to_string()
}

fn sealed(store: &SqliteStore) -> Vec<Vec<u8>> {
    store
        .db
        .read(|conn| db::all(conn, "SELECT ciphertext FROM secrets", &[], |row| row.get(0)))
        .unwrap()
}

#[test]
fn every_secret_is_sealed_anew_and_nothing_of_the_old_seals_is_left() {
    let dir = TempDir::new();
    let store = with_key(&dir, OLD);
    let id = connector(&store, &[("password", "p"), ("user", "u")]).unwrap().id;
    let before = sealed(&store);
    assert_eq!(before.len(), 2);
    store.rekey(Some(Zeroizing::new(NEW))).unwrap();
    assert_eq!(secret(&store, id), "p", "the store has the new key");
    store.close().unwrap();
    for name in ["a.db", "a.db-wal"] {
        let bytes = fs::read(dir.path(name)).unwrap_or_default();
        for old in &before {
            assert!(
                !bytes.windows(old.len()).any(|w| w == old),
                "{name} holds an old seal"
            );
        }
    }
    let wrong = with_key(&dir, OLD).secrets(id).unwrap_err();
    assert!(wrong.message().contains("not the one"), "{wrong}");
    assert_eq!(secret(&with_key(&dir, NEW), id), "p");
}

#[test]
fn a_wrong_key_or_a_damaged_secret_changes_nothing() {
    let dir = TempDir::new();
    let store = with_key(&dir, OLD);
    let id = connector(&store, &[("password", "p"), ("user", "u")]).unwrap().id;
    let before = sealed(&store);
    let wrong = with_key(&dir, [8; 32])
        .rekey(Some(Zeroizing::new(NEW)))
        .unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Key);
    assert!(wrong.message().contains("not the one"), "{wrong}");
    assert!(before == sealed(&store));
    store
        .db
        .write(|conn| {
            run(
                conn,
                "UPDATE secrets SET ciphertext = zeroblob(20) WHERE field = 'user'",
                &[],
            )
        })
        .unwrap();
    let before = sealed(&store);
    let damaged = store.rekey(Some(Zeroizing::new(NEW))).unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::Key);
    assert!(
        damaged
            .message()
            .contains("`user` of connector \"tracker\" is damaged"),
        "{damaged}"
    );
    assert!(before == sealed(&store));
    assert!(
        store
            .secrets(id)
            .unwrap_err()
            .message()
            .contains("`user` is damaged")
    );
}

#[test]
fn a_damaged_check_value_is_not_taken_for_a_wrong_key() {
    let dir = TempDir::new();
    let store = with_key(&dir, OLD);
    let id = connector(&store, &[("user", "u")]).unwrap().id;
    store
        .db
        .write(|conn| run(conn, "UPDATE vault SET ciphertext = zeroblob(24)", &[]))
        .unwrap();
    let error = store.secrets(id).unwrap_err();
    assert!(error.message().contains("check value"), "{error}");
}

#[test]
fn a_key_of_the_host_is_not_replaced_by_a_file() {
    let dir = TempDir::new();
    let store = with_key(&dir, OLD);
    let id = connector(&store, &[("user", "u")]).unwrap().id;
    let error = store.rekey(None).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Argument, Some("key")));
    assert_eq!(secret(&store, id), "u");
    assert!(!dir.path("a.db.key").exists());
}

#[test]
fn a_key_file_is_replaced_and_others_that_use_it_follow() {
    let dir = TempDir::new();
    let (store, other) = (with_file(&dir), with_file(&dir));
    let id = connector(&store, &[("user", "u")]).unwrap().id;
    let key = || fs::read(dir.path("a.db.key")).unwrap();
    let before = key();
    store.rekey(None).unwrap();
    assert!(before != key());
    assert!(!dir.path("a.db.key.new").exists());
    assert_eq!(secret(&other, id), "u");
    connector(&other, &[("user", "v")]).unwrap();
    assert_eq!(secret(&store, id), "v");
    // From the file to a key of the host's, which the other one does not have.
    store.rekey(Some(Zeroizing::new(NEW))).unwrap();
    assert_eq!(secret(&store, id), "v");
    let error = other.secrets(id).unwrap_err();
    assert!(error.message().contains("rekey"), "{error}");
    assert_eq!(
        connector(&other, &[("user", "w")]).unwrap_err().kind(),
        ErrorKind::Key
    );
    assert_eq!(secret(&with_key(&dir, NEW), id), "v");
}

#[test]
fn a_change_cut_off_before_its_commit_leaves_the_old_key_in_force() {
    let dir = TempDir::new();
    let store = with_file(&dir);
    let id = connector(&store, &[("user", "u")]).unwrap().id;
    let holder = KeyHolder::File(dir.path("a.db.key"));
    let left: Key = holder.make_next().unwrap();
    assert_eq!(secret(&store, id), "u");
    connector(&store, &[("user", "v")]).unwrap();
    assert_eq!(secret(&store, id), "v");
    assert!(
        dir.path("a.db.key.new").exists(),
        "it may be needed after a failed commit"
    );
    // The next change takes that key.
    store.rekey(None).unwrap();
    assert_eq!(holder.get_or_make().unwrap(), left);
    assert!(!dir.path("a.db.key.new").exists());
    assert_eq!(secret(&store, id), "v");
}

#[test]
fn a_change_cut_off_after_its_commit_is_completed_by_whoever_writes_next() {
    let dir = TempDir::new();
    let store = with_file(&dir);
    let id = connector(&store, &[("user", "u")]).unwrap().id;
    let old = fs::read(dir.path("a.db.key")).unwrap();
    store.rekey(None).unwrap();
    // As it was between the commit and the change of names.
    fs::rename(dir.path("a.db.key"), dir.path("a.db.key.new")).unwrap();
    fs::write(dir.path("a.db.key"), &old).unwrap();
    let other = with_file(&dir);
    assert_eq!(secret(&other, id), "u", "read with the new key");
    assert!(dir.path("a.db.key.new").exists(), "a reader changes no names");
    connector(&other, &[("user", "v")]).unwrap();
    assert!(!dir.path("a.db.key.new").exists());
    assert!(fs::read(dir.path("a.db.key")).unwrap() != old);
    assert_eq!(secret(&with_file(&dir), id), "v");
}

#[test]
fn a_key_can_be_changed_before_there_are_secrets() {
    let dir = TempDir::new();
    let store = with_file(&dir);
    store.rekey(None).unwrap();
    assert!(dir.path("a.db.key").exists());
    let id = connector(&store, &[("user", "u")]).unwrap().id;
    assert_eq!(secret(&with_file(&dir), id), "u");
}

#[test]
fn keys_are_changed_while_others_read_and_write() {
    let dir = TempDir::new();
    let store = with_file(&dir);
    let id = connector(&store, &[("user", "u")]).unwrap().id;
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (dir, done) = (&dir, &done);
        for _ in 0..2 {
            scope.spawn(move || {
                let other = with_file(dir);
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    assert_eq!(secret(&other, id), "u");
                }
            });
        }
        scope.spawn(move || {
            let other = with_file(dir);
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                connector(&other, &[("user", "u")]).unwrap();
            }
        });
        let changes: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(move || {
                    let changer = with_file(dir);
                    (0..15).map(|_| changer.rekey(None)).collect::<Result<Vec<()>>>()
                })
            })
            .collect();
        let changes: Vec<_> = changes.into_iter().map(|thread| thread.join().unwrap()).collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(changes.iter().all(Result::is_ok), "{changes:?}");
    });
    assert!(!dir.path("a.db.key.new").exists());
    assert_eq!(secret(&store, id), "u");
}

#[test]
fn drafts_of_keys_that_a_kill_left_are_swept() {
    let dir = TempDir::new();
    let store = with_file(&dir);
    let id = connector(&store, &[("password", "p")]).unwrap().id;
    let leave = || {
        for name in [
            "a.db.key.0123456789abcdef.new",
            "a.db.key.new.fedcba9876543210.new",
        ] {
            fs::write(dir.path(name), "a key").unwrap();
        }
        fs::write(dir.path("a.db.key.old.new"), "somebody's").unwrap();
    };
    let left = || {
        let entries = fs::read_dir(dir.path("")).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut drafts: Vec<String> = names.filter(|name| name.ends_with(".new")).collect();
        drafts.sort();
        drafts
    };
    leave();
    store.rekey(None).unwrap();
    assert_eq!(left(), ["a.db.key.old.new"], "a change of keys sweeps");
    leave();
    SqliteStore::open_with(&dir.path("a.db"), KeySource::Default, PATIENCE).unwrap();
    if std::env::var_os(key::KEY_VARIABLE).is_none() {
        assert_eq!(left(), ["a.db.key.old.new"], "opening sweeps");
    }
    assert_eq!(secret(&store, id), "p");
}
