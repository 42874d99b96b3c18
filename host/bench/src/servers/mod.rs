//! Servers of our own, on free ports, gone when they are dropped.

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::OsStr,
    fs::File,
    net::TcpListener,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

mod postgres;
mod redis;

pub use self::{
    postgres::{Client, Postgres},
    redis::Redis,
};

const READY: Duration = Duration::from_secs(30);

/// A process that is killed when it is dropped.
pub struct Server {
    child: Child,
    pub pid: u32,
}

impl Server {
    /// Starts it; its output is added to `log`.
    pub fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.with_context(|| format!("write {}", log.display()))?;
        let error = file.try_clone()?;
        Self::spawn(command.stdout(file).stderr(error))
    }

    /// Starts a program that prints its address as its first line.
    pub async fn announced(command: &mut Command) -> anyhow::Result<(Self, String)> {
        let mut server = Self::spawn(command.stdout(Stdio::piped()))?;
        let output = server.child.stdout.take().context("its output is missing")?;
        let line = BufReader::new(output).lines().next_line().await?;
        Ok((server, line.context("it did not tell its address")?))
    }

    fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).kill_on_drop(true).spawn();
        let child =
            child.with_context(|| format!("start {}", command.as_std().get_program().display()))?;
        let pid = child.id().context("it ended at once")?;
        Ok(Self { child, pid })
    }

    /// Asks it to stop and waits; after `patience` it is killed. Says whether it stopped by itself.
    pub async fn stop(mut self, patience: Duration) -> bool {
        self.signal(Signal::TERM);
        self.ended(patience).await.is_some_and(|status| status.success())
    }

    /// Kills it at once, as a crash of its machine would.
    pub async fn kill(mut self) {
        // It may have ended before.
        let _ = self.child.kill().await;
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        // A process that is no more cannot be told anything, and need not be.
        if let Some(pid) = pid {
            let _ = kill_process(pid, signal);
        }
    }

    async fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        tokio::time::timeout(patience, self.child.wait()).await.ok()?.ok()
    }
}

/// Runs a program to its end and gives back what it wrote.
pub async fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = command.as_std().get_program().to_owned();
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.with_context(|| format!("start {}", name.display()))?;
    ensure!(
        output.status.success(),
        "{} failed: {}",
        name.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a program to its end with its output on standard error.
pub async fn succeed<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
    folder: &Path,
) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    let status = command.stdout(std::io::stderr()).status().await;
    let status = status.with_context(|| format!("start {program}"))?;
    ensure!(status.success(), "{program} failed in {}", folder.display());
    Ok(())
}

/// A free port. Somebody else could take it first; who measures has the machine to himself.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Waits until `ready` says so.
pub async fn wait_for<F>(what: &str, ready: impl Fn() -> F) -> anyhow::Result<()>
where
    F: Future<Output = bool>,
{
    let tries = async {
        while !ready().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(READY, tries).await.with_context(|| format!("{what} is not ready"))
}
