//! casehook is an embedded agent that pushes cases (incidents, alerts, tickets) to any case-management system.
//!
//! A program calls [`Agent::push`]; casehook stores the case in SQLite, and background threads deliver it over HTTP as a
//! connector document describes: create, read back, update, comment. It survives offline weeks, `kill -9`, slow and lying
//! servers and expired passwords, without losing a case and without opening one twice.
//!
//! ```no_run
//! use std::time::Duration;
//! use casehook::{Agent, Case, Connector, Options};
//!
//! # fn main() -> casehook::Result<()> {
//! let agent = Agent::open("cases.db", Options::default())?;
//! let connector = Connector::from_json(r#"{
//!     "config": {
//!         "createIncidentUrl": "https://tickets.example.com/api/issues",
//!         "createIncidentJson": "{\"title\": {{{case.title}}}, \"text\": {{{case.description}}}}",
//!         "createIncidentResponseKey": "id",
//!         "getIncidentUrl": "https://tickets.example.com/api/issues/{{{external.system.id}}}",
//!         "getIncidentResponseExternalTitleKey": "title",
//!         "viewIncidentUrl": "https://tickets.example.com/issues/{{{external.system.id}}}",
//!         "updateIncidentUrl": "https://tickets.example.com/api/issues/{{{external.system.id}}}",
//!         "updateIncidentJson": "{\"title\": {{{case.title}}}, \"text\": {{{case.description}}}}",
//!         "hasAuth": false
//!     }
//! }"#)?;
//! agent.configure("tracker", &connector)?;
//!
//! let case = Case::new("Disk full").id("host-7/disk").description("/var is at 100 %").comment("c1", "first look");
//! let push = agent.push("tracker", &case)?;
//! let status = agent.wait(push, Duration::from_secs(30))?;
//! println!("{}: {}", status.state, status.external_url.unwrap_or_default());
//! agent.close(Duration::from_secs(5))
//! # }
//! ```
//!
//! Cargo features that are on by default: `bundled-roots` (Mozilla's certificate authorities beside the system's),
//! `chacha20` (the cipher suites with ChaCha20-Poly1305), `encrypted-keys` (client certificates whose key has a passphrase),
//! `gzip` (packed answers) and `presets` ([`preset()`]). Others: `pkcs12` (client certificates as PKCS #12 files),
//! `postgres` (an outbox of many hosts) and `cli` (the command line, with all of these but `postgres`).
#![forbid(unsafe_code)]

mod advice;
mod agent;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
mod connector;
mod drain;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod import;
pub mod manual;
mod mask;
mod model;
mod options;
mod outbox;
mod preset;
mod process;
mod response;
mod step;
mod store;
mod template;
mod transport;
mod words;

pub use agent::Agent;
pub use connector::{Connector, Settings, Warning};
pub use error::{Error, ErrorKind, Result};
pub use import::{Import, ImportedConnector, SkippedObject, import};
pub use model::*;
pub use options::{Options, parse_key};
pub use preset::{Preset, PresetParameter, PresetSource, preset, presets};
pub use process::fork;
