//! What comes next: the step, the comment, and the incident that it is about.

use super::{Action, Claim, CommentState, Config, Intent, Step, Timestamp};
use crate::connector::config::{OnUncertainCreate, Operation};
use crate::model::Comment;

/// The next request of a claimed push. Also where the first step is decided: update what is known, else create.
pub(crate) fn next(claim: &Claim, config: &Config, now: Timestamp) -> Action {
    match step(claim) {
        Step::Create if must_look_first(claim, config, now) => Action::Send(Step::Find, None),
        step @ (Step::Create | Step::Find) => Action::Send(step, None),
        Step::Update if config.sends_updates() => Action::Send(Step::Update, None),
        Step::Get if config.get.is_some() => Action::Send(Step::Get, None),
        Step::Update | Step::Get | Step::Comment => match next_comment(claim, config) {
            Some(place) => Action::Send(Step::Comment, Some(place)),
            None => Action::Finish,
        },
    }
}

/// The id of the incident that the push is about, as far as it is known.
pub(crate) fn external_id(claim: &Claim) -> Option<&str> {
    own_id(claim).or_else(|| match step(claim) {
        Step::Create | Step::Find => None,
        _ => claim.link.as_ref().map(|link| link.external_id.as_str()),
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

/// The comments that will never be sent: empty, also in the form alone that they are sent in; already sent under their id;
/// or of a connector without comments.
pub(crate) fn skipped_comments(claim: &Claim, config: &Config) -> Vec<(u32, CommentState)> {
    (0u32..)
        .zip(claim.push.comments.iter().zip(&claim.push.case.comments))
        .filter(|(_, (progress, comment))| {
            progress.state == CommentState::Pending
                && (says_nothing(config, comment) || progress.already_sent)
        })
        .map(|(place, _)| (place, CommentState::Skipped))
        .collect()
}

/// The step that a push goes on with.
///
/// A failed push that is retried comes back into its case's order after others went past it: what those opened is
/// not created again, and what they changed since is not changed back.
fn step(claim: &Claim) -> Step {
    let linked = claim.link.is_some();
    match claim.push.progress.step {
        None => first_step(claim),
        Some(Step::Create) if linked => first_step(claim),
        Some(Step::Find | Step::Get) if claim.overtaken && linked => Step::Comment,
        Some(Step::Update) if claim.overtaken => Step::Comment,
        Some(step) => step,
    }
}

fn first_step(claim: &Claim) -> Step {
    let known = own_id(claim).is_some() || claim.link.is_some();
    match (known, claim.overtaken) {
        (true, true) => Step::Comment,
        (true, false) => Step::Update,
        (false, _) => Step::Create,
    }
}

/// The id that the push itself learned, or that the host gave.
fn own_id(claim: &Claim) -> Option<&str> {
    let given = claim.push.case.external_id.as_deref().filter(|id| !id.is_empty());
    match claim.push.progress.external_id.as_deref() {
        Some(known) if given.is_none() => Some(in_place_of(claim, known).unwrap_or(known)),
        known => known.or(given),
    }
}

/// The incident that the case is linked to by now, where the one that the push knows was only its link before or was
/// found to be gone.
fn in_place_of<'a>(claim: &'a Claim, known: &str) -> Option<&'a str> {
    let progress = &claim.push.progress;
    let gone = progress.error.as_ref().is_some_and(|error| {
        !matches!(error.step, Step::Create | Step::Find) && matches!(error.http_status, Some(404 | 410))
    });
    let link = claim.link.as_ref()?.external_id.as_str();
    (link != known && (gone || progress.step == Some(Step::Update))).then_some(link)
}

/// Whether a create with an open outcome is no longer protected by its key, the target having forgotten it by now,
/// and a look-up can take the key's place.
fn must_look_first(claim: &Claim, config: &Config, now: Timestamp) -> bool {
    let open = claim.push.progress.intent.as_ref();
    let open = open.filter(|intent| intent.step == Step::Create && intent.ended_at.is_some());
    config.on_uncertain_create == OnUncertainCreate::Retry
        && can_find(claim, config)
        && open.is_some_and(|intent| is_forgotten(intent, config, now))
}

/// Whether `idempotencyKeySeconds` have passed since the key was made: a resend with it is as one without.
pub(crate) fn is_forgotten(intent: &Intent, config: &Config, now: Timestamp) -> bool {
    let lifetime = config.idempotency.as_ref().and_then(|i| i.lifetime);
    lifetime.is_some_and(|lifetime| now.since(intent.key_made_at) >= lifetime)
}

/// Whether the case of a create with an open outcome can be looked up.
pub(super) fn can_find(claim: &Claim, config: &Config) -> bool {
    config.find.is_some() && claim.push.case.id.as_deref().is_some_and(|id| !id.is_empty())
}

fn next_comment(claim: &Claim, config: &Config) -> Option<u32> {
    (0u32..)
        .zip(claim.push.comments.iter().zip(&claim.push.case.comments))
        .find(|(_, (progress, comment))| {
            progress.state == CommentState::Pending
                && !progress.already_sent
                && !says_nothing(config, comment)
        })
        .map(|(place, _)| place)
}

/// Whether nothing of the comment would get to the target.
fn says_nothing(config: &Config, comment: &Comment) -> bool {
    let body = |operation: &Operation| {
        operation
            .body
            .as_ref()
            .is_some_and(|body| body.empties(&comment.text))
    };
    comment.text.is_empty() || config.comment.as_ref().is_none_or(body)
}
