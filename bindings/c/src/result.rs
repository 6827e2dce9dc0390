//! `casehook_result`: the library's error numbers as C sees them.

use casehook_rs::ErrorKind;

/// What a call came to. Numbers are never reused; a later version may add some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum casehook_result {
    /// It succeeded.
    CASEHOOK_OK = 0,
    /// A connector or settings document was refused; nothing was stored.
    CASEHOOK_ERROR_CONFIG = 1,
    /// A case was refused; nothing was stored.
    CASEHOOK_ERROR_CASE = 2,
    /// An argument has no meaning for the call: a null pointer, text that is not UTF-8, an empty name.
    CASEHOOK_ERROR_ARGUMENT = 3,
    /// There is no connector or push of that name or number.
    CASEHOOK_ERROR_NOT_FOUND = 4,
    /// The push or connector is in a state that does not allow the call.
    CASEHOOK_ERROR_STATE = 5,
    /// The agent was closed.
    CASEHOOK_ERROR_CLOSED = 6,
    /// The agent was opened in a process of which this one is a fork.
    CASEHOOK_ERROR_FORKED = 7,
    /// The time allowed for the call ran out.
    CASEHOOK_ERROR_TIMEOUT = 8,
    /// casehook itself is at fault; the agent refuses everything but casehook_agent_free() from then on.
    CASEHOOK_ERROR_INTERNAL = 9,
    /// The database could not be read or written.
    CASEHOOK_ERROR_STORE = 10,
    /// Another process holds the database for longer than the call waits.
    CASEHOOK_ERROR_BUSY = 11,
    /// The database is damaged or is not a casehook database; it was left untouched.
    CASEHOOK_ERROR_CORRUPT = 12,
    /// The database was written by a newer casehook; it was left untouched.
    CASEHOOK_ERROR_SCHEMA_TOO_NEW = 13,
    /// The outbox holds as many undelivered pushes as it may.
    CASEHOOK_ERROR_QUEUE_FULL = 14,
    /// The disk is full.
    CASEHOOK_ERROR_DISK_FULL = 15,
    /// The key that opens the stored secrets is missing or wrong, or a secret's row is damaged.
    CASEHOOK_ERROR_KEY = 16,
    /// Another copy of casehook in this process has the database open.
    CASEHOOK_ERROR_SECOND_COPY = 17,
}

use casehook_result::*;

impl From<ErrorKind> for casehook_result {
    fn from(kind: ErrorKind) -> casehook_result {
        match kind {
            ErrorKind::Config => CASEHOOK_ERROR_CONFIG,
            ErrorKind::Case => CASEHOOK_ERROR_CASE,
            ErrorKind::Argument => CASEHOOK_ERROR_ARGUMENT,
            ErrorKind::NotFound => CASEHOOK_ERROR_NOT_FOUND,
            ErrorKind::State => CASEHOOK_ERROR_STATE,
            ErrorKind::Closed => CASEHOOK_ERROR_CLOSED,
            ErrorKind::Forked => CASEHOOK_ERROR_FORKED,
            ErrorKind::Timeout => CASEHOOK_ERROR_TIMEOUT,
            ErrorKind::Store => CASEHOOK_ERROR_STORE,
            ErrorKind::Busy => CASEHOOK_ERROR_BUSY,
            ErrorKind::Corrupt => CASEHOOK_ERROR_CORRUPT,
            ErrorKind::SchemaTooNew => CASEHOOK_ERROR_SCHEMA_TOO_NEW,
            ErrorKind::QueueFull => CASEHOOK_ERROR_QUEUE_FULL,
            ErrorKind::DiskFull => CASEHOOK_ERROR_DISK_FULL,
            ErrorKind::Key => CASEHOOK_ERROR_KEY,
            ErrorKind::SecondCopy => CASEHOOK_ERROR_SECOND_COPY,
            // The table is open for new kinds; the tests see to it that none of them ends here.
            _ => CASEHOOK_ERROR_INTERNAL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_error_table() {
        assert_eq!(CASEHOOK_OK as i32, 0);
        for kind in ErrorKind::ALL {
            assert_eq!(casehook_result::from(kind) as i32, kind.number(), "{kind}");
        }
    }
}
