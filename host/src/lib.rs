//! The host of the AI visibility platform: REST API, queue workers and command line.
//!
//! `ARCHITECTURE.md` holds the map. In reading order: what the outside sees ([`api`], [`cli`]),
//! what happens later ([`jobs`]), who answers ([`providers`]), and what both stand on
//! ([`queue`], [`store`]).

mod brand_names;
mod clock;
mod error;

pub mod api;
pub mod api_key;
pub mod app;
pub mod cli;
pub mod config;
pub mod events;
pub mod identity;
pub mod ids;
pub mod jobs;
pub mod metrics;
pub mod providers;
pub mod queue;
pub mod redis;
pub mod seed;
pub mod store;
pub mod suggestions;
pub mod telemetry;
pub mod vault;

pub use self::{
    app::App,
    clock::Clock,
    error::{Error, Result, Violation},
};
