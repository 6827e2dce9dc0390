//! What is the spool's own: numbers, order, and that nothing is stored twice wherever it is cut off.

use super::*;
use crate::outbox::decision;
use crate::store::conformance::conformance_suite;
use crate::store::postgres::tests::server;
use crate::store::sqlite::tests::TempDir;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const RETENTION: Retention = Retention {
    max_queued: 1_000_000,
    history_age: Duration::from_secs(3_600),
    history_count: 1_000,
};

fn key() -> KeySource {
    KeySource::Given(Zeroizing::new([7; 32]))
}

fn open(url: &str, folder: &TempDir) -> Result<SpooledStore> {
    let tls = TlsPolicy::default();
    SpooledStore::open(url, &folder.path("spool"), key(), &tls, RETENTION)
}

fn with_store(check: &dyn Fn(&dyn Store)) {
    if let Some(server) = server::shared() {
        let folder = TempDir::new();
        let store = open(&server.url(&server.schema()), &folder).unwrap();
        check(&store);
        store.close().unwrap();
    }
}

conformance_suite!(super::with_store);

/// A database, a spool that knows its connector, and nobody that forwards.
struct Scene {
    folder: TempDir,
    url: String,
    far: PostgresStore,
    connector: ConnectorId,
}

impl Scene {
    fn new() -> Option<Scene> {
        let server = server::shared()?;
        let folder = TempDir::new();
        let url = server.url(&server.schema());
        let far = PostgresStore::open(&url, key(), &TlsPolicy::default()).unwrap();
        let connector = far.put_connector(&document(), NOW).unwrap().id;
        open(&url, &folder).unwrap().close().unwrap();
        Some(Scene {
            folder,
            url,
            far,
            connector,
        })
    }

    fn near(&self) -> SqliteStore {
        SqliteStore::open_spool(&self.folder.path("spool")).unwrap()
    }

    fn pushes(&self, titles: &[&str]) -> Vec<NewPush> {
        let push = |title: &&str| NewPush {
            connector: self.connector,
            revision: None,
            case: Case::new(*title),
            coalesce: false,
        };
        titles.iter().map(push).collect()
    }

    /// The titles in the database, in the order of acceptance.
    fn titles(&self) -> Vec<String> {
        let mut pushes = self.far.pushes(&Filter::default()).unwrap();
        pushes.reverse();
        let title = |push: PushStatus| self.far.case(push.id).unwrap().unwrap().title;
        pushes.into_iter().map(title).collect()
    }

    /// Lets a store forward until nothing waits.
    fn forward(&self) -> SpooledStore {
        let store = open(&self.url, &self.folder).unwrap();
        while store.near.anything_waits().unwrap() {
            std::thread::yield_now();
        }
        store
    }
}

fn document() -> NewConnector<'static> {
    NewConnector {
        name: "tracker",
        config: r#"{"createIncidentUrl":"https://tracker.example/i","createIncidentJson":"{}",
                    "createIncidentResponseKey":"id","getIncidentUrl":"https://tracker.example/i/{{{external.system.id}}}",
                    "getIncidentResponseExternalTitleKey":"t","viewIncidentUrl":"https://tracker.example/",
                    "updateIncidentUrl":"https://tracker.example/i/{{{external.system.id}}}","updateIncidentJson":"{}",
                    "hasAuth":false}"#,
        warnings: "[]",
        target: "https://tracker.example",
        secrets: None,
    }
}

#[test]
fn what_was_stored_before_the_spool_learned_of_it_is_not_stored_again() {
    let Some(scene) = Scene::new() else { return };
    let near = scene.near();
    let here = near
        .spool("k1", scene.pushes(&["a", "b"]), false, &RETENTION, NOW)
        .unwrap();
    near.spool("k2", scene.pushes(&["c"]), false, &RETENTION, NOW)
        .unwrap();
    // The process that forwarded was killed right after the commit.
    let bundle = near.take_bundle().unwrap().unwrap();
    let there = scene
        .far
        .enqueue_once(&bundle.key, &[], bundle.pushes, &RETENTION, NOW)
        .map_err(|lost| lost.error)
        .unwrap();
    near.close().unwrap();
    let store = scene.forward();
    assert_eq!(scene.titles(), ["a", "b", "c"]);
    for (here, there) in here.iter().zip(&there) {
        assert_eq!(store.status(mirrored(*here)).unwrap().unwrap().id, *there);
    }
    store.close().unwrap();
}

#[test]
fn a_push_whose_answer_was_lost_is_stored_once() {
    let Some(scene) = Scene::new() else { return };
    let pushes = scene.pushes(&["a"]);
    let stored = scene
        .far
        .enqueue_once("k", &[], pushes.clone(), &RETENTION, NOW)
        .map_err(|lost| lost.error);
    let near = scene.near();
    let here = near.spool("k", pushes, true, &RETENTION, NOW).unwrap();
    // Nobody knows whether it is there, so nobody can take it back.
    let cancelled = near.decide(here[0], NOW, &mut decision::cancel).unwrap_err();
    assert_eq!(cancelled.kind(), ErrorKind::State);
    near.close().unwrap();
    let store = scene.forward();
    assert_eq!(scene.titles(), ["a"]);
    let status = store.status(mirrored(here[0])).unwrap().unwrap();
    assert_eq!(status.id, stored.unwrap()[0]);
    store.close().unwrap();
}

#[test]
fn what_was_cancelled_in_the_spool_stays_there() {
    let Some(scene) = Scene::new() else { return };
    let near = scene.near();
    let here = near
        .spool("k", scene.pushes(&["a", "b", "c"]), false, &RETENTION, NOW)
        .unwrap();
    near.decide(here[1], NOW, &mut decision::cancel).unwrap();
    near.close().unwrap();
    let store = scene.forward();
    assert_eq!(scene.titles(), ["a", "c"]);
    let status = |at: usize| store.status(mirrored(here[at])).unwrap().unwrap();
    assert_eq!(status(1).state, PushState::Cancelled);
    assert_eq!(status(1).id, mirrored(here[1]));
    let again = store.decide(mirrored(here[1]), NOW, &mut |claim| decision::retry(claim, NOW));
    let error = again.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(
        error.to_string().contains(&format!("push -{}", here[1])),
        "{error}"
    );
    store.close().unwrap();
}

#[test]
fn what_the_database_does_not_take_fails_and_can_be_retried() {
    let Some(scene) = Scene::new() else { return };
    let near = scene.near();
    let here = near
        .spool("k", scene.pushes(&["a", "b"]), false, &RETENTION, NOW)
        .unwrap();
    near.close().unwrap();
    scene
        .far
        .remove_connector("tracker", Undelivered::Refuse, NOW)
        .unwrap();
    let store = scene.forward();
    for id in &here {
        let status = store.status(mirrored(*id)).unwrap().unwrap();
        assert_eq!(status.state, PushState::Failed);
        assert!(status.error.unwrap().message.contains("was removed"));
    }
    scene.far.put_connector(&document(), NOW).unwrap();
    for id in here.iter().rev() {
        store
            .decide(mirrored(*id), NOW, &mut |claim| decision::retry(claim, NOW))
            .unwrap();
        while store.near.anything_waits().unwrap() {
            std::thread::yield_now();
        }
    }
    assert_eq!(scene.titles(), ["b", "a"], "each by itself, as they were retried");
    store.close().unwrap();
}

#[test]
fn a_spool_is_of_one_database_and_no_outbox() {
    let Some(scene) = Scene::new() else { return };
    let server = server::shared().unwrap();
    let other = open(&server.url(&server.schema()), &scene.folder).err().unwrap();
    assert_eq!(other.kind(), ErrorKind::Argument);
    assert!(other.to_string().contains("another database"), "{other}");
    let outbox = SqliteStore::open(&scene.folder.path("outbox"), KeySource::Default).unwrap();
    outbox.put_connector(&document(), NOW).unwrap();
    let taken = SqliteStore::open_spool(&scene.folder.path("outbox"))
        .err()
        .unwrap();
    assert_eq!(taken.kind(), ErrorKind::Argument);
    let spool = scene.folder.path("spool");
    let opened = [
        SqliteStore::open(&spool, KeySource::Default),
        SqliteStore::open_to_depart(&spool, KeySource::Default),
    ];
    for refused in opened.into_iter().map(Result::err) {
        let refused = refused.unwrap();
        assert_eq!(refused.kind(), ErrorKind::Argument);
        assert!(refused.to_string().contains("is the spool of"), "{refused}");
    }
}

#[test]
fn other_names_are_forgotten_with_their_pushes() {
    let Some(scene) = Scene::new() else { return };
    let near = scene.near();
    let here = near
        .spool("k", scene.pushes(&["a", "b"]), false, &RETENTION, NOW)
        .unwrap();
    near.close().unwrap();
    let store = scene.forward();
    let names: Vec<PushId> = here.iter().map(|id| mirrored(*id)).collect();
    let there = store.status(names[0]).unwrap().unwrap().id;
    store.decide(names[0], NOW, &mut decision::cancel).unwrap();
    let nothing = Retention {
        history_count: 0,
        ..RETENTION
    };
    store.prune(&nothing, NOW).unwrap();
    assert!(scene.far.status(there).unwrap().is_none(), "it is history");
    assert!(store.status(names[0]).unwrap().is_none());
    assert_eq!(store.status(names[1]).unwrap().unwrap().state, PushState::Queued);
    store.close().unwrap();
}
