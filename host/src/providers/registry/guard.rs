//! Takes a component out of service that fails again and again by its own fault, and a canary that
//! fails more often than the component it should replace.
//!
//! **Invariant:** what fails is what counts, over all processes: so many different runs in a row,
//! without a sound call in between. One poisonous prompt takes nothing out of service.
//! **Invariant:** a canary is held against the main component over the same time, so that what both
//! suffer from, such as a vendor in trouble, condemns neither.
//! **Invariant:** a provider is not left without a component: with nothing to go back to, the one
//! in service stays.

use super::{Registry, activate};
use crate::{
    Result,
    store::{
        Conn,
        activations::{self, Activation},
        audit_logs::{self, Actor},
        provider_calls::{self, CallMinute},
        providers,
    },
    telemetry::metrics,
};
use aiv_analysis::metrics::wilson;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

/// How far back failures count.
const WINDOW: TimeDelta = TimeDelta::minutes(10);

/// How far back a canary's calls count at most.
const LONGEST: TimeDelta = TimeDelta::days(1);

/// Sound calls of other processes are known this much later.
const SETTLED: TimeDelta = TimeDelta::milliseconds(1500);

impl Registry {
    /// Takes out what fails; returns the keys of the providers concerned.
    pub async fn guard(&self) -> Result<Vec<String>> {
        let now = self.0.clock.now();
        let mut conn = self.0.store.read().await?;
        let mut failing = failing(&mut conn, self.0.quarantine_after, now).await?;
        failing.extend(worse_canaries(&mut conn, &self.0.canary, now).await?);
        drop(conn);
        let mut concerned = Vec::new();
        for found in failing {
            let mut tx = self.0.store.begin().await?;
            // What changes nothing must not count as a change either: others would build their
            // catalogues anew for as long as it is looked for.
            if quarantine(&mut tx, &found, now).await? {
                tx.commit().await?;
                concerned.push(found.provider_key);
            }
        }
        if !concerned.is_empty() {
            self.refresh().await?;
            self.wake();
        }
        Ok(concerned)
    }
}

/// When a canary fails too often.
#[derive(Debug, Clone, Copy)]
pub(super) struct CanaryRule {
    /// Calls before it is judged.
    pub(super) calls: i64,
    /// By how much it may fail more often than the main component, from 0 to 1.
    pub(super) margin: f64,
}

/// A component that should be in service no longer.
struct Found {
    provider_key: String,
    digest: Vec<u8>,
    reason: String,
}

async fn failing(conn: &mut Conn, runs: i64, now: DateTime<Utc>) -> Result<Vec<Found>> {
    let found = provider_calls::failing(conn, runs, now - WINDOW, now - SETTLED).await?;
    let found = found.into_iter().map(|failing| {
        let reason = format!("it failed {} runs in a row by its own fault", failing.runs);
        Found { provider_key: failing.provider_key, digest: failing.digest, reason }
    });
    Ok(found.collect())
}

/// Canaries that fail more often than the main component since they are tried.
async fn worse_canaries(
    conn: &mut Conn,
    rule: &CanaryRule,
    now: DateTime<Utc>,
) -> Result<Vec<Found>> {
    let slots = activations::current(conn, None).await?;
    let mut found = Vec::new();
    for canary in slots.iter().filter(|slot| slot.slot == "canary") {
        let is_main =
            |slot: &&Activation| slot.slot == "main" && slot.provider_key == canary.provider_key;
        let (Some(main), Some(digest)) = (slots.iter().find(is_main), &canary.digest) else {
            continue;
        };
        let tried = canary.settled_at.max(main.settled_at).unwrap_or(now);
        // Calls are counted by the minute that they began in.
        let from = (now - LONGEST).max(tried - TimeDelta::minutes(1));
        let calls = provider_calls::since(conn, &canary.provider_key, from).await?;
        let of = |digest: &[u8]| {
            let calls = calls.iter().find(|calls| calls.digest == digest);
            calls.map(Failures::of).unwrap_or_default()
        };
        let (tried, usual) = (of(digest), main.digest.as_deref().map(of).unwrap_or_default());
        if rule.condemns(tried, usual) {
            let reason = format!(
                "as a canary it failed {} of {} calls, while the main component failed {} of {}",
                tried.failed, tried.calls, usual.failed, usual.calls
            );
            let (provider_key, digest) = (canary.provider_key.clone(), digest.clone());
            found.push(Found { provider_key, digest, reason });
        }
    }
    Ok(found)
}

/// Calls, and those of them that the component may have spoilt.
#[derive(Debug, Clone, Copy, Default)]
struct Failures {
    calls: i64,
    failed: i64,
}

impl Failures {
    /// Failures of the installation tell nothing of a component.
    fn of(calls: &CallMinute) -> Self {
        let CallMinute { succeeded, guest, vendor, suspect, .. } = calls;
        Failures { calls: succeeded + guest + vendor, failed: guest + suspect }
    }

    /// Between which rates the true one lies, 95 times of 100.
    fn interval(self) -> (f64, f64) {
        #[expect(clippy::cast_precision_loss, reason = "counts of a day are far below 2^52")]
        let (failed, calls) = (self.failed as f64, self.calls as f64);
        wilson(if calls > 0.0 { failed / calls } else { 0.0 }, calls)
    }
}

impl CanaryRule {
    /// Whether a canary fails more often, beyond chance and by enough to matter: the least that its
    /// rate may be lies above the most that the main one's may be, by the margin. Intervals apart
    /// are stricter than a test of the difference, which they should be: it is looked at again and
    /// again.
    fn condemns(self, canary: Failures, main: Failures) -> bool {
        canary.calls >= self.calls && canary.interval().0 > main.interval().1 + self.margin
    }
}

/// Takes a component out of every slot where something else can take its place.
async fn quarantine(conn: &mut Conn, found: &Found, now: DateTime<Utc>) -> Result<bool> {
    let generation = activations::next_generation(conn).await?;
    let provider = found.provider_key.as_str();
    let open = activations::preparing(conn).await?;
    if open.iter().any(|row| row.provider_key == provider) {
        // Somebody is at it already, perhaps this very guard in another process.
        return Ok(false);
    }
    let actor = Actor { workspace: None, name: "system:guard".into(), request_id: None };
    let reason = found.reason.as_str();
    let mut emptied = Vec::new();
    for slot in activations::current(conn, Some(provider)).await? {
        if slot.digest.as_deref() != Some(found.digest.as_slice()) {
            continue;
        }
        if slot.slot == "main" {
            let back = activate::restore(conn, provider, generation, reason, &actor, now).await?;
            if back.is_none() {
                continue;
            }
        } else {
            activate::empty(conn, &slot, generation, &actor, reason, now).await?;
        }
        emptied.push(slot.slot);
    }
    if emptied.is_empty() {
        return Ok(false);
    }
    providers::quarantine(conn, &found.digest, Some(reason), now).await?;
    let what = json!({
        "digest": hex::encode(&found.digest), "reason": reason, "slots": emptied,
    });
    audit_logs::note(conn, &actor, "provider.quarantine", provider, what, now).await?;
    metrics::plugin_swap(provider, "quarantined");
    tracing::error!(
        provider.key = provider,
        provider.digest = hex::encode(&found.digest),
        "a component is quarantined: {reason}"
    );
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_condemned_beyond_chance_and_by_enough() {
        let rule = CanaryRule { calls: 20, margin: 0.05 };
        let failures = |failed, calls| Failures { calls, failed };
        for (canary, main, condemned) in [
            (failures(8, 20), failures(0, 100), true),
            (failures(19, 19), failures(0, 100), false),
            (failures(3, 20), failures(0, 100), false),
            // Nothing to hold it against.
            (failures(20, 20), failures(0, 0), false),
            // Both suffer.
            (failures(30, 50), failures(55, 100), false),
            // Worse for certain, and by too little to matter.
            (failures(400, 10_000), failures(100, 10_000), false),
            (failures(900, 10_000), failures(100, 10_000), true),
        ] {
            assert_eq!(rule.condemns(canary, main), condemned, "{canary:?} and {main:?}");
        }
    }
}
