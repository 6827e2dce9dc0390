//! A store that fails when the test says so.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Attempt, Case, Filter, Link, PushId, PushStatus, Tally, Timestamp};
use crate::outbox::{Claim, ConnectorId, Health, NewPush, Outcome, Progress};
use crate::store::sqlite::SqliteStore;
use crate::store::{Counts, NewConnector, Retention, Store, StoredConnector, Undelivered};

/// How a writing call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreFault {
    /// Nothing is written.
    Before,
    /// It is written, and says that it is not.
    After,
}

pub(super) struct FaultyStore {
    store: SqliteStore,
    /// The next of these calls, by name, fail so.
    faults: Mutex<VecDeque<(&'static str, StoreFault)>>,
}

impl FaultyStore {
    pub(super) fn new(store: SqliteStore) -> FaultyStore {
        FaultyStore {
            store,
            faults: Mutex::default(),
        }
    }

    /// The next call of that name fails.
    pub(super) fn fail(&self, call: &'static str, fault: StoreFault) {
        self.faults.lock().unwrap().push_back((call, fault));
    }

    pub(super) fn heal(&self) {
        self.faults.lock().unwrap().clear();
    }

    fn run<T>(&self, call: &str, work: impl FnOnce(&SqliteStore) -> Result<T>) -> Result<T> {
        let mut faults = self.faults.lock().unwrap();
        let place = faults.iter().position(|(name, _)| *name == call);
        let fault = place
            .and_then(|place| faults.remove(place))
            .map(|(_, fault)| fault);
        drop(faults);
        match fault {
            None => work(&self.store),
            Some(StoreFault::Before) => Err(Error::new(ErrorKind::DiskFull, "the test fills the disk")),
            Some(StoreFault::After) => {
                work(&self.store)?;
                Err(Error::new(ErrorKind::Store, "the test fails after the work"))
            }
        }
    }
}

impl Store for FaultyStore {
    fn put_connector(&self, connector: &NewConnector<'_>, now: Timestamp) -> Result<StoredConnector> {
        self.run("put_connector", |store| store.put_connector(connector, now))
    }
    fn connector(&self, name: &str) -> Result<Option<StoredConnector>> {
        self.run("connector", |store| store.connector(name))
    }
    fn connectors(&self) -> Result<Vec<StoredConnector>> {
        self.run("connectors", |store| store.connectors())
    }
    fn secrets(&self, id: ConnectorId) -> Result<Vec<(String, zeroize::Zeroizing<String>)>> {
        self.run("secrets", |store| store.secrets(id))
    }
    fn rekey(&self, key: Option<zeroize::Zeroizing<[u8; 32]>>) -> Result<()> {
        self.run("rekey", |store| store.rekey(key))
    }
    fn has_secrets(&self, id: ConnectorId) -> Result<bool> {
        self.run("has_secrets", |store| store.has_secrets(id))
    }
    fn remove_connector(&self, name: &str, undelivered: Undelivered, now: Timestamp) -> Result<()> {
        self.run("remove_connector", |store| {
            store.remove_connector(name, undelivered, now)
        })
    }
    fn set_paused(&self, name: &str, paused: bool, now: Timestamp) -> Result<()> {
        self.run("set_paused", |store| store.set_paused(name, paused, now))
    }
    fn set_health(&self, id: ConnectorId, health: &Health) -> Result<()> {
        self.run("set_health", |store| store.set_health(id, health))
    }
    fn links_elsewhere(&self, name: &str, target: &str) -> Result<u64> {
        self.run("links_elsewhere", |store| store.links_elsewhere(name, target))
    }
    fn enqueue(&self, pushes: Vec<NewPush>, retention: &Retention, now: Timestamp) -> Result<Vec<PushId>> {
        self.run("enqueue", |store| store.enqueue(pushes, retention, now))
    }
    fn status(&self, id: PushId) -> Result<Option<PushStatus>> {
        self.run("status", |store| store.status(id))
    }
    fn pushes(&self, filter: &Filter) -> Result<Vec<PushStatus>> {
        self.run("pushes", |store| store.pushes(filter))
    }
    fn attempts(&self, id: PushId) -> Result<Vec<Attempt>> {
        self.run("attempts", |store| store.attempts(id))
    }
    fn case(&self, id: PushId) -> Result<Option<Case>> {
        self.run("case", |store| store.case(id))
    }
    fn link(&self, connector: &str, target: &str, case_id: &str) -> Result<Option<Link>> {
        self.run("link", |store| store.link(connector, target, case_id))
    }
    fn counts(&self) -> Result<Vec<Counts>> {
        self.run("counts", |store| store.counts())
    }
    fn exchanges(&self, id: ConnectorId) -> Result<Vec<Tally>> {
        self.run("exchanges", |store| store.exchanges(id))
    }
    fn claim(&self, connector: ConnectorId, now: Timestamp, busy: &[PushId]) -> Result<Option<Claim>> {
        self.run("claim", |store| store.claim(connector, now, busy))
    }
    fn load(&self, id: PushId) -> Result<Option<Claim>> {
        self.run("load", |store| store.load(id))
    }
    fn next_due(&self, connector: ConnectorId, busy: &[PushId]) -> Result<Option<Timestamp>> {
        self.run("next_due", |store| store.next_due(connector, busy))
    }
    fn begin(&self, id: PushId, progress: &Progress, now: Timestamp) -> Result<bool> {
        self.run("begin", |store| store.begin(id, progress, now))
    }
    fn record(&self, id: PushId, outcome: &Outcome, now: Timestamp) -> Result<bool> {
        self.run("record", |store| store.record(id, outcome, now))
    }
    fn record_and_begin(
        &self,
        ended: (PushId, &Outcome),
        begun: (PushId, &Progress),
        now: Timestamp,
    ) -> (Result<bool>, Result<bool>) {
        let both = self.run("record_and_begin", |store| {
            Ok(store.record_and_begin(ended, begun, now))
        });
        both.unwrap_or_else(|error| (Err(error.clone()), Err(error)))
    }
    fn interrupted(&self) -> Result<Vec<PushId>> {
        self.run("interrupted", |store| store.interrupted())
    }
    fn clamp_due(&self, now: Timestamp) -> Result<()> {
        self.run("clamp_due", |store| store.clamp_due(now))
    }
    fn prune(&self, retention: &Retention, now: Timestamp) -> Result<bool> {
        self.run("prune", |store| store.prune(retention, now))
    }
    fn note_drainer(&self, pid: Option<u32>, now: Timestamp) -> Result<()> {
        self.run("note_drainer", |store| store.note_drainer(pid, now))
    }
    fn drainer(&self) -> Result<Option<u32>> {
        self.run("drainer", |store| store.drainer())
    }
    fn decide(
        &self,
        id: PushId,
        now: Timestamp,
        change: &mut dyn FnMut(&Claim) -> Result<Outcome>,
    ) -> Result<()> {
        self.run("decide", |store| store.decide(id, now, change))
    }
    fn discard(&self, id: PushId) -> Result<()> {
        self.run("discard", |store| store.discard(id))
    }
    fn data_version(&self) -> Result<i64> {
        self.run("data_version", |store| store.data_version())
    }
    fn backup(&self, path: &std::path::Path) -> Result<()> {
        self.run("backup", |store| store.backup(path))
    }
    fn close(&self) -> Result<()> {
        self.run("close", |store| store.close())
    }
}
