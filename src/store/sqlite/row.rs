//! Columns of a push, to and from the outbox's types.

use rusqlite::Row;
use rusqlite::types::{Type, ValueRef};

use super::db::count;
use crate::model::{Case, FailureClass, PushError, PushState, Step, Timestamp};
use crate::outbox::Progress;

/// The columns of `pushes AS p` that `progress` reads, in its order.
macro_rules! progress_columns {
    () => {
        "p.state, p.step, p.due_at, p.wait_ms, p.begun, p.attempts, p.step_attempts, p.age_from, p.external_id, \
         p.external_title, p.external_url, p.uncertain, p.resends, p.preconditions, p.error_code, p.error_kind, \
         p.error_message, p.error_step, p.error_status, p.error_retryable, p.sent_to"
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

/// The columns that `incident` reads, in its order: of `pushes AS p`, or where its case stands apart, of `incidents AS i`.
macro_rules! incident_columns {
    () => {
        concat!(
            "coalesce(p.title, i.title), coalesce(p.description, i.description), ",
            case_id!(),
            ", coalesce(p.severity, i.severity), coalesce(p.status, i.status), coalesce(p.tags, i.tags), \
             coalesce(i.external_id, p.given_id), coalesce(p.fields, i.fields), coalesce(p.traceparent, i.traceparent)"
        )
    };
}
pub(super) use incident_columns;

/// The case id among them.
macro_rules! case_id {
    () => {
        "coalesce(i.case_id, CASE WHEN p.lane GLOB 'c:*' THEN substr(p.lane, 3) END)"
    };
}
pub(super) use case_id;

/// Reads `incident_columns!` from column `at` on: a case without its comments.
pub(super) fn incident(row: &Row<'_>, at: usize) -> rusqlite::Result<Case> {
    let tags: Option<String> = row.get(at + 5)?;
    let fields: Option<String> = row.get(at + 7)?;
    Ok(Case {
        title: row.get(at)?,
        description: row.get(at + 1)?,
        id: row.get(at + 2)?,
        severity: row.get(at + 3)?,
        status: row.get(at + 4)?,
        tags: tags.map_or(Ok(Vec::new()), |text| json(at + 5, &text))?,
        external_id: row.get(at + 6)?,
        fields: fields.map_or(Ok(serde_json::Map::new()), |text| json(at + 7, &text))?,
        comments: Vec::new(),
        traceparent: row.get(at + 8)?,
    })
}

/// A value that is stored by its name.
pub(super) fn named<T>(
    row: &Row<'_>,
    at: usize,
    from_name: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let name = row.get_ref(at)?.as_str()?;
    from_name(name).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(at, Type::Text, format!("unknown name {name:?}").into())
    })
}

/// The same where it may be absent.
pub(super) fn named_or_none<T>(
    row: &Row<'_>,
    at: usize,
    from_name: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<Option<T>> {
    match is_null(row, at)? {
        true => Ok(None),
        false => named(row, at, from_name).map(Some),
    }
}

pub(super) fn is_null(row: &Row<'_>, at: usize) -> rusqlite::Result<bool> {
    Ok(row.get_ref(at)? == ValueRef::Null)
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
