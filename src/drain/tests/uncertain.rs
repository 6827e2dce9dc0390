//! Requests whose outcome is not known: never sent again blindly where it can be helped, always marked.

use std::time::Duration;

use serde_json::{Value, json};

use super::bench::{Bench, DAY, HOUR, Sent, case, with_find};
use crate::model::{CommentState, PushState, Step};
use crate::transport::FailureKind;

const SETTLE: Duration = Duration::from_secs(60);

fn lose_create(bench: &mut Bench) -> Sent {
    let sent = bench.send();
    assert!(sent.is_create(), "{sent:?}");
    bench.fail(FailureKind::Lost);
    sent
}

#[test]
fn retry_repeats_key_and_bytes_and_then_holds() {
    for end in [Some(FailureKind::Lost), None] {
        let mut bench = Bench::new(json!({}));
        let id = bench.push(case("k"));
        let mut sent = vec![bench.send()];
        for resend in 0..4 {
            assert_eq!(bench.status(id).uncertain, resend > 0);
            match end {
                Some(kind) => bench.fail(kind),
                None => bench.answer(502, ""),
            }
            if resend < 3 {
                assert_eq!(bench.state(id), PushState::Waiting);
                bench.crash();
                // A changed connector does not change what may be there already.
                bench.configure("c", json!({"createIncidentJson": r#"{"new":{{{case.title}}}}"#}));
                sent.push(bench.send());
            }
        }
        assert_eq!(bench.state(id), PushState::Held);
        assert!(
            sent.iter()
                .all(|s| s.key == sent[0].key && s.body == sent[0].body),
            "{sent:?}"
        );
        assert!(sent[0].key.is_some());
        assert_eq!(bench.wait(), None);
        bench.retry(id).unwrap();
        let again = bench.send();
        assert_eq!((&again.key, &again.body), (&sent[0].key, &sent[0].body));
        bench.oblige();
        bench.run();
        assert!(bench.status(id).uncertain);
        assert_eq!(bench.state(id), PushState::Delivered);
    }
}

#[test]
fn as_often_as_configured() {
    let mut bench = Bench::new(json!({"maxUncertainResends": 1}));
    let id = bench.push(case("k"));
    lose_create(&mut bench);
    bench.sleep_and_send();
    bench.fail(FailureKind::Lost);
    assert_eq!(bench.state(id), PushState::Held);
}

#[test]
fn a_resend_that_was_refused_for_now_is_none_of_the_allowed_ones() {
    let mut bench = Bench::new(json!({"maxUncertainResends": 1}));
    let id = bench.push(case("k"));
    let first = lose_create(&mut bench);
    for _ in 0..3 {
        bench.sleep();
        assert_eq!(bench.send().key, first.key);
        bench.answer_with(429, &[("retry-after", "7")], "");
        bench.sleep();
        bench.send();
        bench.fail(FailureKind::NotConnected);
    }
    bench.sleep_and_send();
    bench.fail(FailureKind::Lost);
    assert_eq!(bench.state(id), PushState::Held, "that was one");
}

#[test]
fn hold_holds_at_once() {
    let mut bench = Bench::new(json!({"onUncertainCreate": "hold"}));
    let id = bench.push(case("k"));
    lose_create(&mut bench);
    assert_eq!(bench.state(id), PushState::Held);
    assert!(bench.cancel(id).is_ok());
}

#[test]
fn an_answer_that_cannot_be_used_is_never_followed_by_a_blind_create() {
    let bodies = [
        r#"{"no":"id"}"#,
        r#"{"id":null}"#,
        "<html>",
        "",
        r#"{"id":""}"#,
        r#"{"id":"."}"#,
        r#"{"id":".."}"#,
    ];
    for body in bodies {
        let mut bench = Bench::new(json!({}));
        let id = bench.push(case("k"));
        bench.send();
        bench.answer(201, body);
        assert_eq!(bench.state(id), PushState::Held, "{body}");
        assert_eq!(bench.wait(), None);
        let mut bench = Bench::new(with_find(json!({"onUncertainCreate": "retry"})));
        let id = bench.push(case("k"));
        bench.send();
        bench.answer(201, body);
        assert_eq!(bench.sleep_and_send().line, "GET /search?q=k", "{body}");
        bench.answer(200, r#"{"issues":[{"id":31}]}"#);
        bench.run();
        let status = bench.status(id);
        assert_eq!(
            (status.state, status.external_id.as_deref()),
            (PushState::Delivered, Some("31"))
        );
        assert!(!status.uncertain, "nothing was repeated");
    }
}

#[test]
fn a_target_that_takes_every_create_and_shows_none_gets_no_endless_row_of_them() {
    let mut bench = Bench::new(with_find(json!({})));
    let id = bench.push(case("k"));
    let mut creates = 0;
    for _ in 0..100 {
        match bench.turn() {
            Ok(sent) if sent.is_create() => {
                creates += 1;
                bench.answer(201, "{}");
            }
            Ok(_) => bench.answer(200, r#"{"issues":[]}"#),
            Err(Some(_)) => bench.advance(HOUR),
            Err(None) => break,
        }
    }
    assert_eq!((bench.state(id), creates), (PushState::Held, 4));
}

#[test]
fn find_adopts_what_it_finds() {
    let mut bench = Bench::new(with_find(json!({})));
    let id = bench.push(case("k").comment("a", "1"));
    lose_create(&mut bench);
    assert_eq!(bench.sleep_and_send().line, "GET /search?q=k");
    bench.answer(200, r#"{"issues":[{"id":"77"}]}"#);
    assert_eq!(bench.run(), ["GET /issues/77", "POST /issues/77/comments"]);
    assert_eq!(bench.status(id).external_id.as_deref(), Some("77"));
    assert!(!bench.status(id).uncertain);
}

#[test]
fn none_found_counts_only_when_the_index_had_its_time() {
    let mut bench = Bench::new(with_find(json!({})));
    let id = bench.push(case("k"));
    let first = lose_create(&mut bench);
    let ended = bench.now.wall;
    bench.sleep_and_send();
    bench.answer(200, r#"{"issues":[]}"#);
    assert_eq!(bench.state(id), PushState::Waiting);
    bench.sleep();
    assert_eq!(bench.now.wall, ended.plus(SETTLE));
    assert_eq!(bench.send().line, "GET /search?q=k");
    bench.answer(200, r#"{"issues":[]}"#);
    let again = bench.send();
    assert_eq!(
        (again.is_create(), &again.key, &again.body),
        (true, &first.key, &first.body)
    );
    assert!(bench.status(id).uncertain);
    // It is lost again: look again, as long after this send.
    bench.advance(5);
    bench.fail(FailureKind::Lost);
    let ended = bench.now.wall;
    bench.sleep_and_send();
    bench.answer(404, "");
    bench.sleep();
    assert_eq!(bench.now.wall, ended.plus(SETTLE));
    bench.send();
    bench.answer(200, r#"{"issues":[{"id":5}]}"#);
    bench.run();
    assert_eq!(bench.state(id), PushState::Delivered);
}

#[test]
fn a_clock_that_jumps_moves_the_settling_by_no_more_than_allowed() {
    for jump in [-DAY, DAY] {
        let mut bench = Bench::new(with_find(json!({})));
        bench.push(case("k"));
        lose_create(&mut bench);
        bench.jump(jump);
        let start = bench.now.steady;
        for _ in 0..9 {
            match bench.turn() {
                Ok(sent) if sent.is_create() => break,
                Ok(_) => bench.answer(200, r#"{"issues":[]}"#),
                Err(wait) => bench.advance_by(wait.unwrap()),
            }
        }
        assert!(bench.flying.iter().any(Sent::is_create), "{jump}");
        assert!(
            bench.now.steady - start <= SETTLE + Duration::from_secs(2),
            "{jump}"
        );
    }
}

#[test]
fn find_holds_what_it_cannot_tell() {
    let several = r#"{"issues":[{"id":1},{"id":2}]}"#;
    let unusable = r#"{"issues":[{"id":".."}]}"#;
    for (status, body) in [
        (200, several),
        (200, unusable),
        (200, "<html>"),
        (400, ""),
        (403, ""),
    ] {
        let mut bench = Bench::new(with_find(json!({})));
        let id = bench.push(case("k"));
        lose_create(&mut bench);
        bench.sleep_and_send();
        bench.answer(status, body);
        let seen = bench.status(id);
        assert_eq!(seen.state, PushState::Held, "{status} {body}");
        assert_eq!(seen.error.unwrap().step, Step::Find);
        bench.retry(id).unwrap();
        assert_eq!(bench.send().line, "GET /search?q=k", "a retry looks again");
        bench.answer(200, r#"{"issues":[{"id":2}]}"#);
        bench.run();
        assert_eq!(bench.status(id).external_id.as_deref(), Some("2"));
    }
    let mut bench = Bench::new(with_find(json!({})));
    let id = bench.push(crate::Case::new("no id"));
    lose_create(&mut bench);
    assert_eq!(
        bench.state(id),
        PushState::Held,
        "without case id there is nothing to look for"
    );
}

#[test]
fn a_look_up_is_tried_until_it_is_answered() {
    let mut bench = Bench::new(with_find(json!({})));
    let id = bench.push(case("k"));
    lose_create(&mut bench);
    for kind in [
        FailureKind::NotConnected,
        FailureKind::Lost,
        FailureKind::NotWritten,
    ] {
        bench.sleep_and_send();
        bench.fail(kind);
    }
    bench.sleep_and_send();
    bench.answer(500, "");
    bench.sleep_and_send();
    bench.answer(200, r#"{"issues":[{"id":3}]}"#);
    bench.run();
    assert_eq!(bench.state(id), PushState::Delivered);
}

#[test]
fn a_crash_under_way_is_an_outcome_that_is_not_known() {
    for (changes, expected) in [
        (json!({}), PushState::Waiting),
        (json!({"onUncertainCreate": "hold"}), PushState::Held),
        (with_find(json!({})), PushState::Waiting),
    ] {
        let mut bench = Bench::new(changes.clone());
        let id = bench.push(case("k"));
        let first = bench.send();
        bench.crash();
        assert_eq!(bench.state(id), expected, "{changes}");
        let status = bench.status(id);
        assert_eq!(status.error.map(|e| e.code).as_deref(), Some("interrupted"));
        if changes.get("findIncidentUrl").is_some() {
            assert_eq!(bench.sleep_and_send().line, "GET /search?q=k");
        } else if expected == PushState::Waiting {
            assert_eq!(bench.sleep_and_send().key, first.key);
        }
    }
}

#[test]
fn a_crash_at_any_step_repeats_only_that_step() {
    let expected = [
        vec!["POST /issues", "GET /issues/1", "POST /issues/1/comments"],
        vec!["GET /issues/1", "POST /issues/1/comments"],
        vec!["POST /issues/1/comments"],
        vec![],
    ];
    for (done, expected) in expected.iter().enumerate() {
        for under_way in [true, false] {
            let mut bench = Bench::new(json!({}));
            let id = bench.push(case("k").comment("a", "1"));
            for _ in 0..done {
                bench.send();
                bench.oblige();
            }
            if under_way && done < 3 {
                bench.send();
            }
            bench.crash();
            bench.opened = u32::from(done > 0);
            bench.advance(2);
            assert_eq!(bench.run(), *expected, "{done}");
            let status = bench.status(id);
            assert_eq!(status.state, PushState::Delivered);
            assert_eq!(status.uncertain, under_way && matches!(done, 0 | 2), "{done}");
        }
    }
}

#[test]
fn a_crash_with_an_update_under_way_counts() {
    for (changes, expected) in [
        (json!({}), PushState::Waiting),
        (json!({"retry": {"maxAttempts": 1}}), PushState::Failed),
    ] {
        let mut bench = Bench::new(changes);
        bench.push(case("k"));
        bench.run();
        let id = bench.push(case("k"));
        assert_eq!(bench.send().line, "PUT /issues/1");
        bench.crash();
        let status = bench.status(id);
        assert_eq!((status.state, status.attempts), (expected, 1));
        assert_eq!(status.error.map(|e| e.code).as_deref(), Some("interrupted"));
        assert!(!status.uncertain);
    }
}

#[test]
fn a_crash_with_an_unreadable_connector_keeps_its_policy() {
    for (policy, expected) in [("hold", PushState::Held), ("retry", PushState::Waiting)] {
        let mut bench = Bench::empty();
        let document = json!({
            "config": super::bench::config(json!({
                "onUncertainCreate": policy,
                "hasAuth": true,
            })),
            "secrets": {"user": "u", "password": "p"},
        });
        bench.configure_document("c", &document);
        let id = bench.push(case("k"));
        bench.send();
        for _ in 0..9 {
            bench.store.fail("secrets", super::faulty::StoreFault::Before);
        }
        bench.crash();
        assert_eq!(bench.state(id), expected);
    }
}

#[test]
fn an_uncertain_comment_is_sent_three_times_more_and_then_failed() {
    let mut bench = Bench::new(json!({}));
    let id = bench.push(case("k").comment("a", "1"));
    for _ in 0..2 {
        bench.send();
        bench.oblige();
    }
    let first = bench.send();
    for _ in 0..3 {
        bench.fail(FailureKind::Lost);
        bench.sleep();
        let again = bench.send();
        assert_eq!((&again.key, &again.body), (&first.key, &first.body));
        assert!(bench.status(id).uncertain);
    }
    bench.answer(500, "");
    let status = bench.status(id);
    assert_eq!(status.state, PushState::Failed);
    assert_eq!(bench.comments(id), [CommentState::Failed]);
    bench.retry(id).unwrap();
    assert_eq!(bench.send().key, first.key);
    bench.oblige();
    assert_eq!(bench.comments(id), [CommentState::Uncertain]);
    assert_eq!(bench.state(id), PushState::Delivered);
    let id = bench.push(case("k").comment("a", "1"));
    bench.run();
    assert_eq!(bench.comments(id), [CommentState::Skipped], "it counts as sent");
}

#[test]
fn a_lost_update_is_simply_sent_again() {
    let mut bench = Bench::new(json!({}));
    bench.push(case("k"));
    bench.run();
    let id = bench.push(case("k"));
    for _ in 0..5 {
        bench.send();
        bench.fail(FailureKind::Lost);
        bench.sleep();
    }
    bench.run();
    assert_eq!(bench.state(id), PushState::Delivered);
    assert!(!bench.status(id).uncertain);
    assert_eq!(bench.status(id).attempts, 5);
}

#[test]
fn a_definite_refusal_ends_the_key() {
    let mut bench = Bench::new(json!({}));
    let id = bench.push(case("k"));
    let first = bench.send();
    bench.answer(400, "");
    bench.retry(id).unwrap();
    let second = bench.send();
    assert_ne!(first.key, second.key);
    // Refused for now: the same request keeps its key, another one gets its own.
    bench.answer(503, "");
    let third = bench.sleep_and_send();
    assert_eq!(second.key, third.key);
    bench.answer(503, "");
    bench.configure("c", json!({"createIncidentJson": r#"{"new":{{{case.title}}}}"#}));
    let fourth = bench.send();
    assert_ne!(fourth.key, third.key);
    assert_eq!(fourth.body, r#"{"new":"title of k"}"#);
    assert!(!bench.status(id).uncertain);
}

#[test]
fn a_definite_refusal_ends_the_key_also_of_the_only_attempt() {
    let mut bench = Bench::new(json!({"retry": {"maxAttempts": 1}}));
    let id = bench.push(case("k"));
    let first = bench.send();
    bench.answer(400, "");
    bench.retry(id).unwrap();
    assert_ne!(first.key, bench.send().key);
}

#[test]
fn what_never_left_does_not_make_the_first_send_certain() {
    // The look of the allowed hosts, or of the connector, changed while the outcome is open.
    let mut bench = Bench::new(json!({}));
    let id = bench.push(case("k"));
    let first = lose_create(&mut bench);
    bench.sleep_and_send();
    bench.fail(FailureKind::Refused);
    assert_eq!(bench.state(id), PushState::Failed);
    bench.retry(id).unwrap();
    let again = bench.send();
    assert_eq!((&again.key, &again.body), (&first.key, &first.body));
    assert!(bench.status(id).uncertain);
}

#[test]
fn keys_are_sent_as_configured() {
    let own = |changes: Value| {
        let mut bench = Bench::new(changes);
        bench.push(case("k").comment("a", "1"));
        let create = bench.send();
        bench.oblige();
        let get = bench.send();
        bench.oblige();
        (create, get, bench.send())
    };
    let (create, get, comment) = own(json!({}));
    assert_eq!(create.key.as_ref().map(String::len), Some(36));
    assert_eq!(get.key, None);
    assert!(comment.key.is_some() && comment.key != create.key);
    let (create, ..) = own(json!({"idempotencyKeyFormat": "quoted"}));
    let key = create.key.unwrap();
    assert!(
        key.starts_with('"') && key.ends_with('"') && key.len() == 38,
        "{key}"
    );
    let (create, ..) = own(json!({"idempotencyHeader": "X-Request-Id"}));
    assert!(
        create
            .headers
            .iter()
            .any(|(name, value)| name == "x-request-id" && value.len() == 36)
    );
    let (create, _, comment) = own(json!({"idempotencyHeader": null}));
    assert_eq!((create.key, comment.key), (None, None));
}

#[test]
fn keys_grow_with_time() {
    let mut bench = Bench::new(json!({}));
    let mut keys = Vec::new();
    for name in 0..20 {
        bench.push(case(&name.to_string()));
        keys.push(bench.send().key.unwrap());
        bench.run();
        bench.advance(1);
    }
    assert!(keys.is_sorted());
}

#[test]
fn a_key_that_the_target_has_forgotten_protects_no_longer() {
    let after = |changes: Value, seconds: u64| {
        let mut bench = Bench::new(changes);
        bench.push(case("k"));
        let first = lose_create(&mut bench);
        bench.sleep_and_send();
        bench.fail(FailureKind::NotConnected);
        bench.advance(seconds);
        (first, bench.send())
    };
    let changes = json!({"onUncertainCreate": "retry", "idempotencyKeySeconds": 3_600});
    let (first, then) = after(with_find(changes.clone()), 1_800);
    assert_eq!(
        (then.is_create(), &then.key),
        (true, &first.key),
        "still protected"
    );
    let (_, then) = after(with_find(changes.clone()), 3_700);
    assert_eq!(then.line, "GET /search?q=k", "look first where that can be done");
    let (first, then) = after(changes, 3_700);
    assert_eq!(
        (then.is_create(), &then.key, &then.body),
        (true, &first.key, &first.body)
    );
}

#[test]
fn a_comment_with_an_answer_that_cannot_be_used_is_repeated_only_by_hand_and_marked() {
    let mut bench = Bench::new(json!({}));
    let id = bench.push(case("k").comment("a", "1"));
    for _ in 0..2 {
        bench.send();
        bench.oblige();
    }
    let first = bench.send();
    bench.answer(200, "<html>");
    assert_eq!(bench.state(id), PushState::Failed);
    bench.retry(id).unwrap();
    assert_eq!(bench.send().key, first.key);
    assert!(bench.status(id).uncertain);
    bench.oblige();
    assert_eq!(bench.comments(id), [CommentState::Uncertain]);
}
