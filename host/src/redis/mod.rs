//! What processes share beside the database: rate limits, caches and hints.
//!
//! **Invariant:** all of it may be lost at any moment; the database is the truth.
//! **Invariant:** nobody waits for it longer than they said: every use has a patience and another
//! way to go on.

use ::redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
    io::tcp::TcpSettings,
};
use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use std::{fmt, sync::Arc, time::Duration};

mod cache;
mod checks;
mod circuit;
mod gcra;
mod rates;

pub use self::{
    cache::{Cache, CacheSpec},
    checks::{Finding, check},
    circuit::Circuit,
    gcra::{Rate, Taken},
    rates::RateLimits,
};

/// A command that has not been answered by then has failed.
const RESPONSE: Duration = Duration::from_millis(500);
const CONNECT: Duration = Duration::from_millis(300);
/// Between two tries to connect.
const RETRY: Duration = Duration::from_millis(200);
/// A peer that acknowledges nothing for so long is gone.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);
/// Of every key that is ours and not BullMQ's.
const PREFIX: &str = "aiv:";

/// A Redis server. Cheap to clone.
///
/// Connects when it is first needed and again whenever it has to: a host starts and works without.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    client: Client,
    commands: ConnectionManager,
    prefix: String,
}

impl Redis {
    /// Does not touch the network. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the URL cannot be understood.
    pub fn open(url: &SecretString) -> anyhow::Result<Self> {
        Self::open_in(url, "")
    }

    /// As [`Redis::open`], with keys that start with `aiv:{namespace}:`, so that several
    /// installations can share a server.
    ///
    /// # Errors
    /// When the URL cannot be understood.
    pub fn open_in(url: &SecretString, namespace: &str) -> anyhow::Result<Self> {
        // Its own error would repeat the URL, and the password with it.
        let info = url.expose_secret().into_connection_info().map_err(|error| {
            anyhow::anyhow!("not a Redis URL ({:?}): use redis://… or rediss://…", error.kind())
        })?;
        let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(UNACKNOWLEDGED);
        let client = Client::open(info.set_tcp_settings(tcp)).context("open a Redis client")?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(RESPONSE))
            .set_number_of_retries(1)
            .set_max_delay(RETRY)
            .set_pipeline_buffer_size(1024);
        let commands = ConnectionManager::new_lazy_with_config(client.clone(), config)
            .context("prepare a Redis connection")?;
        let prefix = match namespace {
            "" => PREFIX.to_owned(),
            namespace => format!("{PREFIX}{namespace}:"),
        };
        Ok(Redis(Arc::new(Inner { client, commands, prefix })))
    }

    /// For commands that are answered at once: it is shared by everybody.
    pub fn commands(&self) -> ConnectionManager {
        self.0.commands.clone()
    }

    /// A connection of its own for commands that block. It has no limit of its own on how long an
    /// answer takes: whoever uses it watches the time.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn blocking(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(None);
        self.0.client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// The full name of a key of ours.
    pub fn key(&self, name: &str) -> String {
        format!("{}{name}", self.0.prefix)
    }

    /// # Errors
    /// When Redis cannot be reached, or takes too long.
    pub async fn ping(&self) -> RedisResult<()> {
        ::redis::cmd("PING").exec_async(&mut self.commands()).await
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.0.client.get_connection_info().addr();
        f.debug_struct("Redis").field("address", &address.to_string()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_password_is_shown() {
        let redis = Redis::open_in(&"redis://user:hidden@127.0.0.1:1/3".into(), "a").unwrap();
        assert_eq!(format!("{redis:?}"), r#"Redis { address: "127.0.0.1:1", .. }"#);
        assert_eq!(redis.key("cache:x"), "aiv:a:cache:x");
        let error = Redis::open(&"http://user:hidden@host".into()).unwrap_err();
        assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
    }

    #[tokio::test]
    async fn an_absent_server_is_told_soon() {
        let redis = Redis::open(&"redis://127.0.0.1:1".into()).unwrap();
        let started = std::time::Instant::now();
        assert!(redis.ping().await.is_err());
        assert!(redis.ping().await.is_err());
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
}
