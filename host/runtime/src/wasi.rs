//! The inert world: WASI that answers and does nothing.
//!
//! Guests built with a standard library import WASI whether they use it or not. Here the clock
//! stands still at the step's moment, random bytes come from its seed, there are no files,
//! arguments or variables, and stderr is kept for the report.
//!
//! **Invariant:** sockets and HTTP are not linked at all.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWrite;
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::{cli, filesystem, random};
use wasmtime_wasi::p2::{
    OutputStream, Pollable, StreamResult, add_to_linker_proxy_interfaces_async,
};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{
    Deterministic, HostMonotonicClock, HostWallClock, WasiCtx, WasiView as _, async_trait,
};

use crate::guest::Guest;
use crate::types::Moment;

/// Interfaces of WASI 0.2 that a guest may import.
pub(crate) const ALLOWED: [&str; 5] =
    ["wasi:io", "wasi:cli", "wasi:clocks", "wasi:random", "wasi:filesystem"];

/// Links what [`ALLOWED`] names.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    add_to_linker_proxy_interfaces_async(linker)?;
    filesystem::types::add_to_linker::<Guest, WasiFilesystem>(linker, Guest::filesystem)?;
    filesystem::preopens::add_to_linker::<Guest, WasiFilesystem>(linker, Guest::filesystem)?;
    random::insecure::add_to_linker::<Guest, WasiRandom>(linker, |g| g.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<Guest, WasiRandom>(linker, |g| g.ctx().ctx.random())?;
    cli::exit::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::environment::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_input::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_output::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stdin::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stdout::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stderr::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)
}

/// A context that answers from the moment alone.
pub(crate) fn inert(moment: Moment, stderr: Capture) -> WasiCtx {
    let clock = StoppedClock(Duration::try_from_secs_f64(moment.now_unix).unwrap_or_default());
    WasiCtx::builder()
        .stderr(stderr)
        .wall_clock(clock)
        .monotonic_clock(clock)
        .secure_random(seeded(moment.seed, "secure"))
        .insecure_random(seeded(moment.seed, "insecure"))
        .insecure_random_seed(u128::from(moment.seed))
        .max_random_size(64 << 10)
        .build()
}

/// Bytes that depend on the seed alone; good for hash maps, not for secrets.
fn seeded(seed: u32, purpose: &str) -> Deterministic {
    let block = |n: u8| {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(purpose);
        hash.update([n]);
        hash.finalize()
    };
    Deterministic::new((0..16).flat_map(block).collect())
}

/// A clock that shows the moment of the step, however long the step takes.
#[derive(Clone, Copy)]
struct StoppedClock(Duration);

impl HostWallClock for StoppedClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}

impl HostMonotonicClock for StoppedClock {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    /// Never 0, even where no time is given: Go's runtime takes that for a broken clock.
    fn now(&self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

/// An output that keeps its beginning and swallows the rest without complaint: a guest that
/// cannot write its panic message would panic about that.
#[derive(Clone)]
pub(crate) struct Capture {
    kept: Arc<Mutex<Vec<u8>>>,
    capacity: usize,
}

impl Capture {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { kept: Arc::default(), capacity }
    }

    /// What was written, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept()).into_owned()
    }

    fn kept(&self) -> MutexGuard<'_, Vec<u8>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.kept();
        let room = self.capacity.saturating_sub(kept.len()).min(bytes.len());
        kept.extend_from_slice(&bytes[..room]);
    }
}

impl IsTerminal for Capture {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Capture {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Capture {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.keep(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

#[async_trait]
impl Pollable for Capture {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Capture {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.keep(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_counts_from_more_than_nothing() {
        let at = |seconds| HostMonotonicClock::now(&StoppedClock(Duration::from_secs(seconds)));
        assert_eq!((at(0), at(2)), (1, 2_000_000_000));
    }
}
