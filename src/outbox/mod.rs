//! What a push goes through, as plain data and pure functions: no SQL, no sockets, no clock, no thread.

pub(crate) mod backoff;
pub(crate) mod classify;
pub(crate) mod decision;
pub(crate) mod machine;

use crate::model::{Case, CommentState, PushError, PushId, PushState, Step, Timestamp};

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
    pub(crate) case: Case,
    /// Whether it may take the place of earlier pushes that were not begun.
    pub(crate) coalesce: bool,
}

/// A push under delivery.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) id: PushId,
    pub(crate) connector: ConnectorId,
    pub(crate) case: Case,
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
