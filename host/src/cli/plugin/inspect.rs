//! What a component is and what it asks for.

use super::{
    super::print,
    workbench::{self, Workbench},
};
use crate::providers::{Grant, credentials};
use aiv_runtime::{Admission, types::Surface};
use std::{path::Path, process::ExitCode};

pub(super) async fn run(component: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let workbench = Workbench::new()?;
    let admission = workbench.runtime.admit(&workbench::read(component)?).await?;
    if json {
        print(serde_json::to_string_pretty(&admission)?)?;
    } else {
        print(summary(&admission))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(admission: &Admission) -> String {
    let manifest = &admission.manifest;
    let mut lines = vec![
        format!("{} {} · {}", manifest.key, manifest.version, manifest.display_name),
        format!("├─ {}", manifest.description),
        format!("├─ digest       {}", admission.digest),
        format!("├─ size         {} bytes", admission.size),
        format!("├─ interface    aiv:provider {}", admission.wit_version),
    ];
    if admission.pure {
        lines.push("├─ imports      none: it can only compute".to_owned());
    } else {
        lines.push("├─ imports".to_owned());
        lines.extend(admission.imports.iter().map(|import| format!("│  ├─ {import}")));
    }
    lines.extend(manifest.allowed_hosts.iter().map(|host| format!("├─ host         {host}")));
    for asked in &manifest.credentials {
        lines.push(format!(
            "├─ credential   {} for {}: {} (set {})",
            asked.name,
            asked.hosts.join(", "),
            asked.description,
            credentials::variable(manifest, &asked.name),
        ));
    }
    lines.extend(manifest.surfaces.iter().map(surface));
    lines.extend(admission.warnings.iter().map(|warning| format!("├─ mind         {warning}")));
    let grant = Grant::as_requested(manifest);
    lines.push(format!(
        "└─ a grant as requested: {} hosts, {} credentials, {} MiB and {} ms per step",
        grant.hosts.len(),
        grant.credentials.len(),
        grant.memory_bytes >> 20,
        grant.cpu_ms,
    ));
    lines.join("\n")
}

fn surface(surface: &Surface) -> String {
    format!(
        "├─ surface      {} ({}): about ${:.4} each, at most {} fetches in {} s",
        surface.id,
        surface.display_name,
        f64::from(surface.typical_cost_micro_usd) / 1e6,
        surface.max_fetches,
        surface.deadline_ms / 1_000,
    )
}
