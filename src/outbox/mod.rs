//! What a push goes through, as plain data and pure functions: no SQL, no sockets, no clock, no thread.

pub(crate) mod backoff;
pub(crate) mod classify;
pub(crate) mod decision;
pub(crate) mod machine;
mod pause;

use std::sync::Arc;

use crate::model::{Attempt, Case, CommentState, Link, PushError, PushId, PushState, Step, Timestamp};

/// The number of a connector's row; stays the same when it is configured anew or removed and configured again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectorId(pub(crate) i64);

/// What orders pushes of one connector: those of one lane go strictly first in, first out.
///
/// `c:` and the case id, else `x:` and the given external id; a push without either stands alone.
pub(crate) fn lane(case: &Case) -> Option<String> {
    if let Some(id) = case.id.as_deref().filter(|id| !id.is_empty()) {
        return Some(format!("c:{id}"));
    }
    case.external_id
        .as_deref()
        .filter(|id| !id.is_empty())
        .map(|id| format!("x:{id}"))
}

/// A push that is about to be stored.
#[derive(Debug, Clone)]
pub(crate) struct NewPush {
    pub(crate) connector: ConnectorId,
    /// The revision of the document that the case was checked against; `None`: it goes to whichever there is.
    pub(crate) revision: Option<i64>,
    pub(crate) case: Case,
    /// Whether it may take the place of earlier pushes that were not begun.
    pub(crate) coalesce: bool,
}

/// A push under delivery.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) id: PushId,
    pub(crate) connector: ConnectorId,
    pub(crate) case: Arc<Case>,
    pub(crate) progress: Progress,
    /// One entry a comment of `case`, in order.
    pub(crate) comments: Vec<CommentProgress>,
}

/// The part of a push that changes while it is delivered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Progress {
    pub(crate) state: PushState,
    /// The next step, or the one it failed at. `None`: not decided yet (create or update, as the link says).
    pub(crate) step: Option<Step>,
    /// When the next exchange may begin.
    pub(crate) due_at: Timestamp,
    /// The wait that `due_at` was reckoned with, so that a clock set back cannot stretch it.
    pub(crate) wait_ms: u64,
    /// Whether a request of it can have reached the target.
    pub(crate) begun: bool,
    /// Counted exchanges of all steps.
    pub(crate) attempts: u32,
    /// Counted exchanges since the last finished step.
    pub(crate) step_attempts: u32,
    /// The connector's odometer at the first counted attempt since the last finished step; see `Odometer`.
    pub(crate) age_from: Option<u64>,
    /// The target that its requests went to, and so the one that `external_id` is an id of.
    pub(crate) target: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) external_title: Option<String>,
    pub(crate) external_url: Option<String>,
    /// Whether a request was sent again without knowing that the first had no effect.
    pub(crate) uncertain: bool,
    /// How often the create or the comment under way was sent again after an uncertain outcome.
    pub(crate) resends: u32,
    /// How often a 412 was answered with a fresh get.
    pub(crate) preconditions: u32,
    /// The write that is under way or whose outcome is not known.
    pub(crate) intent: Option<Intent>,
    pub(crate) error: Option<PushError>,
}

impl Progress {
    /// Whether a push that is left in `state` goes before older ones of its lane that are retried: the target may know
    /// something of it that they would open a second time or change back.
    pub(crate) fn leads(&self, state: PushState) -> bool {
        let half_done = matches!(self.step, Some(Step::Find | Step::Get | Step::Comment));
        let uncertain = self.intent.as_ref().is_some_and(|i| i.ended_at.is_some());
        match state {
            PushState::Held => true,
            PushState::Queued | PushState::Waiting => half_done || uncertain,
            _ => false,
        }
    }
}

/// A create or comment as it was (or is about to be) written: what a resend repeats to the byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) step: Step,
    /// The comment's place, for `Step::Comment`.
    pub(crate) comment: Option<u32>,
    /// The target that it went to; a resend to another one is a new write.
    pub(crate) target: String,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) key_made_at: Timestamp,
    pub(crate) body: Vec<u8>,
    /// When an uncertain send ended; `None` while it is under way.
    pub(crate) ended_at: Option<Timestamp>,
}

/// Where one comment stands while its push is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CommentProgress {
    pub(crate) state: CommentState,
    /// The how-manieth comment of this id within the push, from 0.
    pub(crate) occurrence: u32,
    /// Whether the target already has a comment of this identity (connector, target, case, id, occurrence).
    pub(crate) already_sent: bool,
}

/// A push taken for delivery, with what its next step needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) push: Push,
    /// The connector's present target.
    pub(crate) target: String,
    /// The incident that its case is linked to at this target.
    pub(crate) link: Option<Link>,
    /// Whether a push of its lane that was accepted later is delivered already.
    pub(crate) overtaken: bool,
}

/// What one exchange changes; stored in one transaction.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) progress: Progress,
    /// Changed comments: place and state.
    pub(crate) comments: Vec<(u32, CommentState)>,
    /// Places of comments whose identity is to be remembered as sent. Without effect for a push without case
    /// id and for comments with an empty id.
    pub(crate) marks: Vec<u32>,
    /// Sets or replaces the link of (connector, target, case). Without effect for a push without case id, and
    /// `Set` also without external id.
    pub(crate) link: LinkChange,
    /// What becomes the link of its case where there is none, of a push that starts anew elsewhere.
    pub(crate) left_behind: Option<Box<LeftBehind>>,
    /// Health of the connector, when this exchange changed it.
    pub(crate) health: Option<Health>,
    /// The revision of the connector that the exchange was made with. When it was configured anew since, the
    /// health is not stored, and the push does not wait. `None`: by any revision.
    pub(crate) revision: Option<i64>,
    pub(crate) attempt: Option<Attempt>,
    /// The bytes of the attempt's bodies.
    pub(crate) size: ExchangeSize,
}

/// An incident that a push opened or went by at a target that its connector no longer leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftBehind {
    pub(crate) target: String,
    pub(crate) external_id: String,
    pub(crate) external_title: Option<String>,
    pub(crate) external_url: Option<String>,
}

/// The bytes of an exchange's bodies, the answer's after decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ExchangeSize {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// What happens to the link of the push's case.
///
/// Its target, and that of the comment marks, is the one that the progress names, else the connector's present one: what
/// was sent before the connector was pointed elsewhere stays with the old target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkChange {
    Keep,
    /// Set from the progress' external id, title and url. When the state is `Delivered` the link also
    /// remembers the push, so that older ones know that they were overtaken when the history is gone.
    Set,
    /// Forget the link and the comment marks of the case at this target; marks of the same outcome are set
    /// afterwards.
    Clear,
}

/// What is known of a connector's target, kept across restarts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Health {
    pub(crate) offline: Option<Trouble>,
    pub(crate) blocked: Option<Trouble>,
    pub(crate) throttled_until: Option<Timestamp>,
    /// Milliseconds for which the connector was worked for while neither paused, blocked, offline nor
    /// throttled.
    pub(crate) odometer_ms: u64,
}

/// Why a connector's pushes stay where they are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trouble {
    pub(crate) reason: String,
    pub(crate) probes: u32,
    pub(crate) probe_at: Timestamp,
}
