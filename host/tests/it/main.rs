//! The integration suite: one binary, a whole host per test.
//!
//! SQLite unless `TEST_DATABASE_URL` names a Postgres server; the suite is the same for both.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say where")]

mod support;

mod admin_queues;
mod alert_rules;
mod alerts;
mod analyses;
mod api_keys;
mod apply;
mod audit_log;
mod auth;
mod batches;
mod brands;
mod budgets;
mod cases;
mod clients;
mod command_line;
mod connections;
mod copilot;
mod crash;
mod credentials;
mod daily_counts;
mod dispatchers;
mod driver;
mod edge;
mod egress;
mod engines;
mod events;
mod exports;
mod findings;
mod grants;
mod hostile_providers;
mod identity;
mod intents;
mod interop;
mod languages;
mod members;
mod metrics;
mod mock;
mod openapi;
mod operations;
mod personas;
mod pipeline;
mod plugin_kit;
mod prompt_sets;
mod prompts;
mod provider_command;
mod provider_signatures;
mod provider_swaps;
mod providers;
mod queue;
mod queue_model;
mod redis;
mod replay;
mod reports;
mod roles;
mod run_cases;
mod run_writes;
mod scheduler;
mod schedules;
mod secrets;
mod server;
mod store;
mod tenancy;
mod tenants;
mod tidy;
mod tutorial;
mod webhooks;
mod workspaces;
