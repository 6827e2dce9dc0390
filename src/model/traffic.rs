//! What went over the wire, counted: exchanges by step and end, their bytes, how long they took.

use serde::Serialize;

use super::{FailureClass, Step};

/// Exchanges of one step that ended in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ExchangeStats {
    /// The step.
    pub step: Step,
    /// The failure class; none for those that succeeded.
    pub class: Option<FailureClass>,
    /// How many there were.
    pub count: u64,
}

/// How long exchanges took, failed ones included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Durations {
    /// How many took no longer than each bound, by bound; each counts those of the bounds before it too.
    pub buckets: Vec<DurationBucket>,
    /// How many there were at all.
    pub count: u64,
    /// What they took together, in milliseconds.
    pub total_ms: u64,
}

/// Exchanges that took no longer than a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DurationBucket {
    /// The bound, in milliseconds.
    pub within_ms: u64,
    /// How many took no longer.
    pub count: u64,
}

/// All logged exchanges of a connector, since its database was made.
///
/// What the attempts log has a line for is counted, also what ended before a connection was there. Requests for access
/// tokens, redirects that were followed, and the reading ahead of an `ifMatchHeader` belong to their exchange.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Traffic {
    /// By step and end; only those that have occurred.
    pub exchanges: Vec<ExchangeStats>,
    /// How long they took.
    pub durations: Durations,
    /// The bytes of request bodies that were handed over for sending.
    pub bytes_sent: u64,
    /// The bytes of answer bodies, after decoding.
    pub bytes_received: u64,
}

/// The bounds of [`Durations`], in milliseconds.
pub(crate) const BOUNDS_MS: [u64; 14] = [
    5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000,
];

/// The first bound that a duration does not exceed; none when it exceeds every one.
pub(crate) fn bound(duration_ms: u64) -> Option<u64> {
    BOUNDS_MS.into_iter().find(|bound| duration_ms <= *bound)
}

/// Exchanges of one step and end whose durations fall between two bounds: what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) step: Step,
    pub(crate) class: Option<FailureClass>,
    /// The upper bound in milliseconds; none above every bound.
    pub(crate) within_ms: Option<u64>,
    pub(crate) count: u64,
    pub(crate) duration_ms: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
}

impl Traffic {
    pub(crate) fn of(tallies: &[Tally]) -> Traffic {
        let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).fold(0, u64::saturating_add);
        let mut exchanges: Vec<ExchangeStats> = Vec::new();
        for tally in tallies {
            let key = (tally.step, tally.class);
            match exchanges.binary_search_by_key(&key, |known| (known.step, known.class)) {
                Ok(at) => exchanges[at].count += tally.count,
                Err(at) => exchanges.insert(
                    at,
                    ExchangeStats {
                        step: tally.step,
                        class: tally.class,
                        count: tally.count,
                    },
                ),
            }
        }
        let within = |bound: u64| {
            let inside = tallies
                .iter()
                .filter(|tally| tally.within_ms.is_some_and(|own| own <= bound));
            inside.map(|tally| tally.count).sum()
        };
        Traffic {
            exchanges,
            durations: Durations {
                buckets: BOUNDS_MS
                    .map(|within_ms| DurationBucket {
                        within_ms,
                        count: within(within_ms),
                    })
                    .to_vec(),
                count: sum(|tally| tally.count),
                total_ms: sum(|tally| tally.duration_ms),
            },
            bytes_sent: sum(|tally| tally.bytes_sent),
            bytes_received: sum(|tally| tally.bytes_received),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(step: Step, class: Option<FailureClass>, within_ms: Option<u64>, count: u64) -> Tally {
        Tally {
            step,
            class,
            within_ms,
            count,
            duration_ms: 10 * count,
            bytes_sent: count,
            bytes_received: 2 * count,
        }
    }

    #[test]
    fn a_duration_falls_under_the_first_bound_it_does_not_exceed() {
        for (duration, expected) in [
            (0, Some(5)),
            (5, Some(5)),
            (6, Some(10)),
            (300_000, Some(300_000)),
            (300_001, None),
        ] {
            assert_eq!(bound(duration), expected, "{duration}");
        }
    }

    #[test]
    fn tallies_add_up() {
        let traffic = Traffic::of(&[
            tally(Step::Get, None, Some(5), 1),
            tally(Step::Create, Some(FailureClass::Auth), Some(100), 2),
            tally(Step::Create, None, Some(5), 4),
            tally(Step::Create, None, None, 8),
        ]);
        let ends: Vec<_> = traffic
            .exchanges
            .iter()
            .map(|e| (e.step, e.class, e.count))
            .collect();
        assert_eq!(
            ends,
            [
                (Step::Create, None, 12),
                (Step::Create, Some(FailureClass::Auth), 2),
                (Step::Get, None, 1)
            ]
        );
        let of = |bound| {
            traffic
                .durations
                .buckets
                .iter()
                .find(|b| b.within_ms == bound)
                .unwrap()
                .count
        };
        assert_eq!((of(5), of(50), of(100), of(300_000)), (5, 5, 7, 7));
        assert_eq!((traffic.durations.count, traffic.durations.total_ms), (15, 150));
        assert_eq!((traffic.bytes_sent, traffic.bytes_received), (15, 30));
    }
}
