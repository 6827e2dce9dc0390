//! The one error table: number, name, retryable. Bindings map it and add nothing.

use std::fmt;

/// What went wrong, as a caller tells cases apart.
///
/// Numbers are forever: the C header and the Python exceptions carry the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum ErrorKind {
    /// A connector or settings document was refused; nothing was stored.
    Config = 1,
    /// A case was refused; nothing was stored.
    Case = 2,
    /// An argument has no meaning for the call (a null pointer, text that is not UTF-8, an empty name).
    Argument = 3,
    /// There is no connector or push of that name or number.
    NotFound = 4,
    /// The push or connector is in a state that does not allow the call.
    State = 5,
    /// The agent was closed.
    Closed = 6,
    /// The agent was opened in a process of which this one is a fork.
    Forked = 7,
    /// The time allowed for the call ran out.
    Timeout = 8,
    /// casehook itself is at fault.
    Internal = 9,
    /// The database could not be read or written.
    Store = 10,
    /// Another process holds the database for longer than the call waits, or the database server cannot be reached.
    Busy = 11,
    /// The database is damaged or is not a casehook database; it was left untouched.
    Corrupt = 12,
    /// The database was written by a newer casehook; it was left untouched.
    SchemaTooNew = 13,
    /// The outbox holds `maxQueued` undelivered pushes.
    QueueFull = 14,
    /// The disk is full.
    DiskFull = 15,
    /// The key that opens the stored secrets is missing or wrong, or a secret's row is damaged.
    Key = 16,
    /// Another copy of casehook in this process has the database open.
    SecondCopy = 17,
}

impl ErrorKind {
    /// Every kind, in the order of its number.
    pub const ALL: [ErrorKind; 17] = [
        ErrorKind::Config,
        ErrorKind::Case,
        ErrorKind::Argument,
        ErrorKind::NotFound,
        ErrorKind::State,
        ErrorKind::Closed,
        ErrorKind::Forked,
        ErrorKind::Timeout,
        ErrorKind::Internal,
        ErrorKind::Store,
        ErrorKind::Busy,
        ErrorKind::Corrupt,
        ErrorKind::SchemaTooNew,
        ErrorKind::QueueFull,
        ErrorKind::DiskFull,
        ErrorKind::Key,
        ErrorKind::SecondCopy,
    ];

    /// The number that C callers see; never reused, 0 means success.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The stable name, in lower case with underscores.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorKind::Config => "config",
            ErrorKind::Case => "case",
            ErrorKind::Argument => "argument",
            ErrorKind::NotFound => "not_found",
            ErrorKind::State => "state",
            ErrorKind::Closed => "closed",
            ErrorKind::Forked => "forked",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Internal => "internal",
            ErrorKind::Store => "store",
            ErrorKind::Busy => "busy",
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::SchemaTooNew => "schema_too_new",
            ErrorKind::QueueFull => "queue_full",
            ErrorKind::DiskFull => "disk_full",
            ErrorKind::Key => "key",
            ErrorKind::SecondCopy => "second_copy",
        }
    }

    /// Whether the same call can succeed later without anything being changed by the caller.
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            ErrorKind::Timeout | ErrorKind::Busy | ErrorKind::QueueFull | ErrorKind::DiskFull
        )
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The error of every fallible call.
///
/// Its text names the field at fault, says what is wrong and what would be right, and never holds a secret.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    field: Option<String>,
    since: Option<&'static str>,
}

/// The result of every fallible call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            field: None,
            since: None,
        }
    }

    /// A refused document: `field` is the path of the value at fault, such as `config.headers["X-A"]`.
    pub(crate) fn config(field: impl Into<String>, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Config, message).at(field)
    }

    /// A refused case: `field` is the path of the value at fault, such as `incident.tags[3]`.
    pub(crate) fn case(field: impl Into<String>, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Case, message).at(field)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Internal, message)
    }

    pub(crate) fn at(mut self, field: impl Into<String>) -> Error {
        self.field = Some(field.into());
        self
    }

    /// With what comes of it where it is let pass: a sentence for people who bring a document from there.
    pub(crate) fn since(mut self, why: &'static str) -> Error {
        self.since = Some(why);
        self
    }

    /// What comes of it in Kibana, where that lets it pass.
    pub(crate) fn why(&self) -> Option<&'static str> {
        self.since
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The number of [`Error::kind`], as C callers see it.
    pub fn number(&self) -> i32 {
        self.kind.number()
    }

    /// The name of [`Error::kind`].
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// Whether the same call can succeed later without anything being changed by the caller.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }

    /// The path of the value at fault in the document or case, where one value is.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The text without the field's path.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}
