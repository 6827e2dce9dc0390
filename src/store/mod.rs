//! The outbox's memory, in the words of delivery. Every implementation passes one conformance suite.
//!
//! Every writing call is one transaction: it has happened, durably, when it returns `Ok`, and not at all when
//! it returns an error.

#[cfg(feature = "postgres")]
use crate::error::Error;
use crate::error::Result;
use crate::model::{Attempt, Case, Filter, Link, PushId, PushStatus, Tally, Timestamp};
use crate::outbox::{Claim, ConnectorId, Health, NewPush, Outcome, Progress};

#[cfg(test)]
pub(crate) mod conformance;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
mod room;
#[cfg(feature = "postgres")]
pub(crate) mod spool;
pub(crate) mod sqlite;
#[cfg(feature = "postgres")]
pub(crate) mod transfer;

/// A connector as stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredConnector {
    pub(crate) id: ConnectorId,
    pub(crate) name: String,
    /// Grows with each configure.
    pub(crate) revision: i64,
    /// The document after defaults, without secrets, as JSON text.
    pub(crate) config: String,
    /// The warnings that configure returned, as a JSON array of `{field, message}`.
    pub(crate) warnings: String,
    pub(crate) target: String,
    pub(crate) paused: bool,
    pub(crate) health: Health,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// A connector to be stored.
pub(crate) struct NewConnector<'a> {
    pub(crate) name: &'a str,
    pub(crate) config: &'a str,
    pub(crate) warnings: &'a str,
    pub(crate) target: &'a str,
    /// Field name and plaintext of each secret (JSON text for structured ones): they replace all stored ones.
    /// `None` keeps the stored ones.
    pub(crate) secrets: Option<Vec<(String, zeroize::Zeroizing<String>)>>,
}

/// Bounds that `enqueue` and `prune` keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) max_queued: u64,
    pub(crate) history_age: std::time::Duration,
    pub(crate) history_count: u64,
}

/// What `cancel` of a connector's removal does with undelivered pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undelivered {
    Refuse,
    Cancel,
}

/// What all hosts together keep to when they send for one connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) max_in_flight: usize,
    pub(crate) min_interval: std::time::Duration,
}

/// Counts of one connector, from counters that are kept up with each transaction, never by counting rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) connector: ConnectorId,
    /// In the order of `PushState::ALL`.
    pub(crate) by_state: [u64; 8],
    /// Those that were pruned or discarded, by the state they were in; in the same order.
    pub(crate) gone: [u64; 8],
    /// When the first accepted of those that are queued, sending, waiting or held was accepted.
    pub(crate) oldest_at: Option<Timestamp>,
    /// Whether any push of it can be claimed, now or when it is due.
    pub(crate) ready: bool,
}

/// The outbox's memory. Called from several threads at once.
pub(crate) trait Store: Send + Sync {
    // Connectors

    /// Stores a connector under its name, new or in place of the one there, with its secrets, and clears its
    /// trouble (offline, blocked, throttled), so that its pushes are due at once: ready ones that wait are
    /// due `now`, but those at the step `Find`, which wait for the target's index. A pause stays. A removed
    /// connector of that name comes back with its number, links and history, unpaused and without secrets.
    /// `Key` error, and nothing stored, when secrets cannot be sealed.
    fn put_connector(&self, connector: &NewConnector<'_>, now: Timestamp) -> Result<StoredConnector>;
    fn connector(&self, name: &str) -> Result<Option<StoredConnector>>;
    fn connectors(&self) -> Result<Vec<StoredConnector>>;
    /// The secrets of a connector, decrypted: field name and plaintext, by field name. `Key` error when the
    /// key is missing or wrong or a row is damaged; never when there are none.
    fn secrets(&self, id: ConnectorId) -> Result<Vec<(String, zeroize::Zeroizing<String>)>>;
    /// Whether any secret is stored for it (needs no key).
    fn has_secrets(&self, id: ConnectorId) -> Result<bool>;
    /// Seals every secret with another key, all or none: with this one, from then on the store's, or without one with a new
    /// key in the key file. `Key` error when the present key is missing or wrong or a row is damaged; `Argument` without a
    /// key where the present one is not in a key file. Other stores of the same database get `Key` errors until they have
    /// the new key; those with the key file go on.
    fn rekey(&self, key: Option<zeroize::Zeroizing<[u8; 32]>>) -> Result<()>;
    /// Forgets the connector, its secrets included; links and comment marks stay. `State` error while pushes
    /// are undelivered (queued, sending, waiting, held, failed) and `undelivered` says `Refuse`; with
    /// `Cancel` they are cancelled, but a `sending` one still refuses.
    fn remove_connector(&self, name: &str, undelivered: Undelivered, now: Timestamp) -> Result<()>;
    /// `NotFound` for a name that is not configured.
    fn set_paused(&self, name: &str, paused: bool, now: Timestamp) -> Result<()>;
    #[cfg_attr(
        not(test),
        allow(dead_code, reason = "sets the scene in the conformance suite")
    )]
    fn set_health(&self, id: ConnectorId, health: &Health) -> Result<()>;
    /// How many links the connector (configured or removed) has at other targets than this one.
    fn links_elsewhere(&self, name: &str, target: &str) -> Result<u64>;

    // Accepting

    /// Accepts pushes: all of them or none, with numbers that grow in their order. Due at once.
    ///
    /// One that may coalesce takes the place of the last pushes of its lane that are queued or waiting, not
    /// begun and of the same given external id, back to the first that is not, and as far as the limits of a
    /// push hold for the union of the comments. `QueueFull` when undelivered ones (held and failed included)
    /// would then exceed `max_queued`; `NotFound` when a connector was removed, or is no longer at the revision
    /// that the push was checked against.
    fn enqueue(&self, pushes: Vec<NewPush>, retention: &Retention, now: Timestamp) -> Result<Vec<PushId>>;

    // Reading

    fn status(&self, id: PushId) -> Result<Option<PushStatus>>;
    /// Newest first. A connector that was removed still has its history; an unknown name has none.
    fn pushes(&self, filter: &Filter) -> Result<Vec<PushStatus>>;
    /// Oldest first; the newest 50 of a push are kept.
    fn attempts(&self, id: PushId) -> Result<Vec<Attempt>>;
    #[cfg_attr(
        not(test),
        allow(dead_code, reason = "shows in the conformance suite what was kept")
    )]
    fn case(&self, id: PushId) -> Result<Option<Case>>;
    fn link(&self, connector: &str, target: &str, case_id: &str) -> Result<Option<Link>>;
    /// One entry for each configured connector, by name.
    fn counts(&self) -> Result<Vec<Counts>>;
    /// Every exchange that was ever logged for a connector, also for pushes that are gone, added up.
    fn exchanges(&self, id: ConnectorId) -> Result<Vec<Tally>>;

    // Delivering: only a process that drains calls these

    /// Whether several processes may drain at once. Then a push is claimed for one of them at a time, by a lease that
    /// runs out when nothing is heard of its process, and the following calls have to be made.
    fn shares_draining(&self) -> bool {
        false
    }
    /// Says by what limits and what health of the connector this process acts from now on: claims keep to the limits
    /// together with those of other processes, and of the health in an outcome only what differs from this one is new.
    fn acts_on(&self, _connector: ConnectorId, _limits: Limits, _health: &Health) {}
    /// Takes the connector's next moment to send for a step that follows another, or says how long it is until there
    /// is one; a claim takes its own.
    fn take_turn(&self, _connector: ConnectorId) -> Result<Option<std::time::Duration>> {
        Ok(None)
    }
    /// The first ready push of the connector that is due, by due time and number, skipping those in `busy` and those
    /// that another process has claimed. Changes nothing else.
    ///
    /// Ready is what is queued or waiting and has its turn: a push without lane always, of a lane only the
    /// first one that is queued, sending, waiting or held, and only while no other push of the lane is being
    /// sent.
    fn claim(&self, connector: ConnectorId, now: Timestamp, busy: &[PushId]) -> Result<Option<Claim>>;
    /// One push with what its next step needs to know.
    fn load(&self, id: PushId) -> Result<Option<Claim>>;
    /// When the next ready push of the connector is due, skipping those in `busy`.
    fn next_due(&self, connector: ConnectorId, busy: &[PushId]) -> Result<Option<Timestamp>>;
    /// Notes that a request is about to be written: state `sending`, `begun`, and the intent of a create or
    /// comment. The state and `begun` are set whatever `progress` says. False, and nothing changed, when the
    /// push is neither ready (it was cancelled or superseded meanwhile) nor already `sending` (its next
    /// step).
    fn begin(&self, id: PushId, progress: &Progress, now: Timestamp) -> Result<bool>;
    /// Stores what an exchange changed and makes the next push of the lane ready where this one left it. An
    /// intent does not outlive the states delivered, superseded and cancelled.
    ///
    /// Of a push that nobody waits for any more (cancelled or superseded between claim and begin), or that another
    /// process has begun anew since, only the attempt and the health are stored, and the answer is false. `NotFound`
    /// when it is gone.
    fn record(&self, id: PushId, outcome: &Outcome, now: Timestamp) -> Result<bool>;
    /// [`Store::record`] of one push and [`Store::begin`] of another, in one transaction where the store can. How each
    /// ended; a push that is gone does not keep the other from beginning.
    fn record_and_begin(
        &self,
        ended: (PushId, &Outcome),
        begun: (PushId, &Progress),
        now: Timestamp,
    ) -> (Result<bool>, Result<bool>) {
        (
            self.record(ended.0, ended.1, now),
            self.begin(begun.0, begun.1, now),
        )
    }
    /// The pushes left in `sending` by a process that died, by number; where several drain, also those of the caller.
    fn interrupted(&self) -> Result<Vec<PushId>>;
    /// Pulls due times that lie further ahead than the wait they were reckoned with back to `now` plus that
    /// wait; throttles and probes likewise, to their longest waits: 10 min for an offline probe, else 1 h.
    /// For a clock that was set back. A push whose turn comes later is pulled back then.
    fn clamp_due(&self, now: Timestamp) -> Result<()>;
    /// Removes history (delivered, superseded, cancelled, with their attempts) past its age and count and
    /// attempts past the age, at most a batch of each; true when more is left. Links and comment marks stay. Where several
    /// hosts share it, it ages by a clock that they share, and `now` does not count.
    fn prune(&self, retention: &Retention, now: Timestamp) -> Result<bool>;
    /// Notes which process drains, for people.
    fn note_drainer(&self, pid: Option<u32>, now: Timestamp) -> Result<()>;
    fn drainer(&self) -> Result<Option<u32>>;

    // Decisions by hand

    /// Replaces the progress of a push by hand (retry, adopt, cancel): `change` gets the push and returns the
    /// outcome to store, in one transaction that nothing else can come between. An error of `change` is
    /// returned and nothing stored. `change` must not call the store. A failed push that is queued again
    /// becomes the first of its lane.
    fn decide(
        &self,
        id: PushId,
        now: Timestamp,
        change: &mut dyn FnMut(&Claim) -> Result<Outcome>,
    ) -> Result<()>;
    /// Removes a failed push; `State` error for one in another state.
    fn discard(&self, id: PushId) -> Result<()>;

    // Whole file

    /// Calls `ring` whenever another process changed something, as soon as that is heard of; a store that hears of
    /// nothing never does.
    fn watch(&self, _ring: Box<dyn Fn() + Send + Sync>) {}
    /// Changes whenever something but this store changed the connectors, or anything at all; its own changes need not
    /// count.
    fn data_version(&self) -> Result<i64>;
    /// Writes one snapshot to a new file, for its owner alone, while others go on working. `Argument` error
    /// when there is a file. The key is not in it: it has to be kept apart for the secrets to be readable.
    fn backup(&self, path: &std::path::Path) -> Result<()>;
    /// Closes it; calls at work end first, later ones err with `Closed`. Closing again does nothing.
    fn close(&self) -> Result<()>;
    /// The same, where calls at work may wait for the network: after so long they are ended.
    fn close_within(&self, _patience: std::time::Duration) -> Result<()> {
        self.close()
    }
}

/// Work that is not known to be stored.
#[cfg(feature = "postgres")]
pub(crate) struct Lost {
    pub(crate) error: Error,
    /// Whether it may be stored all the same.
    pub(crate) in_doubt: bool,
    pub(crate) cause: Cause,
    /// Whether it was looked for under the key of its call before, and what was stored under it is not this.
    pub(crate) asked: bool,
}

/// What kept work from being stored.
#[cfg(feature = "postgres")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Whatever the error says; it may keep all other work from it as well.
    Any,
    /// Something was in the way of this work; other work can go on.
    Obstacle,
    /// It is not going to be taken, however often it is tried.
    Refusal,
}

#[cfg(feature = "postgres")]
impl Lost {
    /// It is not stored.
    pub(crate) fn entirely(error: Error) -> Lost {
        Lost {
            error,
            in_doubt: false,
            cause: Cause::Any,
            asked: false,
        }
    }

    /// It may be stored.
    pub(crate) fn in_doubt(error: Error) -> Lost {
        Lost {
            in_doubt: true,
            ..Lost::entirely(error)
        }
    }
}
