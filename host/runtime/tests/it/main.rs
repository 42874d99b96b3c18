//! Hostile guests against a real runtime.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failure ends the run, and says where")]

mod admission;
mod cache;
mod golden;
mod limits;
mod policy;
mod steps;
mod support;
