//! What all agents of one database file in one process share: the store, the network, the threads.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::place::Place;
use crate::clock::{Clock, SystemClock};
use crate::connector::{Connector, OwnFiles, SecretSources, Settings};
use crate::drain::Tools;
use crate::drain::{Engine, Workers};
use crate::error::{Error, ErrorKind, Result};
use crate::options::Options;
use crate::outbox::ConnectorId;
use crate::process::{Bells, DrainLock, ProcessGuard, location};
use crate::store::sqlite::{KEY_VARIABLE, KeySource, SqliteStore, read_key};
use crate::store::{Retention, Store, StoredConnector};
use crate::transport::{HttpTransport, Transport};

/// A connector's document as it was at one revision, without secrets.
pub(super) struct Document {
    pub(super) id: ConnectorId,
    pub(super) name: String,
    pub(super) target: String,
    pub(super) revision: i64,
    pub(super) connector: Connector,
}

pub(super) struct Core {
    pid: u32,
    place: Place,
    pub(super) store: Arc<dyn Store>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) bells: Arc<Bells>,
    pub(super) settings: Settings,
    pub(super) sources: SecretSources,
    pub(super) retention: Retention,
    workers: Mutex<Option<Workers>>,
    /// Parsed documents by connector name, as they were when last looked at.
    documents: Mutex<HashMap<String, Arc<Document>>>,
    /// How many agents use it; the last one to close shuts it down.
    pub(super) sessions: Mutex<usize>,
    shut: AtomicBool,
    /// Shut, and no connection to the database is left.
    closed: AtomicBool,
    // Last: released when everything above is gone. The threads hold it as well.
    guard: Mutex<Option<Arc<ProcessGuard>>>,
}

impl Core {
    /// `spool` is that of the options, its path resolved.
    pub(super) fn open(place: &Place, spool: Option<&Path>, options: &Options) -> Result<Core> {
        let key = match &options.key {
            Some(key) => KeySource::Given(key.clone()),
            None => KeySource::Default,
        };
        let retention = Retention {
            max_queued: options.max_queued,
            history_age: options.history_age,
            history_count: options.history_count,
        };
        let (guard, store) = match place {
            Place::File(path) => {
                location::check(path, options.trust_location)?;
                let guard = Arc::new(ProcessGuard::take(path)?);
                let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path, key)?);
                (Some(guard), store)
            }
            Place::Server(url) => {
                let guard = match spool {
                    Some(spool) => {
                        location::check(spool, options.trust_location)?;
                        Some(Arc::new(ProcessGuard::take(spool)?))
                    }
                    None => None,
                };
                (guard, server(url, spool, key, options, retention)?)
            }
        };
        let bells = Arc::new(Bells::default());
        let ring = Arc::clone(&bells);
        store.watch(Box::new(move || ring.ring()));
        let core = Core {
            pid: std::process::id(),
            place: place.clone(),
            store,
            transport: Arc::new(HttpTransport::new(options.workers)),
            clock: Arc::new(SystemClock::new()),
            bells,
            settings: options.settings.clone(),
            sources: SecretSources {
                env: options.secret_env.clone(),
                dir: options.secret_dir.clone(),
                own: own_files(place, spool, options),
            },
            retention,
            workers: Mutex::new(None),
            documents: Mutex::new(HashMap::new()),
            sessions: Mutex::new(0),
            shut: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            guard: Mutex::new(guard),
        };
        if options.drain {
            core.start_draining(options.workers)?;
        }
        Ok(core)
    }

    /// Whether this process is the one that opened it, and not a fork of it.
    pub(super) fn is_own_process(&self) -> bool {
        self.pid == std::process::id()
    }

    pub(super) fn is_of(&self, place: &Place) -> bool {
        self.place == *place
    }

    pub(super) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Acquire)
    }

    /// Whether SQLite may still have the database open.
    pub(super) fn has_open_files(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }

    pub(super) fn start_draining(&self, workers: usize) -> Result<()> {
        let mut running = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_some() {
            return Ok(());
        }
        let engine = Engine::new(
            Arc::clone(&self.store),
            self.settings.clone(),
            self.sources.clone(),
            seed()?,
        );
        let tools = Tools {
            store: Arc::clone(&self.store),
            transport: Arc::clone(&self.transport),
            clock: Arc::clone(&self.clock),
            bells: Arc::clone(&self.bells),
            lock: match &self.place {
                Place::File(path) => Some(DrainLock::new(path)),
                Place::Server(_) => None,
            },
            retention: self.retention,
            _guard: self.guard.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        *running = Some(Workers::start(workers, engine, tools)?);
        Ok(())
    }

    /// Tells the threads that there are more pushes. Nobody who waits until nothing is left has to look for that.
    pub(super) fn accepted(&self) {
        self.wake_workers();
        self.bells.change.ring();
    }

    /// Tells the threads, and everybody who waits, that a push was decided on.
    pub(super) fn decided(&self) {
        self.wake_workers();
        self.bells.ring();
    }

    fn wake_workers(&self) {
        if let Some(workers) = &*self.workers.lock().unwrap_or_else(PoisonError::into_inner) {
            workers.wake();
        }
    }

    pub(super) fn connectors_changed(&self) {
        if let Some(workers) = &*self.workers.lock().unwrap_or_else(PoisonError::into_inner) {
            workers.connectors_changed();
        }
        self.bells.ring();
    }

    pub(super) fn is_draining(&self) -> bool {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.as_ref().is_some_and(Workers::is_draining)
    }

    /// The process that drains, as it noted itself. One that was killed could not take that back, but its lock is gone.
    pub(super) fn drainer(&self) -> Result<Option<u32>> {
        let noted = self.store.drainer()?;
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let there = match &*workers {
            Some(workers) => workers.somebody_drains(),
            // Its threads may hold the lock, which another look at the file would drop.
            None if self.is_shut() => true,
            None => match &self.place {
                Place::File(path) => noted.is_some() && DrainLock::new(path).is_held_elsewhere(),
                // Its own leases end with whoever held them.
                Place::Server(_) => true,
            },
        };
        Ok(noted.filter(|_| there))
    }

    pub(super) fn shutdown(&self, timeout: Duration) -> Result<()> {
        let begun = Instant::now();
        self.shut.store(true, Ordering::Release);
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner).take();
        let all_ended = workers.is_none_or(|workers| workers.stop(timeout));
        self.bells.ring();
        if !all_ended {
            // Their store must stay; it goes with the last of them.
            log::warn!("closed with a thread still under way");
            return Ok(());
        }
        let closed = self.store.close_within(timeout.saturating_sub(begun.elapsed()));
        self.closed.store(true, Ordering::Release);
        self.guard.lock().unwrap_or_else(PoisonError::into_inner).take();
        closed
    }

    /// The connector of that name, and its parsed document.
    pub(super) fn document(&self, name: &str) -> Result<Arc<Document>> {
        let stored = self.stored(name)?;
        if let Some(known) = self.known(name)
            && known.revision == stored.revision
        {
            return Ok(known);
        }
        let document = Arc::new(Document {
            id: stored.id,
            revision: stored.revision,
            connector: Connector::restore(&stored.name, &stored.config, &stored.warnings, Vec::new())?,
            name: stored.name,
            target: stored.target,
        });
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.insert(name.to_owned(), Arc::clone(&document));
        Ok(document)
    }

    /// The document as it was when last looked at; it may be outdated.
    pub(super) fn known(&self, name: &str) -> Option<Arc<Document>> {
        let documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.get(name).cloned()
    }

    pub(super) fn stored(&self, name: &str) -> Result<StoredConnector> {
        self.store.connector(name)?.ok_or_else(|| self.no_connector(name))
    }

    pub(super) fn no_connector(&self, name: &str) -> Error {
        let names: Vec<String> = self
            .store
            .connectors()
            .map(|all| all.into_iter().map(|c| c.name).collect())
            .unwrap_or_default();
        let there = match names.as_slice() {
            [] => "there are none yet".to_owned(),
            _ => format!("there are: {}", names.join(", ")),
        };
        Error::new(
            ErrorKind::NotFound,
            format!("no connector is named {name:?}; {there}"),
        )
    }
}

#[cfg(feature = "postgres")]
fn server(
    url: &str,
    spool: Option<&Path>,
    key: KeySource,
    options: &Options,
    retention: Retention,
) -> Result<Arc<dyn Store>> {
    use crate::store::postgres::PostgresStore;
    use crate::store::spool::SpooledStore;
    let tls = options.settings.tls();
    Ok(match spool {
        Some(spool) => Arc::new(SpooledStore::open(url, spool, key, &tls, retention)?),
        None => Arc::new(PostgresStore::open(url, key, &tls)?),
    })
}

#[cfg(not(feature = "postgres"))]
fn server(_: &str, _: Option<&Path>, _: KeySource, _: &Options, _: Retention) -> Result<Arc<dyn Store>> {
    let message = "this casehook was built without PostgreSQL; build it with the feature `postgres`, or give the path \
                   of a file";
    Err(Error::new(ErrorKind::Argument, message).at("path"))
}

fn seed() -> Result<u64> {
    use ring::rand::SecureRandom;
    let mut bytes = [0u8; 8];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::internal("the operating system gives no random numbers"))?;
    Ok(u64::from_le_bytes(bytes))
}

/// What no connector may have sent to its target, whatever directory the host allows.
fn own_files(place: &Place, spool: Option<&Path>, options: &Options) -> OwnFiles {
    let file = match place {
        Place::File(path) => Some(path.as_path()),
        Place::Server(_) => None,
    };
    let from_environment = || {
        let text = Zeroizing::new(std::env::var(KEY_VARIABLE).ok()?);
        read_key(&text)
    };
    OwnFiles {
        databases: file.into_iter().chain(spool).map(Path::to_owned).collect(),
        key: options.key.clone().or_else(from_environment),
    }
}

impl Core {
    /// One more agent uses it.
    pub(super) fn join(&self) {
        *self.sessions.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    /// One agent fewer uses it; how many are left.
    pub(super) fn leave(&self) -> usize {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        *sessions = sessions.saturating_sub(1);
        *sessions
    }
}
