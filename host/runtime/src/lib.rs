//! Runs provider components: plugins that are pure functions from events to steps.
//!
//! A plugin never waits and never touches the network. It is called with an event, says what it
//! wants next ([`types::Step`]) and is gone; whoever calls it does the input and output.
//!
//! - [`Runtime`] admits and loads components, by content.
//! - [`Plugin`] runs their steps, each in a fresh instance under [`Limits`].
//! - [`LoadError`] and [`PluginError`] say what went wrong and who has to act.
//!
//! **Invariant:** this crate knows neither SQL nor routes nor how a request is sent.
//!
//! **Invariant:** whatever a guest does, the host stays alive and the next step works.
//!
//! **Invariant:** machine code is loaded only from the local cache, and only if this host wrote it.

mod abi;
mod cache;
mod compile;
mod digest;
mod engine;
mod error;
mod fault;
mod guest;
mod inspect;
mod limits;
mod manifest;
mod meter;
mod plugin;
mod policy;
mod runtime;
mod shared;
mod ticker;
pub mod types;
mod wasi;

pub use self::compile::{Compiler, compile_child};
pub use self::digest::{Digest, InvalidDigest};
pub use self::error::{Blame, Class, Export, LoadError, ManifestProblem, PluginError};
pub use self::limits::{Limits, StepLimits};
pub use self::manifest::{check_manifest, is_slug};
pub use self::plugin::{Plugin, StepReport};
pub use self::policy::{check_request, check_step};
pub use self::runtime::{Admission, Runtime, RuntimeConfig};
