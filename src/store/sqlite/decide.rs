//! Decisions by hand.

use rusqlite::{Connection, params};

use super::claim::load;
use super::db::run;
use super::fault::Sql;
use super::record::{apply, missing, place};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{PushId, PushState, Timestamp};
use crate::outbox::{Claim, Outcome};

pub(super) fn decide(
    conn: &Connection,
    id: PushId,
    now: Timestamp,
    change: &mut dyn FnMut(&Claim) -> Result<Outcome>,
) -> Sql<()> {
    let place = place(conn, id)?;
    let claim = load(conn, id)?.ok_or_else(|| missing(id))?;
    let outcome = change(&claim)?;
    apply(conn, id, &place, &outcome, now)
}

pub(super) fn discard(conn: &Connection, id: PushId) -> Sql<()> {
    let place = place(conn, id)?;
    if place.state != PushState::Failed {
        return Err(Error::new(
            ErrorKind::State,
            format!(
                "push {id} is {}; only a failed push can be discarded",
                place.state
            ),
        )
        .into());
    }
    run(conn, "DELETE FROM pushes WHERE id = ?1", params![id.get()])?;
    Ok(())
}
