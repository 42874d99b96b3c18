//! The integration suite: one binary, a whole host per test.
//!
//! SQLite unless `TEST_DATABASE_URL` names a Postgres server; the suite is the same for both.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say where")]

mod support;

mod admin_queues;
mod api_keys;
mod audit_log;
mod auth;
mod batches;
mod brands;
mod budgets;
mod cases;
mod command_line;
mod crash;
mod daily_counts;
mod dispatchers;
mod driver;
mod edge;
mod egress;
mod engines;
mod hostile_providers;
mod interop;
mod metrics;
mod mock;
mod openapi;
mod operations;
mod pipeline;
mod prompts;
mod provider_command;
mod provider_signatures;
mod provider_swaps;
mod providers;
mod queue;
mod queue_model;
mod redis;
mod replay;
mod run_writes;
mod scheduler;
mod schedules;
mod server;
mod store;
mod tenants;
mod tidy;
mod workspaces;
