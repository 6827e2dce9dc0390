//! The changes that a push's progress is made of: begun, put off, taken back, started anew.

use std::time::Duration;

use super::{
    Claim, CommentState, Intent, LinkChange, Outcome, Progress, PushState, Setting, Step, Timestamp,
};
use crate::outbox::backoff::full_jitter;
use crate::outbox::{ExchangeSize, LeftBehind};

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
        goes_by(&mut next, external_id);
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

/// Notes the incident that the push is about. What is known of another one is none of it.
pub(super) fn goes_by(progress: &mut Progress, external_id: Option<&str>) {
    let Some(id) = external_id.filter(|id| progress.external_id.as_deref() != Some(id)) else {
        return;
    };
    if progress.external_id.replace(id.to_owned()).is_some() {
        progress.external_title = None;
        progress.external_url = None;
    }
}

/// A push that ends before its last step may have opened an incident. The next push of its case must not open another.
pub(crate) fn link_of_half_done(claim: &Claim, outcome: &Outcome) -> LinkChange {
    let own = is_ours(claim) && outcome.progress.external_id.is_some();
    match outcome.link {
        LinkChange::Keep if own && claim.link.is_none() => LinkChange::Set,
        decided => decided,
    }
}

/// Whether the push is of a case, and the host named no incident.
fn is_ours(claim: &Claim) -> bool {
    let filled = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    filled(&claim.push.case.id) && !filled(&claim.push.case.external_id)
}

/// What a push changes to whose connector was pointed elsewhere since its first request: what it did counts for the old
/// target only, so it starts anew at the present one.
pub(crate) fn moved(claim: &Claim, target: &str, now: Timestamp) -> Option<Outcome> {
    let begun_at = claim.push.progress.target.clone();
    let begun_at = begun_at.filter(|begun_at| begun_at != target)?;
    let mut outcome = unchanged(claim);
    let progress = &mut outcome.progress;
    start_step(progress, Step::Create);
    progress.step = None;
    progress.target = None;
    let (external_title, external_url) = (progress.external_title.take(), progress.external_url.take());
    let known = progress.external_id.take().filter(|_| is_ours(claim));
    outcome.left_behind = known.map(|external_id| {
        Box::new(LeftBehind {
            target: begun_at,
            external_id,
            external_title,
            external_url,
        })
    });
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

/// A push whose process died between requests, or while a request that can be repeated was under way.
pub(crate) fn interrupted(progress: &Progress, now: Timestamp) -> Progress {
    let mut next = released(progress, now);
    if let Some(intent) = &mut next.intent {
        intent.ended_at.get_or_insert(now);
    }
    next
}

pub(in crate::outbox) fn unchanged(claim: &Claim) -> Outcome {
    progress_only(claim.push.progress.clone())
}

/// An outcome that changes a push's progress and nothing else.
pub(crate) fn progress_only(progress: Progress) -> Outcome {
    Outcome {
        progress,
        comments: Vec::new(),
        marks: Vec::new(),
        link: LinkChange::Keep,
        left_behind: None,
        health: None,
        revision: None,
        attempt: None,
        size: ExchangeSize::default(),
    }
}

/// A step is done: the counts of the next one start anew.
pub(super) fn start_step(progress: &mut Progress, step: Step) {
    progress.step = Some(step);
    progress.step_attempts = 0;
    progress.age_from = None;
    progress.resends = 0;
    progress.preconditions = 0;
    progress.intent = None;
}

pub(super) fn back_off(progress: &mut Progress, setting: Setting<'_>) {
    let retry = setting.config.retry;
    let delay = full_jitter(retry.base, retry.cap, progress.step_attempts, setting.dice);
    wait(progress, delay, setting.now);
}

pub(super) fn wait(progress: &mut Progress, delay: Duration, now: Timestamp) {
    progress.state = PushState::Waiting;
    due(progress, delay, now);
}

pub(super) fn due(progress: &mut Progress, delay: Duration, now: Timestamp) {
    progress.due_at = now.plus(delay);
    progress.wait_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
}
