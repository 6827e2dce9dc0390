//! What a push takes from being stored to being delivered, on a network that takes no time, against rows written and deleted
//! by hand. Run by `make bench`; prints, asserts nothing about speed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::bench::config;
use crate::clock::{Clock, SystemClock};
use crate::connector::{Connector, SecretSources, Settings};
use crate::drain::{Engine, Tools, Workers};
use crate::model::{Case, PushState};
use crate::outbox::{ConnectorId, NewPush};
use crate::process::Bells;
use crate::store::sqlite::figures::{Aim, Plain, Row};
use crate::store::sqlite::{KeySource, SqliteStore};
use crate::store::{NewConnector, Retention, Store};
use crate::transport::{Answer, Failure, Request, Transport};

const ROUNDS: usize = 7;
const ROUND: usize = 800;
const TITLE: &str = "Disk full on a host of the second rack";
const RETENTION: Retention = Retention {
    max_queued: 1_000_000,
    history_age: Duration::from_secs(30 * 24 * 3_600),
    history_count: 100_000,
};

/// Every request is answered before it is sent.
struct Instantly;

impl Transport for Instantly {
    fn send(&self, _request: &Request) -> Result<Answer, Failure> {
        Ok(Answer {
            status: 200,
            headers: Vec::new(),
            body: br#"{"id":"7"}"#.to_vec(),
            body_fault: None,
            tokens: Default::default(),
        })
    }

    fn shutdown(&self) {}
}

#[test]
#[ignore = "a benchmark; run it with `make bench`"]
fn of_a_whole_turn() {
    let dir = tempfile::tempdir_in(disk()).unwrap();
    let small = Plain::small(&dir.path().join("small.db"));
    drop(Outbox::new(&dir.path().join("whole.db"), 0));
    let whole = Plain::whole(&dir.path().join("whole.db"));
    let body = format!(r#"{{"case":"host-7/disk","title":"{TITLE}"}}"#);
    for (against, plain) in [
        ("insert and delete by rusqlite, our tables", whole),
        ("insert and delete by rusqlite, a table of texts", small),
    ] {
        for (threads, aim) in [(1, Aim::None), (4, Aim::AtLeast(1.7))] {
            let outbox = Outbox::new(&dir.path().join(format!("{threads} {against}")), threads);
            let (mut ours, mut ratios) = (Vec::new(), Vec::new());
            for round in 0..=ROUNDS {
                let own = rate(|| outbox.turn(threads, round));
                let theirs = rate(|| (0..ROUND).for_each(|_| plain.turn(&body)));
                // The first fills caches.
                if round > 0 {
                    ours.push(own);
                    ratios.push(own / theirs);
                }
            }
            let row = Row {
                what: &format!("enqueue, claim, deliver, acknowledge: {threads} + {threads} thread(s)"),
                against: Some(against),
                unit: "/s",
                aim,
                ours,
                ratios,
            };
            row.say();
            assert!(outbox.workers.stop(Duration::from_secs(5)));
        }
    }
}

/// A store with threads that drain it.
struct Outbox {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    bells: Arc<Bells>,
    connector: ConnectorId,
    workers: Workers,
}

impl Outbox {
    fn new(path: &Path, workers: usize) -> Outbox {
        let key = KeySource::Given(zeroize::Zeroizing::new([7; 32]));
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path, key).unwrap());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let document = json!({"config": config(json!({
            "createOnly": true, "getIncidentUrl": null, "getIncidentResponseExternalTitleKey": null,
            "viewIncidentUrl": "http://t.example/open", "maxInFlight": 64,
        }))});
        let document = Connector::from_json(&document.to_string()).unwrap();
        let connector = NewConnector {
            name: "c",
            config: &document.config_json(),
            warnings: "[]",
            target: &document.config.target,
            secrets: None,
        };
        let connector = store.put_connector(&connector, clock.now().wall).unwrap().id;
        let bells = Arc::new(Bells::default());
        let engine = Engine::new(
            Arc::clone(&store),
            Settings::default(),
            SecretSources::default(),
            1,
        );
        let tools = Tools {
            store: Arc::clone(&store),
            transport: Arc::new(Instantly),
            clock: Arc::clone(&clock),
            bells: Arc::clone(&bells),
            lock: None,
            retention: RETENTION,
            _guard: None,
        };
        Outbox {
            workers: Workers::start(workers, engine, tools).unwrap(),
            store,
            clock,
            bells,
            connector,
        }
    }

    /// Pushes from some threads, while those that drain deliver; returns when everything is delivered.
    fn turn(&self, threads: usize, round: usize) {
        std::thread::scope(|scope| {
            for thread in 0..threads {
                scope.spawn(move || {
                    for number in 0..ROUND / threads {
                        self.push(format!("host-{round}-{thread}-{number}/disk"));
                    }
                });
            }
        });
        let delivered = ((round + 1) * ROUND) as u64;
        let place = PushState::ALL
            .iter()
            .position(|state| *state == PushState::Delivered)
            .unwrap();
        loop {
            let seen = self.bells.change.count();
            if self.store.counts().unwrap()[0].by_state[place] == delivered {
                return;
            }
            self.bells
                .change
                .wait_beyond(seen, Some(Duration::from_millis(200)));
        }
    }

    fn push(&self, id: String) {
        let push = NewPush {
            connector: self.connector,
            revision: None,
            case: Case::new(TITLE).id(id),
            coalesce: true,
        };
        self.store
            .enqueue(vec![push], &RETENTION, self.clock.now().wall)
            .unwrap();
        self.workers.wake();
    }
}

fn rate(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    ROUND as f64 / begin.elapsed().as_secs_f64()
}

fn disk() -> PathBuf {
    std::env::var_os("CASEHOOK_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from)
}
