//! One connection: blocking calls on it, each with a deadline. Its socket is driven by a thread of the store.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, SimpleQueryMessage, Statement};

use super::address::Address;
use super::fault::{Fault, Sql};
use crate::error::{Error, Result};
use crate::store::sqlite::random_id;

/// How long one statement may take; the server gives it up then, too.
pub(super) const STATEMENT_PATIENCE: Duration = Duration::from_secs(30);

/// Parameters of a statement.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The thread that drives the sockets. Whoever calls waits outside of it, so that a call may come from anywhere, also
/// from a thread that runs a host's own asynchronous code.
pub(super) struct Io {
    pub(super) handle: Handle,
    end: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Io {
    pub(super) fn start() -> Result<Io> {
        let failed = |error: std::io::Error| Error::internal(format!("no thread could be started: {error}"));
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let handle = runtime.handle().clone();
        let (end, mut ended) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name("casehook-pg".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    // An error says that the store is gone, which is an end as well.
                    let _ = ended.wait_for(|ended| *ended).await;
                });
                // Dropping it would wait for names that are being looked up.
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        Ok(Io {
            handle,
            end,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Resolves when the store is being closed.
    pub(super) fn ending(&self) -> watch::Receiver<bool> {
        self.end.subscribe()
    }

    /// Closes every socket.
    pub(super) fn stop(&self) {
        self.end.send_replace(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // A panic there has said so itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One connection, used by one thread at a time.
pub(super) struct Conn {
    client: Client,
    name: String,
    transactions: Cell<u64>,
    statements: RefCell<HashMap<&'static str, Statement>>,
    patience: Duration,
}

impl Conn {
    /// `patience`: how long one statement may take.
    pub(super) fn open(io: &Io, address: &Address, patience: Duration) -> Sql<Conn> {
        let address = address.clone();
        let limit = address.patience();
        let task = io.handle.spawn(async move {
            let (client, driver) = address.connect(None).await?;
            tokio::spawn(driver);
            client.batch_execute(&address.session(patience)).await?;
            Ok(client)
        });
        let abort = task.abort_handle();
        let client = wait(limit, task).unwrap_or_else(|| {
            abort.abort();
            Ok(Err(Fault::Broken(format!(
                "no connection within {} s",
                limit.as_secs()
            ))))
        });
        Ok(Conn {
            name: random_id()?,
            transactions: Cell::new(0),
            client: client.map_err(|_| Fault::Broken("the store was closed".to_owned()))??,
            statements: RefCell::default(),
            patience,
        })
    }

    /// From now on one statement may take so long.
    pub(super) fn set_patience(&mut self, address: &Address, patience: Duration) -> Sql<()> {
        self.batch(&address.session(patience))?;
        self.patience = patience;
        Ok(())
    }

    /// Hex digits that no other connection has, of whatever host.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Counts one transaction more; the first is 1.
    pub(super) fn next_transaction(&self) -> u64 {
        self.transactions.set(self.transactions.get() + 1);
        self.transactions.get()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs a statement and returns how many rows it changed.
    pub(super) fn run(&self, sql: &'static str, params: Params<'_>) -> Sql<u64> {
        let statement = self.prepared(sql)?;
        self.answer(self.client.execute(&statement, params))
    }

    /// The first row of a query.
    pub(super) fn one<T>(
        &self,
        sql: &'static str,
        params: Params<'_>,
        read: impl FnOnce(&Row) -> Sql<T>,
    ) -> Sql<Option<T>> {
        self.rows(sql, params)?.first().map(read).transpose()
    }

    /// Every row of a query.
    pub(super) fn all<T>(
        &self,
        sql: &'static str,
        params: Params<'_>,
        read: impl FnMut(&Row) -> Sql<T>,
    ) -> Sql<Vec<T>> {
        self.rows(sql, params)?.iter().map(read).collect()
    }

    /// Runs statements without parameters; the first value of the last row that came back.
    pub(super) fn batch(&self, sql: &str) -> Sql<Option<String>> {
        let messages = self.answer(self.client.simple_query(sql))?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
            _ => None,
        });
        Ok(rows.last().flatten())
    }

    fn rows(&self, sql: &'static str, params: Params<'_>) -> Sql<Vec<Row>> {
        let statement = self.prepared(sql)?;
        self.answer(self.client.query(&statement, params))
    }

    fn prepared(&self, sql: &'static str) -> Sql<Statement> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let statement = self.answer(self.client.prepare(sql))?;
        self.statements.borrow_mut().insert(sql, statement.clone());
        Ok(statement)
    }

    fn answer<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Sql<T> {
        match wait(self.patience, work) {
            Some(done) => Ok(done?),
            None => Err(Fault::Broken(format!(
                "no answer within {} s",
                self.patience.as_secs()
            ))),
        }
    }
}

/// Waits for what another thread brings about, at most so long.
fn wait<T>(patience: Duration, work: impl Future<Output = T>) -> Option<T> {
    struct Caller(Thread);
    impl Wake for Caller {
        fn wake(self: Arc<Caller>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Caller(std::thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut work = pin!(work);
    let deadline = Instant::now() + patience;
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return Some(done);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        std::thread::park_timeout(left);
    }
}
