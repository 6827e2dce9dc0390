//! The command line as operators see it: at a pseudo-terminal, and where its output goes elsewhere.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "terminal/pty.rs"]
mod pty;
mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use casehook::{Agent, Case, Connector, Options, PushState};
use pty::Terminal;
use serde_json::{Value, json};
use support::case_system::{CaseSystem, Fault};
use support::http::Reply;

const PATIENCE: Duration = Duration::from_secs(60);

/// An outbox with one connector, `tracker`.
struct Place {
    folder: tempfile::TempDir,
    system: CaseSystem,
}

impl Place {
    fn new() -> Place {
        let place = Place {
            folder: support::temp_dir(),
            system: CaseSystem::start(),
        };
        place.configure("tracker", place.system.config());
        place
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("cases.db")
    }

    fn agent(&self, drain: bool) -> Agent {
        Agent::open(self.database(), Options::new().drain(drain)).unwrap()
    }

    fn configure(&self, name: &str, mut config: Value) {
        config["retry"] = json!({"baseMs": 1, "capMs": 1});
        let connector = Connector::from_json(&json!({ "config": config }).to_string()).unwrap();
        let agent = self.agent(false);
        agent.configure(name, &connector).unwrap();
        agent.close(PATIENCE).unwrap();
    }

    fn push(&self, name: &str, number: usize) {
        let agent = self.agent(false);
        for place in 0..number {
            agent
                .push(name, &Case::new("t").id(format!("{name}-{place}")))
                .unwrap();
        }
        agent.close(PATIENCE).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_casehook"));
        command
            .env_remove("CASEHOOK_KEY")
            .arg("--db")
            .arg(self.database())
            .args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn doctor(&self, args: &[&str]) -> (i32, Value) {
        let output = self.run(&[&["--json", "doctor"], args].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        (
            output.status.code().unwrap(),
            serde_json::from_str(&text).expect(&text),
        )
    }
}

/// The findings of one check that are of one verdict, as texts with their advice.
fn found(report: &Value, check: &str, verdict: &str) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    let fits = |one: &&Value| one["check"] == check && one["verdict"] == verdict;
    findings
        .iter()
        .filter(fits)
        .map(|one| format!("{}|{}", one["text"], one["advice"]))
        .collect()
}

#[test]
fn watch_redraws_follows_the_size_and_restores_the_screen() {
    let place = Place::new();
    place.push("tracker", 3);
    let terminal = Terminal::start(&mut place.command(&["watch", "--interval", "100ms"]), 80, 24);
    let screen = terminal.wait_for("NO PROCESS DELIVERS", 0);
    assert!(screen.starts_with("\u{1b}[?1049h\u{1b}[?25l"), "{screen:?}");
    let screen = terminal.wait_for("tracker", 0);
    // The next picture, drawn over this one.
    let screen = terminal.wait_for("\u{1b}[H", screen.len());
    let agent = place.agent(false);
    agent.pause("tracker").unwrap();
    let screen = terminal.wait_for("paused", screen.len());
    terminal.resize(30, 10);
    let screen = terminal.wait_for("…", screen.len());
    let before = screen.rfind("\u{1b}[H").unwrap();
    terminal.wait_for("\u{1b}[J", screen.len());
    terminal.interrupt();
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(0));
    assert!(screen.ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{screen:?}");
    let last = &screen[before..screen.rfind("\u{1b}[?25h").unwrap()];
    for line in last.replace("\u{1b}[H", "\n").split(['\r', '\n']) {
        assert!(printed(line) <= 30, "{line:?}");
    }
}

/// How many characters of a line are seen.
fn printed(line: &str) -> usize {
    let mut seen = 0;
    let mut escaped = false;
    for c in line.chars() {
        match (escaped, c) {
            (false, '\u{1b}') => escaped = true,
            (false, _) => seen += 1,
            (true, c) if c.is_ascii_alphabetic() => escaped = false,
            (true, _) => {}
        }
    }
    seen
}

#[test]
fn watch_prints_tables_where_there_is_no_terminal() {
    let place = Place::new();
    place.system.fail_always(Fault::Reply(Reply::empty(422)));
    place.push("tracker", 1);
    let agent = place.agent(true);
    assert!(agent.flush(PATIENCE).unwrap());
    let output = place.run(&["watch", "--interval", "100ms", "--times", "2"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let tables: Vec<&str> = text
        .split("\n\n")
        .filter(|part| part.starts_with("CONNECTOR"))
        .collect();
    assert_eq!(tables.len(), 2, "{text}");
    let row = tables[0].lines().nth(1).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[..5], ["tracker", "ok", "0", "0", "1"], "{text}");
    assert!(
        tables[0].contains("\n  push 1: the target answered 422"),
        "{text}"
    );
    let output = place.run(&["--json", "watch", "--interval", "100ms", "--times", "2"]);
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["connectors"][0]["failed"], 1);
}

#[test]
fn drain_shows_a_bar_at_a_terminal_and_lines_elsewhere() {
    let place = Place::new();
    place.system.down();
    place.push("tracker", 4);
    let terminal = Terminal::start(&mut place.command(&["drain"]), 80, 24);
    terminal.wait_for("tracker offline", 0);
    place.system.up();
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(screen.contains("0 delivered, 4 in all"), "{screen:?}");
    assert!(screen.contains("4 pushes delivered"), "{screen:?}");

    place.system.down();
    place.push("tracker", 4);
    let output = place.run(&["drain", "--timeout", "1s"]);
    assert_eq!(output.status.code(), Some(1));
    let lines = String::from_utf8(output.stderr).unwrap();
    assert!(!lines.contains(['\u{1b}', '\r', '#']), "{lines:?}");
    assert!(lines.lines().all(|line| line.chars().count() <= 80), "{lines}");
    assert!(lines.contains("0 delivered, 4 to go"), "{lines}");
    let output = place.run(&["--json", "drain", "--timeout", "100ms"]);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn colours_are_for_terminals_whose_owner_wants_them() {
    let place = Place::new();
    place.system.fail_always(Fault::Reply(Reply::empty(422)));
    place.push("tracker", 1);
    let agent = place.agent(true);
    let status = agent.wait(1.into(), PATIENCE).unwrap();
    assert_eq!(status.state, PushState::Failed);
    for args in [&["list"][..], &["status", "1"], &["stats"]] {
        let (code, screen) = Terminal::start(&mut place.command(args), 80, 24).end();
        assert_eq!(code.code(), Some(0));
        assert!(screen.contains("\u{1b}["), "{args:?}: {screen:?}");
        let mut quiet = place.command(args);
        // `sh` so that the variable is set though the terminal removes it.
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "NO_COLOR=1 exec \"$0\" \"$@\""])
            .arg(quiet.get_program());
        shell.args(quiet.get_args());
        let (_, screen) = Terminal::start(&mut shell, 80, 24).end();
        assert!(
            !screen.contains('\u{1b}') && screen.contains("tracker"),
            "{args:?}: {screen:?}"
        );
        let output = quiet.output().unwrap();
        assert!(!output.stdout.contains(&0x1b));
        assert!(
            output
                .stdout
                .split(|byte| *byte == b'\n')
                .all(|line| line.len() <= 84)
        );
    }
    let text = String::from_utf8(place.run(&["status", "1"]).stdout).unwrap();
    assert!(
        text.contains("permanent: trying again would end the same way"),
        "{text}"
    );
}

#[test]
fn completions_and_man_pages_name_every_verb() {
    let place = Place::new();
    let help = String::from_utf8(place.run(&["--help"]).stdout).unwrap();
    let verbs: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.contains(&"doctor") && !verbs.contains(&"man"), "{help}");
    for shell in ["bash", "zsh", "fish"] {
        let output = place.run(&["completions", shell]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(verbs.iter().all(|verb| script.contains(verb)), "{shell}");
    }
    let pages = place.folder.path().join("man");
    assert_eq!(
        place.run(&["man", pages.to_str().unwrap()]).status.code(),
        Some(0)
    );
    for verb in &verbs {
        let page = std::fs::read_to_string(pages.join(format!("casehook-{verb}.1"))).expect(verb);
        assert!(page.contains(".SH SYNOPSIS"), "{verb}");
    }
    assert!(
        std::fs::read_to_string(pages.join("casehook.1"))
            .unwrap()
            .contains("CASEHOOK_DB")
    );
}

#[test]
fn a_doctor_finds_nothing_where_nothing_is_wrong() {
    let place = Place::new();
    let (code, report) = place.doctor(&[]);
    assert_eq!((code, &report["problems"]), (0, &json!(0)), "{report:#}");
    assert_eq!(found(&report, "target", "ok").len(), 1);
    // Asked for / without anything of the connector.
    let asked = place.system.requests();
    assert_eq!((asked.len(), asked[0].target.as_str()), (1, "/"));
    let output = place.run(&["doctor", "--offline"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.ends_with("0 problems, 0 warnings.\n"), "{text}");
    assert_eq!(place.system.requests().len(), 1);
}

#[test]
fn a_doctor_sends_no_secret_and_says_what_is_wrong() {
    let place = Place::new();
    let mut config = place.system.config();
    config["hasAuth"] = json!(true);
    config["headers"] = json!({"X-Tenant": "inner"});
    let secrets = json!({"user": "u", "password": "hunter2"});
    let document = json!({"config": config, "secrets": secrets}).to_string();
    let agent = place.agent(true);
    agent
        .configure("locked", &Connector::from_json(&document).unwrap())
        .unwrap();
    place.system.fail_next(1, Fault::Reply(Reply::empty(401)));
    agent.push("locked", &Case::new("t")).unwrap();
    agent
        .configure("rest", &Connector::from_json(&document).unwrap())
        .unwrap();
    agent.pause("rest").unwrap();
    assert!(!agent.flush(PATIENCE).unwrap());
    agent.close(PATIENCE).unwrap();
    let before = place.system.requests().len();

    let database = place.database();
    std::fs::set_permissions(&database, PermissionsExt::from_mode(0o644)).unwrap();
    let (code, report) = place.doctor(&[]);
    assert_eq!(code, 1, "{report:#}");
    assert!(
        found(&report, "database", "warning")[0].contains("chmod 600"),
        "{report:#}"
    );
    assert!(
        found(&report, "drainer", "problem")[0].contains("1 push waits"),
        "{report:#}"
    );
    let problems = found(&report, "connector", "problem");
    assert!(
        problems[0].contains("blocked") && problems[0].contains("configure locked"),
        "{report:#}"
    );
    let warnings = found(&report, "connector", "warning");
    assert!(
        warnings.iter().any(|text| text.contains("resume rest")),
        "{report:#}"
    );
    let asked = place.system.requests().split_off(before);
    assert_eq!(asked.len(), 3);
    for request in asked {
        let names: Vec<&str> = request.headers.keys().map(String::as_str).collect();
        assert!(
            !names.contains(&"authorization") && !names.contains(&"x-tenant"),
            "{names:?}"
        );
        assert!(request.body.is_empty());
    }

    let key = place.folder.path().join("cases.db.key");
    std::fs::write(&key, "00".repeat(32)).unwrap();
    let (code, report) = place.doctor(&["--offline"]);
    assert_eq!(code, 1);
    assert_eq!(found(&report, "key", "problem").len(), 2, "{report:#}");
}

#[test]
fn a_doctor_tells_of_targets_that_are_down_and_databases_that_are_none() {
    let place = Place::new();
    place.system.down();
    let (code, report) = place.doctor(&[]);
    assert_eq!(code, 1);
    assert!(
        found(&report, "target", "problem")[0].contains("does not answer"),
        "{report:#}"
    );
    std::fs::write(
        place.database(),
        "not a database, and long enough to be told from an empty one",
    )
    .unwrap();
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(place.folder.path().join(format!("cases.db{suffix}")));
    }
    let (code, report) = place.doctor(&[]);
    assert_eq!(code, 3, "{report:#}");
    std::fs::remove_file(place.database()).unwrap();
    let (code, report) = place.doctor(&[]);
    assert_eq!(code, 3);
    assert!(!place.database().exists());
    assert!(
        found(&report, "database", "problem")[0].contains("configure NAME FILE"),
        "{report:#}"
    );
}

#[test]
fn a_doctor_tells_of_decisions_a_large_log_and_who_delivers() {
    let place = Place::new();
    let mut config = place.system.config();
    config["onUncertainCreate"] = json!("hold");
    config["idempotencyHeader"] = Value::Null;
    let agent = place.agent(true);
    agent
        .configure(
            "tracker",
            &Connector::from_json(&json!({ "config": config }).to_string()).unwrap(),
        )
        .unwrap();
    for (fault, state) in [(500, PushState::Held), (422, PushState::Failed)] {
        place.system.fail_next(1, Fault::Reply(Reply::empty(fault)));
        let push = agent.push("tracker", &Case::new("t")).unwrap();
        assert_eq!(agent.wait(push, PATIENCE).unwrap().state, state);
    }
    // Seen from another process while this one delivers.
    let (code, report) = place.doctor(&["--offline"]);
    assert_eq!(code, 1);
    let delivers = format!("process {} delivers", std::process::id());
    assert!(
        found(&report, "drainer", "ok")[0].contains(&delivers),
        "{report:#}"
    );
    let problems = found(&report, "connector", "problem").join("\n");
    assert!(
        problems.contains("1 push is held") && problems.contains("list --state held"),
        "{report:#}"
    );
    assert!(
        problems.contains("1 push was given up") && problems.contains("retry --failed"),
        "{report:#}"
    );
    let database = found(&report, "database", "ok").join("\n");
    assert!(database.contains("the write-ahead log has "), "{report:#}");
    agent.close(PATIENCE).unwrap();

    let log = std::fs::File::create(place.folder.path().join("cases.db-wal")).unwrap();
    log.set_len(70 << 20).unwrap();
    let (_, report) = place.doctor(&["--offline"]);
    assert!(
        found(&report, "database", "warning")[0].contains("log has 70 MiB"),
        "{report:#}"
    );
}
