//! Why a client certificate cannot be used.

/// Why there is no identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// The secret at fault: `crt`, `key`, `pfx` or `password`.
    pub(crate) secret: &'static str,
    pub(crate) message: String,
}

pub(super) fn flaw(secret: &'static str, message: impl Into<String>) -> Flaw {
    Flaw {
        secret,
        message: message.into(),
    }
}
