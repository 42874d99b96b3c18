//! CPU time of one step: counted per poll, so neither waiting nor other tasks are charged.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Counts the CPU time that one future uses, on whichever threads it is polled.
#[derive(Default)]
pub(crate) struct Meter {
    /// Nanoseconds of finished polls.
    finished: AtomicU64,
    /// Reading of the thread's clock when the current poll began.
    began: AtomicU64,
}

impl Meter {
    /// Runs the future and charges its polls.
    pub(crate) async fn charge<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            self.began.store(thread_nanos(), Ordering::Relaxed);
            let polled = future.as_mut().poll(context);
            self.finished.store(self.nanos(), Ordering::Relaxed);
            polled
        })
        .await
    }

    /// CPU time so far; to be called from inside the future.
    pub(crate) fn so_far(&self) -> Duration {
        Duration::from_nanos(self.nanos())
    }

    /// CPU time of all finished polls.
    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.finished.load(Ordering::Relaxed))
    }

    fn nanos(&self) -> u64 {
        let began = self.began.load(Ordering::Relaxed);
        self.finished.load(Ordering::Relaxed) + thread_nanos().saturating_sub(began)
    }
}

/// CPU time of this thread.
fn thread_nanos() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(now.tv_nsec).unwrap_or_default();
    seconds * 1_000_000_000 + nanos
}
