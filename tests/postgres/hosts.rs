//! Several hosts at once: what they share, and how they start.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use casehook::{Agent, Case, Connector, Options, PushState};
use serde_json::json;

use crate::database::{self, Server};
use crate::support::case_system::CaseSystem;

const PATIENCE: Duration = Duration::from_secs(120);
const URL: &str = "CASEHOOK_HOST_URL";

fn options() -> Options {
    Options::new().key([7; 32])
}

/// Drains until it is killed, when this process was started for that.
pub fn live() {
    let Ok(url) = std::env::var(URL) else { return };
    let _agent = Agent::open(url, options()).unwrap();
    // Until whoever started it is gone.
    let _ = std::io::read_to_string(std::io::stdin());
    std::process::exit(0);
}

/// A process that drains.
pub struct Host(Child);

impl Host {
    pub fn start(url: &str) -> Host {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["host", "--exact", "--nocapture", "--test-threads=1"])
            .env(URL, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Host(child.unwrap())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn connector(base: &str, extra: serde_json::Value) -> Connector {
    let body = r#"{"caseId":{{{case.id}}},"title":{{{case.title}}}}"#;
    let one = format!("{base}/issues/{{{{{{external.system.id}}}}}}");
    let mut config = json!({
        "createIncidentUrl": format!("{base}/issues"),
        "createIncidentJson": body,
        "createIncidentResponseKey": "id",
        "getIncidentUrl": one,
        "getIncidentResponseExternalTitleKey": "key",
        "viewIncidentUrl": one,
        "updateIncidentUrl": one,
        "updateIncidentJson": body,
        "hasAuth": false,
        "retry": {"baseMs": 1, "capMs": 20},
    });
    for (name, value) in extra.as_object().unwrap() {
        config[name] = value.clone();
    }
    Connector::from_json(&json!({ "config": config }).to_string()).unwrap()
}

#[test]
fn a_case_pushed_by_one_host_is_delivered_by_others_and_updated_by_the_next() {
    let Some(database) = database::shared() else {
        return;
    };
    let system = CaseSystem::start();
    let url = format!("{}&lease=3", database.url(&database.schema()));
    let agent = Agent::open(&url, options().drain(false)).unwrap();
    agent
        .configure("c", &connector(&system.url(), json!({})))
        .unwrap();
    let first = Host::start(&url);
    let id = agent.push("c", &Case::new("one").id("k")).unwrap();
    let made = agent.wait(id, PATIENCE).unwrap();
    assert_eq!(made.state, PushState::Delivered);
    drop(first);
    let _second = Host::start(&url);
    let id = agent.push("c", &Case::new("two").id("k")).unwrap();
    let updated = agent.wait(id, PATIENCE).unwrap();
    assert_eq!(
        (updated.state, updated.external_id),
        (PushState::Delivered, made.external_id)
    );
    assert_eq!(system.incidents().len(), 1);
}

#[test]
fn a_pause_holds_for_every_host() {
    let Some(database) = database::shared() else {
        return;
    };
    let system = CaseSystem::start();
    let url = format!("{}&lease=3", database.url(&database.schema()));
    let agent = Agent::open(&url, options().drain(false)).unwrap();
    agent
        .configure("c", &connector(&system.url(), json!({})))
        .unwrap();
    agent
        .configure("d", &connector(&system.url(), json!({})))
        .unwrap();
    let _hosts = [Host::start(&url), Host::start(&url)];
    let id = agent.push("c", &Case::new("one")).unwrap();
    assert_eq!(agent.wait(id, PATIENCE).unwrap().state, PushState::Delivered);
    agent.pause("c").unwrap();
    let paused: Vec<_> = (0..20)
        .map(|n| agent.push("c", &Case::new(n.to_string())).unwrap())
        .collect();
    // Both hosts look at everything there is, and leave these alone.
    for n in 0..20 {
        let id = agent.push("d", &Case::new(n.to_string())).unwrap();
        assert_eq!(agent.wait(id, PATIENCE).unwrap().state, PushState::Delivered);
    }
    for id in &paused {
        assert_eq!(agent.status(*id).unwrap().state, PushState::Queued);
    }
    agent.resume("c").unwrap();
    for id in paused {
        assert_eq!(agent.wait(id, PATIENCE).unwrap().state, PushState::Delivered);
    }
}

#[test]
fn max_in_flight_holds_for_all_hosts_together() {
    let Some(database) = database::shared() else {
        return;
    };
    let system = CaseSystem::start();
    let schema = database.schema();
    let url = format!("{}&lease=3", database.url(&schema));
    let agent = Agent::open(&url, options().drain(false)).unwrap();
    agent
        .configure("c", &connector(&system.url(), json!({"maxInFlight": 2})))
        .unwrap();
    let cases: Vec<Case> = (0..60).map(|n| Case::new(n.to_string())).collect();
    agent.push_many("c", &cases).unwrap();
    let hosts = [Host::start(&url), Host::start(&url), Host::start(&url)];
    let mut most = 0;
    while !agent.flush(Duration::from_millis(1)).unwrap() {
        let sending = database.sql(&format!(
            "SELECT count(*) FROM {schema}.pushes WHERE state = 'sending'"
        ));
        most = most.max(sending.parse::<u32>().unwrap());
    }
    drop(hosts);
    assert!((1..=2).contains(&most), "{most}");
    assert_eq!(system.incidents().len(), 60);
}

#[test]
fn ten_hosts_that_start_at_once_make_one_schema() {
    let Some(database) = database::shared() else {
        return;
    };
    let schema = database.schema();
    let url = database.url(&schema);
    let opened = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..10)
            .map(|n| {
                // Another spelling, or they would share one agent.
                let url = format!("{url}&application_name=host{n}");
                scope.spawn(move || Agent::open(url, options().drain(false)).map(drop))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    for result in opened {
        result.unwrap();
    }
    assert_eq!(
        database.sql(&format!(
            "SELECT version, name FROM {schema}.casehook_schema ORDER BY version"
        )),
        "1|0001_initial\n2|0002_receipts\n3|0003_leads\n4|0004_counting\n5|0005_commits\n6|0006_ages"
    );
}

#[test]
fn a_newer_schema_and_one_of_another_program_are_refused_and_left_alone() {
    let Some(database) = database::shared() else {
        return;
    };
    let schema = database.schema();
    drop(Agent::open(database.url(&schema), options().drain(false)).unwrap());
    database.sql(&format!(
        "INSERT INTO {schema}.casehook_schema VALUES (99, 'later')"
    ));
    let error = Agent::open(database.url(&schema), options()).unwrap_err();
    assert_eq!(error.kind(), casehook::ErrorKind::SchemaTooNew, "{error}");
    let other = database.schema();
    database.sql(&format!(
        "CREATE SCHEMA {other}; CREATE TABLE {other}.comments (mine text)"
    ));
    let error = Agent::open(database.url(&other), options()).unwrap_err();
    assert_eq!(error.kind(), casehook::ErrorKind::Corrupt, "{error}");
    let tables = format!("SELECT count(*) FROM information_schema.tables WHERE table_schema = '{other}'");
    assert_eq!(database.sql(&tables), "1");
}

#[test]
fn a_user_with_the_rights_that_the_manual_lists_can_push_and_drain() {
    let Some(database) = database::shared() else {
        return;
    };
    let system = CaseSystem::start();
    let schema = database.schema();
    let owner = Agent::open(database.url(&schema), options().drain(false)).unwrap();
    owner
        .configure("c", &connector(&system.url(), json!({})))
        .unwrap();
    owner.close(PATIENCE).unwrap();
    let user = format!("user_{schema}");
    database.sql(&format!(
        "CREATE ROLE {user} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {user}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {user}; \
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {user}"
    ));
    let url = database
        .url(&schema)
        .replace("//casehook@", &format!("//{user}@"));
    let agent = Agent::open(&url, options()).unwrap();
    agent
        .configure("d", &connector(&system.url(), json!({})))
        .unwrap();
    for name in ["c", "d"] {
        let id = agent.push(name, &Case::new("x").id("k")).unwrap();
        assert_eq!(agent.wait(id, PATIENCE).unwrap().state, PushState::Delivered);
    }
    agent.close(PATIENCE).unwrap();
    let stranger = format!("stranger_{schema}");
    database.sql(&format!("CREATE ROLE {stranger} LOGIN"));
    let url = database
        .url(&schema)
        .replace("//casehook@", &format!("//{stranger}@"));
    let error = Agent::open(&url, options()).unwrap_err();
    assert_eq!(error.kind(), casehook::ErrorKind::Store, "{error}");
}

#[test]
fn hosts_beyond_the_servers_connections_are_told_and_the_others_deliver() {
    let Some(database) = Server::start(&["fsync=off", "max_connections=100"]) else {
        return;
    };
    let system = CaseSystem::start();
    let url = database.url("crowd");
    let first = Agent::open(&url, options().workers(1)).unwrap();
    first
        .configure("c", &connector(&system.url(), json!({})))
        .unwrap();
    let mut hosts = vec![first];
    let mut refused = 0;
    // Three connections each, about: many more than there are.
    for n in 0..200 {
        match Agent::open(format!("{url}&application_name=host{n}"), options().workers(1)) {
            Ok(agent) => hosts.push(agent),
            Err(error) => {
                assert!(error.is_retryable(), "{error}");
                refused += 1;
            }
        }
    }
    let mut ids = Vec::new();
    for n in 0..200 {
        let started = std::time::Instant::now();
        let id = loop {
            match hosts[n % hosts.len()].push("c", &Case::new("t").id(n.to_string())) {
                Ok(id) => break id,
                Err(error) => assert!(error.is_retryable() && started.elapsed() < PATIENCE, "{error}"),
            }
        };
        ids.push(id);
    }
    for id in ids {
        let started = std::time::Instant::now();
        let status = loop {
            match hosts[0].wait(id, PATIENCE) {
                Ok(status) => break status,
                Err(error) => assert!(error.is_retryable() && started.elapsed() < PATIENCE, "{error}"),
            }
        };
        assert_eq!(status.state, PushState::Delivered);
    }
    assert!(refused > 0, "{} hosts found room", hosts.len());
    assert_eq!(system.incidents().len(), 200);
}

#[cfg(feature = "cli")]
#[test]
fn a_doctor_looks_at_the_outbox_on_a_server() {
    let Some(database) = database::shared() else {
        return;
    };
    let system = CaseSystem::start();
    let url = database.url(&database.schema());
    let agent = Agent::open(&url, options().drain(false)).unwrap();
    agent
        .configure("c", &connector(&system.url(), json!({})))
        .unwrap();
    agent.close(PATIENCE).unwrap();
    let doctor = |url: &str| {
        let out = Command::new(env!("CARGO_BIN_EXE_casehook"))
            .args(["--json", "--db", url, "doctor"])
            .env("CASEHOOK_KEY", "07".repeat(32))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        let findings = report["findings"].as_array().unwrap().clone();
        let verdict = move |check: &str| {
            let of = |one: &&serde_json::Value| one["check"] == check;
            findings.iter().find(of).map(|one| one["verdict"].clone())
        };
        (out.status.code().unwrap(), verdict)
    };
    let (code, verdict) = doctor(&url);
    assert_eq!(verdict("database"), Some(json!("ok")));
    assert_eq!(verdict("target"), Some(json!("ok")));
    assert_eq!(verdict("key"), None, "a server's outbox has no key file");
    assert!(verdict("drainer").is_some());
    assert_eq!(code, 0);
    let (code, verdict) = doctor("postgres://nobody@127.0.0.1:1/none?connect_timeout=1");
    assert_eq!(verdict("database"), Some(json!("problem")));
    assert_ne!(code, 0);
}
