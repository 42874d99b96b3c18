use super::{Server, free_port, output, wait_for};
use anyhow::Context;
use rustix::process::Signal;
use std::{fs, path::PathBuf};
use tokio::process::Command;

/// Redis with an append-only file, as a queue should have it.
pub struct Redis {
    /// `None` while it is stopped.
    pub server: Option<Server>,
    port: u16,
    place: PathBuf,
}

impl Redis {
    pub async fn start() -> anyhow::Result<Self> {
        let place = std::env::temp_dir().join(format!("aiv-bench-redis-{}", std::process::id()));
        let mut redis = Self { server: None, port: free_port()?, place };
        redis.resume().await?;
        Ok(redis)
    }

    /// Starts it again with what it remembers, and waits until it answers.
    pub async fn resume(&mut self) -> anyhow::Result<()> {
        fs::create_dir_all(&self.place).context("make a folder for Redis")?;
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--maxmemory-policy", "noeviction"]);
        command.arg("--dir").arg(&self.place);
        self.server = Some(Server::start(&mut command, &self.place.join("log"))?);
        wait_for("Redis", || async { self.command(&["PING"]).await.is_ok() }).await
    }

    /// Kills it and deletes what it remembers.
    pub async fn lose_everything(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill().await;
        }
        let _ = fs::remove_dir_all(&self.place);
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(server) = &self.server {
            server.signal(signal);
        }
    }

    pub fn url(&self, database: u8) -> String {
        format!("redis://127.0.0.1:{}/{database}", self.port)
    }

    pub async fn command(&self, words: &[&str]) -> anyhow::Result<String> {
        let port = self.port.to_string();
        let mut command = Command::new("redis-cli");
        command.args(["-e", "-p", &port]).args(words);
        Ok(output(&mut command).await?.trim().to_owned())
    }

    /// Commands that it has done so far.
    pub async fn commands(&self) -> anyhow::Result<f64> {
        let info = self.command(&["INFO", "stats"]).await?;
        let line = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
        Ok(line.context("Redis does not count its commands")?.trim().parse()?)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.child.start_kill();
        }
        let _ = fs::remove_dir_all(&self.place);
    }
}
