//! Accepting, coalescing, listing.

use super::*;
use crate::error::ErrorKind;
use crate::model::{Filter, limits};
use crate::outbox::CommentProgress;
use crate::store::Undelivered;

pub(crate) fn keeps_a_case_whole(store: &dyn Store) {
    let a = connector(store, "a").id;
    let fields = serde_json::json!({"n": 9_007_199_254_740_993_i64, "deep": [[{"x": null}]], "ü": "\u{0}"});
    let whole = Case {
        description: Some("line\n\"two\"".into()),
        severity: Some("high".into()),
        status: Some(String::new()),
        tags: vec!["a".into(), String::new()],
        external_id: Some("E 1".into()),
        fields: fields.as_object().unwrap().clone(),
        traceparent: Some("00-trace".into()),
        ..commented(
            "nul\0ünïcode",
            &[("c1", "first"), ("", "anonymous"), ("c1", "second")],
        )
    };
    let id = push(store, a, whole.clone(), true, at(3));
    assert_eq!(store.case(id).unwrap(), Some(whole.clone()));
    let claim = store.load(id).unwrap().unwrap();
    assert_eq!(*claim.push.case, whole);
    assert_eq!(claim.push.progress.due_at, at(3));
    assert_eq!((claim.link, claim.overtaken), (None, false));
    let status = store.status(id).unwrap().unwrap();
    assert_eq!(status.case_id.as_deref(), Some("nul\0ünïcode"));
    assert_eq!((status.created_at, status.next_attempt_at), (at(3), Some(at(3))));
    assert_eq!(status.comments.len(), 3);
    let bare = push(store, a, case(""), true, at(3));
    assert_eq!(store.case(bare).unwrap(), Some(case("")));
    assert_eq!(store.status(bare).unwrap().unwrap().case_id, None);
    assert_eq!(store.case(PushId::from(999)).unwrap(), None);
    assert!(store.status(PushId::from(999)).unwrap().is_none());
}

pub(crate) fn accepts_all_or_none(store: &dyn Store) {
    let a = connector(store, "a").id;
    let new = |connector, id: &str| NewPush {
        connector,
        revision: None,
        case: case(id),
        coalesce: false,
    };
    let bad = [new(a, "1"), new(ConnectorId(4711), "2")];
    let error = store.enqueue(bad.into(), &RETENTION, at(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(store.pushes(&Filter::new()).unwrap(), []);
    assert_eq!(store.counts().unwrap()[0].by_state, [0; 8]);
    let good = [new(a, "1"), new(a, "1"), new(a, "2")];
    let ids = store.enqueue(good.into(), &RETENTION, at(0)).unwrap();
    assert!(ids.is_sorted() && ids.len() == 3);
    assert_eq!(claimable(store, a, at(0)), [ids[0], ids[2]]);
    assert_eq!(store.enqueue(Vec::new(), &RETENTION, at(0)).unwrap(), []);
}

pub(crate) fn refuses_a_removed_connector(store: &dyn Store) {
    let a = connector(store, "a").id;
    store.remove_connector("a", Undelivered::Refuse, at(1)).unwrap();
    let new = NewPush {
        connector: a,
        revision: None,
        case: case("c"),
        coalesce: true,
    };
    let error = store.enqueue(vec![new], &RETENTION, at(2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

pub(crate) fn bounds_the_queue(store: &dyn Store) {
    let a = connector(store, "a").id;
    let b = connector(store, "b").id;
    let tight = Retention {
        max_queued: 3,
        ..RETENTION
    };
    let held = push(store, a, case("held"), true, at(0));
    send(store, held, PushState::Held, at(0));
    let failed = push(store, b, case("failed"), true, at(0));
    send(store, failed, PushState::Failed, at(0));
    let accept = |connector, id: &str| {
        let new = NewPush {
            connector,
            revision: None,
            case: case(id),
            coalesce: true,
        };
        store.enqueue(vec![new], &tight, at(1)).map_err(|e| e.kind())
    };
    assert!(accept(a, "x").is_ok());
    assert_eq!(accept(b, "y"), Err(ErrorKind::QueueFull), "held and failed count");
    assert!(
        accept(a, "x").is_ok(),
        "one that takes another's place needs no room"
    );
    store.discard(failed).unwrap();
    assert!(accept(b, "y").is_ok());
}

pub(crate) fn coalesces_what_was_not_begun(store: &dyn Store) {
    let a = connector(store, "a").id;
    let first = push(
        store,
        a,
        commented("c", &[("1", "old one"), ("", "x"), ("2", "two")]),
        true,
        at(0),
    );
    let claim = store.load(first).unwrap().unwrap();
    let mut offline = outcome(in_state(&claim, PushState::Waiting));
    offline.progress.due_at = at(1_000);
    store.record(first, &offline, at(0)).unwrap();
    let other_target = Case {
        external_id: Some("E".into()),
        ..case("c")
    };
    let other_case = push(store, a, case("other"), true, at(0));
    let second = push(
        store,
        a,
        commented("c", &[("3", "three"), ("1", "new one"), ("", "x")]),
        true,
        at(7),
    );
    let status = store.status(first).unwrap().unwrap();
    assert_eq!(
        (status.state, status.superseded_by),
        (PushState::Superseded, Some(second))
    );
    assert_eq!((status.error, status.updated_at), (None, at(7)));
    let merged = commented(
        "c",
        &[
            ("1", "new one"),
            ("", "x"),
            ("2", "two"),
            ("3", "three"),
            ("", "x"),
        ],
    );
    assert_eq!(store.case(second).unwrap(), Some(merged));
    assert_eq!(claimable(store, a, at(7)), [other_case, second], "due at once");
    let third = push(store, a, other_target, true, at(8));
    assert_eq!(
        state(store, second),
        PushState::Queued,
        "another external id stands apart"
    );
    assert_eq!(claimable(store, a, at(8)), [other_case, second]);
    let fourth = push(store, a, case("c"), false, at(9));
    assert_eq!(state(store, third), PushState::Queued, "coalescing is off");
    assert_eq!(state(store, fourth), PushState::Queued);
    let alone = [
        push(store, a, case(""), true, at(9)),
        push(store, a, case(""), true, at(9)),
    ];
    assert_eq!(alone.map(|id| state(store, id)), [PushState::Queued; 2]);
    assert_eq!(store.counts().unwrap()[0].by_state, [6, 0, 0, 0, 0, 0, 1, 0]);
}

pub(crate) fn coalesces_within_one_call(store: &dyn Store) {
    let a = connector(store, "a").id;
    let pushes = (0..5).map(|n| NewPush {
        connector: a,
        revision: None,
        case: case(if n % 2 == 0 { "even" } else { "odd" }),
        coalesce: true,
    });
    let ids = store.enqueue(pushes.collect(), &RETENTION, at(0)).unwrap();
    assert_eq!(claimable(store, a, at(1)), [ids[3], ids[4]]);
    let counts = store.counts().unwrap();
    let of = |state: PushState| counts[0].by_state[PushState::ALL.iter().position(|s| *s == state).unwrap()];
    assert_eq!((of(PushState::Queued), of(PushState::Superseded)), (2, 3));
}

pub(crate) fn counts_occurrences(store: &dyn Store) {
    let a = connector(store, "a").id;
    push(store, a, commented("c", &[("1", "a"), ("1", "b")]), true, at(0));
    let id = push(
        store,
        a,
        commented("c", &[("0", "z"), ("1", "A"), ("1", "B"), ("1", "C")]),
        true,
        at(0),
    );
    let claim = store.load(id).unwrap().unwrap();
    let texts: Vec<_> = claim.push.case.comments.iter().map(|c| c.text.as_str()).collect();
    assert_eq!(texts, ["A", "B", "z", "C"]);
    let progress = |occurrence| CommentProgress {
        state: crate::model::CommentState::Pending,
        occurrence,
        already_sent: false,
    };
    assert_eq!(
        claim.push.comments,
        [progress(0), progress(1), progress(0), progress(2)]
    );
}

pub(crate) fn keeps_the_limits_of_a_push(store: &dyn Store) {
    let a = connector(store, "a").id;
    let many = |from: usize| Case {
        comments: (from..from + limits::COMMENTS - 1)
            .map(|n| Comment {
                id: n.to_string(),
                text: "t".into(),
            })
            .collect(),
        ..case("c")
    };
    let first = push(store, a, many(0), true, at(0));
    let same = push(store, a, many(0), true, at(0));
    assert_eq!(
        state(store, first),
        PushState::Superseded,
        "the union is no larger"
    );
    let one_more = push(store, a, commented("c", &[("new", "t")]), true, at(0));
    assert_eq!(state(store, same), PushState::Superseded);
    let too_many = push(store, a, commented("c", &[("newer", "t")]), true, at(0));
    assert_eq!(
        state(store, one_more),
        PushState::Queued,
        "10,000 comments is the limit"
    );
    assert_eq!(claimable(store, a, at(0)), [one_more]);
    let large = "x".repeat(limits::PUSH_BYTES / 2);
    push(store, a, commented("c", &[("l1", &large)]), true, at(0));
    assert_eq!(state(store, too_many), PushState::Superseded);
    let large = push(store, a, commented("c", &[("l2", &large)]), true, at(0));
    assert_eq!(state(store, large), PushState::Queued);
    assert_eq!(store.counts().unwrap()[0].by_state[0], 3);
}

pub(crate) fn does_not_reach_over_what_was_begun(store: &dyn Store) {
    let a = connector(store, "a").id;
    let old = push(store, a, case("c"), false, at(0));
    send(store, old, PushState::Failed, at(0));
    let unbegun = push(store, a, case("c"), false, at(0));
    let begun = push(store, a, case("c"), false, at(0));
    decide(store, old, PushState::Queued, at(1));
    // The middle one gets a begun one behind it: an older one is retried, sent, and waits.
    send(store, old, PushState::Delivered, at(1));
    send(store, unbegun, PushState::Waiting, at(1));
    let newest = push(store, a, case("c"), true, at(2));
    assert_eq!(state(store, unbegun), PushState::Waiting, "it was begun");
    assert_eq!(state(store, begun), PushState::Superseded);
    assert_eq!(claimable(store, a, at(2)), [unbegun]);
    send(store, unbegun, PushState::Delivered, at(3));
    assert_eq!(claimable(store, a, at(3)), [newest]);
}

pub(crate) fn lists_by_filter(store: &dyn Store) {
    let a = connector(store, "a").id;
    let b = connector(store, "b").id;
    let ids: Vec<PushId> = (0..6)
        .map(|n| {
            let connector = if n % 2 == 0 { a } else { b };
            push(store, connector, case(["c", "c", "d"][n % 3]), false, at(0))
        })
        .collect();
    send(store, ids[0], PushState::Delivered, at(1));
    send(store, ids[1], PushState::Failed, at(1));
    let list = |filter: Filter| -> Vec<usize> {
        let found = store.pushes(&filter).unwrap();
        found
            .iter()
            .map(|status| ids.iter().position(|id| *id == status.id).unwrap())
            .collect()
    };
    let all = Filter::new;
    assert_eq!(list(all()), [5, 4, 3, 2, 1, 0]);
    assert_eq!(list(all().limit(2)), [5, 4]);
    assert_eq!(list(all().limit(0)), [0_usize; 0]);
    assert_eq!(list(all().before(ids[2])), [1, 0]);
    assert_eq!(list(all().connector("a")), [4, 2, 0]);
    assert_eq!(list(all().connector("a").limit(1).before(ids[4])), [2]);
    assert_eq!(list(all().connector("nobody")), [0_usize; 0]);
    assert_eq!(list(all().state(PushState::Queued).limit(3)), [5, 4, 3]);
    assert_eq!(list(all().state(PushState::Failed)), [1]);
    assert_eq!(list(all().case_id("c")), [4, 3, 1, 0]);
    assert_eq!(
        list(all().case_id("c").connector("a").state(PushState::Delivered)),
        [0]
    );
    assert_eq!(list(all().case_id("c").limit(2).before(ids[4])), [3, 1]);
    assert_eq!(list(all().case_id("nothing")), [0_usize; 0]);
}
