//! The get step: reads the incident back for its title and link.

use super::answer::{self, Wanted};
use super::values::Values;
use super::{Subject, Unusable};
use crate::connector::Config;
use crate::template::RenderError;
use crate::transport::Answer;

/// What a get answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    /// May be empty. None only where the connector names no path for it.
    pub(crate) title: Option<String>,
    /// From `viewIncidentResponseKey`, where this answer has it.
    pub(crate) view_url: Option<String>,
    pub(crate) etag: Option<String>,
}

/// Reads a 2xx answer.
pub(crate) fn read(config: &Config, answer: &Answer) -> Result<Got, Unusable> {
    let document = answer::required(config, answer)?;
    let title = match &config.get_title {
        Some(path) => Some(answer::text(document, path, Wanted::Title)?),
        None => None,
    };
    Ok(Got {
        title,
        view_url: answer::view_url(config, document),
        etag: answer.header("etag").map(str::to_owned),
    })
}

/// The link for people as `viewIncidentUrl` renders it; kept as written, not normalised.
pub(crate) fn view_url(config: &Config, subject: &Subject<'_>) -> Result<String, RenderError> {
    config.view_url.render(&Values::new(config, subject).variables())
}
