//! An outbox on its way from one store to another: every row of every table, in an order in which they can be put down.

use crate::error::Result;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Flag,
    Text,
    Bytes,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A table with its columns, named as every store names them. Numbers stay what they are; secrets stay sealed, so that
/// the key stays what it is.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [(&'static str, Kind)],
}

/// Takes one row.
pub(crate) type Take<'a> = dyn FnMut(&'static Table, &[Cell]) -> Result<()> + 'a;

/// Gives every row out.
pub(crate) type Give<'a> = dyn FnMut(&mut Take<'_>) -> Result<()> + 'a;

/// The outbox that moves.
pub(crate) struct Origin {
    /// The number that tells it from every other.
    pub(crate) instance: String,
    /// The highest number that a push was given, be the push still there or not: links and orders are told by them.
    pub(crate) last_push: i64,
}

/// Where it moves to.
pub(crate) struct Destination {
    /// The number that tells the outbox there from every other.
    pub(crate) instance: String,
    /// As people know it.
    pub(crate) named: String,
}

use Kind::{Bytes, Flag, Int, Text};

/// Every table; what a row refers to comes before it.
pub(crate) const TABLES: &[Table] = &[
    Table {
        name: "connectors",
        columns: &[
            ("id", Int),
            ("name", Text),
            ("revision", Int),
            ("removed", Flag),
            ("config", Text),
            ("warnings", Text),
            ("target", Text),
            ("paused", Flag),
            ("offline_reason", Text),
            ("offline_probes", Int),
            ("offline_probe_at", Int),
            ("blocked_reason", Text),
            ("blocked_probes", Int),
            ("blocked_probe_at", Int),
            ("throttled_until", Int),
            ("odometer_ms", Int),
            ("created_at", Int),
            ("updated_at", Int),
        ],
    },
    Table {
        name: "vault",
        columns: &[("id", Int), ("nonce", Bytes), ("ciphertext", Bytes)],
    },
    Table {
        name: "secrets",
        columns: &[
            ("connector_id", Int),
            ("field", Text),
            ("nonce", Bytes),
            ("ciphertext", Bytes),
        ],
    },
    Table {
        name: "pushes",
        columns: &[
            ("id", Int),
            ("connector_id", Int),
            ("lane", Text),
            ("given_id", Text),
            ("state", Text),
            ("ready", Flag),
            ("created_at", Int),
            ("updated_at", Int),
            ("finished_at", Int),
            ("due_at", Int),
            ("wait_ms", Int),
            ("begun", Flag),
            ("step", Text),
            ("sent_to", Text),
            ("attempts", Int),
            ("step_attempts", Int),
            ("age_from", Int),
            ("external_id", Text),
            ("external_title", Text),
            ("external_url", Text),
            ("uncertain", Flag),
            ("resends", Int),
            ("preconditions", Int),
            ("superseded_by", Int),
            ("error_code", Text),
            ("error_kind", Text),
            ("error_message", Text),
            ("error_step", Text),
            ("error_status", Int),
            ("error_retryable", Flag),
            ("leads", Flag),
        ],
    },
    Table {
        name: "incidents",
        columns: &[
            ("push_id", Int),
            ("title", Text),
            ("description", Text),
            ("case_id", Text),
            ("severity", Text),
            ("status", Text),
            ("tags", Text),
            ("external_id", Text),
            ("fields", Text),
            ("traceparent", Text),
        ],
    },
    Table {
        name: "comments",
        columns: &[
            ("push_id", Int),
            ("ordinal", Int),
            ("state", Text),
            ("occurrence", Int),
            ("comment_id", Text),
            ("text", Text),
        ],
    },
    Table {
        name: "intents",
        columns: &[
            ("push_id", Int),
            ("step", Text),
            ("comment", Int),
            ("target", Text),
            ("idempotency_key", Text),
            ("key_made_at", Int),
            ("ended_at", Int),
            ("body", Bytes),
        ],
    },
    Table {
        name: "attempts",
        columns: &[
            ("id", Int),
            ("push_id", Int),
            ("at", Int),
            ("duration_ms", Int),
            ("step", Text),
            ("method", Text),
            ("url", Text),
            ("http_status", Int),
            ("class", Text),
            ("message", Text),
        ],
    },
    Table {
        name: "links",
        columns: &[
            ("connector_id", Int),
            ("target", Text),
            ("case_id", Text),
            ("external_id", Text),
            ("title", Text),
            ("url", Text),
            ("last_push", Int),
            ("updated_at", Int),
        ],
    },
    // The counts themselves follow from the pushes.
    Table {
        name: "counters",
        columns: &[("connector_id", Int), ("state", Text), ("gone", Int)],
    },
    Table {
        name: "exchanges",
        columns: &[
            ("connector_id", Int),
            ("step", Text),
            ("class", Text),
            ("within_ms", Int),
            ("n", Int),
            ("duration_ms", Int),
            ("bytes_sent", Int),
            ("bytes_received", Int),
        ],
    },
    Table {
        name: "comment_marks",
        columns: &[
            ("connector_id", Int),
            ("target", Text),
            ("case_id", Text),
            ("comment_id", Text),
            ("occurrence", Int),
        ],
    },
];
