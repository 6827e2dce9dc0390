//! Connectors, their secrets, their removal.

use super::*;
use crate::error::ErrorKind;
use crate::model::Step;
use crate::outbox::{Health, Trouble};
use crate::store::Undelivered;

pub(crate) fn stores_and_configures_anew(store: &dyn Store) {
    assert_eq!(store.connector("a").unwrap(), None);
    let first = connector(store, "a");
    assert_eq!((first.revision, first.paused), (1, false));
    assert_eq!(first.health, Health::default());
    let other = connector(store, "B");
    assert_ne!(first.id, other.id);
    let changed = NewConnector {
        config: "{}",
        warnings: "[1]",
        target: "https://elsewhere.example",
        ..document("a")
    };
    let second = store.put_connector(&changed, at(5)).unwrap();
    assert_eq!(
        second,
        StoredConnector {
            revision: 2,
            config: "{}".into(),
            warnings: "[1]".into(),
            target: "https://elsewhere.example".into(),
            updated_at: at(5),
            ..first
        }
    );
    assert_eq!(store.connector("a").unwrap(), Some(second.clone()));
    assert_eq!(store.connectors().unwrap(), [other, second]);
}

pub(crate) fn keeps_secrets_apart(store: &dyn Store) {
    let a = connector(store, "a").id;
    let b = connector(store, "b").id;
    assert!(!store.has_secrets(a).unwrap());
    assert_eq!(store.secrets(a).unwrap(), []);
    let with = |name, secrets| NewConnector {
        secrets: Some(secrets),
        ..document(name)
    };
    let both = vec![secret("password", "pä"), secret("user", "")];
    store.put_connector(&with("a", both.clone()), at(1)).unwrap();
    store
        .put_connector(&with("b", vec![secret("user", "other")]), at(1))
        .unwrap();
    store.put_connector(&document("a"), at(2)).unwrap();
    assert_eq!(store.secrets(a).unwrap(), both, "none given keeps them");
    store
        .put_connector(&with("a", vec![secret("key", "k")]), at(3))
        .unwrap();
    assert_eq!(
        store.secrets(a).unwrap(),
        [secret("key", "k")],
        "given ones replace all"
    );
    store.put_connector(&with("a", Vec::new()), at(4)).unwrap();
    assert!(!store.has_secrets(a).unwrap());
    assert_eq!(store.secrets(b).unwrap(), [secret("user", "other")]);
}

pub(crate) fn removes_and_revives(store: &dyn Store) {
    let with = NewConnector {
        secrets: Some(vec![secret("user", "u")]),
        ..document("a")
    };
    let first = store.put_connector(&with, at(0)).unwrap();
    let id = push(store, first.id, case("c"), true, at(0));
    send(store, id, PushState::Delivered, at(1));
    store.set_paused("a", true, at(1)).unwrap();
    store.remove_connector("a", Undelivered::Refuse, at(2)).unwrap();
    assert_eq!(store.connector("a").unwrap(), None);
    assert_eq!(store.connectors().unwrap(), []);
    assert!(!store.has_secrets(first.id).unwrap());
    assert_eq!(store.status(id).unwrap().unwrap().connector, "a", "history stays");
    let again = store.remove_connector("a", Undelivered::Refuse, at(2));
    assert_eq!(again.unwrap_err().kind(), ErrorKind::NotFound);
    let revived = connector(store, "a");
    assert_eq!((revived.id, revived.paused), (first.id, false));
    assert!(!store.has_secrets(first.id).unwrap());
}

pub(crate) fn refuses_to_remove_what_is_under_way(store: &dyn Store) {
    let a = connector(store, "a").id;
    let remove = |how| store.remove_connector("a", how, at(9)).map_err(|e| e.kind());
    let words = |how| store.remove_connector("a", how, at(9)).unwrap_err().to_string();
    let states = [PushState::Waiting, PushState::Held, PushState::Failed];
    let mut ids = vec![push(store, a, case("q"), true, at(0))];
    let one = words(Undelivered::Refuse);
    assert!(
        one.contains("has 1 undelivered push; deliver, discard or cancel it first"),
        "{one}"
    );
    for state in states {
        let id = push(store, a, case(state.as_str()), true, at(0));
        send(store, id, state, at(1));
        ids.push(id);
    }
    let four = words(Undelivered::Refuse);
    assert!(four.contains("has 4 undelivered pushes"), "{four}");
    let sending = push(store, a, case("s"), true, at(0));
    send(store, sending, PushState::Sending, at(1));
    assert_eq!(remove(Undelivered::Cancel), Err(ErrorKind::State));
    let sent = words(Undelivered::Cancel);
    assert!(
        sent.contains("has 1 push on its way; call again when it has ended"),
        "{sent}"
    );
    assert_eq!(state(store, ids[0]), PushState::Queued, "nothing was changed");
    let claim = store.load(sending).unwrap().unwrap();
    store
        .record(sending, &outcome(in_state(&claim, PushState::Delivered)), at(2))
        .unwrap();
    assert_eq!(remove(Undelivered::Cancel), Ok(()));
    for id in ids {
        assert_eq!(state(store, id), PushState::Cancelled);
    }
    connector(store, "a");
    assert_eq!(store.counts().unwrap()[0].by_state, [0, 0, 0, 0, 1, 0, 0, 4]);
    assert_eq!(claimable(store, a, at(99)), []);
}

pub(crate) fn keeps_what_cancelled_pushes_opened(store: &dyn Store) {
    let a = connector(store, "a").id;
    let external = |id: &str| Case {
        external_id: Some("given".into()),
        ..case(id)
    };
    let leave = |case: Case, sent_to: Option<&str>, external_id: &str| {
        let id = push(store, a, case, false, at(0));
        let mut progress = store.load(id).unwrap().unwrap().push.progress;
        assert!(store.begin(id, &progress, at(1)).unwrap());
        (progress.state, progress.step) = (PushState::Waiting, Some(Step::Get));
        progress.target = sent_to.map(str::to_owned);
        progress.external_id = Some(external_id.into());
        progress.external_title = Some("T".into());
        store.record(id, &outcome(progress), at(1)).unwrap();
        id
    };
    let linked = push(store, a, case("linked"), false, at(0));
    let mut done = outcome(in_state(
        &store.load(linked).unwrap().unwrap(),
        PushState::Delivered,
    ));
    assert!(store.begin(linked, &done.progress, at(1)).unwrap());
    done.progress.external_id = Some("L".into());
    done.link = LinkChange::Set;
    store.record(linked, &done, at(1)).unwrap();
    leave(case("opened"), Some(TARGET), "E");
    leave(case("elsewhere"), Some("https://old.example"), "O");
    leave(case("linked"), Some(TARGET), "E");
    leave(external("named"), Some(TARGET), "given");
    leave(case(""), Some(TARGET), "E");
    push(store, a, case("queued"), false, at(2));
    store.remove_connector("a", Undelivered::Cancel, at(3)).unwrap();
    connector(store, "a");
    let link = |target: &str, case: &str| {
        let link = store.link("a", target, case).unwrap();
        link.map(|link| (link.external_id, link.external_title))
    };
    assert_eq!(link(TARGET, "opened"), Some(("E".into(), Some("T".into()))));
    assert_eq!(link(TARGET, "elsewhere"), None);
    assert_eq!(
        link("https://old.example", "elsewhere"),
        Some(("O".into(), Some("T".into())))
    );
    assert_eq!(link(TARGET, "linked"), Some(("L".into(), None)));
    for case in ["named", "queued", ""] {
        assert_eq!(link(TARGET, case), None, "{case:?}");
    }
    let next = push(store, a, case("opened"), false, at(4));
    assert!(!store.load(next).unwrap().unwrap().overtaken);
}

pub(crate) fn keeps_health_and_pause(store: &dyn Store) {
    let a = connector(store, "a").id;
    let health = Health {
        offline: Some(Trouble {
            reason: "refused".into(),
            probes: 3,
            probe_at: at(7),
        }),
        blocked: Some(Trouble {
            reason: "401".into(),
            probes: 1,
            probe_at: at(8),
        }),
        throttled_until: Some(at(9)),
        odometer_ms: 1234,
    };
    store.set_health(a, &health).unwrap();
    store.set_paused("a", true, at(1)).unwrap();
    let stored = store.connector("a").unwrap().unwrap();
    assert_eq!((&stored.health, stored.paused), (&health, true));
    let id = push(store, a, case("c"), true, at(0));
    let claim = store.load(id).unwrap().unwrap();
    assert!(store.begin(id, &claim.push.progress, at(1)).unwrap());
    let mut waiting = outcome(in_state(&claim, PushState::Waiting));
    waiting.progress.due_at = at(60_000);
    waiting.progress.wait_ms = 60_000;
    store.record(id, &waiting, at(1)).unwrap();
    let anew = store.put_connector(&document("a"), at(2)).unwrap();
    assert!(anew.paused, "a pause outlives a configure");
    let cleared = Health {
        odometer_ms: 1234,
        ..Health::default()
    };
    assert_eq!(anew.health, cleared);
    assert_eq!(store.next_due(a, &[]).unwrap(), Some(at(2)), "due at once");
    let unknown = store.set_paused("b", true, at(1));
    assert_eq!(unknown.unwrap_err().kind(), ErrorKind::NotFound);
}

pub(crate) fn warns_of_links_elsewhere(store: &dyn Store) {
    let a = connector(store, "a").id;
    for name in ["x", "y"] {
        let id = push(store, a, case(name), true, at(0));
        let claim = store.load(id).unwrap().unwrap();
        assert!(store.begin(id, &claim.push.progress, at(1)).unwrap());
        let mut done = outcome(in_state(&claim, PushState::Delivered));
        done.progress.external_id = Some("E".into());
        done.link = LinkChange::Set;
        store.record(id, &done, at(1)).unwrap();
    }
    assert_eq!(store.links_elsewhere("a", TARGET).unwrap(), 0);
    assert_eq!(store.links_elsewhere("a", "https://new.example").unwrap(), 2);
    assert_eq!(store.links_elsewhere("unknown", TARGET).unwrap(), 0);
}
