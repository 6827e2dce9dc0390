//! Where an outbox is: a file, or a schema of a database server.

use std::path::{Path, PathBuf};

/// Where an outbox is. Does not print: a URL may hold a password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// A database file, its path resolved.
    File(PathBuf),
    /// A database server, by URL.
    Server(String),
}

/// The URL of a database server, if it is one.
pub(super) fn url(path: &Path) -> Option<&str> {
    let text = path.to_str()?;
    let schemes = ["postgres://", "postgresql://"];
    schemes
        .iter()
        .any(|scheme| text.starts_with(scheme))
        .then_some(text)
}
