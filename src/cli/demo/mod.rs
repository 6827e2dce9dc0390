//! `casehook demo`: an outage from the first push to the last delivery, played on this machine in a few seconds.

mod case_system;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use self::case_system::CaseSystem;
use super::Session;
use super::connectors::{now, trouble};
use super::failure::{self, Failure};
use super::out::{Table, count, escape, wrap_from};
use super::show;
use crate::{Agent, Case, Connector, ErrorKind, Filter, Options, PushId, PushState, PushStatus};

/// The whole demo is over by then, one way or the other.
const LIMIT: Duration = Duration::from_secs(15);
/// How soon a change is noticed.
const TICK: Duration = Duration::from_millis(20);
/// What the demo's connector is called.
const NAME: &str = "tracker";

/// Plays the demo.
pub(super) fn run(session: &mut Session<'_>) -> Result<i32, Failure> {
    let directory = TempDir::create()?;
    let port = CaseSystem::reserve_port().map_err(|error| local("a free port on 127.0.0.1", &error))?;
    // No settings of the command line: they could keep it from reaching its own case system.
    let agent = Agent::open(directory.0.join("demo.db"), Options::new())?;
    let mut demo = Demo {
        deadline: Instant::now() + LIMIT,
        port,
        agent,
    };
    let result = demo.play(session);
    // Its file is removed next: what it could not finish in time does not matter.
    let _ = demo.agent.close(Duration::from_secs(2));
    result
}

struct Demo {
    deadline: Instant,
    port: u16,
    agent: Agent,
}

impl Demo {
    fn play(&mut self, session: &mut Session<'_>) -> Result<i32, Failure> {
        self.describe(session)?;
        let pushes = self.push_while_down(session)?;
        self.show_waiting(session)?;
        let system = self.bring_up(session)?;
        self.show_delivered(session, &pushes)?;
        self.update_once_more(session)?;
        self.show_system(session, &system)
    }

    fn describe(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        let document = connector(self.port);
        let warnings = self
            .agent
            .configure(NAME, &Connector::from_json(&document.to_string())?)?;
        say(
            session,
            "This demo plays an outage on your machine. Nothing leaves it.\n",
        );
        step(session, 1, "A connector says how to talk to a case system.");
        for (what, name) in [
            ("open", "createIncident"),
            ("change", "updateIncident"),
            ("comment", "createComment"),
        ] {
            let value = |key: &str| {
                document["config"][format!("{name}{key}")]
                    .as_str()
                    .unwrap_or_default()
            };
            let method = value("Method").to_uppercase();
            session
                .out
                .text(&format!("   {what:<7} {method:<4} {}", value("Url")));
        }
        for warning in warnings {
            say(
                session,
                &format!("Warning: {}: {}", warning.field, warning.message),
            );
        }
        Ok(())
    }

    fn push_while_down(&self, session: &mut Session<'_>) -> Result<Vec<PushId>, Failure> {
        step(
            session,
            2,
            "That system is down. Cases are pushed all the same, and stored on disk.",
        );
        let mut table = Table::new(&["PUSH", "CASE", "TITLE", "COMMENTS"]);
        let mut pushes = Vec::new();
        for (case, title, comments) in [
            (
                "host-7/disk",
                "Disk 80 % full on host-7",
                &["Noticed by the hourly check"][..],
            ),
            (
                "vpn/login",
                "Many failed logins on the VPN",
                &["Same network as last week", "Blocked it"],
            ),
            (
                "web/cert",
                "Certificate expires in 5 days",
                &["Renewal is ordered"],
            ),
            (
                "host-7/disk",
                "Disk 95 % full on host-7",
                &["Noticed by the hourly check", "It grows"],
            ),
        ] {
            let id = self.agent.push(NAME, &self.case(case, title, comments)?)?;
            let comments = count(comments.len() as u64, "comment", "comments");
            table.row(vec![id.to_string(), case.to_owned(), title.to_owned(), comments]);
            pushes.push(id);
        }
        session.out.text(&table.lines(3));
        Ok(pushes)
    }

    fn show_waiting(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        let reason = self.until(session, "a first try to reach the case system", || {
            let stats = self.agent.stats()?;
            let offline = stats
                .connectors
                .iter()
                .find_map(|counts| trouble(&counts.health, now()));
            let pushes = self.agent.pushes(&Filter::new())?;
            let failed = pushes
                .into_iter()
                .find_map(|status| status.error.map(|error| error.message));
            Ok(failed.or(offline))
        })?;
        step(session, 3, "They wait. casehook keeps trying, and says why:");
        say(session, &format!("Reason: {}", escape(&reason)));
        self.list(session)?;
        if self
            .agent
            .pushes(&Filter::new().state(PushState::Superseded))?
            .len()
            == 1
        {
            say(
                session,
                "The last push took the place of the first: same case, newer text, nothing sent yet.",
            );
        }
        Ok(())
    }

    fn bring_up(&self, session: &mut Session<'_>) -> Result<CaseSystem, Failure> {
        step(session, 4, "The case system comes up.");
        // The port is free again since step 1, and somebody else may hold it for a moment.
        self.until(session, "starting the case system", || {
            match CaseSystem::start(self.port) {
                Ok(system) => Ok(Some(system)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
                Err(error) => Err(local("the demo's case system", &error)),
            }
        })
    }

    fn show_delivered(&self, session: &mut Session<'_>, pushes: &[PushId]) -> Result<(), Failure> {
        let begin = Instant::now();
        for &id in pushes {
            self.delivered(session, id)?;
        }
        let millis = begin.elapsed().as_millis();
        say(
            session,
            &format!("Everything was delivered {millis} ms later, comments included:"),
        );
        self.list(session)
    }

    fn update_once_more(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        step(
            session,
            5,
            "A later push of the same case updates the same incident.",
        );
        let case = self.case(
            "host-7/disk",
            "Disk on host-7 is fine again",
            &["Old logs removed"],
        )?;
        let id = self.agent.push(NAME, &case)?;
        let status = self.delivered(session, id)?;
        let incident = status.external_id.as_deref().unwrap_or("?");
        let url = status.external_url.as_deref().unwrap_or("?");
        say(session, &format!("Push {id} went to incident {incident}: {url}"));
        Ok(())
    }

    fn show_system(&self, session: &mut Session<'_>, system: &CaseSystem) -> Result<i32, Failure> {
        step(session, 6, "What the case system now holds:");
        let issues = system.issues();
        let mut table = Table::new(&["INCIDENT", "TITLE", "UPDATES", "COMMENTS"]);
        for (number, issue) in &issues {
            table.row(vec![
                number.to_string(),
                issue.title.clone(),
                issue.updates.to_string(),
                issue.comments.len().to_string(),
            ]);
        }
        session.out.text(&table.lines(3));
        session.out.json(&json!({
            "pushes": self.agent.pushes(&Filter::new())?,
            "incidents": issues
                .iter()
                .map(|(number, issue)| json!({"id": number, "title": issue.title,
                    "updates": issue.updates, "comments": issue.comments}))
                .collect::<Vec<Value>>(),
        }));
        let comments: Vec<usize> = issues.iter().map(|(_, issue)| issue.comments.len()).collect();
        if comments.iter().sum::<usize>() != 6 || issues.len() != 3 {
            return Err(Failure::new(
                ErrorKind::Internal,
                "the demo expected 3 incidents with 6 comments; this is a fault of casehook, please report it",
            ));
        }
        say(
            session,
            "Three cases, three incidents, every comment once: nothing lost, nothing twice.",
        );
        session.out.text("\nNext: `casehook --help`");
        Ok(failure::OK)
    }

    fn delivered(&self, session: &Session<'_>, id: PushId) -> Result<PushStatus, Failure> {
        let what = format!("delivery of push {id}");
        let status = self.until(session, &what, || match self.agent.wait(id, TICK) {
            Ok(status) => Ok(Some(status)),
            Err(error) if error.kind() == ErrorKind::Timeout => Ok(None),
            Err(error) => Err(error.into()),
        })?;
        if status.state == PushState::Delivered {
            Ok(status)
        } else {
            Err(Failure::new(ErrorKind::State, show::sentence(&status)))
        }
    }

    fn list(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        let mut pushes = self.agent.pushes(&Filter::new())?;
        pushes.reverse();
        let mut table = Table::new(&["PUSH", "STATE", "CASE", "INCIDENT", "LINK"]);
        for status in pushes {
            let link = match status.superseded_by {
                Some(by) => format!("see push {by}"),
                None => status.external_url.unwrap_or_default(),
            };
            table.row(vec![
                status.id.to_string(),
                status.state.to_string(),
                status.case_id.unwrap_or_default(),
                status.external_id.unwrap_or_default(),
                link,
            ]);
        }
        session.out.text(&table.lines(3));
        Ok(())
    }

    fn case(&self, id: &str, title: &str, comments: &[&str]) -> Result<Case, Failure> {
        let comments: Vec<Value> = comments
            .iter()
            .map(|text| json!({"commentId": text, "comment": text}))
            .collect();
        let document = json!({
            "incident": {"id": id, "title": title, "description": "Pushed by casehook demo", "severity": "high"},
            "comments": comments,
        });
        Ok(Case::from_json(&document.to_string())?)
    }

    /// Asks until there is an answer, somebody stops the demo, or its time is up.
    fn until<T>(
        &self,
        session: &Session<'_>,
        what: &str,
        mut ask: impl FnMut() -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        loop {
            if let Some(answer) = ask()? {
                return Ok(answer);
            }
            if session.stop.wait(TICK) {
                return Err(Failure::new(ErrorKind::Timeout, "the demo was stopped"));
            }
            if Instant::now() >= self.deadline {
                let limit = LIMIT.as_secs();
                return Err(Failure::new(
                    ErrorKind::Timeout,
                    format!("the demo gave up after {limit} s: {what} took too long"),
                ));
            }
        }
    }
}

fn connector(port: u16) -> Value {
    let issues = format!("http://127.0.0.1:{port}/issues");
    let issue = format!("{issues}/{{{{{{external.system.id}}}}}}");
    let body = "{\"title\": {{{case.title}}}, \"description\": {{{case.description}}}, \
                \"severity\": {{{case.severity}}}}";
    json!({"config": {
        "createIncidentUrl": issues,
        "createIncidentMethod": "post",
        "createIncidentJson": body,
        "createIncidentResponseKey": "id",
        "getIncidentUrl": issue,
        "getIncidentResponseExternalTitleKey": "title",
        "viewIncidentUrl": issue,
        "updateIncidentUrl": issue,
        "updateIncidentMethod": "put",
        "updateIncidentJson": body,
        "createCommentUrl": format!("{issue}/comments"),
        "createCommentMethod": "post",
        "createCommentJson": "{\"comment\": {{{case.comment}}}}",
        "hasAuth": false,
        "retry": {"baseMs": 200, "capMs": 500},
    }})
}

fn step(session: &mut Session<'_>, number: u8, text: &str) {
    let gap = if number == 1 { "" } else { "\n" };
    session
        .out
        .text(&format!("{gap}{number}. {}", wrap_from(text, 3, 3)));
}

fn say(session: &mut Session<'_>, text: &str) {
    let end = if text.ends_with('\n') { "\n" } else { "" };
    let indent = if end.is_empty() { "   " } else { "" };
    session.out.text(&format!(
        "{indent}{}{end}",
        wrap_from(text, indent.len(), indent.len())
    ));
}

fn local(what: &str, error: &io::Error) -> Failure {
    Failure::new(ErrorKind::Internal, format!("{what} cannot be had: {error}"))
}

/// A directory of its own that is removed with everything in it.
struct TempDir(PathBuf);

impl TempDir {
    fn create() -> Result<TempDir, Failure> {
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_nanos());
        let path = std::env::temp_dir().join(format!("casehook-demo-{}-{nanos}", process::id()));
        create_private(&path).map_err(|error| local(&format!("the directory {}", path.display()), &error))?;
        Ok(TempDir(path))
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // What is left lies in the directory for temporary files, where somebody cleans up.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Fails when it exists: another user may have made it.
fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}
