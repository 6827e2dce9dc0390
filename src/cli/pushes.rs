//! The verbs about pushes that do not wait for delivery: push, status, list, retry, cancel, adopt, discard.

use serde::Serialize;
use serde_json::json;

use super::Session;
use super::args::CaseArgs;
use super::connectors::unknown;
use super::failure::{self, Failure};
use super::out::count;
use super::{input, show};
use crate::{Agent, Attempt, Error, ErrorKind, Filter, PushId, PushState, PushStatus};

/// How many failed pushes `retry --failed` reads at a time.
const PAGE: usize = 500;

/// Stores the cases given, all of them or none.
pub(super) fn push(session: &mut Session<'_>, name: &str, case: &CaseArgs) -> Result<i32, Failure> {
    let Some(cases) = input::cases(case)? else {
        return Err(Failure::usage(
            "nothing to push; give a FILE, - for standard input, or --title",
        ));
    };
    session.reading(|s, agent| {
        let ids = match cases.as_slice() {
            [case] => agent.push(name, case).map(|id| vec![id]),
            cases => agent.push_many(name, cases),
        }
        .map_err(|error| unknown(s, agent, name, error))?;
        match (ids.first(), ids.last()) {
            (Some(first), Some(last)) if ids.len() > 1 => {
                let pushes = count(ids.len() as u64, "push", "pushes");
                s.out
                    .text(&format!("Stored {pushes} for \"{name}\": {first} to {last}."));
            }
            _ => {
                for id in &ids {
                    s.out.text(&format!("Stored push {id} for \"{name}\"."));
                }
            }
        }
        for id in &ids {
            s.out.json(&json!({"id": id}));
        }
        match agent.stats() {
            Ok(stats) if stats.drained_by.is_none() => {
                let drain = s.command("drain");
                s.out.text(&format!("Deliver with {drain}."));
            }
            Ok(_) => {}
            // Stored all the same, which is what counts.
            Err(error) if error.is_retryable() => {
                s.out
                    .text(&format!("Forwarded by whoever next has the spool open: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(failure::OK)
    })
}

/// Shows one push and its attempts log.
pub(super) fn status(session: &mut Session<'_>, agent: &Agent, id: PushId) -> Result<i32, Failure> {
    let status = agent.status(id).map_err(|error| missing(session, id, error))?;
    let attempts = agent.attempts(id)?;
    report(session, &status, &attempts);
    Ok(failure::OK)
}

/// Shows one push and its attempts log.
pub(super) fn report(session: &mut Session<'_>, status: &PushStatus, attempts: &[Attempt]) {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Document<'a> {
        #[serde(flatten)]
        status: &'a PushStatus,
        attempts_log: &'a [Attempt],
    }
    session.out.text(&format!("Push {}", status.id));
    let paint = session.out.paint();
    session
        .out
        .people(&format!("  state      {}", show::painted_state(status, paint)));
    let text = show::push(session, status);
    session.out.text(&text);
    if !attempts.is_empty() {
        session.out.text(&format!(
            "{}:",
            count(attempts.len() as u64, "exchange", "exchanges")
        ));
        session.out.people(&show::attempts(attempts, paint));
    }
    session.out.json(&Document {
        status,
        attempts_log: attempts,
    });
}

/// Lists pushes, newest first.
pub(super) fn list(
    session: &mut Session<'_>,
    agent: &Agent,
    state: Option<PushState>,
    connector: Option<&str>,
    case_id: Option<&str>,
    limit: usize,
) -> Result<i32, Failure> {
    let mut filter = Filter::new().limit(limit);
    filter.state = state;
    filter.connector = connector.map(str::to_owned);
    filter.case_id = case_id.map(str::to_owned);
    if let Some(name) = connector {
        // A misspelt name would otherwise look like an empty outbox.
        agent
            .connector(name)
            .map_err(|error| unknown(session, agent, name, error))?;
    }
    let pushes = agent.pushes(&filter)?;
    for status in &pushes {
        session.out.json(status);
    }
    if pushes.is_empty() {
        let narrowed = state.is_some() || connector.is_some() || case_id.is_some();
        session.out.text(if narrowed {
            "No such pushes."
        } else {
            "No pushes yet."
        });
        return Ok(failure::OK);
    }
    session.out.table(&show::table(&pushes));
    if pushes.len() == limit && !session.out.is_json() {
        session
            .out
            .note(&format!("The newest {limit}; --limit N shows more."));
    }
    Ok(failure::OK)
}

/// Has one push tried again.
pub(super) fn retry(session: &mut Session<'_>, agent: &Agent, id: PushId) -> Result<i32, Failure> {
    agent.retry(id).map_err(|error| missing(session, id, error))?;
    done(session, agent, id, "will be tried again")
}

/// Has all failed pushes tried again, oldest first.
pub(super) fn retry_failed(
    session: &mut Session<'_>,
    agent: &Agent,
    connector: Option<&str>,
) -> Result<i32, Failure> {
    let mut filter = Filter::new().state(PushState::Failed).limit(PAGE);
    if let Some(name) = connector {
        agent
            .connector(name)
            .map_err(|error| unknown(session, agent, name, error))?;
        filter = filter.connector(name);
    }
    let mut failed = Vec::new();
    loop {
        let page = agent.pushes(&filter)?;
        let Some(last) = page.last() else {
            break;
        };
        filter = filter.before(last.id);
        failed.extend(page.iter().map(|status| status.id));
    }
    let mut retried = Vec::new();
    for id in failed.into_iter().rev() {
        match agent.retry(id) {
            Ok(()) => retried.push(id),
            // Somebody else decided about it meanwhile.
            Err(error) if matches!(error.kind(), ErrorKind::State | ErrorKind::NotFound) => {
                session.out.note(&format!("push {id} is left as it is: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    session.out.text(&match retried.len() {
        0 => "No failed pushes.".to_owned(),
        number => format!(
            "{} will be tried again.",
            count(number as u64, "failed push", "failed pushes")
        ),
    });
    session.out.json(&json!({"retried": retried}));
    Ok(failure::OK)
}

/// Gives up one push.
pub(super) fn cancel(session: &mut Session<'_>, agent: &Agent, id: PushId) -> Result<i32, Failure> {
    agent.cancel(id).map_err(|error| missing(session, id, error))?;
    done(session, agent, id, "is cancelled")
}

/// Tells a held push which incident is its own.
pub(super) fn adopt(
    session: &mut Session<'_>,
    agent: &Agent,
    id: PushId,
    external_id: &str,
) -> Result<i32, Failure> {
    agent
        .adopt(id, external_id)
        .map_err(|error| missing(session, id, error))?;
    done(
        session,
        agent,
        id,
        &format!("goes on with incident {external_id}"),
    )
}

/// Removes a failed push.
pub(super) fn discard(session: &mut Session<'_>, agent: &Agent, id: PushId) -> Result<i32, Failure> {
    agent.discard(id).map_err(|error| missing(session, id, error))?;
    session.out.text(&format!("Push {id} is removed."));
    session.out.json(&json!({"discarded": id}));
    Ok(failure::OK)
}

/// The failure of a call that named a push, with where to find the numbers when there is none of that number.
pub(super) fn missing(session: &Session<'_>, id: PushId, error: Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => Failure::new(
            ErrorKind::NotFound,
            format!("there is no push {id}; {} shows them", session.command("list")),
        ),
        ErrorKind::State => {
            let status = session.command(&format!("status {id}"));
            Failure::from(error).hint(&format!("{status} shows where it stands"))
        }
        _ => error.into(),
    }
}

fn done(session: &mut Session<'_>, agent: &Agent, id: PushId, what: &str) -> Result<i32, Failure> {
    session.out.text(&format!("Push {id} {what}."));
    if session.out.is_json() {
        session.out.json(&agent.status(id)?);
    }
    Ok(failure::OK)
}
