//! Where an author's components are loaded.

use aiv_runtime::{Compiler, Runtime, RuntimeConfig};
use anyhow::Context;
use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Python's components are large, and an author's machine may be busy.
const PATIENCE: Duration = Duration::from_mins(10);

/// A runtime whose compiled code is thrown away with it.
pub(super) struct Workbench {
    pub(super) runtime: Runtime,
    folder: PathBuf,
}

impl Workbench {
    pub(super) fn new() -> anyhow::Result<Self> {
        let folder =
            std::env::temp_dir().join(format!("aiv-workbench-{}", uuid::Uuid::now_v7().simple()));
        // Code that this process will run: nobody else may put anything there.
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("create {}", folder.display()))?;
        let compiler = Compiler::Child {
            program: std::env::current_exe()?,
            args: vec!["plugin".into(), "compile".into()],
            timeout: PATIENCE,
        };
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

pub(super) fn read(component: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(component).with_context(|| format!("read {}", component.display()))
}
