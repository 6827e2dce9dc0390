//! Secrets in files: read for each request, and never in the way of anything but their own connector.

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bench::{Bench, MINUTE, Sent, case, config};
use crate::clock::{Clock, SystemClock};
use crate::connector::{Connector, SecretSources, Settings};
use crate::drain::fetch::{Unfetched, from_sources};
use crate::drain::{Engine, Tools, Workers};
use crate::model::{PushId, PushState};
use crate::outbox::{ConnectorId, NewPush};
use crate::process::Bells;
use crate::store::sqlite::{KeySource, SqliteStore};
use crate::store::{NewConnector, Retention, Store};
use crate::transport::{Answer, Failure, Request, Transport};

fn document(changes: Value) -> Value {
    let mut config = config(changes);
    config["hasAuth"] = json!(true);
    json!({"config": config, "secrets": {"user": "robot", "password": {"file": "password"}}})
}

/// One connector named `c` whose password lies in a file.
fn bench(password: Option<&str>) -> Bench {
    let mut bench = Bench::empty();
    if let Some(password) = password {
        put(&bench, password);
    }
    bench.configure_document("c", &document(json!({})));
    bench
}

fn put(bench: &Bench, password: &str) {
    std::fs::write(bench.dir.path().join("password"), password).unwrap();
}

fn login(sent: &Sent) -> Option<&str> {
    let mut headers = sent.headers.iter();
    headers
        .find(|(name, _)| name == "authorization")
        .map(|(_, value)| value.as_str())
}

/// That nothing was begun of it, so that nothing can be uncertain.
fn is_untouched(bench: &Bench, id: PushId) -> bool {
    let progress = bench.store.load(id).unwrap().unwrap().push.progress;
    progress.state == PushState::Queued && !progress.begun && progress.intent.is_none()
}

#[test]
fn they_are_read_for_each_request_and_masked_as_they_were_read() {
    let mut bench = bench(Some("first-password\n"));
    let id = bench.push(case("k"));
    // base64 of `robot:first-password` and `robot:second-password`.
    assert_eq!(login(&bench.send()), Some("Basic cm9ib3Q6Zmlyc3QtcGFzc3dvcmQ="));
    put(&bench, "second-password");
    bench.answer(503, r#"{"error": "no first-password here"}"#);
    let said = bench.attempts(id)[0].message.clone();
    assert!(
        said.contains("no ***") && !said.contains("first-password"),
        "{said}"
    );
    assert_eq!(
        login(&bench.sleep_and_send()),
        Some("Basic cm9ib3Q6c2Vjb25kLXBhc3N3b3Jk")
    );
    bench.oblige();
    assert_eq!(bench.run(), ["GET /issues/1"]);
    assert_eq!(bench.state(id), PushState::Delivered);
}

#[test]
fn one_that_cannot_be_read_blocks_without_an_attempt_that_counts() {
    let mut bench = bench(None);
    let id = bench.push(case("k"));
    for minutes in [1, 5] {
        assert_eq!(bench.wait(), Some(Duration::from_secs(minutes * MINUTE)));
        bench.advance(minutes * MINUTE);
    }
    let reason = bench.stored("c").health.blocked.unwrap().reason;
    assert!(reason.starts_with("secrets.password: "), "{reason}");
    assert!(is_untouched(&bench, id));
    assert_eq!(bench.status(id).attempts, 0);
    put(&bench, "hush");
    bench.advance(15 * MINUTE);
    assert_eq!(bench.run(), ["POST /issues", "GET /issues/1"]);
}

#[test]
fn a_read_under_way_holds_up_its_connector_and_no_other() {
    let mut bench = bench(Some("hush"));
    bench.configure("other", json!({}));
    bench.holds_fetches = true;
    let ids = ["a", "b"].map(|id| bench.push(case(id)));
    let other = bench.push_to("other", case("a"));
    assert_eq!(bench.run(), ["POST /issues", "GET /issues/1"]);
    assert_eq!(bench.state(other), PushState::Delivered);
    assert_eq!(bench.fetching.len(), 1);
    assert!(ids.iter().all(|id| is_untouched(&bench, *id)));

    // A process that dies meanwhile leaves nothing uncertain.
    bench.crash();
    assert_eq!(bench.wait(), None);
    assert!(ids.iter().all(|id| is_untouched(&bench, *id)));

    let sent = bench.end_fetch(None).unwrap();
    assert_eq!(sent.line, "POST /issues");
    // Now the other push has its turn, and the first one's next step after it.
    bench.oblige();
    assert_eq!(bench.wait(), None);
    assert_eq!(bench.fetching.len(), 1);
    bench.holds_fetches = false;
    assert!(bench.end_fetch(None).is_some());
    bench.run();
    for id in ids {
        assert_eq!(bench.state(id), PushState::Delivered);
        assert!(!bench.status(id).uncertain);
    }
}

#[test]
fn what_happens_during_a_read_counts_after_it() {
    for end in [None, Some("no"), Some("closed")] {
        let end = || match end {
            Some("closed") => Some(Unfetched::Closed),
            end => end.map(|reason| Unfetched::Failed(reason.to_owned())),
        };
        let start = || {
            let mut bench = bench(Some("hush"));
            bench.holds_fetches = true;
            let id = bench.push(case("a"));
            assert_eq!(bench.wait(), None);
            (bench, id)
        };

        let (mut paused, id) = start();
        paused.pause(true);
        assert!(paused.end_fetch(end()).is_none());
        assert_eq!(paused.wait(), None);
        assert!(is_untouched(&paused, id) && paused.stored("c").health.blocked.is_none());
        paused.pause(false);
        paused.holds_fetches = false;
        assert_eq!(paused.run().len(), 2);

        let (mut cancelled, id) = start();
        cancelled.cancel(id).unwrap();
        assert!(cancelled.end_fetch(end()).is_none());
        assert_eq!(cancelled.state(id), PushState::Cancelled);

        let (mut absorbed, id) = start();
        let newer = absorbed.push(case("a"));
        assert!(absorbed.end_fetch(end()).is_none());
        absorbed.holds_fetches = false;
        absorbed.advance(MINUTE);
        assert_eq!(absorbed.run().len(), 2);
        assert_eq!(absorbed.state(id), PushState::Superseded);
        assert_eq!(absorbed.state(newer), PushState::Delivered);

        let (mut configured, id) = start();
        configured.configure(
            "c",
            json!({"createIncidentUrl": "http://u.example/issues", "targetId": "http://t.example"}),
        );
        // It is not taken a second time meanwhile.
        assert_eq!(configured.wait(), None);
        assert_eq!(configured.fetching.len(), 1);
        // Its secrets are those of the connector as it was, and are read anew.
        put(&configured, "new");
        configured.holds_fetches = false;
        let sent = configured.end_fetch(end()).or_else(|| configured.turn().ok());
        assert_eq!(sent.unwrap().host, "u.example");
        configured.run();
        assert_eq!(configured.state(id), PushState::Delivered);
        assert!(configured.stored("c").health.blocked.is_none());

        let (mut removed, _) = start();
        removed.remove("c").unwrap();
        assert!(removed.end_fetch(end()).is_none());
        assert_eq!(removed.wait(), None);
    }
}

#[test]
fn what_the_case_was_at_another_target_is_nothing_to_the_one_it_is_sent_to() {
    for end in [None, Some("no")] {
        let mut bench = bench(Some("hush"));
        bench.push(case("a"));
        assert_eq!(bench.run(), ["POST /issues", "GET /issues/1"]);
        bench.holds_fetches = true;
        let id = bench.push(case("a"));
        assert_eq!(bench.wait(), None);
        let elsewhere = json!({
            "createIncidentUrl": "http://u.example/issues",
            "getIncidentUrl": "http://u.example/issues/{{{external.system.id}}}",
            "updateIncidentUrl": "http://u.example/issues/{{{external.system.id}}}",
        });
        bench.configure_document("c", &document(elsewhere));
        bench.holds_fetches = false;
        let ended = bench.end_fetch(end.map(|reason| Unfetched::Failed(reason.to_owned())));
        let sent = ended.or_else(|| bench.turn().ok()).unwrap();
        assert_eq!(
            (sent.host.as_str(), sent.line.as_str()),
            ("u.example", "POST /issues")
        );
        bench.oblige();
        bench.run();
        assert_eq!(bench.state(id), PushState::Delivered);
    }
}

pub(super) const RETENTION: Retention = Retention {
    max_queued: 1_000,
    history_age: Duration::from_secs(3_600),
    history_count: 1_000,
};

/// Answers every request as created.
struct Obliging;

impl Transport for Obliging {
    fn send(&self, _request: &Request) -> Result<Answer, Failure> {
        Ok(super::bench::answer(201, &[], r#"{"id":"7","key":"T-7"}"#))
    }

    fn shutdown(&self) {}
}

pub(super) fn stored(store: &dyn Store, name: &str, document: &Value) -> ConnectorId {
    let connector = Connector::from_json(&document.to_string()).unwrap();
    let new = NewConnector {
        name,
        config: &connector.config_json(),
        warnings: "[]",
        target: &connector.config.target,
        secrets: connector.secrets.clone(),
    };
    let now = SystemClock::new().now().wall;
    store.put_connector(&new, now).unwrap().id
}

#[test]
fn a_file_that_is_never_read_to_its_end_stops_neither_other_connectors_nor_closing() {
    let dir = tempfile::tempdir().unwrap();
    let key = KeySource::Given(zeroize::Zeroizing::new([7; 32]));
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&dir.path().join("a.db"), key).unwrap());
    let hung = stored(store.as_ref(), "hung", &document(json!({})));
    let well = stored(store.as_ref(), "well", &json!({"config": config(json!({}))}));

    let mut engine = Engine::new(
        Arc::clone(&store),
        Settings::default(),
        SecretSources::default(),
        1,
    );
    let (begun, begins) = mpsc::channel();
    let (release, hang) = mpsc::channel::<()>();
    let hang = Mutex::new(hang);
    let usual = from_sources(Settings::default(), SecretSources::default());
    engine.roster.from_sources = Arc::new(move |connector: &Connector| {
        if connector.name() == Some("hung") {
            begun.send(()).unwrap();
            let _ = hang.lock().unwrap().recv();
        }
        usual(connector)
    });
    let (clock, bells) = (Arc::new(SystemClock::new()), Arc::new(Bells::default()));
    let tools = Tools {
        store: Arc::clone(&store),
        transport: Arc::new(Obliging),
        clock: Arc::<SystemClock>::clone(&clock),
        bells: Arc::clone(&bells),
        lock: None,
        retention: RETENTION,
        _guard: None,
    };
    let push = |connector: ConnectorId, id: &str| {
        let push = NewPush {
            connector,
            revision: None,
            case: case(id),
            coalesce: true,
        };
        let now = clock.now().wall;
        store.enqueue(vec![push], &RETENTION, now).unwrap()[0]
    };
    let stuck = ["a", "b", "c"].map(|id| push(hung, id));
    let workers = Workers::start(2, engine, tools).unwrap();
    begins.recv().unwrap();
    for number in 0..20 {
        let id = push(well, &number.to_string());
        workers.wake();
        loop {
            let seen = bells.change.count();
            if store.status(id).unwrap().unwrap().state == PushState::Delivered {
                break;
            }
            bells.change.wait_beyond(seen, Some(Duration::from_millis(200)));
        }
    }
    assert!(workers.is_draining());

    let (patience, start) = (Duration::from_secs(600), Instant::now());
    assert!(workers.stop(patience), "every thread ended");
    assert!(start.elapsed() < patience / 2);
    for id in stuck {
        let progress = store.load(id).unwrap().unwrap().push.progress;
        assert_eq!(progress.state, PushState::Queued);
        assert!(!progress.begun && progress.intent.is_none() && !progress.uncertain);
    }
    drop(release);
}
