//! A database server with a spool before it: a file that takes pushes while the server cannot be reached, and forwards them.
//!
//! Order: as long as pushes wait in the spool, later ones go there as well; those that the database refuses hold up their own
//! connector alone. Once: each call to push has a key, which the database keeps with what it stored, in one transaction;
//! whoever did not hear the answer makes the call again under it. Pushes in the spool have negative numbers, and keep them as another name of the push that they become.

mod far;
mod forward;
mod held;
mod keys;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use self::far::Far;
use self::forward::Forwarder;
use self::keys::Keys;
use super::postgres::PostgresStore;
use super::sqlite::spool::Spooled;
use super::sqlite::{KeySource, SqliteStore, random_id};
use super::{
    Claim, Counts, Health, Limits, Lost, NewConnector, Outcome, Retention, Store, StoredConnector,
    Undelivered,
};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Attempt, Case, Filter, Link, PushId, PushState, PushStatus, Tally, Timestamp};
use crate::outbox::{ConnectorId, NewPush, Progress};
use crate::process::DrainLock;
use crate::transport::TlsPolicy;

/// How many pushes a list has when nobody says.
const LISTED: usize = 100;
/// How many batches of other names are looked at each time that history is pruned.
const LOOKS: usize = 10;

/// The outbox in a database, with the pushes that have not got there.
pub(crate) struct SpooledStore {
    near: Arc<SqliteStore>,
    far: Arc<Far>,
    keys: Arc<Keys>,
    forwarder: Forwarder,
    /// Up to which spooled push it was looked at whether its other name is still needed.
    looked_at: Mutex<PushId>,
}

/// Where a push is.
enum Place {
    Near(PushId),
    Far(PushId),
    Nowhere,
}

impl SpooledStore {
    /// Opens the spool, and the database if it can be reached.
    ///
    /// # Errors
    /// Those of both, but not that the database cannot be reached; `Argument` for a spool of another database.
    pub(crate) fn open(
        url: &str,
        spool: &Path,
        key: KeySource,
        usual: &TlsPolicy,
        retention: Retention,
    ) -> Result<SpooledStore> {
        let near = Arc::new(SqliteStore::open_spool(spool)?);
        let far = Arc::new(Far::new(url, key, usual, Arc::clone(&near)));
        match far.get() {
            Err(error) if error.kind() != ErrorKind::Busy => return Err(error),
            _ => {}
        }
        let keys = Arc::new(Keys::default());
        let forwarder = Forwarder::start(&near, &far, &keys, retention, DrainLock::new(spool))?;
        Ok(SpooledStore {
            near,
            far,
            keys,
            forwarder,
            looked_at: Mutex::new(PushId::from(0)),
        })
    }

    fn far(&self) -> Result<&PostgresStore> {
        self.far.get()
    }

    fn spool(
        &self,
        key: &str,
        pushes: Vec<NewPush>,
        begun: bool,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<Vec<PushId>> {
        let ids = self.near.spool(key, pushes, begun, retention, now)?;
        self.forwarder.wake();
        Ok(ids.into_iter().map(mirrored).collect())
    }

    fn place_of(&self, id: PushId) -> Result<Place> {
        if id.get() >= 0 {
            return Ok(Place::Far(id));
        }
        let own = mirrored(id);
        Ok(match self.near.place_of(own)? {
            Spooled::Here => Place::Near(own),
            Spooled::Forwarded(to) => Place::Far(to),
            Spooled::Unknown => Place::Nowhere,
        })
    }

    /// Forgets the other names of pushes that are gone; a part of them at a time, in turn.
    fn forget_names(&self, far: &PostgresStore) -> Result<()> {
        let mut after = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..LOOKS {
            let names = self.near.forwarded_after(*after)?;
            let Some((last, _)) = names.last() else {
                *after = PushId::from(0);
                break;
            };
            *after = *last;
            let there: Vec<PushId> = names.iter().map(|(_, to)| *to).collect();
            let gone: HashSet<PushId> = far.gone(&there)?.into_iter().collect();
            let of_gone = names.iter().filter(|(_, to)| gone.contains(to));
            let of_gone: Vec<PushId> = of_gone.map(|(id, _)| *id).collect();
            if !of_gone.is_empty() {
                self.near.forget(&of_gone)?;
            }
        }
        self.near.forget_pruned()
    }

    /// Does with a push what has to be done with it where it is. It may be forwarded in between: then it is `NotFound` or
    /// `None` here, and done there.
    fn wherever<T>(
        &self,
        id: PushId,
        near: &mut dyn FnMut(PushId) -> Result<Option<T>>,
        far: &mut dyn FnMut(&PostgresStore, PushId) -> Result<T>,
        nowhere: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let mut place = self.place_of(id)?;
        if let Place::Near(own) = place {
            match near(own) {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => {}
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Err(_) => {}
            }
            place = self.place_of(id)?;
        }
        match place {
            Place::Far(id) => far(self.far()?, id),
            Place::Near(_) | Place::Nowhere => nowhere(),
        }
    }
}

impl Store for SpooledStore {
    fn put_connector(&self, connector: &NewConnector<'_>, now: Timestamp) -> Result<StoredConnector> {
        let stored = self.far()?.put_connector(connector, now)?;
        self.far.saw(std::slice::from_ref(&stored), false)?;
        Ok(stored)
    }

    /// As it was last seen, while the database cannot be reached: what pushes are checked against.
    fn connector(&self, name: &str) -> Result<Option<StoredConnector>> {
        match self.far().and_then(|far| far.connector(name)) {
            Ok(found) => {
                self.far.saw(found.as_slice(), false)?;
                Ok(found)
            }
            Err(error) if error.kind() == ErrorKind::Busy => match self.near.connector(name)? {
                Some(known) => Ok(Some(known)),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn connectors(&self) -> Result<Vec<StoredConnector>> {
        let found = self.far()?.connectors()?;
        self.far.saw(&found, true)?;
        Ok(found)
    }

    fn secrets(&self, id: ConnectorId) -> Result<Vec<(String, Zeroizing<String>)>> {
        self.far()?.secrets(id)
    }

    fn has_secrets(&self, id: ConnectorId) -> Result<bool> {
        self.far()?.has_secrets(id)
    }

    fn rekey(&self, key: Option<Zeroizing<[u8; 32]>>) -> Result<()> {
        self.far()?.rekey(key)
    }

    fn remove_connector(&self, name: &str, undelivered: Undelivered, now: Timestamp) -> Result<()> {
        self.far()?.remove_connector(name, undelivered, now)
    }

    fn set_paused(&self, name: &str, paused: bool, now: Timestamp) -> Result<()> {
        self.far()?.set_paused(name, paused, now)
    }

    fn set_health(&self, id: ConnectorId, health: &Health) -> Result<()> {
        self.far()?.set_health(id, health)
    }

    fn links_elsewhere(&self, name: &str, target: &str) -> Result<u64> {
        self.far()?.links_elsewhere(name, target)
    }

    fn enqueue(&self, pushes: Vec<NewPush>, retention: &Retention, now: Timestamp) -> Result<Vec<PushId>> {
        let key = random_id()?;
        let connectors: Vec<ConnectorId> = pushes.iter().map(|push| push.connector).collect();
        if self.near.has_to_wait(&connectors)? {
            return self.spool(&key, pushes, false, retention, now);
        }
        let settled = self.keys.take_settled();
        let stored = self
            .far()
            .map_err(Lost::entirely)
            .and_then(|far| far.enqueue_once(&key, &settled, pushes.clone(), retention, now));
        match stored {
            Ok(ids) => {
                self.keys.settle(key);
                Ok(ids)
            }
            Err(lost) => {
                self.keys.settle_again(settled);
                if !lost.in_doubt && lost.error.kind() != ErrorKind::Busy {
                    return Err(lost.error);
                }
                let spooled = self.spool(&key, pushes, lost.in_doubt, retention, now);
                match spooled {
                    // That it may be stored all the same is what the caller has to know.
                    Err(_) if lost.in_doubt => Err(lost.error),
                    spooled => spooled,
                }
            }
        }
    }

    fn status(&self, id: PushId) -> Result<Option<PushStatus>> {
        self.wherever(
            id,
            &mut |own| Ok(self.near.status(own)?.map(|status| Some(shown(status)))),
            &mut |far, id| far.status(id),
            || Ok(None),
        )
    }

    /// What waits in the spool was accepted last, so it comes first.
    fn pushes(&self, filter: &Filter) -> Result<Vec<PushStatus>> {
        let limit = filter.limit.unwrap_or(LISTED);
        let mut found = Vec::new();
        let mut there = filter.clone();
        if filter.before.is_none_or(|id| id.get() < 0) {
            let mut here = filter.clone();
            here.before = filter.before.map(mirrored);
            here.limit = Some(limit);
            found.extend(self.near.pushes(&here)?.into_iter().map(shown));
            there.before = None;
        }
        there.limit = Some(limit.saturating_sub(found.len()));
        if found.len() < limit {
            found.extend(self.far()?.pushes(&there)?);
        }
        Ok(found)
    }

    fn attempts(&self, id: PushId) -> Result<Vec<Attempt>> {
        self.wherever(
            id,
            &mut |_| Ok(Some(Vec::new())),
            &mut |far, id| far.attempts(id),
            || Ok(Vec::new()),
        )
    }

    fn case(&self, id: PushId) -> Result<Option<Case>> {
        self.wherever(
            id,
            &mut |own| Ok(self.near.case(own)?.map(Some)),
            &mut |far, id| far.case(id),
            || Ok(None),
        )
    }

    fn link(&self, connector: &str, target: &str, case_id: &str) -> Result<Option<Link>> {
        self.far()?.link(connector, target, case_id)
    }

    /// With those in the spool, as queued ones.
    fn counts(&self) -> Result<Vec<Counts>> {
        let mut counts = self.far()?.counts()?;
        // What was tried is not among what is ready there.
        let waiting = self.near.oldest_waiting()?;
        let place = |state: PushState| PushState::ALL.iter().position(|one| *one == state);
        for own in self.near.counts()? {
            let Some(there) = counts.iter_mut().find(|there| there.connector == own.connector) else {
                continue;
            };
            for (state, as_state) in [
                (PushState::Queued, PushState::Queued),
                (PushState::Sending, PushState::Queued),
                (PushState::Failed, PushState::Failed),
                (PushState::Cancelled, PushState::Cancelled),
            ] {
                let from = place(state)
                    .and_then(|at| own.by_state.get(at))
                    .copied()
                    .unwrap_or(0);
                if let Some(to) = place(as_state).and_then(|at| there.by_state.get_mut(at)) {
                    *to += from;
                }
                there.ready |= from > 0 && as_state == PushState::Queued;
            }
            let first = waiting.iter().find(|(connector, _)| *connector == own.connector);
            let oldest = [there.oldest_at, own.oldest_at, first.map(|(_, at)| *at)];
            there.oldest_at = oldest.into_iter().flatten().min();
        }
        Ok(counts)
    }

    fn exchanges(&self, id: ConnectorId) -> Result<Vec<Tally>> {
        self.far()?.exchanges(id)
    }

    fn shares_draining(&self) -> bool {
        true
    }

    fn acts_on(&self, connector: ConnectorId, limits: Limits, health: &Health) {
        // Whoever learned of a connector has the database open.
        if let Ok(far) = self.far() {
            far.acts_on(connector, limits, health);
        }
    }

    fn take_turn(&self, connector: ConnectorId) -> Result<Option<Duration>> {
        self.far()?.take_turn(connector)
    }

    fn claim(&self, connector: ConnectorId, now: Timestamp, busy: &[PushId]) -> Result<Option<Claim>> {
        self.far()?.claim(connector, now, busy)
    }

    fn load(&self, id: PushId) -> Result<Option<Claim>> {
        self.far()?.load(id)
    }

    fn next_due(&self, connector: ConnectorId, busy: &[PushId]) -> Result<Option<Timestamp>> {
        self.far()?.next_due(connector, busy)
    }

    fn begin(&self, id: PushId, progress: &Progress, now: Timestamp) -> Result<bool> {
        self.far()?.begin(id, progress, now)
    }

    fn record(&self, id: PushId, outcome: &Outcome, now: Timestamp) -> Result<bool> {
        self.far()?.record(id, outcome, now)
    }

    fn interrupted(&self) -> Result<Vec<PushId>> {
        self.far()?.interrupted()
    }

    fn clamp_due(&self, now: Timestamp) -> Result<()> {
        self.far()?.clamp_due(now)
    }

    /// Also forgets the other names of pushes that are gone.
    fn prune(&self, retention: &Retention, now: Timestamp) -> Result<bool> {
        let far = self.far()?;
        let more = far.prune(retention, now)?;
        self.near.prune(retention, now)?;
        self.forget_names(far)?;
        Ok(more)
    }

    fn note_drainer(&self, pid: Option<u32>, now: Timestamp) -> Result<()> {
        self.far()?.note_drainer(pid, now)
    }

    fn drainer(&self) -> Result<Option<u32>> {
        self.far()?.drainer()
    }

    fn decide(
        &self,
        id: PushId,
        now: Timestamp,
        change: &mut dyn FnMut(&Claim) -> Result<Outcome>,
    ) -> Result<()> {
        // Both need it, and one at a time has it.
        let change = std::cell::RefCell::new(change);
        let decided = self.wherever(
            id,
            &mut |own| {
                let decide = |claim: &Claim| {
                    let mut claim = claim.clone();
                    claim.push.id = id;
                    change.borrow_mut()(&claim)
                };
                self.near.decide(own, now, &mut { decide }).map(Some)
            },
            &mut |far, id| far.decide(id, now, &mut |claim| change.borrow_mut()(claim)),
            || Err(unknown(id)),
        );
        self.forwarder.wake();
        decided
    }

    fn discard(&self, id: PushId) -> Result<()> {
        self.wherever(
            id,
            &mut |own| self.near.discard(own).map(Some),
            &mut |far, id| far.discard(id),
            || Err(unknown(id)),
        )
    }

    fn watch(&self, ring: Box<dyn Fn() + Send + Sync>) {
        self.far.watch(Arc::from(ring));
    }

    fn data_version(&self) -> Result<i64> {
        self.far()?.data_version()
    }

    fn backup(&self, path: &Path) -> Result<()> {
        self.far()?.backup(path)
    }

    fn close(&self) -> Result<()> {
        self.close_within(forward::PATIENCE)
    }

    fn close_within(&self, patience: Duration) -> Result<()> {
        let begun = Instant::now();
        let left = || patience.saturating_sub(begun.elapsed());
        self.forwarder.stop();
        self.forwarder.wait(left() / 2);
        // Ends what is under way there.
        let far = self.far.close(left() / 2);
        self.forwarder.join(left());
        self.near.close().and(far)
    }
}

/// The number of a spooled push outside the spool, and back.
fn mirrored(id: PushId) -> PushId {
    PushId::from(id.get().saturating_neg())
}

fn shown(mut status: PushStatus) -> PushStatus {
    status.id = mirrored(status.id);
    status
}

fn unknown(id: PushId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no push {id} (history is pruned after a while)"),
    )
}
