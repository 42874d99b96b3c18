//! What all plugins of a runtime share: the engine, its clock and the gate.

use tokio::sync::Semaphore;
use wasmtime::Engine;

use crate::engine;
use crate::ticker::Ticker;

/// Lives until the last plugin is gone, which may be after the runtime.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) ticker: Ticker,
    /// In front of guest execution: more guests than cores only take memory.
    pub(crate) gate: Semaphore,
    /// Requests to local hosts over plain http are allowed.
    pub(crate) allow_local_hosts: bool,
}

/// How many guests run at once when nothing else is asked for: two per core.
pub(crate) fn default_concurrency() -> usize {
    2 * std::thread::available_parallelism().map_or(2, usize::from)
}

/// Permits of the gate, which has no more than the pool has slots.
pub(crate) fn permits(wanted: usize) -> usize {
    wanted.clamp(1, engine::SLOTS as usize)
}
