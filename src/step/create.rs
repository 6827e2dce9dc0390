//! The create step: opens the incident and learns its id.

use super::Unusable;
use super::answer::{self, Wanted};
use crate::connector::Config;
use crate::transport::Answer;

/// What a create answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Created {
    pub(crate) external_id: String,
    /// From `viewIncidentResponseKey`, where this answer already has it.
    pub(crate) view_url: Option<String>,
}

/// Reads a 2xx answer.
pub(crate) fn read(config: &Config, answer: &Answer) -> Result<Created, Unusable> {
    let document = answer::required(config, answer)?;
    Ok(Created {
        external_id: answer::text(document, &config.create_id, Wanted::Id)?,
        view_url: answer::view_url(config, document),
    })
}
