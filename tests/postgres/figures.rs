//! Figures: pushes and deliveries against the server's own commits in the same run, the cost of a claim in a long queue,
//! and what more draining processes bring. `make bench-postgres`, which builds for release.
//!
//! The commits are measured right before what is held against them, since a disk is not the same from minute to minute.

use std::time::{Duration, Instant};

use casehook::{Agent, Case, Options};
use serde_json::json;

use crate::database::Server as Database;
use crate::hosts::{Host, connector};
use crate::support::case_system::CaseSystem;

const PUSHES: usize = 2_000;
const ROUNDS: usize = 3;
/// Pushes that a host has under way at once, unless it is told otherwise.
const WORKERS: usize = 4;

fn options() -> Options {
    Options::new().key([7; 32]).drain(false)
}

/// What `pgbench` gets of the smallest transaction that writes.
fn commits_a_second(database: &Database, clients: usize) -> f64 {
    database.sql("CREATE TABLE IF NOT EXISTS one (n int)");
    let script = database.file("commit.sql", "INSERT INTO one VALUES (1);\n");
    let (port, clients) = (database.port.to_string(), clients.to_string());
    let out = database
        .tool("pgbench")
        .args(["-n", "-M", "prepared", "-T", "3", "-c", &clients])
        .args(["-h", "127.0.0.1", "-p", &port, "-U", "casehook", "-f"])
        .arg(script)
        .arg("postgres")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let tps = text
        .lines()
        .find_map(|line| line.strip_prefix("tps = "))
        .expect("pgbench's figure");
    tps.split(' ').next().unwrap().parse().unwrap()
}

fn pushes_a_second(url: &str, threads: usize) -> f64 {
    let agent = Agent::open(url, options()).unwrap();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let agent = agent.clone();
            scope.spawn(move || {
                for n in 0..PUSHES / threads {
                    agent
                        .push("c", &Case::new("title").id(format!("{thread}-{n}")))
                        .unwrap();
                }
            });
        }
    });
    PUSHES as f64 / started.elapsed().as_secs_f64()
}

/// How fast so many hosts deliver the first of what is queued, from the moment at which they may.
fn drained_a_second(database: &Database, schema: &str, hosts: usize) -> f64 {
    let url = database.url(schema);
    let agent = Agent::open(&url, options()).unwrap();
    let _hosts: Vec<Host> = (0..hosts).map(|_| Host::start(&url)).collect();
    let draining = format!("SELECT count(*) FROM {schema}.drainers WHERE noted_pid IS NOT NULL");
    while database.sql(&draining) != hosts.to_string() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let started = Instant::now();
    agent.resume("c").unwrap();
    let delivered = || agent.stats().unwrap().connectors[0].delivered;
    while delivered() < PUSHES as u64 {
        std::thread::sleep(Duration::from_millis(10));
    }
    PUSHES as f64 / started.elapsed().as_secs_f64()
}

/// Queues so many more pushes, each of a case of its own.
fn queue(database: &Database, schema: &str, pushes: usize) {
    database.sql(&format!(
        "SET search_path TO {schema}; ALTER TABLE pushes DISABLE TRIGGER USER; \
         WITH queued AS (INSERT INTO pushes (connector_id, lane, state, ready, created_at, updated_at, due_at) \
           SELECT 1, 'c:' || n, 'queued', true, n, n, n FROM generate_series(1, {pushes}) AS n RETURNING id, lane) \
         INSERT INTO incidents (push_id, title, case_id) SELECT id, 'title', substr(lane, 3) FROM queued; \
         INSERT INTO counters (connector_id, state, shard, n) VALUES (1, 'queued', 0, {pushes}); \
         ALTER TABLE pushes ENABLE TRIGGER USER"
    ));
    for table in ["pushes", "incidents"] {
        database.sql(&format!("VACUUM ANALYZE {schema}.{table}"));
    }
    database.sql("CHECKPOINT");
}

/// How many pages a claim reads.
fn pages_of_a_claim(database: &Database, schema: &str) -> String {
    let plan = database.sql(&format!(
        "SET search_path TO {schema}; EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, COSTS OFF) \
         SELECT p.id FROM pushes AS p WHERE p.connector_id = 1 AND p.ready AND p.due_at <= 9000000000000 \
         AND (p.owner IS NULL OR NOT EXISTS (SELECT 1 FROM drainers AS d WHERE d.id = p.owner)) \
         ORDER BY p.due_at, p.id LIMIT 1 FOR UPDATE OF p SKIP LOCKED"
    ));
    plan.lines()
        .find(|line| line.contains("Buffers"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[test]
#[ignore = "figures; make bench-postgres"]
fn figures() {
    let Some(database) = Database::start(&["fsync=on", "max_connections=200"]) else {
        return;
    };
    if cfg!(debug_assertions) {
        println!("THIS IS NO RELEASE BUILD: the figures say nothing (make bench-postgres)");
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{cores} cores for the server, the hosts and the target");
    let system = CaseSystem::start();
    let connector = connector(&system.url(), json!({"maxInFlight": 64}));
    let open = |schema: &str| {
        let agent = Agent::open(database.url(schema), options()).unwrap();
        agent.configure("c", &connector).unwrap();
        agent.pause("c").unwrap();
        agent.close(Duration::from_secs(5)).unwrap();
        database.url(schema)
    };
    for threads in [1, 4] {
        let url = open(&format!("push{threads}"));
        let rounds = (0..ROUNDS).map(|_| {
            let commits = commits_a_second(&database, threads);
            (pushes_a_second(&url, threads), commits)
        });
        let rounds: Vec<(f64, f64)> = rounds.collect();
        println!(
            "{threads} at once: {:.0} pushes a second, {:.2} of pgbench's commits (median of {ROUNDS} rounds)",
            median(rounds.iter().map(|(pushes, _)| *pushes).collect()),
            median(rounds.iter().map(|(pushes, commits)| pushes / commits).collect()),
        );
    }
    let mut first = 0.0;
    for hosts in [1, 2, 4] {
        let rounds = (0..ROUNDS).map(|round| {
            let schema = format!("drain{hosts}_{round}");
            open(&schema);
            queue(&database, &schema, PUSHES);
            let commits = commits_a_second(&database, hosts * WORKERS);
            (drained_a_second(&database, &schema, hosts), commits)
        });
        let rounds: Vec<(f64, f64)> = rounds.collect();
        let rate = median(rounds.iter().map(|(rate, _)| *rate).collect());
        if hosts == 1 {
            first = rate;
        }
        println!(
            "{hosts} draining, {} pushes under way: {rate:.0} pushes a second, {:.2} of one process; their three commits \
             each are {:.2} of what pgbench makes with as many clients",
            hosts * WORKERS,
            rate / first,
            median(
                rounds
                    .iter()
                    .map(|(rate, commits)| 3.0 * rate / commits)
                    .collect()
            ),
        );
    }
    for queued in [PUSHES, 1_000_000] {
        let schema = format!("queue{queued}");
        open(&schema);
        queue(&database, &schema, queued);
        let pages = pages_of_a_claim(&database, &schema);
        println!(
            "{queued} queued: a claim reads {pages}, and one process delivers {:.0} pushes a second",
            drained_a_second(&database, &schema, 1)
        );
    }
}
