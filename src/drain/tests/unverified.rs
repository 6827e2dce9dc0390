//! That certificates are not verified is logged: once for each connector, and for no other.

use std::cell::RefCell;

use serde_json::json;

use super::bench::{Bench, case};

thread_local! {
    static WARNED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what is warned of on the thread of the test.
struct Kept;

impl log::Log for Kept {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() == log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            WARNED.with_borrow_mut(|lines| lines.push(record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

#[test]
fn unverified_certificates_are_logged_once_for_each_connector() {
    log::set_logger(&Kept).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let mut bench = Bench::empty();
    let proxy = |mode: &str| json!({"proxy": {"url": "https://p.example", "verificationMode": mode}});
    let own = json!({"createIncidentUrl": "https://t.example/issues", "verificationMode": "none"});
    for (name, changes) in [
        ("own", own),
        ("by proxy", proxy("none")),
        ("plain", json!({"verificationMode": "none"})),
        ("verified", proxy("full")),
    ] {
        bench.configure(name, changes);
    }
    for round in ["a", "b"] {
        for name in ["own", "by proxy", "plain", "verified"] {
            bench.push_to(name, case(&format!("{round} {name}")));
        }
        assert_eq!(bench.run().len(), 8);
    }
    let mut lines = WARNED.take();
    lines.retain(|line| line.contains("not verified"));
    lines.sort();
    let named: Vec<&str> = lines.iter().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(named, ["by proxy", "own"], "{lines:?}");
}
