//! Servers of our own, on free ports, gone when they are dropped.

use anyhow::{Context, ensure};
use std::{
    ffi::OsStr,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

const READY: Duration = Duration::from_secs(30);

/// A process that is killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) pid: u32,
}

impl Server {
    /// Starts it with its output in `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let file = File::create(log).with_context(|| format!("write {}", log.display()))?;
        let error = file.try_clone()?;
        Self::spawn(command.stdout(file).stderr(error))
    }

    fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).kill_on_drop(true).spawn();
        let child =
            child.with_context(|| format!("start {}", command.as_std().get_program().display()))?;
        let pid = child.id().context("it ended at once")?;
        Ok(Self { child, pid })
    }

    /// Asks it to stop and waits; then it is killed.
    pub(crate) async fn stop(mut self) {
        self.signal(rustix::process::Signal::TERM);
        let _ = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await;
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

/// Runs a program to its end and gives back what it wrote.
pub(crate) async fn output(command: &mut Command) -> anyhow::Result<String> {
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
pub(crate) async fn succeed<A: AsRef<OsStr>>(
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

/// A free port. Somebody else could take it first; a benchmark has its machine for itself.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Waits until `ready` says so.
pub(crate) async fn wait_for<F>(what: &str, ready: impl Fn() -> F) -> anyhow::Result<()>
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

/// PostgreSQL as it comes, with fsync.
pub(crate) struct Postgres {
    pub(crate) server: Server,
    bin: PathBuf,
    port: u16,
    place: PathBuf,
}

impl Postgres {
    pub(crate) async fn start(statements: bool) -> anyhow::Result<Self> {
        let bin = installed()?;
        let port = free_port()?;
        // Its owner has to get there, which he may not below the repository.
        let place = std::env::temp_dir().join(format!("aiv-bench-{}", std::process::id()));
        fs::create_dir_all(&place).context("make a folder for PostgreSQL")?;
        let owner = owner(&place).await?;
        let data = place.join("data");
        let mut init = Command::new(bin.join("initdb"));
        init.arg("-D").arg(&data).args(["-U", "aiv", "--auth=trust"]);
        become_owner(&mut init, owner).current_dir(&place);
        output(&mut init).await?;
        let mut command = Command::new(bin.join("postgres"));
        command.arg("-D").arg(&data).args(["-p", &port.to_string()]);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300"]);
        command.arg("-c").arg(format!("unix_socket_directories={}", place.display()));
        if statements {
            command.args(["-c", "shared_preload_libraries=pg_stat_statements"]);
        }
        become_owner(&mut command, owner).current_dir(&place);
        let server = Server::start(&mut command, &place.join("log"))?;
        let postgres = Self { server, bin, port, place };
        wait_for("PostgreSQL", || async { postgres.query("postgres", "SELECT 1").await.is_ok() })
            .await?;
        Ok(postgres)
    }

    pub(crate) async fn create(&self, database: &str) -> anyhow::Result<String> {
        self.query("postgres", &format!("CREATE DATABASE {database}")).await?;
        Ok(self.url(database))
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://aiv@127.0.0.1:{}/{database}", self.port)
    }

    /// The rows of a query, columns separated by `|`.
    pub(crate) async fn query(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        let mut command = self.psql(database);
        command.args(["-c", sql]);
        Ok(output(&mut command).await?.trim().to_owned())
    }

    pub(crate) async fn run_file(
        &self,
        database: &str,
        file: &Path,
        variables: &[(&str, String)],
    ) -> anyhow::Result<()> {
        let mut command = self.psql(database);
        for (name, value) in variables {
            command.arg("-v").arg(format!("{name}={value}"));
        }
        command.arg("-f").arg(file);
        output(&mut command).await.map(drop)
    }

    fn psql(&self, database: &str) -> Command {
        let mut command = Command::new(self.bin.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database)]);
        command
    }

    pub(crate) async fn number(&self, database: &str, sql: &str) -> anyhow::Result<f64> {
        let text = self.query(database, sql).await?;
        text.parse().with_context(|| format!("{sql} gave {text:?}"))
    }

    /// Bytes of write-ahead log so far.
    pub(crate) async fn wal(&self) -> anyhow::Result<f64> {
        self.number("postgres", "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')").await
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once: the data is thrown away. Killing it would leave its children behind.
        self.server.signal(rustix::process::Signal::QUIT);
        for _ in 0..100 {
            if !matches!(self.server.child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// The newest server that Debian has put there.
fn installed() -> anyhow::Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").context("install postgresql")?;
    let mut versions: Vec<PathBuf> =
        versions.filter_map(|entry| Some(entry.ok()?.path())).collect();
    versions.sort_by_key(|path| path.file_name()?.to_str()?.parse::<u32>().ok());
    Ok(versions.pop().context("install postgresql")?.join("bin"))
}

/// The server refuses to run as root: then it is `postgres` who owns it.
async fn owner(place: &Path) -> anyhow::Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let mut ids = Vec::new();
    for flag in ["-u", "-g"] {
        let text = output(Command::new("id").args([flag, "postgres"])).await?;
        ids.push(text.trim().parse::<u32>()?);
    }
    std::os::unix::fs::chown(place, Some(ids[0]), Some(ids[1]))?;
    Ok(Some((ids[0], ids[1])))
}

fn become_owner(command: &mut Command, owner: Option<(u32, u32)>) -> &mut Command {
    match owner {
        Some((user, group)) => command.uid(user).gid(group),
        None => command,
    }
}

/// Redis with an append-only file, as a queue should have it.
pub(crate) struct Redis {
    pub(crate) server: Server,
    port: u16,
    place: PathBuf,
}

impl Redis {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let port = free_port()?;
        let place = std::env::temp_dir().join(format!("aiv-bench-redis-{}", std::process::id()));
        fs::create_dir_all(&place).context("make a folder for Redis")?;
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--maxmemory-policy", "noeviction"]);
        command.arg("--dir").arg(&place);
        let server = Server::start(&mut command, &place.join("log"))?;
        let redis = Self { server, port, place };
        wait_for("Redis", || async { redis.command(&["PING"]).await.is_ok() }).await?;
        Ok(redis)
    }

    pub(crate) fn url(&self, database: u8) -> String {
        format!("redis://127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) async fn command(&self, words: &[&str]) -> anyhow::Result<String> {
        let port = self.port.to_string();
        let mut command = Command::new("redis-cli");
        command.args(["-e", "-p", &port]).args(words);
        Ok(output(&mut command).await?.trim().to_owned())
    }

    /// Commands that it has done so far.
    pub(crate) async fn commands(&self) -> anyhow::Result<f64> {
        let info = self.command(&["INFO", "stats"]).await?;
        let line = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
        Ok(line.context("Redis does not count its commands")?.trim().parse()?)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.child.start_kill();
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// Starts a program that prints its address as its first line.
pub(crate) async fn announced(command: &mut Command) -> anyhow::Result<(Server, String)> {
    let mut server = Server::spawn(command.stdout(Stdio::piped()))?;
    let output = server.child.stdout.take().context("its output is missing")?;
    let line = BufReader::new(output).lines().next_line().await?;
    Ok((server, line.context("it did not tell its address")?))
}
