//! From wasmtime's errors to ours: class, blame, message and backtrace.

use std::time::Duration;

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace, WasmtimeBug};
use wasmtime_wasi::I32Exit;

use crate::engine::BACKTRACE_FRAMES;
use crate::error::{Blame, Class};
use crate::guest::Exhausted;

/// Longest part of a panic's text that goes into a message.
const PANIC_TEXT: usize = 500;

/// What ended a call.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) blame: Blame,
    pub(crate) class: Class,
    pub(crate) message: String,
    pub(crate) backtrace: Vec<String>,
}

impl Fault {
    pub(crate) fn guest(class: Class, message: impl Into<String>) -> Self {
        Self { blame: Blame::Guest, class, message: message.into(), backtrace: Vec::new() }
    }

    pub(crate) fn host(message: impl Into<String>) -> Self {
        let (blame, class) = (Blame::Host, Class::Failed);
        Self { blame, class, message: message.into(), backtrace: Vec::new() }
    }

    /// The step neither ended nor used its CPU time.
    pub(crate) fn slept(wall: Duration, cpu: Duration) -> Self {
        let message = format!(
            "the step took more than {} ms on the wall with {} ms of CPU time: \
             a guest cannot sleep, it returns `pause`",
            wall.as_millis(),
            cpu.as_millis()
        );
        Self::guest(Class::Timeout, message)
    }

    /// Adds the text of a panic, which the guest wrote to stderr.
    pub(crate) fn with_panic(mut self, stderr: &str) -> Self {
        if let Some((_, text)) = stderr.rsplit_once("panicked at ") {
            let text = &text[..text.floor_char_boundary(PANIC_TEXT)];
            self.message = format!("{}: panicked at {}", self.message, text.trim_end());
        }
        self
    }
}

impl From<wasmtime::Error> for Fault {
    fn from(error: wasmtime::Error) -> Self {
        let (blame, class, message) = judge(&error);
        let backtrace = error.downcast_ref::<WasmBacktrace>().map(frames).unwrap_or_default();
        Self { blame, class, message, backtrace }
    }
}

fn judge(error: &wasmtime::Error) -> (Blame, Class, String) {
    let cause = error.root_cause().to_string();
    if let Some(exhausted) = error.downcast_ref::<Exhausted>() {
        let class = match exhausted {
            Exhausted::Cpu(_) => Class::Timeout,
            Exhausted::Memory { .. } | Exhausted::Table { .. } => Class::OutOfMemory,
        };
        (Blame::Guest, class, cause)
    } else if let Some(I32Exit(status)) = error.downcast_ref() {
        (Blame::Guest, Class::Trap, format!("the guest exited with status {status}"))
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        (Blame::Guest, Class::Trap, trap.to_string())
    } else if error.is::<PoolConcurrencyLimitError>()
        || error.is::<WasmtimeBug>()
        || error.is::<wasmtime::OutOfMemory>()
        || error.is::<std::io::Error>()
    {
        (Blame::Host, Class::Failed, cause)
    } else if cause.contains("fuel allocated for hostcalls") {
        let message = "the guest handed over more data than one call may: return less".to_owned();
        (Blame::Guest, Class::Policy, message)
    } else {
        // What remains are values that do not lift: wrong records, bad pointers, broken UTF-8.
        (Blame::Guest, Class::Abi, format!("{error:#}"))
    }
}

/// One line per frame, with demangled names.
fn frames(backtrace: &WasmBacktrace) -> Vec<String> {
    let text = backtrace.to_string();
    text.lines()
        .map(str::trim)
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
        .take(BACKTRACE_FRAMES)
        .map(str::to_owned)
        .collect()
}
