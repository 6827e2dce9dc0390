//! What an exchange says about its connector: offline, blocked, throttled, well again.

use std::time::Duration;

use super::{FailureClass, Health, Setting, Timestamp, Trouble, Verdict};
use crate::outbox::backoff::{blocked_probe, full_jitter};

/// The connector's health after a failed exchange, where that changes it.
pub(super) fn after_failure(verdict: &Verdict, setting: Setting<'_>) -> Option<Health> {
    let before = setting.health;
    let mut health = before.clone();
    let offline_until = |probes| setting.now.plus(jitter(setting, probes));
    let blocked_until = |probes| setting.now.plus(blocked_probe(probes));
    match verdict.class {
        FailureClass::NotSent => {
            let known = before.offline.as_ref();
            health.offline = Some(trouble(known, &verdict.message, setting.is_probe, offline_until));
        }
        FailureClass::Auth => {
            let known = before.blocked.as_ref();
            health.offline = None;
            health.blocked = Some(trouble(known, &verdict.message, setting.is_probe, blocked_until));
        }
        FailureClass::Throttled => {
            let until = setting.now.plus(pause(verdict, setting));
            health.offline = None;
            health.throttled_until = before.throttled_until.max(Some(until));
        }
        _ => {
            if let Some(well) = verdict.http_status.and_then(|status| recovered(before, status)) {
                health = well;
            }
        }
    }
    // A probe that leaves its question open was one all the same: the next one comes later.
    if setting.is_probe && verdict.class != FailureClass::NotSent {
        let offline = health.offline.take();
        health.offline = offline.map(|known| trouble(Some(&known), &known.reason, true, offline_until));
    }
    if setting.is_probe && verdict.class != FailureClass::Auth {
        let blocked = health.blocked.take();
        health.blocked = blocked.map(|known| trouble(Some(&known), &known.reason, true, blocked_until));
    }
    (health != *before).then_some(health)
}

/// The connector's trouble after one more failure. Only the probe counts, not what else was under way with it.
fn trouble(
    before: Option<&Trouble>,
    reason: &str,
    is_probe: bool,
    probe_at: impl Fn(u32) -> Timestamp,
) -> Trouble {
    if let Some(known) = before.filter(|_| !is_probe) {
        return known.clone();
    }
    let probes = before.map_or(0, |t| t.probes).saturating_add(1);
    Trouble {
        reason: reason.to_owned(),
        probes,
        probe_at: probe_at(probes),
    }
}

fn jitter(setting: Setting<'_>, probes: u32) -> Duration {
    let retry = setting.config.retry;
    full_jitter(retry.base, retry.cap, probes, setting.dice)
}

/// How long a throttled connector pauses: as it was asked to, else ever longer.
pub(super) fn pause(verdict: &Verdict, setting: Setting<'_>) -> Duration {
    let retry = setting.config.retry;
    verdict
        .pause
        .filter(|pause| !pause.is_zero())
        .unwrap_or_else(|| full_jitter(retry.base, retry.cap, setting.throttles.saturating_add(1), 1.0))
}

/// An answer ends an outage; one that is neither a refusal nor a breakdown also says that the credentials work.
pub(crate) fn recovered(health: &Health, status: u16) -> Option<Health> {
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
