//! Databases that older releases wrote, opened by this one.
//!
//! `tests/fixtures/schema-NNNN.db` is a database as the release with that schema left it, `schema-NNNN.json` what the
//! public API said of it then. A schema's fixture is made once, by that release:
//! `cargo test --test migrations -- --ignored make_the_fixture`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use casehook::{Agent, Case, Connector, ErrorKind, Filter, Options, PushState};
use serde_json::{Map, Value, json};
use support::case_system::{CaseSystem, Fault, Incident, Memory, config_for};
use support::http::{Received, Reply};
use support::temp_dir;

const PATIENCE: Duration = Duration::from_secs(20);
/// The key under which the secrets of every fixture are stored.
const KEY: [u8; 32] = *b"key of the fixtures, no secret!!";
/// Connectors and what is special about each.
const CONNECTORS: &[&str] = &[
    "quick",
    "patient",
    "careful",
    "slow",
    "batch",
    "locked",
    "away",
    "throttled",
];

#[test]
fn what_was_written_is_read() {
    for (name, database) in fixtures() {
        let folder = temp_dir();
        let agent = open(&copy(&database, folder.path()), KEY);
        let mut expected: Value =
            serde_json::from_slice(&std::fs::read(database.with_extension("json")).unwrap()).unwrap();
        // A pause that was an hour ahead when the file was made is over by now; that it was kept shows in nextAttemptAt.
        for connector in expected["stats"].as_array_mut().unwrap() {
            if connector["health"]["state"] == "throttled" {
                connector.as_object_mut().unwrap().remove("health");
            }
        }
        assert_holds(&expected, &told(&agent), &name);
        for connector in CONNECTORS {
            agent.preview(connector, &Case::new("t").id("new")).unwrap();
        }
        agent.close(PATIENCE).unwrap();
    }
}

#[test]
fn what_was_not_delivered_is() {
    for (name, database) in fixtures() {
        let folder = temp_dir();
        let path = copy(&database, folder.path());
        let system = CaseSystem::start();
        system.honour_keys(true);
        system.restore(remembered());
        // Nothing is sent before every connector leads to this system.
        let agent = open(&path, KEY);
        for connector in CONNECTORS {
            let document = document(connector, &system.url(), true);
            agent
                .configure(connector, &Connector::from_json(&document).unwrap())
                .unwrap();
            agent.resume(connector).unwrap();
        }
        let case = Case::new("Linked")
            .id("linked")
            .comment("d1", "known")
            .comment("d9", "new");
        agent.push("quick", &case).unwrap();
        let agent = Agent::open(&path, options().key(KEY)).unwrap();
        for state in [PushState::Failed, PushState::Held] {
            for status in agent.pushes(&Filter::new().state(state)).unwrap() {
                agent.retry(status.id).unwrap();
            }
        }
        assert!(
            agent.flush(PATIENCE).unwrap(),
            "{name}: {:#?}",
            agent.pushes(&Filter::new())
        );
        for status in agent.pushes(&Filter::new().limit(1_000)).unwrap() {
            let done = matches!(
                status.state,
                PushState::Delivered | PushState::Superseded | PushState::Cancelled
            );
            assert!(done, "{name}: {status:?}");
        }
        let linked = system.incidents_of("linked");
        assert_eq!(linked.len(), 1, "{name}: the link of the case was lost");
        let comments: Vec<&Value> = linked[0].comments.iter().map(|comment| &comment["id"]).collect();
        assert_eq!(
            comments,
            ["d1", "d2", "d9"],
            "{name}: the marks of sent comments were lost"
        );
        for case in [
            "waiting",
            "held",
            "sending",
            "queued",
            "locked",
            "away",
            "throttled",
            "failed",
        ] {
            assert_eq!(system.incidents_of(case).len(), 1, "{name}: {case}");
        }
        agent.close(PATIENCE).unwrap();
    }
}

#[test]
fn a_number_that_was_given_out_is_not_given_again() {
    for (name, database) in fixtures() {
        let folder = temp_dir();
        let path = copy(&database, folder.path());
        let conn = rusqlite::Connection::open(&path).unwrap();
        let highest: i64 = conn
            .query_row("SELECT max(id) FROM pushes", [], |row| row.get(0))
            .unwrap();
        conn.execute("DELETE FROM pushes WHERE id = ?1", [highest])
            .unwrap();
        conn.close().unwrap();
        let agent = open(&path, KEY);
        let next = agent.push("quick", &Case::new("t")).unwrap();
        assert!(next.get() > highest, "{name}: {next} after {highest}");
        agent.close(PATIENCE).unwrap();
    }
}

#[test]
fn another_key_opens_the_outbox_but_no_secret() {
    for (_, database) in fixtures() {
        let folder = temp_dir();
        let agent = open(&copy(&database, folder.path()), [1; 32]);
        let error = agent.preview("quick", &Case::new("t")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Key);
        agent.push("quick", &Case::new("t")).unwrap();
        agent.close(PATIENCE).unwrap();
    }
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    for (_, database) in fixtures() {
        let folder = temp_dir();
        let path = copy(&database, folder.path());
        let conn = rusqlite::Connection::open(&path).unwrap();
        conn.pragma_update(None, "user_version", 1_000).unwrap();
        conn.close().unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = Agent::open(&path, Options::new().key(KEY)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaTooNew);
        assert!(std::fs::read(&path).unwrap() == before);
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}

/// Every state, link, mark and trouble that there is, under names that say which.
#[test]
#[ignore = "writes the fixture of the present schema; only for a schema that was never released"]
fn make_the_fixture() {
    let folder = temp_dir();
    let system = CaseSystem::start();
    system.honour_keys(true);
    let create_of = |case: &'static str| {
        move |request: &Received| request.method == "POST" && request.json()["caseId"] == case
    };
    let comment = |request: &Received| request.json()["id"] == "u1";
    system.fail_where(comment, Fault::CutAfterActing);
    for (case, fault) in [
        ("waiting", Fault::Reply(Reply::empty(503))),
        ("held", Fault::CutAfterReading),
        ("sending", Fault::Hang),
        ("failed", Fault::Reply(Reply::empty(422))),
        ("locked", Fault::Reply(Reply::empty(401))),
        (
            "throttled",
            Fault::Reply(Reply::empty(429).with("retry-after", "3600")),
        ),
    ] {
        system.fail_where(create_of(case), fault);
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);

    let agent = Agent::open(folder.path().join("a.db"), Options::new().key(KEY)).unwrap();
    for connector in CONNECTORS {
        let url = if *connector == "away" {
            &away
        } else {
            &system.url()
        };
        agent
            .configure(
                connector,
                &Connector::from_json(&document(connector, url, false)).unwrap(),
            )
            .unwrap();
    }
    agent.pause("batch").unwrap();
    let push = |connector: &str, case: Case| agent.push(connector, &case).unwrap();
    let done = |case: Case| agent.wait(push("quick", case), PATIENCE).unwrap();
    done(
        Case::new("Linked")
            .id("linked")
            .comment("d1", "first")
            .comment("d2", "second"),
    );
    done(
        Case::new("Linked")
            .id("linked")
            .severity("high")
            .status("open")
            .tag("disk")
            .field("host", json!({"name": "a"})),
    );
    done(
        Case::new("Uncertain")
            .id("uncertain")
            .comment("u1", "lost and sent again")
            .comment("u2", ""),
    );
    done(Case::new("Failed").id("failed"));
    push(
        "patient",
        Case::new("Waiting").id("waiting").comment("w1", "later"),
    );
    push("careful", Case::new("Held").id("held"));
    push("slow", Case::new("Sending").id("sending").comment("s1", "later"));
    push("locked", Case::new("Locked").id("locked"));
    push("throttled", Case::new("Throttled").id("throttled"));
    push("away", Case::new("Away").id("away"));
    push("batch", Case::new("Queued").id("queued").comment("q1", "first"));
    push(
        "batch",
        Case::new("Queued again").id("queued").comment("q2", "second"),
    );
    let unwanted = push("batch", Case::new("Cancelled").id("cancelled"));
    agent.cancel(unwanted).unwrap();

    // The request that hangs is the only one left under way.
    let until = Instant::now() + PATIENCE;
    let settled = || {
        let stats = agent.stats().unwrap().connectors;
        let of = |name: &str| stats.iter().find(|own| own.connector == name).unwrap();
        of("slow").sending == 1
            && of("careful").held == 1
            && of("patient").waiting == 1
            && ["locked", "throttled", "away"]
                .iter()
                .all(|name| of(name).sending == 0)
            && ["locked", "throttled", "away"]
                .iter()
                .all(|name| of(name).health != casehook::ConnectorHealth::Ok)
    };
    while !settled() {
        assert!(Instant::now() < until, "{:#?}", agent.stats());
        std::thread::sleep(Duration::from_millis(10));
    }
    let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/schema-0006.db");
    let _ = std::fs::remove_file(&fixture);
    agent.backup(&fixture).unwrap();
    system.clear_faults();
    agent.close(PATIENCE).unwrap();

    let again = open(&copy(&fixture, folder.path()), KEY);
    let text = serde_json::to_string_pretty(&told(&again)).unwrap();
    std::fs::write(fixture.with_extension("json"), text + "\n").unwrap();
    again.close(PATIENCE).unwrap();
}

/// The document of one of the fixture's connectors. `mended`: without what makes its pushes stay.
fn document(name: &str, url: &str, mended: bool) -> String {
    let mut config = config_for(url);
    config["targetId"] = json!("fixture");
    config["hasAuth"] = json!(true);
    let patient = matches!(name, "patient" | "away") && !mended;
    let wait = if patient { 86_400_000 } else { 1 };
    config["retry"] = json!({"baseMs": wait, "capMs": wait});
    config["coalesce"] = json!(name == "batch");
    if name == "careful" && !mended {
        config["onUncertainCreate"] = json!("hold");
    }
    json!({"config": config, "secrets": {"user": "monitor", "password": "hunter2"}}).to_string()
}

/// What the target of the fixture knew.
fn remembered() -> Memory {
    let incident = |id: &str, case: &str, comments: &[&str]| Incident {
        id: id.to_owned(),
        key: format!("CASE-{id}"),
        fields: Map::from_iter([("caseId".to_owned(), json!(case))]),
        updates: 0,
        comments: comments.iter().map(|id| json!({"id": id})).collect(),
    };
    let mut memory = Memory::default();
    memory.incidents.push(incident("1001", "linked", &["d1", "d2"]));
    memory.incidents.push(incident("1002", "uncertain", &["u1"]));
    memory
}

/// All that the public API tells of an outbox.
fn told(agent: &Agent) -> Value {
    let pushes = agent.pushes(&Filter::new().limit(1_000)).unwrap();
    let attempts: Vec<_> = pushes
        .iter()
        .flat_map(|push| agent.attempts(push.id).unwrap())
        .collect();
    let links: Vec<_> = pushes
        .iter()
        .filter_map(|push| agent.link(&push.connector, push.case_id.as_deref()?).unwrap())
        .collect();
    let connectors: Map<String, Value> = agent
        .connectors()
        .unwrap()
        .iter()
        .map(|connector| {
            let config = serde_json::from_str(&connector.config_json()).unwrap();
            (connector.name().unwrap().to_owned(), config)
        })
        .collect();
    let stats = agent.stats().unwrap().connectors;
    json!({"pushes": pushes, "attempts": attempts, "links": links, "connectors": connectors, "stats": stats})
}

/// Whether all that is expected is there; a later release may tell more.
fn assert_holds(expected: &Value, told: &Value, at: &str) {
    match (expected, told) {
        (Value::Object(expected), Value::Object(told)) => {
            for (name, value) in expected {
                let there = told.get(name).unwrap_or_else(|| panic!("{at}.{name} is gone"));
                assert_holds(value, there, &format!("{at}.{name}"));
            }
        }
        (Value::Array(expected), Value::Array(told)) => {
            assert_eq!(expected.len(), told.len(), "{at}");
            for (place, (expected, told)) in expected.iter().zip(told).enumerate() {
                assert_holds(expected, told, &format!("{at}[{place}]"));
            }
        }
        _ => assert_eq!(expected, told, "{at}"),
    }
}

/// History is kept however old the files grow.
fn options() -> Options {
    Options::new().history(Duration::from_secs(1_000 * 365 * 24 * 60 * 60), 100_000)
}

fn open(path: &Path, key: [u8; 32]) -> Agent {
    Agent::open(path, options().key(key).drain(false)).unwrap()
}

fn fixtures() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut found: Vec<(String, PathBuf)> = std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .filter(|(name, _)| name.ends_with(".db"))
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

fn copy(database: &Path, folder: &Path) -> PathBuf {
    let path = folder.join("copy.db");
    std::fs::copy(database, &path).unwrap();
    path
}
