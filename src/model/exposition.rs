//! Counts as Prometheus reads them: the text exposition format, version 0.0.4.

use std::fmt::Write;

use super::{ConnectorHealth, ConnectorStats, FailureClass, PushState, Stats, Timestamp};

/// The states of a connector, as the label of `casehook_connector_state`.
const HEALTH: [&str; 5] = ["ok", "offline", "blocked", "throttled", "paused"];

/// One metric for each connector: name, type, help, and how its samples are written.
type Family = (
    &'static str,
    &'static str,
    &'static str,
    fn(&mut Samples<'_>, &ConnectorStats),
);

const FAMILIES: [Family; 8] = [
    (
        "casehook_pushes",
        "gauge",
        "Pushes in the outbox and its history, by state.",
        |samples, own| {
            for &state in PushState::ALL {
                samples.add("", &[("state", state.as_str())], own.in_state(state));
            }
        },
    ),
    (
        "casehook_pushes_accepted_total",
        "counter",
        "Pushes that were accepted since the database was made.",
        |samples, own| samples.add("", &[], own.accepted_total),
    ),
    (
        "casehook_pushes_delivered_total",
        "counter",
        "Pushes that were delivered since the database was made.",
        |samples, own| samples.add("", &[], own.delivered_total),
    ),
    (
        "casehook_oldest_undelivered_seconds",
        "gauge",
        "Age of the oldest push that is queued, sending, waiting or held; 0 when there is none.",
        |samples, own| {
            let age = own
                .oldest_at
                .map_or(0, |at| samples.now.as_millis().saturating_sub(at.as_millis()));
            samples.add("", &[], Seconds(u64::try_from(age).unwrap_or(0)));
        },
    ),
    (
        "casehook_connector_state",
        "gauge",
        "1 for the state that the connector is in, 0 for the others.",
        |samples, own| {
            let present = health_word(&own.health);
            for state in HEALTH {
                samples.add("", &[("state", state)], u8::from(state == present));
            }
        },
    ),
    (
        "casehook_exchanges_total",
        "counter",
        "Exchanges with the target, by step and failure class (ok: none).",
        |samples, own| {
            for entry in &own.traffic.exchanges {
                let class = entry.class.map_or("ok", FailureClass::as_str);
                samples.add(
                    "",
                    &[("step", entry.step.as_str()), ("class", class)],
                    entry.count,
                );
            }
        },
    ),
    (
        "casehook_exchange_bytes_total",
        "counter",
        "Bytes of request bodies (sent) and of decoded answer bodies (received).",
        |samples, own| {
            samples.add("", &[("direction", "sent")], own.traffic.bytes_sent);
            samples.add("", &[("direction", "received")], own.traffic.bytes_received);
        },
    ),
    (
        "casehook_exchange_duration_seconds",
        "histogram",
        "How long exchanges took, failed ones included.",
        |samples, own| {
            let durations = &own.traffic.durations;
            for bucket in &durations.buckets {
                let bound = Seconds(bucket.within_ms).to_string();
                samples.add("_bucket", &[("le", &bound)], bucket.count);
            }
            samples.add("_bucket", &[("le", "+Inf")], durations.count);
            samples.add("_sum", &[], Seconds(durations.total_ms));
            samples.add("_count", &[], durations.count);
        },
    ),
];

impl Stats {
    /// These counts in the text format of Prometheus, as of `now`; ends with a line feed. Metrics are listed in
    /// [`crate::manual::operations`].
    pub(crate) fn exposition(&self, now: Timestamp) -> String {
        let mut text = String::new();
        for (name, kind, help, write) in FAMILIES {
            head(&mut text, name, kind, help);
            for own in &self.connectors {
                let mut samples = Samples {
                    text: &mut text,
                    name,
                    connector: &own.connector,
                    now,
                };
                write(&mut samples, own);
            }
        }
        let drained = u8::from(self.drained_by.is_some());
        head(
            &mut text,
            "casehook_drained",
            "gauge",
            "1 while a process delivers, 0 otherwise.",
        );
        line(&mut text, format_args!("casehook_drained {drained}"));
        head(
            &mut text,
            "casehook_build_info",
            "gauge",
            "Always 1; the version of casehook that answered.",
        );
        let version = env!("CARGO_PKG_VERSION");
        line(
            &mut text,
            format_args!("casehook_build_info{{version=\"{version}\"}} 1"),
        );
        text
    }
}

impl ConnectorStats {
    fn in_state(&self, state: PushState) -> u64 {
        match state {
            PushState::Queued => self.queued,
            PushState::Sending => self.sending,
            PushState::Waiting => self.waiting,
            PushState::Held => self.held,
            PushState::Delivered => self.delivered,
            PushState::Failed => self.failed,
            PushState::Superseded => self.superseded,
            PushState::Cancelled => self.cancelled,
        }
    }
}

fn health_word(health: &ConnectorHealth) -> &'static str {
    match health {
        ConnectorHealth::Ok => "ok",
        ConnectorHealth::Offline { .. } => "offline",
        ConnectorHealth::Blocked { .. } => "blocked",
        ConnectorHealth::Throttled { .. } => "throttled",
        ConnectorHealth::Paused => "paused",
    }
}

/// The samples of one metric and one connector.
struct Samples<'a> {
    text: &'a mut String,
    name: &'a str,
    connector: &'a str,
    now: Timestamp,
}

impl Samples<'_> {
    fn add(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let mut all = format!("connector=\"{}\"", escape(self.connector));
        for (name, text) in labels {
            // Writing to a String cannot fail.
            let _ = write!(all, ",{name}=\"{}\"", escape(text));
        }
        line(self.text, format_args!("{}{suffix}{{{all}}} {value}", self.name));
    }
}

/// Milliseconds, written as seconds without trailing zeros.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, millis) = (self.0 / 1_000, self.0 % 1_000);
        if millis == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{millis:03}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    line(text, format_args!("# HELP {name} {help}"));
    line(text, format_args!("# TYPE {name} {kind}"));
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{what}");
}

/// A label's value: backslash, quote and line feed are what the format escapes.
fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_keep_their_millis() {
        for (millis, text) in [
            (0, "0"),
            (5, "0.005"),
            (250, "0.25"),
            (1_000, "1"),
            (61_020, "61.02"),
        ] {
            assert_eq!(Seconds(millis).to_string(), text);
        }
    }

    #[test]
    fn label_values_are_escaped() {
        assert_eq!(escape("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
