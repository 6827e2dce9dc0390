//! A connector that is configured anew while a request of it is under way.

use std::time::Duration;

use serde_json::json;

use super::bench::{Bench, case};
use crate::model::PushState;
use crate::outbox::Health;
use crate::transport::FailureKind;

/// What an old document ran into says nothing of the new one.
#[test]
fn the_end_of_a_request_of_the_old_document_holds_nothing_back() {
    let ends: [(&str, fn(&mut Bench)); 3] = [
        ("refused credentials", |bench| bench.answer(401, "")),
        ("throttled", |bench| {
            bench.answer_with(429, &[("retry-after", "3600")], "");
        }),
        ("nobody there", |bench| bench.fail(FailureKind::NotConnected)),
    ];
    for (what, end) in ends {
        for looked in [false, true] {
            let waits = json!({"retry": {"baseMs": 86_400_000, "capMs": 86_400_000}});
            let mut bench = Bench::new(waits.clone());
            let id = bench.push(case("k"));
            bench.send();
            bench.configure("c", waits);
            if looked {
                // Another thread took notice of the new document before the request ended.
                assert!(bench.turn().is_err());
            }
            end(&mut bench);
            let health = bench.stored("c").health;
            let unharmed = Health {
                odometer_ms: health.odometer_ms,
                ..Health::default()
            };
            assert_eq!(health, unharmed, "{what}, {looked}");
            bench.advance_by(Duration::from_millis(1));
            assert_eq!(bench.send().push, id, "{what}, {looked}");
            bench.run();
            assert_eq!(bench.state(id), PushState::Delivered, "{what}, {looked}");
        }
    }
}
