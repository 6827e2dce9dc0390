//! Due times, history, and the end: what goes on in a store without a delivery.

use super::*;
use crate::error::ErrorKind;
use crate::outbox::{Health, Trouble, decision};

pub(crate) fn brings_a_due_time_forward(store: &dyn Store) {
    let a = connector(store, "a").id;
    let id = push(store, a, case("c"), false, at(0));
    let claim = store.load(id).unwrap().unwrap();
    let mut waiting = outcome(in_state(&claim, PushState::Waiting));
    waiting.progress.due_at = at(60_000);
    waiting.progress.wait_ms = 60_000;
    store.record(id, &waiting, at(0)).unwrap();
    assert_eq!(store.next_due(a, &[]).unwrap(), Some(at(60_000)));
    let now = at(5_000);
    store
        .decide(id, now, &mut |claim| decision::retry(claim, now))
        .unwrap();
    assert_eq!(store.next_due(a, &[]).unwrap(), Some(now));
    assert_eq!(state(store, id), PushState::Waiting);
}

pub(crate) fn pulls_due_times_back(store: &dyn Store) {
    let a = connector(store, "a").id;
    let hour = 3_600_000;
    let id = push(store, a, case("c"), false, at(10 * hour));
    let behind = push(store, a, case("c"), false, at(10 * hour));
    let claim = store.load(id).unwrap().unwrap();
    let mut waiting = outcome(in_state(&claim, PushState::Waiting));
    waiting.progress.due_at = at(10 * hour + 5_000);
    waiting.progress.wait_ms = 5_000;
    let trouble = |hours| {
        Some(Trouble {
            reason: "r".into(),
            probes: 1,
            probe_at: at(hours * hour),
        })
    };
    waiting.health = Some(Health {
        offline: trouble(10),
        blocked: trouble(10),
        throttled_until: Some(at(10 * hour)),
        odometer_ms: 0,
    });
    store.record(id, &waiting, at(10 * hour)).unwrap();
    store.clamp_due(at(10 * hour)).unwrap();
    assert_eq!(
        store.next_due(a, &[]).unwrap(),
        Some(at(10 * hour + 5_000)),
        "nothing to do"
    );
    store.clamp_due(at(0)).unwrap();
    assert_eq!(store.next_due(a, &[]).unwrap(), Some(at(5_000)));
    let health = store.connector("a").unwrap().unwrap().health;
    assert_eq!(health.offline.unwrap().probe_at, at(hour / 6));
    assert_eq!(health.blocked.unwrap().probe_at, at(hour));
    assert_eq!(health.throttled_until, Some(at(hour)));
    send(store, id, PushState::Delivered, at(1));
    assert_eq!(
        claimable(store, a, at(1)),
        [behind],
        "pulled back when its turn came"
    );
}

pub(crate) fn prunes_by_age_and_count(store: &dyn Store) {
    let a = connector(store, "a").id;
    let new: Vec<NewPush> = (0..1_203)
        .map(|n| NewPush {
            connector: a,
            revision: None,
            case: commented(&n.to_string(), &[("1", "x")]),
            coalesce: true,
        })
        .collect();
    let ids = store.enqueue(new, &RETENTION, at(0)).unwrap();
    for (n, id) in ids[..1_202].iter().enumerate() {
        match n {
            0 => send(store, *id, PushState::Failed, at(0)),
            1 => send(store, *id, PushState::Held, at(0)),
            n => decide(store, *id, PushState::Cancelled, at(n as i64)),
        }
    }
    let by_count = Retention {
        history_count: 600,
        ..RETENTION
    };
    assert!(
        store.prune(&by_count, at(2_000)).unwrap(),
        "a batch is not all of it"
    );
    assert!(!store.prune(&by_count, at(2_000)).unwrap());
    assert_eq!(store.counts().unwrap()[0].by_state, [1, 0, 0, 1, 0, 1, 0, 600]);
    assert!(store.status(ids[601]).unwrap().is_none());
    assert!(store.status(ids[602]).unwrap().is_some());
    if store.shares_draining() {
        // Whose history ages by a clock that is not the caller's.
        return;
    }
    let by_age = Retention {
        history_age: std::time::Duration::from_millis(1_000),
        ..RETENTION
    };
    assert!(store.prune(&by_age, at(2_201)).unwrap());
    assert!(!store.prune(&by_age, at(2_201)).unwrap());
    assert_eq!(store.counts().unwrap()[0].by_state, [1, 0, 0, 1, 0, 1, 0, 1]);
    assert_eq!(state(store, ids[1_201]), PushState::Cancelled);
}

pub(crate) fn discards_only_failed(store: &dyn Store) {
    let a = connector(store, "a").id;
    let id = push(store, a, case("c"), true, at(0));
    assert_eq!(store.discard(id).unwrap_err().kind(), ErrorKind::State);
    send(store, id, PushState::Failed, at(1));
    store.discard(id).unwrap();
    assert!(store.status(id).unwrap().is_none());
    assert_eq!(store.discard(id).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(
        push(store, a, case("c"), true, at(2)) > id,
        "numbers are not used again"
    );
}

pub(crate) fn gives_no_number_twice(store: &dyn Store) {
    let a = connector(store, "a").id;
    let mut highest = push(store, a, case("first"), false, at(0));
    let mut newer = |store: &dyn Store| {
        let id = push(store, a, case("c"), false, at(0));
        assert!(id > highest, "{id} after {highest}");
        highest = id;
        id
    };
    let failed = newer(store);
    send(store, failed, PushState::Failed, at(0));
    store.discard(failed).unwrap();
    let delivered = newer(store);
    send(store, delivered, PushState::Delivered, at(0));
    let nothing = Retention {
        history_count: 0,
        ..RETENTION
    };
    store.prune(&nothing, at(0)).unwrap();
    assert!(store.status(delivered).unwrap().is_none());
    newer(store);
}

pub(crate) fn notes_the_drainer(store: &dyn Store) {
    assert_eq!(store.drainer().unwrap(), None);
    store.note_drainer(Some(17), at(0)).unwrap();
    store.note_drainer(Some(u32::MAX), at(0)).unwrap();
    assert_eq!(store.drainer().unwrap(), Some(u32::MAX));
    store.note_drainer(None, at(0)).unwrap();
    assert_eq!(store.drainer().unwrap(), None);
}

pub(crate) fn says_closed_after_close(store: &dyn Store) {
    connector(store, "a");
    store.close().unwrap();
    store.close().unwrap();
    assert_eq!(store.connectors().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(
        store.note_drainer(None, at(0)).unwrap_err().kind(),
        ErrorKind::Closed
    );
    assert_eq!(store.data_version().unwrap_err().kind(), ErrorKind::Closed);
}
