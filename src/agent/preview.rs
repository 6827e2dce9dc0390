//! The requests that a push would send, rendered without sending.

use crate::connector::{Config, Prepared};
use crate::error::{Error, Result};
use crate::model::{Case, Header, Link, Request, Step};
use crate::step::{self, Subject};
use crate::template::RenderError;
use crate::transport;

/// Stands for an id that only the target can give; made of characters that no encoding changes.
const SAMPLE_ID: &str = "EXTERNAL-SYSTEM-ID";
const SHOWN_ID: &str = "{external.system.id}";

/// What a request is about when only the case is known.
pub(super) fn subject<'a>(case: &'a Case, external_id: Option<&'a str>) -> Subject<'a> {
    Subject {
        case,
        external_id,
        external_title: None,
        comment: None,
        idempotency_key: None,
        if_match: None,
        stored_body: None,
    }
}

/// The incident that a push of this case would update.
pub(super) fn known_id<'a>(case: &'a Case, link: Option<&'a Link>) -> Option<&'a str> {
    case.external_id
        .as_deref()
        .filter(|id| !id.is_empty())
        .or_else(|| link.map(|link| link.external_id.as_str()))
}

/// Renders everything that can be rendered before an answer is there, so that a case that cannot be sent is refused.
pub(super) fn check(config: &Config, case: &Case) -> Result<()> {
    let refuse = |error: RenderError| {
        Error::case(
            "incident",
            format!(
                "the connector cannot render this case: {}: {}",
                error.field, error.message
            ),
        )
    };
    let known = known_id(case, None);
    let first = match known {
        Some(_) if config.sends_updates() => Some(Step::Update),
        Some(_) => None,
        None => Some(Step::Create),
    };
    if let Some(step) = first {
        step::check(step, config, &subject(case, known)).map_err(refuse)?;
    }
    let id = known.unwrap_or(SAMPLE_ID);
    if config.comment.is_some() {
        for comment in &case.comments {
            let about = Subject {
                comment: Some(comment),
                ..subject(case, Some(id))
            };
            step::check(Step::Comment, config, &about).map_err(refuse)?;
        }
    }
    Ok(())
}

/// The requests of a push of this case, in order.
pub(super) fn requests(prepared: &Prepared, case: &Case, link: Option<&Link>) -> Result<Vec<Request>> {
    let config = &prepared.config;
    let known = known_id(case, link);
    let id = known.unwrap_or(SAMPLE_ID);
    let key = Some("00000000-0000-7000-8000-000000000000");
    let mut subjects = Vec::new();
    match known {
        None => subjects.push((
            Step::Create,
            Subject {
                idempotency_key: key,
                ..subject(case, None)
            },
        )),
        Some(_) if config.sends_updates() => subjects.push((Step::Update, subject(case, Some(id)))),
        Some(_) => {}
    }
    if config.get.is_some() && !subjects.is_empty() {
        subjects.push((Step::Get, subject(case, Some(id))));
    }
    if config.comment.is_some() {
        for comment in case.comments.iter().filter(|comment| !comment.text.is_empty()) {
            let about = Subject {
                comment: Some(comment),
                idempotency_key: key,
                ..subject(case, Some(id))
            };
            subjects.push((Step::Comment, about));
        }
    }
    subjects
        .iter()
        .map(|(step, subject)| {
            let request = step::render(*step, prepared, subject).map_err(|error| {
                let message = format!(
                    "the connector cannot render this case: {}: {}",
                    error.field, error.message
                );
                Error::case("incident", message)
            })?;
            let mut shown = shown(*step, &request, prepared);
            if known.is_none() {
                shown.url = shown.url.replace(SAMPLE_ID, SHOWN_ID);
                shown.body = shown.body.map(|body| body.replace(SAMPLE_ID, SHOWN_ID));
            }
            Ok(shown)
        })
        .collect()
}

/// A request as people may see it.
pub(super) fn shown(step: Step, request: &transport::Request, prepared: &Prepared) -> Request {
    Request {
        step,
        method: request.method.as_str().to_owned(),
        url: step::mask(request.url.as_str(), &prepared.masks.own),
        headers: request
            .headers
            .iter()
            .map(|header| Header {
                name: header.name.clone(),
                value: match header.secret {
                    true => "***".to_owned(),
                    false => step::mask(&header.value, &prepared.masks.own),
                },
            })
            .collect(),
        body: request
            .body
            .as_deref()
            .map(|body| step::mask(&String::from_utf8_lossy(body), &prepared.masks.own)),
    }
}
