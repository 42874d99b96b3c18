use ::redis::RedisResult;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Keeps callers from waiting for a Redis that is away: after a failure they go another way at
/// once, and one of them tries again every so often.
pub struct Circuit {
    /// What it is used for, in the log.
    name: &'static str,
    started: Instant,
    /// Milliseconds after `started` before which nobody tries; 0 while all is well.
    closed_until: AtomicU64,
}

/// Between two tries while Redis is away. Two of them fit into the second in which a Redis that is
/// back has to be in use again.
const PAUSE: Duration = Duration::from_millis(250);

impl Circuit {
    pub fn new(name: &'static str) -> Self {
        Circuit { name, started: Instant::now(), closed_until: AtomicU64::new(0) }
    }

    /// What `command` says, when it says it within `patience`; `None` means to go on without
    /// Redis.
    pub async fn run<T, F>(&self, patience: Duration, command: impl Fn() -> F) -> Option<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        if !self.may_try() {
            return None;
        }
        // A broken connection is only found by using it, and replaced right after: a second try
        // within the same patience finds the new one.
        let twice = async {
            match command().await {
                Err(error) if error.is_io_error() => command().await,
                answer => answer,
            }
        };
        match tokio::time::timeout(patience, twice).await {
            Ok(Ok(value)) => {
                if self.closed_until.swap(0, Ordering::Relaxed) != 0 {
                    tracing::info!("Redis serves {} again", self.name);
                }
                Some(value)
            }
            Ok(Err(error)) => self.failed(&error.to_string()),
            Err(_) => self.failed("no answer in time"),
        }
    }

    /// Whether Redis served the last call.
    pub fn is_well(&self) -> bool {
        self.closed_until.load(Ordering::Relaxed) == 0
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Everybody while all is well; otherwise one caller per pause.
    fn may_try(&self) -> bool {
        let until = self.closed_until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let now = self.now();
        now >= until
            && self
                .closed_until
                .compare_exchange(until, now + pause(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    fn failed<T>(&self, reason: &str) -> Option<T> {
        let until = (self.now() + pause()).max(1);
        if self.closed_until.swap(until, Ordering::Relaxed) == 0 {
            tracing::warn!("Redis does not serve {}, going on without: {reason}", self.name);
        }
        None
    }
}

fn pause() -> u64 {
    u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[tokio::test]
    async fn only_one_caller_waits_while_it_is_away() {
        let (circuit, tries) = (Circuit::new("tests"), AtomicU32::new(0));
        let patience = Duration::from_millis(20);
        let hang = || {
            tries.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<RedisResult<()>>()
        };
        for _ in 0..50 {
            assert_eq!(circuit.run(patience, hang).await, None);
        }
        assert_eq!(tries.load(Ordering::Relaxed), 1);
        tokio::time::sleep(PAUSE).await;
        let answers = futures_util::future::join_all((0..50).map(|_| circuit.run(patience, hang)));
        answers.await;
        assert_eq!(tries.load(Ordering::Relaxed), 2);
        tokio::time::sleep(PAUSE).await;
        assert_eq!(circuit.run(patience, async || Ok(7)).await, Some(7));
        assert!(circuit.is_well());
    }
}
