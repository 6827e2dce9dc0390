//! A strict reader of the text exposition format, so that what passes it passes every scraper.
#![allow(unreachable_pub)]

use std::collections::{BTreeMap, BTreeSet};

type Labels = BTreeMap<String, String>;

/// What an exposition says.
#[derive(Debug, Default)]
pub struct Exposition {
    /// Name of each family and its type.
    types: BTreeMap<String, String>,
    samples: BTreeMap<(String, Labels), f64>,
}

impl Exposition {
    /// Errors on anything that the format does not allow, on samples apart from their family, repeated samples, and
    /// histograms that do not add up.
    pub fn parse(text: &str) -> Result<Exposition, String> {
        if !text.ends_with('\n') {
            return Err("the last line does not end".to_owned());
        }
        let mut read = Exposition::default();
        let mut helped: Option<String> = None;
        let mut family: Option<String> = None;
        for line in text.lines() {
            let wrong = |what: &str| Err(format!("{what}: {line:?}"));
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
                if !is_name(name) || help.is_empty() || read.types.contains_key(name) {
                    return wrong("HELP");
                }
                helped = Some(name.to_owned());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let Some((name, kind)) = rest.split_once(' ') else {
                    return wrong("TYPE");
                };
                if helped.as_deref() != Some(name) || !["counter", "gauge", "histogram"].contains(&kind) {
                    return wrong("TYPE");
                }
                if kind == "counter" && !name.ends_with("_total") {
                    return wrong("a counter without _total");
                }
                read.types.insert(name.to_owned(), kind.to_owned());
                family = Some(name.to_owned());
            } else {
                let (name, labels, value) = sample(line)?;
                let Some(own) = &family else {
                    return wrong("a sample before any TYPE");
                };
                if base(&name, &read.types) != Some(own.as_str()) {
                    return wrong("a sample apart from its family");
                }
                if read.samples.insert((name, labels), value).is_some() {
                    return wrong("a sample for the second time");
                }
            }
        }
        read.check_histograms()?;
        Ok(read)
    }

    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.samples.get(&(name.to_owned(), labels.collect())).copied()
    }

    /// The names of all samples.
    pub fn names(&self) -> BTreeSet<String> {
        self.samples.keys().map(|(name, _)| name.clone()).collect()
    }

    pub fn families(&self) -> BTreeSet<String> {
        self.types.keys().cloned().collect()
    }

    fn check_histograms(&self) -> Result<(), String> {
        for (name, _) in self.types.iter().filter(|(_, kind)| *kind == "histogram") {
            let bucket = format!("{name}_bucket");
            let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
            for ((_, labels), value) in self.samples.iter().filter(|((own, _), _)| *own == bucket) {
                let mut others = labels.clone();
                let bound = others.remove("le").ok_or("a bucket without le")?;
                let bound = if bound == "+Inf" {
                    f64::INFINITY
                } else {
                    number(&bound)?
                };
                series.entry(others).or_default().push((bound, *value));
            }
            for (labels, mut buckets) in series {
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                if !buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1) {
                    return Err(format!("{name}{labels:?} does not grow: {buckets:?}"));
                }
                let count = self.samples.get(&(format!("{name}_count"), labels.clone()));
                let last = buckets.last().copied();
                if last != count.map(|count| (f64::INFINITY, *count)) {
                    return Err(format!("{name}{labels:?}: +Inf and _count differ"));
                }
                if !self.samples.contains_key(&(format!("{name}_sum"), labels)) {
                    return Err(format!("{name} has no _sum"));
                }
            }
        }
        Ok(())
    }
}

/// The family that a sample belongs to.
fn base<'a>(name: &'a str, types: &BTreeMap<String, String>) -> Option<&'a str> {
    if types.get(name).is_some_and(|kind| kind != "histogram") {
        return Some(name);
    }
    let parts = ["_bucket", "_sum", "_count"]
        .iter()
        .filter_map(|suffix| name.strip_suffix(suffix));
    parts
        .into_iter()
        .find(|base| types.get(*base).is_some_and(|kind| kind == "histogram"))
}

fn sample(line: &str) -> Result<(String, Labels, f64), String> {
    let wrong = || format!("not a sample: {line:?}");
    let (name, mut rest) = line.split_at(line.find(['{', ' ']).ok_or_else(wrong)?);
    if !is_name(name) {
        return Err(wrong());
    }
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, quoted) = rest.split_once("=\"").ok_or_else(wrong)?;
            let plain = !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let (value, after) = unquote(quoted).ok_or_else(wrong)?;
            if !plain || labels.insert(label.to_owned(), value).is_some() {
                return Err(wrong());
            }
            rest = after;
            match rest.split_at_checked(1) {
                Some((",", after)) => rest = after,
                Some(("}", after)) => {
                    rest = after;
                    break;
                }
                _ => return Err(wrong()),
            }
        }
    }
    let value = rest.strip_prefix(' ').ok_or_else(wrong)?;
    Ok((name.to_owned(), labels, number(value)?))
}

/// The text up to the closing quote, and what follows that.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other @ ('\\' | '"') => other,
                _ => return None,
            }),
            other => value.push(other),
        }
    }
    None
}

/// No signs, spaces, exponents or words: casehook writes none.
fn number(text: &str) -> Result<f64, String> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match text.parse() {
        Ok(number) if plain => Ok(number),
        _ => Err(format!("not a number: {text:?}")),
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
