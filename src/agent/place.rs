//! Where an outbox is: a file, or a schema of a database server.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

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

/// Refuses what looks like a URL and is none that casehook knows: as a file's name it would be shown, and it may hold a
/// password.
pub(super) fn refuse_url(path: &Path) -> Result<()> {
    let text = path.to_string_lossy();
    let Some((scheme, rest)) = text.split_once(':') else {
        return Ok(());
    };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    let server = scheme.to_ascii_lowercase().starts_with("postgres");
    if !is_scheme || !(server || rest.starts_with("//")) {
        return Ok(());
    }
    let message = "this looks like a URL, and no URL of a database begins like this one; give the path of a file, or \
                   postgres://USER:PASSWORD@HOST/DATABASE, the scheme in lower case";
    Err(Error::new(ErrorKind::Argument, message).at("path"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_another_kind_is_refused_without_its_password() {
        for text in [
            "Postgres://u:hush@h/d",
            "postgres:/u:hush@h/d",
            "mysql://u:hush@h/d",
            "postgres+tls://u:hush@h/d",
        ] {
            let error = refuse_url(Path::new(text)).unwrap_err();
            assert_eq!(error.field(), Some("path"));
            assert!(!error.to_string().contains("hush"), "{error}");
        }
        for path in ["a.db", "/a:b/c.db", "a:b.db", "./mysql://x", "a/b:c//d"] {
            refuse_url(Path::new(path)).unwrap();
        }
    }
}
