//! What is counted for people who watch, and outlives the pushes.

use super::*;
use crate::model::{Attempt, FailureClass, Step, Tally};

pub(crate) fn counts_exchanges(store: &dyn Store) {
    let a = connector(store, "a").id;
    let b = connector(store, "b").id;
    let id = push(store, a, case("1"), true, at(0));
    let claim = store.load(id).unwrap().unwrap();
    assert!(store.begin(id, &claim.push.progress, at(0)).unwrap());
    let attempt = |duration_ms, class| Attempt {
        push: id,
        at: at(1),
        duration_ms,
        step: Step::Create,
        method: Some("POST".into()),
        url: Some("https://x".into()),
        http_status: None,
        class,
        message: String::new(),
    };
    for (duration_ms, class) in [
        (3, None),
        (5, None),
        (6, None),
        (7, Some(FailureClass::Auth)),
        (9_000_000, None),
    ] {
        let logged = Outcome {
            attempt: Some(attempt(duration_ms, class)),
            size: ExchangeSize {
                sent: 10,
                received: 20,
            },
            ..outcome(in_state(&claim, PushState::Sending))
        };
        store.record(id, &logged, at(1)).unwrap();
    }
    let tally = |class, within_ms, count, duration_ms| Tally {
        step: Step::Create,
        class,
        within_ms,
        count,
        duration_ms,
        bytes_sent: 10 * count,
        bytes_received: 20 * count,
    };
    let mut found = store.exchanges(a).unwrap();
    found.sort_by_key(|tally| (tally.class, tally.within_ms));
    assert_eq!(
        found,
        [
            tally(None, None, 1, 9_000_000),
            tally(None, Some(5), 2, 8),
            tally(None, Some(10), 1, 6),
            tally(Some(FailureClass::Auth), Some(10), 1, 7),
        ]
    );
    assert_eq!(store.exchanges(b).unwrap(), []);
}

pub(crate) fn remembers_what_is_gone(store: &dyn Store) {
    let a = connector(store, "a").id;
    let failed = push(store, a, case("1"), true, at(0));
    send(store, failed, PushState::Failed, at(1));
    store.discard(failed).unwrap();
    let delivered = push(store, a, case("2"), true, at(2));
    send(store, delivered, PushState::Delivered, at(3));
    push(store, a, case("3"), true, at(4));
    let none_kept = Retention {
        history_count: 0,
        ..RETENTION
    };
    assert!(!store.prune(&none_kept, at(5)).unwrap());
    let counts = &store.counts().unwrap()[0];
    assert_eq!(counts.by_state, [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(counts.gone, [0, 0, 0, 0, 1, 1, 0, 0]);
}
