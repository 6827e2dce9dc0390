//! A push for people: where it stands, why, what to do, and each exchange so far.

use super::Session;
use super::connectors::{now, until};
use super::out::{COLUMNS, Table, escape, field, wrap, wrap_from};
use super::terminal::{Paint, Tone, tone_of};
use crate::{Attempt, FailureClass, PushId, PushState, PushStatus, Timestamp};

/// Everything known of one push but its state, as lines.
pub(super) fn push(session: &Session<'_>, status: &PushStatus) -> String {
    let now = now();
    let mut lines = Vec::new();
    let mut add = |label: &str, text: &str| lines.push(field(label, text));
    add("connector", &status.connector);
    if let Some(case_id) = &status.case_id {
        add("case", case_id);
    }
    if let Some(id) = &status.external_id {
        let title = status.external_title.as_deref().unwrap_or_default();
        add("incident", format!("{id}  {title}").trim_end());
    }
    if let Some(url) = &status.external_url {
        add("link", url);
    }
    if let Some(error) = &status.error {
        let code = error
            .http_status
            .map_or_else(String::new, |code| format!(" (HTTP {code})"));
        add(
            "problem",
            &format!("{} step{code}: {}", error.step, error.message),
        );
    }
    if let Some(next) = status.next_attempt_at.filter(|_| !status.state.is_final()) {
        add("next try", &until(next, now));
    }
    if status.uncertain {
        add(
            "note",
            "a request was sent again without knowing whether the first had an effect: look for a duplicate",
        );
    }
    if !status.comments.is_empty() {
        add("comments", &comments(status));
    }
    add("accepted", &status.created_at.to_string());
    add("changed", &status.updated_at.to_string());
    if let Some(advice) = advice(session, status) {
        add("what to do", &advice);
    }
    lines.join("\n")
}

/// Its state, coloured.
pub(super) fn painted_state(status: &PushStatus, paint: Paint) -> String {
    paint.apply(tone_of(status.state), &escape(&state(status)))
}

/// The exchanges of a push, oldest first: under each that failed why, and at the end what the classes mean.
pub(super) fn attempts(attempts: &[Attempt], paint: Paint) -> String {
    const MARGIN: &str = "  ";
    let mut table = Table::new(&["AT", "STEP", "REQUEST", "ANSWER", "TOOK", "RESULT"]);
    for attempt in attempts {
        let request = match (&attempt.method, &attempt.url) {
            (Some(method), Some(url)) => format!("{method} {}", path(url)),
            _ => "none".to_owned(),
        };
        table.row(vec![
            to_the_second(attempt.at),
            attempt.step.to_string(),
            request,
            attempt
                .http_status
                .map_or_else(|| "none".to_owned(), |status| status.to_string()),
            format!("{} ms", attempt.duration_ms),
            attempt
                .class
                .map_or_else(|| "ok".to_owned(), |class| class.to_string()),
        ]);
        table.tone(
            5,
            if attempt.class.is_none() {
                Tone::Good
            } else {
                Tone::Bad
            },
        );
    }
    let mut rows = table.drawn(COLUMNS - MARGIN.len(), paint).into_iter();
    let mut lines: Vec<String> = rows
        .next()
        .into_iter()
        .map(|head| format!("{MARGIN}{head}"))
        .collect();
    for (row, attempt) in rows.zip(attempts) {
        lines.push(format!("{MARGIN}{row}"));
        if !attempt.message.is_empty() {
            let indent = 2 * MARGIN.len();
            let text = wrap_from(&escape(&attempt.message), indent, indent);
            lines.push(format!("{MARGIN}{MARGIN}{text}"));
        }
    }
    for class in FailureClass::ALL {
        if attempts.iter().any(|attempt| attempt.class == Some(*class)) {
            lines.push(format!(
                "{MARGIN}{}",
                wrap(&format!("{class}: {}.", meaning(*class)), 2 * MARGIN.len())
            ));
        }
    }
    lines.join("\n")
}

/// What casehook does about a failure of that class.
fn meaning(class: FailureClass) -> &'static str {
    match class {
        FailureClass::NotSent => {
            "nothing reached the target; tried again until it answers, and not counted as an attempt"
        }
        FailureClass::Throttled => {
            "the target asks for patience; the whole connector pauses, and no attempt is counted"
        }
        FailureClass::Auth => {
            "the target refuses the credentials; the connector is blocked until they are mended and its pushes stay \
             queued"
        }
        FailureClass::Transient => "worth trying again, with growing pauses; counted as an attempt",
        FailureClass::Uncertain => {
            "the target may have acted on it and did not say; what is sent again is marked uncertain"
        }
        FailureClass::UncertainAnswered => {
            "the target acted on it, but its answer cannot be used; never sent again blindly"
        }
        FailureClass::Precondition => "the incident changed meanwhile; it is read and updated again",
        FailureClass::Gone => "the incident is no longer there; onExternalGone says what then",
        FailureClass::Permanent => "trying again would end the same way, so casehook does not",
    }
}

/// A moment without its milliseconds: how long things took has a column of its own.
fn to_the_second(at: Timestamp) -> String {
    let text = at.to_string();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

/// A line for each push.
pub(super) fn table(pushes: &[PushStatus]) -> Table {
    let mut table = Table::new(&["ID", "STATE", "CONNECTOR", "CASE", "INCIDENT", "DETAIL"]);
    for status in pushes {
        table.row(vec![
            status.id.to_string(),
            status.state.to_string(),
            status.connector.clone(),
            status.case_id.clone().unwrap_or_default(),
            status.external_id.clone().unwrap_or_default(),
            detail(status),
        ]);
        table.tone(1, tone_of(status.state));
    }
    table
}

/// One line on a push: `push 7 is waiting: connection refused`.
pub(super) fn sentence(status: &PushStatus) -> String {
    let problem = match &status.error {
        Some(error) => format!(": {}", error.message),
        None => String::new(),
    };
    format!("push {} is {}{problem}", status.id, state(status))
}

fn state(status: &PushStatus) -> String {
    let doubt = if status.uncertain { " (uncertain)" } else { "" };
    match status.superseded_by {
        Some(by) => format!("{} by push {by}", status.state),
        None => format!("{}{doubt}", status.state),
    }
}

/// What a line has room for: `status` shows the rest.
fn detail(status: &PushStatus) -> String {
    match (status.superseded_by, &status.error) {
        (Some(by), _) => format!("by push {by}"),
        (None, Some(error)) => error.message.clone(),
        (None, None) => {
            let title = status.external_title.as_ref().or(status.external_url.as_ref());
            title.cloned().unwrap_or_default()
        }
    }
}

fn comments(status: &PushStatus) -> String {
    let texts: Vec<String> = status
        .comments
        .iter()
        .map(|comment| {
            let id = match comment.comment_id.as_str() {
                "" => "(no id)".to_owned(),
                id => escape(id),
            };
            format!("{id} {}", comment.state)
        })
        .collect();
    texts.join(", ")
}

fn advice(session: &Session<'_>, status: &PushStatus) -> Option<String> {
    let command = |verb: &str, id: PushId, rest: &str| session.command(&format!("{verb} {id}{rest}"));
    match status.state {
        PushState::Held => Some(format!(
            "look for the incident in the case system. If it is there: {}; if it is not: {}; to give up: {}",
            command("adopt", status.id, " EXTERNAL-ID"),
            command("retry", status.id, ""),
            command("cancel", status.id, ""),
        )),
        PushState::Failed => Some(format!(
            "mend the cause, then {}; to forget it: {}",
            command("retry", status.id, ""),
            command("discard", status.id, ""),
        )),
        PushState::Superseded => status.superseded_by.map(|by| command("status", by, "")),
        _ => None,
    }
}

/// What follows the host in a URL.
fn path(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else {
        return url;
    };
    rest.find('/').map_or("/", |slash| &rest[slash..])
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::Cli;
    use super::super::out::{COLUMNS, Out};
    use super::super::{Session, StopFlag};
    use super::*;
    use crate::{CommentState, CommentStatus, FailureClass, PushError, Step};

    fn status(state: PushState) -> PushStatus {
        PushStatus {
            id: PushId::from(12),
            connector: "tracker".to_owned(),
            case_id: Some("host-7/disk".to_owned()),
            state,
            attempts: 3,
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(1),
            next_attempt_at: None,
            external_id: None,
            external_title: None,
            external_url: None,
            uncertain: false,
            superseded_by: None,
            error: None,
            comments: vec![CommentStatus {
                comment_id: "c\u{1b}1".to_owned(),
                state: CommentState::Pending,
            }],
        }
    }

    fn shown(status: &PushStatus) -> String {
        let cli = Cli::try_parse_from(["casehook", "--db", "my cases.db", "status", "12"]).unwrap();
        let stop = StopFlag::new();
        let session = Session {
            global: &cli.global,
            out: Out::new(false),
            stop: &stop,
        };
        let state = painted_state(status, Paint::none());
        let text = format!("  state      {state}\n{}", push(&session, status));
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        text
    }

    #[test]
    fn a_held_push_says_what_to_do_with_commands_that_run() {
        let mut held = status(PushState::Held);
        held.error = Some(PushError {
            code: "responseTimeout".to_owned(),
            kind: FailureClass::Uncertain,
            message: "no answer within 60 s; ".repeat(6),
            step: Step::Create,
            http_status: None,
            retryable: false,
        });
        let text = shown(&held);
        assert!(text.contains("  state      held\n") && text.contains("  problem    create step: no answer"));
        let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for command in ["adopt 12 EXTERNAL-ID", "retry 12", "cancel 12"] {
            assert!(
                joined.contains(&format!("`casehook --db 'my cases.db' {command}`")),
                "{text}"
            );
        }
    }

    #[test]
    fn a_delivered_push_shows_its_incident_and_needs_nothing() {
        let mut delivered = status(PushState::Delivered);
        delivered.external_id = Some("7".to_owned());
        delivered.external_title = Some("Disk\nfull".to_owned());
        delivered.external_url = Some("http://h/7".to_owned());
        let text = shown(&delivered);
        assert!(
            text.contains("  incident   7 Disk\\nfull\n  link       http://h/7\n"),
            "{text}"
        );
        assert!(
            !text.contains("what to do") && !text.contains("problem"),
            "{text}"
        );
    }

    #[test]
    fn a_superseded_push_points_to_its_successor() {
        let mut old = status(PushState::Superseded);
        old.superseded_by = Some(PushId::from(15));
        assert!(shown(&old).contains("superseded by push 15"));
        assert!(sentence(&old).starts_with("push 12 is superseded by push 15"));
        let lines = table(&[old]).lines(0);
        assert_eq!(lines.lines().count(), 2);
    }

    #[test]
    fn failed_attempts_say_why_and_what_that_means() {
        let mut attempt = Attempt {
            push: PushId::from(1),
            at: Timestamp::from_millis(0),
            duration_ms: 12,
            step: Step::Create,
            method: Some("POST".to_owned()),
            url: Some("http://host:1/issues".to_owned()),
            http_status: Some(500),
            class: Some(FailureClass::Uncertain),
            message: "the server said\n\u{1b}[2Jno ".repeat(20),
        };
        let failed = attempts(std::slice::from_ref(&attempt), Paint::none());
        assert!(
            failed.lines().all(|line| line.chars().count() <= COLUMNS),
            "{failed}"
        );
        assert!(!failed.contains('\u{1b}'));
        let lines: Vec<&str> = failed.lines().collect();
        assert!(
            lines[1].contains("POST /issues") && lines[1].ends_with("uncertain"),
            "{failed}"
        );
        assert!(lines[2].starts_with("    the server said\\n"), "{failed}");
        assert!(
            failed.contains("\n  uncertain: the target may have acted"),
            "{failed}"
        );
        attempt.class = None;
        attempt.message.clear();
        let fine = attempts(&[attempt], Paint::none());
        assert_eq!(fine.lines().count(), 2, "{fine}");
        assert!(fine.ends_with("ok"), "{fine}");
    }

    #[test]
    fn a_path_is_what_follows_the_host() {
        for (url, shown) in [
            ("http://h:1/a?b=c", "/a?b=c"),
            ("https://h", "/"),
            ("no url", "no url"),
        ] {
            assert_eq!(path(url), shown);
        }
    }
}
