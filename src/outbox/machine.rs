//! The push state machine: which request comes next, and what an exchange changes.

use std::time::Duration;

use super::backoff::{blocked_probe, full_jitter};
use super::classify::Verdict;
use super::{Claim, Health, Intent, LinkChange, Outcome, Progress, Push, Trouble};
use crate::connector::Config;
use crate::connector::config::{OnExternalGone, OnUncertainCreate};
use crate::model::{CommentState, FailureClass, PushError, PushState, Step, Timestamp};
use crate::step::find::Found;

/// How often a comment is sent again after its outcome was lost.
const COMMENT_RESENDS: u32 = 3;
/// How often a 412 is answered with a fresh get.
const FRESH_GETS: u32 = 3;

/// What to do next for a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Make and send the request of this step; for a comment, of the one at that place.
    Send(Step, Option<u32>),
    /// Nothing is left to send.
    Finish,
}

/// What a finished exchange brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Success {
    Created {
        external_id: String,
        view_url: Option<String>,
    },
    Updated,
    Got {
        title: Option<String>,
        url: String,
        etag: Option<String>,
    },
    Commented,
    Found(Found),
}

/// The surroundings of an exchange that decide what becomes of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) config: &'a Config,
    pub(crate) health: &'a Health,
    pub(crate) now: Timestamp,
    /// The dice of the jitter, from 0 to 1.
    pub(crate) dice: f64,
    /// How often the connector was throttled in a row without saying for how long.
    pub(crate) throttles: u32,
}

/// The next request of a claimed push. Also where the first step is decided: update what is known, else create.
pub(crate) fn next(claim: &Claim, config: &Config) -> Action {
    let progress = &claim.push.progress;
    let step = progress.step.unwrap_or_else(|| first_step(claim));
    match step {
        Step::Create | Step::Find => Action::Send(step, None),
        Step::Update if config.sends_updates() => Action::Send(step, None),
        Step::Get if config.get.is_some() => Action::Send(step, None),
        Step::Update | Step::Get | Step::Comment => match next_comment(claim, config) {
            Some(place) => Action::Send(Step::Comment, Some(place)),
            None => Action::Finish,
        },
    }
}

/// The id of the incident that the push is about, as far as it is known.
pub(crate) fn external_id(claim: &Claim) -> Option<&str> {
    let given = claim.push.case.external_id.as_deref().filter(|id| !id.is_empty());
    claim
        .push
        .progress
        .external_id
        .as_deref()
        .or(given)
        .or_else(|| match claim.push.progress.step {
            None | Some(Step::Update) => claim.link.as_ref().map(|link| link.external_id.as_str()),
            _ => None,
        })
}

/// Whether the incident is ours by link, and not named by the host.
pub(crate) fn by_link(claim: &Claim) -> bool {
    let given = claim
        .push
        .case
        .external_id
        .as_deref()
        .is_some_and(|id| !id.is_empty());
    !given
        && claim
            .link
            .as_ref()
            .is_some_and(|link| external_id(claim) == Some(link.external_id.as_str()))
}

/// The comments that will never be sent: empty, already sent under their id, or of a connector without comments.
pub(crate) fn skipped_comments(claim: &Claim, config: &Config) -> Vec<(u32, CommentState)> {
    (0u32..)
        .zip(claim.push.comments.iter().zip(&claim.push.case.comments))
        .filter(|(_, (progress, comment))| {
            progress.state == CommentState::Pending
                && (config.comment.is_none() || comment.text.is_empty() || progress.already_sent)
        })
        .map(|(place, _)| (place, CommentState::Skipped))
        .collect()
}

/// What a successful exchange changes.
pub(crate) fn succeeded(
    claim: &Claim,
    comment: Option<u32>,
    success: Success,
    setting: Setting<'_>,
) -> Outcome {
    let mut outcome = unchanged(claim);
    let progress = &mut outcome.progress;
    progress.state = PushState::Sending;
    progress.error = None;
    progress.external_id = progress
        .external_id
        .take()
        .or_else(|| external_id(claim).map(str::to_owned));
    match success {
        Success::Created {
            external_id,
            view_url,
        } => {
            progress.external_id = Some(external_id);
            progress.external_url = view_url;
            start_step(progress, Step::Get);
        }
        Success::Updated => start_step(progress, Step::Get),
        Success::Got { title, url, .. } => {
            progress.external_title = title;
            progress.external_url = Some(url);
            start_step(progress, Step::Comment);
        }
        Success::Commented => {
            if let Some(place) = comment {
                let state = if progress.resends > 0 {
                    CommentState::Uncertain
                } else {
                    CommentState::Sent
                };
                outcome.comments.push((place, state));
                if claim.push.case.id.as_deref().is_some_and(|id| !id.is_empty()) {
                    outcome.marks.push(place);
                }
            }
            start_step(progress, Step::Comment);
        }
        Success::Found(Found::One(id)) => {
            progress.external_id = Some(id);
            start_step(progress, Step::Get);
        }
        Success::Found(Found::None) => look_again_or_create(progress, setting),
        Success::Found(Found::Several(count)) => {
            let message = format!(
                "the look-up found {count} incidents for this case, so casehook cannot tell which is its own; \
                 name it with `adopt`, or `retry` when there is one only"
            );
            hold(progress, Step::Find, "foundSeveral", message);
        }
    }
    if outcome.progress.state == PushState::Sending {
        settle(claim, &mut outcome, setting);
    }
    outcome.health = recovered(setting.health, 200);
    outcome
}

/// What a push that has nothing left to send changes to.
pub(crate) fn finished(claim: &Claim, setting: Setting<'_>) -> Outcome {
    let mut outcome = unchanged(claim);
    outcome.progress.external_id = external_id(claim).map(str::to_owned);
    if let Some(link) = claim.link.as_ref().filter(|_| by_link(claim)) {
        let progress = &mut outcome.progress;
        progress.external_title = progress
            .external_title
            .take()
            .or_else(|| link.external_title.clone());
        progress.external_url = progress.external_url.take().or_else(|| link.external_url.clone());
    }
    start_step(&mut outcome.progress, Step::Comment);
    outcome.progress.state = PushState::Sending;
    settle(claim, &mut outcome, setting);
    outcome
}

/// What a failed exchange changes. `before` is the progress as it was before the request was about to be written.
pub(crate) fn failed(
    claim: &Claim,
    before: &Progress,
    step: Step,
    comment: Option<u32>,
    verdict: &Verdict,
    setting: Setting<'_>,
) -> Outcome {
    let mut outcome = unchanged(claim);
    let config = setting.config;
    let progress = &mut outcome.progress;
    progress.error = Some(PushError {
        code: verdict.code.clone(),
        kind: verdict.class,
        message: verdict.message.clone(),
        step,
        http_status: verdict.http_status,
        retryable: true,
    });
    outcome.health = match verdict.class {
        FailureClass::NotSent => Some(Health {
            offline: Some(trouble(
                setting.health.offline.as_ref(),
                verdict,
                setting.now,
                |probes| {
                    setting.now.plus(full_jitter(
                        config.retry.base,
                        config.retry.cap,
                        probes,
                        setting.dice,
                    ))
                },
            )),
            ..setting.health.clone()
        }),
        FailureClass::Auth => Some(Health {
            offline: None,
            blocked: Some(trouble(
                setting.health.blocked.as_ref(),
                verdict,
                setting.now,
                |probes| setting.now.plus(blocked_probe(probes)),
            )),
            ..setting.health.clone()
        }),
        FailureClass::Throttled => Some(Health {
            offline: None,
            throttled_until: Some(setting.now.plus(pause(verdict, setting))),
            ..setting.health.clone()
        }),
        _ => verdict
            .http_status
            .and_then(|status| recovered(setting.health, status)),
    };

    let counted = !matches!(
        verdict.class,
        FailureClass::NotSent | FailureClass::Throttled | FailureClass::Auth
    );
    if counted {
        progress.attempts = progress.attempts.saturating_add(1);
        progress.step_attempts = progress.step_attempts.saturating_add(1);
        progress.age_from.get_or_insert(setting.health.odometer_ms);
    }
    // Whatever class: an uncertain write stays known as one, so that a retry by hand repeats it to the byte.
    match verdict.class {
        FailureClass::NotSent => {
            progress.begun = before.begun;
            progress.target = before.target.clone();
            progress.intent = before.intent.clone();
            progress.resends = before.resends;
            progress.uncertain = before.uncertain;
        }
        FailureClass::Uncertain | FailureClass::UncertainAnswered => {
            if let Some(intent) = &mut progress.intent {
                intent.ended_at = Some(setting.now);
            }
        }
        // The first send's outcome stays unknown when a resend was only put off.
        FailureClass::Throttled | FailureClass::Auth | FailureClass::Transient => {
            if let (Some(intent), Some(old)) = (&mut progress.intent, &before.intent) {
                intent.ended_at = old.ended_at;
            }
        }
        _ => {}
    }

    let exhausted = exhausted(progress, counted, setting);
    match verdict.class {
        _ if config.retry.max_attempts == Some(1) => give_up(&mut outcome, comment, None),
        FailureClass::NotSent => {
            let at = outcome
                .health
                .as_ref()
                .and_then(|h| h.offline.as_ref())
                .map(|t| t.probe_at);
            wait(
                progress,
                at.map_or(Duration::ZERO, |at| at.since(setting.now)),
                setting.now,
            );
        }
        FailureClass::Throttled => wait(progress, pause(verdict, setting), setting.now),
        FailureClass::Auth => {
            progress.state = PushState::Queued;
            due(progress, Duration::ZERO, setting.now);
        }
        FailureClass::Permanent if step == Step::Find => {
            let message = format!(
                "the look-up failed, so it is not known whether the incident exists: {}; `retry` looks again, \
                 `adopt` names the incident",
                verdict.message
            );
            hold(progress, step, &verdict.code, message);
        }
        FailureClass::Permanent => {
            progress.intent = None;
            give_up(&mut outcome, comment, None);
        }
        FailureClass::Gone => match config.on_external_gone {
            OnExternalGone::Fail => give_up(
                &mut outcome,
                comment,
                Some(
                    "the linked incident is no longer there; `\"onExternalGone\": \"recreate\"` would open it anew",
                ),
            ),
            OnExternalGone::Recreate => recreate(&mut outcome, setting),
        },
        _ if exhausted.is_some() => give_up(&mut outcome, comment, exhausted.as_deref()),
        FailureClass::Precondition => {
            progress.preconditions += 1;
            if progress.preconditions > FRESH_GETS {
                give_up(
                    &mut outcome,
                    comment,
                    Some("the incident changed between each fresh get and its update"),
                );
            } else {
                back_off(progress, setting);
            }
        }
        FailureClass::Transient => back_off(progress, setting),
        FailureClass::Uncertain if step == Step::Comment => {
            if progress.resends >= COMMENT_RESENDS {
                give_up(
                    &mut outcome,
                    comment,
                    Some("its outcome was lost each time, so the target may show it more than once"),
                );
            } else {
                back_off(progress, setting);
            }
        }
        FailureClass::Uncertain | FailureClass::UncertainAnswered => {
            uncertain_create(claim, progress, verdict, setting);
        }
    }
    if let Some(error) = &mut outcome.progress.error {
        error.retryable = matches!(
            outcome.progress.state,
            PushState::Queued | PushState::Sending | PushState::Waiting
        );
    }
    outcome
}

/// Notes that a request is about to be written: what must be known if nothing is ever heard of it again.
pub(crate) fn begun(
    progress: &Progress,
    step: Step,
    target: &str,
    external_id: Option<&str>,
    intent: Option<Intent>,
) -> Progress {
    let mut next = progress.clone();
    next.state = PushState::Sending;
    next.step = Some(step);
    next.begun = true;
    next.target = Some(target.to_owned());
    if step != Step::Create && step != Step::Find {
        next.external_id = next.external_id.or_else(|| external_id.map(str::to_owned));
    }
    if let Some(intent) = intent {
        if progress.intent.as_ref().is_some_and(|old| old.ended_at.is_some()) {
            next.resends = next.resends.saturating_add(1);
            next.uncertain = true;
        }
        next.intent = Some(intent);
    }
    next
}

/// What a push changes to whose connector was pointed elsewhere since its first request: what it did counts for the old
/// target only, so it starts anew at the present one.
pub(crate) fn moved(claim: &Claim, target: &str, now: Timestamp) -> Option<Outcome> {
    claim
        .push
        .progress
        .target
        .as_deref()
        .filter(|begun_at| *begun_at != target)?;
    let mut outcome = unchanged(claim);
    let progress = &mut outcome.progress;
    start_step(progress, Step::Create);
    progress.step = None;
    progress.target = None;
    progress.external_id = None;
    progress.external_title = None;
    progress.external_url = None;
    progress.state = PushState::Queued;
    due(progress, Duration::ZERO, now);
    outcome.comments = (0u32..)
        .zip(&claim.push.comments)
        .filter(|(_, comment)| comment.state != CommentState::Pending)
        .map(|(place, _)| (place, CommentState::Pending))
        .collect();
    Some(outcome)
}

/// Gives a push its turn back when its next step cannot be sent now (its connector was paused or blocked meanwhile).
pub(crate) fn released(progress: &Progress, now: Timestamp) -> Progress {
    let mut next = progress.clone();
    next.state = PushState::Queued;
    due(&mut next, Duration::ZERO, now);
    next
}

fn first_step(claim: &Claim) -> Step {
    let known = external_id(claim).is_some();
    match (known, claim.overtaken) {
        (true, true) => Step::Comment,
        (true, false) => Step::Update,
        (false, _) => Step::Create,
    }
}

fn next_comment(claim: &Claim, config: &Config) -> Option<u32> {
    config.comment.as_ref()?;
    (0u32..)
        .zip(claim.push.comments.iter().zip(&claim.push.case.comments))
        .find(|(_, (progress, comment))| {
            progress.state == CommentState::Pending && !progress.already_sent && !comment.text.is_empty()
        })
        .map(|(place, _)| place)
}

pub(super) fn unchanged(claim: &Claim) -> Outcome {
    Outcome {
        progress: claim.push.progress.clone(),
        comments: Vec::new(),
        marks: Vec::new(),
        link: LinkChange::Keep,
        health: None,
        attempt: None,
    }
}

/// A step is done: the counts of the next one start anew.
fn start_step(progress: &mut Progress, step: Step) {
    progress.step = Some(step);
    progress.step_attempts = 0;
    progress.age_from = None;
    progress.resends = 0;
    progress.preconditions = 0;
    progress.intent = None;
}

/// Skips what need not be sent, and delivers the push when nothing is left.
fn settle(claim: &Claim, outcome: &mut Outcome, setting: Setting<'_>) {
    let mut after = claim.clone();
    after.push.progress = outcome.progress.clone();
    for (place, state) in &outcome.comments {
        set_comment(&mut after.push, *place, *state);
    }
    if outcome.progress.step == Some(Step::Comment) || next(&after, setting.config) == Action::Finish {
        for (place, state) in skipped_comments(&after, setting.config) {
            outcome.comments.push((place, state));
            set_comment(&mut after.push, place, state);
        }
    }
    if next(&after, setting.config) != Action::Finish {
        return;
    }
    let progress = &mut outcome.progress;
    progress.state = PushState::Delivered;
    progress.step = None;
    progress.error = None;
    if claim.push.case.id.as_deref().is_some_and(|id| !id.is_empty()) && progress.external_id.is_some() {
        outcome.link = LinkChange::Set;
    }
}

fn set_comment(push: &mut Push, place: u32, state: CommentState) {
    if let Some(comment) = usize::try_from(place).ok().and_then(|i| push.comments.get_mut(i)) {
        comment.state = state;
    }
}

/// An empty look-up counts only once the index had time to settle after the uncertain send.
fn look_again_or_create(progress: &mut Progress, setting: Setting<'_>) {
    let settled_at = progress
        .intent
        .as_ref()
        .and_then(|intent| intent.ended_at)
        .map(|ended| ended.plus(setting.config.find_settle));
    match settled_at {
        Some(at) if at > setting.now => wait(progress, at.since(setting.now), setting.now),
        _ => {
            progress.step = Some(Step::Create);
            progress.state = PushState::Queued;
            due(progress, Duration::ZERO, setting.now);
        }
    }
}

fn uncertain_create(claim: &Claim, progress: &mut Progress, verdict: &Verdict, setting: Setting<'_>) {
    let config = setting.config;
    let answered = verdict.class == FailureClass::UncertainAnswered;
    let has_case_id = claim.push.case.id.as_deref().is_some_and(|id| !id.is_empty());
    let can_find = config.find.is_some() && has_case_id;
    let how = match config.on_uncertain_create {
        OnUncertainCreate::Find if can_find => OnUncertainCreate::Find,
        OnUncertainCreate::Find => OnUncertainCreate::Hold,
        _ if answered && can_find => OnUncertainCreate::Find,
        _ if answered => OnUncertainCreate::Hold,
        how => how,
    };
    match how {
        OnUncertainCreate::Find => {
            progress.step = Some(Step::Find);
            back_off(progress, setting);
        }
        OnUncertainCreate::Retry if progress.resends < config.max_uncertain_resends => {
            back_off(progress, setting);
        }
        _ => {
            let message = format!(
                "the incident may exist, and casehook cannot tell: {}; look at the target, then `adopt` the \
                 incident, or `retry` to send it again",
                verdict.message
            );
            hold(progress, Step::Create, &verdict.code, message);
        }
    }
}

/// Opens the incident anew and forgets what was sent to the lost one.
fn recreate(outcome: &mut Outcome, setting: Setting<'_>) {
    let progress = &mut outcome.progress;
    progress.external_id = None;
    progress.external_title = None;
    progress.external_url = None;
    start_step(progress, Step::Create);
    progress.state = PushState::Queued;
    due(progress, Duration::ZERO, setting.now);
    outcome.link = LinkChange::Clear;
}

fn hold(progress: &mut Progress, step: Step, code: &str, message: String) {
    progress.state = PushState::Held;
    let (class, http_status) = progress
        .error
        .as_ref()
        .map_or((FailureClass::Uncertain, None), |e| (e.kind, e.http_status));
    progress.error = Some(PushError {
        code: code.to_owned(),
        kind: class,
        message,
        step,
        http_status,
        retryable: false,
    });
}

fn give_up(outcome: &mut Outcome, comment: Option<u32>, why: Option<&str>) {
    outcome.progress.state = PushState::Failed;
    if let Some(place) = comment {
        outcome.comments.push((place, CommentState::Failed));
    }
    if let (Some(why), Some(error)) = (why, &mut outcome.progress.error) {
        error.message = format!("{} ({why})", error.message);
    }
}

/// Why no further try is allowed, where that is so.
fn exhausted(progress: &Progress, counted: bool, setting: Setting<'_>) -> Option<String> {
    let retry = setting.config.retry;
    if counted
        && retry
            .max_attempts
            .is_some_and(|most| progress.step_attempts >= most)
    {
        return Some(format!(
            "given up after {} attempts: retry.maxAttempts",
            progress.step_attempts
        ));
    }
    let age = progress
        .age_from
        .map(|from| Duration::from_millis(setting.health.odometer_ms.saturating_sub(from)));
    match (age, retry.max_age) {
        (Some(age), Some(most)) if age >= most => {
            Some(format!("given up after {} s: retry.maxAgeSeconds", age.as_secs()))
        }
        _ => None,
    }
}

fn back_off(progress: &mut Progress, setting: Setting<'_>) {
    let retry = setting.config.retry;
    let delay = full_jitter(retry.base, retry.cap, progress.step_attempts, setting.dice);
    wait(progress, delay, setting.now);
}

fn wait(progress: &mut Progress, delay: Duration, now: Timestamp) {
    progress.state = PushState::Waiting;
    due(progress, delay, now);
}

fn due(progress: &mut Progress, delay: Duration, now: Timestamp) {
    progress.due_at = now.plus(delay);
    progress.wait_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
}

fn pause(verdict: &Verdict, setting: Setting<'_>) -> Duration {
    let retry = setting.config.retry;
    verdict
        .pause
        .unwrap_or_else(|| full_jitter(retry.base, retry.cap, setting.throttles.saturating_add(1), 1.0))
}

/// The connector's trouble after one more failure. Only the probe counts, not what else was under way with it.
fn trouble(
    before: Option<&Trouble>,
    verdict: &Verdict,
    now: Timestamp,
    probe_at: impl FnOnce(u32) -> Timestamp,
) -> Trouble {
    if let Some(known) = before.filter(|known| known.probe_at > now) {
        return known.clone();
    }
    let probes = before.map_or(0, |t| t.probes).saturating_add(1);
    Trouble {
        reason: verdict.message.clone(),
        probes,
        probe_at: probe_at(probes),
    }
}

/// An answer ends an outage; one that is neither a refusal nor a breakdown also says that the credentials work.
fn recovered(health: &Health, status: u16) -> Option<Health> {
    let unblocks = status < 500;
    (health.offline.is_some() || (unblocks && health.blocked.is_some())).then(|| Health {
        offline: None,
        blocked: health.blocked.clone().filter(|_| !unblocks),
        ..health.clone()
    })
}

/// A push whose process died between requests, or while a request that can be repeated was under way.
pub(crate) fn interrupted(progress: &Progress, now: Timestamp) -> Progress {
    let mut next = released(progress, now);
    if let Some(intent) = &mut next.intent {
        intent.ended_at.get_or_insert(now);
    }
    next
}

/// Health of a connector that cannot be used as it is stored.
pub(crate) fn blocked(health: &Health, reason: String, now: Timestamp) -> Health {
    let probes = health.blocked.as_ref().map_or(0, |t| t.probes).saturating_add(1);
    Health {
        blocked: Some(Trouble {
            reason,
            probes,
            probe_at: now.plus(blocked_probe(probes)),
        }),
        ..health.clone()
    }
}
