//! What operators do to slots, from the API and from the command line.
//!
//! **Invariant:** each deed leaves a line in the activation log and one in the audit log, in one
//! transaction.

use super::{digest, settle};
use crate::{
    Error, Result,
    config::SignaturePolicy,
    ids::WorkspaceId,
    providers::{Grant, grant::Missing, signature},
    store::{
        Conn,
        activations::{self, Activation, NO_WORKSPACE, NewActivation, WHOLE},
        audit_logs::{self, Actor},
        hints,
        providers::{self, Artifact},
    },
    telemetry::metrics,
};
use aiv_runtime::types::Manifest;
use anyhow::Context;
use chrono::{DateTime, Utc};
use semver::Version;
use serde_json::json;

/// What a component should serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Everybody who is neither pinned nor picked.
    Main,
    /// So many thousandths of the runs.
    Canary(i64),
    /// One workspace.
    Pin(WorkspaceId),
}

/// A component that somebody wants in service.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    pub provider: &'a str,
    pub digest: Vec<u8>,
    pub slot: Slot,
    pub reason: String,
    /// Also when it is older than what is in service, or quarantined, which this ends.
    pub force: bool,
}

impl<'a> Wish<'a> {
    /// For everybody, without more ado.
    pub fn main(provider: &'a str, digest: Vec<u8>) -> Self {
        Wish { provider, digest, slot: Slot::Main, reason: String::new(), force: false }
    }
}

impl Slot {
    fn name(self) -> &'static str {
        match self {
            Slot::Main => "main",
            Slot::Canary(_) => "canary",
            Slot::Pin(_) => "pin",
        }
    }

    fn workspace(self) -> WorkspaceId {
        match self {
            Slot::Main | Slot::Canary(_) => NO_WORKSPACE,
            Slot::Pin(workspace) => workspace,
        }
    }
}

/// Wants a component in a slot. It is there once all workers have it ready, which may be now.
pub async fn activate(
    conn: &mut Conn,
    policy: SignaturePolicy,
    wish: Wish<'_>,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Activation> {
    let Wish { provider, digest: wanted, slot, reason, force } = wish;
    let generation = activations::next_generation(conn).await?;
    let artifact = providers::find_artifact(conn, provider, &wanted).await?;
    if artifact.deleted_at.is_some() {
        return Err(Error::Conflict("the component's bytes were removed: upload it again".into()));
    }
    if let Some(why) = &artifact.quarantine_reason {
        if !force {
            let detail = format!("the component is quarantined: {why}; `force` ends that");
            return Err(Error::Conflict(detail));
        }
        providers::quarantine(conn, &wanted, None, now).await?;
    }
    let named = digest(&wanted).context("a digest has 32 bytes")?;
    let signed = signature::stored(&artifact);
    signature::check(conn, policy, named, signed.as_ref()).await?;
    if !matches!(slot, Slot::Pin(_)) && !force {
        check_age(conn, &artifact).await?;
    }
    let granted = check_grant(conn, &artifact).await?;
    let weight = match slot {
        Slot::Canary(weight) if (1..=WHOLE).contains(&weight) => weight,
        Slot::Canary(_) => {
            return Err(Error::invalid("/weight", "must be from 0.001 to 1"));
        }
        Slot::Main | Slot::Pin(_) => WHOLE,
    };
    if slot == Slot::Main {
        // Everybody's component needs no canary of itself.
        for canary in current(conn, provider, "canary").await? {
            if canary.digest.as_deref() == Some(wanted.as_slice()) {
                empty(conn, &canary, generation, actor, "it is for everybody now", now).await?;
            }
        }
    }
    let new = NewActivation {
        provider_key: provider,
        slot: slot.name(),
        workspace: slot.workspace(),
        weight,
        digest: Some(&wanted),
        grant: Some(granted),
        restores: None,
        by: &actor.name,
        reason: &reason,
    };
    let activation = activations::insert(conn, &new, now).await?;
    let action = if slot.name() == "canary" { "provider.canary" } else { "provider.activate" };
    let what = json!({
        "activation": activation.id, "digest": named.to_string(), "version": artifact.version,
        "slot": activation.slot, "workspace": pinned(&activation), "weight": weight,
        "force": force, "reason": reason,
    });
    audit_logs::note(conn, actor, action, provider, what, now).await?;
    finish(conn, activation, generation, now).await
}

/// Goes back: ends the canary if there is one, and else puts the component before in service.
pub async fn rollback(
    conn: &mut Conn,
    provider: &str,
    reason: &str,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Activation> {
    let generation = activations::next_generation(conn).await?;
    known(conn, provider).await?;
    if let Some(canary) = current(conn, provider, "canary").await?.pop() {
        return empty(conn, &canary, generation, actor, reason, now).await;
    }
    restore(conn, provider, generation, reason, actor, now).await?.ok_or_else(|| {
        Error::Conflict(
            "there is no earlier component to go back to that is not quarantined".into(),
        )
    })
}

/// Puts the component before in service, if there is one.
pub(super) async fn restore(
    conn: &mut Conn,
    provider: &str,
    generation: i64,
    reason: &str,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Option<Activation>> {
    let Some(target) = activations::previous(conn, provider).await? else { return Ok(None) };
    let new = NewActivation {
        provider_key: provider,
        slot: "main",
        workspace: NO_WORKSPACE,
        weight: WHOLE,
        digest: target.digest.as_deref(),
        grant: target.grant_id,
        // What a rollback went back to stands for it.
        restores: Some(target.restores.unwrap_or(target.id)),
        by: &actor.name,
        reason,
    };
    let activation = activations::insert(conn, &new, now).await?;
    let what = json!({
        "activation": activation.id, "restores": target.id, "reason": reason,
        "digest": target.digest.as_ref().map(hex::encode),
    });
    audit_logs::note(conn, actor, "provider.rollback", provider, what, now).await?;
    finish(conn, activation, generation, now).await.map(Some)
}

/// Takes a provider out of service, or a workspace's pin away. Doing it again changes nothing.
pub async fn disable(
    conn: &mut Conn,
    provider: &str,
    workspace: Option<WorkspaceId>,
    reason: &str,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Vec<Activation>> {
    let generation = activations::next_generation(conn).await?;
    known(conn, provider).await?;
    let slots = activations::current(conn, Some(provider)).await?;
    let mut emptied = Vec::new();
    for slot in slots {
        let meant = match workspace {
            Some(workspace) => slot.slot == "pin" && slot.workspace_id == workspace,
            None => slot.slot != "pin",
        };
        if meant {
            emptied.push(empty(conn, &slot, generation, actor, reason, now).await?);
        }
    }
    Ok(emptied)
}

/// Empties a slot at once: there is nothing to prepare.
pub(super) async fn empty(
    conn: &mut Conn,
    slot: &Activation,
    generation: i64,
    actor: &Actor,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<Activation> {
    let name = match slot.slot.as_str() {
        "canary" => "canary",
        "pin" => "pin",
        _ => "main",
    };
    let new = NewActivation {
        provider_key: &slot.provider_key,
        slot: name,
        workspace: slot.workspace_id,
        weight: WHOLE,
        digest: None,
        grant: None,
        restores: None,
        by: &actor.name,
        reason,
    };
    let activation = activations::insert(conn, &new, now).await?;
    let what = json!({
        "activation": activation.id, "slot": name, "workspace": pinned(&activation),
        "digest": slot.digest.as_ref().map(hex::encode), "reason": reason,
    });
    let action = if name == "canary" { "provider.end_canary" } else { "provider.disable" };
    audit_logs::note(conn, actor, action, &slot.provider_key, what, now).await?;
    finish(conn, activation, generation, now).await
}

/// Settles the activation if nothing is left to prepare, and tells the other processes.
async fn finish(
    conn: &mut Conn,
    activation: Activation,
    generation: i64,
    now: DateTime<Utc>,
) -> Result<Activation> {
    settle::settle_one(conn, &activation, generation, now).await?;
    hints::providers(conn).await?;
    activations::find(conn, activation.id).await
}

/// The grant that holds for a provider, with its number.
pub async fn grant(conn: &mut Conn, provider: &str) -> Result<Option<(i64, Grant)>> {
    let Some(row) = providers::find_grant(conn, provider).await? else { return Ok(None) };
    let grant = serde_json::from_value(row.grants.0).context("read a grant")?;
    Ok(Some((row.id, grant)))
}

/// Lets a provider do what `grant` says, at once, and no longer what it does not say.
pub async fn save_grant(
    conn: &mut Conn,
    provider: &str,
    grant: &Grant,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<i64> {
    activations::next_generation(conn).await?;
    let value = serde_json::to_value(grant).context("write a grant")?;
    let id = providers::insert_grant(conn, provider, &value, &actor.name, now).await?;
    audit_logs::note(conn, actor, "provider.grant", provider, value, now).await?;
    hints::providers(conn).await?;
    Ok(id)
}

/// Makes every process look at what is in service and build it anew.
pub async fn reload(
    conn: &mut Conn,
    provider: &str,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<()> {
    known(conn, provider).await?;
    activations::next_generation(conn).await?;
    audit_logs::note(conn, actor, "provider.reload", provider, json!({}), now).await?;
    hints::providers(conn).await
}

/// Removes the bytes of components that nothing needs any more; returns their digests.
pub async fn delete_unused(
    conn: &mut Conn,
    provider: &str,
    only: Option<&[u8]>,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<Vec<Vec<u8>>> {
    activations::next_generation(conn).await?;
    if let Some(digest) = only {
        providers::find_artifact(conn, provider, digest).await?;
    } else {
        known(conn, provider).await?;
    }
    let mut needed: Vec<_> = activations::current(conn, Some(provider)).await?;
    needed.extend(activations::preparing(conn).await?);
    needed.extend(activations::previous(conn, provider).await?);
    let needed: Vec<_> = needed.into_iter().filter_map(|slot| slot.digest).collect();
    let deleted = providers::delete_unused(conn, provider, only, &needed, now).await?;
    if only.is_some() && deleted.is_empty() {
        return Err(Error::Conflict(
            "the component is needed: it is in service, a rollback would go back to it, or a call \
             waits for it"
                .into(),
        ));
    }
    if !deleted.is_empty() {
        let what = json!({"digests": deleted.iter().map(hex::encode).collect::<Vec<_>>()});
        audit_logs::note(conn, actor, "provider.delete", provider, what, now).await?;
    }
    Ok(deleted)
}

/// What a component asks for beyond what its provider is granted.
pub async fn missing(conn: &mut Conn, artifact: &Artifact) -> Result<Missing> {
    let manifest: Manifest =
        serde_json::from_value(artifact.manifest.0.clone()).context("read a manifest")?;
    let grant = grant(conn, &artifact.provider_key).await?;
    Ok(grant.map(|(_, grant)| grant).unwrap_or_default().missing(&manifest))
}

async fn check_grant(conn: &mut Conn, artifact: &Artifact) -> Result<i64> {
    let missing = missing(conn, artifact).await?;
    let Some((id, _)) = grant(conn, &artifact.provider_key).await?.filter(|_| missing.is_empty())
    else {
        let what = if missing.is_empty() { "nothing yet".to_owned() } else { missing.to_string() };
        let detail = format!(
            "version {} asks for more than {} was granted: {what}; grant it first",
            artifact.version, artifact.provider_key
        );
        return Err(Error::Conflict(detail));
    };
    Ok(id)
}

/// A component that is older than what is in service comes back by a rollback only.
async fn check_age(conn: &mut Conn, artifact: &Artifact) -> Result<()> {
    let Some(now) = current(conn, &artifact.provider_key, "main").await?.pop() else {
        return Ok(());
    };
    let Some(serving) = now.digest else { return Ok(()) };
    if activations::was_main(conn, &artifact.provider_key, &artifact.digest).await? {
        return Ok(());
    }
    let serving = providers::find_artifact(conn, &artifact.provider_key, &serving).await?;
    let (Ok(wanted), Ok(present)) =
        (Version::parse(&artifact.version), Version::parse(&serving.version))
    else {
        return Ok(());
    };
    if wanted < present {
        let detail = format!(
            "version {wanted} is older than {present}, which is in service: `force` allows it"
        );
        return Err(Error::Conflict(detail));
    }
    Ok(())
}

async fn current(conn: &mut Conn, provider: &str, slot: &str) -> Result<Vec<Activation>> {
    let mut slots = activations::current(conn, Some(provider)).await?;
    slots.retain(|found| found.slot == slot);
    Ok(slots)
}

async fn known(conn: &mut Conn, provider: &str) -> Result<()> {
    if providers::list_artifacts(conn, Some(provider)).await?.is_empty() {
        return Err(Error::NotFound("provider"));
    }
    Ok(())
}

fn pinned(activation: &Activation) -> Option<WorkspaceId> {
    (activation.slot == "pin").then_some(activation.workspace_id)
}

/// Tells the metrics of a slot that changed.
pub(super) fn tell(activation: &Activation) {
    let outcome = match (&activation.digest, activation.restores) {
        (None, _) => "emptied",
        (Some(_), Some(_)) => "rolled_back",
        (Some(_), None) if activation.slot == "canary" => "canary",
        (Some(_), None) => "activated",
    };
    metrics::plugin_swap(&activation.provider_key, outcome);
}
