//! Who waits for whom, and who takes whose place.

use serde_json::json;

use super::bench::{Bench, HOUR, case, with_find};
use crate::Case;
use crate::model::{CommentState, PushState};
use crate::transport::FailureKind;

#[test]
fn a_newer_push_absorbs_those_that_nothing_was_sent_of() {
    let mut bench = Bench::new(json!({}));
    let first = bench.push(case("k").description("old").comment("a", "1").comment("b", "2"));
    let second = bench.push(Case::new("mid").id("k").comment("b", "2 new").comment("c", "3"));
    let third = bench.push(Case::new("new").id("k").comment("d", "4").comment("a", "1 new"));
    assert_eq!(bench.status(first).superseded_by, Some(second));
    assert_eq!(bench.status(second).superseded_by, Some(third));
    assert_eq!(bench.send().body, r#"{"case":"k","title":"new"}"#);
    bench.oblige();
    let mut bodies = Vec::new();
    while let Ok(sent) = bench.turn() {
        bodies.push(sent.body);
        bench.oblige();
    }
    let texts = [
        "",
        r#"{"body":"1 new"}"#,
        r#"{"body":"2 new"}"#,
        r#"{"body":"3"}"#,
        r#"{"body":"4"}"#,
    ];
    assert_eq!(bodies, texts);
}

#[test]
fn what_failed_to_connect_is_absorbed_and_what_may_have_begun_is_not() {
    for (kind, absorbed) in [
        (FailureKind::NotConnected, true),
        (FailureKind::NotWritten, true),
        (FailureKind::Lost, false),
    ] {
        let mut bench = Bench::new(json!({}));
        let first = bench.push(case("k"));
        bench.send();
        bench.fail(kind);
        bench.push(case("k"));
        let expected = if absorbed {
            PushState::Superseded
        } else {
            PushState::Waiting
        };
        assert_eq!(bench.state(first), expected, "{kind:?}");
    }
    let mut bench = Bench::new(json!({}));
    let first = bench.push(case("k"));
    bench.send();
    bench.push(case("k"));
    assert_eq!(bench.state(first), PushState::Sending, "under way");
    bench.answer(503, "");
    bench.push(case("k"));
    assert_eq!(bench.state(first), PushState::Waiting, "answered");
}

#[test]
fn an_incident_of_another_name_is_not_absorbed() {
    let bench = Bench::new(json!({}));
    let first = bench.push(case("k").external_id("1"));
    let second = bench.push(case("k").external_id("2"));
    let third = bench.push(case("k"));
    for id in [first, second, third] {
        assert_eq!(bench.state(id), PushState::Queued);
    }
    bench.push(case("k"));
    assert_eq!(bench.state(third), PushState::Superseded);
}

#[test]
fn without_coalesce_every_push_is_sent_in_its_turn() {
    let mut bench = Bench::new(json!({"coalesce": false}));
    let ids = [
        bench.push(case("k")),
        bench.push(case("k")),
        bench.push(case("j")),
    ];
    let first = bench.send();
    let other = bench.send();
    assert_eq!(
        (first.push, other.push),
        (ids[0], ids[2]),
        "cases do not wait for each other"
    );
    bench.end(&first, Ok(super::bench::answer(500, &[], "")));
    bench.oblige();
    assert_eq!(bench.state(ids[1]), PushState::Queued);
    bench.run();
    assert_eq!(bench.state(ids[1]), PushState::Queued, "behind one that waits");
    bench.sleep();
    bench.run();
    assert_eq!(bench.state(ids[0]), PushState::Delivered);
    assert_eq!(bench.state(ids[1]), PushState::Delivered);
}

#[test]
fn a_held_push_blocks_its_case_and_a_failed_one_does_not() {
    let mut bench = Bench::new(json!({"coalesce": false, "onUncertainCreate": "hold"}));
    let held = bench.push(case("k"));
    let behind = bench.push(case("k"));
    let failed = bench.push(case("j"));
    let after = bench.push(case("j"));
    bench.send();
    bench.send();
    bench.fail(FailureKind::Lost);
    bench.answer(400, "");
    assert_eq!(
        (bench.state(held), bench.state(failed)),
        (PushState::Held, PushState::Failed)
    );
    bench.run();
    assert_eq!(
        (bench.state(behind), bench.state(after)),
        (PushState::Queued, PushState::Delivered)
    );
    bench.cancel(held).unwrap();
    bench.run();
    assert_eq!(bench.state(behind), PushState::Delivered);
}

#[test]
fn a_retried_push_that_was_overtaken_sends_only_its_unsent_comments() {
    for status in [400, 201] {
        let mut bench = Bench::new(json!({"coalesce": false}));
        let old = bench.push(case("k").comment("a", "1"));
        bench.send();
        // Refused at the create, or at the get that follows.
        bench.answer(status, r#"{"id":"1"}"#);
        if status == 201 {
            bench.send();
            bench.answer(400, "");
        }
        assert_eq!(bench.state(old), PushState::Failed);
        bench.opened = 1;
        bench.push(case("k").comment("b", "2"));
        bench.run();
        let link = bench.link("k").unwrap().external_id;
        bench.retry(old).unwrap();
        let own = if status == 201 { "1" } else { "2" };
        assert_eq!(bench.run(), [format!("POST /issues/{own}/comments")], "{status}");
        assert_eq!(bench.state(old), PushState::Delivered);
        assert_eq!(bench.comments(old), [CommentState::Sent]);
        assert_eq!(
            bench.link("k").unwrap().external_id,
            link,
            "the newer push's link stays"
        );
    }
}

#[test]
fn a_retried_update_that_was_overtaken_sends_only_its_unsent_comments() {
    let mut bench = Bench::new(json!({"coalesce": false}));
    bench.push(case("k"));
    bench.run();
    let old = bench.push(case("k").comment("a", "1"));
    bench.send();
    bench.answer(400, "");
    bench.push(case("k"));
    bench.run();
    bench.retry(old).unwrap();
    assert_eq!(bench.run(), ["POST /issues/1/comments"]);
    let status = bench.status(old);
    assert_eq!(status.state, PushState::Delivered);
    assert_eq!(status.external_title.as_deref(), Some("T-1"));
}

#[test]
fn a_push_that_waits_to_create_updates_what_a_retried_older_one_created() {
    for (kind, status) in [(Some(FailureKind::NotConnected), 0), (None, 503), (None, 401)] {
        let mut bench = Bench::new(json!({"coalesce": false}));
        let old = bench.push(case("k"));
        let new = bench.push(case("k"));
        bench.send();
        bench.answer(400, "");
        bench.send();
        match kind {
            Some(kind) => bench.fail(kind),
            None => bench.answer(status, ""),
        }
        bench.retry(old).unwrap();
        bench.advance(HOUR);
        let lines = bench.run();
        assert_eq!(
            lines.iter().filter(|l| *l == "POST /issues").count(),
            1,
            "{status} {lines:?}"
        );
        assert_eq!(bench.state(new), PushState::Delivered);
        assert_eq!(bench.state(old), PushState::Delivered);
    }
}

#[test]
fn a_retried_push_waits_behind_a_newer_one_that_is_half_done() {
    // The newer one: its create's answer, then that of its get.
    let ends: [(Option<u16>, Option<u16>); 4] = [
        (Some(201), Some(503)),
        (Some(201), Some(401)),
        (Some(500), None),
        (None, None),
    ];
    for (created, read) in ends {
        let changes = json!({"coalesce": false, "onUncertainCreate": "find", "findSettleMs": 60_000});
        let mut bench = Bench::new(with_find(changes));
        let old = bench.push(case("k").comment("a", "1"));
        bench.send();
        bench.answer(400, "");
        let new = bench.push(case("k"));
        bench.send();
        match created {
            Some(201) => drop(bench.oblige()),
            Some(status) => bench.answer(status, ""),
            None => bench.fail(FailureKind::Lost),
        }
        if let Some(status) = read {
            bench.send();
            bench.answer(status, "");
        }
        bench.retry(old).unwrap();
        // Somebody who looks for it while nothing of it is due must not be given the old one.
        assert_eq!(bench.run(), [] as [&str; 0], "{created:?} {read:?}");
        let mut lines = Vec::new();
        for _ in 0..10 {
            bench.advance(HOUR);
            lines.extend(bench.run());
        }
        assert_eq!(bench.opened, 1, "{created:?} {read:?} {lines:?}");
        assert_eq!(lines.last().unwrap(), "POST /issues/1/comments");
        for id in [old, new] {
            assert_eq!(bench.state(id), PushState::Delivered);
            assert_eq!(bench.status(id).external_id.as_deref(), Some("1"));
        }
    }
}

#[test]
fn a_retried_push_waits_behind_a_newer_one_that_is_held() {
    let mut bench = Bench::new(json!({"coalesce": false, "onUncertainCreate": "hold"}));
    let old = bench.push(case("k"));
    bench.send();
    bench.answer(400, "");
    let held = bench.push(case("k"));
    bench.send();
    bench.fail(FailureKind::Lost);
    bench.retry(old).unwrap();
    assert_eq!(bench.run(), [] as [&str; 0]);
    assert_eq!(bench.state(held), PushState::Held);
    bench.adopt(held, "7").unwrap();
    assert_eq!(bench.run(), ["GET /issues/7"]);
    assert_eq!(bench.state(old), PushState::Delivered);
    assert_eq!(bench.status(old).external_id.as_deref(), Some("7"));
}

#[test]
fn a_retried_update_does_not_undo_a_newer_one_that_is_half_done() {
    let mut bench = Bench::new(json!({"coalesce": false}));
    bench.push(case("k"));
    bench.run();
    let old = bench.push(Case::new("old").id("k"));
    bench.send();
    bench.answer(400, "");
    let new = bench.push(Case::new("new").id("k"));
    bench.send();
    bench.oblige();
    bench.send();
    bench.answer(503, "");
    bench.retry(old).unwrap();
    bench.advance(HOUR);
    assert_eq!(bench.run(), ["GET /issues/1"]);
    for id in [old, new] {
        assert_eq!(bench.state(id), PushState::Delivered);
    }
}

#[test]
fn of_two_half_done_pushes_the_newer_one_goes_first() {
    let mut bench = Bench::new(json!({"coalesce": false, "retry": {"maxAttempts": 1}}));
    let uncertain = bench.push(case("k"));
    bench.send();
    bench.fail(FailureKind::Lost);
    assert_eq!(bench.state(uncertain), PushState::Failed);
    bench.configure("c", json!({"coalesce": false}));
    let new = bench.push(case("k"));
    bench.send();
    bench.oblige();
    bench.send();
    bench.answer(401, "");
    bench.retry(uncertain).unwrap();
    bench.advance(HOUR);
    assert_eq!(bench.run(), ["GET /issues/1"]);
    for id in [uncertain, new] {
        assert_eq!(bench.state(id), PushState::Delivered);
    }
}

#[test]
fn as_many_as_allowed_are_under_way() {
    let mut bench = Bench::new(json!({"maxInFlight": 2}));
    for name in ["a", "b", "c"] {
        bench.push(case(name));
    }
    bench.send();
    bench.send();
    assert_eq!(bench.wait(), None, "nothing until one of them ends");
    bench.run();
    assert_eq!(bench.opened, 3);
}

#[test]
fn every_connector_gets_its_turn() {
    let mut bench = Bench::new(json!({}));
    bench.configure("d", json!({}));
    for name in ["1", "2", "3"] {
        bench.push_to("c", case(name));
        bench.push_to("d", case(name));
    }
    let mut counts = [0, 0];
    for _ in 0..4 {
        let push = bench.send().push;
        let connector = bench.status(push).connector;
        counts[usize::from(connector == "d")] += 1;
    }
    assert_eq!(counts, [2, 2]);
}

#[test]
fn requests_keep_their_distance() {
    let mut bench = Bench::new(json!({"minIntervalMs": 2_000}));
    bench.push(case("a"));
    bench.push(case("b"));
    bench.send();
    assert_eq!(bench.sleep().as_millis(), 2_000);
    bench.send();
    bench.oblige();
    bench.oblige();
    bench.advance(1);
    // A configure in between makes no hole, a jump of the clock neither.
    bench.configure("c", json!({"minIntervalMs": 2_000}));
    bench.jump(86_400);
    assert_eq!(bench.sleep().as_millis(), 1_000);
    bench.send();
    bench.jump(-86_400);
    assert_eq!(bench.sleep().as_millis(), 2_000);
    bench.send();
}

#[test]
fn a_pause_persists_and_stops_between_two_requests() {
    let mut bench = Bench::new(json!({}));
    let id = bench.push(case("k"));
    bench.send();
    bench.pause(true);
    bench.oblige();
    assert_eq!(bench.wait(), None);
    assert_eq!(bench.state(id), PushState::Queued);
    bench.crash();
    let late = bench.push(case("j"));
    assert_eq!(bench.wait(), None);
    assert_eq!(bench.state(late), PushState::Queued, "accepted all the same");
    bench.pause(false);
    bench.run();
    assert_eq!(bench.opened, 2);
    assert_eq!(bench.state(id), PushState::Delivered);
}

#[test]
fn a_connector_pointed_elsewhere_starts_anew_there() {
    let mut bench = Bench::new(json!({}));
    let id = bench.push(case("k").comment("a", "1").comment("b", "2"));
    for _ in 0..3 {
        bench.send();
        bench.oblige();
    }
    bench.send();
    bench.answer(503, "");
    bench.configure("c", json!({"createIncidentUrl": "http://u.example/issues"}));
    bench.advance(HOUR);
    let lines = bench.run();
    assert_eq!(lines[0], "POST /issues");
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(bench.status(id).external_id.as_deref(), Some("2"));
    assert_eq!(bench.link("k").unwrap().external_id, "2");
    // What it opened before is still there for those who come back.
    bench.configure("c", json!({}));
    assert_eq!(bench.link("k").unwrap().external_id, "1");
    bench.push(case("k").comment("a", "1").comment("c", "3"));
    let comment = "POST /issues/1/comments";
    assert_eq!(bench.run(), ["PUT /issues/1", "GET /issues/1", comment]);
}

#[test]
fn what_a_push_leaves_at_an_old_target_takes_no_links_place() {
    let mut bench = Bench::new(json!({"coalesce": false}));
    bench.push(case("k"));
    bench.run();
    bench.push(case("k").external_id("77"));
    bench.send();
    bench.answer(503, "");
    bench.configure("c", json!({"createIncidentUrl": "http://u.example/issues"}));
    bench.run();
    bench.configure("c", json!({}));
    assert_eq!(bench.link("k").unwrap().external_id, "1");
}

#[test]
fn an_answer_that_comes_after_the_connector_was_pointed_elsewhere_counts_for_the_old_target() {
    let mut bench = Bench::new(json!({}));
    let id = bench.push(case("k"));
    let sent = bench.send();
    assert_eq!(sent.host, "t.example");
    bench.configure("c", json!({"createIncidentUrl": "http://u.example/issues"}));
    bench.oblige();
    let sent = bench.send();
    assert_eq!((sent.host.as_str(), sent.is_create()), ("u.example", true));
    bench.oblige();
    bench.run();
    assert_eq!(bench.status(id).external_id.as_deref(), Some("2"));
}

#[test]
fn an_old_refusal_does_not_block_a_connector_that_was_configured_since() {
    for status in [401, 429] {
        let mut bench = Bench::new(json!({}));
        let id = bench.push(case("k"));
        bench.send();
        bench.configure("c", json!({"headers": {"x-new": "1"}}));
        bench.answer(status, "");
        let sent = bench.send();
        assert!(sent.headers.iter().any(|(name, _)| name == "x-new"));
        bench.oblige();
        bench.run();
        assert_eq!(bench.state(id), PushState::Delivered);
    }
}

#[test]
fn an_adopted_incident_is_one_of_the_present_target() {
    let mut bench = Bench::new(with_find(json!({"onUncertainCreate": "hold"})));
    let id = bench.push(case("k"));
    bench.send();
    bench.fail(FailureKind::Lost);
    bench.configure("c", json!({"createIncidentUrl": "http://u.example/issues"}));
    bench.adopt(id, "55").unwrap();
    assert_eq!(bench.run(), ["GET /issues/55"]);
    assert_eq!(bench.link("k").unwrap().external_id, "55");
}

#[test]
fn an_adopted_push_is_not_absorbed() {
    let mut bench = Bench::new(json!({"createIncidentUrl": "http://t.example/{{{case.id}}}"}));
    let id = bench.push(case("."));
    assert_eq!(bench.wait(), None);
    assert_eq!(bench.state(id), PushState::Failed, "it cannot stand in a URL");
    bench.adopt(id, "9").unwrap();
    bench.push(case("."));
    assert_eq!(bench.state(id), PushState::Queued);
    assert_eq!(bench.run(), ["GET /issues/9", "PUT /issues/9", "GET /issues/9"]);
}
