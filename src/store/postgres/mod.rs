//! The store in a PostgreSQL database that many hosts share. The only place that names tokio-postgres.
//!
//! Not through the synchronous crate `postgres`, which wraps it: that one panics when it is called on a thread that runs a
//! host's own tokio code, and its calls end only with an answer. TCP time-outs and keepalives see a dead network, and
//! `statement_timeout` a slow statement, but neither sees a server that stands still behind a live connection, and `close`
//! has to return then as well.

mod address;
mod arrive;
#[cfg(test)]
mod arrive_tests;
mod claim;
mod conn;
mod connectors;
mod decide;
mod enqueue;
mod fault;
mod history;
#[cfg(test)]
mod history_tests;
mod lanes;
mod lease;
mod mark;
mod migrate;
mod pool;
mod read;
mod receipt;
mod record;
mod row;
mod spooled;
#[cfg(test)]
pub(in crate::store) mod tests;
mod text;
mod tls;
mod vault;
mod ways;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use zeroize::Zeroizing;

use self::address::Address;
use self::lease::Lease;
use self::pool::Pool;
use self::record::Held;
use self::row::get;
use self::vault::KeyHolder;
use super::room::{Room, refuse_overflow};
use super::sqlite::KeySource;
use super::sqlite::enqueue::make_ready;
use super::transfer::{Give, Origin};
use super::{
    Claim, Counts, Health, Limits, Lost, NewConnector, Outcome, Retention, Store, StoredConnector,
    Undelivered,
};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Attempt, Case, Filter, Link, PushId, PushState, PushStatus, Tally, Timestamp};
use crate::outbox::{ConnectorId, NewPush, Progress};
use crate::transport::TlsPolicy;

/// An outbox in a schema of a PostgreSQL database.
pub(crate) struct PostgresStore {
    pool: Pool,
    lease: Lease,
    key: RwLock<KeyHolder>,
    /// What this process has in hand, with what has to be unchanged for its outcome to count.
    held: Mutex<HashMap<PushId, Held>>,
    /// What the deliverer acts on, connector by connector.
    acting: Mutex<HashMap<ConnectorId, (Limits, Health)>>,
    room: Room,
}

impl PostgresStore {
    /// Connects, and brings the schema up to date, making it if it is not there. `usual` is how certificates are
    /// verified where the URL does not say.
    ///
    /// # Errors
    /// `Argument` for a URL that cannot be used, `Busy` when the server cannot be reached, `SchemaTooNew` for a newer
    /// schema and `Corrupt` for one that is not casehook's; both are left untouched.
    pub(crate) fn open(url: &str, key: KeySource, usual: &TlsPolicy) -> Result<PostgresStore> {
        let pool = Pool::new(Address::parse(url, usual)?)?;
        // Whoever opens has one connection for certain, however many hosts come later.
        pool.adopt(migrate::migrate(&pool.io, &pool.address)?);
        Ok(PostgresStore {
            lease: Lease::start(&pool),
            pool,
            key: RwLock::new(KeyHolder::new(key)),
            held: Mutex::default(),
            acting: Mutex::default(),
            room: Room::default(),
        })
    }

    /// Takes over an outbox whose rows `give` gives out, into a schema without any.
    pub(crate) fn import(&self, origin: &Origin, give: &mut Give<'_>) -> Result<(), Lost> {
        self.pool
            .write_or_tell(|conn| arrive::import(conn, origin, give))?;
        self.lease.tell();
        Ok(())
    }

    /// Where it is, as people know it.
    pub(crate) fn named(&self) -> String {
        self.pool.address.named()
    }

    /// The number that tells this outbox from every other.
    pub(crate) fn instance(&self) -> Result<String> {
        let instance = self.pool.glance(|conn| {
            conn.one("SELECT value FROM meta WHERE name = 'instance'", &[], |row| {
                get(row, 0)
            })
        })?;
        instance.ok_or_else(|| {
            Error::new(
                ErrorKind::Corrupt,
                "casehook's schema is not whole; restore a backup",
            )
        })
    }

    fn store_pushes(
        &self,
        pushes: Vec<NewPush>,
        retention: &Retention,
        now: Timestamp,
        receipt: Option<(&str, &[String])>,
    ) -> Result<Vec<PushId>, Lost> {
        let pushes = pushes
            .into_iter()
            .map(make_ready)
            .collect::<Result<Vec<_>>>()
            .map_err(Lost::entirely)?;
        let trusted = self.room.take(pushes.len(), retention);
        let mut asked = false;
        let stored = self.pool.write_or_tell(|conn| {
            if let Some((key, settled)) = receipt {
                receipt::forget(conn, settled)?;
                if let Some(ids) = receipt::take(conn, key)? {
                    return Ok((ids, None));
                }
                asked = true;
            }
            let ids = enqueue::enqueue(conn, &pushes, now)?;
            let mut count = None;
            if !trusted {
                let undelivered = enqueue::undelivered(conn)?;
                refuse_overflow(undelivered, retention)?;
                count = Some(undelivered);
            }
            if let Some((key, _)) = receipt {
                receipt::write(conn, key, &ids)?;
            }
            Ok((ids, count))
        });
        let (ids, count) = stored.map_err(|lost| Lost { asked, ..lost })?;
        if let Some(count) = count {
            self.room.counted(count, retention);
        }
        self.lease.tell();
        Ok(ids)
    }

    fn key(&self) -> RwLockReadGuard<'_, KeyHolder> {
        self.key.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_hand(&self) -> Vec<PushId> {
        lock(&self.held).keys().copied().collect()
    }

    fn limits(&self, connector: ConnectorId) -> Option<Limits> {
        lock(&self.acting).get(&connector).map(|(limits, _)| *limits)
    }
}

impl Store for PostgresStore {
    fn put_connector(&self, connector: &NewConnector<'_>, now: Timestamp) -> Result<StoredConnector> {
        let key = match &connector.secrets {
            Some(secrets) if !secrets.is_empty() => Some(self.key().get()?),
            _ => None,
        };
        let stored = self
            .pool
            .write(|conn| connectors::put(conn, connector, key.as_ref(), now))?;
        self.lease.tell();
        Ok(stored)
    }

    fn connector(&self, name: &str) -> Result<Option<StoredConnector>> {
        self.pool.glance(|conn| connectors::by_name(conn, name))
    }

    fn connectors(&self) -> Result<Vec<StoredConnector>> {
        self.pool.glance(connectors::list)
    }

    fn secrets(&self, id: ConnectorId) -> Result<Vec<(String, Zeroizing<String>)>> {
        let key = self.key();
        self.pool.read(|conn| vault::read(conn, id, &key))
    }

    fn rekey(&self, key: Option<Zeroizing<[u8; 32]>>) -> Result<()> {
        let Some(key) = key else {
            let message = "secrets in PostgreSQL have no key file, so a new key must come from the host; give the new key";
            return Err(Error::new(ErrorKind::Argument, message).at("key"));
        };
        let mut holder = self.key.write().unwrap_or_else(PoisonError::into_inner);
        self.pool.write(|conn| vault::rekey(conn, &holder, &key))?;
        *holder = KeyHolder::Given(key);
        Ok(())
    }

    fn has_secrets(&self, id: ConnectorId) -> Result<bool> {
        self.pool.glance(|conn| connectors::has_secrets(conn, id))
    }

    fn remove_connector(&self, name: &str, undelivered: Undelivered, now: Timestamp) -> Result<()> {
        self.pool
            .write(|conn| connectors::remove(conn, name, undelivered, now))?;
        self.lease.tell();
        Ok(())
    }

    fn set_paused(&self, name: &str, paused: bool, now: Timestamp) -> Result<()> {
        self.pool
            .write(|conn| connectors::set_paused(conn, name, paused, now))?;
        self.lease.tell();
        Ok(())
    }

    fn set_health(&self, id: ConnectorId, health: &Health) -> Result<()> {
        self.pool.write(|conn| connectors::set_health(conn, id, health))
    }

    fn links_elsewhere(&self, name: &str, target: &str) -> Result<u64> {
        self.pool
            .glance(|conn| connectors::links_elsewhere(conn, name, target))
    }

    fn enqueue(&self, pushes: Vec<NewPush>, retention: &Retention, now: Timestamp) -> Result<Vec<PushId>> {
        self.store_pushes(pushes, retention, now, None)
            .map_err(|lost| lost.error)
    }

    fn status(&self, id: PushId) -> Result<Option<PushStatus>> {
        self.pool.read(|conn| read::status(conn, id))
    }

    fn pushes(&self, filter: &Filter) -> Result<Vec<PushStatus>> {
        self.pool.read(|conn| read::pushes(conn, filter))
    }

    fn attempts(&self, id: PushId) -> Result<Vec<Attempt>> {
        self.pool.glance(|conn| read::attempts(conn, id))
    }

    fn case(&self, id: PushId) -> Result<Option<Case>> {
        self.pool.read(|conn| claim::case(conn, id))
    }

    fn link(&self, connector: &str, target: &str, case_id: &str) -> Result<Option<Link>> {
        self.pool
            .glance(|conn| read::link(conn, connector, target, case_id))
    }

    fn counts(&self) -> Result<Vec<Counts>> {
        self.pool.read(history::counts)
    }

    fn exchanges(&self, id: ConnectorId) -> Result<Vec<Tally>> {
        self.pool.glance(|conn| history::exchanges(conn, id))
    }

    fn shares_draining(&self) -> bool {
        true
    }

    fn acts_on(&self, connector: ConnectorId, limits: Limits, health: &Health) {
        lock(&self.acting).insert(connector, (limits, health.clone()));
    }

    fn take_turn(&self, connector: ConnectorId) -> Result<Option<Duration>> {
        match self.limits(connector).map(|limits| limits.min_interval) {
            Some(interval) if !interval.is_zero() => {
                self.pool.note(|conn| claim::take_turn(conn, connector, interval))
            }
            _ => Ok(None),
        }
    }

    fn claim(&self, connector: ConnectorId, now: Timestamp, busy: &[PushId]) -> Result<Option<Claim>> {
        let me = self.lease.me(&self.pool)?;
        let limits = self.limits(connector);
        let mut again = false;
        let claimed = self.pool.note(|conn| {
            // What was lost may have been the answer to the commit: then there is a claim that nobody knows of.
            if std::mem::replace(&mut again, true) {
                claim::let_go(conn, me, &self.in_hand())?;
            }
            claim::claim(conn, connector, limits, me, now, busy)
        })?;
        match claimed {
            Some((id, _)) => self.load(id),
            None => Ok(None),
        }
    }

    fn load(&self, id: PushId) -> Result<Option<Claim>> {
        // Without a transaction of its own: what was claimed is this host's, so nobody changes it between two looks.
        let Some((claim, held)) = self.pool.glance(|conn| claim::load(conn, id))? else {
            return Ok(None);
        };
        // An older look at a push that was begun meanwhile says nothing.
        let mut known = lock(&self.held);
        if known.get(&id).is_none_or(|known| known.fence <= held.fence) {
            known.insert(id, held);
        }
        drop(known);
        Ok(Some(claim))
    }

    fn next_due(&self, connector: ConnectorId, busy: &[PushId]) -> Result<Option<Timestamp>> {
        let me = self.lease.me(&self.pool)?;
        let limits = self.limits(connector);
        let now = Timestamp::from(std::time::SystemTime::now());
        self.pool
            .glance(|conn| claim::next_due(conn, connector, limits, me, now, busy))
    }

    fn begin(&self, id: PushId, progress: &Progress, now: Timestamp) -> Result<bool> {
        let me = self.lease.me(&self.pool)?;
        let known = lock(&self.held).get(&id).map(|held| held.fence);
        let begun = self
            .pool
            .write(|conn| claim::begin(conn, id, known, me, progress, now))?;
        let Some(held) = begun else {
            lock(&self.held).remove(&id);
            self.lease.doubt();
            return Ok(false);
        };
        lock(&self.held).insert(id, held);
        self.lease.check()?;
        Ok(true)
    }

    fn record(&self, id: PushId, outcome: &Outcome, now: Timestamp) -> Result<bool> {
        let held = lock(&self.held).get(&id).cloned();
        let me = self.lease.number();
        let acting = held
            .as_ref()
            .and_then(|held| lock(&self.acting).get(&held.connector).cloned());
        let acted_on = acting.as_ref().map(|(_, health)| health);
        let stored = self
            .pool
            .write(|conn| record::record(conn, id, held.as_ref(), me, acted_on, outcome, now));
        let gone = matches!(&stored, Err(error) if error.kind() == ErrorKind::NotFound);
        if gone || matches!(stored, Ok(stored) if !stored || outcome.progress.state != PushState::Sending) {
            lock(&self.held).remove(&id);
        }
        if let (Ok(_), Some(health), Some(held)) = (&stored, &outcome.health, held) {
            if let Some((_, acted_on)) = lock(&self.acting).get_mut(&held.connector) {
                acted_on.clone_from(health);
            }
            self.lease.tell();
        }
        stored
    }

    fn interrupted(&self) -> Result<Vec<PushId>> {
        let me = self.lease.me(&self.pool)?;
        let lease = self.pool.address.lease;
        let in_hand = self.in_hand();
        let found = self.pool.note(|conn| {
            claim::let_go(conn, me, &in_hand)?;
            claim::interrupted(conn, me, lease)
        })?;
        let mut held = lock(&self.held);
        let ids = found.iter().map(|(id, _)| *id).collect();
        for (id, place) in found {
            // What is under way here keeps the fence that it was begun with.
            held.entry(id).or_insert(place);
        }
        Ok(ids)
    }

    fn clamp_due(&self, now: Timestamp) -> Result<()> {
        self.pool.write(|conn| claim::clamp_due(conn, now))
    }

    fn prune(&self, retention: &Retention, _now: Timestamp) -> Result<bool> {
        self.pool.write(|conn| history::prune(conn, retention))
    }

    fn note_drainer(&self, pid: Option<u32>, _now: Timestamp) -> Result<()> {
        let Some(pid) = pid else {
            // A closed store says so, also where there is nothing to give back.
            self.pool.glance(|_| Ok(()))?;
            return self.lease.leave(&self.pool);
        };
        let me = self.lease.me(&self.pool)?;
        self.pool.write(|conn| {
            let noted = i64::from(pid);
            conn.run("UPDATE drainers SET noted_pid = $2 WHERE id = $1", &[&me, &noted])
                .map(drop)
        })
    }

    fn drainer(&self) -> Result<Option<u32>> {
        let pid: Option<i64> = self.pool.glance(|conn| {
            conn.one(
                "SELECT noted_pid FROM drainers WHERE noted_pid IS NOT NULL AND lease_until > clock_timestamp() \
                 ORDER BY id DESC LIMIT 1",
                &[],
                |row| get(row, 0),
            )
        })?;
        Ok(pid.and_then(|pid| pid.try_into().ok()))
    }

    fn decide(
        &self,
        id: PushId,
        now: Timestamp,
        change: &mut dyn FnMut(&Claim) -> Result<Outcome>,
    ) -> Result<()> {
        self.pool.write(|conn| decide::decide(conn, id, now, change))?;
        self.lease.tell();
        Ok(())
    }

    fn discard(&self, id: PushId) -> Result<()> {
        self.pool.write(|conn| decide::discard(conn, id))
    }

    fn watch(&self, ring: Box<dyn Fn() + Send + Sync>) {
        self.lease.watch(ring);
    }

    fn data_version(&self) -> Result<i64> {
        self.pool.glance(connectors::version)
    }

    fn backup(&self, _path: &Path) -> Result<()> {
        Err(Error::new(
            ErrorKind::Argument,
            format!(
                "a PostgreSQL database is copied with its own tools: pg_dump --schema={}",
                self.pool.address.schema
            ),
        ))
    }

    fn close(&self) -> Result<()> {
        self.close_within(pool::PATIENCE)
    }

    fn close_within(&self, patience: Duration) -> Result<()> {
        self.pool.close(patience);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
