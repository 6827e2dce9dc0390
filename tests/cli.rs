//! The `casehook` command from outside: what it prints, where, and its exit codes.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A directory of its own for one test.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Place(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = casehook();
        command
            .arg("--db")
            .arg(self.0.join("cases.db"))
            .args(args)
            .current_dir(&self.0);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs what must succeed, and gives back its standard output.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(code(&output), 0, "{args:?}: {}{}", out(&output), err(&output));
        out(&output)
    }

    /// The same with `--json`: one value for each line.
    fn json(&self, args: &[&str]) -> Vec<Value> {
        let text = self.ok(&[&["--json"], args].concat());
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// A connector for a port of loopback on which nobody listens.
    fn configure(&self, name: &str) {
        self.configure_at(name, 9);
    }

    fn configure_at(&self, name: &str, port: u16) {
        let file = self.file("connector.json", connector(port).to_string());
        self.ok(&["configure", name, file.to_str().unwrap()]);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that does not outlive its test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn casehook() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_casehook"));
    command
        .env_remove("CASEHOOK_DB")
        .env_remove("CASEHOOK_KEY")
        .stdin(Stdio::null());
    command
}

fn casehook_output<S: AsRef<OsStr>>(args: &[S]) -> Output {
    casehook().args(args).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("ended by a signal")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn with_stdin(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn connector(port: u16) -> Value {
    let issue = format!("http://127.0.0.1:{port}/issues/{{{{{{external.system.id}}}}}}");
    json!({"config": {
        "createIncidentUrl": format!("http://127.0.0.1:{port}/issues"),
        "createIncidentJson": "{\"title\": {{{case.title}}}, \"text\": {{{case.description}}}}",
        "createIncidentResponseKey": "id",
        "getIncidentUrl": issue, "getIncidentResponseExternalTitleKey": "title",
        "viewIncidentUrl": issue,
        "updateIncidentUrl": issue,
        "updateIncidentJson": "{\"title\": {{{case.title}}}, \"text\": {{{case.description}}}}",
        "createCommentUrl": format!("{issue}/comments"), "createCommentMethod": "post",
        "createCommentJson": "{\"comment\": {{{case.comment}}}}",
        "hasAuth": false,
        "retry": {"baseMs": 20, "capMs": 100},
    }})
}

/// A server that gives every request the same answer, for as long as the test's process lives.
fn server(status: &'static str, body: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut sink = vec![0; length];
            let _ = reader.read_exact(&mut sink);
            let _ = write!(
                reader.get_mut(),
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    port
}

#[test]
fn help_is_on_standard_output_and_names_every_verb() {
    let output = casehook_output(&["--help"]);
    assert_eq!(code(&output), 0);
    for verb in [
        "demo",
        "configure",
        "connectors",
        "connector",
        "remove",
        "pause",
        "resume",
        "test",
        "preview",
        "push",
        "status",
        "list",
        "wait",
        "drain",
        "run",
        "retry",
        "cancel",
        "adopt",
        "discard",
        "stats",
        "backup",
    ] {
        assert!(out(&output).contains(&format!("\n  {verb} ")), "{verb}");
        let help = casehook_output(&[verb, "--help"]);
        assert_eq!(code(&help), 0, "{verb}");
        let long = out(&help).lines().map(|line| line.chars().count()).max();
        assert!(long.unwrap() <= 80, "{verb}: {}", out(&help));
    }
}

#[test]
fn wrong_usage_ends_with_2_on_standard_error() {
    for args in [
        &["nonsense"][..],
        &["--db", "x.db"],
        &["stats"],
        &["--db", "x.db", "status", "seven"],
        &["--db", "x.db", "push", "t"],
        &[
            "--db",
            "x.db",
            "push",
            "t",
            "--title",
            "T",
            "--field",
            "n=unquoted",
        ],
        &["--db", "x.db", "configure", "t", "no-such-file.json"],
        &["--db", "x.db", "configure", "t", "-", "--secrets", "-"],
        &["--db", "x.db", "wait", "1", "--timeout", "later"],
    ] {
        let output = casehook_output(args);
        assert_eq!(code(&output), 2, "{args:?}: {}", err(&output));
        assert!(out(&output).is_empty() && !err(&output).is_empty(), "{args:?}");
    }
}

#[cfg(not(feature = "postgres"))]
#[test]
fn what_needs_the_feature_of_postgresql_names_it() {
    let place = Place::new();
    let refused = place.run(&["migrate", "--from", "a.db", "--to", "postgres://h/d"]);
    assert_eq!(code(&refused), 2);
    assert!(err(&refused).contains("feature `postgres`"), "{}", err(&refused));
    let refused = casehook()
        .args(["--db", "postgres://h/d", "--spool", "s", "stats"])
        .output()
        .unwrap();
    assert!(err(&refused).contains("feature `postgres`"), "{}", err(&refused));
}

#[test]
fn errors_are_one_json_document_on_standard_output_with_json() {
    for (args, code_name, exit) in [
        (&["--json", "nonsense"][..], "argument", 2),
        (&["--json", "stats"], "argument", 2),
        (&["--json", "--db", "no/such.db", "stats"], "store", 3),
    ] {
        let output = casehook_output(args);
        assert_eq!(code(&output), exit, "{args:?}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["error"]["code"], json!(code_name), "{args:?}");
        for name in ["number", "message", "field", "retryable"] {
            assert!(document["error"].get(name).is_some(), "{name}");
        }
    }
}

#[test]
fn a_database_that_is_not_there_is_not_created_by_reading() {
    let place = Place::new();
    let output = place.run(&["list"]);
    assert_eq!(code(&output), 3);
    assert!(err(&output).contains("there is no database at") && err(&output).contains("configure NAME FILE"));
    assert!(!place.0.join("cases.db").exists());
}

#[cfg(unix)]
#[test]
fn bytes_that_are_no_text_are_refused_clearly() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let args = [
        OsStr::new("push"),
        OsStr::new("t"),
        OsStr::new("--title"),
        OsStr::from_bytes(b"\xff"),
    ];
    let output = casehook_output(&args);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("UTF-8"), "{}", err(&output));

    place.file("case.json", b"{\n\"incident\": \"\xff\"}");
    let output = place.run(&["push", "t", "case.json"]);
    assert_eq!(code(&output), 2);
    assert!(
        err(&output).contains("case.json is not UTF-8 text (line 2)"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let mut child = casehook()
        .args(["push", "--help"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!err(&output).contains("panic"), "{}", err(&output));
    assert_eq!(code(&output), 0);
}

#[test]
fn an_unknown_connector_is_answered_with_the_known_ones() {
    let place = Place::new();
    place.configure("alpha");
    place.configure("beta");
    for args in [
        &["push", "gamma", "--title", "T"][..],
        &["connector", "gamma"],
        &["pause", "gamma"],
        &["remove", "gamma"],
        &["list", "--connector", "gamma"],
    ] {
        let output = place.run(args);
        assert_eq!(code(&output), 1, "{args:?}");
        let text = err(&output);
        assert!(
            text.contains("no connector named \"gamma\"; there are: alpha, beta"),
            "{args:?}: {text}"
        );
        assert!(text.contains("configure gamma FILE`"), "{text}");
    }
    let output = place.run(&["status", "77"]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("there is no push 77"), "{}", err(&output));
}

#[test]
fn a_refused_connector_names_the_file_and_the_field() {
    let place = Place::new();
    let mut document = connector(9);
    document["config"]["createIncidentJson"] = json!("{\"title\": {{{case.titel}}}}");
    place.file("c.json", document.to_string());
    let output = place.run(&["configure", "t", "c.json"]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("createIncidentJson"), "{}", err(&output));
    let output = place.run(&["--json", "configure", "t", "c.json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["error"]["code"], json!("config"));
    assert!(
        document["error"]["field"]
            .as_str()
            .unwrap()
            .contains("createIncidentJson")
    );
}

#[test]
fn pushes_from_options_files_arrays_and_lines_are_stored() {
    let place = Place::new();
    place.configure("t");
    let one = json!({"incident": {"title": "T", "id": "7"}});
    place.file("one.json", one.to_string());
    place.file(
        "many.json",
        json!([one, {"incident": {"title": "U"}}]).to_string(),
    );
    let ids = |values: Vec<Value>| values.iter().filter(|value| value["id"].is_i64()).count();
    assert_eq!(
        ids(place.json(&["push", "t", "--title", "T", "--tag", "a", "--comment", "c=x"])),
        1
    );
    assert_eq!(ids(place.json(&["push", "t", "one.json"])), 1);
    assert_eq!(ids(place.json(&["push", "t", "many.json"])), 2);
    let lines = format!("{one}\n{{\"incident\": {{\"title\": \"V\"}}}}\n");
    let output = with_stdin(place.command(&["--json", "push", "t", "-"]), lines.as_bytes());
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert_eq!(out(&output).lines().count(), 2);
    let listed = place.json(&["list", "--state", "queued"]);
    // Of the three pushes of case 7 the last took the place of the others.
    assert_eq!(listed.len(), 4);
    assert_eq!(
        place
            .json(&["list", "--case-id", "7", "--state", "superseded"])
            .len(),
        2
    );
}

#[test]
fn of_many_pushes_all_or_none_are_stored() {
    let place = Place::new();
    place.configure("t");
    place.file(
        "many.json",
        "[{\"incident\": {\"title\": \"T\"}}, {\"incident\": {}}]",
    );
    let output = place.run(&["push", "t", "many.json"]);
    assert_eq!(code(&output), 1);
    assert!(
        err(&output).contains("many.json, case 2 of 2"),
        "{}",
        err(&output)
    );
    assert!(place.json(&["list"]).is_empty());
}

#[test]
fn what_a_case_holds_reaches_the_terminal_escaped_and_within_80_columns() {
    let place = Place::new();
    place.configure("t");
    let id = format!("\u{1b}[31m{}\nx", "y".repeat(100));
    place.ok(&["push", "t", "--title", "T", "--case-id", &id]);
    for args in [&["list"][..], &["status", "1"], &["stats"], &["connectors"]] {
        // Commands to be typed name the database, whose path is as long as it is.
        let mut command = casehook();
        command
            .args(["--db", "cases.db"])
            .args(args)
            .current_dir(&place.0);
        let text = out(&command.output().unwrap());
        assert!(!text.contains('\u{1b}'), "{args:?}");
        assert!(
            text.lines()
                .filter(|line| !line.contains("yyy"))
                .all(|line| line.chars().count() <= 80),
            "{args:?}: {text}"
        );
    }
    assert!(place.ok(&["list"]).lines().all(|line| line.chars().count() <= 80));
    assert_eq!(place.json(&["status", "1"])[0]["caseId"], json!(id));
}

#[test]
fn preview_shows_each_request_and_sends_nothing() {
    let place = Place::new();
    place.configure("t");
    let text = place.ok(&[
        "preview",
        "t",
        "--title",
        "Disk full",
        "--comment",
        "c1=first look",
    ]);
    assert!(text.contains("POST http://127.0.0.1:9/issues\n"), "{text}");
    assert!(
        text.contains("\"title\": \"Disk full\"") && text.contains("\"comment\": \"first look\""),
        "{text}"
    );
    let requests = &place.json(&["preview", "t", "--title", "Disk full"])[0];
    assert_eq!(requests[0]["step"], json!("create"));
}

#[test]
fn a_push_is_delivered_by_wait_and_by_drain() {
    let place = Place::new();
    place.configure_at("t", server("200 OK", "{\"id\": 7, \"title\": \"T\"}"));
    place.ok(&["push", "t", "--title", "T", "--comment", "c1=x"]);
    let text = place.ok(&["wait", "1"]);
    assert!(text.contains("delivered") && text.contains("c1 sent"), "{text}");
    place.ok(&["push", "t", "--title", "U"]);
    assert!(
        place
            .ok(&["drain"])
            .starts_with("1 push delivered; nothing is left to deliver.")
    );
    let status = &place.json(&["status", "2"])[0];
    assert_eq!(status["state"], json!("delivered"));
    assert!(status["attemptsLog"].as_array().unwrap().len() >= 2);
}

#[test]
fn a_refused_push_ends_with_1_and_can_be_retried_or_discarded() {
    let place = Place::new();
    place.configure_at("t", server("400 Bad Request", "{}"));
    place.ok(&["push", "t", "--title", "T"]);
    assert_eq!(code(&place.run(&["drain"])), 1);
    assert_eq!(code(&place.run(&["wait", "1"])), 1);
    assert_eq!(place.json(&["list", "--state", "failed"]).len(), 1);
    assert_eq!(
        place.ok(&["retry", "--failed"]),
        "1 failed push will be tried again.\n"
    );
    assert_eq!(code(&place.run(&["discard", "1"])), 1);
    assert_eq!(code(&place.run(&["drain", "--timeout", "20s"])), 1);
    place.ok(&["discard", "1"]);
    assert!(place.json(&["list"]).is_empty());
    let report = place.run(&["test", "t"]);
    assert_eq!(code(&report), 1);
    assert!(out(&report).contains("really writes") && out(&report).contains("1. create: FAILED"));
}

#[test]
fn a_wait_that_takes_too_long_says_where_the_push_stands() {
    let place = Place::new();
    place.configure("t");
    place.ok(&["push", "t", "--title", "T"]);
    let output = place.run(&["wait", "1", "--timeout", "300ms"]);
    assert_eq!(code(&output), 1);
    let text = err(&output);
    assert!(
        text.contains("waited 300 ms; push 1 is") && text.contains("status 1`"),
        "{text}"
    );
    let output = place.run(&["drain", "--timeout", "300ms"]);
    assert_eq!(code(&output), 1);
    assert!(
        out(&output).contains("time is up, and 1 push is left"),
        "{}",
        out(&output)
    );
}

#[test]
fn a_paused_connector_keeps_its_pushes_and_does_not_hold_up_drain() {
    let place = Place::new();
    place.configure("t");
    place.ok(&["push", "t", "--title", "T"]);
    place.ok(&["pause", "t"]);
    let output = place.run(&["drain"]);
    assert_eq!(code(&output), 1);
    assert!(out(&output).contains("paused"), "{}", out(&output));
    place.ok(&["resume", "t"]);
    assert_eq!(code(&place.run(&["remove", "t"])), 1);
    place.ok(&["remove", "t", "--cancel"]);
    assert!(place.json(&["connectors"]).is_empty());
}

#[test]
fn a_backup_is_a_database() {
    let place = Place::new();
    place.configure("t");
    place.ok(&["push", "t", "--title", "T"]);
    place.ok(&["backup", "copy.db"]);
    let copy = place.0.join("copy.db");
    let output = casehook_output(&[
        OsStr::new("--db"),
        copy.as_os_str(),
        OsStr::new("status"),
        OsStr::new("1"),
    ]);
    assert_eq!(code(&output), 0, "{}", err(&output));
}

#[cfg(unix)]
#[test]
fn run_delivers_until_it_is_told_to_stop() {
    let place = Place::new();
    place.configure_at("t", server("200 OK", "{\"id\": 7, \"title\": \"T\"}"));
    let mut run = place.command(&["run"]);
    let mut child = Killed(run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let mut log = BufReader::new(child.0.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(line.contains("delivering from"), "{line}");
    place.ok(&["push", "t", "--title", "T"]);
    let begin = Instant::now();
    while place.json(&["status", "1"])[0]["state"] != json!("delivered") {
        assert!(begin.elapsed() < Duration::from_secs(20), "not delivered");
    }
    let pid = child.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}

#[test]
fn the_demo_needs_nothing_and_delivers_everything() {
    let begin = Instant::now();
    let output = casehook_output(&["demo"]);
    let text = out(&output);
    assert_eq!(code(&output), 0, "{text}{}", err(&output));
    assert!(begin.elapsed() < Duration::from_secs(15));
    assert!(
        text.contains("Three cases, three incidents, every comment once"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let output = casehook_output(&["demo", "--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["incidents"].as_array().unwrap().len(), 3);
}

#[test]
fn presets_are_listed_told_and_printed() {
    let place = Place::new();
    let list = place.ok(&["presets"]);
    // A variable that is set to nothing is one that is not set.
    let mut bare = casehook();
    let bare = bare.arg("presets").env("CASEHOOK_DB", "").output().unwrap();
    assert_eq!((code(&bare), out(&bare)), (0, list.clone()), "{}", err(&bare));
    assert!(
        list.contains("jira-cloud") && list.contains("site, project"),
        "{list}"
    );
    let all = &place.json(&["presets"])[0];
    assert!(all.as_array().unwrap().len() > 20);
    let about = place.ok(&["preset", "jira-cloud"]);
    assert!(
        about.contains("site: the name before .atlassian.net") && about.contains("Sources:"),
        "{about}"
    );

    let output = place.run(&[
        "preset",
        "jira-cloud",
        "--set",
        "site=acme",
        "--set",
        "project=OPS",
    ]);
    assert_eq!(code(&output), 0);
    let document: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(
        document["config"]["createIncidentUrl"],
        "https://acme.atlassian.net/rest/api/2/issue"
    );
    assert!(
        err(&output).contains("unconfirmed: ") && err(&output).contains("--secrets FILE"),
        "{}",
        err(&output)
    );
    // For machines it is one line.
    let line = place.json(&[
        "preset",
        "jira-cloud",
        "--set",
        "site=acme",
        "--set",
        "project=OPS",
    ]);
    assert_eq!(line, [document]);
    let file = place.file("connector.json", out(&output));
    let secrets = place.file("secrets.json", r#"{"user": "u", "password": "p"}"#);
    place.ok(&[
        "configure",
        "jira",
        file.to_str().unwrap(),
        "--secrets",
        secrets.to_str().unwrap(),
    ]);

    let output = place.run(&["preset", "jira-cloud", "--set", "site=acme"]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("project: is missing") && err(&output).contains("takes site, project"));
    let output = place.run(&["--json", "preset", "jira-clod"]);
    assert_eq!(code(&output), 1);
    assert!(out(&output).contains("did you mean jira-cloud?"));
    assert_eq!(code(&place.run(&["preset", "jira-cloud", "--set", "site"])), 2);
}

#[test]
fn an_export_is_taken_over_whole_or_written_to_be_finished() {
    let place = Place::new();
    let config = connector(9)["config"].clone();
    let mut with_auth = config.clone();
    with_auth["hasAuth"] = json!(true);
    let mut open = config;
    open["hasAuth"] = json!(false);
    let list = json!([
        {"connector_type_id": ".cases-webhook", "name": "open", "config": open},
        {"connector_type_id": ".cases-webhook", "name": "with/auth", "config": with_auth},
        {"connector_type_id": ".slack", "name": "chat", "config": {}},
    ]);
    let file = place.file("export.json", list.to_string());
    let file = file.to_str().unwrap();
    let dry = place.ok(&["import", file, "--dry-run"]);
    assert!(
        dry.contains("open: complete") && dry.contains("needs the secrets user, password"),
        "{dry}"
    );
    assert!(!place.0.join("cases.db").exists() && !place.0.join("with-auth.connector.json").exists());

    let report = &place.json(&["import", file])[0];
    assert_eq!(report["connectors"][0]["outcome"], "configured");
    assert_eq!(report["skipped"][0]["type"], ".slack");
    let names: Vec<Value> = place.json(&["connectors"]);
    assert!(names[0].to_string().contains("\"open\"") && !names[0].to_string().contains("with/auth"));
    let written = fs::read_to_string(place.0.join("with-auth.connector.json")).unwrap();
    let finished = place.file(
        "finished.json",
        written
            .replace("\"password\": \"\"", "\"password\": \"p\"")
            .replace("\"user\": \"\"", "\"user\": \"u\""),
    );
    place.ok(&["configure", "with-auth", finished.to_str().unwrap()]);

    // Nothing is overwritten: neither the file nor, without --replace, the connector.
    let output = place.run(&["import", file]);
    assert_eq!(code(&output), 2);
    assert!(
        err(&output).contains("is there already; nothing was imported"),
        "{}",
        err(&output)
    );
    fs::remove_file(place.0.join("with-auth.connector.json")).unwrap();
    let output = place.run(&["import", file]);
    assert_eq!(code(&output), 1);
    assert!(out(&output).contains("open: there already"), "{}", out(&output));
    fs::remove_file(place.0.join("with-auth.connector.json")).unwrap();
    assert!(
        place
            .ok(&["import", file, "--replace"])
            .contains("open: configured")
    );
}

#[test]
fn an_import_tells_all_at_once_for_people_and_machines() {
    let place = Place::new();
    let mut fine = connector(9)["config"].clone();
    fine["hasAuth"] = json!(false);
    let mut broken = fine.clone();
    broken["createIncidentJson"] = json!("{\"title\":{{{case.titel}}}}");
    broken["updateIncidentJson"] = json!("{\"title\":\"{{{case.title}}}\"}");
    broken["viewIncidentUrl"] = json!("https://h.example//i/{{external.system.id}}");
    broken["headers"] = json!({"X-A": "\u{1f600}", "X-B": "b"});
    let of = |name: &str, config: &Value| json!({"connector_type_id": ".cases-webhook", "name": name, "config": config});
    let list = json!([of("broken", &broken), of("fine", &fine)]);
    let file = place.file("export.json", list.to_string());
    let file = file.to_str().unwrap();
    let output = place.run(&["import", file, "--dry-run"]);
    assert_eq!(code(&output), 1, "{}", err(&output));
    let shown = out(&output);
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    let told = shown.replace("\n      ", " ").replace("\n    ", " ");
    let (of_broken, of_fine) = told.split_once("\nfine: complete").unwrap();
    let (of_fine, of_both) = of_fine.split_once("\nwhat each of them does otherwise").unwrap();
    for words in [
        "  refused config.createIncidentJson: line 1: unknown variable `case.titel`; did you mean `case.title`?",
        "  refused config.updateIncidentJson: renders to invalid JSON",
        "write none around it); Kibana takes it and fails at the first push",
        "  refused config.headers[\"X-A\"]: a header's value can only hold latin-1",
        "  differs config.viewIncidentUrl: `{{x}}` means the same as `{{{x}}}`",
        "  differs config.viewIncidentUrl: its slashes are sent as written",
    ] {
        assert!(of_broken.contains(words), "{words} in {told}");
    }
    assert!(
        !of_fine.contains("refused") && !of_fine.contains("config.viewIncidentUrl"),
        "{told}"
    );
    let ids = "  differs config.createIncidentResponseKey: an id that is null";
    assert!(of_both.contains(ids) && told.matches(ids).count() == 1, "{told}");

    let output = place.run(&["--json", "import", file, "--dry-run"]);
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    let fields = |place: usize, list: &str| -> Vec<String> {
        let told = report["connectors"][place][list].as_array().unwrap().iter();
        told.map(|told| told["field"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        fields(0, "refused"),
        [
            "config.createIncidentJson",
            "config.updateIncidentJson",
            "config.headers[\"X-A\"]"
        ]
    );
    assert!(fields(1, "refused").is_empty());
    for place in [0, 1] {
        assert!(fields(place, "differs").contains(&"config.createIncidentResponseKey".to_owned()));
    }
    assert!(fields(0, "differs").contains(&"config.viewIncidentUrl".to_owned()));
}

#[test]
fn an_import_loses_none_of_two_whose_names_are_alike() {
    let place = Place::new();
    let mut config = connector(9)["config"].clone();
    config["hasAuth"] = json!(false);
    let complete = config.clone();
    config["hasAuth"] = json!(true);
    let of = |name: &str, config: &Value| json!({"connector_type_id": ".cases-webhook", "name": name, "config": config});
    let list = json!([
        of("T", &complete),
        of("T", &complete),
        of("a/b", &config),
        of("a b", &config),
        of("A-B", &config)
    ]);
    let file = place.file("export.json", list.to_string());
    let file = file.to_str().unwrap();
    let output = place.run(&["import", file]);
    assert_eq!(code(&output), 1, "{}", err(&output));
    let told = out(&output).replace("\n    ", " ");
    for words in [
        "T: configured",
        "T: written to ./T.connector.json, to be finished",
        "refused name: an earlier connector of this import has the same name",
        "a/b: written to ./a-b.connector.json",
        "a b: written to ./a-b-2.connector.json",
        "A-B: written to ./A-B-3.connector.json",
    ] {
        assert!(told.contains(words), "{words} in {told}");
    }
    let written = |name: &str| fs::read_to_string(place.0.join(name)).unwrap();
    assert!(written("a-b-2.connector.json").contains("\"a b\""));

    // What would be refused is refused without doing it, too.
    let output = place.run(&["import", file, "--dry-run"]);
    assert_eq!(code(&output), 2);
    let told = err(&output);
    assert!(
        told.contains("T.connector.json is there already") && told.contains("another folder"),
        "{told}"
    );
}

#[test]
fn a_terraform_configuration_is_written_to_be_finished_and_says_what_is_open() {
    let place = Place::new();
    let file = place.file(
        "connectors.tf",
        r#"
resource "elasticstack_kibana_action_connector" "tracker" {
  name              = "tracker"
  connector_type_id = ".cases-webhook"
  config = jsonencode({
    createIncidentUrl                   = "${var.base}/issues"
    createIncidentJson                  = "{\"title\": {{{case.title}}}, \"text\": {{{case.description}}}}"
    createIncidentResponseKey           = "id"
    getIncidentUrl                      = "http://127.0.0.1:9/issues/{{{external.system.id}}}"
    getIncidentResponseExternalTitleKey = "title"
    viewIncidentUrl                     = "http://127.0.0.1:9/issues/{{{external.system.id}}}"
    updateIncidentUrl                   = "http://127.0.0.1:9/issues/{{{external.system.id}}}"
    updateIncidentJson                  = "{\"title\": {{{case.title}}}, \"text\": {{{case.description}}}}"
  })
  secrets = jsonencode({ user = "u", password = var.password })
}
"#,
    );
    let told = place.ok(&["import", file.to_str().unwrap()]);
    for words in [
        "needs the secrets password",
        "open config.createIncidentUrl: depends on var.base",
        "open secrets.password: depends on var.password",
        "written to ./tracker.connector.json",
    ] {
        assert!(told.replace("\n    ", " ").contains(words), "{words} in {told}");
    }
    let written = fs::read_to_string(place.0.join("tracker.connector.json")).unwrap();
    let finished = place.file(
        "finished.json",
        written
            .replace("${var.base}", "http://127.0.0.1:9")
            .replace("\"password\": \"\"", "\"password\": \"p\""),
    );
    place.ok(&["configure", "tracker", finished.to_str().unwrap()]);
}

#[test]
fn a_process_that_was_killed_delivers_no_more() {
    let place = Place::new();
    place.configure("tracker");
    let delivering = || place.json(&["stats"])[0]["drainedBy"].clone();
    let mut run = Killed(place.command(&["run"]).stderr(Stdio::null()).spawn().unwrap());
    let begin = Instant::now();
    while delivering() != json!(run.0.id()) {
        assert!(begin.elapsed() < Duration::from_secs(60), "{}", delivering());
        std::thread::sleep(Duration::from_millis(20));
    }
    run.0.kill().unwrap();
    run.0.wait().unwrap();
    assert_eq!(delivering(), Value::Null);
    let metrics = place.ok(&["stats", "--format", "prometheus"]);
    assert!(metrics.contains("\ncasehook_drained 0\n"), "{metrics}");
    assert!(
        place
            .ok(&["watch", "--times", "1"])
            .contains("NO PROCESS DELIVERS")
    );
}
