//! What `preview` and `test` show.

use serde::Serialize;

use super::Step;

/// One header as it would be sent; the value of a secret one is masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Header {
    /// Its name, spelled as configured.
    pub name: String,
    /// Its value, or `***`.
    pub value: String,
}

/// One request exactly as it would be sent, secrets masked.
///
/// A part that needs what only an answer can tell holds `{external.system.id}` or `{external.system.title}` in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Request {
    /// The step it belongs to.
    pub step: Step,
    /// `POST`, `PUT`, `PATCH` or `GET`.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// The headers in the order of sending.
    pub headers: Vec<Header>,
    /// The body, where one is sent.
    pub body: Option<String>,
}

/// What a target answered, secrets masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers in the order of arrival.
    pub headers: Vec<Header>,
    /// The body as text, cut after 64 KiB.
    pub body: String,
}

/// One step of a test: what went out, what came back, what casehook makes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TestStep {
    /// The step.
    pub step: Step,
    /// What was sent; none when it could not be rendered.
    pub request: Option<Request>,
    /// What came back; none when nothing did.
    pub answer: Option<Answer>,
    /// Whether the step succeeded.
    pub ok: bool,
    /// What casehook makes of it, and what to do when it failed.
    pub verdict: String,
    /// What most likely is to be changed in the connector, where something is known about it.
    pub suggestion: Option<String>,
    /// How long the exchange took, in milliseconds.
    pub duration_ms: u64,
}

/// What came of running a case's steps against the target, outside the outbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TestReport {
    /// Whether every step succeeded.
    pub ok: bool,
    /// The steps that were run, in order.
    pub steps: Vec<TestStep>,
    /// The incident's id at the target.
    pub external_id: Option<String>,
    /// The incident's title at the target.
    pub external_title: Option<String>,
    /// The link for people.
    pub external_url: Option<String>,
}

/// Whether one origin answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Reach {
    /// Scheme, host and port.
    pub origin: String,
    /// The status of its answer; any counts as reached.
    pub status: Option<u16>,
    /// Why no answer came; none when one did.
    pub problem: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}
