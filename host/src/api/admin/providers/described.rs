//! What providers, components and activations look like from outside.

use super::{
    grants::{MissingGrant, ProviderGrant},
    page,
    types::Timestamp,
};
use crate::{
    Error, Result,
    providers::{
        grant::Missing,
        registry::inspect::{Inspected, Inspection},
    },
    store::{
        activations::{self as rows, WHOLE},
        processes::Process,
        provider_calls::Log,
        providers::Artifact,
    },
};
use poem_openapi::{Object, types::Any};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

/// Where a component is.
#[derive(Object)]
pub(super) struct ComponentAddress {
    /// An address that begins with `https` and answers with the component itself: redirects are
    /// not followed.
    #[oai(validator(max_length = 2000))]
    url: String,
    /// SHA-256 of the component in hexadecimal.
    #[oai(validator(pattern = "^[0-9a-fA-F]{64}$"))]
    sha256: String,
}

impl ComponentAddress {
    pub(super) fn checked(self) -> Result<(Url, String)> {
        let url = Url::parse(&self.url)
            .map_err(|err| Error::invalid("/url", format!("is no URL: {err}")))?;
        Ok((url, self.sha256))
    }
}

/// What a provider has in service.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct InstalledSummary {
    /// Its key.
    provider: String,
    /// Version of the component that everybody gets; absent when the provider is disabled.
    version: Option<String>,
    /// SHA-256 of that component.
    digest: Option<String>,
    /// SHA-256 of the component that a share of the runs gets.
    canary: Option<String>,
    /// That share, from 0 to 1.
    canary_weight: Option<f64>,
    /// Workspaces that a component is pinned for.
    pins: usize,
    /// Components that are kept, newest first.
    versions: Vec<KeptVersion>,
}

/// A component that is kept.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct KeptVersion {
    version: String,
    digest: String,
    /// Why nobody should put it in service.
    quarantine: Option<String>,
    installed_at: Timestamp,
}

/// Every installed provider.
#[derive(Object)]
pub(super) struct InstalledList {
    pub(super) data: Vec<InstalledSummary>,
    /// Grows with every change; each worker says which one it has in service.
    pub(super) generation: i64,
}

/// A provider with everything about it.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct InstalledProvider {
    /// Its key.
    provider: String,
    generation: i64,
    /// What its slots hold; a slot that is empty is left out.
    slots: Vec<Activation>,
    /// Newest first.
    components: Vec<InstalledComponent>,
    grant: Option<ProviderGrant>,
    /// The last twenty lines of the activation log, newest first.
    history: Vec<Activation>,
    processes: Vec<ProviderProcess>,
}

/// What a process has in service.
#[derive(Object)]
struct ProviderProcess {
    id: Uuid,
    role: String,
    host: String,
    generation: i64,
    seen_at: Timestamp,
}

/// A component that is installed.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct InstalledComponent {
    /// SHA-256 of its bytes, which names it.
    digest: String,
    version: String,
    /// Version of the interface that it was built for.
    wit_version: String,
    /// Bytes of the component.
    size: i64,
    /// It imports nothing, so it can only compute.
    pure: bool,
    imports: Vec<String>,
    /// What to mind before granting it anything.
    warnings: Vec<String>,
    /// What it says about itself.
    manifest: Any<Value>,
    /// What it asks for beyond what its provider is granted: it needs a new grant first.
    missing: MissingGrant,
    /// Public key of the publisher who signed it.
    signed_by: Option<String>,
    installed_by: String,
    installed_at: Timestamp,
    /// Why nobody should put it in service.
    quarantine: Option<String>,
    quarantined_at: Option<Timestamp>,
    /// When its bytes were removed.
    deleted_at: Option<Timestamp>,
    /// Its calls of the last 24 hours; absent when it was just installed.
    calls: Option<ComponentCalls>,
    /// Processes that have it ready.
    ready_in: Vec<Uuid>,
    /// Why processes could not load it.
    errors: Vec<String>,
}

/// How calls went.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct ComponentCalls {
    succeeded: i64,
    /// Failed by the component's own fault.
    guest_failures: i64,
    /// Failed by the installation's fault.
    host_failures: i64,
    /// Failed by the vendor's fault.
    vendor_failures: i64,
    /// From 0 to 1; absent without a call.
    success_rate: Option<f64>,
    /// Within which 95 of 100 calls ended, to a quarter; absent without a call.
    p95_ms: Option<i64>,
    /// Spent, in millionths of a US dollar.
    cost_micros: i64,
}

/// A line of the activation log.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct Activation {
    id: i64,
    /// `main`, `canary` or `pin`.
    slot: String,
    /// Whose pin it is.
    workspace_id: Option<Uuid>,
    /// Share of the runs, from 0 to 1, for a canary.
    weight: Option<f64>,
    /// SHA-256 of the component; absent when the slot was emptied.
    digest: Option<String>,
    /// `preparing`, `active`, `refused` or `superseded`.
    state: String,
    /// When it took effect, in the order of all changes.
    generation: Option<i64>,
    /// The activation that a rollback went back to.
    restores: Option<i64>,
    /// Why it was refused.
    detail: Option<String>,
    activated_by: String,
    reason: String,
    created_at: Timestamp,
    settled_at: Option<Timestamp>,
}

/// A component to put in service.
#[derive(Object)]
pub(super) struct ActivationRequest {
    /// SHA-256 of the component.
    pub(super) digest: String,
    /// Only for this workspace.
    pub(super) workspace_id: Option<Uuid>,
    /// For the log.
    #[oai(default, validator(max_length = 500))]
    pub(super) reason: String,
    /// Also when it is older than what is in service, or quarantined, which this ends.
    #[oai(default)]
    pub(super) force: bool,
}

/// A component to try.
#[derive(Object)]
pub(super) struct CanaryRequest {
    /// SHA-256 of the component.
    pub(super) digest: String,
    /// Share of the runs, from 0.001 to 1.
    #[oai(validator(minimum(value = "0.001"), maximum(value = "1")))]
    pub(super) weight: f64,
    /// For the log.
    #[oai(default, validator(max_length = 500))]
    pub(super) reason: String,
    /// Also when it is older than what is in service, or quarantined, which this ends.
    #[oai(default)]
    pub(super) force: bool,
}

/// Why something is done.
#[derive(Object)]
pub(super) struct RollbackRequest {
    /// For the log.
    #[oai(default, validator(max_length = 500))]
    pub(super) reason: String,
}

/// What to take out of service.
#[derive(Object)]
pub(super) struct DisableRequest {
    /// Only what is pinned for this workspace.
    pub(super) workspace_id: Option<Uuid>,
    /// For the log.
    #[oai(default, validator(max_length = 500))]
    pub(super) reason: String,
}

/// Slots that were emptied.
#[derive(Object)]
pub(super) struct Emptied {
    pub(super) data: Vec<Activation>,
}

/// What this process has in service after a reload.
#[derive(Object)]
pub(super) struct Reload {
    pub(super) generation: i64,
}

/// Components whose bytes were removed.
#[derive(Object)]
pub(super) struct Deletion {
    pub(super) digests: Vec<String>,
}

/// What a component said in one call, and how it failed.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct ProviderLog {
    id: i64,
    /// SHA-256 of the component.
    digest: String,
    workspace_id: Uuid,
    run_id: Uuid,
    attempt: i64,
    /// By whose fault the call failed: `guest`, `host` or `vendor`; absent when it did not fail.
    blame: Option<String>,
    /// How it failed, such as `trap`.
    class: Option<String>,
    message: Option<String>,
    /// What it logged: `level` and `message` each.
    lines: Any<Value>,
    /// The beginning of what it wrote to stderr.
    stderr: String,
    /// Frames of a crash, innermost first.
    backtrace: Any<Value>,
    at: Timestamp,
}

page! {
    /// A page of what components said, newest first.
    LogPage of ProviderLog
}

impl InstalledSummary {
    pub(super) fn all(artifacts: &[Artifact], slots: &[rows::Activation]) -> Vec<Self> {
        let mut keys: Vec<_> = artifacts.iter().map(|row| row.provider_key.as_str()).collect();
        keys.dedup();
        keys.into_iter().map(|key| Self::of(key, artifacts, slots)).collect()
    }

    fn of(key: &str, artifacts: &[Artifact], slots: &[rows::Activation]) -> Self {
        let of_this = || slots.iter().filter(|slot| slot.provider_key == key);
        let main = of_this().find(|slot| slot.slot == "main").and_then(|slot| slot.digest.clone());
        let canary = of_this().find(|slot| slot.slot == "canary");
        let serving = artifacts.iter().find(|row| Some(&row.digest) == main.as_ref());
        let kept = artifacts.iter().filter(|row| row.provider_key == key);
        InstalledSummary {
            provider: key.into(),
            version: serving.map(|row| row.version.clone()),
            digest: main.map(hex::encode),
            canary: canary.and_then(|slot| slot.digest.as_ref().map(hex::encode)),
            canary_weight: canary.map(share),
            pins: of_this().filter(|slot| slot.slot == "pin").count(),
            versions: kept
                .filter(|row| row.deleted_at.is_none())
                .map(|row| KeptVersion {
                    version: row.version.clone(),
                    digest: hex::encode(&row.digest),
                    quarantine: row.quarantine_reason.clone(),
                    installed_at: row.created_at.into(),
                })
                .collect(),
        }
    }
}

impl InstalledProvider {
    pub(super) fn of(found: Inspection) -> Self {
        let Inspection { key, generation, slots, components, grant, history, processes } = found;
        InstalledProvider {
            provider: key,
            generation,
            slots: slots.into_iter().map(Into::into).collect(),
            components: components.into_iter().map(Into::into).collect(),
            grant: grant.map(Into::into),
            history: history.into_iter().map(Into::into).collect(),
            processes: processes.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Process> for ProviderProcess {
    fn from(row: Process) -> Self {
        ProviderProcess {
            id: row.id.0,
            role: row.role,
            host: row.host,
            generation: row.provider_generation,
            seen_at: row.seen_at.into(),
        }
    }
}

impl InstalledComponent {
    pub(super) fn new(artifact: Artifact, missing: Missing) -> Self {
        let Artifact {
            digest,
            provider_key: _,
            version,
            wit_version,
            pure,
            imports,
            manifest,
            size,
            warnings,
            uploaded_by,
            signature: _,
            publisher_key,
            quarantined_at,
            quarantine_reason,
            deleted_at,
            created_at,
        } = artifact;
        InstalledComponent {
            digest: hex::encode(digest),
            version,
            wit_version,
            size,
            pure,
            imports: imports.0,
            warnings: warnings.0,
            manifest: Any(manifest.0),
            missing: missing.into(),
            signed_by: publisher_key.map(hex::encode),
            installed_by: uploaded_by,
            installed_at: created_at.into(),
            quarantine: quarantine_reason,
            quarantined_at: quarantined_at.map(Into::into),
            deleted_at: deleted_at.map(Into::into),
            calls: None,
            ready_in: vec![],
            errors: vec![],
        }
    }
}

impl From<Inspected> for InstalledComponent {
    fn from(found: Inspected) -> Self {
        let success_rate = found.success_rate();
        let Inspected { artifact, missing, calls, p95_ms, readiness } = found;
        let ready = readiness.iter().filter(|row| row.ready).map(|row| row.process_id.0);
        InstalledComponent {
            calls: Some(ComponentCalls {
                succeeded: calls.succeeded,
                guest_failures: calls.guest,
                host_failures: calls.host,
                vendor_failures: calls.vendor,
                success_rate,
                p95_ms,
                cost_micros: calls.cost_micros,
            }),
            ready_in: ready.collect(),
            errors: readiness.iter().filter_map(|row| row.error.clone()).collect(),
            ..InstalledComponent::new(artifact, missing)
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "thousandths")]
fn share(slot: &rows::Activation) -> f64 {
    slot.weight as f64 / WHOLE as f64
}

impl From<rows::Activation> for Activation {
    fn from(row: rows::Activation) -> Self {
        let weight = (row.slot == "canary" && row.digest.is_some()).then(|| share(&row));
        let rows::Activation {
            id,
            provider_key: _,
            slot,
            workspace_id,
            weight: _,
            digest,
            grant_id: _,
            state,
            generation,
            restores,
            detail,
            activated_by,
            reason,
            created_at,
            settled_at,
        } = row;
        Activation {
            id,
            workspace_id: (slot == "pin").then_some(workspace_id.0),
            slot,
            weight,
            digest: digest.map(hex::encode),
            state,
            generation,
            restores,
            detail,
            activated_by,
            reason,
            created_at: created_at.into(),
            settled_at: settled_at.map(Into::into),
        }
    }
}

impl From<Log> for ProviderLog {
    fn from(row: Log) -> Self {
        let Log {
            id,
            provider_key: _,
            digest,
            workspace_id,
            run_id,
            attempt,
            blame,
            class,
            message,
            lines,
            stderr,
            backtrace,
            created_at,
        } = row;
        ProviderLog {
            id,
            digest: hex::encode(digest),
            workspace_id: workspace_id.0,
            run_id: run_id.0,
            attempt,
            blame,
            class,
            message,
            lines: Any(lines.0),
            stderr,
            backtrace: Any(backtrace.0),
            at: created_at.into(),
        }
    }
}
