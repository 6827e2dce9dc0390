//! What is SQLite's own: files, locks, secrets at rest, query plans.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::model::PushState;
use crate::store::conformance::conformance_suite;

/// A directory that is gone when the test is over.
pub(in crate::store) struct TempDir(PathBuf);

impl TempDir {
    pub(in crate::store) fn new() -> TempDir {
        let name = format!("casehook-{}-{:016x}", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        TempDir(path)
    }

    pub(in crate::store) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn temp_store() -> (TempDir, SqliteStore) {
    let dir = TempDir::new();
    let store = open(&dir.path("a.db"));
    (dir, store)
}

/// Opens with a key of the tests, so that no environment matters.
pub(super) fn open(path: &Path) -> SqliteStore {
    SqliteStore::open_with(path, KeySource::Given(Zeroizing::new([7; 32])), PATIENCE).unwrap()
}

fn refused(path: &Path) -> ErrorKind {
    match SqliteStore::open(path, KeySource::Given(Zeroizing::new([7; 32]))) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error.kind(),
    }
}

fn with_store(check: &dyn Fn(&dyn Store)) {
    let (_dir, store) = temp_store();
    check(&store);
}

conformance_suite!(super::with_store);

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(super) const RETENTION: Retention = Retention {
    max_queued: 1_000_000,
    history_age: Duration::from_secs(3_600),
    history_count: 1_000,
};

pub(super) fn connector(store: &SqliteStore, secrets: &[(&str, &str)]) -> Result<StoredConnector> {
    let secrets = secrets
        .iter()
        .map(|(field, text)| ((*field).to_owned(), Zeroizing::new((*text).to_owned())));
    let connector = NewConnector {
        name: "tracker",
        config: "{}",
        warnings: "[]",
        target: "https://tracker.example",
        secrets: Some(secrets.collect()),
    };
    store.put_connector(&connector, NOW)
}

pub(super) fn pushes(connector: ConnectorId, cases: impl Iterator<Item = String>) -> Vec<NewPush> {
    cases
        .map(|id| NewPush {
            connector,
            revision: None,
            case: Case {
                title: "t".into(),
                description: None,
                id: Some(id),
                severity: None,
                status: None,
                tags: Vec::new(),
                external_id: None,
                fields: serde_json::Map::new(),
                traceparent: None,
                comments: Vec::new(),
            },
            coalesce: true,
        })
        .collect()
}

fn listing(dir: &TempDir) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir.path(""))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_file_is_its_owners_alone() {
    let dir = TempDir::new();
    let path = dir.path("a.db");
    // Whatever the process allows by default; the other tests do not mind.
    let umask = rustix::process::umask(rustix::fs::Mode::empty());
    let store = SqliteStore {
        key: RwLock::new(KeyHolder::File(dir.path("a.db.key"))),
        ..open(&path)
    };
    connector(&store, &[("user", "u")]).unwrap();
    store.backup(&dir.path("copy.db")).unwrap();
    rustix::process::umask(umask);
    let names: Vec<String> = listing(&dir).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a.db", "a.db-shm", "a.db-wal", "a.db.key", "copy.db"]);
    for name in names {
        let mode = fs::metadata(dir.path(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn connections_are_set_up_for_durability() {
    let (_dir, store) = temp_store();
    for name in ["writer", "reader"] {
        let look = |conn: &Connection| -> Sql<Vec<String>> {
            let settings = [
                "journal_mode",
                "synchronous",
                "foreign_keys",
                "trusted_schema",
                "mmap_size",
                "wal_autocheckpoint",
                "page_size",
                "application_id",
                "user_version",
            ];
            let ask = |setting| {
                conn.query_row(&format!("PRAGMA {setting}"), [], |row| {
                    let value: rusqlite::types::Value = row.get(0)?;
                    Ok(match value {
                        rusqlite::types::Value::Text(text) => text,
                        rusqlite::types::Value::Integer(n) => n.to_string(),
                        other => format!("{other:?}"),
                    })
                })
            };
            Ok(settings.into_iter().map(ask).collect::<rusqlite::Result<_>>()?)
        };
        let found = match name {
            "writer" => store.db.with_writer(look),
            _ => store.db.with_reader(look),
        };
        let application = migrate::APPLICATION_ID.to_string();
        let version = migrate::SCHEMA_VERSION.to_string();
        let wanted = ["wal", "2", "1", "0", "0", "2000", "2048", &application, &version];
        assert_eq!(found.unwrap(), wanted, "{name}");
    }
}

#[test]
fn refuses_what_is_not_its_own_and_touches_nothing() {
    let foreign = |dir: &TempDir| {
        let conn = Connection::open(dir.path("a.db")).unwrap();
        conn.execute_batch("CREATE TABLE theirs (x)").unwrap();
    };
    let claimed = |dir: &TempDir| {
        let conn = Connection::open(dir.path("a.db")).unwrap();
        conn.execute_batch("PRAGMA application_id = 5").unwrap();
    };
    let newer = |dir: &TempDir| {
        drop(open(&dir.path("a.db")));
        let conn = Connection::open(dir.path("a.db")).unwrap();
        conn.execute_batch("PRAGMA user_version = 999").unwrap();
    };
    let truncated = |dir: &TempDir| {
        drop(open(&dir.path("a.db")));
        let file = fs::OpenOptions::new().write(true).open(dir.path("a.db")).unwrap();
        file.set_len(3 * 4096 + 100).unwrap();
    };
    let hollow = |dir: &TempDir| {
        drop(open(&dir.path("a.db")));
        let conn = Connection::open(dir.path("a.db")).unwrap();
        conn.execute_batch("DELETE FROM meta").unwrap();
    };
    let garbage = |dir: &TempDir| fs::write(dir.path("a.db"), vec![b'x'; 5000]).unwrap();
    let short = |dir: &TempDir| fs::write(dir.path("a.db"), b"hello").unwrap();
    let orphan = |dir: &TempDir| {
        fs::write(dir.path("a.db"), b"").unwrap();
        fs::write(dir.path("a.db-wal"), b"frames").unwrap();
    };
    type Refused<'a> = (&'a str, &'a dyn Fn(&TempDir), ErrorKind);
    let cases: [Refused<'_>; 8] = [
        ("foreign", &foreign, ErrorKind::Corrupt),
        ("claimed", &claimed, ErrorKind::Corrupt),
        ("newer", &newer, ErrorKind::SchemaTooNew),
        ("truncated", &truncated, ErrorKind::Corrupt),
        ("hollow", &hollow, ErrorKind::Corrupt),
        ("garbage", &garbage, ErrorKind::Corrupt),
        ("short", &short, ErrorKind::Corrupt),
        ("orphan", &orphan, ErrorKind::Corrupt),
    ];
    for (name, make, kind) in cases {
        let dir = TempDir::new();
        make(&dir);
        let before = listing(&dir);
        assert_eq!(refused(&dir.path("a.db")), kind, "{name}");
        assert!(before == listing(&dir), "{name} was touched");
    }
}

#[test]
fn a_newer_schema_that_is_still_in_the_log_is_refused() {
    let dir = TempDir::new();
    drop(open(&dir.path("a.db")));
    let other = Connection::open(dir.path("a.db")).unwrap();
    other.execute_batch("PRAGMA user_version = 999").unwrap();
    let read = |name: &str| fs::read(dir.path(name)).unwrap();
    let before = [read("a.db"), read("a.db-wal")];
    assert_eq!(refused(&dir.path("a.db")), ErrorKind::SchemaTooNew);
    assert!(before == [read("a.db"), read("a.db-wal")]);
}

#[test]
fn a_wrong_key_is_told_from_a_damaged_row() {
    let dir = TempDir::new();
    let path = dir.path("a.db");
    let id = {
        let store = open(&path);
        connector(&store, &[("password", "p"), ("user", "u")]).unwrap().id
    };
    let stranger =
        SqliteStore::open_with(&path, KeySource::Given(Zeroizing::new([8; 32])), PATIENCE).unwrap();
    let wrong = stranger.secrets(id).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Key);
    assert!(wrong.message().contains("not the one"), "{wrong}");
    let put = connector(&stranger, &[("user", "x")]).unwrap_err();
    assert_eq!(put.kind(), ErrorKind::Key);
    stranger
        .enqueue(pushes(id, ["c".to_owned()].into_iter()), &RETENTION, NOW)
        .unwrap();
    let store = open(&path);
    assert_eq!(
        store.secrets(id).unwrap().len(),
        2,
        "the refused ones changed nothing"
    );
    let swap = "UPDATE secrets SET (nonce, ciphertext) = \
                (SELECT nonce, ciphertext FROM secrets WHERE field = 'user') WHERE field = 'password'";
    store
        .db
        .write(|conn| Ok(conn.execute(swap, []).map(drop)?))
        .unwrap();
    let damaged = store.secrets(id).unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::Key);
    assert!(damaged.message().contains("`password` is damaged"), "{damaged}");
}

#[test]
fn a_lost_key_file_is_not_made_anew_while_secrets_depend_on_it() {
    let dir = TempDir::new();
    let key = dir.path("a.db.key");
    let store = SqliteStore {
        key: RwLock::new(KeyHolder::File(key.clone())),
        ..open(&dir.path("a.db"))
    };
    let id = connector(&store, &[]).unwrap().id;
    assert!(!key.exists(), "no secret, no key");
    connector(&store, &[("user", "u")]).unwrap();
    fs::remove_file(&key).unwrap();
    assert_eq!(store.secrets(id).unwrap_err().kind(), ErrorKind::Key);
    let again = connector(&store, &[("user", "v")]).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Key);
    assert!(!key.exists());
    store
        .remove_connector("tracker", Undelivered::Refuse, NOW)
        .unwrap();
    connector(&store, &[("user", "v")]).unwrap();
    assert_eq!(store.secrets(id).unwrap()[0].1.as_str(), "v");
}

#[test]
fn no_plaintext_secret_reaches_the_disk() {
    let (dir, store) = temp_store();
    let secret = "correct horse battery staple";
    connector(&store, &[("password", secret)]).unwrap();
    let holds = |listing: Vec<(String, Vec<u8>)>| {
        assert!(listing.iter().any(|(name, _)| name == "a.db"));
        let found = listing
            .into_iter()
            .find(|(_, bytes)| bytes.windows(secret.len()).any(|w| w == secret.as_bytes()));
        found.map(|(name, _)| name)
    };
    assert_eq!(holds(listing(&dir)), None, "log");
    store.close().unwrap();
    assert_eq!(holds(listing(&dir)), None, "database");
}

#[test]
fn another_writer_is_waited_for_and_then_told() {
    let dir = TempDir::new();
    let path = dir.path("a.db");
    let store = SqliteStore::open_with(
        &path,
        KeySource::Given(Zeroizing::new([7; 32])),
        Duration::from_millis(60),
    )
    .unwrap();
    let before = store.data_version().unwrap();
    connector(&store, &[]).unwrap();
    assert_eq!(
        store.data_version().unwrap(),
        before,
        "its own writes do not count"
    );
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("BEGIN IMMEDIATE; INSERT INTO meta VALUES ('x', 'y');")
        .unwrap();
    assert_eq!(store.connectors().unwrap().len(), 1, "readers do not wait");
    let error = store.note_drainer(Some(1), NOW).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.is_retryable());
    other.execute_batch("COMMIT").unwrap();
    store.note_drainer(Some(1), NOW).unwrap();
    assert!(store.data_version().unwrap() > before);
}

#[test]
fn two_stores_on_one_file_see_each_other() {
    let dir = TempDir::new();
    let (one, two) = (open(&dir.path("a.db")), open(&dir.path("a.db")));
    let id = connector(&one, &[]).unwrap().id;
    std::thread::scope(|scope| {
        for (n, store) in [&one, &two].into_iter().enumerate() {
            scope.spawn(move || {
                for m in 0..50 {
                    let new = pushes(id, [format!("{n}-{m}")].into_iter());
                    store.enqueue(new, &RETENTION, NOW).unwrap();
                }
            });
        }
    });
    for store in [&one, &two] {
        assert_eq!(store.counts().unwrap()[0].by_state[0], 100);
    }
}

#[test]
fn a_panic_within_a_decision_leaves_the_store_usable() {
    let (dir, store) = temp_store();
    let id = connector(&store, &[]).unwrap().id;
    let push = store
        .enqueue(pushes(id, ["c".to_owned()].into_iter()), &RETENTION, NOW)
        .unwrap()[0];
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.decide(push, NOW, &mut |_| panic!("on purpose"))
    }));
    assert!(panicked.is_err());
    // Others can write at once, not only after this store did.
    let other = Connection::open(dir.path("a.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; ROLLBACK").unwrap();
    store.note_drainer(Some(2), NOW).unwrap();
    assert_eq!(store.status(push).unwrap().unwrap().state, PushState::Queued);
}

#[test]
fn a_backup_is_a_database_and_never_replaces_a_file() {
    let (dir, store) = temp_store();
    let id = connector(&store, &[]).unwrap().id;
    let ids = store
        .enqueue(pushes(id, (0..300).map(|n| n.to_string())), &RETENTION, NOW)
        .unwrap();
    store.backup(&dir.path("copy.db")).unwrap();
    let error = store.backup(&dir.path("copy.db")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Argument);
    let copy = open(&dir.path("copy.db"));
    assert_eq!(copy.status(ids[299]).unwrap(), store.status(ids[299]).unwrap());
    let nowhere = store.backup(&dir.path("no/such/copy.db")).unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::Store);
}

#[test]
fn a_reader_does_not_pin_the_log() {
    let (_dir, store) = temp_store();
    let id = connector(&store, &[]).unwrap().id;
    store
        .enqueue(pushes(id, ["c".to_owned()].into_iter()), &RETENTION, NOW)
        .unwrap();
    store.claim(id, NOW, &[]).unwrap().unwrap();
    let (busy, left): (i64, i64) = store
        .db
        .with_writer(|conn| {
            Ok(conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?)
        })
        .unwrap();
    assert_eq!((busy, left), (0, 0));
}

#[test]
fn two_that_push_at_once_exceed_the_limit_by_a_tenth_at_most() {
    let dir = TempDir::new();
    let stores = [open(&dir.path("a.db")), open(&dir.path("a.db"))];
    let id = connector(&stores[0], &[]).unwrap().id;
    let tight = Retention {
        max_queued: 100,
        ..RETENTION
    };
    let accepts = |store: &SqliteStore| {
        let push = NewPush {
            connector: id,
            revision: None,
            case: Case::new("title"),
            coalesce: false,
        };
        let stored = store.enqueue(vec![push], &tight, NOW);
        stored
            .map_err(|error| assert_eq!(error.kind(), ErrorKind::QueueFull))
            .is_ok()
    };
    let accepted = (0..400).filter(|n| accepts(&stores[n % 2])).count();
    assert!((100..=110).contains(&accepted), "{accepted}");
    assert!(stores.iter().all(|store| !accepts(store)));
}
