//! Cases against a component.

use super::{
    super::{note, print},
    Workbench,
    project::Project,
    record::LiveCall,
    workbench,
};
use crate::providers::cases::{self, CaseReport};
use aiv_runtime::Plugin;
use serde_json::json;
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Test {
    /// The component, a `.wasm` file; or a project, whose last build is meant.
    #[arg(default_value = ".")]
    component: PathBuf,
    /// A case, a folder of cases or a tree; cases of other providers are skipped. Those of the
    /// project by default.
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    #[command(flatten)]
    call: LiveCall,
}

/// How many cases held.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
}

impl Test {
    pub(super) async fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let Self { component, cases, call } = self;
        let (component, cases) = if component.is_dir() {
            let project = Project::open(&component)?;
            (project.component()?, cases.unwrap_or_else(|| project.cases()))
        } else {
            (component, cases.unwrap_or_else(|| "cases".into()))
        };
        let workbench = Workbench::new()?;
        let plugin = workbench.runtime.load(&workbench::read(&component)?).await?;
        if call.is_wanted() {
            let case = call.run(&plugin, &cases).await?;
            note(format_args!("recorded {}", case.display()));
            return verdict(test(&plugin, &case, json).await?, json);
        }
        verdict(test(&plugin, &cases, json).await?, json)
    }
}

fn verdict(tally: Tally, json: bool) -> anyhow::Result<ExitCode> {
    let Tally { passed, failed } = tally;
    if json {
        print(json!({ "passed": passed, "failed": failed }))?;
    } else {
        print(format_args!("{passed} passed, {failed} failed"))?;
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the component's cases in a folder and says how each went.
pub(super) async fn test(plugin: &Plugin, folder: &Path, json: bool) -> anyhow::Result<Tally> {
    let key = &plugin.manifest().key;
    let all = cases::load(folder)?;
    let (mine, others): (Vec<_>, Vec<_>) = all.iter().partition(|case| case.provider() == key);
    anyhow::ensure!(!mine.is_empty(), "none of the {} cases is for {key}", others.len());
    let mut tally = Tally::default();
    for case in mine {
        let report = cases::run(plugin, case).await.unwrap_or_else(|err| CaseReport {
            name: case.name(),
            difference: Some(format!("{err:#}")),
            notes: Vec::new(),
        });
        if report.is_ok() {
            tally.passed += 1;
        } else {
            tally.failed += 1;
        }
        show(&report, json)?;
    }
    if !others.is_empty() {
        note(format_args!("{} cases of other providers were skipped", others.len()));
    }
    Ok(tally)
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
