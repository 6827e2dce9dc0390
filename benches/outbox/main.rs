//! What casehook costs against its limits: ratios of interleaved rounds in one run, since absolute times say more about
//! the machine and its disk than about the code; and figures where only those mean something. `make bench` runs it; it
//! writes `target/bench.json` too.

#![allow(clippy::unwrap_used)]

mod backlog;
mod draining;
mod idle;
mod member;
mod outage;
mod processes;
mod pushing;
mod raw;
mod report;
mod server;
mod syncs;

use std::path::{Path, PathBuf};
use std::time::Duration;

use casehook::{Agent, Case, Connector, Options};
use serde_json::{Value, json};

use report::Report;

const TITLE: &str = "Disk full on a host of the second rack";
const DESCRIPTION: &str =
    "The partition /var has 0 bytes left. The last backup took all of it; see the attached log.";

/// Measures a part, given a directory on the disk and one in memory.
type Run = fn(&mut Report, &Path, &Path);

/// The parts by name.
const PARTS: [(&str, Run); 7] = [
    ("pushing", pushing::run),
    ("draining", |report, disk, _| draining::run(report, disk)),
    ("processes", |report, disk, _| processes::run(report, disk)),
    ("syncs", |report, disk, _| syncs::run(report, disk)),
    ("backlog", |report, _, memory| backlog::run(report, memory)),
    ("outage", |report, _, memory| outage::run(report, memory)),
    ("idle", |report, disk, _| idle::run(report, disk)),
];

fn main() {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--instructions", verb, count] => instructions(verb, count.parse().unwrap()),
        ["--member", role, rest @ ..] => member::play(role, rest),
        names => measure(names),
    }
}

/// Measures the parts of these names, or all.
fn measure(names: &[&str]) {
    let known = PARTS.map(|(name, _)| name);
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        eprintln!("there is no part {name}; the parts are: {}", known.join(" "));
        std::process::exit(2);
    }
    let disk = tempfile::tempdir_in(directory("CASEHOOK_BENCH_DIR", std::env::temp_dir())).unwrap();
    let memory = tempfile::tempdir_in(directory("CASEHOOK_BENCH_MEMORY", "/dev/shm".into())).unwrap();
    let mut report = Report::default();
    for (name, run) in PARTS {
        if names.is_empty() || names.contains(&name) {
            run(&mut report, disk.path(), memory.path());
        }
    }
    if names.is_empty()
        && let Some(rows) = std::env::var_os("CASEHOOK_BENCH_ROWS")
    {
        report.take_over(&std::fs::read_to_string(rows).unwrap());
    }
    report.print();
    if names.is_empty() {
        report.write(
            Path::new(env!("CARGO_TARGET_TMPDIR"))
                .parent()
                .unwrap_or(Path::new(".")),
        );
    }
}

fn directory(variable: &str, usual: PathBuf) -> PathBuf {
    std::env::var_os(variable).map_or(usual, PathBuf::from)
}

/// Does one thing `count` times, for a profiler that counts instructions.
fn instructions(what: &str, count: usize) {
    let memory = tempfile::tempdir_in(directory("CASEHOOK_BENCH_MEMORY", "/dev/shm".into())).unwrap();
    let path = memory.path().join("outbox.db");
    match what {
        "push" => {
            let agent = agent(&path, Options::default().drain(false), "http://127.0.0.1:9");
            (0..count).for_each(|number| {
                agent.push("t", &case(number)).unwrap();
            });
        }
        "raw" => {
            let agent = agent(&path, Options::default().drain(false), "http://127.0.0.1:9");
            agent.close(Duration::from_secs(5)).unwrap();
            let raw = raw::Raw::open(&path);
            (0..count).for_each(|number| raw.insert(number, 1));
        }
        "push_many" => {
            let agent = agent(&path, Options::default().drain(false), "http://127.0.0.1:9");
            let cases: Vec<Case> = (0..count).map(case).collect();
            agent.push_many("t", &cases).unwrap();
        }
        "preview" => {
            let agent = agent(&path, Options::default().drain(false), "http://127.0.0.1:9");
            (0..count).for_each(|number| drop(agent.preview("t", &case(number)).unwrap()));
        }
        "status" => {
            let agent = agent(&path, Options::default().drain(false), "http://127.0.0.1:9");
            let id = agent.push("t", &case(0)).unwrap();
            (0..count).for_each(|_| drop(agent.status(id).unwrap()));
        }
        "deliver" => {
            let server = server::Server::start(Duration::ZERO);
            let agent = agent(&path, Options::default().workers(1), &server.origin());
            let cases: Vec<Case> = (0..count).map(case).collect();
            agent.push_many("t", &cases).unwrap();
            assert!(agent.flush(Duration::from_secs(600)).unwrap());
            agent.close(Duration::from_secs(5)).unwrap();
        }
        _ => panic!("--instructions push|raw|push_many|preview|status|deliver COUNT"),
    }
}

fn case(number: usize) -> Case {
    Case::new(TITLE)
        .id(format!("host-{number}/disk"))
        .description(DESCRIPTION)
        .tag("infra")
        .severity("high")
        .status("open")
}

fn agent(path: &Path, options: Options, origin: &str) -> Agent {
    let agent = Agent::open(path, options).unwrap();
    agent.configure("t", &connector(origin)).unwrap();
    agent
}

fn connector(origin: &str) -> Connector {
    Connector::from_json(&json!({"config": config(origin)}).to_string()).unwrap()
}

/// The same for a target whose incidents cannot be read back: a push is one request.
fn create_only(origin: &str) -> Connector {
    let mut config = config(origin);
    let fields = config.as_object_mut().unwrap();
    fields.retain(|name, _| !name.starts_with("getIncident") && !name.starts_with("updateIncident"));
    fields.insert("createOnly".to_owned(), json!(true));
    Connector::from_json(&json!({"config": config}).to_string()).unwrap()
}

fn config(origin: &str) -> Value {
    json!({
        "createIncidentUrl": format!("{origin}/issue"),
        "createIncidentJson":
            r#"{"summary":{{{case.title}}},"description":{{{case.description}}},"labels":{{{case.tags}}}}"#,
        "createIncidentResponseKey": "id",
        "getIncidentUrl": format!("{origin}/issue/{{{{{{external.system.id}}}}}}"),
        "getIncidentResponseExternalTitleKey": "key",
        "viewIncidentUrl": format!("{origin}/browse/{{{{{{external.system.id}}}}}}"),
        "updateIncidentUrl": format!("{origin}/issue/{{{{{{external.system.id}}}}}}"),
        "updateIncidentJson": r#"{"summary":{{{case.title}}},"description":{{{case.description}}}}"#,
        "createCommentUrl": format!("{origin}/issue/{{{{{{external.system.id}}}}}}/comment"),
        "createCommentMethod": "post",
        "createCommentJson": r#"{"body":{{{case.comment}}}}"#,
        "maxInFlight": 64,
        "hasAuth": false,
    })
}
