//! Lets a tortured database drain, and holds what the target recorded against what was accepted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use casehook::{Agent, CommentState, Filter, PushId, PushState, PushStatus};

use super::child::{self, Try};
use super::server::{Moment, Record, Server, Step};

/// How long the backlog may take at the end.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a torture came to.
#[derive(Debug, Default)]
pub struct Counts {
    pub kills: u64,
    pub random: u64,
    pub planned: HashMap<(Step, Moment), u64>,
    pub tried: u64,
    pub accepted: u64,
    pub delivered: u64,
    pub superseded: u64,
    pub held: u64,
    pub failed: u64,
    pub uncertain: u64,
    pub uncertain_comments: u64,
    pub requests: u64,
    pub cases: u64,
    pub second_incidents: u64,
    pub second_comments: u64,
    pub unacknowledged: u64,
}

impl Counts {
    #[allow(
        dead_code,
        reason = "one of the programs that share this tortures one database"
    )]
    pub fn add(&mut self, other: &Counts) {
        for (at, count) in &other.planned {
            *self.planned.entry(*at).or_default() += count;
        }
        self.kills += other.kills;
        self.random += other.random;
        self.tried += other.tried;
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.superseded += other.superseded;
        self.held += other.held;
        self.failed += other.failed;
        self.uncertain += other.uncertain;
        self.uncertain_comments += other.uncertain_comments;
        self.requests += other.requests;
        self.cases += other.cases;
        self.second_incidents += other.second_incidents;
        self.second_comments += other.second_comments;
        self.unacknowledged += other.unacknowledged;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "kills {} ({} at random moments, {} at named ones)",
            self.kills,
            self.random,
            self.planned.values().sum::<u64>()
        )?;
        let named: BTreeMap<String, u64> = self
            .planned
            .iter()
            .map(|((step, moment), count)| (format!("{step:?}/{moment:?}"), *count))
            .collect();
        for (name, count) in named {
            write!(f, "  {name} {count}")?;
        }
        write!(
            f,
            "\npushes: tried {}, acknowledged {}, stored without acknowledgement {}, delivered {}, superseded {}\n\
             uncertain: pushes {}, comments {}; decided by hand: held {}, failed {}\n\
             target: requests {}, cases {}; second incidents {} and second comments {}, each of them marked uncertain",
            self.tried,
            self.accepted,
            self.unacknowledged,
            self.delivered,
            self.superseded,
            self.uncertain,
            self.uncertain_comments,
            self.held,
            self.failed,
            self.requests,
            self.cases,
            self.second_incidents,
            self.second_comments,
        )
    }
}

/// Panics with everything that is wrong.
pub fn judge(database: &Path, server: &Server, tries: &[Try], counts: &mut Counts) {
    let agent = Agent::open(database, child::options()).expect("the database opens after the last kill");
    let retried = drain(&agent, server, counts);
    let statuses: HashMap<i64, PushStatus> = agent
        .pushes(&Filter::new().limit(usize::MAX >> 1))
        .unwrap()
        .into_iter()
        .map(|status| (status.id.get(), status))
        .collect();
    agent.close(Duration::from_secs(10)).unwrap();
    let integrity: String = match database.to_str().is_some_and(|text| text.contains("://")) {
        true => "ok".to_owned(),
        false => rusqlite::Connection::open(database)
            .unwrap()
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap(),
    };
    let mut wrong = Vec::new();
    if integrity != "ok" {
        wrong.push(format!("integrity_check: {integrity}"));
    }
    server.read(|record| {
        // Somebody's retry of a push that had failed sends its comment once more, marked.
        let by_hand: HashSet<String> = retried
            .iter()
            .flat_map(|push| &statuses[push].comments)
            .map(|comment| format!("comment {:?} came again", comment.comment_id))
            .collect();
        wrong.extend(
            record
                .broken
                .iter()
                .filter(|what| !by_hand.iter().any(|expected| what.contains(expected.as_str())))
                .cloned(),
        );
        let mut judge = Judge {
            record,
            statuses: &statuses,
            retried: &retried,
            counts,
            wrong: &mut wrong,
        };
        judge.all(tries);
    });
    for what in &wrong {
        let case = what.split(": ").next().unwrap_or_default();
        println!(
            "{what}\n  {:?}",
            server.read(|record| record.log.get(case).cloned())
        );
        for status in statuses.values() {
            if case
                == format!(
                    "{}/{}",
                    status.connector,
                    status.case_id.as_deref().unwrap_or_default()
                )
            {
                println!("  {status:?}");
            }
        }
    }
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

/// Delivers everything, deciding as a person who can look at the target would. The pushes that had failed.
fn drain(agent: &Agent, server: &Server, counts: &mut Counts) -> HashSet<i64> {
    let until = Instant::now() + PATIENCE;
    let mut retried = HashSet::new();
    loop {
        let settled = agent.flush(Duration::from_secs(5)).unwrap();
        let of = |state| agent.pushes(&Filter::new().state(state).limit(100_000)).unwrap();
        let (held, failed) = (of(PushState::Held), of(PushState::Failed));
        if settled && held.is_empty() && failed.is_empty() {
            return retried;
        }
        assert!(Instant::now() < until, "not drained: {:?}", agent.stats());
        for push in held {
            counts.held += 1;
            let case = push.case_id.clone().unwrap_or_default();
            let incident = server.read(|record| {
                record
                    .incidents
                    .iter()
                    .rposition(|i| i.lane == push.connector && i.case == case)
            });
            match incident.filter(|_| push.connector != "keys") {
                Some(number) => agent.adopt(push.id, &number.to_string()).unwrap(),
                None => agent.retry(push.id).unwrap(),
            }
        }
        for push in failed {
            counts.failed += 1;
            retried.insert(push.id.get());
            agent.retry(push.id).unwrap();
        }
    }
}

struct Judge<'a> {
    record: &'a Record,
    statuses: &'a HashMap<i64, PushStatus>,
    retried: &'a HashSet<i64>,
    counts: &'a mut Counts,
    wrong: &'a mut Vec<String>,
}

impl Judge<'_> {
    fn all(&mut self, tries: &[Try]) {
        let mut cases: BTreeMap<(String, String), Vec<&Try>> = BTreeMap::new();
        for push in tries {
            cases
                .entry((push.lane.clone(), push.case.clone()))
                .or_default()
                .push(push);
        }
        let mut by_case: HashMap<(String, String), Vec<&PushStatus>> = HashMap::new();
        for status in self.statuses.values() {
            let case = (
                status.connector.clone(),
                status.case_id.clone().unwrap_or_default(),
            );
            by_case.entry(case).or_default().push(status);
        }
        for (case, tries) in &cases {
            let statuses = by_case.remove(case).unwrap_or_default();
            self.case(case, tries, &statuses);
        }
        for case in by_case.keys() {
            self.wrong.push(format!("{case:?} was never pushed"));
        }
        self.count(tries);
    }

    fn count(&mut self, tries: &[Try]) {
        let of = |state| self.statuses.values().filter(|s| s.state == state).count() as u64;
        self.counts.delivered += of(PushState::Delivered);
        self.counts.superseded += of(PushState::Superseded);
        self.counts.uncertain += self.statuses.values().filter(|s| s.uncertain).count() as u64;
        self.counts.uncertain_comments += self
            .statuses
            .values()
            .flat_map(|s| &s.comments)
            .filter(|c| c.state == CommentState::Uncertain)
            .count() as u64;
        self.counts.tried += tries.len() as u64;
        let accepted = tries.iter().filter(|t| t.push.is_some()).count() as u64;
        self.counts.accepted += accepted;
        self.counts.unacknowledged += self.statuses.len() as u64 - accepted;
        self.counts.requests += self.record.requests;
    }

    fn case(&mut self, case: &(String, String), tries: &[&Try], statuses: &[&PushStatus]) {
        let name = format!("{}/{}", case.0, case.1);
        for status in statuses {
            if !matches!(status.state, PushState::Delivered | PushState::Superseded) {
                let what = format!("{name}: push {} ended {}", status.id, status.state);
                self.wrong.push(what);
            }
        }
        for push in tries.iter().filter_map(|t| t.push) {
            if !self.arrived(push) {
                self.wrong.push(format!("{name}: push {push} did not arrive"));
            }
        }
        let newest = tries.iter().rev().find(|t| t.push.is_some()).map(|t| t.version);
        let incidents: Vec<_> = self
            .record
            .incidents
            .iter()
            .filter(|i| i.lane == case.0 && i.case == case.1)
            .collect();
        self.counts.cases += u64::from(!incidents.is_empty());
        match (newest, incidents.last()) {
            (Some(newest), Some(last)) if last.version < newest => {
                let what = format!("{name}: shows {} and not {newest}", last.version);
                self.wrong.push(what);
            }
            (_, Some(last)) if !tries.iter().any(|t| t.version == last.version) => {
                let what = format!("{name}: shows {}, which nobody pushed", last.version);
                self.wrong.push(what);
            }
            (Some(newest), None) => self.wrong.push(format!("{name}: {newest} made no incident")),
            _ => {}
        }
        self.incidents_once(case, &name, incidents.len(), tries, statuses);
        self.comments(&name, tries, statuses);
    }

    fn incidents_once(
        &mut self,
        case: &(String, String),
        name: &str,
        incidents: usize,
        tries: &[&Try],
        statuses: &[&PushStatus],
    ) {
        if incidents <= 1 {
            return;
        }
        self.counts.second_incidents += incidents as u64 - 1;
        if case.0 != "retry" {
            self.wrong.push(format!("{name}: {incidents} incidents"));
        }
        let versions: Vec<u64> = self
            .record
            .creates
            .keys()
            .filter(|(key, _)| key == name)
            .map(|(_, version)| *version)
            .collect();
        if versions.len() != 1 {
            self.wrong
                .push(format!("{name}: created by the pushes {versions:?}"));
        }
        for version in versions {
            let number = tries
                .iter()
                .find(|t| t.version == version)
                .and_then(|t| t.push.map(PushId::from));
            let marked = statuses
                .iter()
                .any(|s| s.uncertain && number.is_none_or(|n| n == s.id));
            if !marked {
                let what =
                    format!("{name}: {version} made {incidents} incidents and is not marked uncertain");
                self.wrong.push(what);
            }
        }
    }

    fn comments(&mut self, name: &str, tries: &[&Try], statuses: &[&PushStatus]) {
        let empty = Vec::new();
        let came = self.record.comments.get(name).unwrap_or(&empty);
        let mut first = Vec::new();
        let mut times: HashMap<&str, u32> = HashMap::new();
        for id in came {
            let times = times.entry(id).or_default();
            *times += 1;
            if *times == 1 {
                first.push(id.as_str());
            }
        }
        for (id, times) in &times {
            let marked = statuses
                .iter()
                .flat_map(|s| &s.comments)
                .any(|c| c.comment_id == *id && c.state == CommentState::Uncertain);
            if *times > 1 {
                self.counts.second_comments += u64::from(times - 1);
                if !marked {
                    let what = format!("{name}: comment {id} came {times} times and is not marked uncertain");
                    self.wrong.push(what);
                }
            }
        }
        let expected: Vec<(&str, bool)> = tries
            .iter()
            .flat_map(|t| t.comments.iter().map(|id| (id.as_str(), t.push.is_some())))
            .collect();
        for (id, accepted) in &expected {
            if *accepted && !times.contains_key(id) {
                self.wrong.push(format!("{name}: comment {id} did not arrive"));
            }
        }
        let in_order: Vec<&str> = expected
            .iter()
            .map(|(id, _)| *id)
            .filter(|id| times.contains_key(id))
            .collect();
        // A failed push lets later ones pass, and its comments come when somebody retries it.
        let passed = statuses.iter().any(|s| self.retried.contains(&s.id.get()));
        if first != in_order && !passed {
            self.wrong.push(format!(
                "{name}: comments came as {first:?} and not as {in_order:?}"
            ));
        }
    }

    /// Whether a push was delivered, or one that took its place.
    fn arrived(&self, push: i64) -> bool {
        let mut status = self.statuses.get(&push);
        while let Some(next) = status.and_then(|s| s.superseded_by) {
            status = self.statuses.get(&next.get());
        }
        status.is_some_and(|s| s.state == PushState::Delivered)
    }
}
