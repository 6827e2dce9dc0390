//! The sockets that are open, so that shutting down ends every wait on them.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// The longest that a wait which no socket can interrupt goes on without looking at [`Live::is_closed`].
pub(super) const SLICE: Duration = Duration::from_millis(50);

/// Shared by everything that waits for the network.
#[derive(Debug, Default)]
pub(super) struct Live {
    closed: AtomicBool,
    sockets: Mutex<Vec<Weak<TcpStream>>>,
}

impl Live {
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Keeps track of a socket until it is dropped; false when it is too late for new ones.
    pub(super) fn add(&self, socket: &Arc<TcpStream>) -> bool {
        let mut sockets = self.lock();
        if self.is_closed() {
            return false;
        }
        if sockets.len() == sockets.capacity() {
            sockets.retain(|socket| socket.strong_count() > 0);
        }
        sockets.push(Arc::downgrade(socket));
        true
    }

    /// Ends every wait on a socket, now and from now on.
    pub(super) fn close(&self) {
        let sockets = {
            let mut sockets = self.lock();
            self.closed.store(true, Ordering::Release);
            std::mem::take(&mut *sockets)
        };
        for socket in sockets.iter().filter_map(Weak::upgrade) {
            // A socket that its peer has closed already says so here, and needs nothing more.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<TcpStream>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
