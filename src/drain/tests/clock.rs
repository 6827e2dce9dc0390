//! A wall clock that is set to another time while nobody looks.

use serde_json::json;
use std::time::Duration;

use super::bench::{Bench, case};
use crate::model::PushState;
use crate::transport::FailureKind;

const DAY: i64 = 86_400;
const HOUR: u64 = 3_600;

/// How an exchange ends, and how many seconds it may delay the next one by.
type Scene = (&'static str, fn(&mut Bench), u64);

const SCENES: [Scene; 4] = [
    ("offline", |bench| bench.fail(FailureKind::NotConnected), 600),
    ("blocked", |bench| bench.answer(401, ""), HOUR),
    (
        "throttled",
        |bench| bench.answer_with(429, &[("retry-after", "300")], ""),
        HOUR,
    ),
    ("backoff", |bench| bench.answer(503, ""), 600),
];

#[test]
fn a_jump_there_and_back_while_a_request_is_under_way_delays_nothing_beyond_the_cap() {
    for (name, scene, most) in SCENES {
        for crash in [false, true] {
            let mut bench = Bench::new(json!({}));
            let id = bench.push(case("k"));
            bench.send();
            bench.jump(DAY);
            scene(&mut bench);
            bench.jump(-DAY);
            if crash {
                bench.crash();
            }
            let wait = bench.wait().expect("something is due some time");
            assert!(wait <= Duration::from_secs(most), "{name} {crash}: {wait:?}");
            bench.advance_by(wait);
            bench.send();
            bench.answer(201, r#"{"id": "1", "key": "K"}"#);
            bench.run();
            assert_eq!(bench.state(id), PushState::Delivered, "{name} {crash}");
        }
    }
}
