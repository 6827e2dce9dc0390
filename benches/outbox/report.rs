//! Ratios of rounds, as a table and as JSON.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

/// Rounds of each comparison. The first is thrown away: it fills caches and files.
const ROUNDS: usize = 6;

#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    against: String,
    ratios: Vec<f64>,
    rate: f64,
    target: Option<f64>,
}

impl Report {
    /// Runs both sides in turn and keeps the ratio of their figures. `higher`: ours should be the larger one.
    pub(crate) fn compare(
        &mut self,
        what: &str,
        against: &str,
        target: Option<f64>,
        mut ours: impl FnMut(usize) -> f64,
        mut theirs: impl FnMut(usize) -> f64,
    ) {
        let (mut ratios, mut figures) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let (a, b) = (ours(round), theirs(round));
            if round > 0 {
                ratios.push(a / b);
                figures.push(a);
            }
        }
        ratios.sort_by(f64::total_cmp);
        figures.sort_by(f64::total_cmp);
        eprintln!("  {what}: {:.2}", median(&ratios));
        self.rows.push(Row {
            what: what.to_owned(),
            against: against.to_owned(),
            rate: median(&figures),
            ratios,
            target,
        });
    }

    pub(crate) fn print(&self) {
        println!("{:44} {:>6} {:>13} {:>7}  against", "", "ratio", "(range)", "aim");
        for row in &self.rows {
            let (least, most) = (row.ratios[0], row.ratios[row.ratios.len() - 1]);
            println!(
                "{:44} {:6.2} {:>13} {:>7}  {}",
                row.what,
                median(&row.ratios),
                format!("({least:.2}-{most:.2})"),
                row.target.map_or(String::new(), |target| format!("{target:.2}")),
                row.against,
            );
        }
    }

    pub(crate) fn write(&self, target: &Path) {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "what": row.what, "against": row.against, "aim": row.target,
                    "ratio": median(&row.ratios), "ratios": row.ratios, "figure": row.rate,
                })
            })
            .collect();
        let path = target.join("bench.json");
        let text = serde_json::to_string_pretty(&json!({ "rows": rows })).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
        println!("written to {}", path.display());
    }
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}

/// How often a second `work` does what it does `count` times.
pub(crate) fn rate(count: usize, work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    count as f64 / begin.elapsed().as_secs_f64()
}

/// The processor time of this process that one of `count` takes, in microseconds.
pub(crate) fn cpu(count: usize, work: impl FnOnce()) -> f64 {
    let spent = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
    };
    let before = spent();
    work();
    (spent() - before) / count as f64
}
