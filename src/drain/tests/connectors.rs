//! Connectors that are offline, blocked or throttled: who is tried when, and what that costs the pushes.

use std::time::Duration;

use serde_json::json;

use super::bench::{Bench, HOUR, MINUTE, answer, case, failure};
use crate::model::{PushState, Timestamp};
use crate::transport::FailureKind;

fn many(bench: &Bench, count: usize) -> Vec<crate::PushId> {
    (0..count).map(|n| bench.push(case(&n.to_string()))).collect()
}

fn lines_of_attempts(bench: &Bench, ids: &[crate::PushId]) -> usize {
    ids.iter().map(|id| bench.attempts(*id).len()).sum()
}

#[test]
fn an_offline_target_is_tried_with_one_request_at_a_time() {
    let mut bench = Bench::new(json!({}));
    let ids = many(&bench, 50);
    // Four were under way when it went.
    let sent: Vec<_> = (0..4).map(|_| bench.send()).collect();
    for one in &sent {
        bench.end(one, Err(failure(FailureKind::NotConnected)));
    }
    let trouble = bench.stored("c").health.offline.unwrap();
    assert_eq!(trouble.probes, 1, "what else was under way is no probe");
    let mut waits = Vec::new();
    for probes in 2..=14 {
        waits.push(bench.sleep());
        let probe = bench.send();
        assert_eq!(bench.wait(), None, "one at a time");
        bench.end(&probe, Err(failure(FailureKind::NotConnected)));
        assert_eq!(bench.stored("c").health.offline.unwrap().probes, probes);
    }
    assert_eq!(lines_of_attempts(&bench, &ids), 4 + 13);
    assert!(waits.iter().all(|w| *w <= Duration::from_secs(10 * MINUTE)));
    assert!(
        waits.iter().sum::<Duration>() > Duration::from_secs(10 * MINUTE),
        "{waits:?}"
    );
    for id in &ids {
        assert_eq!(bench.status(*id).attempts, 0, "no attempt is counted");
    }
    bench.sleep();
    bench.run();
    assert!(
        ids.iter().all(|id| bench.state(*id) == PushState::Delivered),
        "recovery releases all"
    );
    assert_eq!(bench.stored("c").health.offline, None);
    assert_eq!(bench.wait(), None);
}

#[test]
fn an_offline_target_that_takes_connections_and_says_nothing_is_still_tried_one_at_a_time() {
    for kind in [FailureKind::Lost, FailureKind::NotWritten] {
        let mut bench = Bench::new(json!({"onUncertainCreate": "hold"}));
        let ids = many(&bench, 20);
        bench.send();
        bench.fail(FailureKind::NotConnected);
        let start = bench.now.steady;
        for _ in 0..12 {
            bench.sleep();
            bench.send();
            bench.fail(kind);
        }
        assert!(
            bench.now.steady - start > Duration::from_secs(5 * MINUTE),
            "{kind:?}"
        );
        assert_eq!(lines_of_attempts(&bench, &ids), 13);
    }
}

#[test]
fn any_answer_ends_an_outage() {
    for status in [200, 400, 404, 429, 500, 503] {
        let mut bench = Bench::new(json!({}));
        many(&bench, 3);
        bench.send();
        bench.fail(FailureKind::NotConnected);
        bench.sleep_and_send();
        bench.answer(status, "{}");
        assert_eq!(bench.stored("c").health.offline, None, "{status}");
    }
}

#[test]
fn an_outage_survives_a_restart() {
    let mut bench = Bench::new(json!({}));
    many(&bench, 3);
    for _ in 0..8 {
        bench.send();
        bench.fail(FailureKind::NotConnected);
        bench.sleep();
    }
    bench.send();
    bench.fail(FailureKind::NotConnected);
    let trouble = bench.stored("c").health.offline.unwrap();
    bench.crash();
    assert_eq!(bench.wait(), Some(trouble.probe_at.since(bench.now.wall)));
}

#[test]
fn refused_credentials_block_and_are_tried_ever_more_rarely() {
    for status in [401, 407] {
        let mut bench = Bench::new(json!({}));
        let ids = many(&bench, 10);
        bench.send();
        bench.answer(status, "no such user");
        let mut waits = Vec::new();
        for _ in 0..5 {
            let health = bench.stored("c").health.blocked.unwrap();
            assert!(health.reason.contains("no such user"), "{}", health.reason);
            assert!(ids.iter().all(|id| bench.state(*id) == PushState::Queued));
            waits.push(bench.sleep().as_secs() / MINUTE);
            bench.send();
            assert_eq!(bench.wait(), None, "one at a time");
            bench.answer(status, "no such user");
        }
        assert_eq!(waits, [1, 5, 15, 60, 60]);
        bench.configure("c", json!({}));
        bench.run();
        for id in ids {
            assert_eq!(bench.status(id).attempts, 0);
            assert_eq!(
                bench.state(id),
                PushState::Delivered,
                "a new configure probes at once"
            );
        }
    }
}

#[test]
fn new_credentials_are_tried_with_one_request() {
    let mut bench = Bench::new(json!({}));
    many(&bench, 3);
    bench.send();
    bench.answer(401, "");
    bench.configure("c", json!({}));
    bench.send();
    assert_eq!(bench.wait(), None, "one at a time");
    bench.answer(401, "");
    assert_eq!(bench.wait(), Some(Duration::from_secs(MINUTE)));
    bench.configure("c", json!({}));
    bench.send();
    assert_eq!(bench.wait(), None);
    bench.oblige();
    for _ in 0..3 {
        bench.send();
    }
    bench.run();
    assert_eq!(bench.opened, 3);
}

#[test]
fn a_probe_of_a_blocked_target_that_says_nothing_new_does_not_release_the_others() {
    let ends: [(Option<FailureKind>, u16); 4] = [
        (Some(FailureKind::NotConnected), 0),
        (Some(FailureKind::Lost), 0),
        (Some(FailureKind::NotWritten), 0),
        (None, 503),
    ];
    for (kind, status) in ends {
        let mut bench = Bench::new(json!({"onUncertainCreate": "hold"}));
        let ids = many(&bench, 10);
        bench.send();
        bench.answer(401, "");
        let start = bench.now.steady;
        for _ in 0..4 {
            bench.sleep();
            bench.send();
            match kind {
                Some(kind) => bench.fail(kind),
                None => bench.answer(status, ""),
            }
            assert!(bench.stored("c").health.blocked.is_some());
        }
        assert!(
            bench.now.steady - start >= Duration::from_secs((1 + 5 + 15 + 60) * MINUTE),
            "{kind:?} {status}: {:?}",
            bench.now.steady - start
        );
        assert_eq!(lines_of_attempts(&bench, &ids), 5);
    }
}

#[test]
fn credentials_that_cannot_be_had_block_without_a_request() {
    let mut bench = Bench::empty();
    let document = json!({
        "config": super::bench::config(json!({"hasAuth": true})),
        "secrets": {"user": "u", "password": {"env": "NOT_ALLOWED"}},
    });
    bench.configure_document("c", &document);
    let ids = many(&bench, 10);
    for minutes in [1, 5, 15, 60] {
        assert_eq!(bench.wait(), Some(Duration::from_secs(minutes * MINUTE)));
        bench.advance(minutes * MINUTE);
    }
    assert!(bench.stored("c").health.blocked.is_some());
    // A push that nothing was sent of is still absorbed.
    bench.push(case("0"));
    assert_eq!(bench.state(ids[0]), PushState::Superseded);
}

#[test]
fn a_probe_that_needs_a_fresh_get_first_gets_through() {
    for refusal in [Some(401), None] {
        let mut bench = Bench::new(json!({"ifMatchHeader": true}));
        bench.push(case("k"));
        bench.run();
        let id = bench.push(case("k"));
        bench.send();
        match refusal {
            Some(status) => bench.answer(status, ""),
            None => bench.fail(FailureKind::NotConnected),
        }
        bench.sleep();
        assert_eq!(bench.run(), ["GET /issues/1", "PUT /issues/1", "GET /issues/1"]);
        assert_eq!(bench.state(id), PushState::Delivered);
        let health = bench.stored("c").health;
        assert!(health.blocked.is_none() && health.offline.is_none());
    }
}

#[test]
fn a_throttled_connector_pauses_as_long_as_it_was_asked_to() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let later = "Sun, 06 Nov 1994 08:51:37 GMT";
    let zero = ("x-ratelimit-remaining", "0");
    let wall = 1_800_000_000;
    let reset = |seconds: i64| (wall + seconds).to_string();
    let reset_100 = reset(100);
    let reset_millis = format!("{}000", reset(50));
    type Row<'a> = (u16, Vec<(&'a str, &'a str)>, u64);
    let rows: Vec<Row<'_>> = vec![
        (429, vec![("retry-after", "30")], 30),
        (503, vec![("retry-after", "30")], 30),
        (429, vec![("date", date), ("retry-after", later)], 120),
        (429, vec![("retry-after", "999999")], HOUR),
        (403, vec![zero, ("x-ratelimit-reset", &reset_100)], 100),
        (403, vec![zero, ("x-ratelimit-reset", &reset_millis)], 50),
        (429, vec![("ratelimit-reset", "17")], 17),
        (403, vec![("retry-after", "60")], 60),
        (429, vec![], 1),
        (429, vec![("retry-after", "0")], 1),
        (429, vec![("date", later), ("retry-after", date)], 1),
    ];
    for (status, headers, seconds) in rows {
        let mut bench = Bench::new(json!({}));
        bench.configure("d", json!({}));
        let ids = many(&bench, 3);
        let first = bench.send();
        let second = bench.send();
        bench.end(&first, Ok(answer(status, &headers, "")));
        // A step of a push that is under way waits too.
        bench.end(&second, Ok(answer(201, &[], r#"{"id":"1"}"#)));
        let other = bench.push_to("d", case("k"));
        bench.run();
        assert_eq!(bench.state(other), PushState::Delivered, "others go on");
        assert_eq!(bench.state(ids[1]), PushState::Queued);
        assert_eq!(
            bench.sleep(),
            Duration::from_secs(seconds),
            "{status} {headers:?}"
        );
        bench.run();
        for id in ids {
            assert_eq!(bench.state(id), PushState::Delivered);
            assert_eq!(bench.status(id).attempts, 0, "no attempt counted");
        }
    }
}

#[test]
fn the_longest_of_several_pauses_counts_and_survives_a_restart() {
    let mut bench = Bench::new(json!({}));
    many(&bench, 2);
    let first = bench.send();
    let second = bench.send();
    bench.end(&first, Ok(answer(429, &[("retry-after", "100")], "")));
    bench.end(&second, Ok(answer(429, &[("retry-after", "5")], "")));
    bench.crash();
    assert_eq!(bench.sleep(), Duration::from_secs(100));
}

#[test]
fn pauses_without_a_length_grow() {
    let mut bench = Bench::new(json!({}));
    bench.push(case("k"));
    let mut waits = Vec::new();
    for _ in 0..12 {
        bench.send();
        bench.answer(429, "");
        waits.push(bench.sleep().as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
}

#[test]
fn a_connector_without_trouble_tells_when_it_is_due() {
    let mut bench = Bench::new(json!({"retry": {"baseMs": 1000, "capMs": 8000}}));
    let id = bench.push(case("k"));
    for attempt in 1..=12u32 {
        bench.send();
        bench.answer(503, "");
        let due = bench.status(id).next_attempt_at.unwrap();
        let wait = due.since(bench.now.wall);
        assert!(wait <= Duration::from_secs(8).min(Duration::from_secs(1 << (attempt - 1))));
        let slept = bench.sleep();
        assert_eq!(slept, wait.max(Duration::from_millis(1)));
    }
    assert_eq!(bench.status(id).attempts, 12);
}

/// Every way to wait, the clock set a day forward or back at its beginning: how long it really takes at most.
#[test]
fn a_clock_that_jumps_neither_delays_nor_hastens_more_than_it_may() {
    type Scene = (&'static str, fn(&mut Bench), u64);
    let scenes: [Scene; 6] = [
        (
            "backoff",
            |b| {
                b.send();
                b.answer(503, "");
            },
            600,
        ),
        (
            "offline",
            |b| {
                b.send();
                b.fail(FailureKind::NotConnected);
            },
            600,
        ),
        (
            "blocked",
            |b| {
                b.send();
                b.answer(401, "");
            },
            MINUTE,
        ),
        (
            "throttled",
            |b| {
                b.send();
                b.answer_with(429, &[("retry-after", "300")], "");
            },
            300,
        ),
        (
            "uncertain",
            |b| {
                b.send();
                b.fail(FailureKind::Lost);
            },
            600,
        ),
        (
            "under way",
            |b| {
                b.send();
            },
            1,
        ),
    ];
    for (name, scene, most) in scenes {
        for jump in [-86_400, 86_400] {
            for restart in [false, true] {
                let mut bench = Bench::new(json!({}));
                let id = bench.push(case("k"));
                let behind = bench.push(case("other"));
                scene(&mut bench);
                bench.turn().ok();
                bench.flying.retain(|sent| sent.push == id);
                bench.advance_by(Duration::from_millis(300));
                bench.jump(jump);
                if restart {
                    bench.crash();
                }
                let start = bench.now.steady;
                for _ in 0..60 {
                    bench.run();
                    match bench.turn() {
                        Err(Some(wait)) => bench.advance_by(wait.min(Duration::from_secs(1_000_000))),
                        _ => break,
                    }
                }
                if !restart {
                    assert_eq!(bench.state(id), PushState::Delivered, "{name} {jump}");
                    let _ = behind;
                }
                let took = bench.now.steady - start;
                // After a restart nothing is known but the longest wait of its kind.
                let most = if restart { most.max(HOUR) } else { most };
                assert!(
                    took <= Duration::from_secs(most + 11),
                    "{name} {jump} {restart}: {took:?}"
                );
            }
        }
    }
}

#[test]
fn a_clock_set_back_by_little_while_asleep_is_noticed() {
    let mut bench = Bench::new(json!({}));
    let id = bench.push(case("k"));
    for _ in 0..2 {
        bench.send();
        bench.answer_with(429, &[("retry-after", "600")], "");
        bench.turn().ok();
        // Nine of the ten minutes pass asleep, meanwhile the clock is set back by eight.
        bench.advance(540);
        bench.jump(-480);
        let wait = bench.wait().unwrap();
        assert!(wait <= Duration::from_secs(60 + 540), "{wait:?}");
        bench.advance_by(wait);
    }
    bench.run();
    assert_eq!(bench.state(id), PushState::Delivered);
}

#[test]
fn age_counts_only_what_was_observed() {
    let mut bench = Bench::new(json!({"retry": {"maxAgeSeconds": 100, "baseMs": 1, "capMs": 1000}}));
    let id = bench.push(case("k"));
    let fails = |bench: &mut Bench| {
        bench.advance(2);
        bench.send();
        bench.answer(503, "");
    };
    fails(&mut bench);
    bench.advance(50);
    fails(&mut bench);
    // None of these count: paused, offline, blocked, throttled, a jump, not running.
    bench.pause(true);
    bench.turn().ok();
    bench.advance(HOUR);
    bench.pause(false);
    fails(&mut bench);
    for kind in 0..3 {
        bench.advance(2);
        bench.send();
        match kind {
            0 => bench.fail(FailureKind::NotConnected),
            1 => bench.answer(401, ""),
            _ => bench.answer_with(429, &[("retry-after", "3600")], ""),
        }
        while bench.turn().is_ok() {
            bench.fail(FailureKind::NotConnected);
        }
        bench.advance(HOUR);
        fails(&mut bench);
        bench.configure(
            "c",
            json!({"retry": {"maxAgeSeconds": 100, "baseMs": 1, "capMs": 1000}}),
        );
    }
    bench.jump(1_000_000);
    fails(&mut bench);
    bench.crash();
    fails(&mut bench);
    assert_eq!(
        bench.state(id),
        PushState::Waiting,
        "{:?}",
        bench.status(id).error
    );
    bench.advance(90);
    fails(&mut bench);
    assert_eq!(bench.state(id), PushState::Failed);
}

#[test]
fn attempts_are_bounded_where_that_is_asked_for() {
    let mut bench = Bench::new(json!({"retry": {"maxAttempts": 3}}));
    let id = bench.push(case("k"));
    for _ in 0..3 {
        bench.send();
        bench.answer(503, "");
        bench.advance(HOUR);
        bench.turn().ok();
        bench.flying.clear();
        if bench.state(id) == PushState::Sending {
            bench.crash();
            break;
        }
    }
    assert_ne!(bench.state(id), PushState::Delivered);
    // One try, whatever its class.
    type End = fn(&mut Bench);
    let ends: [End; 6] = [
        |b| b.fail(FailureKind::NotConnected),
        |b| b.fail(FailureKind::Lost),
        |b| b.answer(401, ""),
        |b| b.answer(429, ""),
        |b| b.answer(503, ""),
        |b| b.answer(201, "{}"),
    ];
    for end in ends {
        let mut bench = Bench::new(json!({"retry": {"maxAttempts": 1}}));
        let id = bench.push(case("k"));
        bench.send();
        end(&mut bench);
        assert_eq!(bench.state(id), PushState::Failed);
        assert!(!bench.status(id).error.unwrap().retryable);
    }
}

#[test]
fn the_count_starts_anew_with_each_step() {
    let mut bench = Bench::new(json!({"retry": {"maxAttempts": 2}}));
    let id = bench.push(case("k").comment("a", "1"));
    for _ in 0..3 {
        bench.send();
        bench.answer(503, "");
        assert_eq!(bench.state(id), PushState::Waiting);
        bench.sleep();
        bench.send();
        bench.oblige();
    }
    assert_eq!(bench.state(id), PushState::Delivered);
    assert_eq!(bench.status(id).attempts, 3);
    let id = bench.push(case("j"));
    bench.send();
    bench.answer(503, "");
    bench.sleep_and_send();
    bench.answer(503, "");
    assert_eq!(bench.state(id), PushState::Failed);
}

#[test]
fn an_incident_that_is_gone_is_given_up_or_opened_anew() {
    for status in [404, 410] {
        let mut bench = Bench::new(json!({}));
        bench.push(case("k").comment("a", "1"));
        bench.run();
        let id = bench.push(case("k"));
        bench.send();
        bench.answer(status, "");
        assert_eq!(bench.state(id), PushState::Failed);
        assert_eq!(bench.status(id).external_id.as_deref(), Some("1"));
        bench.configure("c", json!({"onExternalGone": "recreate"}));
        let id = bench.push(case("k").comment("a", "1").comment("b", "2"));
        bench.send();
        bench.answer(status, "");
        assert_eq!(bench.link("k"), None);
        let lines = bench.run();
        let comment = "POST /issues/2/comments";
        assert_eq!(
            lines,
            ["POST /issues", "GET /issues/2", comment, comment],
            "comments too"
        );
        assert_eq!(bench.state(id), PushState::Delivered);
        assert_eq!(bench.link("k").unwrap().external_id, "2");
        // Never what the host named, and not what this push itself created.
        let id = bench.push(case("j").external_id("99"));
        bench.send();
        bench.answer(status, "");
        assert_eq!(bench.state(id), PushState::Failed);
        let id = bench.push(case("i"));
        bench.send();
        bench.oblige();
        bench.send();
        bench.answer(status, "");
        assert_eq!(bench.state(id), PushState::Failed);
    }
}

#[test]
fn a_retried_push_goes_on_with_the_incident_that_was_opened_in_place_of_a_lost_one() {
    // What of the older push is answered before the incident is gone.
    for answers in 0..3 {
        let mut bench = Bench::new(json!({"coalesce": false}));
        bench.push(case("k"));
        bench.run();
        let old = bench.push(case("k").comment("a", "1").comment("b", "2"));
        for _ in 0..answers {
            bench.send();
            bench.oblige();
        }
        bench.send();
        bench.answer(404, "");
        assert_eq!(bench.state(old), PushState::Failed, "{answers}");
        bench.configure("c", json!({"coalesce": false, "onExternalGone": "recreate"}));
        bench.push(case("k"));
        bench.send();
        bench.answer(404, "");
        bench.run();
        assert_eq!(bench.link("k").unwrap().external_id, "2");
        bench.retry(old).unwrap();
        let comment = "POST /issues/2/comments";
        assert_eq!(bench.run(), [comment, comment], "{answers}");
        let status = bench.status(old);
        assert_eq!(status.state, PushState::Delivered);
        assert_eq!(status.external_id.as_deref(), Some("2"));
        assert_eq!(status.external_title.as_deref(), Some("T-2"));
        assert_eq!(bench.link("k").unwrap().external_id, "2");
    }
}

#[test]
fn an_update_names_the_version_that_it_read() {
    let mut bench = Bench::new(json!({"ifMatchHeader": true}));
    bench.push(case("k"));
    bench.run();
    let id = bench.push(case("k"));
    for round in 0..=3 {
        assert_eq!(bench.send().line, "GET /issues/1");
        bench.answer_with(200, &[("etag", &format!("\"{round}\""))], r#"{"key":"T"}"#);
        let update = bench.send();
        assert_eq!(update.line, "PUT /issues/1");
        assert_eq!(update.if_match, Some(format!("\"{round}\"")));
        bench.answer(412, "");
        if round < 3 {
            bench.sleep();
        }
    }
    assert_eq!(bench.state(id), PushState::Failed);
    bench.retry(id).unwrap();
    assert_eq!(bench.run(), ["GET /issues/1", "PUT /issues/1", "GET /issues/1"]);
    // An incident without a version is updated as it is.
    bench.push(case("k"));
    bench.send();
    bench.answer(200, r#"{"key":"T"}"#);
    assert_eq!(bench.send().if_match, None);
}

#[test]
fn times_are_those_of_the_wall_clock() {
    let mut bench = Bench::new(json!({}));
    let id = bench.push(case("k"));
    bench.send();
    bench.answer_with(429, &[("retry-after", "30")], "");
    let status = bench.status(id);
    assert_eq!(
        status.next_attempt_at,
        Some(bench.now.wall.plus(Duration::from_secs(30)))
    );
    assert_eq!(status.created_at, Timestamp::from_millis(1_800_000_000_000));
}
