//! `aiv plugin …`: what an author or an operator does with a component before it is in service.

use super::{note, print};
use crate::providers::{
    Grant,
    cases::{self, CaseReport},
    credentials,
};
use aiv_runtime::{Admission, Compiler, Runtime, RuntimeConfig, compile_child, types::Surface};
use anyhow::Context;
use serde_json::json;
use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum PluginCommand {
    /// Show what a component is and what it asks for.
    Inspect(Component),
    /// Check a component like an upload, and say what to mind before granting anything.
    Check(Component),
    /// Run conformance cases against a component; exit status 1 when one fails.
    Test(Test),
    /// Compile a component from standard input to standard output.
    #[command(hide = true)]
    Compile,
}

#[derive(Debug, clap::Args)]
pub(super) struct Component {
    /// The component, a `.wasm` file.
    component: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct Test {
    /// The component, a `.wasm` file.
    component: PathBuf,
    /// A case, a folder of cases or a tree; cases of other providers are skipped.
    #[arg(long, value_name = "DIR")]
    cases: PathBuf,
}

pub(super) async fn run(command: PluginCommand, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        PluginCommand::Inspect(Component { component }) => inspect(&component, json).await,
        PluginCommand::Check(Component { component }) => check(&component, json).await,
        PluginCommand::Test(Test { component, cases }) => test(&component, &cases, json).await,
        PluginCommand::Compile => {
            compile_child(io::stdin().lock(), io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn inspect(component: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let workbench = Workbench::new()?;
    let admission = workbench.runtime.admit(&read(component)?).await?;
    if json {
        print(serde_json::to_string_pretty(&admission)?)?;
    } else {
        print(summary(&admission))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn check(component: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let workbench = Workbench::new()?;
    let admitted = workbench.runtime.admit(&read(component)?).await;
    let verdict = match &admitted {
        Ok(admission) => {
            json!({ "ok": true, "digest": admission.digest, "warnings": admission.warnings })
        }
        Err(err) => json!({ "ok": false, "error": err.to_string() }),
    };
    match &admitted {
        _ if json => print(verdict)?,
        Ok(admission) => {
            for warning in &admission.warnings {
                print(format_args!("mind: {warning}"))?;
            }
            let manifest = &admission.manifest;
            print(format_args!("ok: {} {} can be installed", manifest.key, manifest.version))?;
        }
        Err(err) => print(format_args!("refused: {err}"))?,
    }
    Ok(if admitted.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn test(component: &Path, folder: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let workbench = Workbench::new()?;
    let plugin = workbench.runtime.load(&read(component)?).await?;
    let key = &plugin.manifest().key;
    let all = cases::load(folder)?;
    let (mine, others): (Vec<_>, Vec<_>) = all.iter().partition(|case| case.provider() == key);
    anyhow::ensure!(!mine.is_empty(), "none of the {} cases is for {key}", others.len());
    let (mut passed, mut failed) = (0, 0);
    for case in mine {
        let report = cases::run(&plugin, case).await.unwrap_or_else(|err| CaseReport {
            name: case.name(),
            difference: Some(format!("{err:#}")),
            notes: Vec::new(),
        });
        if report.is_ok() {
            passed += 1;
        } else {
            failed += 1;
        }
        show(&report, json)?;
    }
    if !others.is_empty() {
        note(format_args!("{} cases of other providers were skipped", others.len()));
    }
    if json {
        print(json!({ "passed": passed, "failed": failed }))?;
    } else {
        print(format_args!("{passed} passed, {failed} failed"))?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(report: &CaseReport, json: bool) -> io::Result<()> {
    let CaseReport { name, difference, notes } = report;
    if json {
        return print(json!({ "case": name, "ok": report.is_ok(), "difference": difference }));
    }
    match difference {
        None => print(format_args!("ok    {name}"))?,
        Some(difference) => {
            print(format_args!("FAIL  {name}"))?;
            for line in difference.lines() {
                print(format_args!("      {line}"))?;
            }
        }
    }
    for advice in notes {
        print(format_args!("      note: {advice}"))?;
    }
    Ok(())
}

/// A runtime whose compiled code is thrown away with it.
struct Workbench {
    runtime: Runtime,
    folder: PathBuf,
}

impl Workbench {
    fn new() -> anyhow::Result<Self> {
        let folder =
            std::env::temp_dir().join(format!("aiv-workbench-{}", uuid::Uuid::now_v7().simple()));
        // Code that this process will run: nobody else may put anything there.
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("create {}", folder.display()))?;
        let compiler = Compiler::child(std::env::current_exe()?, ["plugin", "compile"]);
        let runtime = Runtime::new(RuntimeConfig { compiler, ..RuntimeConfig::new(&folder) })?;
        Ok(Self { runtime, folder })
    }
}

impl Drop for Workbench {
    fn drop(&mut self) {
        if let Err(err) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!("cannot remove {}: {err}", self.folder.display());
        }
    }
}

fn read(component: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(component).with_context(|| format!("read {}", component.display()))
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
