//! Taking a lock that a panic may have poisoned.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Invariant that makes a poisoned lock usable: a transaction rolls back when a panic unwinds through it, so
/// what the lock guards is a connection without a transaction, or a list of such connections.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
