//! The five exchanges: each renders a request value and reads an answer value. No sockets here.

mod answer;
pub(crate) mod comment;
pub(crate) mod create;
pub(crate) mod find;
pub(crate) mod get;
mod headers;
#[cfg(test)]
mod tests;
pub(crate) mod update;
mod values;

use std::sync::Arc;

use crate::connector::config::Operation;
use crate::connector::{Config, Prepared};
use crate::model::{Case, Comment, Step};
use crate::template::{RenderError, Variables};
use crate::transport::{Method, Request};

pub(crate) use crate::mask::{mask, mask_cut};

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
///
/// Errors on values that the templates cannot take, and on a step that the connector does not configure.
pub(crate) fn render(step: Step, prepared: &Prepared, subject: &Subject<'_>) -> Result<Request, RenderError> {
    let config = &prepared.config;
    let operation = operation(config, step)?;
    let values = values::Values::new(config, subject);
    let variables = values.variables();
    let url = operation.url.url(&variables)?;
    let body = match subject.stored_body {
        Some(stored) if operation.method != Method::Get => Some(stored.to_vec()),
        _ => body(operation, &variables)?,
    };
    Ok(Request {
        method: operation.method,
        url,
        headers: headers::of(prepared, operation, subject),
        body,
        network: Arc::clone(&prepared.network),
        token: prepared.token.clone(),
    })
}

/// Makes sure that what depends on the case can be rendered.
pub(crate) fn check(step: Step, config: &Config, subject: &Subject<'_>) -> Result<(), RenderError> {
    let operation = operation(config, step)?;
    let values = values::Values::new(config, subject);
    let variables = values.variables();
    operation.url.url(&variables)?;
    match (operation.method, &operation.body) {
        (Method::Get, _) | (_, None) => Ok(()),
        (_, Some(template)) => template.check(&variables),
    }
}

fn body(operation: &Operation, variables: &Variables<'_>) -> Result<Option<Vec<u8>>, RenderError> {
    match (operation.method, &operation.body) {
        (Method::Get, _) | (_, None) => Ok(None),
        (_, Some(template)) => Ok(Some(template.render(variables)?.into_bytes())),
    }
}

fn operation(config: &Config, step: Step) -> Result<&Operation, RenderError> {
    let (operation, field) = match step {
        Step::Create => (Some(&config.create), "config.createIncidentUrl"),
        Step::Find => (config.find.as_ref(), "config.findIncidentUrl"),
        Step::Update => (config.update.as_ref(), "config.updateIncidentUrl"),
        Step::Get => (config.get.as_ref(), "config.getIncidentUrl"),
        Step::Comment => (config.comment.as_ref(), "config.createCommentUrl"),
    };
    operation.ok_or_else(|| RenderError {
        field,
        message: "is not configured, and the step needs it".to_owned(),
    })
}
