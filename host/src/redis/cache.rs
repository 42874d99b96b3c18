//! Answers that may be some seconds old: in this process, and in Redis behind it.
//!
//! **Invariant:** everything has an end; a key that is asked for by many is made once.
//! **Invariant:** no secret is cached in Redis, and every key names its tenant.
//! **Invariant:** Redis may fail, forget or hold what another version wrote: that is a miss.

use super::{Circuit, Redis};
use crate::Result;
use moka::future::Cache as Memory;
use serde::{Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};

/// How long a caller waits for Redis before it makes the answer itself.
const PATIENCE: Duration = Duration::from_millis(50);
/// Larger answers stay in the process.
const LARGEST: usize = 1 << 20;

/// What a cache is for.
#[derive(Debug, Clone, Copy)]
pub struct CacheSpec {
    /// Part of each key in Redis.
    pub name: &'static str,
    /// Of what is stored: another version does not read it.
    pub version: u32,
    /// How old an answer may be: half of it in Redis, half of it here.
    pub lives: Duration,
    /// Bytes remembered in the process.
    pub bytes: u64,
}

/// Answers by key. Cheap to clone.
#[derive(Clone)]
pub struct Cache {
    spec: CacheSpec,
    memory: Memory<String, Arc<[u8]>>,
    shared: Option<(Redis, Arc<Circuit>)>,
}

impl Cache {
    pub fn new(spec: CacheSpec, redis: Option<Redis>) -> Self {
        let memory = Memory::builder()
            .max_capacity(spec.bytes)
            .weigher(|key: &String, value: &Arc<[u8]>| {
                u32::try_from(key.len() + value.len()).unwrap_or(u32::MAX)
            })
            .time_to_live(spec.lives / 2)
            .build();
        let shared = redis.map(|redis| (redis, Arc::new(Circuit::new("caches"))));
        Cache { spec, memory, shared }
    }

    /// The answer to `key`, made by `make` when nobody has it. Callers that come together wait for
    /// one of them; an error is told to all of them and not kept.
    ///
    /// # Errors
    /// Those of `make`.
    pub async fn get<T, F>(&self, key: &str, make: F) -> Result<T, Arc<crate::Error>>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T>>,
    {
        let bytes = self
            .memory
            .try_get_with(key.to_owned(), async {
                if let Some(found) = self.find::<T>(key).await {
                    return Ok(found);
                }
                let value = make.await?;
                let bytes: Arc<[u8]> =
                    serde_json::to_vec(&value).map_err(anyhow::Error::new)?.into();
                self.put(key, &bytes).await;
                Ok::<_, crate::Error>(bytes)
            })
            .await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Arc::new(anyhow::Error::new(error).context("read a cache").into()))
    }

    fn name(&self, redis: &Redis, key: &str) -> String {
        redis.key(&format!("cache:{}:{}:{key}", self.spec.name, self.spec.version))
    }

    /// What Redis has, when it can still be read.
    async fn find<T: DeserializeOwned>(&self, key: &str) -> Option<Arc<[u8]>> {
        let (redis, circuit) = self.shared.as_ref()?;
        let name = self.name(redis, key);
        let found = circuit.run(PATIENCE, || {
            let (mut conn, mut get) = (redis.commands(), ::redis::cmd("GET"));
            get.arg(&name);
            async move { get.query_async::<Option<Vec<u8>>>(&mut conn).await }
        });
        let bytes = found.await??;
        serde_json::from_slice::<T>(&bytes).ok()?;
        Some(bytes.into())
    }

    async fn put(&self, key: &str, bytes: &[u8]) {
        let Some((redis, circuit)) = self.shared.as_ref().filter(|_| bytes.len() <= LARGEST) else {
            return;
        };
        let name = self.name(redis, key);
        let lives = u64::try_from(self.spec.lives.as_millis() / 2).unwrap_or(1).max(1);
        let written = circuit.run(PATIENCE, || {
            let (mut conn, mut set) = (redis.commands(), ::redis::cmd("SET"));
            set.arg(&name).arg(bytes).arg("PX").arg(lives);
            async move { set.exec_async(&mut conn).await }
        });
        written.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    const SPEC: CacheSpec =
        CacheSpec { name: "test", version: 1, lives: Duration::from_millis(300), bytes: 1 << 20 };

    #[tokio::test]
    async fn a_hundred_callers_cost_one_call() {
        let (cache, made) = (Cache::new(SPEC, None), AtomicU32::new(0));
        let slow = || async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(made.fetch_add(1, Ordering::Relaxed))
        };
        let answers =
            futures_util::future::join_all((0..100).map(|_| cache.get("k", slow()))).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() == 0));
        assert_eq!(cache.get("other", slow()).await.unwrap(), 1);
        tokio::time::sleep(SPEC.lives).await;
        assert_eq!(cache.get("k", slow()).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn an_error_is_told_and_not_kept() {
        let cache = Cache::new(SPEC, None);
        let failed = cache.get::<u32, _>("k", async { Err(crate::Error::NotFound("brand")) }).await;
        assert_eq!(failed.unwrap_err().to_string(), "brand not found");
        assert_eq!(cache.get("k", async { Ok(3) }).await.unwrap(), 3);
    }
}
