//! Changing the key of the stored secrets: under kill -9 at every call to the file system, beside other processes, and
//! through the command line.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use casehook::{Agent, Case, Connector, ErrorKind, Options, PushState};
use casehook_test_vfs::{Call, Disk, Effect, Plan};
use serde_json::json;

use support::case_system::{CaseSystem, config_for};

const PATIENCE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "hunter2";
/// What they come to at the target.
const AUTHORIZATION: &str = "Basic bW9uaXRvcjpodW50ZXIy";

/// Where another process of this test finds its database, and what it does there.
const DATABASE: &str = "CASEHOOK_REKEY_DATABASE";
const KILL: &str = "CASEHOOK_REKEY_KILL";
const SIGKILL: i32 = 9;

const CALLS: [Call; 6] = [
    Call::Write,
    Call::Sync,
    Call::ShmLock,
    Call::Truncate,
    Call::Lock,
    Call::Read,
];

fn connector(base: &str) -> Connector {
    let mut config = config_for(base);
    config["hasAuth"] = json!(true);
    let secrets = json!({"user": "monitor", "password": PASSWORD, "secretHeaders": {"X-Key": "k-123456"}});
    Connector::from_parts(&config.to_string(), Some(&secrets.to_string())).unwrap()
}

fn still() -> Options {
    Options::new().drain(false)
}

/// A database with two connectors and a key file; closed.
fn seed(folder: &Path, base: &str) -> PathBuf {
    let path = folder.join("a.db");
    let agent = Agent::open(&path, still()).unwrap();
    for name in ["one", "two"] {
        agent.configure(name, &connector(base)).unwrap();
    }
    agent.close(PATIENCE).unwrap();
    path
}

/// Whether the secrets open: a preview needs them.
fn opens(agent: &Agent) -> casehook::Result<()> {
    for name in ["one", "two"] {
        agent.preview(name, &Case::new("t"))?;
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn this_test(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env_remove("CASEHOOK_KEY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

// kill -9

/// The process that is killed while it changes the key; says how many calls of each kind the change takes.
#[test]
fn the_process_that_changes_the_key() {
    let (Ok(path), Ok(kill)) = (std::env::var(DATABASE), std::env::var(KILL)) else {
        return;
    };
    let path = PathBuf::from(path);
    let disk = Disk::at(path.parent().unwrap());
    let agent = Agent::open(&path, still()).unwrap();
    match kill.split_once(' ') {
        Some((call, nth)) => disk.plan(Plan {
            call: CALLS[call.parse::<usize>().unwrap()],
            nth: nth.parse().unwrap(),
            times: 1,
            effect: Effect::Kill,
        }),
        None => disk.heal(),
    }
    agent.rekey(None).unwrap();
    agent.close(PATIENCE).unwrap();
    let counts: Vec<String> = CALLS.iter().map(|call| disk.count(*call).to_string()).collect();
    println!("\ncounts {}", counts.join(" "));
}

fn change_in_another_process(path: &Path, kill: &str) -> (bool, String) {
    let output = this_test("the_process_that_changes_the_key")
        .env(DATABASE, path)
        .env(KILL, kill)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let killed = output.status.signal() == Some(SIGKILL);
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(killed || output.status.success(), "{kill}: {said}{trouble}");
    (killed, said)
}

#[test]
fn a_change_of_the_key_file_survives_a_kill_at_every_call() {
    let template = support::temp_dir();
    let base = "http://127.0.0.1:1";
    let database = seed(template.path(), base);
    let original = fs::read(beside(&database, ".key")).unwrap();
    let copy = || {
        let folder = support::temp_dir();
        for suffix in ["", ".key"] {
            let to = beside(&folder.path().join("a.db"), suffix);
            fs::copy(beside(&database, suffix), to).unwrap();
        }
        folder
    };
    let folder = copy();
    let (_, said) = change_in_another_process(&folder.path().join("a.db"), "none");
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("counts "))
        .expect("counts");
    let counts: Vec<u64> = line.split(' ').map(|count| count.parse().unwrap()).collect();
    let points: Vec<(usize, u64)> = counts
        .iter()
        .enumerate()
        .flat_map(|(call, count)| (1..=*count).map(move |nth| (call, nth)))
        .collect();
    assert!(points.len() > 20, "{counts:?}");

    let tally = std::sync::Mutex::new(BTreeMap::<&str, u32>::new());
    let next = std::sync::atomic::AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((call, nth)) =
                    points.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let folder = copy();
                    let path = folder.path().join("a.db");
                    let (killed, _) = change_in_another_process(&path, &format!("{call} {nth}"));
                    let point = format!("killed at {nth} of {:?}", CALLS[*call]);
                    // A call more or less than when they were counted.
                    if !killed {
                        continue;
                    }
                    let waits = beside(&path, ".key.new").exists();
                    let changed = fs::read(beside(&path, ".key")).unwrap() != original;
                    let state = match (waits, changed) {
                        (false, false) => "before the new key",
                        (true, false) => "with both keys",
                        (false, true) => "after the change",
                        (true, true) => panic!("{point}: a new key waits beside a changed one"),
                    };
                    *tally.lock().unwrap().entry(state).or_default() += 1;
                    let agent = Agent::open(&path, still()).unwrap();
                    opens(&agent).unwrap_or_else(|error| panic!("{point}, {state}: {error}"));
                    agent
                        .rekey(None)
                        .unwrap_or_else(|error| panic!("{point}, {state}: {error}"));
                    opens(&agent).unwrap();
                    agent.close(PATIENCE).unwrap();
                    assert!(!beside(&path, ".key.new").exists(), "{point}, {state}");
                    assert!(
                        fs::read(beside(&path, ".key")).unwrap() != original,
                        "{point}, {state}"
                    );
                    let agent = Agent::open(&path, still()).unwrap();
                    opens(&agent).unwrap();
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    let kills: u32 = tally.values().sum();
    let _ = writeln!(std::io::stderr(), "rekey, {kills} kills: {tally:?}");
    assert_eq!(tally.len(), 3, "kills in every state: {tally:?}");
    assert!(
        kills as usize + 3 > points.len(),
        "{kills} of {} kills",
        points.len()
    );
}

// Beside other processes

/// Not a test by itself: another program that has the database open with a key of its own.
#[test]
fn the_process_beside() {
    let Ok(path) = std::env::var(DATABASE).map(PathBuf::from) else {
        return;
    };
    if std::env::var(KILL).is_ok() {
        return;
    }
    let options = match std::env::var("CASEHOOK_REKEY_GIVEN") {
        Ok(_) => still().key([7; 32]),
        Err(_) => still(),
    };
    let agent = Agent::open(path, options).unwrap();
    println!("\nopen");
    for line in std::io::stdin().lines() {
        let answer = match line.unwrap().as_str() {
            "read" => {
                opens(&agent).map_or_else(|error| format!("{} {error}", error.name()), |()| "read".into())
            }
            "push" => agent
                .push("one", &Case::new("t").id("from beside"))
                .map_or_else(|error| error.name().to_owned(), |_| "pushed".into()),
            other => panic!("{other}"),
        };
        println!("{answer}");
    }
    agent.close(PATIENCE).unwrap();
}

struct Beside {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Beside {
    fn start(path: &Path, given: bool) -> Beside {
        let mut command = this_test("the_process_beside");
        command.env(DATABASE, path).stderr(Stdio::null());
        if given {
            command.env("CASEHOOK_REKEY_GIVEN", "yes");
        }
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut beside = Beside { child, to, from };
        while beside.hear() != "open" {}
        beside
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        assert!(
            self.from.read_line(&mut line).unwrap() > 0,
            "the process beside is gone"
        );
        line.trim().to_owned()
    }

    fn ask(&mut self, word: &str) -> String {
        writeln!(self.to.as_mut().unwrap(), "{word}").unwrap();
        self.hear()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        drop(self.to.take());
        let _ = self.child.wait();
    }
}

#[test]
fn a_process_with_the_key_file_follows_a_change() {
    let folder = support::temp_dir();
    let path = seed(folder.path(), "http://127.0.0.1:1");
    let mut beside = Beside::start(&path, false);
    assert_eq!(beside.ask("read"), "read");
    let agent = Agent::open(&path, still()).unwrap();
    for _ in 0..3 {
        agent.rekey(None).unwrap();
        assert_eq!(beside.ask("read"), "read");
    }
}

#[test]
fn a_process_with_the_old_key_is_told_and_goes_on_storing() {
    let folder = support::temp_dir();
    let system = CaseSystem::start();
    let path = folder.path().join("a.db");
    let agent = Agent::open(&path, Options::new().key([7; 32])).unwrap();
    for name in ["one", "two"] {
        agent.configure(name, &connector(&system.url())).unwrap();
    }
    let mut beside = Beside::start(&path, true);
    assert_eq!(beside.ask("read"), "read");
    agent.rekey([9; 32]).unwrap();
    let told = beside.ask("read");
    assert!(told.starts_with("key ") && told.contains("rekey"), "{told}");
    assert_eq!(beside.ask("push"), "pushed");
    // The one that changed it delivers on, with what it knew and with what it reads anew.
    let push = agent.push("one", &Case::new("t")).unwrap();
    assert_eq!(agent.wait(push, PATIENCE).unwrap().state, PushState::Delivered);
    assert!(agent.flush(PATIENCE).unwrap());
    opens(&agent).unwrap();
    let requests = system.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.header("authorization") == Some(AUTHORIZATION))
    );
    assert_eq!(system.incidents_of("from beside").len(), 1);
    agent.close(PATIENCE).unwrap();
    drop((agent, beside));
    let stranger = Agent::open(&path, still().key([7; 32])).unwrap();
    assert_eq!(opens(&stranger).unwrap_err().kind(), ErrorKind::Key);
    stranger.close(PATIENCE).unwrap();
    drop(stranger);
    opens(&Agent::open(&path, still().key([9; 32])).unwrap()).unwrap();
}

#[test]
fn a_backup_needs_the_key_of_its_time() {
    let folder = support::temp_dir();
    let path = folder.path().join("a.db");
    let copy = folder.path().join("copy.db");
    let agent = Agent::open(&path, still().key([7; 32])).unwrap();
    for name in ["one", "two"] {
        agent.configure(name, &connector("http://127.0.0.1:1")).unwrap();
    }
    agent.backup(&copy).unwrap();
    agent.rekey(Some([9; 32])).unwrap();
    opens(&Agent::open(&copy, still().key([7; 32])).unwrap()).unwrap();
}

// The command line

#[cfg(feature = "cli")]
mod command_line {
    use super::*;

    fn casehook(path: &Path, args: &[&str]) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_casehook"))
            .arg("--db")
            .arg(path)
            .args(args)
            .env_remove("CASEHOOK_KEY")
            .env_remove("CASEHOOK_NEW_KEY")
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    }

    #[test]
    fn rekey_from_the_key_file_and_to_keys_in_files() {
        let folder = support::temp_dir();
        let path = seed(folder.path(), "http://127.0.0.1:1");
        let key = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let preview =
            |args: &[&str]| casehook(&path, &[args, &["preview", "one", "--title", "t"]].concat()).0;
        let before = fs::read(beside(&path, ".key")).unwrap();
        assert_eq!(
            casehook(&path, &["--json", "rekey"]),
            (0, "{\"keyFile\":true,\"rekeyed\":true}\n".to_owned())
        );
        assert!(fs::read(beside(&path, ".key")).unwrap() != before);
        assert_eq!(preview(&[]), 0);

        let one = key("one", &"ab".repeat(32));
        let two = key("two", "AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dw=\n");
        let (code, said) = casehook(&path, &["rekey", "--new-key-file", &one]);
        assert_eq!((code, said.contains("that one from now on")), (0, true), "{said}");
        assert_eq!(preview(&[]), 3, "the key file is not the key any more");
        assert_eq!(preview(&["--key-file", &one]), 0);
        let (code, said) = casehook(&path, &["--key-file", &one, "rekey"]);
        assert_eq!((code, said.contains("--new-key-file")), (2, true), "{said}");
        let (code, said) = casehook(&path, &["--key-file", &two, "rekey", "--new-key-file", &two]);
        assert_eq!((code, said.contains("not the one")), (3, true), "{said}");
        assert_eq!(
            casehook(&path, &["--key-file", &one, "rekey", "--new-key-file", &two]).0,
            0
        );
        assert_eq!(preview(&["--key-file", &two]), 0);

        let bad = key("bad", "hunter2hunter2");
        let (code, said) = casehook(&path, &["--key-file", &two, "rekey", "--new-key-file", &bad]);
        assert_eq!((code, said.contains("64 hex digits")), (2, true), "{said}");
        assert!(!said.contains("hunter2hunter2"), "{said}");
        let (code, said) = casehook(&path, &["rekey", "--new-key-file", "/no/such/file"]);
        assert_eq!(code, 2, "{said}");
    }
}
