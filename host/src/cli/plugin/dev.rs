//! A project at work in one workspace of a host, while it is written.
//!
//! **Invariant:** what does not build, or fails a case, is not uploaded.

use super::{
    super::{note, print, target::Target},
    Workbench,
    build::{self, Built, Places},
    project::{Project, Sources},
    publish::{Publisher, in_full},
    test::{self, Tally},
};
use crate::ids::WorkspaceId;
use anyhow::ensure;
use serde_json::json;
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// How often the sources are looked at.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Dev {
    /// The project.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Again whenever a source changes.
    #[arg(long)]
    watch: bool,
    /// The workspace that gets the component; everybody else keeps what they have.
    #[arg(long)]
    workspace: WorkspaceId,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    places: Places,
}

impl Dev {
    pub(super) async fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let project = Project::open(&self.dir)?;
        let workbench = Workbench::new()?;
        if !self.watch {
            self.round(&project, &workbench, json).await?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut seen = Sources::new();
        let mut number = 0;
        loop {
            let sources = project.sources()?;
            if sources != seen {
                seen = sources;
                number += 1;
                note(format_args!("── round {number}"));
                if let Err(err) = self.round(&project, &workbench, json).await {
                    note(format_args!("failed  {err:#}"));
                }
                note("waiting for a change; Ctrl-C ends it");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn round(
        &self,
        project: &Project,
        workbench: &Workbench,
        json: bool,
    ) -> anyhow::Result<()> {
        let Built { path, component, admission } =
            build::build(project, &self.places, workbench).await?;
        note(format_args!("built   {} ({} bytes)", path.display(), admission.size));
        if project.cases().is_dir() {
            let plugin = workbench.runtime.load(&component).await?;
            let Tally { passed, failed } = test::test(&plugin, &project.cases(), json).await?;
            ensure!(failed == 0, "{failed} of {} cases: nothing is uploaded", passed + failed);
        } else {
            note("there are no cases: nothing was tested");
        }
        let digest = admission.digest;
        let publisher = Publisher::new(self.target.clone(), admission)?;
        publisher.upload(component, None).await.map_err(in_full)?;
        publisher.grant().await.map_err(in_full)?;
        let wish = json!({
            "digest": digest,
            "workspace_id": self.workspace,
            "reason": format!("aiv plugin dev {}", project.folder.display()),
            "force": true,
        });
        let activation = publisher.put_in_service("activate", &wish).await.map_err(in_full)?;
        if json {
            print(activation)?;
        } else {
            let sentence = publisher.sentence(&activation);
            print(format_args!("{sentence} for workspace {}", self.workspace))?;
        }
        Ok(())
    }
}
