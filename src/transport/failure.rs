//! Failures of requests that did not leave.

use super::{Failure, FailureKind};

/// For what was asked for after the transport was shut.
pub(super) fn closed() -> Failure {
    not_connected(
        "closed",
        "casehook was closed before the request was sent".to_owned(),
    )
}

/// There is no connection; `code` is one of the words of [`Failure`].
pub(super) fn not_connected(code: &'static str, message: String) -> Failure {
    Failure {
        kind: FailureKind::NotConnected,
        code,
        message,
        status: None,
    }
}
