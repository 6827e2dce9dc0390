//! SQLite's errors in the words of the error table.

use rusqlite::ffi;

use crate::error::{Error, ErrorKind};

/// What can end a piece of work on a connection: SQLite, or a rule of the outbox.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(rusqlite::Error),
    Own(Error),
}

/// The result of work on a connection.
pub(super) type Sql<T> = Result<T, Fault>;

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Sql(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Own(error)
    }
}

impl Fault {
    /// The error that the caller of the store gets.
    pub(super) fn into_error(self) -> Error {
        match self {
            Fault::Own(error) => error,
            Fault::Sql(rusqlite::Error::SqliteFailure(code, text)) => {
                let text = text.unwrap_or_else(|| code.to_string());
                let (kind, advice) = sort(code);
                Error::new(kind, format!("{advice} (SQLite: {text})"))
            }
            Fault::Sql(
                error @ (rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..)),
            ) => Error::new(
                ErrorKind::Corrupt,
                format!(
                    "a row of the database holds what casehook never writes; nothing was changed, \
                     restore a backup (SQLite: {error})"
                ),
            ),
            Fault::Sql(error) => Error::new(
                ErrorKind::Store,
                format!("the database could not be used as expected (SQLite: {error})"),
            ),
        }
    }

    /// Whether another connection was in the way.
    pub(super) fn is_busy(&self) -> bool {
        matches!(
            self,
            Fault::Sql(rusqlite::Error::SqliteFailure(
                ffi::Error {
                    code: ffi::ErrorCode::DatabaseBusy | ffi::ErrorCode::DatabaseLocked,
                    ..
                },
                _
            ))
        )
    }
}

fn sort(error: ffi::Error) -> (ErrorKind, &'static str) {
    use ffi::ErrorCode as Code;
    if error.extended_code == ffi::SQLITE_IOERR_SHMSIZE {
        return (
            ErrorKind::DiskFull,
            "the disk with the database is full; free space and call again",
        );
    }
    match error.code {
        Code::DatabaseBusy | Code::DatabaseLocked => (
            ErrorKind::Busy,
            "another process holds the database; end its long transaction, or call again",
        ),
        Code::DiskFull => (
            ErrorKind::DiskFull,
            "the disk with the database is full; free space and call again",
        ),
        Code::DatabaseCorrupt | Code::NotADatabase => (
            ErrorKind::Corrupt,
            "the database is damaged or is not a database; it was not repaired, restore a backup",
        ),
        Code::CannotOpen | Code::PermissionDenied | Code::AuthorizationForStatementDenied => (
            ErrorKind::Store,
            "the database cannot be opened; check that it and its directory belong to this user",
        ),
        Code::ReadOnly => (
            ErrorKind::Store,
            "the database cannot be written; check the permissions of the file and its directory",
        ),
        Code::SystemIoFailure => (
            ErrorKind::Store,
            "reading or writing the database failed; check the disk and that the file is still there",
        ),
        Code::OutOfMemory => (ErrorKind::Store, "there is not enough memory for the database"),
        _ => (ErrorKind::Store, "the database refused the work"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_codes_become_kinds() {
        for (code, kind) in [
            (ffi::SQLITE_BUSY, ErrorKind::Busy),
            (ffi::SQLITE_BUSY_SNAPSHOT, ErrorKind::Busy),
            (ffi::SQLITE_FULL, ErrorKind::DiskFull),
            (ffi::SQLITE_CORRUPT, ErrorKind::Corrupt),
            (ffi::SQLITE_CORRUPT_INDEX, ErrorKind::Corrupt),
            (ffi::SQLITE_NOTADB, ErrorKind::Corrupt),
            (ffi::SQLITE_IOERR_FSYNC, ErrorKind::Store),
            (ffi::SQLITE_READONLY, ErrorKind::Store),
            (ffi::SQLITE_CANTOPEN, ErrorKind::Store),
        ] {
            let fault = Fault::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            assert_eq!(fault.is_busy(), kind == ErrorKind::Busy, "{code}");
            assert_eq!(fault.into_error().kind(), kind, "{code}");
        }
    }

    #[test]
    fn a_rule_of_the_outbox_passes_unchanged() {
        let fault = Fault::from(Error::new(ErrorKind::State, "no"));
        assert_eq!(fault.into_error().kind(), ErrorKind::State);
    }
}
