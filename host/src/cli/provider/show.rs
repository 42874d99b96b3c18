use super::Operator;
use crate::{
    cli::print,
    ids::RunId,
    providers::{Grant, registry::inspect::Inspection},
    store::{
        activations::{self, Activation, WHOLE},
        provider_calls, providers,
    },
};
use serde_json::{Value, json};

/// Every component that is kept, and where it serves.
pub(super) async fn list(operator: &Operator) -> anyhow::Result<()> {
    let mut conn = operator.store.read().await?;
    let artifacts = providers::list_artifacts(&mut conn, None).await?;
    let slots = activations::current(&mut conn, None).await?;
    drop(conn);
    let rows = artifacts.iter().filter(|artifact| artifact.deleted_at.is_none()).map(|artifact| {
        let serves: Vec<_> = slots
            .iter()
            .filter(|slot| slot.digest.as_ref() == Some(&artifact.digest))
            .map(place)
            .collect();
        vec![
            json!(artifact.provider_key),
            json!(artifact.version),
            json!(hex::encode(&artifact.digest)),
            json!(artifact.size),
            json!(serves.join(", ")),
            json!(artifact.quarantine_reason),
            json!(artifact.created_at),
        ]
    });
    let names =
        ["provider", "version", "digest", "bytes", "in_service", "quarantine", "installed_at"];
    operator.table(&names, rows.collect())
}

/// Where an activation serves, for a person.
fn place(slot: &Activation) -> String {
    match slot.slot.as_str() {
        "canary" => format!("canary {}.{} %", slot.weight * 100 / WHOLE, slot.weight % 10),
        "pin" => format!("workspace {}", slot.workspace_id),
        _ => "everybody".into(),
    }
}

/// All about a provider.
pub(super) fn inspection(operator: &Operator, found: &Inspection) -> anyhow::Result<()> {
    let components = found.components.iter().map(|component| {
        let artifact = &component.artifact;
        let serves: Vec<_> = found
            .slots
            .iter()
            .filter(|slot| slot.digest.as_ref() == Some(&artifact.digest))
            .map(place)
            .collect();
        let ready = component.readiness.iter().filter(|row| row.ready).count();
        let calls = &component.calls;
        vec![
            json!(artifact.version),
            json!(hex::encode(&artifact.digest)),
            json!(artifact.size),
            json!(if artifact.pure { "none".into() } else { artifact.imports.join(" ") }),
            json!(serves.join(", ")),
            json!(artifact.quarantine_reason),
            json!(component.missing.to_string()),
            json!(ready),
            json!(calls.succeeded + calls.guest + calls.host + calls.vendor),
            json!(component.success_rate()),
            json!(component.p95_ms),
            json!(calls.cost_micros),
        ]
    });
    let names = [
        "version",
        "digest",
        "bytes",
        "imports",
        "in_service",
        "quarantine",
        "not_granted",
        "ready_in",
        "calls_24h",
        "success_rate",
        "p95_ms",
        "spent_micros",
    ];
    let components: Vec<_> = components.collect();
    if operator.is_json() {
        let as_object = |row: Vec<Value>| -> Value {
            names.iter().map(|name| (*name).to_owned()).zip(row).collect()
        };
        let document = json!({
            "provider": found.key,
            "generation": found.generation,
            "components": components.into_iter().map(as_object).collect::<Vec<_>>(),
            "grant": found.grant.as_ref().map(|(id, grant)| json!({"id": id, "grant": grant})),
            "history": found.history.iter().map(line).collect::<Vec<_>>(),
            "processes": found.processes.iter().map(|process| json!({
                "id": process.id, "role": process.role, "host": process.host,
                "generation": process.provider_generation,
            })).collect::<Vec<_>>(),
        });
        return Ok(print(serde_json::to_string_pretty(&document)?)?);
    }
    operator.table(&names, components)?;
    if let Some((id, grant)) = &found.grant {
        self::grant(operator, &found.key, *id, grant)?;
    }
    let history = found.history.iter().map(|row| {
        vec![
            json!(row.generation),
            json!(row.state),
            json!(place(row)),
            json!(row.digest.as_ref().map(|digest| hex::encode(&digest[..4.min(digest.len())]))),
            json!(row.activated_by),
            json!(row.reason),
            json!(row.created_at),
        ]
    });
    let names = ["generation", "state", "slot", "digest", "by", "reason", "at"];
    operator.table(&names, history.collect())?;
    let processes = found.processes.iter().map(|process| {
        vec![
            json!(process.id),
            json!(process.role),
            json!(process.host),
            json!(process.provider_generation),
        ]
    });
    operator.table(&["process", "role", "host", "generation"], processes.collect())
}

fn line(row: &Activation) -> Value {
    json!({
        "id": row.id, "slot": row.slot, "state": row.state, "generation": row.generation,
        "digest": row.digest.as_ref().map(hex::encode), "by": row.activated_by,
        "reason": row.reason, "detail": row.detail, "at": row.created_at,
    })
}

/// An activation that took effect.
pub(super) fn activation(operator: &Operator, row: &Activation) -> anyhow::Result<()> {
    let (key, place) = (&row.provider_key, place(row));
    let sentence = match &row.digest {
        Some(digest) => format!("{key}: {} serves {place}", hex::encode(digest)),
        None => format!("{key}: nothing serves {} any more", row.slot),
    };
    operator.say(&sentence, &line(row))
}

/// What a provider may do.
pub(super) fn grant(
    operator: &Operator,
    provider: &str,
    id: i64,
    grant: &Grant,
) -> anyhow::Result<()> {
    let sentence = format!(
        "grant {id} of {provider}: hosts {}; credentials {}; {} MiB and {} ms per step",
        grant.hosts.join(", "),
        grant.credentials.join(", "),
        grant.memory_bytes >> 20,
        grant.cpu_ms,
    );
    operator.say(&sentence, &json!({"provider": provider, "id": id, "grant": grant}))
}

/// What components said and how they failed, newest first.
pub(super) async fn logs(
    operator: &Operator,
    provider: &str,
    digest: Option<&[u8]>,
    run: Option<RunId>,
    limit: i64,
) -> anyhow::Result<()> {
    let mut conn = operator.store.read().await?;
    let rows = provider_calls::logs(&mut conn, provider, digest, run, None, limit).await?;
    drop(conn);
    if operator.is_json() {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({
                    "at": row.created_at, "digest": hex::encode(&row.digest), "run": row.run_id,
                    "attempt": row.attempt, "blame": row.blame, "class": row.class,
                    "message": row.message, "lines": row.lines.0, "stderr": row.stderr,
                    "backtrace": row.backtrace.0,
                })
            })
            .collect();
        return Ok(print(serde_json::to_string_pretty(&rows)?)?);
    }
    for row in rows {
        let failed = match (&row.blame, &row.class) {
            (Some(blame), Some(class)) => format!("{class}, the {blame}'s fault"),
            _ => "ok".into(),
        };
        let digest = hex::encode(&row.digest[..4.min(row.digest.len())]);
        print(format_args!("{} {digest} run {} ({failed})", row.created_at, row.run_id))?;
        if let Some(message) = &row.message {
            print(format_args!("  {message}"))?;
        }
        for line in row.lines.0.as_array().into_iter().flatten() {
            let (level, message) = (&line["level"], &line["message"]);
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            print(format_args!("  {}: {}", text(level), text(message)))?;
        }
        for line in row.stderr.lines() {
            print(format_args!("  stderr: {line}"))?;
        }
        for frame in row.backtrace.0.as_array().into_iter().flatten() {
            print(format_args!("    at {}", frame.as_str().unwrap_or_default()))?;
        }
    }
    Ok(())
}
