//! What this host owes the others: a lease that says it lives, and word of what it changed.
//!
//! A row in `drainers` stands for a process that has pushes in hand. It is kept up every few seconds. Who finds one past
//! its time by the server's clock removes it; pushes of an owner that has no row are free to be taken over. A server that
//! just started gives everybody the time of a lease to come back, since nobody could renew while it was down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};
use tokio_postgres::Client;

use super::address::Address;
use super::conn::Conn;
use super::fault::{Fault, Sql};
use super::pool::Pool;
use super::row::get;
use crate::error::{Error, ErrorKind, Result};

/// A lease is renewed so often while it lasts.
const BEATS: u32 = 5;
/// This part of it has to be left for a request to be begun.
const MARGIN: u32 = 4;
/// Word of changes goes out at most this often.
const WORD_EVERY: Duration = Duration::from_millis(20);
/// How long a lost listening connection is left alone before the next try.
const RECONNECT: Duration = Duration::from_millis(500);

/// Called when another process changed something.
pub(super) type Ring = Box<dyn Fn() + Send + Sync>;

/// This host's place among those that drain.
pub(super) struct Lease {
    lasts: Duration,
    shared: Arc<Shared>,
    /// Held by the thread that joins: a process has one lease.
    joining: Mutex<()>,
}

struct Shared {
    member: Mutex<Option<Member>>,
    /// Something was changed that others have not been told of.
    news: AtomicBool,
    told: Notify,
    ring: Mutex<Option<Ring>>,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    id: i64,
    /// Reckoned from before the lease was asked for, so never later than the server's own.
    until: Instant,
}

impl Lease {
    /// Starts to listen; the first connection is made in the background.
    pub(super) fn start(pool: &Pool) -> Lease {
        let shared = Arc::new(Shared {
            member: Mutex::new(None),
            news: AtomicBool::new(false),
            told: Notify::new(),
            ring: Mutex::new(None),
        });
        let listener = Listener {
            shared: Arc::clone(&shared),
            address: pool.address.clone(),
            ending: pool.io.ending(),
        };
        pool.io.handle.spawn(listener.run());
        Lease {
            lasts: pool.address.lease,
            shared,
            joining: Mutex::new(()),
        }
    }

    pub(super) fn watch(&self, ring: Ring) {
        *lock(&self.shared.ring) = Some(ring);
    }

    /// Others are to look.
    pub(super) fn tell(&self) {
        self.shared.news.store(true, Ordering::Release);
        self.shared.told.notify_one();
    }

    /// This host's number. It joins when it has none, and again when its lease has run out.
    pub(super) fn me(&self, pool: &Pool) -> Result<i64> {
        let known = |lasts| (*lock(&self.shared.member)).filter(|member| member.has_time(lasts));
        if let Some(member) = known(self.lasts) {
            return Ok(member.id);
        }
        let _alone = lock(&self.joining);
        // Another thread may have been first.
        if let Some(member) = known(self.lasts) {
            return Ok(member.id);
        }
        let known = *lock(&self.shared.member);
        let asked = Instant::now();
        let id = pool.write(|conn| join(conn, known.map(|member| member.id), self.lasts))?;
        *lock(&self.shared.member) = Some(Member {
            id,
            until: asked + self.lasts,
        });
        Ok(id)
    }

    /// The lease may be gone: the next to need it makes sure.
    pub(super) fn doubt(&self) {
        if let Some(member) = lock(&self.shared.member).as_mut() {
            member.until = Instant::now();
        }
    }

    /// This host's number, where it has one.
    pub(super) fn number(&self) -> Option<i64> {
        lock(&self.shared.member).map(|member| member.id)
    }

    /// Whether the lease still has time for a request: `Busy` error when not, since another host may take over.
    pub(super) fn check(&self) -> Result<()> {
        match lock(&self.shared.member).filter(|member| member.has_time(self.lasts)) {
            Some(_) => Ok(()),
            None => Err(Error::new(
                ErrorKind::Busy,
                "the lease of this host could not be renewed in time, so nothing is sent until it is",
            )),
        }
    }

    /// Gives the lease back.
    pub(super) fn leave(&self, pool: &Pool) -> Result<()> {
        let Some(member) = lock(&self.shared.member).take() else {
            return Ok(());
        };
        pool.write(|conn| {
            conn.run("DELETE FROM drainers WHERE id = $1", &[&member.id])
                .map(drop)
        })
    }
}

impl Member {
    fn has_time(&self, lasts: Duration) -> bool {
        self.until.saturating_duration_since(Instant::now()) > lasts / MARGIN
    }
}

/// Renews the lease `known`, or takes a new one and everything along that was held under it.
fn join(conn: &Conn, known: Option<i64>, lasts: Duration) -> Sql<i64> {
    let seconds = lasts.as_secs_f64();
    if let Some(id) = known {
        let renewed = conn.run(RENEW, &[&id, &seconds])?;
        if renewed > 0 {
            return Ok(id);
        }
        log::warn!(
            "this host was not heard of for {} s, so others may have taken over what it had in hand",
            lasts.as_secs()
        );
    }
    let pid = i64::from(std::process::id());
    let new = conn.one(
        "INSERT INTO drainers (host, pid, lease_until) \
         VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3)) RETURNING id",
        &[&host_name(), &pid, &seconds],
        |row| get(row, 0),
    )?;
    let new = new.ok_or_else(|| Fault::Row("a new row has no number".to_owned()))?;
    if let Some(id) = known {
        conn.run("UPDATE pushes SET owner = $2 WHERE owner = $1", &[&id, &new])?;
    }
    Ok(new)
}

const RENEW: &str =
    "UPDATE drainers SET lease_until = clock_timestamp() + make_interval(secs => $2) WHERE id = $1";

/// Removes the leases that have run out, but this host's; see above for a server that just started.
pub(super) fn expire(conn: &Conn, me: i64, lasts: Duration) -> Sql<u64> {
    conn.run(
        "DELETE FROM drainers WHERE id <> $1 AND lease_until < clock_timestamp() \
         AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => $2)",
        &[&me, &lasts.as_secs_f64()],
    )
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The task that keeps the lease up, and hears and tells of changes.
struct Listener {
    shared: Arc<Shared>,
    address: Address,
    ending: watch::Receiver<bool>,
}

impl Listener {
    async fn run(mut self) {
        while !*self.ending.borrow() {
            let mut ending = self.ending.clone();
            tokio::select! {
                _ = ending.wait_for(|ended| *ended) => return,
                ended = self.listen() => {
                    if let Err(fault) = ended {
                        log::debug!("{}: not listening: {}", self.address.named(), fault.into_error());
                    }
                }
            }
            tokio::select! {
                _ = self.ending.wait_for(|ended| *ended) => return,
                () = tokio::time::sleep(RECONNECT) => {}
            }
        }
    }

    /// Listens on one connection until it is lost.
    async fn listen(&self) -> Sql<()> {
        let beat = self.address.lease / BEATS;
        let (sender, mut heard) = mpsc::unbounded_channel();
        let connected = async {
            let (client, driver) = self.address.connect(Some(sender)).await?;
            tokio::spawn(driver);
            let set_up = format!(
                "{}; LISTEN \"{}\"",
                self.address.session(beat),
                self.address.channel()
            );
            client.batch_execute(&set_up).await?;
            Ok(client)
        };
        let client = within(self.address.patience(), connected).await?;
        let own = client.query_one("SELECT pg_backend_pid()", &[]).await?;
        let own: i32 = get(&own, 0)?;
        // What happened before anybody listened.
        self.ring();
        let mut due = tokio::time::interval(beat);
        loop {
            tokio::select! {
                _ = due.tick() => within(beat, self.renew(&client)).await?,
                () = self.shared.told.notified() => within(beat, self.tell(&client)).await?,
                message = heard.recv() => match message {
                    Some(message) if message.process_id() != own => self.ring(),
                    Some(_) => {}
                    None => return Err(Fault::Broken("the connection was cut".to_owned())),
                },
            }
        }
    }

    async fn renew(&self, client: &Client) -> Sql<()> {
        let Some(member) = *lock(&self.shared.member) else {
            // Says that the connection still carries something.
            client.batch_execute("").await?;
            return Ok(());
        };
        let (asked, lasts) = (Instant::now(), self.address.lease);
        let renewed = client.execute(RENEW, &[&member.id, &lasts.as_secs_f64()]).await?;
        let mut present = lock(&self.shared.member);
        if let Some(present) = present.as_mut().filter(|present| present.id == member.id) {
            // Lost: `me` joins anew.
            present.until = if renewed > 0 { asked + lasts } else { asked };
        }
        Ok(())
    }

    async fn tell(&self, client: &Client) -> Sql<()> {
        if self.shared.news.swap(false, Ordering::AcqRel) {
            let told = client
                .execute("SELECT pg_notify($1, '')", &[&self.address.channel()])
                .await;
            if told.is_err() {
                self.shared.news.store(true, Ordering::Release);
            }
            told?;
            tokio::time::sleep(WORD_EVERY).await;
        }
        Ok(())
    }

    fn ring(&self) {
        if let Some(ring) = &*lock(&self.shared.ring) {
            ring();
        }
    }
}

/// Gives up after so long.
async fn within<T>(patience: Duration, work: impl Future<Output = Sql<T>>) -> Sql<T> {
    match tokio::time::timeout(patience, work).await {
        Ok(done) => done,
        Err(_) => Err(Fault::Broken(format!(
            "no answer within {} s",
            patience.as_secs()
        ))),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
