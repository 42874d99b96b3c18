use super::{Server, free_port, output, wait_for};
use anyhow::Context;
use rustix::process::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::process::Command;

/// A PostgreSQL server with a folder of its own.
pub struct Postgres {
    /// `None` while it is stopped.
    pub server: Option<Server>,
    bin: PathBuf,
    port: u16,
    place: PathBuf,
    owner: Option<(u32, u32)>,
    settings: Vec<String>,
}

/// Asks one database by `psql`, whether or not its server is there.
#[derive(Debug, Clone)]
pub struct Client {
    psql: PathBuf,
    url: String,
}

impl Client {
    /// The rows of a query, columns separated by `|`.
    pub async fn query(&self, sql: &str) -> anyhow::Result<String> {
        Ok(output(self.psql().args(["-c", sql])).await?.trim().to_owned())
    }

    fn psql(&self) -> Command {
        let mut command = Command::new(&self.psql);
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url]);
        command
    }
}

impl Postgres {
    /// With fsync, unless `settings` (`name=value`) say otherwise.
    pub async fn start(settings: &[&str]) -> anyhow::Result<Self> {
        let bin = installed()?;
        let port = free_port()?;
        // Its owner has to get there, which he may not below the repository.
        let place = std::env::temp_dir().join(format!("aiv-bench-{}", std::process::id()));
        fs::create_dir_all(&place).context("make a folder for PostgreSQL")?;
        let owner = owner(&place).await?;
        let settings = settings.iter().map(ToString::to_string).collect();
        let mut postgres = Self { server: None, bin, port, place, owner, settings };
        let mut init = postgres.program("initdb");
        init.arg("-D").arg(postgres.place.join("data")).args(["-U", "aiv", "--auth=trust"]);
        output(&mut init).await?;
        postgres.resume().await?;
        Ok(postgres)
    }

    /// Starts it again where it stopped, and waits until it answers.
    pub async fn resume(&mut self) -> anyhow::Result<()> {
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.place.join("data")).args(["-p", &self.port.to_string()]);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300"]);
        command.arg("-c").arg(format!("unix_socket_directories={}", self.place.display()));
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        self.server = Some(Server::start(&mut command, &self.place.join("log"))?);
        wait_for("PostgreSQL", || async { self.query("postgres", "SELECT 1").await.is_ok() }).await
    }

    /// Stops it at once, without a checkpoint: the next start recovers from the log.
    pub async fn stop_immediately(&mut self) {
        if let Some(mut server) = self.server.take() {
            // Killing it would leave its children behind, so it is asked to kill them.
            server.signal(Signal::QUIT);
            server.ended(Duration::from_secs(10)).await;
        }
    }

    pub async fn create(&self, database: &str) -> anyhow::Result<String> {
        self.query("postgres", &format!("CREATE DATABASE {database}")).await?;
        Ok(self.url(database))
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://aiv@127.0.0.1:{}/{database}", self.port)
    }

    pub fn client(&self, database: &str) -> Client {
        Client { psql: self.bin.join("psql"), url: self.url(database) }
    }

    /// The rows of a query, columns separated by `|`.
    pub async fn query(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        self.client(database).query(sql).await
    }

    pub async fn run_file(
        &self,
        database: &str,
        file: &Path,
        variables: &[(&str, String)],
    ) -> anyhow::Result<()> {
        let mut command = self.client(database).psql();
        for (name, value) in variables {
            command.arg("-v").arg(format!("{name}={value}"));
        }
        command.arg("-f").arg(file);
        output(&mut command).await.map(drop)
    }

    pub async fn number(&self, database: &str, sql: &str) -> anyhow::Result<f64> {
        let text = self.query(database, sql).await?;
        text.parse().with_context(|| format!("{sql} gave {text:?}"))
    }

    /// Bytes of write-ahead log so far.
    pub async fn wal(&self) -> anyhow::Result<f64> {
        self.number("postgres", "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')").await
    }

    /// One of its programs, run by who owns the server.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.current_dir(&self.place);
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once: the data is thrown away. Killing it would leave its children behind.
        if let Some(server) = &mut self.server {
            server.signal(Signal::QUIT);
            for _ in 0..100 {
                if !matches!(server.child.try_wait(), Ok(None)) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
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
