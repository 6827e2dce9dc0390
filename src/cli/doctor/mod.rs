//! `doctor`: looks for what keeps casehook from working, and says what to do about it.

mod files;
mod outbox;

use serde::Serialize;

use super::connectors::now;
use super::failure::{self, Failure};
use super::out::{count, escape, wrap_from};
use super::terminal::Tone;
use super::{Session, database, is_url};
use crate::Agent;

/// How a check ended; the worst one decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// Works, and may not for long.
    Warning,
    /// Somebody has to act.
    Problem,
}

/// What one check found.
#[derive(Debug, Serialize)]
struct Finding {
    /// What was looked at: `database`, `key`, `disk`, `clock`, `settings`, `drainer`, `connector`, `target`.
    check: &'static str,
    verdict: Verdict,
    /// The connector that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    connector: Option<String>,
    /// What was found.
    text: String,
    /// What to do; none where nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, text: impl Into<String>) -> Finding {
        Finding {
            check,
            verdict: Verdict::Ok,
            connector: None,
            text: text.into(),
            advice: None,
        }
    }

    fn warning(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding {
            verdict: Verdict::Warning,
            advice: Some(advice.into()),
            ..Finding::ok(check, text)
        }
    }

    fn problem(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding {
            verdict: Verdict::Problem,
            ..Finding::warning(check, text, advice)
        }
    }

    fn about(mut self, connector: &str) -> Finding {
        self.connector = Some(connector.to_owned());
        self
    }
}

/// Runs every check and shows what it found. `offline`: asks no target.
pub(super) fn doctor(session: &mut Session<'_>, offline: bool) -> Result<i32, Failure> {
    let path = session.database()?.to_owned();
    let on_server = is_url(&path);
    let mut findings = match on_server {
        true => vec![files::clock(now())],
        false => files::look(session, &path),
    };
    let options = session.options();
    match (&options, &session.global.settings) {
        (Err(failure), _) => findings.push(Finding::problem(
            "settings",
            failure.text(),
            "mend the file or the options; every command with them is refused",
        )),
        (Ok(_), Some(file)) => findings.push(Finding::ok("settings", format!("{} is sound", file.display()))),
        (Ok(_), None) => findings.push(Finding::ok("settings", "none given: every host is allowed")),
    }
    // Opening creates what is not there; a doctor leaves things as they are. On a server that is for whoever runs it to say.
    let mut code = None;
    let is_there = on_server || path.exists();
    if let (true, Ok(options)) = (is_there, options) {
        match Agent::open(&path, options.drain(false)) {
            Ok(agent) => {
                if on_server {
                    let text = format!("{} answers", database::shown(&path));
                    findings.push(Finding::ok("database", text));
                }
                findings.extend(outbox::look(session, &agent, offline)?);
                agent.close(super::CLOSE)?;
            }
            Err(error) => {
                let failure = Failure::from(error);
                code = Some(failure.exit_code());
                let advice = "mend that first; nothing else can be looked at before";
                findings.push(Finding::problem("database", failure.text(), advice));
            }
        }
    } else if !is_there {
        code = Some(failure::STORE);
    }
    let worst = findings.iter().map(|finding| finding.verdict).max();
    show(session, &findings);
    Ok(code.unwrap_or(match worst {
        Some(Verdict::Problem) => failure::FAILED,
        _ => failure::OK,
    }))
}

fn show(session: &mut Session<'_>, findings: &[Finding]) {
    const INDENT: usize = 11;
    let paint = session.out.paint();
    for finding in findings {
        let (word, tone) = match finding.verdict {
            Verdict::Ok => ("ok", Tone::Good),
            Verdict::Warning => ("warning", Tone::Busy),
            Verdict::Problem => ("PROBLEM", Tone::Bad),
        };
        let about = finding
            .connector
            .as_ref()
            .map_or_else(String::new, |name| format!(" {name}"));
        let text = format!("{}{about}: {}", finding.check, finding.text);
        let gap = " ".repeat(INDENT - 2 - word.len());
        let text = wrap_from(&escape(&text), INDENT, INDENT);
        session
            .out
            .people(&format!("  {}{gap}{text}", paint.apply(tone, word)));
        if let Some(advice) = &finding.advice {
            let margin = " ".repeat(INDENT);
            let advice = wrap_from(&escape(advice), INDENT + 3, INDENT + 3);
            session.out.people(&format!("{margin}-> {advice}"));
        }
    }
    let of = |verdict: Verdict| {
        findings
            .iter()
            .filter(|finding| finding.verdict == verdict)
            .count() as u64
    };
    session.out.text(&format!(
        "{}, {}.",
        count(of(Verdict::Problem), "problem", "problems"),
        count(of(Verdict::Warning), "warning", "warnings")
    ));
    session.out.json(&serde_json::json!({
        "findings": findings,
        "problems": of(Verdict::Problem),
        "warnings": of(Verdict::Warning),
    }));
}
