//! What the host was promised, and whether it was kept.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use casehook::{Agent, CommentState, ErrorKind, Filter, PushId, PushState, PushStatus};

use crate::scenario;
use crate::support::case_system::{CaseSystem, Incident};

/// Far more than any delivery here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// A push whose number the host got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) id: PushId,
    pub(crate) connector: String,
    pub(crate) case: String,
    pub(crate) comments: Vec<String>,
}

/// What the host was told, or asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    Configured(String),
    Accepted(Accepted),
    /// Cancelling, or removing its connector, was about to be asked for.
    MayCancel(PushId),
    Cancelled(PushId),
    MayRemove(String),
    /// A call failed.
    Failed(ErrorKind),
}

/// Every word, and the moment on the disk's recording when it was given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) words: Vec<(usize, Word)>,
}

/// What came out, for the summary.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) points: usize,
    pub(crate) errors: usize,
    pub(crate) pushes: usize,
    pub(crate) uncertain: usize,
    /// Incidents and comments beyond the first of their kind.
    pub(crate) duplicates: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Tally) {
        self.points += other.points;
        self.errors += other.errors;
        self.pushes += other.pushes;
        self.uncertain += other.uncertain;
        self.duplicates += other.duplicates;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} points, {} errors seen, {} pushes accepted, {} uncertain, {} duplicates",
            self.points, self.errors, self.pushes, self.uncertain, self.duplicates
        )
    }
}

impl Ledger {
    pub(crate) fn note(&mut self, moment: usize, word: Word) {
        self.words.push((moment, word));
    }

    /// What had been said by a moment. What was asked for but not answered by then stays possible.
    pub(crate) fn until(&self, moment: usize) -> Ledger {
        let said = |word: &Word| matches!(word, Word::MayCancel(_) | Word::MayRemove(_));
        let words = self.words.iter().filter(|(at, word)| *at <= moment || said(word));
        Ledger {
            words: words.cloned().collect(),
        }
    }

    pub(crate) fn errors(&self) -> usize {
        let failed = |(_, word): &&(usize, Word)| matches!(word, Word::Failed(_));
        self.words.iter().filter(failed).count()
    }

    fn accepted(&self) -> impl Iterator<Item = &Accepted> {
        self.words.iter().filter_map(|(_, word)| match word {
            Word::Accepted(accepted) => Some(accepted),
            _ => None,
        })
    }

    fn says(&self, word: &Word) -> bool {
        self.words.iter().any(|(_, said)| said == word)
    }

    /// Has everything delivered that is left, and compares with what was promised.
    ///
    /// `point` names the trial in what is said when a promise was broken.
    pub(crate) fn check(&self, agent: &Agent, system: &CaseSystem, point: &str) -> Tally {
        for (_, word) in &self.words {
            let Word::Configured(name) = word else { continue };
            if !self.says(&Word::MayRemove(name.clone())) {
                agent
                    .connector(name)
                    .unwrap_or_else(|error| panic!("{point}: a connector is gone: {error}"));
            }
        }
        drain(agent, point);
        let incidents = system.incidents();
        let mut tally = Tally {
            points: 1,
            errors: self.errors(),
            ..Tally::default()
        };
        for accepted in self.accepted() {
            tally.pushes += 1;
            self.check_push(accepted, agent, &incidents, point);
        }
        let all = agent.pushes(&every()).expect("the pushes");
        tally.uncertain = all.iter().filter(|status| is_uncertain(status)).count();
        tally.duplicates = check_repeats(&all, &incidents, system.honours_keys(), point);
        for request in system.requests() {
            let sent = request.header("authorization");
            assert_eq!(sent, Some(scenario::AUTHORIZATION), "{point}: other secrets");
        }
        tally
    }

    fn check_push(&self, accepted: &Accepted, agent: &Agent, incidents: &[Incident], point: &str) {
        let id = accepted.id;
        let mut status = agent
            .status(id)
            .unwrap_or_else(|error| panic!("{point}: push {id} was accepted and is lost: {error}"));
        while let (PushState::Superseded, Some(next)) = (status.state, status.superseded_by) {
            status = agent.status(next).expect("what superseded it");
        }
        if self.says(&Word::Cancelled(id)) {
            assert_eq!(
                status.state,
                PushState::Cancelled,
                "{point}: push {id} was cancelled"
            );
            return;
        }
        if status.state == PushState::Cancelled {
            assert!(
                self.says(&Word::MayCancel(id)),
                "{point}: nobody cancelled push {id}"
            );
            return;
        }
        assert_eq!(
            status.state,
            PushState::Delivered,
            "{point}: push {id}: {status:?}"
        );
        let mine: Vec<&Incident> = incidents_of(incidents, &accepted.case).collect();
        assert!(
            !mine.is_empty(),
            "{point}: push {id} was delivered, and there is no incident"
        );
        for comment in &accepted.comments {
            let there = mine
                .iter()
                .flat_map(|incident| &incident.comments)
                .any(|sent| sent["id"] == **comment);
            assert!(there, "{point}: comment {comment} of push {id} did not arrive");
        }
    }
}

/// Lets everything go on that somebody would have to, and waits until nothing is left.
fn drain(agent: &Agent, point: &str) {
    for connector in agent.stats().expect("stats").connectors {
        agent.resume(&connector.connector).expect("resume");
    }
    for _ in 0..3 {
        for status in agent.pushes(&every().state(PushState::Failed)).expect("pushes") {
            agent.retry(status.id).expect("retry");
        }
        let done = agent.flush(PATIENCE).expect("flush");
        let left = |state| agent.pushes(&every().state(state)).expect("pushes");
        assert!(
            done,
            "{point}: not drained: {:?}, {:#?}",
            agent.stats(),
            [
                left(PushState::Sending),
                left(PushState::Held),
                left(PushState::Queued),
                left(PushState::Waiting)
            ]
        );
        if left(PushState::Failed).is_empty() {
            return;
        }
    }
    panic!("{point}: pushes fail again and again");
}

/// How much there is more than once; each must be marked, and there is nothing where keys or the look-up prevent it.
fn check_repeats(all: &[PushStatus], incidents: &[Incident], keys: bool, point: &str) -> usize {
    let mut cases = BTreeMap::<&str, Vec<&Incident>>::new();
    for incident in incidents {
        let case = incident.fields["caseId"].as_str().expect("a case id");
        cases.entry(case).or_default().push(incident);
    }
    let mut repeats = 0;
    for (case, incidents) in cases {
        let of_case: Vec<&PushStatus> = all
            .iter()
            .filter(|status| status.case_id.as_deref() == Some(case))
            .collect();
        let more = incidents.len() - 1;
        let looked_up = of_case.iter().any(|status| status.connector == scenario::FINDING);
        if more > 0 {
            assert!(
                !keys && !looked_up,
                "{point}: case {case} was opened {} times",
                more + 1
            );
            let marked = of_case.iter().any(|status| status.uncertain);
            assert!(
                marked,
                "{point}: case {case} was opened twice, unmarked: {of_case:#?}"
            );
        }
        repeats += more;
        let mut comments = BTreeMap::<&str, usize>::new();
        for comment in incidents.iter().flat_map(|incident| &incident.comments) {
            *comments
                .entry(comment["id"].as_str().expect("an id"))
                .or_default() += 1;
        }
        for (comment, times) in comments.into_iter().filter(|(_, times)| *times > 1) {
            assert!(
                !keys || looked_up,
                "{point}: comment {comment} was sent {times} times"
            );
            let marked = of_case
                .iter()
                .flat_map(|status| &status.comments)
                .any(|c| c.comment_id == comment && c.state == CommentState::Uncertain);
            assert!(
                marked,
                "{point}: comment {comment} was sent {times} times, unmarked"
            );
            repeats += times - 1;
        }
    }
    repeats
}

fn is_uncertain(status: &PushStatus) -> bool {
    status.uncertain
        || status
            .comments
            .iter()
            .any(|comment| comment.state == CommentState::Uncertain)
}

fn incidents_of<'a>(incidents: &'a [Incident], case: &'a str) -> impl Iterator<Item = &'a Incident> {
    incidents
        .iter()
        .filter(move |incident| incident.fields.get("caseId").is_some_and(|id| id == case))
}

fn every() -> Filter {
    Filter::new().limit(10_000)
}

/// SQLite's own check, after the last close.
pub(crate) fn assert_whole(database: &Path, point: &str) {
    assert_eq!(casehook_test_vfs::integrity(database), "ok", "{point}");
}
