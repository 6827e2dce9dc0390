//! Whoever waits until nothing is left is told once, when the threads have nothing in hand any more.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::json;

use super::bench::{answer, config};
use super::secrets::{RETENTION, stored};
use crate::clock::{Clock, SystemClock};
use crate::connector::{SecretSources, Settings};
use crate::drain::{Engine, Tools, Workers};
use crate::model::{Case, PushState};
use crate::outbox::{ConnectorId, NewPush};
use crate::process::Bells;
use crate::store::Store;
use crate::store::sqlite::{KeySource, SqliteStore};
use crate::transport::{Answer, Failure, Request, Transport};

/// Longer than any machine takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Says that a request came, and answers when it is let.
struct Gated {
    came: Mutex<mpsc::Sender<()>>,
    gate: Mutex<mpsc::Receiver<()>>,
}

impl Transport for Gated {
    fn send(&self, _request: &Request) -> Result<Answer, Failure> {
        self.came.lock().unwrap().send(()).unwrap();
        let _ = self.gate.lock().unwrap().recv();
        Ok(answer(201, &[], r#"{"id":"7","key":"T-7"}"#))
    }

    fn shutdown(&self) {}
}

struct Outbox {
    _dir: tempfile::TempDir,
    store: Arc<dyn Store>,
    connector: ConnectorId,
    bells: Arc<Bells>,
    workers: Workers,
    requests: mpsc::Receiver<()>,
    gate: mpsc::Sender<()>,
    accepted: u64,
}

impl Outbox {
    fn new(workers: usize) -> Outbox {
        let dir = tempfile::tempdir().unwrap();
        let key = KeySource::Given(zeroize::Zeroizing::new([7; 32]));
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&dir.path().join("a.db"), key).unwrap());
        let connector = stored(store.as_ref(), "c", &json!({"config": config(json!({}))}));
        let engine = Engine::new(
            Arc::clone(&store),
            Settings::default(),
            SecretSources::default(),
            1,
        );
        let (came, requests) = mpsc::channel();
        let (gate, gated) = mpsc::channel();
        let bells = Arc::new(Bells::default());
        let tools = Tools {
            store: Arc::clone(&store),
            transport: Arc::new(Gated {
                came: Mutex::new(came),
                gate: Mutex::new(gated),
            }),
            clock: Arc::new(SystemClock::new()),
            bells: Arc::clone(&bells),
            lock: None,
            retention: RETENTION,
            _guard: None,
        };
        Outbox {
            _dir: dir,
            workers: Workers::start(workers, engine, tools).unwrap(),
            store,
            connector,
            bells,
            requests,
            gate,
            accepted: 0,
        }
    }

    fn push(&mut self, count: u64) {
        let new = (0..count).map(|_| {
            self.accepted += 1;
            NewPush {
                connector: self.connector,
                revision: None,
                case: Case::new("title").id(self.accepted.to_string()),
                coalesce: true,
            }
        });
        let new: Vec<NewPush> = new.collect();
        let now = SystemClock::new().now().wall;
        self.store.enqueue(new, &RETENTION, now).unwrap();
        self.workers.wake();
    }

    fn all_delivered(&self) -> bool {
        let place = PushState::ALL.iter().position(|s| *s == PushState::Delivered);
        self.store.counts().unwrap()[0].by_state[place.unwrap()] == self.accepted
    }
}

#[test]
fn there_is_no_lull_while_a_request_is_under_way() {
    let mut outbox = Outbox::new(3);
    outbox.push(2);
    (0..2).for_each(|_| outbox.requests.recv().unwrap());
    let (seen, lull) = (outbox.bells.change.count(), outbox.bells.lull.count());
    // The third thread finds nothing to do.
    outbox.workers.wake();
    outbox.bells.change.wait_beyond(seen, Some(PATIENCE));
    assert_ne!(outbox.bells.change.count(), seen);
    assert_eq!(outbox.bells.lull.count(), lull);
    (0..4).for_each(|_| outbox.gate.send(()).unwrap());
    outbox.bells.lull.wait_beyond(lull, Some(PATIENCE));
    assert!(outbox.all_delivered());
    assert!(outbox.workers.stop(PATIENCE));
}

#[test]
fn the_end_of_the_last_delivery_is_not_missed() {
    for workers in 1..=4 {
        let mut outbox = Outbox::new(workers);
        for round in 0..50 {
            let count = 1 + round % 5;
            (0..2 * count).for_each(|_| outbox.gate.send(()).unwrap());
            outbox.push(count);
            loop {
                let seen = outbox.bells.lull.count();
                if outbox.all_delivered() {
                    break;
                }
                outbox.bells.lull.wait_beyond(seen, Some(PATIENCE));
                assert_ne!(
                    outbox.bells.lull.count(),
                    seen,
                    "{workers} workers, round {round}"
                );
            }
        }
        assert!(outbox.workers.stop(PATIENCE));
    }
}
