//! What a spool asks of the database behind it: calls that are stored once under their keys, and what became of them.

use super::row::get;
use super::{PostgresStore, receipt};
use crate::error::Result;
use crate::model::{PushId, Timestamp};
use crate::outbox::NewPush;
use crate::store::{Lost, Retention};

impl PostgresStore {
    /// As `enqueue`, once for all calls under this key: later ones return what the first one stored. Keys in `settled` are
    /// not going to be used again.
    pub(in crate::store) fn enqueue_once(
        &self,
        key: &str,
        settled: &[String],
        pushes: Vec<NewPush>,
        retention: &Retention,
        now: Timestamp,
    ) -> Result<Vec<PushId>, Lost> {
        self.store_pushes(pushes, retention, now, Some((key, settled)))
    }

    /// What the call under this key stored, once it has ended if it is under way; none when it stored nothing.
    pub(in crate::store) fn stored_under(&self, key: &str) -> Result<Option<Vec<PushId>>, Lost> {
        self.pool.write_or_tell(|conn| {
            let stored = receipt::take(conn, key)?;
            if stored.is_none() {
                receipt::forget(conn, &[key.to_owned()])?;
            }
            Ok(stored)
        })
    }

    /// Forgets keys as `enqueue_once` does.
    pub(in crate::store) fn settle(&self, keys: &[String]) -> Result<()> {
        self.pool.note(|conn| receipt::forget(conn, keys))
    }

    /// Which of these pushes are not there any more.
    pub(in crate::store) fn gone(&self, ids: &[PushId]) -> Result<Vec<PushId>> {
        let ids: Vec<i64> = ids.iter().map(|id| id.get()).collect();
        self.pool.glance(|conn| {
            conn.all(
                "SELECT asked.id FROM unnest($1::bigint[]) AS asked (id) WHERE NOT EXISTS \
                 (SELECT 1 FROM pushes WHERE pushes.id = asked.id)",
                &[&ids],
                |row| get::<i64>(row, 0).map(PushId::from),
            )
        })
    }
}
