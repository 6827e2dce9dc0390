//! Decisions by hand, in every state.

use serde_json::json;

use super::bench::{Bench, HOUR, case};
use crate::error::ErrorKind;
use crate::model::PushState;
use crate::transport::FailureKind;

/// A push of case `k` in each of the states that it can be left in.
fn scenes() -> Vec<(PushState, Bench, crate::PushId)> {
    let mut all = Vec::new();
    for state in PushState::ALL {
        let mut bench = Bench::new(json!({"onUncertainCreate": "hold"}));
        let id = bench.push(case("k"));
        match state {
            PushState::Queued => {}
            PushState::Superseded => drop(bench.push(case("k"))),
            PushState::Cancelled => bench.cancel(id).unwrap(),
            PushState::Delivered => drop(bench.run()),
            _ => {
                bench.send();
                match state {
                    PushState::Waiting => bench.answer(503, ""),
                    PushState::Held => bench.fail(FailureKind::Lost),
                    PushState::Failed => bench.answer(400, ""),
                    _ => {}
                }
            }
        }
        assert_eq!(bench.state(id), *state);
        all.push((*state, bench, id));
    }
    all
}

fn ended_well(bench: &mut Bench, id: crate::PushId) {
    bench.advance(HOUR);
    bench.run();
    assert_eq!(bench.state(id), PushState::Delivered);
}

#[test]
fn failed_held_and_waiting_pushes_can_be_retried() {
    for (state, mut bench, id) in scenes() {
        let done = bench.retry(id);
        if matches!(state, PushState::Failed | PushState::Held | PushState::Waiting) {
            done.unwrap();
            ended_well(&mut bench, id);
        } else {
            assert_eq!(done.unwrap_err().kind(), ErrorKind::State, "{state}");
            assert_eq!(bench.state(id), state);
        }
    }
}

#[test]
fn a_retried_push_waits_no_longer_and_goes_on_counting() {
    let day = 86_400_000;
    let mut bench = Bench::new(json!({"retry": {"baseMs": day, "capMs": day, "maxAttempts": 3}}));
    let id = bench.push(case("k"));
    bench.send();
    bench.answer(408, "");
    for attempts in 1..3 {
        assert_eq!(bench.state(id), PushState::Waiting);
        assert_eq!(bench.status(id).attempts, attempts);
        assert!(bench.run().is_empty(), "not before its time");
        bench.retry(id).unwrap();
        assert_eq!(bench.send().line, "POST /issues");
        bench.answer(408, "");
    }
    assert_eq!(bench.state(id), PushState::Failed);
}

#[test]
fn a_retry_does_not_pass_the_time_that_a_look_up_needs() {
    let find = json!({
        "findIncidentUrl": "http://127.0.0.1:1/search?q={{{case.id}}}", "findIncidentResponseKey": "id", "findSettleMs": 60_000,
    });
    let mut bench = Bench::new(find);
    let id = bench.push(case("k"));
    bench.send();
    bench.fail(FailureKind::Lost);
    assert_eq!(bench.state(id), PushState::Waiting);
    bench.retry(id).unwrap();
    assert_eq!(bench.send().line, "GET /search?q=k");
    bench.answer(200, "{}");
    assert_eq!(
        bench.state(id),
        PushState::Waiting,
        "found nothing, which counts only later"
    );
}

#[test]
fn what_is_neither_done_nor_under_way_can_be_cancelled() {
    for (state, bench, id) in scenes() {
        let done = bench.cancel(id);
        if matches!(state, PushState::Queued | PushState::Waiting | PushState::Held) {
            done.unwrap();
            assert_eq!(bench.state(id), PushState::Cancelled);
        } else {
            assert_eq!(done.unwrap_err().kind(), ErrorKind::State, "{state}");
        }
    }
}

#[test]
fn held_pushes_and_those_that_failed_without_an_incident_can_be_given_one() {
    for (state, mut bench, id) in scenes() {
        let done = bench.adopt(id, "42");
        if matches!(state, PushState::Failed | PushState::Held) {
            done.unwrap();
            assert_eq!(bench.run(), ["GET /issues/42"]);
            assert_eq!(bench.link("k").unwrap().external_id, "42");
        } else {
            assert_eq!(done.unwrap_err().kind(), ErrorKind::State, "{state}");
        }
    }
    for id in ["", " \t", ".", ".."] {
        let (_, bench, push) = scenes()
            .into_iter()
            .find(|(s, ..)| *s == PushState::Held)
            .unwrap();
        assert_eq!(bench.adopt(push, id).unwrap_err().kind(), ErrorKind::Argument);
    }
}

#[test]
fn only_failed_pushes_can_be_discarded() {
    use crate::store::Store;
    for (state, bench, id) in scenes() {
        let done = bench.store.discard(id);
        if state == PushState::Failed {
            done.unwrap();
            assert_eq!(bench.store.status(id).unwrap(), None);
        } else {
            assert_eq!(done.unwrap_err().kind(), ErrorKind::State, "{state}");
        }
    }
}
