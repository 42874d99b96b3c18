//! `aiv` as a process of its own: for what only a process can show.

use serde_json::Value;
use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

/// `aiv` with nothing of this process's settings, and data in `folder`.
pub(crate) fn aiv(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aiv"));
    command
        .current_dir(folder)
        .env_clear()
        .env("PLUGIN_DIR", super::plugin_dir())
        .env("PLUGIN_CACHE_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("process-cache"))
        .stdin(Stdio::null());
    command
}

/// Runs to the end; standard output must be one JSON document.
#[track_caller]
pub(crate) fn json(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|err| panic!("{err}: {}", text(&output)))
}

/// All that a process wrote.
pub(crate) fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}\n{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// A free port. Somebody else could take it first; nobody does on a machine that runs tests.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A running `aiv serve`, killed when it is dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) base: String,
}

impl Server {
    /// Starts it on recordings and waits until it is ready.
    pub(crate) async fn start(folder: &Path, database: &str) -> Self {
        Self::start_with(folder, database, &[]).await
    }

    /// As [`Server::start`], with more settings.
    pub(crate) async fn start_with(folder: &Path, database: &str, more: &[(&str, &str)]) -> Self {
        Self::start_logged(folder, database, more, Stdio::null()).await
    }

    /// As [`Server::start_with`], with its log in `log`.
    pub(crate) async fn start_logged(
        folder: &Path,
        database: &str,
        more: &[(&str, &str)],
        log: impl Into<Stdio>,
    ) -> Self {
        let port = free_port();
        let child = aiv(folder)
            .arg("serve")
            .env("PORT", port.to_string())
            .env("DATABASE_URL", database)
            .env("AUTO_MIGRATE", "true")
            .env("PROVIDER_MODE", "replay")
            // Tests ask again and again how far it is.
            .env("RATE_LIMIT_BURST", "100000")
            .env("RUST_LOG", "warn")
            .envs(more.iter().copied())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self { child, base: format!("http://127.0.0.1:{port}") };
        for _ in 0..600 {
            if server.status("/readyz").await == Some(200) {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("aiv serve was not ready in 30 s");
    }

    /// Takes the process away without a word.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn status(&self, path: &str) -> Option<u16> {
        Some(client().get(format!("{}{path}", self.base)).send().await.ok()?.status().as_u16())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the test speaks to its own server")]
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
