//! How far a drain has come: a bar with the time left on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::connectors::{now, trouble};
use super::out::{self, escape, wrap};
use crate::Stats;

/// How often a line is written where there is no terminal, unless a connector's trouble changes.
const LINES_APART: Duration = Duration::from_secs(10);

/// What is shown on standard error while pushes are delivered.
pub(super) enum Progress {
    /// With `--json`, for machines.
    Silent,
    Bar(ProgressBar),
    Lines(Lines),
}

impl Progress {
    pub(super) fn new(json: bool) -> Progress {
        if json {
            return Progress::Silent;
        }
        if !io::stderr().is_terminal() {
            return Progress::Lines(Lines::default());
        }
        let target = ProgressDrawTarget::stderr_with_hz(5);
        Progress::Bar(ProgressBar::with_draw_target(Some(0), target))
    }

    /// Shows how many were delivered since the drain began and how many are left.
    pub(super) fn show(&mut self, stats: &Stats, before: &Sums) {
        let sums = Sums::of(stats);
        let done = sums.delivered.saturating_sub(before.delivered);
        let trouble = troubles(stats);
        match self {
            Progress::Silent => {}
            Progress::Bar(bar) => {
                bar.set_style(style(done > 0));
                bar.set_length(done + sums.open);
                bar.set_position(done);
                bar.set_message(trouble);
                bar.tick();
            }
            Progress::Lines(lines) => lines.show(done, sums.open, trouble),
        }
    }

    pub(super) fn clear(&mut self) {
        if let Progress::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// Before the first delivery nobody knows how long the rest takes.
fn style(with_eta: bool) -> ProgressStyle {
    let template = if with_eta {
        "{bar:16} {pos} delivered, {len} in all, {eta} left  {wide_msg}"
    } else {
        "{bar:16} {pos} delivered, {len} in all  {wide_msg}"
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("#>.")
}

/// What was written last.
#[derive(Default)]
pub(super) struct Lines {
    at: Option<Instant>,
    trouble: String,
    counts: (u64, u64),
}

impl Lines {
    fn show(&mut self, done: u64, open: u64, trouble: String) {
        let due = self.at.is_some_and(|at| at.elapsed() >= LINES_APART) && self.counts != (done, open);
        // Reasons hold times and numbers that change: what troubles whom is what counts.
        let changed = self.trouble != trouble;
        if self.at.is_none() || due || changed {
            let also = if trouble.is_empty() {
                String::new()
            } else {
                format!("; {trouble}")
            };
            out::note(&wrap(&format!("{done} delivered, {open} to go{also}"), 2));
            self.at = Some(Instant::now());
            self.trouble = trouble;
            self.counts = (done, open);
        }
    }
}

/// The connectors in trouble, and what kind of; the reasons of the first.
fn troubles(stats: &Stats) -> String {
    let mut troubled = stats
        .connectors
        .iter()
        .filter_map(|counts| trouble(&counts.health, now()).map(|text| (&counts.connector, text)));
    let Some((name, text)) = troubled.next() else {
        return String::new();
    };
    // When the next try is changes by the second.
    let reason = text
        .rsplit_once("; next try")
        .map_or(text.as_str(), |(reason, _)| reason);
    let others = match troubled.count() {
        0 => String::new(),
        number => format!(" (and {number} more)"),
    };
    escape(&format!("{name} {reason}{others}"))
}

/// Counts over all connectors.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sums {
    /// Queued, sending or waiting.
    pub(super) open: u64,
    pub(super) held: u64,
    pub(super) failed: u64,
    /// Since the database was made.
    pub(super) delivered: u64,
}

impl Sums {
    pub(super) fn of(stats: &Stats) -> Sums {
        let mut sums = Sums::default();
        for counts in &stats.connectors {
            sums.open += counts.queued + counts.sending + counts.waiting;
            sums.held += counts.held;
            sums.failed += counts.failed;
            sums.delivered += counts.delivered_total;
        }
        sums
    }
}
