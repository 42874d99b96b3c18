//! The floor: HTTP, parsing and batched writes into the peer's tables, and nothing else.

use super::{peer, stage::Stage};
use aiv_bench::servers::{self, succeed};
use anyhow::Context;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// Builds the copy of the peer's folder that `peer::build` made.
pub(crate) async fn build(copy: &Path, target: &Path) -> anyhow::Result<PathBuf> {
    let target = std::path::absolute(target)?;
    let folder = target.display().to_string();
    let arguments = ["build", "--release", "-p", "floor", "--target-dir", &folder];
    succeed("cargo", arguments, copy).await?;
    Ok(target.join("release/floor"))
}

/// Does so many runs and gives back what it says about them.
pub(crate) async fn run(
    stage: &Stage,
    program: &Path,
    runs: usize,
    in_flight: usize,
) -> anyhow::Result<Value> {
    let (runs, in_flight) = (runs.to_string(), in_flight.to_string());
    let mut command = Command::new(program);
    command.args(["batch", "--runs", &runs, "--conc", &in_flight]);
    command.args(["--client", "reqwest", "--queue", "redis"]);
    command.env("DATABASE_URL", stage.postgres.url(peer::DATABASE));
    command.env("REDIS_URL", stage.redis.url(peer::REDIS));
    command.env("MOCK_URL", &stage.vendors.url);
    let text = servers::output(&mut command).await?;
    let line = text.lines().last().context("the floor said nothing")?;
    Ok(serde_json::from_str(line)?)
}
