//! What becomes of pushes that the database does not take, where it may have them already, and of what is behind them.

use super::*;

impl Scene {
    /// Spools a call that may have got to the database; there, too, if `stored`.
    fn cut_off(&self, stored: bool) -> PushId {
        let pushes = self.pushes(&["a"]);
        if stored {
            self.far
                .enqueue_once("cut", &[], pushes.clone(), &RETENTION, NOW)
                .map_err(|lost| lost.error)
                .unwrap();
        }
        let near = self.near();
        let ids = near.spool("cut", pushes, true, &RETENTION, NOW).unwrap();
        near.close().unwrap();
        mirrored(ids[0])
    }

    fn open(&self) -> SpooledStore {
        open(&self.url, &self.folder).unwrap()
    }
}

fn status(store: &SpooledStore, id: PushId) -> PushStatus {
    store.status(id).unwrap().unwrap()
}

#[test]
fn nothing_fails_that_the_database_was_not_asked_for() {
    let Some(scene) = Scene::new() else { return };
    let (maybe, other) = (scene.cut_off(true), scene.another());
    let fresh = scene.spooled(&[(other, &["b"])])[0];
    scene.sql("ALTER TABLE commits ADD CONSTRAINT own CHECK (number < 0) NOT VALID");
    let store = scene.open();
    for (id, state) in [(maybe, PushState::Sending), (fresh, PushState::Queued)] {
        until("it says why, or is found", || {
            let status = status(&store, id);
            status.error.is_some() || status.id.get() > 0
        });
        let held = status(&store, id);
        if held.id.get() > 0 {
            // It is there, so to find it at once is as good.
            assert_eq!(id, maybe);
            continue;
        }
        assert!(
            held.state == state || held.state == PushState::Sending,
            "{held:?}"
        );
        assert!(held.error.unwrap().retryable);
    }
    scene.sql("ALTER TABLE commits DROP CONSTRAINT own");
    until("both go", || !store.near.anything_waits().unwrap());
    assert_eq!(scene.titles(), ["a", "b"]);
    store.close().unwrap();
}

#[test]
fn what_may_be_stored_does_not_fail_while_its_receipt_cannot_be_asked_for() {
    let Some(scene) = Scene::new() else { return };
    let id = scene.cut_off(true);
    scene.sql("ALTER TABLE receipts ADD CONSTRAINT own CHECK (key <> 'cut') NOT VALID");
    let store = scene.open();
    until("it says why", || status(&store, id).error.is_some());
    assert_eq!(status(&store, id).state, PushState::Sending);
    let cancelled = store.decide(id, NOW, &mut decision::cancel).unwrap_err();
    assert_eq!(cancelled.kind(), ErrorKind::State, "it is there");
    scene.sql("ALTER TABLE receipts DROP CONSTRAINT own");
    until("it is found", || !store.near.anything_waits().unwrap());
    assert_eq!(scene.titles(), ["a"]);
    store.close().unwrap();
}

#[test]
fn what_may_be_stored_is_found_though_its_connector_cannot_be_read() {
    let Some(scene) = Scene::new() else { return };
    scene.cut_off(true);
    scene.sql("UPDATE connectors SET config = '{'");
    let store = scene.open();
    until("it is found", || !store.near.anything_waits().unwrap());
    assert_eq!(scene.titles(), ["a"]);
    store.close().unwrap();
}

#[test]
fn what_turns_out_not_to_be_stored_can_be_cancelled_while_it_is_held() {
    let Some(scene) = Scene::new() else { return };
    let id = scene.cut_off(false);
    scene.sql("UPDATE connectors SET config = '{'");
    let store = scene.open();
    until("it says why", || status(&store, id).error.is_some());
    // It may be tried at this moment.
    until("it can be cancelled", || {
        store.decide(id, NOW, &mut decision::cancel).is_ok()
    });
    assert_eq!(scene.titles(), [""; 0]);
    assert_eq!(
        scene.sql("SELECT count(*) FROM receipts"),
        "0",
        "to ask leaves nothing there"
    );
    store.close().unwrap();
}

#[test]
fn a_lock_on_one_connector_holds_up_that_one_alone() {
    let Some(scene) = Scene::new() else { return };
    let other = scene.another();
    let ids = scene.spooled(&[(scene.connector, &["1"]), (other, &["a"])]);
    let (_, schema) = scene.url.split_once("schema=").unwrap();
    let server = server::shared().unwrap();
    let locker = format!(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'locks {schema}' AND wait_event = 'PgSleep'"
    );
    // As its own patience would end it after half a minute.
    let impatient = format!(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE ({locker}) = ANY(pg_blocking_pids(pid))"
    );
    std::thread::scope(|threads| {
        threads.spawn(|| {
            // Ended from outside.
            server.try_sql(&format!(
                "SET application_name TO 'locks {schema}'; SET search_path TO {schema}; BEGIN; \
                 SELECT FROM connectors WHERE name = 'tracker' FOR UPDATE; SELECT pg_sleep(150)"
            ));
        });
        until("it is locked", || !server.sql(&locker).is_empty());
        let store = scene.open();
        until("the other goes", || {
            server.sql(&impatient);
            scene.titles() == ["a"]
        });
        let held = status(&store, ids[0]).error.unwrap();
        assert!(held.retryable && held.code == "busy", "{held:?}");
        assert_eq!(
            server.sql(&format!("SELECT pg_terminate_backend(({locker}))")),
            "t"
        );
        until("it goes as well", || !store.near.anything_waits().unwrap());
        assert_eq!(scene.titles(), ["a", "1"]);
        store.close().unwrap();
    });
}

#[test]
fn what_is_held_counts_as_the_oldest() {
    let Some(scene) = Scene::new() else { return };
    let ids = scene.spooled(&[(scene.connector, &["1", "2"])]);
    scene.sql("UPDATE connectors SET config = '{'");
    let store = scene.open();
    until("it says why", || status(&store, ids[0]).error.is_some());
    assert_eq!(store.counts().unwrap()[0].oldest_at, Some(NOW));
    store.close().unwrap();
}
