//! The five exchanges: each renders a request value and reads an answer value. No sockets here.

pub(crate) mod comment;
pub(crate) mod create;
pub(crate) mod find;
pub(crate) mod get;
mod json;
pub(crate) mod path;
pub(crate) mod update;

use std::sync::Arc;

use crate::connector::{Config, NetworkPolicy};
use crate::model::{Case, Comment, Step};
use crate::template::RenderError;
use crate::transport::{HeaderField, Request};

/// A connector ready to send: secrets resolved, headers of every request made.
pub(crate) struct Prepared {
    pub(crate) config: Arc<Config>,
    /// Authorization and secretHeaders, in the precedence of the document; per-operation headers are laid under them.
    pub(crate) secret_headers: Vec<HeaderField>,
    pub(crate) network: Arc<NetworkPolicy>,
    /// Every secret text that must be masked wherever it shows up.
    pub(crate) masks: Arc<Vec<zeroize::Zeroizing<String>>>,
}

/// What a request is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) case: &'a Case,
    pub(crate) external_id: Option<&'a str>,
    pub(crate) external_title: Option<&'a str>,
    pub(crate) comment: Option<&'a Comment>,
    pub(crate) idempotency_key: Option<&'a str>,
    /// The ETag of a fresh get, for `ifMatchHeader`.
    pub(crate) if_match: Option<&'a str>,
    /// The body as it was written the first time, for a resend.
    pub(crate) stored_body: Option<&'a [u8]>,
}

/// Why a 2xx answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unusable {
    /// A stable word: `notJson`, `mediaType`, `idMissing`, `idUnusable`, `titleMissing`, `titleUnusable`, `failureReported`, `tooLarge`, `encoding`, ...
    pub(crate) code: &'static str,
    /// What is wrong and what to look at; may quote the answer (masking is the caller's).
    pub(crate) message: String,
}

/// The request of a step.
pub(crate) fn render(
    _step: Step,
    _prepared: &Prepared,
    _subject: &Subject<'_>,
) -> Result<Request, RenderError> {
    unimplemented!()
}
