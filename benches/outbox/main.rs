//! What casehook costs against its limits: ratios of interleaved rounds in one run, since absolute times say more about
//! the machine and its disk than about the code. `make bench` runs it; it writes `target/bench.json` too.

#![allow(clippy::unwrap_used)]

mod draining;
mod pushing;
mod raw;
mod report;
mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use casehook::{Agent, Case, Connector, Options};

use report::Report;

const TITLE: &str = "Disk full on a host of the second rack";
const DESCRIPTION: &str =
    "The partition /var has 0 bytes left. The last backup took all of it; see the attached log.";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--instructions") {
        let count = arguments.get(at + 2).and_then(|n| n.parse().ok()).unwrap_or(100);
        return instructions(arguments.get(at + 1).map_or("", String::as_str), count);
    }
    let disk = tempfile::tempdir_in(directory("CASEHOOK_BENCH_DIR", std::env::temp_dir())).unwrap();
    let memory = tempfile::tempdir_in(directory("CASEHOOK_BENCH_MEMORY", "/dev/shm".into())).unwrap();
    let mut report = Report::default();
    pushing::run(&mut report, disk.path(), memory.path());
    draining::run(&mut report, disk.path());
    report.print();
    report.write(
        Path::new(env!("CARGO_TARGET_TMPDIR"))
            .parent()
            .unwrap_or(Path::new(".")),
    );
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
            let server = server::Server::start();
            let agent = agent(&path, Options::default().workers(1), &server.origin());
            let cases: Vec<Case> = (0..count).map(case).collect();
            agent.push_many("t", &cases).unwrap();
            assert!(agent.flush(Duration::from_secs(600)).unwrap());
            agent.close(Duration::from_secs(5)).unwrap();
        }
        _ => panic!("--instructions push|push_many|preview|status|deliver COUNT"),
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
    let document = serde_json::json!({"config": {
        "createIncidentUrl": format!("{origin}/issue"),
        "createIncidentJson":
            r#"{"summary":{{{case.title}}},"description":{{{case.description}}},"labels":{{{case.tags}}}}"#,
        "createIncidentResponseKey": "id",
        "getIncidentUrl": format!("{origin}/issue/{{{{{{external.system.id}}}}}}"),
        "getIncidentResponseExternalTitleKey": "key",
        "viewIncidentUrl": format!("{origin}/browse/{{{{{{external.system.title}}}}}}"),
        "updateIncidentUrl": format!("{origin}/issue/{{{{{{external.system.id}}}}}}"),
        "updateIncidentJson": r#"{"summary":{{{case.title}}},"description":{{{case.description}}}}"#,
        "createCommentUrl": format!("{origin}/issue/{{{{{{external.system.id}}}}}}/comment"),
        "createCommentMethod": "post",
        "createCommentJson": r#"{"body":{{{case.comment}}}}"#,
        "maxInFlight": 64,
        "hasAuth": false,
    }});
    Connector::from_json(&document.to_string()).unwrap()
}
