//! Rate limits that hold across processes.
//!
//! Redis keeps the allowances, by its own clock. While it is away each process grants its share of
//! the rate. **Invariant:** a limit is never off: what Redis granted is charged here as well, so
//! that a process which loses Redis goes on from there.

use super::{
    Circuit, Redis,
    gcra::{self, Rate, Taken},
};
use ::redis::Script;
use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a caller waits for Redis.
const PATIENCE: Duration = Duration::from_millis(50);
/// Allowances remembered here before those that are full again are forgotten.
const REMEMBERED: usize = 10_000;

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("gcra.lua")));

/// Allowances by key. Cheap to clone.
#[derive(Clone)]
pub struct RateLimits(Arc<Inner>);

struct Inner {
    redis: Option<Redis>,
    circuit: Circuit,
    processes: AtomicU32,
    started: Instant,
    /// When each allowance is full again, in microseconds after `started`.
    here: Mutex<HashMap<String, u64>>,
}

impl RateLimits {
    pub fn new(redis: Option<Redis>) -> Self {
        RateLimits(Arc::new(Inner {
            redis,
            circuit: Circuit::new("rate limits"),
            processes: AtomicU32::new(1),
            started: Instant::now(),
            here: Mutex::default(),
        }))
    }

    /// Says how many processes share the allowances: without Redis each grants its part.
    pub fn set_instances(&self, processes: u32) {
        self.0.processes.store(processes.max(1), Ordering::Relaxed);
    }

    /// Takes up to `want` tokens from the allowance `key`.
    pub async fn take(&self, key: &str, rate: Rate, want: u32) -> Taken {
        let (Some(interval), Some(share)) =
            (rate.interval(), rate.share(self.0.processes.load(Ordering::Relaxed)))
        else {
            return Taken::NOTHING;
        };
        if let Some(redis) = &self.0.redis {
            let name = redis.key(&format!("gcra:{key}"));
            let granted = self.0.circuit.run(PATIENCE, || {
                let mut conn = redis.commands();
                let mut call = SCRIPT.key(&name);
                call.arg(interval).arg(rate.burst()).arg(want);
                async move { call.invoke_async::<(u32, u32, u64)>(&mut conn).await }
            });
            if let Some((granted, remaining, wait)) = granted.await {
                if granted > 0 {
                    self.take_here(key, share, granted);
                }
                return Taken { granted, remaining, retry_after: Duration::from_micros(wait) };
            }
        }
        self.take_here(key, share, want)
    }

    fn take_here(&self, key: &str, share: (u64, u64), want: u32) -> Taken {
        // The first instant is not zero, so that an unknown allowance is a full one.
        let now = 1 + u64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(u64::MAX / 2);
        let mut here = self.0.here.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = here.get_mut(key) {
            let (next, taken) = gcra::take(share, *full_at, now, want);
            *full_at = next;
            return taken;
        }
        if here.len() >= REMEMBERED {
            here.retain(|_, full_at| *full_at > now);
        }
        let (full_at, taken) = gcra::take(share, 0, now, want);
        here.insert(key.to_owned(), full_at);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_redis_each_process_grants_its_share() {
        let (rate, mut granted) = (Rate { per_minute: 60, burst: 10 }, 0);
        for _ in 0..4 {
            let limits = RateLimits::new(None);
            limits.set_instances(4);
            for _ in 0..20 {
                granted += limits.take("k", rate, 1).await.granted;
            }
        }
        assert_eq!(granted, 8);
    }

    #[tokio::test]
    async fn a_rate_of_nothing_grants_nothing() {
        let limits = RateLimits::new(None);
        assert_eq!(limits.take("k", Rate { per_minute: 0, burst: 9 }, 3).await, Taken::NOTHING);
        assert_eq!(limits.take("k", Rate { per_minute: 1, burst: 0 }, 3).await.granted, 1);
    }
}
