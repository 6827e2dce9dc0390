//! The verbs about connectors: configure, list, show, remove, pause, resume, count.

use std::path::Path;

use serde_json::{Value, json};

use super::Session;
use super::args::StatsFormat;
use super::failure::{self, Failure};
use super::out::{Table, count, field, wrap, wrap_from};
use super::terminal::tone_of_health;
use super::{duration, input};
use crate::{Agent, Connector, ConnectorHealth, ConnectorStats, Error, ErrorKind, Timestamp, Warning};

/// Stores a connector and says what may go wrong with it.
pub(super) fn configure(
    session: &mut Session<'_>,
    name: &str,
    file: &Path,
    secrets: Option<&Path>,
) -> Result<i32, Failure> {
    if file == Path::new("-") && secrets == Some(Path::new("-")) {
        return Err(Failure::usage(
            "the connector and its secrets cannot both come from standard input; put one of them into a file",
        ));
    }
    let document = input::text(file)?;
    let secrets = secrets.map(input::text).transpose()?;
    let connector = match &secrets {
        None => Connector::from_json(&document),
        Some(secrets) => Connector::from_parts(&document, Some(secrets)),
    }
    .map_err(|error| Failure::from(error).within(&input::name(file)))?;
    session.creating(|s, agent| {
        let warnings = agent.configure(name, &connector)?;
        s.out.text(&format!("Stored connector \"{name}\"."));
        s.out.text(&warning_lines(&warnings));
        let next = s.command(&format!("preview {} --title \"A trial\"", super::quote(name)));
        s.out.text(&format!("See what it would send: {next}"));
        s.out.json(&json!({"name": name, "warnings": warnings}));
        Ok(failure::OK)
    })
}

/// A line for each connector.
pub(super) fn list(session: &mut Session<'_>, agent: &Agent) -> Result<i32, Failure> {
    let connectors = agent.connectors()?;
    let stats = agent.stats()?;
    if connectors.is_empty() {
        let add = session.command("configure NAME FILE");
        session
            .out
            .text(&format!("No connectors yet. Add one with {add}."));
    }
    let mut table = Table::new(&["NAME", "HEALTH", "UNDELIVERED", "WARNINGS", "CREATES AT"]);
    for connector in &connectors {
        let name = connector.name().unwrap_or_default();
        let counts = stats.connectors.iter().find(|entry| entry.connector == name);
        let url = create_url(connector);
        session.out.json(&json!({
            "name": name,
            "health": counts.map(|counts| &counts.health),
            "undelivered": counts.map(undelivered),
            "warnings": connector.warnings(),
            "createIncidentUrl": url,
        }));
        table.row(vec![
            name.to_owned(),
            counts
                .map_or("?", |counts| health_word(&counts.health))
                .to_owned(),
            counts.map_or_else(String::new, |counts| undelivered(counts).to_string()),
            connector.warnings().len().to_string(),
            url,
        ]);
        if let Some(counts) = counts {
            table.tone(1, tone_of_health(&counts.health));
        }
    }
    if !connectors.is_empty() {
        session.out.table(&table);
    }
    Ok(failure::OK)
}

/// The document as stored, and the warnings kept with it.
pub(super) fn show(session: &mut Session<'_>, agent: &Agent, name: &str) -> Result<i32, Failure> {
    let connector = agent
        .connector(name)
        .map_err(|error| unknown(session, agent, name, error))?;
    let text = connector.config_json();
    let document: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    session
        .out
        .text(&serde_json::to_string_pretty(&document).unwrap_or_default());
    session.out.text(&warning_lines(connector.warnings()));
    session
        .out
        .json(&json!({"name": name, "config": document, "warnings": connector.warnings()}));
    Ok(failure::OK)
}

/// Forgets a connector, its undelivered pushes with it where that was asked for.
pub(super) fn remove(
    session: &mut Session<'_>,
    agent: &Agent,
    name: &str,
    cancel: bool,
) -> Result<i32, Failure> {
    let removed = if cancel {
        agent.remove_cancelling(name)
    } else {
        agent.remove(name)
    };
    removed.map_err(|error| {
        if error.kind() == ErrorKind::State && !cancel {
            let again = session.command(&format!("remove {} --cancel", super::quote(name)));
            return Failure::from(error).hint(&format!("{again} cancels them with it"));
        }
        unknown(session, agent, name, error)
    })?;
    session
        .out
        .text(&format!("Removed connector \"{name}\" and its secrets."));
    session.out.json(&json!({"removed": name}));
    Ok(failure::OK)
}

/// Keeps a connector's pushes from being sent.
pub(super) fn pause(session: &mut Session<'_>, agent: &Agent, name: &str) -> Result<i32, Failure> {
    agent
        .pause(name)
        .map_err(|error| unknown(session, agent, name, error))?;
    let resume = session.command(&format!("resume {}", super::quote(name)));
    session.out.text(&format!(
        "Paused connector \"{name}\"; its pushes are kept. Go on with {resume}."
    ));
    session.out.json(&json!({"paused": name}));
    Ok(failure::OK)
}

/// Lets a paused connector's pushes go out again.
pub(super) fn resume(session: &mut Session<'_>, agent: &Agent, name: &str) -> Result<i32, Failure> {
    agent
        .resume(name)
        .map_err(|error| unknown(session, agent, name, error))?;
    session.out.text(&format!("Resumed connector \"{name}\"."));
    session.out.json(&json!({"resumed": name}));
    Ok(failure::OK)
}

/// Counts by connector and state, and what is wrong with connectors that do not deliver.
pub(super) fn stats(session: &mut Session<'_>, agent: &Agent, format: StatsFormat) -> Result<i32, Failure> {
    if format == StatsFormat::Prometheus {
        session.out.text(agent.metrics_text()?.trim_end());
        return Ok(failure::OK);
    }
    let stats = agent.stats()?;
    let mut table = Table::new(&[
        "CONNECTOR",
        "HEALTH",
        "QUEUED",
        "SENDING",
        "WAITING",
        "HELD",
        "FAILED",
        "DELIVERED",
    ]);
    for counts in &stats.connectors {
        let numbers = [
            counts.queued,
            counts.sending,
            counts.waiting,
            counts.held,
            counts.failed,
            counts.delivered,
        ];
        let mut row = vec![counts.connector.clone(), health_word(&counts.health).to_owned()];
        row.extend(numbers.map(|number| number.to_string()));
        table.row(row);
        table.tone(1, tone_of_health(&counts.health));
    }
    if stats.connectors.is_empty() {
        session.out.text("No connectors yet.");
    } else {
        session.out.table(&table);
    }
    for counts in &stats.connectors {
        if let Some(trouble) = trouble(&counts.health, now()) {
            session.out.text(&field(&counts.connector, &trouble));
        }
    }
    match stats.drained_by {
        Some(pid) => session.out.text(&format!("Process {pid} delivers.")),
        None => {
            let run = session.command("run");
            session.out.text(&wrap(
                &format!("No process delivers at the moment; {run} does."),
                0,
            ));
        }
    }
    session.out.json(&stats);
    Ok(failure::OK)
}

/// The failure of a call that named a connector, with the names there are when it is not one of them.
pub(super) fn unknown(session: &Session<'_>, agent: &Agent, name: &str, error: Error) -> Failure {
    if error.kind() != ErrorKind::NotFound {
        return error.into();
    }
    let connectors = agent.connectors().unwrap_or_default();
    let names: Vec<&str> = connectors.iter().filter_map(Connector::name).collect();
    let known = if names.is_empty() {
        "there are none yet".to_owned()
    } else {
        format!("there are: {}", names.join(", "))
    };
    let add = session.command(&format!("configure {} FILE", super::quote(name)));
    Failure::new(
        ErrorKind::NotFound,
        format!("no connector named \"{name}\"; {known}. Add one with {add}"),
    )
}

/// What keeps a connector from delivering, in a sentence.
pub(super) fn trouble(health: &ConnectorHealth, now: Timestamp) -> Option<String> {
    match health {
        ConnectorHealth::Offline { reason, probe_at } => {
            Some(format!("offline: {reason}; next try {}", until(*probe_at, now)))
        }
        ConnectorHealth::Blocked { reason, probe_at } => {
            Some(format!("blocked: {reason}; next try {}", until(*probe_at, now)))
        }
        ConnectorHealth::Throttled { until: end } => Some(format!(
            "the target asked for patience; next try {}",
            until(*end, now)
        )),
        ConnectorHealth::Paused => Some("paused".to_owned()),
        ConnectorHealth::Ok => None,
    }
}

/// The present, for people.
pub(super) fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

/// `now`, or `in 5 min`.
pub(super) fn until(moment: Timestamp, now: Timestamp) -> String {
    let ahead = moment.as_millis().saturating_sub(now.as_millis());
    match u64::try_from(ahead) {
        Ok(0) | Err(_) => "now".to_owned(),
        Ok(millis) => format!("in {}", duration::show(std::time::Duration::from_millis(millis))),
    }
}

/// Pushes that still are to arrive, the given up ones included.
fn undelivered(counts: &ConnectorStats) -> u64 {
    counts.queued + counts.sending + counts.waiting + counts.held + counts.failed
}

pub(super) fn health_word(health: &ConnectorHealth) -> &'static str {
    match health {
        ConnectorHealth::Ok => "ok",
        ConnectorHealth::Offline { .. } => "offline",
        ConnectorHealth::Blocked { .. } => "blocked",
        ConnectorHealth::Throttled { .. } => "throttled",
        ConnectorHealth::Paused => "paused",
    }
}

fn create_url(connector: &Connector) -> String {
    let document: Value = serde_json::from_str(&connector.config_json()).unwrap_or_default();
    let config = document.get("config").unwrap_or(&document);
    let url = config.get("createIncidentUrl").and_then(Value::as_str);
    url.unwrap_or_default().to_owned()
}

fn warning_lines(warnings: &[Warning]) -> String {
    if warnings.is_empty() {
        return "No warnings.".to_owned();
    }
    let mut lines = vec![format!(
        "{}:",
        count(warnings.len() as u64, "warning", "warnings")
    )];
    for warning in warnings {
        let text = super::out::escape(&format!("- {}: {}", warning.field, warning.message));
        lines.push(format!("  {}", wrap_from(&text, 2, 4)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_says_what_and_when() {
        let now = Timestamp::from_millis(1_000);
        let offline = ConnectorHealth::Offline {
            reason: "connection refused".to_owned(),
            probe_at: Timestamp::from_millis(61_000),
        };
        assert_eq!(
            trouble(&offline, now).as_deref(),
            Some("offline: connection refused; next try in 60 s")
        );
        assert_eq!(until(Timestamp::from_millis(900), now), "now");
        assert_eq!(trouble(&ConnectorHealth::Ok, now), None);
    }
}
