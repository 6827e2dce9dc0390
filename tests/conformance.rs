//! Every measured exchange of the reference connector, through the public API.
//!
//! One test a family. A line for each family and the totals go to standard error, past the capture of the test runner.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "conformance/compare.rs"]
mod compare;
#[path = "conformance/documentation.rs"]
mod documentation;
#[path = "conformance/json_text.rs"]
mod json_text;
#[path = "conformance/run.rs"]
mod run;
mod support;
#[path = "conformance/vector.rs"]
mod vector;

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use vector::Vector;

/// Vectors that are believed to be wrong for casehook's users: name and reason. They are run and must still disagree.
const DISAGREED: &[(&str, &str)] = &[];

macro_rules! families {
    ($($name:ident = $file:literal),+ $(,)?) => {
        /// How many families there are.
        const FAMILIES: usize = [$($file),+].len();
        $(#[test] fn $name() {
            family($file, include_str!(concat!("conformance/vectors/", $file, ".json")));
        })+
    };
}

families! {
    allowed_hosts = "allowed-hosts",
    comments = "comments",
    config_validation = "config-validation",
    error_status = "error-status",
    flows = "flows",
    headers_auth = "headers-auth",
    json_validity = "json-validity",
    network = "network",
    params_validation = "params-validation",
    redirects = "redirects",
    response_keys = "response-keys",
    response_validity = "response-validity",
    secrets_validation = "secrets-validation",
    templating_syntax = "templating-syntax",
    templating_values = "templating-values",
    tls = "tls",
    url_encoding = "url-encoding",
    url_normalise = "url-normalise",
}

/// Vectors of one family that run at once: most of their time is waiting.
const LANES: usize = 4;

/// What came of one vector.
enum Verdict {
    Agrees,
    /// Differs, and the table says why that is right.
    Disagreed,
    /// Cannot run here, and what is lacking.
    Waits(&'static str),
    Differs(String),
}

#[derive(Default, Clone)]
struct Count {
    agree: usize,
    disagreed: usize,
    wait: usize,
    differ: usize,
}

fn family(name: &str, text: &str) {
    let vectors = vector::read(text);
    assert!(!vectors.is_empty(), "{name}: no vectors");
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(vector) = vectors.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = judge(vector);
                    verdicts.lock().unwrap().push((vector, verdict));
                }
            });
        }
    });
    let mut verdicts = verdicts.into_inner().unwrap();
    verdicts.sort_by_key(|(vector, _)| vector.place);
    assert_eq!(verdicts.len(), vectors.len(), "{name}: a vector got lost");
    let count = tally(&verdicts);
    report(name, &count, &verdicts);
    assert_eq!(
        count.differ, 0,
        "{name}: {} vectors differ, listed above",
        count.differ
    );
}

fn judge(vector: &Vector) -> Verdict {
    let listed = DISAGREED.iter().any(|(name, _)| *name == vector.name);
    match run::run(vector) {
        Err(lacking) => Verdict::Waits(lacking),
        Ok(outcome) => match (compare::compare(vector, &outcome), listed) {
            (Ok(()), false) => Verdict::Agrees,
            (Ok(()), true) => {
                Verdict::Differs("agrees by now: take it off the table of disagreed ones".to_owned())
            }
            (Err(_), true) => Verdict::Disagreed,
            (Err(what), false) => Verdict::Differs(what),
        },
    }
}

fn tally(verdicts: &[(&Vector, Verdict)]) -> Count {
    let mut count = Count::default();
    for (_, verdict) in verdicts {
        *match verdict {
            Verdict::Agrees => &mut count.agree,
            Verdict::Disagreed => &mut count.disagreed,
            Verdict::Waits(_) => &mut count.wait,
            Verdict::Differs(_) => &mut count.differ,
        } += 1;
    }
    count
}

/// The families that are through, for the totals of the last one.
static DONE: Mutex<(usize, Count)> = Mutex::new((
    0,
    Count {
        agree: 0,
        disagreed: 0,
        wait: 0,
        differ: 0,
    },
));

fn report(name: &str, count: &Count, verdicts: &[(&Vector, Verdict)]) {
    let mut text = line(name, count);
    for (vector, verdict) in verdicts {
        match verdict {
            Verdict::Agrees => {}
            Verdict::Disagreed => {
                let reason = DISAGREED
                    .iter()
                    .find(|(n, _)| *n == vector.name)
                    .map_or("", |(_, r)| r);
                text.push_str(&format!("  disagreed  {}: {reason}\n", vector.name));
            }
            Verdict::Waits(lacking) => {
                text.push_str(&format!("  waits      {}: no {lacking}\n", vector.name))
            }
            Verdict::Differs(what) => {
                let rule = vector.rule.as_deref().unwrap_or("exact");
                let ours = vector.ours.as_deref().unwrap_or("");
                text.push_str(&format!("  DIFFERS    {} [{rule} {ours}]: {what}\n", vector.name));
            }
        }
    }
    let mut done = DONE.lock().unwrap();
    done.0 += 1;
    done.1.agree += count.agree;
    done.1.disagreed += count.disagreed;
    done.1.wait += count.wait;
    done.1.differ += count.differ;
    if done.0 == FAMILIES {
        text.push_str(&line("all families", &done.1));
    }
    // `eprint!` is captured by the test runner, this is not.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn line(name: &str, count: &Count) -> String {
    let Count {
        agree,
        disagreed,
        wait,
        differ,
    } = count;
    let total = agree + disagreed + wait + differ;
    format!(
        "vectors {name:<20} {agree:>4} of {total} agree, {differ} differ, {disagreed} disagreed, {wait} wait\n"
    )
}
