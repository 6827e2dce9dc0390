//! Delivering: the engine decides, deterministic and without threads; the workers are the threads, without policy.

mod engine;
mod entry;
mod fetch;
mod fetcher;
mod flight;
mod gate;
mod landing;
pub(crate) mod reading;
mod roster;
mod takeoff;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use engine::{Dispatch, Engine, Next};
pub(crate) use entry::Entry;
pub(crate) use fetch::Fetch;
pub(crate) use flight::new_key;
pub(crate) use worker::{Tools, Workers};
