//! Columns of a push, to and from the outbox's types.

use tokio_postgres::Row;
use tokio_postgres::types::FromSqlOwned;

use super::fault::{Fault, Sql};
use super::text::restored;
use crate::model::{FailureClass, PushError, PushState, Step, Timestamp};
use crate::outbox::Progress;

/// The server's clock, in milliseconds since 1970: what is history is as old as that says, since a host whose clock is wrong
/// would remove what all hosts keep.
macro_rules! server_now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}
pub(super) use server_now;

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
pub(super) fn progress(row: &Row, at: usize) -> Sql<Progress> {
    Ok(Progress {
        state: named(row, at, PushState::from_name)?,
        step: named_or_none(row, at + 1, Step::from_name)?,
        due_at: time(row, at + 2)?,
        wait_ms: count(get(row, at + 3)?),
        begun: get(row, at + 4)?,
        attempts: number(row, at + 5)?,
        step_attempts: number(row, at + 6)?,
        age_from: get::<Option<i64>>(row, at + 7)?.map(count),
        external_id: text_or_none(row, at + 8)?,
        external_title: text_or_none(row, at + 9)?,
        external_url: text_or_none(row, at + 10)?,
        uncertain: get(row, at + 11)?,
        resends: number(row, at + 12)?,
        preconditions: number(row, at + 13)?,
        intent: None,
        error: error(row, at + 14)?,
        target: text_or_none(row, at + 20)?,
    })
}

fn error(row: &Row, at: usize) -> Sql<Option<PushError>> {
    let Some(code) = text_or_none(row, at)? else {
        return Ok(None);
    };
    Ok(Some(PushError {
        code,
        kind: named(row, at + 1, FailureClass::from_name)?,
        message: text(row, at + 2)?,
        step: named(row, at + 3, Step::from_name)?,
        http_status: number_or_none(row, at + 4)?,
        retryable: get(row, at + 5)?,
    }))
}

/// A column as it is.
pub(super) fn get<T: FromSqlOwned>(row: &Row, at: usize) -> Sql<T> {
    row.try_get(at).map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
        Fault::Row(format!("{error}{cause}"))
    })
}

pub(super) fn text(row: &Row, at: usize) -> Sql<String> {
    get(row, at).map(restored)
}

pub(super) fn text_or_none(row: &Row, at: usize) -> Sql<Option<String>> {
    Ok(get::<Option<String>>(row, at)?.map(restored))
}

/// A number that is stored wider than it is.
pub(super) fn number<T: TryFrom<i64>>(row: &Row, at: usize) -> Sql<T> {
    let wide: i64 = get(row, at)?;
    T::try_from(wide).map_err(|_| Fault::Row(format!("{wide} is out of bounds")))
}

pub(super) fn number_or_none<T: TryFrom<i64>>(row: &Row, at: usize) -> Sql<Option<T>> {
    match get::<Option<i64>>(row, at)? {
        None => Ok(None),
        Some(_) => number(row, at).map(Some),
    }
}

/// A value that is stored by its name.
pub(super) fn named<T>(row: &Row, at: usize, from_name: impl FnOnce(&str) -> Option<T>) -> Sql<T> {
    let name: String = get(row, at)?;
    from_name(&name).ok_or_else(|| Fault::Row(format!("unknown name {name:?}")))
}

/// The same where it may be absent.
pub(super) fn named_or_none<T>(
    row: &Row,
    at: usize,
    from_name: impl FnOnce(&str) -> Option<T>,
) -> Sql<Option<T>> {
    match get::<Option<String>>(row, at)? {
        None => Ok(None),
        Some(_) => named(row, at, from_name).map(Some),
    }
}

/// A moment.
pub(super) fn time(row: &Row, at: usize) -> Sql<Timestamp> {
    get(row, at).map(Timestamp::from_millis)
}

/// A moment that may be absent.
pub(super) fn time_or_none(row: &Row, at: usize) -> Sql<Option<Timestamp>> {
    Ok(get::<Option<i64>>(row, at)?.map(Timestamp::from_millis))
}

/// JSON that casehook wrote itself; of what somebody else put there, only so deep that reading it is safe.
pub(super) fn json<T: serde::de::DeserializeOwned>(text: &str) -> Sql<T> {
    serde_json::from_str(text).map_err(|error| Fault::Row(error.to_string()))
}

/// A count as the database holds it.
pub(super) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as the database held it.
pub(super) fn count(int: i64) -> u64 {
    u64::try_from(int).unwrap_or(0)
}
