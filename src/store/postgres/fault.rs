//! PostgreSQL's errors in the words of the error table.

use tokio_postgres::error::SqlState;

use crate::error::{Error, ErrorKind};
use crate::store::Cause;

/// What can end a piece of work on a connection: PostgreSQL, the way to it, or a rule of the outbox.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(tokio_postgres::Error),
    /// A row holds what casehook never writes.
    Row(String),
    /// The connection is of no more use: what was wrong with it.
    Broken(String),
    Own(Error),
}

/// The result of work on a connection.
pub(super) type Sql<T> = Result<T, Fault>;

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Fault {
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
            Fault::Row(what) => Error::new(
                ErrorKind::Corrupt,
                format!("a row of the database holds what casehook never writes; restore a backup ({what})"),
            ),
            Fault::Broken(what) => unreachable(&what),
            Fault::Sql(error) => match error.as_db_error() {
                Some(db) => {
                    let (kind, advice) = sort(db.code());
                    let text = format!("{advice} (PostgreSQL: {} {})", db.code().code(), db.message());
                    Error::new(kind, text)
                }
                None => {
                    let what = causes(&error);
                    match SETTINGS.iter().find(|(said, _)| what.contains(said)) {
                        Some((_, advice)) => Error::new(ErrorKind::Store, format!("{advice} ({what})")),
                        None => unreachable(&what),
                    }
                }
            },
        }
    }

    /// Whether other transactions were in the way, so that the same work can succeed at once.
    pub(super) fn is_conflict(&self) -> bool {
        self.code().is_some_and(|code| {
            *code == SqlState::T_R_DEADLOCK_DETECTED || *code == SqlState::T_R_SERIALIZATION_FAILURE
        })
    }

    /// Whether the connection is of no more use: it was cut, or the server stops or became a standby.
    pub(super) fn is_broken(&self) -> bool {
        match self {
            Fault::Broken(_) => true,
            Fault::Sql(error) => match error.code() {
                None => true,
                Some(code) => {
                    code.code().starts_with("57P")
                        || code.code().starts_with("08")
                        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
                        || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
                }
            },
            _ => false,
        }
    }

    /// What it says of the work that it ended, in a transaction that had been begun.
    pub(super) fn cause(&self) -> Cause {
        self.code().map_or(Cause::Any, cause)
    }

    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Fault::Sql(error) => error.code(),
            _ => None,
        }
    }
}

/// What the driver says, in words alone, of a server that can be reached and is not going to be used as things are set; and
/// what would be right.
const SETTINGS: &[(&str, &str)] = &[
    (
        "password missing",
        "the database server asks for a password; give one in the URL or in PGPASSWORD",
    ),
    (
        "server does not support TLS",
        "the database server speaks no TLS; switch it on there, or do without it: sslmode=disable",
    ),
    (
        "no hostname provided",
        "TLS needs the name of the database server; give it in the URL as host",
    ),
    (
        "authentication error",
        "the login that the database server asks for failed or is of an unknown kind; use scram-sha-256 or md5 there, and the \
         user's password here",
    ),
    (
        "invalid configuration",
        "the database URL cannot be used as it is",
    ),
];

fn unreachable(what: &str) -> Error {
    let message = format!("the PostgreSQL server cannot be reached; call again when it can: {what}");
    Error::new(ErrorKind::Busy, message)
}

/// The error with what is behind it, which the error alone does not say.
fn causes(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}

fn cause(code: &SqlState) -> Cause {
    let code = code.code();
    let is_of = |classes: &[&str]| classes.iter().any(|class| code.starts_with(class));
    if is_of(&["22", "23", "54"]) {
        // A value, a constraint, a limit of its own.
        Cause::Refusal
    } else if is_of(&["40", "55", "57"]) && !code.starts_with("57P") {
        // Locks, other transactions, a statement that took too long: the server is there.
        Cause::Obstacle
    } else {
        Cause::Any
    }
}

fn sort(code: &SqlState) -> (ErrorKind, &'static str) {
    match code.code() {
        "53100" => (
            ErrorKind::DiskFull,
            "the disk of the database server is full; free space there and call again",
        ),
        "53300" => (
            ErrorKind::Busy,
            "the database server has no connection left; raise its max_connections, open fewer hosts, or call again",
        ),
        "42501" | "42000" => (
            ErrorKind::Store,
            "the database user lacks a right; grant what the manual's chapter on PostgreSQL lists",
        ),
        "42P01" | "42703" | "42883" | "3F000" => (
            ErrorKind::Corrupt,
            "casehook's schema is not whole; restore a backup",
        ),
        "XX001" | "XX002" => (
            ErrorKind::Corrupt,
            "the database is damaged; it was not repaired, restore a backup",
        ),
        "3D000" => (
            ErrorKind::Store,
            "there is no such database; create it, or name the right one in the URL",
        ),
        code if code.starts_with("28") => (
            ErrorKind::Store,
            "the database server does not accept the login; check user, password and pg_hba.conf",
        ),
        code if ["08", "40", "53", "55", "57"]
            .iter()
            .any(|class| code.starts_with(class))
            || code == "25006" =>
        {
            (
                ErrorKind::Busy,
                "the database server could not do the work now; call again",
            )
        }
        _ => (ErrorKind::Store, "the database refused the work"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_one_piece_of_work_is_told_from_what_ends_all() {
        for (code, expected) in [
            ("22001", Cause::Refusal),
            ("23514", Cause::Refusal),
            ("54000", Cause::Refusal),
            ("40P01", Cause::Obstacle),
            ("55P03", Cause::Obstacle),
            ("57014", Cause::Obstacle),
            ("57P01", Cause::Any),
            ("57P03", Cause::Any),
            ("53100", Cause::Any),
            ("53300", Cause::Any),
            ("08006", Cause::Any),
            ("25006", Cause::Any),
            ("42501", Cause::Any),
        ] {
            assert_eq!(cause(&SqlState::from_code(code)), expected, "{code}");
        }
    }
}
