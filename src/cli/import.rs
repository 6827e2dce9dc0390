//! The verb `import`: complete connectors are configured, the others written as documents to finish.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Session;
use super::failure::{self, Failure};
use super::input;
use super::out::{count, escape, wrap};
use crate::{Connector, ImportedConnector, Warning};

const ENDING: &str = ".connector.json";

/// What becomes of one connector.
enum Fate {
    Configure(Box<Connector>),
    Write(PathBuf),
    Keep,
}

/// Reads an export and takes over what is in it.
pub(super) fn import(
    session: &mut Session<'_>,
    file: &Path,
    folder: &Path,
    dry_run: bool,
    replace: bool,
) -> Result<i32, Failure> {
    let text = input::text(file)?;
    let import = crate::import(&text).map_err(|error| Failure::from(error).within(&input::name(file)))?;
    let mut fates = Vec::new();
    let mut names = BTreeSet::new();
    for connector in &import.connectors {
        fates.push(match connector.complete {
            true => Fate::Configure(Box::new(Connector::from_json(&connector.document)?)),
            false => Fate::Write(folder.join(free_name(&connector.name, &mut names))),
        });
    }
    check_files(&fates)?;
    let configures = fates.iter().any(|fate| matches!(fate, Fate::Configure(_)));
    let shared = shared(&import.connectors);
    let carry_out = |s: &mut Session<'_>, agent: Option<&crate::Agent>| -> Result<i32, Failure> {
        if let Some(agent) = agent.filter(|_| !replace) {
            let known = agent.connectors()?;
            for (connector, fate) in import.connectors.iter().zip(&mut fates) {
                let there = known
                    .iter()
                    .any(|known| known.name() == Some(connector.name.as_str()));
                if there && matches!(fate, Fate::Configure(_)) {
                    *fate = Fate::Keep;
                }
            }
        }
        if !dry_run {
            // Files first: what cannot be written must not leave half of an import in the database.
            for (connector, fate) in import.connectors.iter().zip(&fates) {
                if let Fate::Write(path) = fate {
                    write(path, &connector.document)?;
                }
            }
        }
        let mut code = failure::OK;
        let mut report = Vec::new();
        for (connector, fate) in import.connectors.iter().zip(&fates) {
            let mut refused = connector.refused.clone();
            let outcome = match fate {
                Fate::Keep => "there already; --replace replaces it".to_owned(),
                Fate::Write(path) => format!("written to {}, to be finished", path.display()),
                Fate::Configure(_) if dry_run => "complete".to_owned(),
                Fate::Configure(document) => {
                    match agent.map(|agent| agent.configure(&connector.name, document)) {
                        Some(Err(error)) => {
                            refused.push(Warning {
                                field: error.field().unwrap_or("connector").to_owned(),
                                message: error.message().to_owned(),
                            });
                            "refused".to_owned()
                        }
                        _ => "configured".to_owned(),
                    }
                }
            };
            if !refused.is_empty() || matches!(fate, Fate::Keep) {
                code = failure::FAILED;
            }
            s.out.text(&told(connector, &outcome, &refused, &shared));
            let mut line = json!(connector);
            line["outcome"] = Value::from(outcome);
            line["refused"] = json!(refused);
            report.push(line);
        }
        if !shared.is_empty() {
            let lines = shared.iter().map(|differs| differs_line(differs));
            let head = "what each of them does otherwise than in Kibana:".to_owned();
            s.out.text(&wrapped(std::iter::once(head).chain(lines)));
        }
        for skipped in &import.skipped {
            s.out.text(&wrap(
                &escape(&format!("skipped {} ({})", skipped.name, skipped.kind)),
                2,
            ));
        }
        let connectors = count(import.connectors.len() as u64, "connector", "connectors");
        let others = count(import.skipped.len() as u64, "other object", "other objects");
        let dry = if dry_run {
            " Nothing was stored or written."
        } else {
            ""
        };
        s.out.text(&format!("{connectors}, {others} skipped.{dry}"));
        s.out
            .json(&json!({"dryRun": dry_run, "connectors": report, "skipped": import.skipped}));
        Ok(code)
    };
    if dry_run || !configures {
        let mut carry_out = carry_out;
        return carry_out(session, None);
    }
    let mut carry_out = carry_out;
    session.creating(|s, agent| carry_out(s, Some(agent)))
}

/// Refuses before anything is written when a file is there.
fn check_files(fates: &[Fate]) -> Result<(), Failure> {
    for fate in fates {
        let Fate::Write(path) = fate else { continue };
        if path.symlink_metadata().is_ok() {
            let message = format!(
                "{} is there already; nothing was imported: move it away, or name another folder with --to",
                path.display()
            );
            return Err(Failure::usage(message));
        }
    }
    Ok(())
}

/// What several connectors all do otherwise than in Kibana: told once.
fn shared(connectors: &[ImportedConnector]) -> Vec<&Warning> {
    let [first, others @ ..] = connectors else {
        return Vec::new();
    };
    let all = |differs: &&Warning| others.iter().all(|other| other.differs.contains(differs));
    match others {
        [] => Vec::new(),
        _ => first.differs.iter().filter(all).collect(),
    }
}

/// What came of one connector, for people.
fn told(connector: &ImportedConnector, outcome: &str, refused: &[Warning], shared: &[&Warning]) -> String {
    let mut lines = vec![format!("{}: {outcome}", connector.name)];
    if !connector.missing_secrets.is_empty() {
        lines.push(format!(
            "  needs the secrets {}, which are not in it",
            connector.missing_secrets.join(", ")
        ));
    }
    let open = connector.unresolved.iter();
    lines.extend(open.map(|open| format!("  open {}: {}", open.field, open.message)));
    let changed = connector.changed.iter();
    lines.extend(changed.map(|change| format!("  changed {}: {}", change.field, change.message)));
    let refused = refused.iter();
    lines.extend(refused.map(|refused| format!("  refused {}: {}", refused.field, refused.message)));
    let warnings = connector.warnings.iter();
    lines.extend(warnings.map(|warning| format!("  warning {}: {}", warning.field, warning.message)));
    let own = connector
        .differs
        .iter()
        .filter(|differs| !shared.contains(differs));
    lines.extend(own.map(differs_line));
    wrapped(lines.into_iter())
}

fn differs_line(differs: &Warning) -> String {
    format!("  differs {}: {}", differs.field, differs.message)
}

/// Lines within the width, each continued further in than it begins.
fn wrapped(lines: impl Iterator<Item = String>) -> String {
    let lines = lines.map(|line| {
        let indent = line.len() - line.trim_start().len();
        format!(
            "{}{}",
            " ".repeat(indent),
            super::out::wrap_from(&escape(line.trim_start()), indent, indent + 4)
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A name of a file that no connector before has, also where capitals make no difference.
fn free_name(name: &str, taken: &mut BTreeSet<String>) -> String {
    let first = file_name(name);
    let stem = first.trim_end_matches(ENDING);
    let mut free = first.clone();
    let mut number = 1;
    while !taken.insert(free.to_lowercase()) {
        number += 1;
        free = format!("{stem}-{number}{ENDING}");
    }
    free
}

/// A name of a file for a connector's name, without anything that leads elsewhere.
fn file_name(name: &str) -> String {
    let safe = |c: char| {
        if c.is_alphanumeric() || "-_".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = name.chars().map(safe).take(60).collect();
    format!("{name}{ENDING}")
}

/// Writes a new file that its owner alone reads: it is where secrets go.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let done = file.and_then(|mut file| writeln!(file, "{text}"));
    done.map_err(|error| Failure::usage(format!("{} cannot be written: {error}", path.display())))
}
