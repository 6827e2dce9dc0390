//! An outbox that moves from a file: what comes along, and what a move that is broken off leaves.

use super::tests::{NOW, RETENTION, connector, open, outcome, push, server};
use super::*;
use crate::model::Step;
use crate::outbox::Intent;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::tests::TempDir;
use crate::store::transfer::Destination;

fn key() -> KeySource {
    KeySource::Given(Zeroizing::new([7; 32]))
}

fn destination(there: &PostgresStore) -> Destination {
    Destination {
        instance: there.instance().unwrap(),
        named: there.named(),
    }
}

fn moves(file: &SqliteStore, there: &PostgresStore) -> Result<()> {
    file.hand_over(&destination(there), NOW, |origin, give| {
        there.import(origin, give)
    })
}

#[test]
fn a_move_that_is_broken_off_between_the_two_commits_loses_nothing() {
    let Some(server) = server::shared() else { return };
    let there = open(server, &server.schema());
    let folder = TempDir::new();
    let path = folder.path("cases.db");
    // Somebody else has it open all the time.
    let other = SqliteStore::open(&path, key()).unwrap();
    let connector = connector(&other);
    let first = push(&other, connector, "c");
    let file = SqliteStore::open_to_depart(&path, key()).unwrap();
    let killed = file.hand_over(&destination(&there), NOW, |origin, give| {
        there.import(origin, give)?;
        Err(Lost::in_doubt(Error::new(ErrorKind::Busy, "the answer was lost")))
    });
    assert!(killed.unwrap_err().is_retryable());

    let refused = SqliteStore::open(&path, key()).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::State);
    assert!(refused.to_string().contains("migrate once more"), "{refused}");
    let second = NewPush {
        connector,
        case: Case::new("title").id("d"),
        coalesce: true,
        revision: None,
    };
    let refused = other.enqueue(vec![second], &RETENTION, NOW).unwrap_err();
    assert!(refused.to_string().contains("moved"), "{refused}");
    let claim = other.claim(connector, NOW, &[]).unwrap().unwrap();
    let refused = other.begin(first, &claim.push.progress, NOW).unwrap_err();
    assert!(refused.to_string().contains("delivered from there"), "{refused}");
    let elsewhere = open(server, &server.schema());
    assert_eq!(moves(&file, &elsewhere).unwrap_err().kind(), ErrorKind::State);

    moves(&file, &there).unwrap();
    assert_eq!(there.status(first).unwrap().unwrap().state, PushState::Queued);
    assert_eq!(other.status(first).unwrap().unwrap().state, PushState::Cancelled);
}

#[test]
fn an_outbox_that_cannot_move_goes_on_where_it_is() {
    let Some(server) = server::shared() else { return };
    let there = open(server, &server.schema());
    connector(&there);
    let folder = TempDir::new();
    let path = folder.path("cases.db");
    let file = SqliteStore::open_to_depart(&path, key()).unwrap();
    let own = connector(&file);
    assert_eq!(moves(&file, &there).unwrap_err().kind(), ErrorKind::State);
    let again = SqliteStore::open(&path, key()).unwrap();
    push(&again, own, "c");
    let claim = again.claim(own, NOW, &[]).unwrap().unwrap();
    assert!(again.begin(claim.push.id, &claim.push.progress, NOW).unwrap());
}

#[test]
fn numbers_go_on_after_those_of_pushes_that_are_gone() {
    let Some(server) = server::shared() else { return };
    let there = open(server, &server.schema());
    let folder = TempDir::new();
    let file = SqliteStore::open(&folder.path("cases.db"), key()).unwrap();
    let own = connector(&file);
    for n in 0..5 {
        let id = push(&file, own, &n.to_string());
        let claim = file.claim(own, NOW, &[]).unwrap().unwrap();
        assert!(file.begin(id, &claim.push.progress, NOW).unwrap());
        assert!(
            file.record(id, &outcome(&claim, PushState::Delivered), NOW)
                .unwrap()
        );
    }
    let nothing = Retention {
        history_count: 0,
        ..RETENTION
    };
    file.prune(&nothing, NOW).unwrap();
    assert_eq!(file.pushes(&Filter::new()).unwrap(), []);
    moves(&file, &there).unwrap();
    let next = push(&there, own, "next");
    assert!(next.get() > 5, "{next}");
}

#[test]
fn what_is_held_failed_or_on_its_way_moves_with_its_intent_and_the_secrets() {
    let Some(server) = server::shared() else { return };
    let there = open(server, &server.schema());
    let folder = TempDir::new();
    let file = SqliteStore::open(&folder.path("cases.db"), key()).unwrap();
    let secret = NewConnector {
        name: "tracker",
        config: "{}",
        warnings: "[]",
        target: "https://tracker.example",
        secrets: Some(vec![(
            "password".to_owned(),
            Zeroizing::new("hunter2".to_owned()),
        )]),
    };
    let own = file.put_connector(&secret, NOW).unwrap().id;
    let intent = Intent {
        step: Step::Create,
        comment: None,
        target: "https://tracker.example".to_owned(),
        idempotency_key: Some("k".to_owned()),
        key_made_at: NOW,
        body: vec![0, 159, 255],
        ended_at: None,
    };
    let states = [PushState::Held, PushState::Failed, PushState::Sending];
    let mut ids = Vec::new();
    for state in states {
        let id = push(&file, own, state.as_str());
        let claim = file.claim(own, NOW, &[]).unwrap().unwrap();
        let progress = Progress {
            step: Some(Step::Create),
            intent: Some(intent.clone()),
            ..claim.push.progress.clone()
        };
        assert!(file.begin(id, &progress, NOW).unwrap());
        let begun = file.load(id).unwrap().unwrap();
        if state != PushState::Sending {
            assert!(file.record(id, &outcome(&begun, state), NOW).unwrap());
        }
        ids.push(id);
    }
    let before: Vec<_> = ids
        .iter()
        .map(|id| file.load(*id).unwrap().unwrap().push)
        .collect();
    moves(&file, &there).unwrap();
    for (push, state) in before.iter().zip(states) {
        let moved = there.load(push.id).unwrap().unwrap().push;
        assert_eq!(moved.progress.state, state);
        assert_eq!(moved.progress.intent.as_ref(), Some(&intent));
        assert_eq!(
            (moved.progress, moved.case),
            (push.progress.clone(), push.case.clone())
        );
    }
    assert_eq!(there.secrets(own).unwrap()[0].1.as_str(), "hunter2");
    assert_eq!(
        there.interrupted().unwrap(),
        [ids[2]],
        "judged as after any death"
    );
}
