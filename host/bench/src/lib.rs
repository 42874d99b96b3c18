//! What the platform is measured and shaken with.
//!
//! [`mock`] plays the vendors on this machine: over plain HTTP, with latency and faults to order,
//! and it remembers what it was asked. Tests start it in their own process, benchmarks as
//! `aiv-mock-vendors`. The host reaches it with `PROVIDER_MODE=mock`. [`servers`] starts private
//! databases, [`host`] the platform itself, [`http`] speaks to it, [`load`] gives it
//! work, and [`report`] says what held.
//!
//! **Invariant:** the host never depends on this crate; it is no part of what is shipped.

pub mod host;
pub mod http;
pub mod load;
pub mod mock;
pub mod report;
pub mod servers;
