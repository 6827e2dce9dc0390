//! Decisions by hand.

use super::claim::load;
use super::conn::Conn;
use super::fault::Sql;
use super::record::{alone, apply};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{PushId, Timestamp};
use crate::outbox::{Claim, Outcome};
use crate::store::sqlite::record::missing;

pub(super) fn decide(
    conn: &Conn,
    id: PushId,
    now: Timestamp,
    change: &mut dyn FnMut(&Claim) -> Result<Outcome>,
) -> Sql<()> {
    let place = alone(conn, id, None)?;
    let (claim, _) = load(conn, id)?.ok_or_else(|| missing(id))?;
    let outcome = change(&claim)?;
    apply(conn, id, &place, None, None, &outcome, now)?;
    // What was on its way when it was decided on counts no more.
    conn.run("UPDATE pushes SET fence = fence + 1 WHERE id = $1", &[&id.get()])?;
    Ok(())
}

pub(super) fn discard(conn: &Conn, id: PushId) -> Sql<()> {
    let place = alone(conn, id, None)?;
    if place.state != "failed" {
        return Err(Error::new(
            ErrorKind::State,
            format!(
                "push {id} is {}; only a failed push can be discarded",
                place.state
            ),
        )
        .into());
    }
    conn.run("DELETE FROM pushes WHERE id = $1", &[&id.get()])?;
    Ok(())
}
