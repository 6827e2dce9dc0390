//! What a successful exchange changes, and when a push is delivered.

use std::sync::Arc;
use std::time::Duration;

use super::change::{due, goes_by, start_step, unchanged, wait};
use super::failure::hold;
use super::health::recovered;
use super::next::{by_link, external_id, next, skipped_comments};
use super::{
    Action, Claim, CommentState, Found, LinkChange, Outcome, Progress, Push, PushState, Setting, Step,
    Success,
};

use crate::step::{self, Subject};

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
    goes_by(progress, external_id(claim));
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
        Success::Got { title, url, told, .. } => {
            progress.external_title = title;
            // What the create answer told is better than what is made up.
            let known = progress.external_url.take();
            progress.external_url = known
                .filter(|_| !told && setting.config.view_url_key.is_some())
                .or(Some(url));
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
    goes_by(&mut outcome.progress, external_id(claim));
    start_step(&mut outcome.progress, Step::Comment);
    outcome.progress.state = PushState::Sending;
    settle(claim, &mut outcome, setting);
    outcome
}

/// Skips what need not be sent, and delivers the push when nothing is left.
fn settle(claim: &Claim, outcome: &mut Outcome, setting: Setting<'_>) {
    // No copy of the progress that was, whose intent may hold a large body.
    let mut after = Claim {
        push: Push {
            progress: outcome.progress.clone(),
            case: Arc::clone(&claim.push.case),
            comments: claim.push.comments.clone(),
            ..claim.push
        },
        target: claim.target.clone(),
        link: claim.link.clone(),
        overtaken: claim.overtaken,
    };
    for (place, state) in &outcome.comments {
        set_comment(&mut after.push, *place, *state);
    }
    if outcome.progress.step == Some(Step::Comment)
        || next(&after, setting.config, setting.now) == Action::Finish
    {
        for (place, state) in skipped_comments(&after, setting.config) {
            outcome.comments.push((place, state));
            set_comment(&mut after.push, place, state);
        }
    }
    if next(&after, setting.config, setting.now) != Action::Finish {
        return;
    }
    let progress = &mut outcome.progress;
    progress.state = PushState::Delivered;
    progress.step = None;
    progress.error = None;
    // Where nothing was read back, the link knows how the incident looks.
    if let Some(link) = claim.link.as_ref().filter(|_| by_link(claim)) {
        let title = progress.external_title.take();
        progress.external_title = title.or_else(|| link.external_title.clone());
        let url = progress.external_url.take();
        progress.external_url = url.or_else(|| link.external_url.clone());
    }
    if progress.external_url.is_none() && setting.config.get.is_none() {
        progress.external_url = made_link(&claim.push, progress, setting);
    }
    let has_case_id = claim.push.case.id.as_deref().is_some_and(|id| !id.is_empty());
    let link_is_newer = claim.overtaken && claim.link.is_some();
    if has_case_id && progress.external_id.is_some() && !link_is_newer {
        outcome.link = LinkChange::Set;
    }
}

/// The link as `viewIncidentUrl` makes it, for connectors that read nothing back.
fn made_link(push: &Push, progress: &Progress, setting: Setting<'_>) -> Option<String> {
    let subject = Subject {
        case: &push.case,
        external_id: progress.external_id.as_deref(),
        external_title: progress.external_title.as_deref(),
        comment: None,
        idempotency_key: None,
        if_match: None,
        stored_body: None,
    };
    step::get::view_url(setting.config, &subject).ok()
}

fn set_comment(push: &mut Push, place: u32, state: CommentState) {
    if let Some(comment) = usize::try_from(place).ok().and_then(|i| push.comments.get_mut(i)) {
        comment.state = state;
    }
}

/// An empty look-up counts only once the index had time to settle after the uncertain send.
fn look_again_or_create(progress: &mut Progress, setting: Setting<'_>) {
    let settled_at = progress.intent.as_mut().and_then(|intent| {
        // A clock that was set back would otherwise stretch the wait by that much.
        let ended = intent.ended_at?.min(setting.now);
        intent.ended_at = Some(ended);
        Some(ended.plus(setting.config.find_settle))
    });
    match settled_at {
        Some(at) if at > setting.now => wait(progress, at.since(setting.now), setting.now),
        _ => {
            progress.step = Some(Step::Create);
            progress.state = PushState::Queued;
            // What was looked for and is not there was never seen under its key.
            if let Some(intent) = &mut progress.intent {
                intent.key_made_at = setting.now;
            }
            due(progress, Duration::ZERO, setting.now);
        }
    }
}
