//! A store that fails while something is recorded: kept in memory, stored later, nothing sent twice, nothing stuck.

use serde_json::json;

use super::bench::{Bench, HOUR, case};
use super::faulty::StoreFault;
use crate::model::{CommentState, PushState};
use crate::transport::FailureKind;

const FAULTS: [StoreFault; 2] = [StoreFault::Before, StoreFault::After];

#[test]
fn an_outcome_that_cannot_be_stored_is_stored_later() {
    for fault in FAULTS {
        for step in 0..4 {
            let mut bench = Bench::new(json!({}));
            let id = bench.push(case("k").comment("a", "1").comment("b", "2"));
            for _ in 0..step {
                bench.send();
                bench.oblige();
            }
            let sent = bench.send();
            bench.store.fail("record", fault);
            bench.store.fail("record", fault);
            let reply = bench.reply(&sent);
            assert!(bench.try_end(&sent, Ok(reply)).is_err());
            assert!(bench.try_turn().is_err(), "nothing goes on before it is stored");
            let mut lines = bench.run();
            lines.insert(0, sent.line);
            assert_eq!(lines.len(), 4 - step, "{fault:?} {step}: {lines:?}");
            assert_eq!(bench.state(id), PushState::Delivered);
            assert_eq!(bench.comments(id), [CommentState::Sent; 2]);
            assert_eq!(bench.opened, 1);
        }
    }
}

#[test]
fn a_request_that_cannot_be_noted_is_not_sent() {
    for fault in FAULTS {
        for step in [0, 2, 3] {
            let mut bench = Bench::new(json!({"maxInFlight": 1}));
            let id = bench.push(case("k").comment("a", "1").comment("b", "2"));
            for _ in 0..step {
                bench.send();
                bench.oblige();
            }
            for _ in 0..3 {
                bench.store.fail("begin", fault);
                assert!(bench.try_turn().is_err());
                assert!(bench.flying.is_empty());
            }
            assert_eq!(bench.run().len(), 4 - step, "{fault:?} {step}");
            let status = bench.status(id);
            assert_eq!(status.state, PushState::Delivered);
            assert!(!status.uncertain, "{fault:?} {step}");
        }
    }
}

#[test]
fn a_push_that_could_not_be_noted_can_still_be_absorbed_or_cancelled() {
    for fault in FAULTS {
        let mut bench = Bench::new(json!({"maxInFlight": 1}));
        let id = bench.push(case("k"));
        bench.store.fail("begin", fault);
        assert!(bench.try_turn().is_err());
        bench.pause(true);
        assert_eq!(bench.wait(), None);
        assert_eq!(bench.state(id), PushState::Queued);
        bench.push(case("k"));
        assert_eq!(bench.state(id), PushState::Superseded);
        bench.pause(false);
        assert_eq!(bench.run(), ["POST /issues", "GET /issues/1"]);
    }
}

#[test]
fn health_that_could_not_be_stored_holds_all_the_same() {
    let mut bench = Bench::new(json!({}));
    bench.push(case("a"));
    bench.push(case("b"));
    let sent = bench.send();
    bench.store.fail("record", StoreFault::Before);
    let refused = super::bench::answer(401, &[], "");
    assert!(bench.try_end(&sent, Ok(refused)).is_err());
    assert_eq!(bench.wait().unwrap().as_secs(), 60);
    assert!(bench.stored("c").health.blocked.is_some());
}

#[test]
fn an_outcome_of_a_push_that_is_gone_does_not_stop_the_others() {
    let mut bench = Bench::new(json!({}));
    bench.push(case("a"));
    let sent = bench.send();
    for _ in 0..3 {
        bench.store.fail("record", StoreFault::Before);
    }
    let _ = bench.try_end(&sent, Err(super::bench::failure(FailureKind::Redirect)));
    let _ = bench.try_turn();
    bench.store.heal();
    bench.run();
    assert_eq!(bench.state(sent.push), PushState::Failed);
    let other = bench.push(case("b"));
    bench.run();
    assert_eq!(bench.state(other), PushState::Delivered);
}

#[test]
fn a_turn_is_given_back_when_the_deliverer_stops() {
    let mut bench = Bench::new(json!({}));
    let id = bench.push(case("k"));
    bench.send();
    bench.oblige();
    assert_eq!(bench.state(id), PushState::Sending);
    bench.engine.release(bench.now).unwrap();
    assert_eq!(bench.state(id), PushState::Queued);
    bench.crash();
    assert_eq!(bench.run(), ["GET /issues/1"]);
}

#[test]
fn a_connector_that_was_removed_leaves_nothing_behind() {
    let mut bench = Bench::new(json!({}));
    let id = bench.push(case("k"));
    bench.send();
    assert!(bench.remove("c").is_err(), "a request is under way");
    bench.answer(503, "");
    bench.remove("c").unwrap();
    bench.advance(HOUR);
    assert_eq!(bench.wait(), None);
    assert_eq!(bench.state(id), PushState::Cancelled);
}

#[test]
fn one_ends_and_another_begins_in_one_commit() {
    let mut bench = Bench::new(json!({
        "maxInFlight": 1, "createOnly": true, "getIncidentUrl": null, "getIncidentResponseExternalTitleKey": null,
    }));
    bench.begins_beside = true;
    let ids = ["a", "b", "c"].map(|id| bench.push(case(id)));
    bench.send();
    for place in 0..3 {
        assert_eq!(bench.state(ids[place]), PushState::Sending);
        bench.store.fail("begin", StoreFault::Before);
        bench.store.fail("record", StoreFault::Before);
        if place == 2 {
            // The last one ends alone.
            bench.store.heal();
        }
        bench.oblige();
        bench.store.heal();
        assert_eq!(bench.state(ids[place]), PushState::Delivered);
        let began: Vec<_> = bench.began.drain(..).map(|sent| sent.push).collect();
        assert_eq!(began, ids.get(place + 1).copied().as_slice());
    }
    assert!(bench.flying.is_empty());
    assert_eq!(bench.opened, 3);
}

#[test]
fn where_both_cannot_be_stored_the_one_is_stored_later_and_the_other_not_sent() {
    for fault in FAULTS {
        let mut bench = Bench::new(json!({
            "createOnly": true, "getIncidentUrl": null, "getIncidentResponseExternalTitleKey": null,
        }));
        bench.begins_beside = true;
        let ids = ["a", "b", "c"].map(|id| bench.push(case(id)));
        let sent = bench.send();
        let reply = bench.reply(&sent);
        bench.store.fail("record_and_begin", fault);
        assert!(bench.try_end(&sent, Ok(reply)).is_err());
        assert!(bench.began.is_empty() && bench.flying.is_empty());
        bench.run();
        for id in ids {
            let status = bench.status(id);
            assert_eq!(
                (status.state, status.uncertain),
                (PushState::Delivered, false),
                "{fault:?}"
            );
        }
        assert_eq!(bench.opened, 3);
    }
}
