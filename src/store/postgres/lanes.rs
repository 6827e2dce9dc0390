//! One change of a lane at a time, whatever host it comes from: an advisory lock until the transaction ends.

use std::collections::BTreeSet;

use super::conn::Conn;
use super::fault::Sql;
use crate::outbox::ConnectorId;

/// Lanes share this many locks, so that a transaction of many lanes does not use up the server's memory for locks. Two
/// lanes of one lock wait for each other for the length of a commit.
const LOCKS: u64 = 1024;
/// The first half of the locks' names, so that a host application's own are others: `cslk`.
const CLASS: i32 = 0x6373_6c6b;

/// Waits for the lane.
pub(super) fn lock(conn: &Conn, connector: ConnectorId, lane: &str) -> Sql<()> {
    conn.run(
        "SELECT pg_advisory_xact_lock($1, $2)",
        &[&CLASS, &number(connector, lane)],
    )?;
    Ok(())
}

/// Waits for all of them, in an order that everybody keeps.
pub(super) fn lock_all<'a>(conn: &Conn, lanes: impl Iterator<Item = (ConnectorId, &'a str)>) -> Sql<()> {
    let numbers: BTreeSet<i32> = lanes.map(|(connector, lane)| number(connector, lane)).collect();
    if numbers.is_empty() {
        return Ok(());
    }
    let numbers: Vec<i32> = numbers.into_iter().collect();
    conn.run(
        "SELECT pg_advisory_xact_lock($1, n) FROM (SELECT n FROM unnest($2::integer[]) AS n ORDER BY n) AS numbers",
        &[&CLASS, &numbers],
    )?;
    Ok(())
}

/// The same on every host and in every version: FNV-1a of 64 bits.
fn number(connector: ConnectorId, lane: &str) -> i32 {
    let bytes = connector.0.to_le_bytes();
    let hash = bytes
        .iter()
        .chain(lane.as_bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    // Folded, since the low bits alone depend on the low bits of the bytes alone.
    i32::try_from((hash ^ (hash >> 32)) % LOCKS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_never_change_and_spread() {
        assert_eq!(
            number(ConnectorId(1), "c:host-7/disk"),
            number(ConnectorId(1), "c:host-7/disk")
        );
        let spread: BTreeSet<i32> = (0..1000)
            .map(|n| number(ConnectorId(1), &format!("c:{n}")))
            .collect();
        assert!(spread.len() > 500, "{}", spread.len());
        assert!(spread.iter().all(|n| (0..1024).contains(n)));
    }
}
