//! What comes next: the step, the comment, and the incident that it is about.

use super::{Action, Claim, CommentState, Config, Step};

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
