//! The limit: the same rows written by rusqlite itself, prepared once, one commit each, with nothing around it.

use std::path::Path;

use rusqlite::{Connection, params};

/// A database with casehook's schema that only this writes to.
pub(crate) struct Raw {
    conn: Connection,
}

impl Raw {
    /// Opens a database that casehook made and closed.
    pub(crate) fn open(path: &Path) -> Raw {
        let conn = Connection::open(path).unwrap();
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
             PRAGMA wal_autocheckpoint = 2000;",
        )
        .unwrap();
        Raw { conn }
    }

    /// Writes `count` pushes in one transaction.
    pub(crate) fn insert(&self, first: usize, count: usize) {
        self.conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        for number in first..first + count {
            self.row(number);
        }
        self.conn.execute_batch("COMMIT").unwrap();
    }

    /// Has this many pushes queued, whatever it takes if the machine fails meanwhile. Nobody else has the database open.
    pub(crate) fn fill(&self, count: usize) {
        const STEP: usize = 100_000;
        const NOW: i64 = 1_790_000_000_000;
        self.conn
            .execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000")
            .unwrap();
        for first in (0..count).step_by(STEP) {
            let to = (first + STEP).min(count);
            self.conn
                .execute_batch(&format!(
                    "BEGIN IMMEDIATE; \
                     INSERT INTO pushes (id, connector_id, lane, state, ready, created_at, updated_at, due_at, \
                       title, description, severity, status, tags) \
                     WITH RECURSIVE n (i) AS (SELECT {first} + 1 UNION ALL SELECT i + 1 FROM n WHERE i < {to}) \
                     SELECT i, 1, printf('c:host-%08d/disk', i), 'queued', 1, {NOW} + i, {NOW} + i, {NOW} + i, \
                       '{}', '{}', 'high', 'open', '[\"infra\"]' FROM n; \
                     UPDATE counters SET n = n + {to} - {first} WHERE connector_id = 1 AND state = 'queued'; \
                     UPDATE numbering SET counted = {to}; COMMIT",
                    super::TITLE,
                    super::DESCRIPTION,
                ))
                .unwrap();
        }
    }

    fn row(&self, number: usize) {
        let mut push = self
            .conn
            .prepare_cached(
                "INSERT INTO pushes (connector_id, lane, given_id, state, ready, created_at, updated_at, due_at, \
                 title, description, severity, status, tags, fields, traceparent) \
                 VALUES (1, ?1, NULL, 'queued', 1, ?2, ?2, ?2, ?3, ?4, ?5, ?6, ?7, NULL, NULL)",
            )
            .unwrap();
        push.execute(params![
            format!("c:host-{number}/disk"),
            1_790_000_000_000i64 + number as i64,
            super::TITLE,
            super::DESCRIPTION,
            "high",
            "open",
            "[\"infra\"]"
        ])
        .unwrap();
    }
}

/// The size of a copy without anything but data, in bytes. Nobody has the database open.
pub(crate) fn live_size(path: &Path, copy: &Path) -> f64 {
    let conn = Connection::open(path).unwrap();
    conn.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    std::fs::metadata(copy).unwrap().len() as f64
}
