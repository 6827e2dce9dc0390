//! What has to be in the store before a push goes on.

use super::flight::Flight;
use crate::error::{ErrorKind, Result};
use crate::model::{PushId, PushState, Timestamp};
use crate::outbox::{Outcome, Progress};
use crate::store::Store;
use crate::transport::Request;

/// A change of one push on its way to the store. The engine goes on with other pushes meanwhile, so that several
/// threads can have their entries committed together.
pub(crate) struct Entry {
    pub(super) flight: Flight,
    pub(super) change: Change,
}

pub(super) enum Change {
    /// This request is about to be written.
    Begin { progress: Progress, request: Request },
    /// What an exchange changed.
    End(Outcome),
}

impl Entry {
    /// Stores it. False when the push is no longer there to be sent, or went on in other hands.
    pub(crate) fn store(&self, store: &dyn Store, now: Timestamp) -> Result<bool> {
        let id = self.flight.claim.push.id;
        match &self.change {
            Change::Begin { progress, .. } => store.begin(id, progress, now),
            Change::End(outcome) => record(store, id, outcome, now),
        }
    }

    /// Stores it and the one that was handed out beside it, in one commit where that can be; how each ended.
    pub(crate) fn store_with(
        &self,
        beside: &Entry,
        store: &dyn Store,
        now: Timestamp,
    ) -> (Result<bool>, Result<bool>) {
        let (Change::End(outcome), Change::Begin { progress, .. }) = (&self.change, &beside.change) else {
            return (self.store(store, now), beside.store(store, now));
        };
        let ended = (self.flight.claim.push.id, outcome);
        let begun = (beside.flight.claim.push.id, progress);
        let (ended, begun) = store.record_and_begin(ended, begun, now);
        (unless_gone(ended), begun)
    }

    /// Whether nothing follows for its push.
    pub(super) fn ends_push(&self) -> bool {
        matches!(&self.change, Change::End(outcome) if outcome.progress.state != PushState::Sending)
    }
}

/// Stores what an exchange changed; whether all of it was stored.
pub(super) fn record(store: &dyn Store, id: PushId, outcome: &Outcome, now: Timestamp) -> Result<bool> {
    unless_gone(store.record(id, outcome, now))
}

/// Nothing is left to store of a push that is no longer there.
fn unless_gone(done: Result<bool>) -> Result<bool> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        done => done,
    }
}
