//! What one instance owns: its memory account, its captured output and its inert world.
//!
//! **Invariant:** a guest lives for one step. Nothing here outlives it but the report.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::engine;
use crate::limits::Limits;
use crate::meter::Meter;
use crate::shared::Shared;
use crate::types::{LogLevel, LogLine, Moment};
use crate::wasi::{self, Capture};

/// State of one instance.
pub(crate) struct Guest {
    pub(crate) account: Account,
    pub(crate) log: Log,
    pub(crate) stderr: Capture,
    moment: Moment,
    /// Made on first use: a guest without imports never needs it.
    wasi: Option<WasiCtx>,
    resources: ResourceTable,
}

impl Guest {
    /// A store for one step: limited, interruptible, without a world.
    pub(crate) fn store(
        shared: &Shared,
        limits: &Limits,
        moment: Moment,
        meter: &Arc<Meter>,
    ) -> Store<Self> {
        let guest = Self {
            account: Account::new(limits),
            log: Log::new(limits),
            stderr: Capture::new(limits.stderr_bytes),
            moment,
            wasi: None,
            resources: ResourceTable::new(),
        };
        let mut store = Store::new(&shared.engine, guest);
        store.limiter(|guest| &mut guest.account);
        store.set_hostcall_fuel(limits.transfer_bytes);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback({
            let (meter, budget) = (Arc::clone(meter), limits.cpu);
            move |_| {
                if meter.so_far() >= budget {
                    return Err(Exhausted::Cpu(budget).into());
                }
                Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
            }
        });
        store
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Self { wasi, moment, stderr, resources, .. } = self;
        WasiCtxView {
            ctx: wasi.get_or_insert_with(|| wasi::inert(*moment, stderr.clone())),
            table: resources,
        }
    }
}

/// A limit that ended a step. The text names the limit and how to raise it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Exhausted {
    #[error(
        "the step used its {} ms of CPU time: raise the plugin's CPU limit, or do less in one step",
        .0.as_millis()
    )]
    Cpu(std::time::Duration),
    #[error(
        "the guest asked for {wanted} bytes of memory, its limit is {limit}: \
         raise the plugin's memory limit (at most {max} bytes), or use less",
        max = Limits::MAX_MEMORY
    )]
    Memory { wanted: usize, limit: usize },
    #[error("the guest asked for {wanted} table elements, its limit is {limit}")]
    Table { wanted: usize, limit: usize },
}

/// Memory and tables of one instance, all of them together.
pub(crate) struct Account {
    memory: usize,
    memory_limit: usize,
    table: usize,
    table_limit: usize,
    /// Largest sum of all memories.
    pub(crate) peak_memory: usize,
}

impl Account {
    fn new(limits: &Limits) -> Self {
        Self {
            memory: 0,
            memory_limit: limits.memory_bytes.min(Limits::MAX_MEMORY),
            table: 0,
            table_limit: limits.table_elements,
            peak_memory: 0,
        }
    }
}

impl ResourceLimiter for Account {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.memory.saturating_add(desired.saturating_sub(current));
        if wanted > self.memory_limit {
            return Err(Exhausted::Memory { wanted, limit: self.memory_limit }.into());
        }
        self.memory = wanted;
        self.peak_memory = self.peak_memory.max(wanted);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.table.saturating_add(desired.saturating_sub(current));
        if wanted > self.table_limit {
            return Err(Exhausted::Table { wanted, limit: self.table_limit }.into());
        }
        self.table = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        engine::CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        engine::TABLES as usize
    }

    fn memories(&self) -> usize {
        engine::MEMORIES as usize
    }
}

/// The lines a guest logged, up to a number and a size.
pub(crate) struct Log {
    pub(crate) lines: Vec<LogLine>,
    pub(crate) dropped: u32,
    lines_left: usize,
    bytes_left: usize,
    line_bytes: usize,
}

impl Log {
    fn new(limits: &Limits) -> Self {
        Self {
            lines: Vec::new(),
            dropped: 0,
            lines_left: limits.log_lines,
            bytes_left: limits.log_bytes,
            line_bytes: limits.log_bytes / 10,
        }
    }

    /// Keeps the line if there is room, shortened if it is long.
    pub(crate) fn push(&mut self, level: LogLevel, mut message: String) {
        if message.len() > self.line_bytes {
            message.truncate(message.floor_char_boundary(self.line_bytes));
            message.push('…');
        }
        if self.lines_left == 0 || message.len() > self.bytes_left {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        self.lines_left -= 1;
        self.bytes_left -= message.len();
        // A truncated line must not keep the allocation of the long one.
        message.shrink_to_fit();
        self.lines.push(LogLine { level, message });
    }
}
