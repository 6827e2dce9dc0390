//! The database behind a spool: opened when it can be reached, which may be long after the host has begun to push.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::{KeySource, SqliteStore};
use crate::store::{Store, StoredConnector};
use crate::transport::TlsPolicy;

/// For how long a database that could not be reached is not tried to be opened again.
const PAUSE: Duration = Duration::from_millis(500);

/// What is called when another process changed something.
pub(super) type Ring = Arc<dyn Fn() + Send + Sync>;

pub(super) struct Far {
    url: String,
    key: KeySource,
    tls: TlsPolicy,
    near: Arc<SqliteStore>,
    store: OnceLock<PostgresStore>,
    state: Mutex<State>,
    /// Apart from the state, which is held while the database is being opened.
    closed: AtomicBool,
}

#[derive(Default)]
struct State {
    failed: Option<(Instant, Error)>,
    ring: Option<Ring>,
    /// The connectors as the spool has them: number and revision.
    mirrored: Vec<(i64, i64)>,
}

impl Far {
    pub(super) fn new(url: &str, key: KeySource, tls: &TlsPolicy, near: Arc<SqliteStore>) -> Far {
        Far {
            url: url.to_owned(),
            key,
            tls: tls.clone(),
            near,
            store: OnceLock::new(),
            state: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// The store, opened now if it was not yet.
    ///
    /// # Errors
    /// `Busy` while it cannot be reached; `Argument` when the spool belongs to another database; as its opening otherwise.
    pub(super) fn get(&self) -> Result<&PostgresStore> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(
                ErrorKind::Closed,
                "the outbox was closed; open it again",
            ));
        }
        if let Some((_, error)) = state.failed.as_ref().filter(|(at, _)| at.elapsed() < PAUSE) {
            return Err(error.clone());
        }
        match self.open(&mut state) {
            Ok(store) => {
                let store = self.store.get_or_init(|| store);
                if self.closed.load(Ordering::Acquire) {
                    store.close()?;
                }
                Ok(store)
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// The store, if it was opened.
    pub(super) fn opened(&self) -> Option<&PostgresStore> {
        self.store.get()
    }

    /// Keeps what was seen of the connectors, for the time when they cannot be looked at. With `all`, there are no others.
    pub(super) fn saw(&self, connectors: &[StoredConnector], all: bool) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.mirror(&mut state, connectors, all)
    }

    /// From now on `ring` is called when another process changed something.
    pub(super) fn watch(&self, ring: Ring) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = self.store.get() {
            let ring = Arc::clone(&ring);
            store.watch(Box::new(move || ring()));
        }
        state.ring = Some(ring);
    }

    /// Calls what `watch` was given.
    pub(super) fn ring(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = state.ring.clone();
        drop(state);
        if let Some(ring) = ring {
            ring();
        }
    }

    pub(super) fn close(&self, patience: Duration) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        self.opened().map_or(Ok(()), |store| store.close_within(patience))
    }

    fn open(&self, state: &mut State) -> Result<PostgresStore> {
        let store = PostgresStore::open(&self.url, self.key.clone(), &self.tls)?;
        self.near.tie(&store.instance()?)?;
        self.mirror(state, &store.connectors()?, true)?;
        if let Some(ring) = state.ring.clone() {
            store.watch(Box::new(move || ring()));
        }
        Ok(store)
    }

    fn mirror(&self, state: &mut State, connectors: &[StoredConnector], all: bool) -> Result<()> {
        let seen: Vec<_> = connectors.iter().map(|c| (c.id.0, c.revision)).collect();
        let known = match all {
            true => seen == state.mirrored,
            false => seen.iter().all(|one| state.mirrored.contains(one)),
        };
        if known {
            return Ok(());
        }
        self.near.mirror(connectors, all)?;
        if !all {
            state
                .mirrored
                .retain(|(id, _)| seen.iter().all(|(other, _)| other != id));
            state.mirrored.extend(seen);
        } else {
            state.mirrored = seen;
        }
        Ok(())
    }
}
