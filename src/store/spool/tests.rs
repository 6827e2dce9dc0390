//! What is the spool's own: numbers, order, and that nothing is stored twice wherever it is cut off.

mod refusals;

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
        self.pushes_for(self.connector, titles)
    }

    fn pushes_for(&self, connector: ConnectorId, titles: &[&str]) -> Vec<NewPush> {
        let push = |title: &&str| NewPush {
            connector,
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

    /// A second connector, that the spool knows as well.
    fn another(&self) -> ConnectorId {
        let other = self.far.put_connector(&document_of("other"), NOW).unwrap().id;
        open(&self.url, &self.folder).unwrap().close().unwrap();
        other
    }

    /// Spools a call for each of these.
    fn spooled(&self, calls: &[(ConnectorId, &[&str])]) -> Vec<PushId> {
        let near = self.near();
        let mut ids = Vec::new();
        for (n, (connector, titles)) in calls.iter().enumerate() {
            let pushes = self.pushes_for(*connector, titles);
            ids.extend(
                near.spool(&format!("k{n}"), pushes, false, &RETENTION, NOW)
                    .unwrap(),
            );
        }
        near.close().unwrap();
        ids.into_iter().map(mirrored).collect()
    }

    /// What it printed.
    fn sql(&self, sql: &str) -> String {
        let (_, schema) = self.url.split_once("schema=").unwrap();
        let server = server::shared().unwrap();
        server.sql(&format!("SET search_path TO {schema}; {sql}"))
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
    document_of("tracker")
}

fn document_of(name: &str) -> NewConnector<'_> {
    NewConnector {
        name,
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
    let bundle = near.take_bundle(&[]).unwrap().unwrap();
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

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(120), "{what}");
        // Not in a hurry: a machine of two cores runs many of these, and the server as well.
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_is_refused_holds_up_its_own_connector_alone_and_says_why() {
    let Some(scene) = Scene::new() else { return };
    let (broken, other) = (scene.connector, scene.another());
    let ids = scene.spooled(&[
        (broken, &["1", "2"]),
        (other, &["a"]),
        (broken, &["3"]),
        (other, &["b"]),
    ]);
    scene.sql("UPDATE connectors SET config = '{' WHERE name = 'tracker'");
    let store = open(&scene.url, &scene.folder).unwrap();
    until("the others go", || scene.titles() == ["a", "b"]);
    let status = |id: PushId| store.status(id).unwrap().unwrap();
    until("it says why", || status(ids[0]).error.is_some());
    let held = status(ids[0]);
    assert_eq!(held.id, ids[0]);
    let why = held.error.unwrap();
    assert!(why.retryable && why.code == "config", "{why:?}");
    assert_eq!(status(ids[3]).id, ids[3]);
    let push = |connector, title| {
        let pushes = scene.pushes_for(connector, &[title]);
        store.enqueue(pushes, &RETENTION, NOW).unwrap()[0].get()
    };
    let mut spooled = 0;
    until("nothing but the refused waits", || {
        let straight = push(other, "c") > 0;
        spooled += usize::from(!straight);
        // Each that joins the others in the spool has them wait longer.
        until("it goes", || {
            let gone = scene.titles().iter().filter(|title| *title == "c").count();
            gone == spooled + usize::from(straight)
        });
        straight
    });
    assert!(push(broken, "4") < 0, "in order behind them");
    scene.sql(
        "UPDATE connectors AS c SET config = (SELECT config FROM connectors WHERE name = 'other') WHERE name = 'tracker'",
    );
    until("the rest goes", || !store.near.anything_waits().unwrap());
    let mut titles = scene.titles();
    titles.retain(|title| title.parse::<u32>().is_ok());
    assert_eq!(titles, ["1", "2", "3", "4"]);
    store.close().unwrap();
}

#[test]
fn what_there_is_no_room_for_lets_others_pass_and_can_be_cancelled() {
    let Some(scene) = Scene::new() else { return };
    let other = scene.another();
    let ids = scene.spooled(&[(scene.connector, &["1", "2", "3"]), (other, &["a"])]);
    let few = Retention {
        max_queued: 2,
        ..RETENTION
    };
    let tls = TlsPolicy::default();
    let store = SpooledStore::open(&scene.url, &scene.folder.path("spool"), key(), &tls, few).unwrap();
    until("the other goes", || scene.titles() == ["a"]);
    let status = |id: PushId| store.status(id).unwrap().unwrap();
    until("it says why", || status(ids[1]).error.is_some());
    assert_eq!(status(ids[1]).error.unwrap().code, "queue_full");
    // It may be tried at this moment.
    until("it can be cancelled", || {
        ids[1..3].iter().all(|id| {
            status(*id).state == PushState::Cancelled || store.decide(*id, NOW, &mut decision::cancel).is_ok()
        })
    });
    until("there is room", || !store.near.anything_waits().unwrap());
    assert_eq!(scene.titles(), ["a", "1"]);
    store.close().unwrap();
}

#[test]
fn what_the_database_never_takes_fails_and_lets_the_next_ones_pass() {
    let Some(scene) = Scene::new() else { return };
    let ids = scene.spooled(&[
        (scene.connector, &["bad"]),
        (scene.connector, &["1", "bad"]),
        (scene.connector, &["2"]),
    ]);
    scene.sql("ALTER TABLE incidents ADD CONSTRAINT own CHECK (title <> 'bad')");
    let store = open(&scene.url, &scene.folder).unwrap();
    until("the next one goes", || scene.titles() == ["2"]);
    for id in &ids[..3] {
        let status = store.status(*id).unwrap().unwrap();
        assert_eq!(status.state, PushState::Failed);
        assert!(status.error.unwrap().message.contains("own"));
    }
    scene.sql("ALTER TABLE incidents DROP CONSTRAINT own");
    store
        .decide(ids[0], NOW, &mut |claim| decision::retry(claim, NOW))
        .unwrap();
    until("it is taken", || scene.titles() == ["2", "bad"]);
    store.close().unwrap();
}

#[test]
fn a_call_that_the_database_knows_otherwise_fails() {
    let Some(scene) = Scene::new() else { return };
    // As if the spool had been put back.
    scene.sql("INSERT INTO receipts (key, pushes) VALUES ('k0', '{7}')");
    let ids = scene.spooled(&[(scene.connector, &["1", "2"]), (scene.connector, &["3"])]);
    let store = open(&scene.url, &scene.folder).unwrap();
    until("the next one goes", || scene.titles() == ["3"]);
    let status = store.status(ids[0]).unwrap().unwrap();
    assert_eq!(status.state, PushState::Failed);
    assert!(status.error.unwrap().message.contains("copied or put back"));
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
