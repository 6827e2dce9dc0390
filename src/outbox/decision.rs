//! What a person or the host decides for a push: retry, adopt, cancel.

use super::machine::{link_of_half_done, moved, unchanged};
use super::{Claim, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CommentState, PushState, Step, Timestamp};

/// Sends a failed or held push again, from the first step that is not done, and a waiting one now.
pub(crate) fn retry(claim: &Claim, now: Timestamp) -> Result<Outcome> {
    let mut outcome = unchanged(claim);
    let progress = &mut outcome.progress;
    progress.due_at = now;
    progress.wait_ms = 0;
    match progress.state {
        PushState::Failed | PushState::Held => {}
        // It goes on as it would have done by itself: its attempts and resends are not counted anew.
        PushState::Waiting => return Ok(outcome),
        _ => return Err(refused(claim, "retried", "failed, held and waiting")),
    }
    progress.state = PushState::Queued;
    progress.step_attempts = 0;
    progress.age_from = None;
    progress.resends = 0;
    progress.preconditions = 0;
    outcome.comments = (0u32..)
        .zip(&claim.push.comments)
        .filter(|(_, comment)| comment.state == CommentState::Failed)
        .map(|(place, _)| (place, CommentState::Pending))
        .collect();
    Ok(outcome)
}

/// Names the incident of a push whose create had no clear outcome; the push goes on behind its create.
pub(crate) fn adopt(claim: &Claim, external_id: &str, now: Timestamp) -> Result<Outcome> {
    let before = &claim.push.progress;
    let open = before.state == PushState::Held
        || (before.state == PushState::Failed && before.external_id.is_none());
    if !open {
        return Err(refused(
            claim,
            "given an incident",
            "held (or failed without an incident)",
        ));
    }
    if matches!(external_id.trim(), "" | "." | "..") {
        let message =
            format!("{external_id:?} cannot be an incident's id; give the id as the target shows it");
        return Err(Error::new(ErrorKind::Argument, message).at("externalId"));
    }
    let mut outcome = moved(claim, &claim.target, now).unwrap_or_else(|| unchanged(claim));
    let progress = &mut outcome.progress;
    progress.begun = true;
    progress.target = Some(claim.target.clone());
    progress.external_id = Some(external_id.to_owned());
    progress.state = PushState::Queued;
    progress.step = Some(Step::Get);
    progress.due_at = now;
    progress.wait_ms = 0;
    progress.step_attempts = 0;
    progress.age_from = None;
    progress.resends = 0;
    progress.intent = None;
    progress.error = None;
    Ok(outcome)
}

/// Gives a push up before it is delivered.
pub(crate) fn cancel(claim: &Claim) -> Result<Outcome> {
    let mut outcome = unchanged(claim);
    match outcome.progress.state {
        PushState::Queued | PushState::Waiting | PushState::Held => {}
        PushState::Sending => {
            let message = format!(
                "push {} has a request under way and cannot be cancelled now; wait for its end, then look at its state",
                claim.push.id
            );
            return Err(Error::new(ErrorKind::State, message));
        }
        _ => return Err(refused(claim, "cancelled", "queued, waiting and held")),
    }
    outcome.progress.state = PushState::Cancelled;
    outcome.progress.intent = None;
    outcome.link = link_of_half_done(claim, &outcome);
    Ok(outcome)
}

fn refused(claim: &Claim, what: &str, states: &str) -> Error {
    let state = claim.push.progress.state;
    let hint = match (state, what) {
        (PushState::Failed, "cancelled") => "; `discard` removes it",
        (PushState::Delivered, _) => "; it is done",
        _ => "",
    };
    let message = format!(
        "push {} is {state} and cannot be {what}; only {states} pushes can{hint}",
        claim.push.id
    );
    Error::new(ErrorKind::State, message)
}
