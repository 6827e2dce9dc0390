//! The checks on an open outbox: who delivers, what waits, each connector and its target.

use super::Finding;
use crate::cli::Session;
use crate::cli::connectors::{now, until};
use crate::cli::failure::Failure;
use crate::cli::out::count;
use crate::cli::quote;
use crate::{Agent, Case, ConnectorHealth, ConnectorStats, ErrorKind, Filter, Stats};

/// A push that is newer than the clock by more than this was accepted under another clock.
const CLOCK_TOLERANCE_MILLIS: i64 = 60_000;

pub(super) fn look(session: &Session<'_>, agent: &Agent, offline: bool) -> Result<Vec<Finding>, Failure> {
    let stats = agent.stats()?;
    let mut findings = vec![drainer(session, &stats)];
    findings.extend(set_back(agent)?);
    if stats.connectors.is_empty() {
        let configure = session.command("configure NAME FILE");
        findings.push(Finding::warning(
            "connector",
            "there are none",
            format!("add one with {configure}"),
        ));
    }
    for own in &stats.connectors {
        findings.push(health(session, own));
        findings.extend(decisions(session, own));
        findings.extend(warnings(session, agent, &own.connector)?);
        findings.extend(target(session, agent, &own.connector, offline)?);
    }
    Ok(findings)
}

fn drainer(session: &Session<'_>, stats: &Stats) -> Finding {
    let open: u64 = stats
        .connectors
        .iter()
        .map(|own| own.queued + own.sending + own.waiting)
        .sum();
    let run = session.command("run");
    let advice = format!("start the program that embeds casehook, or {run}");
    match stats.drained_by {
        Some(pid) => Finding::ok("drainer", format!("process {pid} delivers")),
        None if open == 0 => Finding::ok("drainer", "no process delivers, and nothing is to be delivered"),
        None => {
            let pushes = count(open, "push waits", "pushes wait");
            Finding::problem("drainer", format!("no process delivers, and {pushes}"), advice)
        }
    }
}

fn set_back(agent: &Agent) -> Result<Option<Finding>, Failure> {
    let newest = agent.pushes(&Filter::new().limit(1))?;
    let ahead = newest
        .first()
        .map(|status| status.created_at.as_millis() - now().as_millis());
    Ok(ahead
        .filter(|ahead| *ahead > CLOCK_TOLERANCE_MILLIS)
        .map(|ahead| {
            Finding::warning(
                "clock",
                format!(
                    "the newest push was accepted {} s ahead of it: it was set back",
                    ahead / 1_000
                ),
                "see that it is right and kept right (NTP); retries are put right by casehook",
            )
        }))
}

fn health(session: &Session<'_>, own: &ConnectorStats) -> Finding {
    let name = quote(&own.connector);
    let open = own.queued + own.sending + own.waiting;
    let waiting = match open {
        0 => "nothing waits".to_owned(),
        open => count(open, "push waits", "pushes wait"),
    };
    let finding = match &own.health {
        ConnectorHealth::Ok => Finding::ok("connector", format!("in order, {waiting}")),
        ConnectorHealth::Paused => Finding::warning(
            "connector",
            format!("paused by hand, {waiting}"),
            format!("go on with {}", session.command(&format!("resume {name}"))),
        ),
        ConnectorHealth::Throttled { until: end } => Finding::warning(
            "connector",
            format!("its target asked for patience, {waiting}"),
            format!("nothing; the next request goes out {}", until(*end, now())),
        ),
        ConnectorHealth::Offline { reason, probe_at } => Finding::problem(
            "connector",
            format!("offline: {reason}; {waiting}"),
            format!(
                "see that the target can be reached from here; tried again {}",
                until(*probe_at, now())
            ),
        ),
        ConnectorHealth::Blocked { reason, probe_at } => {
            let configure = session.command(&format!("configure {name} FILE"));
            Finding::problem(
                "connector",
                format!("blocked: {reason}; {waiting}"),
                format!(
                    "mend the account, or give new secrets with {configure}, which tries at once; else tried \
                     again {}",
                    until(*probe_at, now())
                ),
            )
        }
    };
    finding.about(&own.connector)
}

/// Pushes that wait for somebody.
fn decisions(session: &Session<'_>, own: &ConnectorStats) -> Vec<Finding> {
    let name = quote(&own.connector);
    let list = |state: &str| session.command(&format!("list --state {state} --connector {name}"));
    let mut findings = Vec::new();
    if own.held > 0 {
        let text = format!(
            "{} held: a decision is needed",
            count(own.held, "push is", "pushes are")
        );
        let advice = format!("see {}, and `status` of each for what to do", list("held"));
        findings.push(Finding::problem("connector", text, advice).about(&own.connector));
    }
    if own.failed > 0 {
        let text = format!("{} given up", count(own.failed, "push was", "pushes were"));
        let retry = session.command(&format!("retry --failed --connector {name}"));
        let advice = format!("see {}; when the cause is mended: {retry}", list("failed"));
        findings.push(Finding::problem("connector", text, advice).about(&own.connector));
    }
    findings
}

/// What configure warned of.
fn warnings(session: &Session<'_>, agent: &Agent, name: &str) -> Result<Option<Finding>, Failure> {
    let number = agent.connector(name)?.warnings().len() as u64;
    let show = session.command(&format!("connector {}", quote(name)));
    Ok((number > 0).then(|| {
        let text = format!("{} when it was configured", count(number, "warning", "warnings"));
        Finding::warning("connector", text, format!("see {show}")).about(name)
    }))
}

/// Whether its secrets can be read, and whether its target answers.
fn target(session: &Session<'_>, agent: &Agent, name: &str, offline: bool) -> Result<Vec<Finding>, Failure> {
    let sample = Case::new("sample").id("sample");
    if let Err(error) = agent.preview(name, &sample)
        && error.kind() == ErrorKind::Key
    {
        let configure = session.command(&format!("configure {} FILE", quote(name)));
        return Ok(vec![
            Finding::problem(
                "key",
                error.message(),
                format!("put the right key back, or give the secrets anew with {configure}"),
            )
            .about(name),
        ]);
    }
    if offline {
        return Ok(Vec::new());
    }
    let reached = match agent.reach(name) {
        Ok(reached) => reached,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Config | ErrorKind::Key | ErrorKind::NotFound
            ) =>
        {
            let advice =
                "see that what the connector refers to is there and allowed (--allow-env, --allow-files)";
            return Ok(vec![
                Finding::problem("target", error.message(), advice).about(name),
            ]);
        }
        Err(error) => return Err(error.into()),
    };
    let findings = reached.into_iter().map(|reach| {
        let took = reach.duration_ms;
        let finding = match (reach.problem, reach.status) {
            (None, Some(status)) => Finding::ok(
                "target",
                format!("{} answers (HTTP {status}, {took} ms)", reach.origin),
            ),
            (problem, _) => Finding::problem(
                "target",
                format!(
                    "{} does not answer: {}",
                    reach.origin,
                    problem.unwrap_or_default()
                ),
                "see that it is up, that its name resolves and that no firewall or proxy stands between",
            ),
        };
        finding.about(name)
    });
    Ok(findings.collect())
}
