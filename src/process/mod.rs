//! What one process owes to others and to its own parts: who drains, who has the file open, who waits for whom, when it may be forked.

mod bell;
mod drain_lock;
pub mod fork;
mod guard;
pub(crate) mod location;

pub(crate) use bell::{Bell, Bells};
pub(crate) use drain_lock::DrainLock;
pub(crate) use guard::ProcessGuard;
