//! casehook pushes cases to any case-management system.
#![allow(dead_code, clippy::unimplemented, missing_docs)]

mod agent;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
mod connector;
mod drain;
mod error;
mod model;
mod options;
mod outbox;
mod process;
mod step;
mod store;
mod template;
mod transport;

pub use agent::Agent;
pub use connector::{Connector, Settings, Warning};
pub use error::{Error, ErrorKind, Result};
pub use model::*;
pub use options::Options;
