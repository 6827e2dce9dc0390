//! The push state machine: which request comes next, and what an exchange changes. Plain data, pure functions.

mod change;
mod failure;
mod health;
mod next;
mod success;

use super::classify::Verdict;

use super::{Claim, Health, Intent, LinkChange, Outcome, Progress, Push, Trouble};
use crate::connector::Config;
use crate::model::{CommentState, FailureClass, PushError, PushState, Step, Timestamp};
use crate::step::find::Found;

pub(crate) use change::{begun, interrupted, moved, progress_only, released};
pub(super) use change::{link_of_half_done, unchanged};
pub(crate) use failure::failed;
pub(crate) use health::{blocked, recovered};
pub(crate) use next::{by_link, external_id, is_forgotten, next};
pub(crate) use success::{finished, succeeded};

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
        /// Whether the answer told the URL itself.
        told: bool,
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
    /// Whether the exchange tried how a connector in trouble fares.
    pub(crate) is_probe: bool,
    /// How often the connector was throttled in a row without saying for how long.
    pub(crate) throttles: u32,
}
