//! Running a case's steps against the target outside the outbox, to see whether a connector is right.

use super::preview::{known_id, shown, subject};
use crate::advice::{self, Exchange};
use crate::clock::Clock;
use crate::connector::Prepared;
use crate::drain::{new_key, reading};
use crate::model::{Answer, Case, Comment, Header, Link, Step, TestReport, TestStep};
use crate::outbox::machine::Success;
use crate::response::ResponsePath;
use crate::step::find::Found;
use crate::step::{self, Subject};
use crate::transport::{self, Transport};

/// How much of a body a report quotes, in bytes.
const QUOTED_BYTES: usize = 64 * 1024;

/// Runs create or update, get, each comment, and the look-up of what was created; stops at the first step that fails.
pub(super) fn run(
    prepared: &Prepared,
    case: &Case,
    link: Option<&Link>,
    transport: &dyn Transport,
    clock: &dyn Clock,
) -> TestReport {
    let mut trial = Trial {
        prepared,
        case,
        transport,
        clock,
        by_link: link.is_some() && case.external_id.as_deref().unwrap_or("").is_empty(),
        etag: None,
        report: TestReport {
            external_id: known_id(case, link).map(str::to_owned),
            ..TestReport::default()
        },
    };
    trial.report.ok = trial.steps();
    trial.report
}

/// Reads one incident back, and does nothing else: nothing changes at the target.
pub(super) fn look(
    prepared: &Prepared,
    external_id: &str,
    transport: &dyn Transport,
    clock: &dyn Clock,
) -> TestReport {
    let case = Case::new("").external_id(external_id);
    let mut trial = Trial {
        prepared,
        case: &case,
        transport,
        clock,
        by_link: false,
        etag: None,
        report: TestReport {
            external_id: Some(external_id.to_owned()),
            ..TestReport::default()
        },
    };
    trial.report.ok = trial.step(Step::Get, None);
    trial.report
}

struct Trial<'a> {
    prepared: &'a Prepared,
    case: &'a Case,
    transport: &'a dyn Transport,
    clock: &'a dyn Clock,
    by_link: bool,
    etag: Option<String>,
    report: TestReport,
}

impl Trial<'_> {
    fn steps(&mut self) -> bool {
        let config = &self.prepared.config;
        let known = self.report.external_id.is_some();
        let fresh_get = known && config.if_match && config.get.is_some() && config.sends_updates();
        if fresh_get && !self.step(Step::Get, None) {
            return false;
        }
        let first = if known { Step::Update } else { Step::Create };
        if (first == Step::Create || config.sends_updates()) && !self.step(first, None) {
            return false;
        }
        if config.get.is_some() && !self.step(Step::Get, None) {
            return false;
        }
        let case = self.case;
        let sent = |comment: &&Comment| config.comment.is_some() && !comment.text.is_empty();
        let mut comments = case.comments.iter().filter(sent);
        if !comments.all(|comment| self.step(Step::Comment, Some(comment))) {
            return false;
        }
        // Last, since indexes lag; a case without an id is never looked up.
        let looked_up =
            !known && config.find.is_some() && case.id.as_deref().is_some_and(|id| !id.is_empty());
        !looked_up || self.step(Step::Find, None)
    }

    fn step(&mut self, step: Step, comment: Option<&Comment>) -> bool {
        let id = self.report.external_id.clone();
        let etag = self.etag.clone();
        let writes =
            matches!(step, Step::Create | Step::Comment) && self.prepared.config.idempotency.is_some();
        let key = writes.then(|| new_key(self.clock.now().wall, &mut fastrand::Rng::new()));
        let about = Subject {
            comment,
            idempotency_key: key.as_deref(),
            if_match: etag.as_deref().filter(|_| step == Step::Update),
            ..subject(self.case, id.as_deref())
        };
        let request = match step::render(step, self.prepared, &about) {
            Ok(request) => request,
            Err(error) => {
                self.report.steps.push(TestStep {
                    step,
                    request: None,
                    answer: None,
                    ok: false,
                    verdict: format!("{}: {}", error.field, error.message),
                    suggestion: None,
                    duration_ms: 0,
                });
                return false;
            }
        };
        let started = self.clock.now();
        let result = self.transport.send(&request);
        let ended = self.clock.now();
        let read = reading::read(step, self.prepared, &about, self.by_link, &result, ended.wall);
        let (code, verdict) = match &read {
            Ok(Success::Found(found)) => self.compared(found),
            Ok(success) => ("", told(success)),
            Err(verdict) => (
                verdict.code.as_str(),
                format!("{} ({})", verdict.message, verdict.class),
            ),
        };
        let ok = code.is_empty();
        let request = shown(step, &request, self.prepared);
        let answer = result.as_ref().ok();
        let answer = answer.map(|answer| shown_answer(answer, self.prepared));
        let config = &self.prepared.config;
        let suggestion = advice::suggest(&Exchange {
            step,
            request: &request,
            answer: answer.as_ref(),
            ok,
            code,
            verdict: &verdict,
            status: match (&answer, &read) {
                (Some(answer), _) => Some(answer.status),
                (None, Err(verdict)) => verdict.http_status,
                (None, Ok(_)) => None,
            },
            path: match step {
                Step::Create => Some(config.create_id.text()),
                Step::Get => config.get_title.as_ref().map(ResponsePath::text),
                Step::Find => config.find_ids.as_ref().map(ResponsePath::text),
                _ => None,
            },
            tells_failures: config.failure_key.is_some(),
        });
        self.report.steps.push(TestStep {
            step,
            request: Some(request),
            answer,
            ok,
            verdict,
            suggestion,
            duration_ms: u64::try_from((ended.steady.saturating_sub(started.steady)).as_millis())
                .unwrap_or(u64::MAX),
        });
        if let Ok(success) = read {
            self.take(success);
        }
        ok
    }

    /// What is found for a case that was just created: a word for what is wrong, empty where nothing is, and the verdict.
    fn compared(&self, found: &Found) -> (&'static str, String) {
        let created = self.report.external_id.as_deref().unwrap_or_default();
        match found {
            Found::One(id) if id == created => ("", "found again by its look-up".to_owned()),
            Found::One(id) => (
                "otherFound",
                format!("the look-up finds {id}, and the incident that was created is {created}"),
            ),
            Found::Several(count) => (
                "severalFound",
                format!("the look-up finds {count} incidents: a case whose answer was lost would be held"),
            ),
            Found::None => (
                "",
                format!(
                    "nothing is found yet, which may be right: indexes lag, and after a lost answer finding nothing counts only \
                     {} s later (findSettleMs)",
                    self.prepared.config.find_settle.as_secs_f64()
                ),
            ),
        }
    }

    fn take(&mut self, success: Success) {
        let config = &self.prepared.config;
        match success {
            Success::Created {
                external_id,
                view_url,
            } => {
                self.report.external_url = view_url.or_else(|| {
                    let made = step::get::view_url(config, &subject(self.case, Some(&external_id)));
                    made.ok().filter(|_| config.get.is_none())
                });
                self.report.external_id = Some(external_id);
            }
            Success::Got {
                title,
                url,
                told,
                etag,
            } => {
                self.report.external_title = title;
                let known = self.report.external_url.take();
                self.report.external_url = known.filter(|_| !told).or(Some(url));
                self.etag = etag;
            }
            _ => {}
        }
    }
}

fn told(success: &Success) -> String {
    match success {
        Success::Created { external_id, .. } => format!("created; its id is {external_id}"),
        Success::Updated => "updated".to_owned(),
        Success::Got { title, url, .. } => {
            format!(
                "read back; its title is {:?}, its link {url}",
                title.as_deref().unwrap_or_default()
            )
        }
        Success::Commented => "comment added".to_owned(),
        Success::Found(_) => "looked up".to_owned(),
    }
}

fn shown_answer(answer: &transport::Answer, prepared: &Prepared) -> Answer {
    let masks = &prepared.masks.echoed;
    let header = |(name, value): &(String, String)| Header {
        name: name.clone(),
        value: match name.as_str() {
            "set-cookie" => "***".to_owned(),
            _ => step::mask(&step::mask(value, &answer.tokens), masks),
        },
    };
    let body = String::from_utf8_lossy(beginning(&answer.body));
    Answer {
        status: answer.status,
        headers: answer.headers.iter().map(header).collect(),
        body: step::mask_cut(&step::mask_cut(&body, &answer.tokens), masks),
    }
}

/// What a report quotes of a body, not cut within a character.
fn beginning(body: &[u8]) -> &[u8] {
    let Some(cut) = body.get(..QUOTED_BYTES) else {
        return body;
    };
    match std::str::from_utf8(cut) {
        Err(error) if error.error_len().is_none() => &cut[..error.valid_up_to()],
        _ => cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_not_cut_within_a_character() {
        let body = format!("{}\u{e9}", "x".repeat(QUOTED_BYTES - 1));
        assert_eq!(beginning(body.as_bytes()).len(), QUOTED_BYTES - 1);
        let body = format!("{}\u{e9}x", "x".repeat(QUOTED_BYTES - 2));
        assert_eq!(beginning(body.as_bytes()).len(), QUOTED_BYTES);
        assert_eq!(beginning(b"short \xc3").len(), 7);
    }
}
