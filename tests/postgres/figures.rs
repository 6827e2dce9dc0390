//! Figures: pushes and deliveries against the server's own commits in the same run, the cost of a claim in a long queue,
//! and what more draining processes bring. `make bench-postgres`.

use std::time::{Duration, Instant};

use casehook::{Agent, Case, Connector, Options};
use serde_json::json;

use crate::database::Server as Database;
use crate::hosts::Host;
use crate::support::case_system::CaseSystem;

const PUSHES: usize = 2_000;

fn options() -> Options {
    Options::new().key([7; 32]).drain(false)
}

fn commits_a_second(database: &Database, clients: usize) -> f64 {
    let script = database.file("commit.sql", "INSERT INTO one VALUES (1);\n");
    database.sql("CREATE TABLE IF NOT EXISTS one (n int)");
    let port = database.port.to_string();
    let out = database
        .tool("pgbench")
        .args([
            "-n",
            "-M",
            "prepared",
            "-T",
            "5",
            "-c",
            &clients.to_string(),
            "-h",
            "127.0.0.1",
            "-p",
            &port,
        ])
        .args(["-U", "casehook", "-f"])
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

fn drained_a_second(url: &str, hosts: usize) -> f64 {
    let agent = Agent::open(url, options()).unwrap();
    agent.pause("c").unwrap();
    let cases: Vec<Case> = (0..PUSHES).map(|_| Case::new("title")).collect();
    agent.push_many("c", &cases).unwrap();
    let hosts: Vec<Host> = (0..hosts).map(|_| Host::start(url)).collect();
    while agent.stats().unwrap().drained_by.is_none() {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_secs(2));
    let started = Instant::now();
    agent.resume("c").unwrap();
    while !agent.flush(Duration::from_secs(600)).unwrap() {}
    let rate = PUSHES as f64 / started.elapsed().as_secs_f64();
    drop(hosts);
    rate
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

#[test]
#[ignore = "figures; make bench-postgres"]
fn figures() {
    let Some(database) = Database::start(&["fsync=on", "max_connections=200"]) else {
        return;
    };
    let system = CaseSystem::start();
    let body = r#"{"caseId":{{{case.id}}},"title":{{{case.title}}}}"#;
    let one = format!("{}/issues/{{{{{{external.system.id}}}}}}", system.url());
    let connector = Connector::from_json(
        &json!({"config": {
            "createIncidentUrl": format!("{}/issues", system.url()),
            "createIncidentJson": body,
            "createIncidentResponseKey": "id",
            "getIncidentUrl": one,
            "getIncidentResponseExternalTitleKey": "key",
            "viewIncidentUrl": one,
            "updateIncidentUrl": one,
            "updateIncidentJson": body,
            "hasAuth": false,
            "maxInFlight": 32,
        }})
        .to_string(),
    )
    .unwrap();
    let open = |schema: &str| {
        let url = database.url(schema);
        let agent = Agent::open(&url, options()).unwrap();
        agent.configure("c", &connector).unwrap();
        agent.close(Duration::from_secs(5)).unwrap();
        url
    };
    for threads in [1, 4] {
        let url = open(&format!("push{threads}"));
        let commits = commits_a_second(&database, threads);
        let pushes = pushes_a_second(&url, threads);
        println!(
            "{threads} at once: {commits:.0} commits and {pushes:.0} pushes a second, {:.2} pushes a commit",
            pushes / commits
        );
    }
    let commits = commits_a_second(&database, 4);
    let mut first = 0.0;
    for hosts in [1, 2, 4] {
        let rate = drained_a_second(&open(&format!("drain{hosts}")), hosts);
        if hosts == 1 {
            first = rate;
        }
        println!(
            "{hosts} draining: {rate:.0} pushes a second, {:.2} of one process, {:.2} of pgbench's {commits:.0} commits",
            rate / first,
            rate / commits
        );
    }
    let schema = "queue";
    open(schema);
    for queued in [1_000, 1_000_000] {
        database.sql(&format!(
            "SET search_path TO {schema}; ALTER TABLE pushes DISABLE TRIGGER USER; \
                 INSERT INTO pushes (connector_id, lane, state, ready, created_at, updated_at, due_at) \
                 SELECT 1, 'c:' || n, 'queued', true, n, n, n FROM generate_series(1, {queued}) AS n"
        ));
        database.sql(&format!("VACUUM ANALYZE {schema}.pushes"));
        println!(
            "a claim with {queued} more queued: {}",
            pages_of_a_claim(&database, schema)
        );
    }
}
