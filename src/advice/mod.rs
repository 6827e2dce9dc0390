//! From an exchange that went wrong to what most likely is to be changed in the connector. Pure: no I/O, no clock.
//!
//! [`RULES`] is the table of the mistakes that are known, the most telling first; the manual's chapter on connectors shows it.

mod accepted;
mod connection;
mod evidence;
mod paths;
mod redirects;
mod refusals;
mod rules;

use crate::model::{Answer, Request, Step};

/// One exchange as a trial saw it, secrets masked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange<'a> {
    pub(crate) step: Step,
    pub(crate) request: &'a Request,
    pub(crate) answer: Option<&'a Answer>,
    /// Whether casehook takes it for a success.
    pub(crate) ok: bool,
    /// The verdict's stable word, such as `status`, `dns`, `idMissing`.
    pub(crate) code: &'a str,
    /// The verdict in words.
    pub(crate) verdict: &'a str,
    /// The status of the answer, also where only a redirect or a proxy gave it.
    pub(crate) status: Option<u16>,
    /// The path of the id or title that the step looks for, where it looks for one.
    pub(crate) path: Option<&'a str>,
    /// Whether the connector names a `failureResponseKey`.
    pub(crate) tells_failures: bool,
}

/// A mistake that is known, and the words on what to change where it was made.
#[cfg_attr(not(test), expect(dead_code, reason = "words for readers of the manual"))]
pub(crate) struct Rule {
    /// What went wrong, in a few words.
    pub(crate) mistake: &'static str,
    /// How it shows.
    pub(crate) sign: &'static str,
    advise: fn(&Exchange<'_>) -> Option<String>,
}

/// What most likely is to be changed; none where nothing is known, or nothing is wrong.
pub(crate) fn suggest(exchange: &Exchange<'_>) -> Option<String> {
    RULES.iter().find_map(|rule| (rule.advise)(exchange))
}

pub(crate) use rules::RULES;

impl Exchange<'_> {
    /// The name of the step's fields in the connector: `createIncident`, ...
    fn stem(&self) -> &'static str {
        match self.step {
            Step::Create => "createIncident",
            Step::Find => "findIncident",
            Step::Update => "updateIncident",
            Step::Get => "getIncident",
            Step::Comment => "createComment",
        }
    }

    /// The field that holds [`Exchange::path`].
    fn path_field(&self) -> &'static str {
        match self.step {
            Step::Get => "getIncidentResponseExternalTitleKey",
            Step::Find => "findIncidentResponseKey",
            _ => "createIncidentResponseKey",
        }
    }

    fn body(&self) -> &str {
        self.answer.map_or("", |answer| answer.body.as_str())
    }

    fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_str(self.body().trim_start_matches('\u{feff}')).ok()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let headers = self.answer.into_iter().flat_map(|answer| &answer.headers);
        let mut found = headers.filter(|header| header.name.eq_ignore_ascii_case(name));
        found.next().map(|header| header.value.as_str())
    }

    fn sent(&self, name: &str) -> Option<&str> {
        let mut found = self
            .request
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        found.next().map(|header| header.value.as_str())
    }
}

#[cfg(test)]
mod tests;
