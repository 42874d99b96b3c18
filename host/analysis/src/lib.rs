//! Pure text analysis and the metric kernel: text in, numbers out.
//!
//! **Invariant:** no I/O, no clock, no randomness. The same input gives the same output, so stored
//! answers can be analysed again at any time.

pub mod answers;
pub mod changes;
pub mod citations;
pub mod markdown;
pub mod mentions;
pub mod metrics;
mod sentences;
pub mod sentiment;

/// Version of everything derived from an answer here. It grows whenever the same answer and the
/// same brands would yield something else, and is stored beside derived rows.
pub const ANALYSIS_VERSION: u32 = 1;
