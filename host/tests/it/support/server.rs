//! A Redis server of a test's own, to be frozen and killed.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

pub(crate) struct RedisServer {
    child: Child,
    port: u16,
    options: Vec<String>,
    files: TempDir,
}

impl RedisServer {
    /// `None`, with a word about it, when there is no `redis-server`.
    pub(crate) async fn start(options: &[&str]) -> Option<Self> {
        super::redis_url()?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options: Vec<_> = options.iter().map(ToString::to_string).collect();
        let files = tempfile::tempdir().unwrap();
        let child = spawn(port, &files, &options);
        let server = RedisServer { child, port, options, files };
        server.wait().await;
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        self.child = spawn(self.port, &self.files, &self.options);
        self.wait().await;
    }

    pub(crate) async fn flush(&self) {
        let mut conn = self.connect().await.unwrap();
        redis::cmd("FLUSHALL").exec_async(&mut conn).await.unwrap();
    }

    /// Whether there is something, and nothing of it stays.
    pub(crate) async fn every_key_ends(&self) -> bool {
        let mut conn = self.connect().await.unwrap();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut conn).await.unwrap();
        for key in &keys {
            let lives: i64 = redis::cmd("PTTL").arg(key).query_async(&mut conn).await.unwrap();
            if lives < 0 {
                return false;
            }
        }
        !keys.is_empty()
    }

    async fn connect(&self) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
        redis::Client::open(self.url())?.get_multiplexed_async_connection().await
    }

    async fn wait(&self) {
        for _ in 0..200 {
            if let Ok(mut conn) = self.connect().await
                && redis::cmd("PING").exec_async(&mut conn).await.is_ok()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("redis-server does not answer");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, files: &TempDir, options: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .arg("--dir")
        .arg(files.path())
        .args(options)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
