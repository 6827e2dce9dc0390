//! Marks by which a transaction is known again whose commit was not answered: it writes its mark, and the mark is there if,
//! and only if, it was committed.
//!
//! Not `txid_status`: after a crash the server gives numbers of transactions out again that had not got to its disk, and
//! speaks of somebody else's then.

use tokio_postgres::error::SqlState;

use super::conn::Conn;
use super::fault::{Fault, Sql};

/// How long marks are kept, by the server's clock.
const KEPT_HOURS: u32 = 1;
/// One that is not there was not written if the transaction began later than so long ago; half of that, since clocks of two
/// servers differ.
const TRUSTED_MINUTES: u32 = 30;

/// The mark of one transaction.
pub(super) struct Mark {
    connection: String,
    number: u64,
    /// Seconds since 1970 by the server's clock.
    begun_at: f64,
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Committed,
    NotCommitted,
    /// It has not ended.
    UnderWay,
    /// It is so long ago that its mark may have been removed.
    Forgotten,
}

/// Begins a transaction, which writes its mark; in one exchange with the server.
pub(super) fn begin(conn: &Conn) -> Sql<Mark> {
    let (connection, number) = (conn.name(), conn.next_transaction());
    let begun_at = conn.batch(&format!(
        "BEGIN; INSERT INTO commits (connection, number) VALUES ('{connection}', {number}) \
         ON CONFLICT (connection) DO UPDATE SET number = EXCLUDED.number, begun_at = EXCLUDED.begun_at \
         RETURNING extract(epoch FROM begun_at)"
    ))?;
    let begun_at = begun_at
        .and_then(|seconds| seconds.parse().ok())
        .ok_or_else(|| Fault::Row("the time of a transaction is no number".to_owned()))?;
    Ok(Mark {
        connection: connection.to_owned(),
        number,
        begun_at,
    })
}

/// What became of the transaction with this mark, on another connection than its own.
pub(super) fn look(conn: &Conn, mark: &Mark) -> Sql<End> {
    let Mark {
        connection,
        number,
        begun_at,
    } = mark;
    // Whoever writes the same row waits until the transaction has ended, and then sees what it left.
    let found = conn.batch(&format!(
        "BEGIN; SET LOCAL lock_timeout TO '500ms'; \
         INSERT INTO commits AS c (connection, number) VALUES ('{connection}', -1) \
         ON CONFLICT (connection) DO UPDATE SET number = c.number \
         RETURNING CASE WHEN number = {number} THEN 'committed' \
           WHEN number = -1 AND clock_timestamp() > to_timestamp({begun_at}) + interval '{TRUSTED_MINUTES} minutes' \
           THEN 'forgotten' ELSE 'not' END; \
         ROLLBACK"
    ));
    match found {
        Ok(found) => Ok(match found.as_deref() {
            Some("committed") => End::Committed,
            Some("not") => End::NotCommitted,
            _ => End::Forgotten,
        }),
        Err(fault) if fault.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            conn.batch("ROLLBACK")?;
            Ok(End::UnderWay)
        }
        Err(fault) => Err(fault),
    }
}

/// Removes marks that nobody is going to look for.
pub(super) fn forget(conn: &Conn) -> Sql<()> {
    conn.batch(&format!(
        "DELETE FROM commits WHERE connection IN (SELECT connection FROM commits \
         WHERE begun_at < clock_timestamp() - interval '{KEPT_HOURS} hours' FOR UPDATE SKIP LOCKED)"
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::conn::STATEMENT_PATIENCE;
    use super::super::tests::{NOW, RETENTION, open, server};
    use super::*;
    use crate::store::Store;
    use crate::store::postgres::PostgresStore;

    fn connect(store: &PostgresStore) -> Conn {
        Conn::open(&store.pool.io, &store.pool.address, STATEMENT_PATIENCE).unwrap()
    }

    #[test]
    fn a_transaction_is_known_by_its_mark_whatever_became_of_it() {
        let Some(server) = server::shared() else { return };
        let store = open(server, &server.schema());
        let (one, other) = (connect(&store), connect(&store));
        let made = begin(&one).unwrap();
        one.batch("COMMIT").unwrap();
        assert_eq!(look(&other, &made).unwrap(), End::Committed);
        let undone = begin(&one).unwrap();
        assert_eq!(look(&other, &undone).unwrap(), End::UnderWay);
        one.batch("ROLLBACK").unwrap();
        assert_eq!(look(&other, &undone).unwrap(), End::NotCommitted);
        // The first of its connection, so that there is no row to wait for.
        let cut = connect(&store);
        let mark = begin(&cut).unwrap();
        assert_eq!(look(&other, &mark).unwrap(), End::UnderWay);
        drop(cut);
        let started = Instant::now();
        while look(&other, &mark).unwrap() == End::UnderWay {
            assert!(started.elapsed() < Duration::from_secs(120));
        }
        assert_eq!(look(&other, &mark).unwrap(), End::NotCommitted);
        let old = Mark {
            begun_at: mark.begun_at - 3_600.0,
            ..mark
        };
        assert_eq!(look(&other, &old).unwrap(), End::Forgotten);
    }

    #[test]
    fn marks_are_kept_for_an_hour() {
        let Some(server) = server::shared() else { return };
        let schema = server.schema();
        let store = open(server, &schema);
        let conn = connect(&store);
        for _ in 0..2 {
            begin(&conn).unwrap();
            conn.batch("COMMIT").unwrap();
        }
        let kept = || {
            let sql = format!(
                "SELECT number FROM {schema}.commits WHERE connection = '{}'",
                conn.name()
            );
            server.sql(&sql)
        };
        let age = |minutes: u32| {
            server.sql(&format!(
                "UPDATE {schema}.commits SET begun_at = clock_timestamp() - interval '{minutes} minutes'"
            ));
            store.prune(&RETENTION, NOW).unwrap();
            kept()
        };
        assert_eq!(age(55), "2");
        assert_eq!(age(61), "");
        begin(&conn).unwrap();
        conn.batch("COMMIT").unwrap();
        assert_eq!(kept(), "3");
    }

    #[test]
    fn a_commit_that_a_crash_undid_is_made_again_though_others_have_its_number() {
        // Nothing gets to the disk but by a commit.
        let Some(server) = server::Server::start(&["fsync=off", "wal_writer_delay=10000"]) else {
            return;
        };
        let schema = server.schema();
        let store = open(&server, &schema);
        server.sql("CHECKPOINT");
        let mut tries = 0;
        let written = store.pool.write(|conn| {
            conn.run("INSERT INTO receipts (key, pushes) VALUES ('k', '{}')", &[])?;
            tries += 1;
            if tries == 1 {
                let number = |text: &str| text.parse::<u64>().unwrap();
                let own = number(&conn.batch("SELECT txid_current()")?.unwrap());
                server.down("immediate");
                server.up();
                while number(&server.sql("SELECT txid_current()")) < own {}
            }
            Ok(())
        });
        written.unwrap();
        let stored = format!("SELECT count(*) FROM {schema}.receipts");
        assert_eq!((server.sql(&stored).as_str(), tries), ("1", 2));
    }
}
