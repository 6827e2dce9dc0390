//! How long to wait before the next try.

use std::time::Duration;

/// Waits before probes of a connector whose credentials were refused, after which it is hourly: accounts get locked.
const BLOCKED_PROBES: [Duration; 3] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
];
const BLOCKED_PROBE_LATER: Duration = Duration::from_secs(60 * 60);

/// Full jitter: anything up to `base * 2^(tries - 1)`, at most `cap`. `tries` counts from 1; `dice` is from 0 to 1.
///
/// The scheme that finished soonest with the fewest calls in AWS' comparison of backoff schemes.
pub(crate) fn full_jitter(base: Duration, cap: Duration, tries: u32, dice: f64) -> Duration {
    let doublings = tries.saturating_sub(1).min(31);
    let ceiling = base.saturating_mul(1 << doublings).min(cap);
    ceiling.mul_f64(dice.clamp(0.0, 1.0))
}

/// The wait before the next probe of a blocked connector, `probes` of which have failed.
pub(crate) fn blocked_probe(probes: u32) -> Duration {
    usize::try_from(probes.saturating_sub(1))
        .ok()
        .and_then(|i| BLOCKED_PROBES.get(i).copied())
        .unwrap_or(BLOCKED_PROBE_LATER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_by_doubling_up_to_the_cap() {
        let (base, cap) = (Duration::from_secs(1), Duration::from_secs(600));
        let longest: Vec<u64> = (1..=12)
            .map(|n| full_jitter(base, cap, n, 1.0).as_secs())
            .collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        assert_eq!(full_jitter(base, cap, u32::MAX, 1.0), cap);
        assert_eq!(full_jitter(base, cap, 5, 0.0), Duration::ZERO);
        assert_eq!(full_jitter(base, cap, 0, 1.0), base);
    }

    #[test]
    fn probes_refused_credentials_ever_more_rarely() {
        let minutes: Vec<u64> = (1..=5).map(|n| blocked_probe(n).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 5, 15, 60, 60]);
    }
}
