//! Columns of a push, to and from the outbox's types.

use rusqlite::Row;
use rusqlite::types::Type;

use super::db::count;
use crate::model::{FailureClass, PushError, PushState, Step, Timestamp};
use crate::outbox::Progress;

/// The columns that `progress` reads, in its order.
macro_rules! progress_columns {
    () => {
        "state, step, due_at, wait_ms, begun, attempts, step_attempts, age_from, external_id, \
         external_title, external_url, uncertain, resends, preconditions, error_code, error_kind, \
         error_message, error_step, error_status, error_retryable, sent_to"
    };
}
pub(super) use progress_columns;

/// Reads `progress_columns!` from column `at` on; without the intent, which has a table of its own.
pub(super) fn progress(row: &Row<'_>, at: usize) -> rusqlite::Result<Progress> {
    Ok(Progress {
        state: named(row, at, PushState::from_name)?,
        step: named_or_none(row, at + 1, Step::from_name)?,
        due_at: time(row, at + 2)?,
        wait_ms: count(row.get(at + 3)?),
        begun: row.get(at + 4)?,
        attempts: row.get(at + 5)?,
        step_attempts: row.get(at + 6)?,
        age_from: row.get::<_, Option<i64>>(at + 7)?.map(count),
        external_id: row.get(at + 8)?,
        external_title: row.get(at + 9)?,
        external_url: row.get(at + 10)?,
        uncertain: row.get(at + 11)?,
        resends: row.get(at + 12)?,
        preconditions: row.get(at + 13)?,
        intent: None,
        error: error(row, at + 14)?,
        target: row.get(at + 20)?,
    })
}

fn error(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<PushError>> {
    let Some(code) = row.get(at)? else {
        return Ok(None);
    };
    Ok(Some(PushError {
        code,
        kind: named(row, at + 1, FailureClass::from_name)?,
        message: row.get(at + 2)?,
        step: named(row, at + 3, Step::from_name)?,
        http_status: row.get(at + 4)?,
        retryable: row.get(at + 5)?,
    }))
}

/// A value that is stored by its name.
pub(super) fn named<T>(
    row: &Row<'_>,
    at: usize,
    from_name: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let name: String = row.get(at)?;
    from_name(&name).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(at, Type::Text, format!("unknown name {name:?}").into())
    })
}

/// The same where it may be absent.
pub(super) fn named_or_none<T>(
    row: &Row<'_>,
    at: usize,
    from_name: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<Option<T>> {
    match row.get_ref(at)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => named(row, at, from_name).map(Some),
    }
}

/// A moment.
pub(super) fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<Timestamp> {
    row.get(at).map(Timestamp::from_millis)
}

/// A moment that may be absent.
pub(super) fn time_or_none(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(at)?.map(Timestamp::from_millis))
}

/// JSON that casehook wrote itself; of what somebody else put there, only so deep that reading it is safe.
pub(super) fn json<T: serde::de::DeserializeOwned>(at: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(e)))
}
