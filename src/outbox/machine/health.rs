//! What an exchange says about its connector: offline, blocked, throttled, well again.

use std::time::Duration;

use super::{Health, Setting, Timestamp, Trouble, Verdict};
use crate::outbox::backoff::{blocked_probe, full_jitter};

/// The connector's trouble after one more failure. Only the probe counts, not what else was under way with it.
pub(super) fn trouble(
    before: Option<&Trouble>,
    verdict: &Verdict,
    now: Timestamp,
    probe_at: impl FnOnce(u32) -> Timestamp,
) -> Trouble {
    if let Some(known) = before.filter(|known| known.probe_at > now) {
        return known.clone();
    }
    let probes = before.map_or(0, |t| t.probes).saturating_add(1);
    Trouble {
        reason: verdict.message.clone(),
        probes,
        probe_at: probe_at(probes),
    }
}

pub(super) fn pause(verdict: &Verdict, setting: Setting<'_>) -> Duration {
    let retry = setting.config.retry;
    verdict
        .pause
        .unwrap_or_else(|| full_jitter(retry.base, retry.cap, setting.throttles.saturating_add(1), 1.0))
}

/// An answer ends an outage; one that is neither a refusal nor a breakdown also says that the credentials work.
pub(super) fn recovered(health: &Health, status: u16) -> Option<Health> {
    let unblocks = status < 500;
    (health.offline.is_some() || (unblocks && health.blocked.is_some())).then(|| Health {
        offline: None,
        blocked: health.blocked.clone().filter(|_| !unblocks),
        ..health.clone()
    })
}

/// Health of a connector that cannot be used as it is stored.
pub(crate) fn blocked(health: &Health, reason: String, now: Timestamp) -> Health {
    let probes = health.blocked.as_ref().map_or(0, |t| t.probes).saturating_add(1);
    Health {
        blocked: Some(Trouble {
            reason,
            probes,
            probe_at: now.plus(blocked_probe(probes)),
        }),
        ..health.clone()
    }
}
