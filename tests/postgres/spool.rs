//! A spool before the database: pushes while it is away, their order, their numbers, and processes that are killed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use casehook::{Agent, Case, ErrorKind, Filter, Options, PushId, PushState};
use serde_json::json;

use crate::database::{self, Server};
use crate::hosts::connector;
use crate::proxy::Proxy;
use crate::support::case_system::CaseSystem;
use crate::support::temp_dir;

const PATIENCE: Duration = Duration::from_secs(120);
const URL: &str = "CASEHOOK_FORWARDER_URL";
const SPOOL: &str = "CASEHOOK_FORWARDER_SPOOL";

fn options(spool: &Path) -> Options {
    Options::new().key([7; 32]).spool(spool)
}

/// Forwards until it is killed, when this process was started for that.
pub fn live() {
    let (Ok(url), Ok(spool)) = (std::env::var(URL), std::env::var(SPOOL)) else {
        return;
    };
    let _agent = Agent::open(url, options(spool.as_ref()).drain(false)).unwrap();
    // Until whoever started it is gone.
    let _ = std::io::read_to_string(std::io::stdin());
    std::process::exit(0);
}

fn start(url: &str, spool: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["forwarder", "--exact", "--nocapture", "--test-threads=1"])
        .env(URL, url)
        .env(SPOOL, spool)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The titles of the pushes in the database, in the order of acceptance.
fn titles(database: &Server, schema: &str) -> Vec<String> {
    let sql = format!("SELECT title FROM {schema}.incidents ORDER BY push_id");
    database.sql(&sql).lines().map(str::to_owned).collect()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits for a push, also while the database is away.
fn delivered(agent: &Agent, id: PushId) -> PushId {
    let started = Instant::now();
    loop {
        match agent.wait(id, PATIENCE) {
            Ok(status) => {
                assert_eq!(status.state, PushState::Delivered, "{status:?}");
                return status.id;
            }
            Err(error) => assert!(error.is_retryable() && started.elapsed() < PATIENCE, "{error}"),
        }
    }
}

#[test]
fn pushes_wait_in_the_spool_and_go_in_order_under_both_numbers() {
    let Some(database) = database::shared() else {
        return;
    };
    let system = CaseSystem::start();
    let proxy = Proxy::to(database.port);
    let (schema, folder) = (database.schema(), temp_dir());
    let url = format!("{}&lease=3", database.url_at(proxy.port, &schema));
    let spool = folder.path().join("spool");
    let agent = Agent::open(&url, options(&spool)).unwrap();
    agent
        .configure("c", &connector(&system.url(), json!({})))
        .unwrap();
    let first = agent.push("c", &Case::new("first").id("k")).unwrap();
    assert!(first.get() > 0, "the database is there");
    delivered(&agent, first);
    proxy.close();
    let push = |title: &str, case: &str| agent.push("c", &Case::new(title).id(case)).unwrap();
    let own = push("0", "k");
    assert!(own.get() < 0, "{own}");
    let cancelled = push("never", "n");
    let many: Vec<Case> = (1..5).map(|n| Case::new(n.to_string()).id("k")).collect();
    let ids = agent.push_many("c", &many).unwrap();
    assert!(
        ids.windows(2).all(|pair| pair[0] > pair[1] && pair[1].get() < 0),
        "{ids:?}"
    );
    assert_eq!(agent.status(ids[0]).unwrap().state, PushState::Queued);
    assert_eq!(agent.status(ids[0]).unwrap().id, ids[0]);
    agent.cancel(cancelled).unwrap();
    assert_eq!(agent.status(cancelled).unwrap().state, PushState::Cancelled);
    let timeout = agent.wait(ids[0], Duration::from_millis(1)).unwrap_err();
    assert_eq!(timeout.kind(), ErrorKind::Timeout);
    // Somebody else reaches the database meanwhile.
    let near = Agent::open(database.url(&schema), Options::new().key([7; 32]).drain(false)).unwrap();
    near.push("c", &Case::new("other").id("o")).unwrap();
    proxy.mend();
    let last = delivered(&agent, ids[3]);
    assert!(last > first, "it has a number of the database's by now");
    assert_eq!(near.status(last).unwrap().state, PushState::Delivered);
    assert_eq!(agent.status(ids[3]).unwrap().id, last);
    assert_eq!(
        agent.attempts(ids[3]).unwrap().len(),
        agent.attempts(last).unwrap().len()
    );
    assert_eq!(agent.status(cancelled).unwrap().state, PushState::Cancelled);
    assert_eq!(
        titles(database, &schema),
        ["first", "other", "0", "1", "2", "3", "4"]
    );
    assert_eq!(system.incidents_of("k").len(), 1);
    let error = agent.cancel(ids[3]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State, "it is delivered: {error}");
    let unknown = agent.status((-99).into()).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    let after = push("after", "k");
    assert!(after.get() > 0, "the spool is empty");
    agent.close(PATIENCE).unwrap();
    let receipts = database.sql(&format!("SELECT count(*) FROM {schema}.receipts"));
    assert_eq!(receipts, "0", "each answer was heard");
}

#[test]
fn a_host_that_starts_while_the_database_is_away_pushes_to_what_it_knew() {
    let Some(database) = database::shared() else {
        return;
    };
    let system = CaseSystem::start();
    let proxy = Proxy::to(database.port);
    let (schema, folder) = (database.schema(), temp_dir());
    let url = database.url_at(proxy.port, &schema);
    let spool = folder.path().join("spool");
    let agent = Agent::open(&url, options(&spool)).unwrap();
    agent
        .configure("c", &connector(&system.url(), json!({})))
        .unwrap();
    agent.close(PATIENCE).unwrap();
    proxy.close();
    let without = Agent::open(&url, Options::new().key([7; 32])).unwrap_err();
    assert_eq!(without.kind(), ErrorKind::Busy);
    let agent = Agent::open(&url, options(&spool)).unwrap();
    let id = agent.push("c", &Case::new("a")).unwrap();
    assert!(id.get() < 0);
    let unknown = agent.push("d", &Case::new("a")).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Busy, "{unknown}");
    assert_eq!(agent.pause("c").unwrap_err().kind(), ErrorKind::Busy);
    // What is not delivered outlives the process, and what another one spooled goes along.
    agent.close(PATIENCE).unwrap();
    let agent = Agent::open(&url, options(&spool)).unwrap();
    assert_eq!(agent.status(id).unwrap().state, PushState::Queued);
    let file = Agent::open(&spool, Options::new()).unwrap_err();
    assert_eq!(file.kind(), ErrorKind::Argument, "{file}");
    proxy.mend();
    delivered(&agent, id);
    agent.close(PATIENCE).unwrap();
    // Nor by itself: what is pushed there would go nowhere.
    let alone = Agent::open(&spool, Options::new()).unwrap_err();
    assert_eq!(alone.kind(), ErrorKind::Argument, "{alone}");
    assert!(alone.to_string().contains("is the spool of"), "{alone}");
    let moved = Agent::migrate(&spool, &database.url(&database.schema()), &Options::new()).unwrap_err();
    assert_eq!(moved.kind(), ErrorKind::Argument, "{moved}");
    let refused = Agent::open(folder.path().join("a.db"), options(&spool)).unwrap_err();
    assert_eq!(refused.field(), Some("spool"), "{refused}");
}

#[test]
fn processes_killed_while_they_forward_lose_nothing_and_repeat_nothing() {
    let Some(database) = database::shared() else {
        return;
    };
    let proxy = Proxy::to(database.port);
    let (schema, folder) = (database.schema(), temp_dir());
    let url = database.url_at(proxy.port, &schema);
    let spool = folder.path().join("spool");
    let agent = Agent::open(&url, options(&spool).drain(false)).unwrap();
    agent
        .configure("c", &connector("http://127.0.0.1:9", json!({})))
        .unwrap();
    proxy.close();
    // No case ids: nothing but the receipts tells one from another.
    const PUSHES: usize = 150;
    for n in 0..PUSHES {
        agent.push("c", &Case::new(n.to_string())).unwrap();
    }
    agent.close(PATIENCE).unwrap();
    let count = || {
        let sql = format!("SELECT count(*) FROM {schema}.pushes");
        database.sql(&sql).parse::<usize>().unwrap()
    };
    proxy.mend();
    let mut kills = 0;
    while count() < PUSHES {
        let mut child = start(&url, &spool);
        let goal = (count() + 10).min(PUSHES);
        until("it forwards", || count() >= goal);
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills > 0);
    let agent = Agent::open(&url, options(&spool).drain(false)).unwrap();
    until("the last answer is heard", || {
        agent
            .status((-i64::try_from(PUSHES).unwrap()).into())
            .unwrap()
            .id
            .get()
            > 0
    });
    let wanted: Vec<String> = (0..PUSHES).map(|n| n.to_string()).collect();
    assert_eq!(titles(database, &schema), wanted, "after {kills} kills");
    for n in 1..=PUSHES {
        let status = agent.status((-i64::try_from(n).unwrap()).into()).unwrap();
        assert!(status.id.get() > 0, "{status:?}");
    }
    agent.close(PATIENCE).unwrap();
}

#[test]
fn a_cut_at_any_step_of_a_push_or_of_forwarding_stores_it_once() {
    let Some(database) = database::shared() else {
        return;
    };
    let proxy = Proxy::to(database.port);
    let (schema, folder) = (database.schema(), temp_dir());
    let url = database.url_at(proxy.port, &schema);
    let agent = Agent::open(&url, options(&folder.path().join("spool")).drain(false)).unwrap();
    agent
        .configure("c", &connector("http://127.0.0.1:9", json!({})))
        .unwrap();
    let mut pushed = Vec::new();
    let mut cuts = 0;
    for step in 0..20 {
        for answers_lost in [false, true] {
            proxy.cut_at(step, answers_lost);
            for part in 0..2 {
                let title = format!("{step}-{answers_lost}-{part}");
                pushed.push((agent.push("c", &Case::new(title.as_str())).unwrap(), title));
            }
            cuts += usize::from(proxy.was_cut());
            proxy.mend();
        }
    }
    assert!(cuts > 20, "{cuts}");
    let mut last = 0;
    for (id, title) in &pushed {
        until(title, || {
            agent.status(*id).is_ok_and(|status| status.id.get() > 0)
        });
        let id = agent.status(*id).unwrap().id.get();
        assert!(id > last, "{title} is in its place");
        last = id;
    }
    let wanted: Vec<_> = pushed.iter().map(|(_, title)| title.clone()).collect();
    assert_eq!(titles(database, &schema), wanted);
    assert_eq!(
        agent.pushes(&Filter::new().limit(1000)).unwrap().len(),
        wanted.len()
    );
    agent.close(PATIENCE).unwrap();
}

#[cfg(feature = "cli")]
#[test]
fn the_command_line_pushes_to_the_spool_and_takes_its_numbers() {
    let Some(database) = database::shared() else {
        return;
    };
    let system = CaseSystem::start();
    let proxy = Proxy::to(database.port);
    let (schema, folder) = (database.schema(), temp_dir());
    let url = database.url_at(proxy.port, &schema);
    let document = folder.path().join("connector.json");
    std::fs::write(&document, json!({"config": system.config()}).to_string()).unwrap();
    let run = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_casehook"))
            .args(["--json", "--db", &url, "--spool"])
            .arg(folder.path().join("spool"))
            .args(args)
            .env("CASEHOOK_KEY", "07".repeat(32))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{args:?}: {text}{said}");
        text
    };
    run(&["configure", "c", document.to_str().unwrap()]);
    proxy.close();
    let pushed = run(&["push", "c", "--title", "away", "--case-id", "k"]);
    assert!(pushed.contains("-1"), "{pushed}");
    assert!(run(&["status", "-1"]).contains("queued"));
    proxy.mend();
    assert!(run(&["wait", "-1", "--timeout", "120"]).contains("delivered"));
    assert_eq!(system.incidents_of("k").len(), 1);
}
