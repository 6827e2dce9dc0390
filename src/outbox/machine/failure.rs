//! What a failed exchange changes, class by class.

use std::time::Duration;

use super::change::{back_off, due, link_of_half_done, start_step, unchanged, wait};
use super::health::{after_failure, pause};
use super::next::can_find;
use super::{
    Claim, CommentState, FailureClass, LinkChange, Outcome, Progress, PushError, PushState, Setting, Step,
    Verdict,
};
use crate::connector::config::{OnExternalGone, OnUncertainCreate};

/// How often a comment is sent again after its outcome was lost.
const COMMENT_RESENDS: u32 = 3;
/// How often a 412 is answered with a fresh get.
const FRESH_GETS: u32 = 3;

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
    if verdict.unsent {
        outcome.progress = before.clone();
    }
    let progress = &mut outcome.progress;
    progress.error = Some(PushError {
        code: verdict.code.clone(),
        kind: verdict.class,
        message: verdict.message.clone(),
        step,
        http_status: verdict.http_status,
        retryable: true,
    });
    outcome.health = after_failure(verdict, setting);

    let counted = !matches!(
        verdict.class,
        FailureClass::NotSent | FailureClass::Throttled | FailureClass::Auth
    );
    if counted {
        progress.attempts = progress.attempts.saturating_add(1);
        progress.step_attempts = progress.step_attempts.saturating_add(1);
        progress.age_from.get_or_insert(setting.health.odometer_ms);
    }
    match verdict.class {
        // Kept as it was written, so that a retry by hand repeats it to the byte.
        FailureClass::Uncertain | FailureClass::UncertainAnswered => {
            if let Some(intent) = &mut progress.intent {
                intent.ended_at = Some(setting.now);
            }
        }
        // Refused for now: as if it had not been sent again, and what became of the first send is as open as before.
        FailureClass::Throttled | FailureClass::Auth | FailureClass::Transient => {
            if let (Some(intent), Some(old)) = (&mut progress.intent, &before.intent) {
                intent.ended_at = old.ended_at;
            }
            progress.resends = before.resends;
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
            if !verdict.unsent {
                progress.intent = None;
            }
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
    if outcome.progress.state == PushState::Failed {
        outcome.link = link_of_half_done(claim, &outcome);
    }
    if let Some(error) = &mut outcome.progress.error {
        error.retryable = matches!(
            outcome.progress.state,
            PushState::Queued | PushState::Sending | PushState::Waiting
        );
    }
    outcome
}

fn uncertain_create(claim: &Claim, progress: &mut Progress, verdict: &Verdict, setting: Setting<'_>) {
    let config = setting.config;
    let answered = verdict.class == FailureClass::UncertainAnswered;
    let can_find = can_find(claim, config);
    let how = match config.on_uncertain_create {
        // It takes each create, and its look-up shows none of them: no more of that.
        _ if answered && progress.resends >= config.max_uncertain_resends => OnUncertainCreate::Hold,
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

pub(super) fn hold(progress: &mut Progress, step: Step, code: &str, message: String) {
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
