//! Takes a component out of service that fails again and again by its own fault.
//!
//! **Invariant:** what fails is what counts, over all processes: so many different runs in a row,
//! without a sound call in between. One poisonous prompt takes nothing out of service.
//! **Invariant:** a provider is not left without a component: with nothing to go back to, the one
//! in service stays.

use super::{Registry, activate};
use crate::{
    Result,
    store::{
        Conn, activations,
        audit_logs::{self, Actor},
        provider_calls::{self, Failing},
        providers,
    },
    telemetry::metrics,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

/// How far back failures count.
const WINDOW: TimeDelta = TimeDelta::minutes(10);

/// Sound calls of other processes are known this much later.
const SETTLED: TimeDelta = TimeDelta::milliseconds(1500);

impl Registry {
    /// Takes out what fails; returns the keys of the providers concerned.
    pub async fn guard(&self) -> Result<Vec<String>> {
        let now = self.0.clock.now();
        let mut conn = self.0.store.read().await?;
        let failing = failing(&mut conn, self.0.quarantine_after, now).await?;
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

async fn failing(conn: &mut Conn, runs: i64, now: DateTime<Utc>) -> Result<Vec<Failing>> {
    provider_calls::failing(conn, runs, now - WINDOW, now - SETTLED).await
}

/// Takes a component out of every slot where something else can take its place.
async fn quarantine(conn: &mut Conn, found: &Failing, now: DateTime<Utc>) -> Result<bool> {
    let generation = activations::next_generation(conn).await?;
    let provider = found.provider_key.as_str();
    let open = activations::preparing(conn).await?;
    if open.iter().any(|row| row.provider_key == provider) {
        // Somebody is at it already, perhaps this very guard in another process.
        return Ok(false);
    }
    let actor = Actor { workspace: None, name: "system:guard".into(), request_id: None };
    let reason = format!("it failed {} runs in a row by its own fault", found.runs);
    let mut emptied = Vec::new();
    for slot in activations::current(conn, Some(provider)).await? {
        if slot.digest.as_deref() != Some(found.digest.as_slice()) {
            continue;
        }
        if slot.slot == "main" {
            let back = activate::restore(conn, provider, generation, &reason, &actor, now).await?;
            if back.is_none() {
                continue;
            }
        } else {
            activate::empty(conn, &slot, generation, &actor, &reason, now).await?;
        }
        emptied.push(slot.slot);
    }
    if emptied.is_empty() {
        return Ok(false);
    }
    providers::quarantine(conn, &found.digest, Some(&reason), now).await?;
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
