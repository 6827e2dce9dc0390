//! A host's day: connectors with secrets, cases of every kind, things that go wrong at the target.

use std::path::{Path, PathBuf};
use std::time::Duration;

use casehook::{Agent, Case, Connector, Error, ErrorKind, Filter, Options, PushId, Result};
use casehook_test_vfs::Disk;
use serde_json::{Value, json};

use crate::ledger::{Accepted, Ledger, Word};
use crate::support::case_system::{CaseSystem, Fault};
use crate::support::http::{Received, Reply};

/// The connector that looks up what it is not sure of, and sends no idempotency keys.
pub(crate) const FINDING: &str = "finding";
/// What the stored secrets come to at the target.
pub(crate) const AUTHORIZATION: &str = "Basic bW9uaXRvcjpodW50ZXIy";

/// How often a host tries a call that fails.
const TRIES: usize = 3;

/// One run of the scenario.
pub(crate) struct Run<'a> {
    directory: PathBuf,
    url: String,
    disk: Option<&'a Disk>,
    /// Written to as things are said, for whoever looks on from outside.
    tell: Option<&'a dyn Fn(&Word)>,
    pub(crate) ledger: Ledger,
    pub(crate) agent: Option<Agent>,
    /// How long to wait for deliveries before going on without them.
    pub(crate) patience: Duration,
}

pub(crate) fn database(directory: &Path) -> PathBuf {
    directory.join("cases.db")
}

pub(crate) fn open(directory: &Path) -> Result<Agent> {
    Agent::open(database(directory), Options::new().key([7; 32]).workers(2))
}

/// What the target does wrong during the scenario, whenever that request comes.
pub(crate) fn trouble(system: &CaseSystem) {
    let creates = |case: &'static str| {
        move |request: &Received| {
            (request.method.as_str(), request.target.as_str()) == ("POST", "/issues")
                && request.json()["caseId"] == case
        }
    };
    let comments = |id: &'static str| {
        move |request: &Received| request.target.ends_with("/comments") && request.json()["id"] == id
    };
    system.fail_where(creates("a"), Fault::CutAfterActing);
    system.fail_where(creates("b"), Fault::CutAfterReading);
    system.fail_where(creates("refused"), Fault::Reply(Reply::empty(422)));
    system.fail_where(creates("busy"), Fault::Reply(Reply::empty(503)));
    system.fail_where(creates("found"), Fault::CutAfterActing);
    system.fail_where(creates("not found"), Fault::CutAfterReading);
    system.fail_where(comments("a2"), Fault::CutAfterActing);
}

impl<'a> Run<'a> {
    pub(crate) fn new(directory: &Path, url: &str, disk: Option<&'a Disk>) -> Run<'a> {
        Run {
            directory: directory.to_owned(),
            url: url.to_owned(),
            disk,
            tell: None,
            ledger: Ledger::default(),
            agent: None,
            patience: Duration::from_secs(2),
        }
    }

    pub(crate) fn telling(mut self, tell: &'a dyn Fn(&Word)) -> Run<'a> {
        self.tell = Some(tell);
        self
    }

    /// The whole of it. Goes on after errors, as far as a host could.
    pub(crate) fn go(&mut self) {
        self.open();
        self.configure("main", &json!({}));
        self.configure(FINDING, &self.finding());
        self.configure("batch", &json!({"coalesce": true}));
        self.push("main", case("a", &["a1", "a2"]));
        self.push_many("main", &[case("b", &[]), case("c", &["c1"]), case("d", &[])]);
        self.push(FINDING, case("found", &["f1"]));
        self.push(FINDING, case("not found", &[]));
        self.push("main", case("busy", &[]));
        self.flush();

        self.push("main", case("a", &["a1", "a2", "a3"]));
        let refused = self.push("main", case("refused", &["r1"]));
        self.flush();
        if let Some(refused) = refused {
            self.ask("retry", |agent| match agent.retry(refused) {
                // It was not refused in time, or a failed try of this was not one.
                Err(error) if error.kind() == ErrorKind::State => Ok(()),
                result => result,
            });
        }

        self.ask("pause", |agent| agent.pause("batch"));
        self.push("batch", case("k", &["k1"]));
        self.push("batch", case("k", &["k2"]));
        self.push("batch", case("l", &[]));
        self.push("batch", case("k", &["k1", "k3"]));
        if let Some(unwanted) = self.push("batch", case("unwanted", &[])) {
            self.cancel(unwanted);
        }
        self.ask("resume", |agent| agent.resume("batch"));

        self.configure("gone", &json!({}));
        let paused = self.ask("pause", |agent| agent.pause("gone")).is_some();
        let dropped = self.push("gone", case("dropped", &[]));
        if self.remove("gone", dropped) && paused {
            dropped.map(|id| self.say(Word::Cancelled(id)));
        }

        let backup = self.directory.join("backup.db");
        self.ask("backup", |agent| agent.backup(&backup));
        self.flush();
        self.close();

        self.open();
        self.push("main", case("c", &["c1", "c2"]));
        self.push("main", case("late", &["l1"]));
        self.ask("stats", Agent::stats);
        self.ask("pushes", |agent| agent.pushes(&Filter::new()));
        self.ask("link", |agent| agent.link("main", "c"));
        self.flush();
    }

    fn open(&mut self) {
        for _ in 0..TRIES {
            match open(&self.directory) {
                Ok(agent) => {
                    self.agent = Some(agent);
                    return;
                }
                Err(error) => self.failed("open", &error),
            }
        }
    }

    pub(crate) fn close(&mut self) {
        if let Some(agent) = self.agent.take()
            && let Err(error) = agent.close(Duration::from_secs(20))
        {
            self.failed("close", &error);
        }
    }

    fn configure(&mut self, name: &str, changes: &Value) {
        let document = self.document(changes);
        let connector = Connector::from_json(&document.to_string()).expect("a connector");
        if self
            .ask("configure", |agent| agent.configure(name, &connector))
            .is_some()
        {
            self.say(Word::Configured(name.to_owned()));
        }
    }

    fn push(&mut self, connector: &str, case: Case) -> Option<PushId> {
        self.push_many(connector, std::slice::from_ref(&case))
            .first()
            .copied()
    }

    fn push_many(&mut self, connector: &str, cases: &[Case]) -> Vec<PushId> {
        for _ in 0..TRIES {
            let Some(agent) = &self.agent else {
                return Vec::new();
            };
            let before = agent.pushes(&Filter::new().limit(10_000)).map(|all| all.len());
            match agent.push_many(connector, cases) {
                Ok(ids) => {
                    for (id, case) in ids.iter().zip(cases) {
                        self.say(Word::Accepted(Accepted {
                            id: *id,
                            connector: connector.to_owned(),
                            case: case.id.clone().unwrap_or_default(),
                            comments: case.comments.iter().map(|comment| comment.id.clone()).collect(),
                        }));
                    }
                    return ids;
                }
                // A connector that could not be configured before.
                Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
                Err(error) => {
                    let after = agent.pushes(&Filter::new().limit(10_000)).map(|all| all.len());
                    if let (Ok(before), Ok(after)) = (before, after) {
                        assert_eq!(before, after, "a push that failed is there: {error}");
                    }
                    self.failed("push", &error);
                }
            }
        }
        Vec::new()
    }

    fn cancel(&mut self, id: PushId) {
        self.say(Word::MayCancel(id));
        let cancelled = self.ask("cancel", |agent| match agent.cancel(id) {
            // Not paused in time.
            Err(error) if error.kind() == ErrorKind::State => Ok(false),
            result => result.map(|()| true),
        });
        if cancelled == Some(true) {
            self.say(Word::Cancelled(id));
        }
    }

    fn remove(&mut self, name: &str, with: Option<PushId>) -> bool {
        self.say(Word::MayRemove(name.to_owned()));
        if let Some(id) = with {
            self.say(Word::MayCancel(id));
        }
        let removed = self.ask("remove", |agent| match agent.remove_cancelling(name) {
            // Not paused in time, so a request of it may be under way.
            Err(error) if matches!(error.kind(), ErrorKind::State | ErrorKind::NotFound) => Ok(false),
            result => result.map(|()| true),
        });
        removed == Some(true)
    }

    fn flush(&mut self) {
        let patience = self.patience;
        self.ask("flush", |agent| agent.flush(patience));
    }

    fn ask<T>(&mut self, what: &str, call: impl Fn(&Agent) -> Result<T>) -> Option<T> {
        for _ in 0..TRIES {
            match call(self.agent.as_ref()?) {
                Ok(value) => return Some(value),
                Err(error) if error.kind() == ErrorKind::NotFound => return None,
                Err(error) => self.failed(what, &error),
            }
        }
        None
    }

    fn say(&mut self, word: Word) {
        if let Some(tell) = self.tell {
            tell(&word);
        }
        let moment = self.disk.map_or(0, Disk::moment);
        self.ledger.note(moment, word);
    }

    /// Every error must tell of the disk; anything else would mislead whoever reads it.
    fn failed(&mut self, what: &str, error: &Error) {
        let kind = error.kind();
        assert!(
            matches!(kind, ErrorKind::Store | ErrorKind::DiskFull | ErrorKind::Busy),
            "{what} failed with {kind}: {error}"
        );
        self.say(Word::Failed(kind));
    }

    fn document(&self, changes: &Value) -> Value {
        let mut config = crate::support::case_system::config_for(&self.url);
        config["hasAuth"] = json!(true);
        config["retry"] = json!({"baseMs": 1, "capMs": 20});
        for (name, value) in changes.as_object().expect("an object") {
            config[name] = value.clone();
        }
        json!({"config": config, "secrets": {"user": "monitor", "password": "hunter2"}})
    }

    fn finding(&self) -> Value {
        json!({
            "findIncidentUrl": format!("{}/issues?q={{{{{{case.id}}}}}}", self.url),
            "findIncidentResponseKey": "issues[].id",
            "findSettleMs": 100,
            "idempotencyHeader": null,
        })
    }
}

fn case(id: &str, comments: &[&str]) -> Case {
    let case = Case::new(format!("Case {id}"))
        .id(id)
        .description("It happened. ".repeat(20));
    comments.iter().fold(case, |case, comment| {
        case.comment(*comment, format!("This is {comment}"))
    })
}
