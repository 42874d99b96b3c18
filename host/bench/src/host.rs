//! The platform, as an operator would start it.

use crate::{
    http::Api,
    servers::{self, Server, free_port, wait_for},
};
use anyhow::Context;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokio::process::Command;

pub const ENGINES: [&str; 3] = ["perplexity", "aio", "brave"];
const BRANDS: [&str; 6] = ["Asana", "Trello", "Monday.com", "Notion", "ClickUp", "Wrike"];

/// An installation: one database, one or more processes. Only what is set here reaches them.
pub struct Host {
    program: PathBuf,
    settings: Vec<(String, String)>,
    folder: PathBuf,
}

/// One `aiv serve`.
pub struct Process {
    pub server: Server,
    pub base: String,
}

/// Where an installation finds what it needs.
pub struct Place<'a> {
    pub program: &'a Path,
    pub plugins: &'a Path,
    /// For logs and compiled components.
    pub folder: &'a Path,
    pub database_url: String,
    pub redis_url: Option<String>,
    pub vendors_url: String,
}

impl Host {
    /// Brings the schema up to date.
    pub async fn install(place: Place<'_>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(place.folder).context("make the folder of the host")?;
        let absolute = |path: &Path| Ok::<_, anyhow::Error>(std::path::absolute(path)?);
        let folder = absolute(place.folder)?;
        let cache = folder.join("plugin-cache");
        let mut host = Self { program: absolute(place.program)?, settings: vec![], folder };
        host.set("DATABASE_URL", place.database_url);
        host.set("PROVIDER_MODE", "mock");
        host.set("PROVIDER_MOCK_URL", place.vendors_url);
        host.set("PLUGIN_DIR", absolute(place.plugins)?.display().to_string());
        host.set("PLUGIN_CACHE_DIR", cache.display().to_string());
        host.set("RATE_LIMIT_REQUESTS_PER_MINUTE", "1000000");
        host.set("RATE_LIMIT_BURST", "100000");
        host.set("RUST_LOG", "warn");
        host.set("LOG_FORMAT", "json");
        if let Some(url) = place.redis_url {
            host.set("REDIS_URL", url);
        }
        servers::output(host.command().arg("migrate")).await?;
        Ok(host)
    }

    /// For processes that are started from now on.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.settings.push((name.to_owned(), value.into()));
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(self.settings.iter().cloned());
        command
    }

    /// Starts a process on a free port and waits until it is ready. Processes of one `name` share
    /// a log.
    pub async fn serve(
        &self,
        name: &str,
        role: &str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Process> {
        let port = free_port()?;
        let mut command = self.command();
        command.args(["serve", "--role", role]).env("PORT", port.to_string());
        command.envs(settings.iter().copied());
        let log = self.folder.join(format!("{name}.log"));
        let server = Server::start(&mut command, &log)?;
        let base = format!("http://127.0.0.1:{port}");
        let api = Api::new(base.clone(), None)?;
        wait_for(&format!("aiv serve ({})", log.display()), || api.is_ready("/readyz")).await?;
        Ok(Process { server, base })
    }

    /// An operator's access to everything.
    pub async fn operator(&self, base: &str) -> anyhow::Result<Api> {
        Api::new(base, Some(self.operator_key().await?))
    }

    /// The key of an operator.
    pub async fn operator_key(&self) -> anyhow::Result<String> {
        self.tell(&["key", "create", "--admin"], "/key").await
    }

    /// The token of an owner of `workspace`, for a day; `JWT_SECRET` has to be set.
    pub async fn token(
        &self,
        subject: &str,
        workspace: &str,
        admin: bool,
    ) -> anyhow::Result<String> {
        let mut arguments = vec!["token", "create", "--subject", subject, "--workspace", workspace];
        arguments.extend(["--role", "owner", "--minutes", "1440"]);
        arguments.extend(admin.then_some("--admin"));
        self.tell(&arguments, "/token").await
    }

    /// What a subcommand tells at `pointer`.
    async fn tell(&self, arguments: &[&str], pointer: &str) -> anyhow::Result<String> {
        let told = servers::output(self.command().arg("--json").args(arguments)).await?;
        text(&serde_json::from_str(&told)?, pointer)
    }

    /// Makes a workspace with brands and every engine over the API; gives back its owner's access.
    pub async fn workspace(&self, base: &str, concurrency: usize) -> anyhow::Result<Api> {
        let operator = self.operator(base).await?;
        let made = operator.post("/v1/workspaces", &json!({ "name": "Bench" })).await?;
        let api = Api::new(base, Some(text(&made, "/owner/key")?))?;
        fill(&api, concurrency).await?;
        Ok(api)
    }
}

/// Gives a workspace brands and every engine over the API.
pub async fn fill(api: &Api, concurrency: usize) -> anyhow::Result<()> {
    for (at, name) in BRANDS.iter().enumerate() {
        let kind = if at == 0 { "own" } else { "competitor" };
        api.post("/v1/brands", &json!({ "name": name, "kind": kind })).await?;
    }
    for engine in ENGINES {
        let path = format!("/v1/engines/{engine}");
        api.put(&path, &json!({ "concurrency": concurrency.min(1024) })).await?;
    }
    Ok(())
}

/// A text of a document.
pub fn text(value: &Value, pointer: &str) -> anyhow::Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    Ok(found.with_context(|| format!("no {pointer} in {value}"))?.to_owned())
}
