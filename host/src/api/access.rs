//! Who may do what: one line per operation.
//!
//! **Invariant:** an operation without a line keeps the host from starting, and so does a line
//! without an operation.

use super::{Caller, Problem};
use crate::{Error, store::api_keys::Role};

/// What an operation does. A key with scopes may only do what they name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Read,
    Write,
    /// Spends money at providers.
    Run,
    /// Gives or takes access.
    Keys,
    /// Concerns the installation and not one workspace.
    Platform,
}

impl Scope {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Write => "write",
            Scope::Run => "run",
            Scope::Keys => "keys",
            Scope::Platform => PLATFORM,
        }
    }
}

/// The scope of platform operators: all workspaces, every operation.
pub(crate) const PLATFORM: &str = "admin:*";

/// The scopes that a key can be given by a workspace's owner.
pub(crate) const GRANTABLE: [&str; 4] = ["read", "write", "run", "keys"];

/// What an operation asks of its caller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) operation: &'static str,
    pub(crate) role: Role,
    pub(crate) scope: Scope,
}

const fn rule(operation: &'static str, role: Role, scope: Scope) -> Rule {
    Rule { operation, role, scope }
}

pub(crate) const RULES: &[Rule] = &[
    rule("whoami", Role::Viewer, Scope::Read),
    rule("create_workspace", Role::Owner, Scope::Platform),
    rule("list_workspaces", Role::Viewer, Scope::Read),
    rule("find_workspace", Role::Viewer, Scope::Read),
    rule("update_workspace", Role::Admin, Scope::Write),
    rule("create_api_key", Role::Admin, Scope::Keys),
    rule("list_api_keys", Role::Admin, Scope::Keys),
    rule("revoke_api_key", Role::Admin, Scope::Keys),
    rule("list_audit_log", Role::Admin, Scope::Read),
    rule("list_platform_audit_log", Role::Owner, Scope::Platform),
    rule("create_brand", Role::Member, Scope::Write),
    rule("list_brands", Role::Viewer, Scope::Read),
    rule("find_brand", Role::Viewer, Scope::Read),
    rule("update_brand", Role::Member, Scope::Write),
    rule("delete_brand", Role::Member, Scope::Write),
    rule("create_prompt", Role::Member, Scope::Write),
    rule("list_prompts", Role::Viewer, Scope::Read),
    rule("find_prompt", Role::Viewer, Scope::Read),
    rule("update_prompt", Role::Member, Scope::Write),
    rule("delete_prompt", Role::Member, Scope::Write),
    rule("list_providers", Role::Viewer, Scope::Read),
    rule("list_engines", Role::Viewer, Scope::Read),
    rule("find_engine", Role::Viewer, Scope::Read),
    rule("save_engine", Role::Admin, Scope::Write),
    rule("delete_engine", Role::Admin, Scope::Write),
    rule("create_batch", Role::Member, Scope::Run),
    rule("list_batches", Role::Viewer, Scope::Read),
    rule("find_batch", Role::Viewer, Scope::Read),
    rule("cancel_batch", Role::Member, Scope::Run),
    rule("create_schedule", Role::Member, Scope::Run),
    rule("preview_schedule", Role::Viewer, Scope::Read),
    rule("list_schedules", Role::Viewer, Scope::Read),
    rule("find_schedule", Role::Viewer, Scope::Read),
    rule("update_schedule", Role::Member, Scope::Run),
    rule("delete_schedule", Role::Member, Scope::Run),
    rule("list_schedule_fires", Role::Viewer, Scope::Read),
    rule("list_runs", Role::Viewer, Scope::Read),
    rule("find_run", Role::Viewer, Scope::Read),
    rule("cancel_run", Role::Member, Scope::Run),
    rule("find_answer", Role::Viewer, Scope::Read),
    rule("find_metrics_overview", Role::Viewer, Scope::Read),
    rule("list_metrics_timeseries", Role::Viewer, Scope::Read),
    rule("list_top_domains", Role::Viewer, Scope::Read),
    rule("list_costs", Role::Viewer, Scope::Read),
    rule("find_system", Role::Owner, Scope::Platform),
    rule("list_queues", Role::Owner, Scope::Platform),
    rule("find_queue", Role::Owner, Scope::Platform),
    rule("pause_queue", Role::Owner, Scope::Platform),
    rule("resume_queue", Role::Owner, Scope::Platform),
    rule("retry_failed_jobs", Role::Owner, Scope::Platform),
    rule("purge_failed_jobs", Role::Owner, Scope::Platform),
    rule("find_lane", Role::Owner, Scope::Platform),
    rule("save_lane", Role::Owner, Scope::Platform),
    rule("pause_lane", Role::Owner, Scope::Platform),
    rule("resume_lane", Role::Owner, Scope::Platform),
    rule("unblock_lane", Role::Owner, Scope::Platform),
    rule("list_jobs", Role::Owner, Scope::Platform),
    rule("find_job", Role::Owner, Scope::Platform),
    rule("retry_job", Role::Owner, Scope::Platform),
    rule("cancel_job", Role::Owner, Scope::Platform),
    rule("promote_job", Role::Owner, Scope::Platform),
    rule("list_workers", Role::Owner, Scope::Platform),
    rule("drain_worker", Role::Owner, Scope::Platform),
    rule("find_budget", Role::Viewer, Scope::Read),
    rule("find_platform_budget", Role::Owner, Scope::Platform),
    rule("save_platform_budget", Role::Owner, Scope::Platform),
    rule("find_throttle", Role::Owner, Scope::Platform),
    rule("save_throttle", Role::Owner, Scope::Platform),
    rule("delete_throttle", Role::Owner, Scope::Platform),
    rule("list_installed_providers", Role::Owner, Scope::Platform),
    rule("find_installed_provider", Role::Owner, Scope::Platform),
    rule("install_provider", Role::Owner, Scope::Platform),
    rule("find_provider_grant", Role::Owner, Scope::Platform),
    rule("save_provider_grant", Role::Owner, Scope::Platform),
    rule("activate_provider", Role::Owner, Scope::Platform),
    rule("start_provider_canary", Role::Owner, Scope::Platform),
    rule("rollback_provider", Role::Owner, Scope::Platform),
    rule("disable_provider", Role::Owner, Scope::Platform),
    rule("reload_provider", Role::Owner, Scope::Platform),
    rule("delete_unused_components", Role::Owner, Scope::Platform),
    rule("list_provider_logs", Role::Owner, Scope::Platform),
    rule("list_publisher_keys", Role::Owner, Scope::Platform),
    rule("save_publisher_key", Role::Owner, Scope::Platform),
    rule("revoke_publisher_key", Role::Owner, Scope::Platform),
];

pub(crate) fn rule_of(operation: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.operation == operation)
}

impl Rule {
    pub(super) fn check(&self, caller: &Caller) -> Result<(), Problem> {
        if caller.is_platform() {
            return Ok(());
        }
        if self.scope == Scope::Platform {
            return Err(forbidden(format!("this needs a key with the scope `{PLATFORM}`")));
        }
        if caller.role < self.role {
            let (needed, given) = (name(self.role), name(caller.role));
            return Err(forbidden(format!("this needs the role {needed}; the key has {given}")));
        }
        let scope = self.scope.as_str();
        // A key without scopes may do all that its role may.
        if !caller.scopes.is_empty() && !caller.scopes.iter().any(|given| given == scope) {
            return Err(forbidden(format!("this needs the scope `{scope}`, which the key lacks")));
        }
        Ok(())
    }
}

pub(crate) const fn name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Member => "member",
        Role::Admin => "admin",
        Role::Owner => "owner",
    }
}

fn forbidden(detail: String) -> Problem {
    Error::Forbidden(detail).into()
}
