//! The wasmtime engine: how code is compiled and where instances live.
//!
//! **Invariant:** [`for_compiling`] and [`for_running`] differ in the allocator only, so code from
//! the one loads in the other.

use std::num::NonZeroUsize;

use tracing::warn;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use crate::limits::Limits;

/// Slots of the pool; the gate in front of guest execution lets fewer in.
pub(crate) const SLOTS: u32 = 64;
/// Frames kept of a trap's backtrace.
pub(crate) const BACKTRACE_FRAMES: usize = 20;
/// Core instances, memories and tables of one component. Guests that bring their own interpreter
/// are made of many modules: Python needs 107.
pub(crate) const CORE_INSTANCES: u32 = 120;
pub(crate) const MEMORIES: u32 = 8;
pub(crate) const TABLES: u32 = 16;

/// An engine that compiles and never runs: it reserves no address space.
pub(crate) fn for_compiling() -> wasmtime::Result<Engine> {
    Engine::new(&config())
}

/// An engine that runs guests in pooled slots, or without a pool where the address space is short.
pub(crate) fn for_running() -> wasmtime::Result<Engine> {
    let mut pooled = config();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    Engine::new(&pooled).or_else(|error| {
        warn!(%error, "no address space for an instance pool: instances are allocated on demand");
        for_compiling()
    })
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES))
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // The same input gives the same step on every machine.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false);
    config
}

/// Bytes of a memory, and of a table, that a free slot keeps.
///
/// Kept pages are wiped in place, where giving them back means an interrupt of every processor
/// and a page fault for each page when the next step needs it: a third of a step's time.
const KEPT_MEMORY: usize = 1 << 20;
const KEPT_TABLE: usize = 64 << 10;

/// The pool reserves addresses; a free slot keeps a little memory.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(SLOTS)
        .total_core_instances(SLOTS * CORE_INSTANCES)
        .total_memories(SLOTS * 4)
        .total_tables(SLOTS * 8)
        .total_stacks(SLOTS)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_memory_size(Limits::MAX_MEMORY)
        .table_elements(20_000)
        // Only what a guest did write is wiped, where the kernel can tell (Linux 6.7).
        .pagemap_scan(Enabled::Auto)
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLE);
    pool
}
