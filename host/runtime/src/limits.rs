//! How much of the machine one step may use, and how large what it hands over may be.

use std::time::Duration;

/// What one step may use and return. The defaults suit a Rust or JavaScript guest; a Python guest
/// needs a second of CPU time and 128 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// CPU time of one step, yields not counted.
    pub cpu: Duration,
    /// Time on the wall of one step, so that a guest that sleeps holds no slot.
    pub wall: Duration,
    /// All linear memories of the guest together, at most [`Limits::MAX_MEMORY`].
    pub memory_bytes: usize,
    /// Elements of all tables together.
    pub table_elements: usize,
    /// Kept lines of the log; the rest is counted and dropped.
    pub log_lines: usize,
    /// Kept bytes of the log, and of one line at most a tenth of it.
    pub log_bytes: usize,
    /// Kept bytes of stderr; the rest is dropped.
    pub stderr_bytes: usize,
    /// Bytes that may cross from guest to host in one call, before they become host data.
    pub transfer_bytes: usize,
    /// What a step may contain.
    pub step: StepLimits,
}

impl Limits {
    /// What the address space reserved for one linear memory allows.
    pub const MAX_MEMORY: usize = 256 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_millis(200),
            wall: Duration::from_secs(5),
            memory_bytes: 64 << 20,
            table_elements: 20_000,
            log_lines: 200,
            log_bytes: 32 << 10,
            stderr_bytes: 16 << 10,
            transfer_bytes: 16 << 20,
            step: StepLimits::default(),
        }
    }
}

/// What a step may contain; see [`crate::check_step`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepLimits {
    /// Opaque state, which is stored with the waiting run.
    pub state_bytes: usize,
    /// Body of a request.
    pub request_body_bytes: usize,
    /// URL of a request, without its query parameters.
    pub url_bytes: usize,
    /// Query parameters and headers of a request: how many of each, and all bytes together.
    pub pairs: usize,
    pub pairs_bytes: usize,
    /// Longest pause.
    pub pause: Duration,
    /// Text of an answer.
    pub text_bytes: usize,
    pub citations: usize,
    /// All other text of an outcome or failure: citations, related questions, meta.
    pub other_bytes: usize,
    /// Elements of any other list, such as related questions, queries, warnings and extras.
    pub list: usize,
}

impl Default for StepLimits {
    fn default() -> Self {
        Self {
            state_bytes: 64 << 10,
            request_body_bytes: 1 << 20,
            url_bytes: 8 << 10,
            pairs: 100,
            pairs_bytes: 64 << 10,
            pause: Duration::from_mins(10),
            text_bytes: 1 << 20,
            citations: 1_000,
            other_bytes: 4 << 20,
            list: 1_000,
        }
    }
}
