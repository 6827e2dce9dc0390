//! Claiming, recording, deciding.

use super::*;
use crate::error::{Error, ErrorKind};
use crate::model::{Attempt, CommentState, FailureClass, PushError, Step};
use crate::outbox::{Health, Intent, Trouble};

pub(crate) fn claims_in_order_of_due_time(store: &dyn Store) {
    let a = connector(store, "a").id;
    let b = connector(store, "b").id;
    let late = push(store, a, case("late"), true, at(20));
    let early = push(store, a, case("early"), true, at(10));
    let alone = push(store, a, case(""), true, at(10));
    assert_eq!(claimable(store, a, at(9)), []);
    assert_eq!(claimable(store, a, at(10)), [early, alone]);
    assert_eq!(claimable(store, a, at(20)), [early, alone, late]);
    assert_eq!(store.next_due(a, &[]).unwrap(), Some(at(10)));
    assert_eq!(store.next_due(a, &[early, alone]).unwrap(), Some(at(20)));
    assert_eq!(store.next_due(a, &[early, alone, late]).unwrap(), None);
    assert_eq!(store.next_due(b, &[]).unwrap(), None);
    assert!(store.claim(b, at(99), &[]).unwrap().is_none());
}

pub(crate) fn keeps_the_order_of_a_lane(store: &dyn Store) {
    let a = connector(store, "a").id;
    let ids: Vec<PushId> = (0..4).map(|_| push(store, a, case("c"), false, at(0))).collect();
    for (n, &id) in ids.iter().enumerate() {
        assert_eq!(claimable(store, a, at(50)), [id]);
        send(store, id, PushState::Sending, at(1));
        assert_eq!(claimable(store, a, at(50)), [], "between two steps nobody passes");
        let state = [
            PushState::Delivered,
            PushState::Failed,
            PushState::Waiting,
            PushState::Held,
        ][n];
        let claim = store.load(id).unwrap().unwrap();
        store
            .record(id, &outcome(in_state(&claim, state)), at(1))
            .unwrap();
        if state == PushState::Waiting {
            assert_eq!(claimable(store, a, at(50)), [id], "a waiting one stays ahead");
            send(store, id, PushState::Delivered, at(1));
        }
    }
    let behind = push(store, a, case("c"), false, at(2));
    assert_eq!(claimable(store, a, at(50)), [], "a held one stays ahead");
    decide(store, ids[3], PushState::Cancelled, at(3));
    assert_eq!(claimable(store, a, at(50)), [behind]);
    let external = |id: &str| Case {
        external_id: Some(id.into()),
        ..case("")
    };
    let first = push(store, a, external("E"), false, at(4));
    push(store, a, external("E"), false, at(4));
    let other = push(store, a, external("F"), false, at(4));
    assert_eq!(claimable(store, a, at(50)), [behind, first, other]);
}

pub(crate) fn begins_only_what_is_ready(store: &dyn Store) {
    let a = connector(store, "a").id;
    let first = push(store, a, case("c"), false, at(0));
    let second = push(store, a, case("c"), false, at(0));
    let progress = store.load(first).unwrap().unwrap().push.progress;
    assert!(
        !store.begin(second, &progress, at(1)).unwrap(),
        "it is not its turn"
    );
    assert!(!store.begin(PushId::from(999), &progress, at(1)).unwrap());
    decide(store, first, PushState::Cancelled, at(1));
    assert!(!store.begin(first, &progress, at(2)).unwrap(), "it was cancelled");
    assert!(store.begin(second, &progress, at(3)).unwrap());
    assert!(store.begin(second, &progress, at(4)).unwrap(), "its next step");
    let claim = store.load(second).unwrap().unwrap();
    assert_eq!(claim.push.progress.state, PushState::Sending);
    assert!(claim.push.progress.begun);
    assert_eq!(store.status(second).unwrap().unwrap().updated_at, at(3));
}

pub(crate) fn ends_one_and_begins_another(store: &dyn Store) {
    let a = connector(store, "a").id;
    let ids: Vec<PushId> = (0..4).map(|_| push(store, a, case(""), false, at(0))).collect();
    let progress = |id| store.load(id).unwrap().unwrap().push.progress;
    let end = |id| {
        let claim = store.load(id).unwrap().unwrap();
        outcome(in_state(&claim, PushState::Delivered))
    };
    send(store, ids[0], PushState::Sending, at(1));
    let done = store.record_and_begin((ids[0], &end(ids[0])), (ids[1], &progress(ids[1])), at(2));
    assert_eq!((done.0.unwrap(), done.1.unwrap()), (true, true));
    assert_eq!(state(store, ids[0]), PushState::Delivered);
    assert_eq!(state(store, ids[1]), PushState::Sending);

    let next = progress(ids[2]);
    decide(store, ids[2], PushState::Cancelled, at(3));
    let done = store.record_and_begin((ids[1], &end(ids[1])), (ids[2], &next), at(4));
    assert_eq!(
        (done.0.unwrap(), done.1.unwrap()),
        (true, false),
        "it was cancelled"
    );
    assert_eq!(state(store, ids[1]), PushState::Delivered);

    // One that is gone does not keep the other from beginning.
    let gone = end(ids[1]);
    let done = store.record_and_begin((PushId::from(999), &gone), (ids[3], &progress(ids[3])), at(5));
    assert_eq!(done.0.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(done.1.unwrap());
    assert_eq!(state(store, ids[3]), PushState::Sending);
}

pub(crate) fn records_every_field(store: &dyn Store) {
    let a = connector(store, "a").id;
    let id = push(store, a, commented("c", &[("1", "x"), ("2", "y")]), true, at(0));
    let full = Progress {
        state: PushState::Held,
        step: Some(Step::Comment),
        due_at: at(77),
        wait_ms: 66,
        begun: true,
        attempts: 5,
        step_attempts: 4,
        age_from: Some(3),
        external_id: Some("E".into()),
        external_title: Some("T".into()),
        external_url: Some("U".into()),
        uncertain: true,
        resends: 2,
        preconditions: 1,
        target: None,
        intent: Some(Intent {
            step: Step::Comment,
            comment: Some(1),
            target: TARGET.into(),
            idempotency_key: Some("k".into()),
            key_made_at: at(9),
            body: vec![0, 255, 1],
            ended_at: Some(at(10)),
        }),
        error: Some(PushError {
            code: "status".into(),
            kind: FailureClass::Uncertain,
            message: "M".into(),
            step: Step::Comment,
            http_status: Some(500),
            retryable: true,
        }),
    };
    assert!(store.begin(id, &full, at(1)).unwrap());
    let begun = store.load(id).unwrap().unwrap().push.progress;
    let sending = Progress {
        state: PushState::Sending,
        ..full.clone()
    };
    assert_eq!(begun, sending);
    let attempt = Attempt {
        push: id,
        at: at(2),
        duration_ms: 3,
        step: Step::Comment,
        method: Some("POST".into()),
        url: Some("https://x".into()),
        http_status: Some(500),
        class: Some(FailureClass::Uncertain),
        message: "M".into(),
    };
    let health = Health {
        blocked: Some(Trouble {
            reason: "r".into(),
            probes: 1,
            probe_at: at(5),
        }),
        ..Health::default()
    };
    let all = Outcome {
        comments: vec![(0, CommentState::Sent), (1, CommentState::Uncertain)],
        health: Some(health.clone()),
        attempt: Some(attempt.clone()),
        ..outcome(full.clone())
    };
    store.record(id, &all, at(2)).unwrap();
    let push = store.load(id).unwrap().unwrap().push;
    assert_eq!(push.progress, full);
    let states: Vec<_> = push.comments.iter().map(|c| c.state).collect();
    assert_eq!(states, [CommentState::Sent, CommentState::Uncertain]);
    assert_eq!(store.attempts(id).unwrap(), [attempt]);
    assert_eq!(store.connector("a").unwrap().unwrap().health, health);
    let status = store.status(id).unwrap().unwrap();
    assert_eq!(
        (status.error, status.external_url),
        (full.error.clone(), Some("U".into()))
    );
    assert_eq!(status.next_attempt_at, None);
    let other_end = Progress {
        intent: full.intent.clone().map(|i| Intent { ended_at: None, ..i }),
        ..full.clone()
    };
    store.record(id, &outcome(other_end.clone()), at(3)).unwrap();
    assert_eq!(store.load(id).unwrap().unwrap().push.progress, other_end);
    decide(store, id, PushState::Cancelled, at(4));
    assert_eq!(store.load(id).unwrap().unwrap().push.progress.intent, None);
    let nobody = store.record(PushId::from(999), &outcome(full), at(2));
    assert_eq!(nobody.unwrap_err().kind(), ErrorKind::NotFound);
}

pub(crate) fn drops_what_comes_after_a_cancel(store: &dyn Store) {
    let a = connector(store, "a").id;
    let id = push(store, a, case("c"), true, at(0));
    let claim = store.claim(a, at(0), &[]).unwrap().unwrap();
    let newer = push(store, a, case("c"), true, at(1));
    let late = Outcome {
        health: Some(Health {
            odometer_ms: 5,
            ..Health::default()
        }),
        ..outcome(in_state(&claim, PushState::Waiting))
    };
    store.record(id, &late, at(2)).unwrap();
    assert_eq!(state(store, id), PushState::Superseded);
    assert_eq!(claimable(store, a, at(9)), [newer]);
    assert_eq!(store.connector("a").unwrap().unwrap().health.odometer_ms, 5);
}

pub(crate) fn links_and_marks(store: &dyn Store) {
    let a = connector(store, "a").id;
    let comments = [("1", "x"), ("", "y"), ("1", "z")];
    let id = push(store, a, commented("c", &comments), true, at(0));
    let deliver = |id: PushId, link: LinkChange, marks: Vec<u32>| {
        let claim = store.load(id).unwrap().unwrap();
        assert!(store.begin(id, &claim.push.progress, at(1)).unwrap());
        let mut done = outcome(in_state(&claim, PushState::Delivered));
        done.progress.external_id = Some("E".into());
        done.progress.external_title = Some("T".into());
        done.progress.external_url = Some("U".into());
        (done.link, done.marks) = (link, marks);
        store.record(id, &done, at(5)).unwrap();
    };
    let sent = |id: PushId| -> Vec<bool> {
        let push = store.load(id).unwrap().unwrap().push;
        push.comments.iter().map(|c| c.already_sent).collect()
    };
    deliver(id, LinkChange::Set, vec![0, 1]);
    let link = store.link("a", TARGET, "c").unwrap().unwrap();
    assert_eq!(
        (
            link.connector.as_str(),
            link.target.as_str(),
            link.case_id.as_str()
        ),
        ("a", TARGET, "c")
    );
    assert_eq!((link.external_id.as_str(), link.updated_at), ("E", at(5)));
    let next = push(store, a, commented("c", &comments), true, at(6));
    assert_eq!(store.load(next).unwrap().unwrap().link, Some(link));
    assert_eq!(
        sent(next),
        [true, false, false],
        "by id and occurrence, never an empty id"
    );
    let other = push(store, a, commented("d", &comments), true, at(6));
    assert_eq!(sent(other), [false; 3]);
    let moved = NewConnector {
        target: "https://new.example",
        ..document("a")
    };
    store.put_connector(&moved, at(7)).unwrap();
    assert_eq!(store.load(next).unwrap().unwrap().link, None, "another target");
    assert_eq!(sent(next), [false; 3]);
    connector(store, "a");
    deliver(next, LinkChange::Clear, Vec::new());
    assert_eq!(store.link("a", TARGET, "c").unwrap(), None);
    let again = push(store, a, commented("c", &comments), true, at(8));
    assert_eq!(sent(again), [false; 3], "the marks went with the link");
    let alone = push(store, a, commented("", &comments), true, at(8));
    deliver(alone, LinkChange::Set, vec![0]);
    assert_eq!(store.link("a", TARGET, "").unwrap(), None);
}

pub(crate) fn tells_who_was_overtaken(store: &dyn Store) {
    let a = connector(store, "a").id;
    let first = push(store, a, case("c"), false, at(0));
    let second = push(store, a, case("c"), false, at(0));
    send(store, first, PushState::Failed, at(1));
    assert!(!store.load(first).unwrap().unwrap().overtaken);
    let claim = store.load(second).unwrap().unwrap();
    assert!(store.begin(second, &claim.push.progress, at(2)).unwrap());
    let mut done = outcome(in_state(&claim, PushState::Delivered));
    done.progress.external_id = Some("E".into());
    done.link = LinkChange::Set;
    store.record(second, &done, at(2)).unwrap();
    assert!(store.load(first).unwrap().unwrap().overtaken);
    assert!(!store.load(second).unwrap().unwrap().overtaken);
    let old = Retention {
        history_count: 0,
        ..RETENTION
    };
    while store.prune(&old, at(3)).unwrap() {}
    assert!(store.status(second).unwrap().is_none());
    assert!(
        store.load(first).unwrap().unwrap().overtaken,
        "the link remembers"
    );
}

pub(crate) fn keeps_the_newest_attempts(store: &dyn Store) {
    let a = connector(store, "a").id;
    let id = push(store, a, case("c"), true, at(0));
    send(store, id, PushState::Waiting, at(0));
    for n in 0..60 {
        let claim = store.load(id).unwrap().unwrap();
        let attempt = Attempt {
            push: id,
            at: at(n),
            duration_ms: 1,
            step: Step::Create,
            method: None,
            url: None,
            http_status: None,
            class: None,
            message: String::new(),
        };
        let logged = Outcome {
            attempt: Some(attempt),
            ..outcome(claim.push.progress)
        };
        store.record(id, &logged, at(n)).unwrap();
    }
    let attempts = store.attempts(id).unwrap();
    assert_eq!(
        (attempts.len(), attempts[0].at, attempts[49].at),
        (50, at(10), at(59))
    );
}

pub(crate) fn puts_a_retried_push_first(store: &dyn Store) {
    let a = connector(store, "a").id;
    let ids: Vec<PushId> = (0..3).map(|_| push(store, a, case("c"), false, at(0))).collect();
    send(store, ids[0], PushState::Failed, at(1));
    decide(store, ids[0], PushState::Queued, at(2));
    assert_eq!(claimable(store, a, at(2)), [ids[0]]);
    send(store, ids[0], PushState::Failed, at(3));
    send(store, ids[1], PushState::Sending, at(4));
    decide(store, ids[0], PushState::Queued, at(5));
    assert_eq!(
        claimable(store, a, at(5)),
        [],
        "not beside one that is being sent"
    );
    let claim = store.load(ids[1]).unwrap().unwrap();
    store
        .record(ids[1], &outcome(in_state(&claim, PushState::Waiting)), at(6))
        .unwrap();
    assert_eq!(claimable(store, a, at(6)), [ids[0]]);
    send(store, ids[0], PushState::Delivered, at(7));
    assert_eq!(claimable(store, a, at(7)), [ids[1]]);
}

pub(crate) fn puts_what_is_half_done_before_a_retried_push(store: &dyn Store) {
    let a = connector(store, "a").id;
    let intent = |ended_at| Intent {
        step: Step::Create,
        comment: None,
        target: TARGET.into(),
        idempotency_key: None,
        key_made_at: at(1),
        body: Vec::new(),
        ended_at,
    };
    let leave = |id: PushId, change: &dyn Fn(&mut Progress)| {
        let mut progress = store.load(id).unwrap().unwrap().push.progress;
        assert!(store.begin(id, &progress, at(1)).unwrap(), "{id} is ready");
        progress.begun = true;
        change(&mut progress);
        store.record(id, &outcome(progress), at(1)).unwrap();
    };
    let fail = |p: &mut Progress| p.state = PushState::Failed;
    type Change<'a> = &'a dyn Fn(&mut Progress);
    let at_step = |step| {
        move |p: &mut Progress| {
            (p.state, p.step) = (PushState::Waiting, Some(step));
        }
    };
    let left: [(Change<'_>, bool); 8] = [
        (&at_step(Step::Get), true),
        (&at_step(Step::Comment), true),
        (&at_step(Step::Find), true),
        (&at_step(Step::Update), false),
        (&at_step(Step::Create), false),
        (
            &|p| {
                at_step(Step::Create)(p);
                p.intent = Some(intent(None));
            },
            false,
        ),
        (
            &|p| {
                at_step(Step::Create)(p);
                p.intent = Some(intent(Some(at(1))));
            },
            true,
        ),
        (&|p| p.state = PushState::Held, true),
    ];
    for (n, (change, leads)) in left.into_iter().enumerate() {
        let lane = format!("c{n}");
        let ids: Vec<PushId> = (0..4)
            .map(|_| push(store, a, case(&lane), false, at(0)))
            .collect();
        leave(ids[0], &fail);
        leave(ids[1], &fail);
        leave(ids[2], change);
        let held = state(store, ids[2]) == PushState::Held;
        let next = |of: &[PushId]| {
            let ready = claimable(store, a, at(9));
            ready.into_iter().find(|id| of.contains(id))
        };
        decide(store, ids[1], PushState::Queued, at(2));
        decide(store, ids[0], PushState::Queued, at(2));
        if !leads {
            assert_eq!(next(&ids), Some(ids[0]), "{n}: it can wait");
            continue;
        }
        assert_eq!(next(&ids), (!held).then_some(ids[2]), "{n}: it goes first");
        decide(store, ids[1], PushState::Cancelled, at(3));
        assert_eq!(
            next(&ids),
            (!held).then_some(ids[2]),
            "{n}: whatever becomes of others"
        );
        if held {
            decide(store, ids[2], PushState::Cancelled, at(4));
        } else {
            send(store, ids[2], PushState::Delivered, at(4));
        }
        assert_eq!(next(&ids), Some(ids[0]), "{n}: then the oldest");
        send(store, ids[0], PushState::Delivered, at(5));
        assert_eq!(next(&ids), Some(ids[3]), "{n}");
    }
}

pub(crate) fn decides_at_once(store: &dyn Store) {
    let a = connector(store, "a").id;
    let id = push(store, a, case("c"), true, at(0));
    let refusal = store.decide(id, at(1), &mut |claim| {
        assert_eq!(claim.push.id, id);
        Err(Error::new(ErrorKind::State, "no"))
    });
    assert_eq!(refusal.unwrap_err().kind(), ErrorKind::State);
    assert_eq!(state(store, id), PushState::Queued);
    decide(store, id, PushState::Cancelled, at(2));
    assert_eq!(state(store, id), PushState::Cancelled);
    let nobody = store.decide(PushId::from(99), at(1), &mut |claim| {
        Ok(outcome(claim.push.progress.clone()))
    });
    assert_eq!(nobody.unwrap_err().kind(), ErrorKind::NotFound);
}

pub(crate) fn finds_the_interrupted(store: &dyn Store) {
    let a = connector(store, "a").id;
    let b = connector(store, "b").id;
    let mut ids = Vec::new();
    for (n, connector) in [b, a, b, a].into_iter().enumerate() {
        let id = push(store, connector, case(&n.to_string()), true, at(0));
        if n > 0 {
            send(store, id, PushState::Sending, at(1));
            ids.push(id);
        }
    }
    assert_eq!(store.interrupted().unwrap(), ids);
}
