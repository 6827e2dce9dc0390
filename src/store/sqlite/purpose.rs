//! What a file may be opened for: an outbox that moved, or is moving, is elsewhere, and a spool is no outbox.

use rusqlite::Connection;

use super::db::one;
use super::fault::Sql;
use super::meta;
use crate::error::{Error, ErrorKind};

/// The name in `meta` under which the outbox's new place stands, once it was moved.
pub(super) const MOVED: &str = "moved_to";
/// The same while it is being moved: the number of the database there, a space, and its name.
pub(super) const MOVING: &str = "moving_to";

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Outbox,
    /// To be handed over to a database server, also if that was begun before.
    #[cfg(feature = "postgres")]
    Departure,
    /// To keep pushes that a database server is going to get.
    #[cfg(feature = "postgres")]
    Spool,
}

/// Refuses a file that is there for something else.
pub(super) fn check(conn: &Connection, purpose: Purpose) -> Sql<()> {
    if let Some(to) = meta(conn, MOVED)? {
        let message = format!("the outbox of this file was moved to {to}; open that");
        return Err(Error::new(ErrorKind::State, message).into());
    }
    #[cfg(feature = "postgres")]
    let (departs, is_spool) = (purpose == Purpose::Departure, purpose == Purpose::Spool);
    #[cfg(not(feature = "postgres"))]
    let (departs, is_spool) = (false, purpose != Purpose::Outbox);
    if let Some(to) = meta(conn, MOVING)?.filter(|_| !departs) {
        let to = to.split_once(' ').map_or(to.as_str(), |(_, named)| named);
        let message = format!(
            "the outbox of this file is being moved to {to}, and that was broken off; migrate once more, which ends it"
        );
        return Err(Error::new(ErrorKind::State, message).into());
    }
    if !is_spool && has_spool(conn)? {
        let message = "the file is the spool of a database server, and what is pushed to it alone goes nowhere; open the \
                       server, and give it this file as its spool";
        return Err(Error::new(ErrorKind::Argument, message).at("path").into());
    }
    Ok(())
}

/// Whether the file is, or was, the spool of a database server.
pub(super) fn has_spool(conn: &Connection) -> Sql<bool> {
    let found = one(
        conn,
        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'spooled'",
        &[],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}
