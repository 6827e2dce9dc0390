//! The verbs that show a connector at work outside the outbox: preview sends nothing, test really writes.

use std::time::SystemTime;

use serde_json::json;

use super::Session;
use super::args::CaseArgs;
use super::connectors::unknown;
use super::failure::{self, Failure};
use super::input;
use super::out::{count, cut, escape, wrap, wrap_from};
use crate::{Answer, Case, Request, TestReport, TestStep};

/// How many characters of a body a test report shows; `-v` shows all.
const EXCERPT: usize = 600;

/// Shows each request of the cases given as it would be sent.
pub(super) fn preview(session: &mut Session<'_>, name: &str, case: &CaseArgs) -> Result<i32, Failure> {
    let Some(cases) = input::cases(case)? else {
        return Err(Failure::usage(
            "nothing to preview; give a FILE, - for standard input, or --title",
        ));
    };
    session.reading(|s, agent| {
        for case in &cases {
            let requests = agent
                .preview(name, case)
                .map_err(|error| unknown(s, agent, name, error))?;
            s.out.text(&format!(
                "# {} for \"{}\"; nothing is sent now",
                count(requests.len() as u64, "request", "requests"),
                case.title
            ));
            for request in &requests {
                s.out.text(&format!("\n# {}", request.step));
                s.out.text(&as_sent(request, usize::MAX));
            }
            s.out.json(&requests);
        }
        Ok(failure::OK)
    })
}

/// Runs one case through the target and reports each step.
pub(super) fn test(session: &mut Session<'_>, name: &str, case: &CaseArgs) -> Result<i32, Failure> {
    let (case, what) = match input::cases(case)? {
        None => (sample()?, "a sample case"),
        Some(cases) => match <[Case; 1]>::try_from(cases) {
            Ok([case]) => (case, "the case given"),
            Err(cases) => {
                return Err(Failure::usage(format!(
                    "a test takes one case, not {}",
                    cases.len()
                )));
            }
        },
    };
    session.reading(|s, agent| {
        let about = agent.connector(name);
        about.map_err(|error| unknown(s, agent, name, error))?;
        s.out.text(&wrap(
            &format!(
                "Testing connector \"{}\" with {what}. This really writes to the target.",
                escape(name)
            ),
            0,
        ));
        let report = agent
            .test(name, &case)
            .map_err(|error| unknown(s, agent, name, error))?;
        Ok(tell(s, &report))
    })
}

/// Reads one incident back and reports how that went.
pub(super) fn look(session: &mut Session<'_>, name: &str, id: &str) -> Result<i32, Failure> {
    session.reading(|s, agent| {
        let about = agent.connector(name);
        about.map_err(|error| unknown(s, agent, name, error))?;
        s.out.text(&wrap(
            &format!(
                "Reading incident {} back with connector \"{}\". Nothing is written.",
                escape(id),
                escape(name)
            ),
            0,
        ));
        Ok(tell(s, &agent.test_get(name, id)?))
    })
}

/// Each step, then the conclusion.
fn tell(session: &mut Session<'_>, report: &TestReport) -> i32 {
    let everything = session.global.verbose > 0;
    for (place, step) in report.steps.iter().enumerate() {
        let lines = step_lines(place + 1, step, everything);
        session.out.text(&format!("\n{lines}"));
    }
    session.out.text(&format!("\n{}", conclusion(report)));
    session.out.json(report);
    if report.ok { failure::OK } else { failure::FAILED }
}

/// The case of a test that names none. Its id is new each time: it is looked up by it, and no other case is.
fn sample() -> Result<Case, Failure> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let document = json!({
        "incident": {
            "id": format!("casehook-test-{}", since.unwrap_or_default().as_millis()),
            "title": "casehook test, please ignore",
            "description": "Written by `casehook test` to see whether this connector works. It can be deleted.",
            "severity": "low",
            "status": "open",
            "tags": ["casehook-test"],
        },
        "comments": [{"commentId": "casehook-test-1", "comment": "A comment written by `casehook test`."}],
    });
    Ok(Case::from_json(&document.to_string())?)
}

fn step_lines(number: usize, step: &TestStep, everything: bool) -> String {
    let verdict = if step.ok { "ok" } else { "FAILED" };
    let mut lines = vec![format!(
        "{number}. {}: {verdict} ({} ms)",
        step.step, step.duration_ms
    )];
    let limit = if everything { usize::MAX } else { EXCERPT };
    let mut quote = |mark: &str, text: &str| {
        for line in text.split('\n') {
            lines.push(format!("   {mark} {line}").trim_end().to_owned());
        }
    };
    match &step.request {
        Some(request) if everything || !step.ok => quote(">", &as_sent(request, limit)),
        Some(request) => quote(">", &format!("{} {}", request.method, request.url)),
        None => {}
    }
    match &step.answer {
        Some(answer) if everything || !step.ok => quote("<", &as_received(answer, limit)),
        Some(answer) => quote("<", &answer.status.to_string()),
        None => quote("<", "no answer"),
    }
    lines.push(format!("   {}", wrap_from(&escape(&step.verdict), 3, 3)));
    if let Some(suggestion) = &step.suggestion {
        let text = format!("What to do: {}", escape(suggestion));
        lines.push(format!("   {}", wrap_from(&text, 3, 3)));
    }
    lines.join("\n")
}

fn conclusion(report: &TestReport) -> String {
    let opened = match (&report.external_id, &report.external_url) {
        (Some(id), Some(url)) => format!(" The incident is {id}: {url}"),
        (Some(id), None) => format!(" The incident is {id}."),
        _ => String::new(),
    };
    let title = match &report.external_title {
        Some(title) => format!(" Its title there: {title}"),
        None => String::new(),
    };
    let steps = count(report.steps.len() as u64, "step", "steps");
    let verdict = if report.ok {
        format!("The connector works: {steps}, all ok.")
    } else {
        let failed = report.steps.iter().filter(|step| !step.ok).count();
        format!("The connector does not work yet: {failed} of {steps} failed.")
    };
    wrap(&escape(&format!("{verdict}{opened}{title}")), 0)
}

/// Request line, headers, body, as they would be on the wire.
fn as_sent(request: &Request, limit: usize) -> String {
    let mut text = format!("{} {}", request.method, request.url);
    for header in &request.headers {
        text.push_str(&format!("\n{}: {}", header.name, header.value));
    }
    if let Some(body) = &request.body {
        text.push_str(&format!("\n\n{}", cut(body, limit)));
    }
    text
}

fn as_received(answer: &Answer, limit: usize) -> String {
    let mut text = answer.status.to_string();
    for header in &answer.headers {
        text.push_str(&format!("\n{}: {}", header.name, header.value));
    }
    if !answer.body.is_empty() {
        text.push_str(&format!("\n\n{}", cut(&answer.body, limit)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Header, Step};

    fn step(ok: bool) -> TestStep {
        let headers = vec![Header {
            name: "Content-Type".to_owned(),
            value: "application/json".to_owned(),
        }];
        TestStep {
            step: Step::Create,
            request: Some(Request {
                step: Step::Create,
                method: "POST".to_owned(),
                url: "http://h/issues".to_owned(),
                headers: headers.clone(),
                body: Some("{\"a\": 1}".to_owned()),
            }),
            answer: Some(Answer {
                status: 422,
                headers,
                body: "x".repeat(2 * EXCERPT),
            }),
            ok,
            verdict: "the target refused it".to_owned(),
            suggestion: (!ok).then(|| "mend it".to_owned()),
            duration_ms: 3,
        }
    }

    #[test]
    fn a_failed_step_shows_both_sides_cut() {
        let text = step_lines(1, &step(false), false);
        assert!(text.starts_with("1. create: FAILED (3 ms)\n   > POST http://h/issues\n   > Content-Type: "));
        assert!(text.contains("   > {\"a\": 1}\n   < 422\n"));
        assert!(text.contains("x…") && text.ends_with("\n   the target refused it\n   What to do: mend it"));
    }

    #[test]
    fn a_step_that_went_well_is_short_unless_asked() {
        assert_eq!(step_lines(2, &step(true), false).lines().count(), 4);
        assert!(step_lines(2, &step(true), true).contains(&"x".repeat(2 * EXCERPT)));
    }

    #[test]
    fn the_conclusion_counts() {
        let mut report = TestReport {
            ok: true,
            steps: vec![step(true)],
            external_id: Some("7".to_owned()),
            ..TestReport::default()
        };
        assert_eq!(
            conclusion(&report),
            "The connector works: 1 step, all ok. The incident is 7."
        );
        report.ok = false;
        report.steps.push(step(false));
        assert!(conclusion(&report).starts_with("The connector does not work yet: 1 of 2 steps failed."));
    }
}
