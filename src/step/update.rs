//! The update step: changes the incident.

use super::{Unusable, answer};
use crate::connector::Config;
use crate::transport::Answer;

/// Reads a 2xx answer: nothing is taken from it.
pub(crate) fn read(config: &Config, answer: &Answer) -> Result<(), Unusable> {
    answer::optional(config, answer)
}
