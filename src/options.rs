//! How an agent is opened.

use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::connector::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::store::sqlite::read_key;

/// How an agent is opened. `Options::default()` is right for most programs.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    pub(crate) key: Option<Zeroizing<[u8; 32]>>,
    pub(crate) settings: Settings,
    pub(crate) workers: usize,
    pub(crate) drain: bool,
    pub(crate) max_queued: u64,
    pub(crate) history_age: Duration,
    pub(crate) history_count: u64,
    pub(crate) secret_env: Vec<String>,
    pub(crate) secret_dir: Option<PathBuf>,
    pub(crate) trust_location: bool,
    pub(crate) spool: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            key: None,
            settings: Settings::default(),
            workers: 4,
            drain: true,
            max_queued: 1_000_000,
            history_age: Duration::from_secs(30 * 24 * 60 * 60),
            history_count: 100_000,
            secret_env: Vec::new(),
            secret_dir: None,
            trust_location: false,
            spool: None,
        }
    }
}

impl Options {
    /// The defaults: four workers, draining, key from `CASEHOOK_KEY` or a key file beside the database.
    pub fn new() -> Options {
        Options::default()
    }

    /// The key that encrypts stored secrets, in place of `CASEHOOK_KEY` and the key file.
    pub fn key(mut self, key: [u8; 32]) -> Options {
        self.key = Some(Zeroizing::new(key));
        self
    }

    /// Settings that hold for every connector: allowed hosts, limits, time-outs.
    pub fn settings(mut self, settings: Settings) -> Options {
        self.settings = settings;
        self
    }

    /// How many threads deliver at once (default 4, from 1 to 64).
    pub fn workers(mut self, workers: usize) -> Options {
        self.workers = workers;
        self
    }

    /// Whether this agent delivers (default), or only stores and reads.
    pub fn drain(mut self, drain: bool) -> Options {
        self.drain = drain;
        self
    }

    /// How many undelivered pushes the outbox may hold (default 1,000,000); held and failed ones count. Several processes that
    /// push at once can exceed it by a tenth each at most.
    pub fn max_queued(mut self, count: u64) -> Options {
        self.max_queued = count;
        self
    }

    /// How long (default 30 days) and how many (default 100,000) delivered, superseded and cancelled pushes are kept.
    pub fn history(mut self, age: Duration, count: u64) -> Options {
        self.history_age = age;
        self.history_count = count;
        self
    }

    /// Names of environment variables that a connector's secrets may refer to (default none).
    pub fn allow_secret_env<I, S>(mut self, names: I) -> Options
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.secret_env = names.into_iter().map(Into::into).collect();
        self
    }

    /// The directory below which a connector's secrets may refer to files (default none).
    pub fn allow_secret_files(mut self, directory: impl Into<PathBuf>) -> Options {
        self.secret_dir = Some(directory.into());
        self
    }
    /// Whether a database may belong to another user, or lie in or below a folder that anybody may write to (default no:
    /// whoever can put files there can replace it).
    pub fn trust_location(mut self, trust: bool) -> Options {
        self.trust_location = trust;
        self
    }

    /// With an outbox in PostgreSQL: the file that takes pushes while the server cannot be reached, and forwards them in order,
    /// each once, when it can (default none: `push` then fails with `Busy`). Each database needs a spool of its own, on a
    /// disk of the host's own. Pushes in it have negative numbers, which stay valid afterwards. See the manual's chapter on
    /// PostgreSQL.
    pub fn spool(mut self, file: impl Into<PathBuf>) -> Options {
        self.spool = Some(file.into());
        self
    }
}

/// A key as people write it down: 64 hex digits, or base64 of 32 bytes.
///
/// # Errors
/// `Argument` for anything else; the text is not in the error.
pub fn parse_key(text: &str) -> Result<[u8; 32]> {
    read_key(text).map(|key| *key).ok_or_else(|| {
        let message = "this is not a key; a key is 64 hex digits, or base64 of 32 bytes";
        Error::new(ErrorKind::Argument, message)
    })
}
