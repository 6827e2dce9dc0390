//! What a long queue costs, and the limit of a whole turn through the outbox. Run by `make bench`; prints, asserts nothing
//! about speed.
#![allow(clippy::unwrap_used)]

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ToSql, params};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::claim::FIRST_READY;
use super::db::all;
use super::{KeySource, SqliteStore};
use crate::model::{Case, Timestamp};
use crate::outbox::{ConnectorId, NewPush};
use crate::store::{NewConnector, Retention, Store};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const RETENTION: Retention = Retention {
    max_queued: 100_000_000,
    history_age: Duration::from_secs(30 * 24 * 3_600),
    history_count: 100_000,
};
const ROUNDS: usize = 7;

/// A row of the report.
pub(crate) struct Row<'a> {
    pub(crate) what: &'a str,
    /// What ours is divided by; none for a plain figure.
    pub(crate) against: Option<&'a str>,
    pub(crate) unit: &'a str,
    pub(crate) aim: Aim,
    /// What ours came to in each round.
    pub(crate) ours: Vec<f64>,
    /// The ratios where there is something to divide by.
    pub(crate) ratios: Vec<f64>,
}

#[derive(Clone, Copy)]
pub(crate) enum Aim {
    None,
    AtLeast(f64),
    AtMost(f64),
}

impl Row<'_> {
    /// Prints it, and hands it to the benchmark if that is to report it: a line of the file named by `CASEHOOK_BENCH_ROWS`.
    pub(crate) fn say(&self) {
        let aim = match self.aim {
            Aim::None => Value::Null,
            Aim::AtLeast(bound) => json!({"at_least": true, "bound": bound}),
            Aim::AtMost(bound) => json!({"at_least": false, "bound": bound}),
        };
        let row = json!({
            "what": self.what, "against": self.against, "unit": self.unit, "aim": aim,
            "figures": self.ours, "ratios": self.ratios,
        });
        let ratio = match self.against {
            Some(against) => format!(", {:.2} of {against}", median(self.ratios.clone())),
            None => String::new(),
        };
        println!(
            "  {}: {:.2} {}{ratio}",
            self.what,
            median(self.ours.clone()),
            self.unit
        );
        if let Some(path) = std::env::var_os("CASEHOOK_BENCH_ROWS") {
            let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
            writeln!(file, "{row}").unwrap();
        }
    }
}

/// A queue written by hand: a row inserted, read and deleted again, one commit each to insert and to delete.
pub(crate) struct Plain {
    conn: Connection,
    insert: &'static [&'static str],
    read: &'static str,
    delete: &'static str,
}

impl Plain {
    /// In a table that holds nothing but a text.
    pub(crate) fn small(path: &Path) -> Plain {
        let conn = Connection::open(path).unwrap();
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             CREATE TABLE outbox (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
        )
        .unwrap();
        Plain {
            conn,
            insert: &["INSERT INTO outbox (body) VALUES (?1)"],
            read: "SELECT id, body FROM outbox ORDER BY id LIMIT 1",
            delete: "DELETE FROM outbox WHERE id = ?1",
        }
    }

    /// In casehook's own tables; nobody else has the database open, which has one connector.
    pub(crate) fn whole(path: &Path) -> Plain {
        let conn = Connection::open(path).unwrap();
        conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")
            .unwrap();
        Plain {
            conn,
            insert: &[
                "INSERT INTO pushes (connector_id, lane, state, ready, created_at, updated_at, due_at, title) \
                 VALUES (1, 'c:' || ?1, 'queued', 1, 0, 0, 0, ?1)",
            ],
            read: "SELECT id, title FROM pushes WHERE connector_id = 1 AND ready = 1 ORDER BY due_at, id LIMIT 1",
            delete: "DELETE FROM pushes WHERE id = ?1",
        }
    }

    /// What a push goes through when nothing can go wrong.
    pub(crate) fn turn(&self, body: &str) {
        let run = |sql: &str, value: &dyn ToSql| {
            self.conn.prepare_cached(sql).unwrap().execute([value]).unwrap();
        };
        self.conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        self.insert.iter().for_each(|sql| run(sql, &body));
        self.conn.execute_batch("COMMIT").unwrap();
        let (id, kept): (i64, String) = self
            .conn
            .prepare_cached(self.read)
            .unwrap()
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert_eq!(kept, body);
        run(self.delete, &id);
    }
}

/// A store in memory with many pushes queued.
struct Long {
    _dir: tempfile::TempDir,
    store: SqliteStore,
    connector: ConnectorId,
    queued: usize,
    /// Numbers the cases that are pushed.
    next: usize,
}

impl Long {
    fn new(queued: usize) -> Long {
        let dir = tempfile::tempdir_in(memory()).unwrap();
        let path = dir.path().join("a.db");
        let key = KeySource::Given(Zeroizing::new([7; 32]));
        let store = SqliteStore::open(&path, key).unwrap();
        let tracker = NewConnector {
            name: "tracker",
            config: "{}",
            warnings: "[]",
            target: "https://tracker.example",
            secrets: None,
        };
        let connector = store.put_connector(&tracker, NOW).unwrap().id;
        fill(&path, connector, queued);
        Long {
            _dir: dir,
            store,
            connector,
            queued,
            next: 0,
        }
    }

    /// Microseconds of the query that finds the next push to deliver, within one snapshot.
    fn query(&self) -> f64 {
        let timed = |conn: &Connection| {
            let mut times = Vec::new();
            for _ in 0..2_000 {
                let begin = Instant::now();
                let found = all(
                    conn,
                    FIRST_READY,
                    params![self.connector.0, NOW.as_millis(), ""],
                    |row| row.get::<_, i64>(0),
                )?;
                times.push(begin.elapsed().as_secs_f64() * 1e6);
                assert_eq!(found.len(), 1);
            }
            Ok(median(times))
        };
        self.store.db.read(timed).unwrap()
    }

    /// Microseconds of a claim: the query, and the push with everything that its next step needs.
    fn claim(&self) -> f64 {
        let claims = (0..2_000).map(|_| {
            let begin = Instant::now();
            assert!(self.store.claim(self.connector, NOW, &[]).unwrap().is_some());
            begin.elapsed().as_secs_f64() * 1e6
        });
        median(claims.collect())
    }

    /// Pushes stored a second.
    fn enqueue(&mut self) -> f64 {
        const COUNT: usize = 500;
        let begin = Instant::now();
        for _ in 0..COUNT {
            self.next += 1;
            let case = Case::new("Disk full").id(format!("new-{}", self.next));
            let push = NewPush {
                connector: self.connector,
                revision: None,
                case,
                coalesce: true,
            };
            self.store.enqueue(vec![push], &RETENTION, NOW).unwrap();
        }
        COUNT as f64 / begin.elapsed().as_secs_f64()
    }

    /// Microseconds of counting what `stats` shows.
    fn count(&self) -> f64 {
        let counts = (0..500).map(|_| {
            let begin = Instant::now();
            assert!(self.store.counts().unwrap()[0].by_state[0] >= self.queued as u64);
            begin.elapsed().as_secs_f64() * 1e6
        });
        median(counts.collect())
    }
}

#[test]
#[ignore = "a benchmark; run it with `make bench`"]
fn of_a_long_queue() {
    let mut sizes = vec![1_000, 100_000, 1_000_000];
    if std::env::var_os("CASEHOOK_BENCH_LARGE").is_some() {
        sizes.push(5_000_000);
    }
    let mut queues: Vec<Long> = sizes.into_iter().map(Long::new).collect();
    // Rounds in turn, so that what else the machine does meets all sizes alike. The first fills caches.
    let mut rounds = Vec::new();
    for _ in 0..=ROUNDS {
        let round = queues.iter_mut();
        rounds.push(
            round
                .map(|q| [q.query(), q.claim(), q.enqueue(), q.count()])
                .collect(),
        );
    }
    let rounds: Vec<Vec<[f64; 4]>> = rounds.split_off(1);
    let of = |size: usize, verb: usize| rounds.iter().map(move |round| round[size][verb]);
    for (verb, what, unit, aim, base) in [
        (0, "query of a claim", "us", Aim::AtMost(1.2), 0),
        (1, "claim", "us", Aim::None, 0),
        (3, "stats", "us", Aim::AtMost(1.25), 0),
        // Against a queue that is long already.
        (2, "enqueue", "/s", Aim::AtLeast(0.5), 1),
    ] {
        let against = format!("the same with {} queued", queues[base].queued);
        for (size, queue) in queues.iter().enumerate().skip(base + 1) {
            let row = Row {
                what: &format!("{what}, {} queued", queue.queued),
                against: Some(&against),
                unit,
                aim,
                ours: of(size, verb).collect(),
                ratios: of(size, verb).zip(of(base, verb)).map(|(a, b)| a / b).collect(),
            };
            row.say();
        }
    }
    for (size, queue) in queues.iter().enumerate() {
        let row = Row {
            what: &format!("query of a claim, {} queued", queue.queued),
            against: None,
            unit: "us",
            aim: Aim::AtMost(3.0),
            ours: of(size, 0).collect(),
            ratios: Vec::new(),
        };
        row.say();
    }
}

fn fill(path: &Path, connector: ConnectorId, count: usize) {
    const STEP: usize = 100_000;
    let conn = Connection::open(path).unwrap();
    conn.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000")
        .unwrap();
    for first in (0..count).step_by(STEP) {
        let to = (first + STEP).min(count);
        conn.execute_batch(&format!(
            "BEGIN IMMEDIATE; \
             INSERT INTO pushes (connector_id, lane, state, ready, created_at, updated_at, due_at, title, description, severity) \
             WITH RECURSIVE n (i) AS (SELECT {first} + 1 UNION ALL SELECT i + 1 FROM n WHERE i < {to}) \
             SELECT {id}, printf('c:host-%08d/disk', i), 'queued', 1, {past} + i, {past} + i, {past} + i, \
               'Disk full', 'The partition /var has 0 bytes left.', 'high' FROM n; \
             UPDATE counters SET n = n + {to} - {first} WHERE connector_id = {id} AND state = 'queued'; \
             UPDATE numbering SET counted = {to}; COMMIT",
            id = connector.0,
            past = NOW.as_millis() - 10_000_000,
        ))
        .unwrap();
    }
}

/// Where there is no disk to wait for.
fn memory() -> PathBuf {
    let usual = || {
        [PathBuf::from("/dev/shm"), std::env::temp_dir()]
            .into_iter()
            .find(|dir| dir.is_dir())
    };
    let given = std::env::var_os("CASEHOOK_BENCH_MEMORY").map(PathBuf::from);
    given.or_else(usual).unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
