//! A workspace as a file: what it declares is brought about through the API.
//!
//! **Invariant:** what the file does not name stays as it is. Applying a file twice changes nothing
//! the second time.

use super::{note, print, target::Target};
use crate::providers::api_client::{ApiClient, Refusal};
use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use std::{fs, path::PathBuf, process::ExitCode};

mod compare;
mod kinds;
mod plan;
mod source;
mod yaml;

use self::{
    kinds::{KINDS, Workspace},
    plan::{Change, Deed},
    source::Source,
};

/// Brings a workspace to what a file declares.
#[derive(Debug, Args)]
pub(super) struct Apply {
    /// The file, in YAML; `aiv export` writes one.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Say what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Also delete what the workspace has and the file does not, in the lists that the file has.
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    target: Target,
}

/// Writes a workspace as a file.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// Where to write it; standard output by default.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

impl Apply {
    pub(super) async fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let Apply { file, dry_run, prune, target } = self;
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let source = Source::read(&file, &text)?;
        source.check()?;
        let client = target.client()?;
        let mut workspace = Workspace::load(&client, &source).await?;
        let changes = plan::plan(&source, &workspace, prune)?;
        if !dry_run {
            carry_out(&client, &source, &mut workspace, &changes, json).await?;
        } else if !json {
            for change in &changes {
                print(change)?;
            }
        }
        let count = |deed| changes.iter().filter(|change| change.deed == deed).count();
        let (new, altered, gone) = (count(Deed::Create), count(Deed::Update), count(Deed::Delete));
        if json {
            let changes: Vec<_> = changes.iter().map(Change::to_json).collect();
            print(json!({"applied": !dry_run, "changes": changes}))?;
        } else if changes.is_empty() {
            note("nothing to do: the workspace is as the file says");
        } else {
            let tense = if dry_run { "would be " } else { "" };
            note(format!("{new} {tense}created, {altered} {tense}changed, {gone} {tense}deleted"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Makes the changes, one by one; what was made before a refusal stays.
async fn carry_out(
    client: &ApiClient,
    source: &Source,
    workspace: &mut Workspace,
    changes: &[Change],
    json: bool,
) -> anyhow::Result<()> {
    for change in changes {
        match workspace.carry_out(client, change).await {
            Ok(()) if json => {}
            Ok(()) => print(change)?,
            Err(error) => {
                return Err(match error.downcast::<Refusal>() {
                    Ok(refusal) => source.explain(change, &refusal),
                    Err(error) => error.context(change.to_string()),
                });
            }
        }
    }
    Ok(())
}

impl Export {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Export { output, target } = self;
        let client = target.client()?;
        let workspace = Workspace::load_all(&client).await?;
        let mut document = json!({"version": 1});
        for kind in &KINDS {
            let items: Vec<Value> =
                workspace.items(kind).map(|item| kinds::brief(kind, &item.declared)).collect();
            document[kind.section] = items.into();
        }
        let text = yaml::write(&document);
        match output {
            Some(file) => {
                fs::write(&file, text)
                    .with_context(|| format!("cannot write {}", file.display()))?;
                note(format!("written to {}", file.display()));
            }
            None => print(text.trim_end())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
