//! Ratios of rounds and plain figures, as a table and as JSON.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

/// Rounds of each comparison. The first is thrown away: it fills caches and files.
const ROUNDS: usize = 6;

/// What a row should come to.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    None,
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
}

impl Aim {
    fn bound(self) -> Option<f64> {
        match self {
            Aim::None => None,
            Aim::AtLeast(bound) | Aim::AtMost(bound) => Some(bound),
        }
    }

    fn is_missed_by(self, value: f64) -> bool {
        match self {
            Aim::None => false,
            Aim::AtLeast(bound) => value < bound,
            Aim::AtMost(bound) => value > bound,
        }
    }

    fn shown(self) -> String {
        match self {
            Aim::None => String::new(),
            Aim::AtLeast(bound) => format!(">= {}", short(bound)),
            Aim::AtMost(bound) => format!("<= {}", short(bound)),
        }
    }
}

#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    /// What ours is divided by; none for a plain figure.
    against: Option<String>,
    /// Of the figure, or of what ours came to in a comparison.
    unit: String,
    /// Sorted: ratios, or figures.
    values: Vec<f64>,
    /// What ours came to in a comparison, sorted.
    ours: Vec<f64>,
    aim: Aim,
}

impl Report {
    /// Runs both sides in turn and keeps the ratio of their figures.
    pub(crate) fn compare(
        &mut self,
        what: &str,
        against: &str,
        aim: Aim,
        mut ours: impl FnMut(usize) -> f64,
        mut theirs: impl FnMut(usize) -> f64,
    ) {
        let (mut values, mut figures) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let (a, b) = (ours(round), theirs(round));
            if round > 0 {
                values.push(a / b);
                figures.push(a);
            }
        }
        figures.sort_by(f64::total_cmp);
        self.add(Row {
            what: what.to_owned(),
            against: Some(against.to_owned()),
            unit: String::new(),
            values,
            ours: figures,
            aim,
        });
    }

    /// Notes a figure as it was found in each of some rounds, or in the only one.
    pub(crate) fn figure(&mut self, what: &str, unit: &str, aim: Aim, values: &[f64]) {
        self.add(Row {
            what: what.to_owned(),
            against: None,
            unit: unit.to_owned(),
            values: values.to_vec(),
            ours: Vec::new(),
            aim,
        });
    }

    /// Takes over rows that the library measured inside itself, a line each.
    pub(crate) fn take_over(&mut self, lines: &str) {
        for line in lines.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| row[name].as_str().map(str::to_owned);
            let numbers = |name: &str| -> Vec<f64> {
                let values = row[name].as_array().unwrap();
                values.iter().map(|value| value.as_f64().unwrap()).collect()
            };
            let against = text("against");
            let (mut ours, ratios) = (numbers("figures"), numbers("ratios"));
            ours.sort_by(f64::total_cmp);
            let (values, ours) = match against {
                Some(_) => (ratios, ours),
                None => (ours, Vec::new()),
            };
            let bound = row["aim"]["bound"].as_f64();
            self.add(Row {
                what: text("what").unwrap(),
                unit: match against {
                    Some(_) => String::new(),
                    None => text("unit").unwrap(),
                },
                against,
                values,
                ours,
                aim: match (bound, &row["aim"]["at_least"]) {
                    (None, _) => Aim::None,
                    (Some(bound), Value::Bool(true)) => Aim::AtLeast(bound),
                    (Some(bound), _) => Aim::AtMost(bound),
                },
            });
        }
    }

    fn add(&mut self, mut row: Row) {
        row.values.sort_by(f64::total_cmp);
        eprintln!("  {}: {} {}", row.what, short(median(&row.values)), row.unit);
        self.rows.push(row);
    }

    pub(crate) fn print(&self) {
        let mut headings: Vec<&Option<String>> = Vec::new();
        for row in &self.rows {
            if !headings.contains(&&row.against) {
                headings.push(&row.against);
            }
        }
        for heading in headings {
            let title = match heading {
                Some(against) => format!("against {against}"),
                None => "figures".to_owned(),
            };
            println!("\n{title:58} {:>11} {:>15} {:>9}", "median", "range", "aim");
            for row in self.rows.iter().filter(|row| row.against == *heading) {
                println!("{}", row.line().trim_end());
            }
        }
        println!("\n* misses its aim\n");
    }

    pub(crate) fn write(&self, target: &Path) {
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        let path = target.join("bench.json");
        let text = serde_json::to_string_pretty(&json!({ "rows": rows })).unwrap();
        std::fs::write(&path, text + "\n").unwrap();
        println!("written to {}", path.display());
    }
}

impl Row {
    fn line(&self) -> String {
        let value = median(&self.values);
        let (least, most) = (self.values[0], self.values[self.values.len() - 1]);
        let range = match self.values.len() {
            1 => String::new(),
            _ => format!("{}-{}", short(least), short(most)),
        };
        let missed = match self.aim.is_missed_by(value) {
            true => "*",
            false => "",
        };
        format!(
            "  {:56} {:>11} {range:>15} {:>9} {missed}",
            self.what,
            format!("{} {}", short(value), self.unit).trim_end(),
            self.aim.shown()
        )
    }

    fn json(&self) -> Value {
        let aim = json!({ "at_least": matches!(self.aim, Aim::AtLeast(_)), "bound": self.aim.bound() });
        let aim = self.aim.bound().map(|_| aim);
        match &self.against {
            Some(against) => json!({
                "what": self.what, "against": against, "aim": aim,
                "ratio": median(&self.values), "ratios": self.values, "figure": median(&self.ours),
            }),
            None => json!({
                "what": self.what, "unit": self.unit, "aim": aim,
                "figure": median(&self.values), "figures": self.values,
            }),
        }
    }
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}

/// Three digits or so.
fn short(value: f64) -> String {
    match value.abs() {
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// How often a second `work` does what it does `count` times.
pub(crate) fn rate(count: usize, work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    count as f64 / begin.elapsed().as_secs_f64()
}

/// The processor time of this process so far, in microseconds.
pub(crate) fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// The processor time of this process that one of `count` takes, in microseconds.
pub(crate) fn cpu(count: usize, work: impl FnOnce()) -> f64 {
    let before = processor_time();
    work();
    (processor_time() - before) / count as f64
}
