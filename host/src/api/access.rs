//! Who may do what: one line per operation.
//!
//! **Invariant:** an operation without a line keeps the host from starting, and so does a line
//! without an operation.

use super::{Caller, Problem};
use crate::{Error, store::api_keys::Role};

/// What an operation does. A key or token with scopes may only do what they name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Read,
    Write,
    /// Spends money at providers.
    Run,
    /// Gives or takes access.
    Keys,
    /// Concerns a person and not one workspace.
    Account,
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
            Scope::Account => "account",
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
    rule("find_me", Role::Viewer, Scope::Account),
    rule("revoke_own_sessions", Role::Viewer, Scope::Account),
    rule("accept_invitation", Role::Viewer, Scope::Account),
    rule("list_members", Role::Viewer, Scope::Read),
    rule("find_member", Role::Viewer, Scope::Read),
    rule("update_member", Role::Admin, Scope::Keys),
    rule("delete_member", Role::Admin, Scope::Keys),
    rule("create_invitation", Role::Admin, Scope::Keys),
    rule("list_invitations", Role::Admin, Scope::Keys),
    rule("revoke_invitation", Role::Admin, Scope::Keys),
    rule("create_revocation", Role::Owner, Scope::Platform),
    rule("create_erasure", Role::Owner, Scope::Platform),
    rule("list_erasures", Role::Owner, Scope::Platform),
    rule("list_revocations", Role::Owner, Scope::Platform),
    rule("create_workspace", Role::Owner, Scope::Platform),
    rule("list_workspaces", Role::Viewer, Scope::Read),
    rule("find_workspace", Role::Viewer, Scope::Read),
    rule("update_workspace", Role::Admin, Scope::Write),
    rule("create_api_key", Role::Admin, Scope::Keys),
    rule("list_api_keys", Role::Admin, Scope::Keys),
    rule("revoke_api_key", Role::Admin, Scope::Keys),
    rule("list_audit_log", Role::Admin, Scope::Read),
    rule("list_platform_audit_log", Role::Owner, Scope::Platform),
    rule("create_export", Role::Owner, Scope::Read),
    rule("list_exports", Role::Owner, Scope::Read),
    rule("find_export", Role::Owner, Scope::Read),
    rule("download_export", Role::Owner, Scope::Read),
    rule("create_download_link", Role::Owner, Scope::Read),
    rule("create_deletion_request", Role::Owner, Scope::Keys),
    rule("find_deletion_request", Role::Owner, Scope::Read),
    rule("cancel_deletion_request", Role::Owner, Scope::Keys),
    rule("list_deletion_requests", Role::Owner, Scope::Platform),
    rule("create_brand", Role::Member, Scope::Write),
    rule("list_brands", Role::Viewer, Scope::Read),
    rule("find_brand", Role::Viewer, Scope::Read),
    rule("update_brand", Role::Member, Scope::Write),
    rule("delete_brand", Role::Member, Scope::Write),
    rule("preview_brand", Role::Viewer, Scope::Read),
    rule("find_brand_facts", Role::Viewer, Scope::Read),
    rule("save_brand_facts", Role::Member, Scope::Write),
    rule("create_prompt", Role::Member, Scope::Write),
    rule("list_prompts", Role::Viewer, Scope::Read),
    rule("find_prompt", Role::Viewer, Scope::Read),
    rule("update_prompt", Role::Member, Scope::Write),
    rule("delete_prompt", Role::Member, Scope::Write),
    rule("update_prompts", Role::Member, Scope::Write),
    rule("list_prompt_versions", Role::Viewer, Scope::Read),
    rule("find_prompt_version", Role::Viewer, Scope::Read),
    rule("import_prompts", Role::Member, Scope::Write),
    rule("export_prompts", Role::Viewer, Scope::Read),
    rule("suggest_prompts", Role::Viewer, Scope::Read),
    rule("create_intent", Role::Member, Scope::Write),
    rule("list_intents", Role::Viewer, Scope::Read),
    rule("find_intent", Role::Viewer, Scope::Read),
    rule("update_intent", Role::Member, Scope::Write),
    rule("delete_intent", Role::Member, Scope::Write),
    rule("create_topic", Role::Member, Scope::Write),
    rule("list_topics", Role::Viewer, Scope::Read),
    rule("find_topic", Role::Viewer, Scope::Read),
    rule("update_topic", Role::Member, Scope::Write),
    rule("delete_topic", Role::Member, Scope::Write),
    rule("create_persona", Role::Member, Scope::Write),
    rule("list_personas", Role::Viewer, Scope::Read),
    rule("find_persona", Role::Viewer, Scope::Read),
    rule("update_persona", Role::Member, Scope::Write),
    rule("delete_persona", Role::Member, Scope::Write),
    rule("list_tags", Role::Viewer, Scope::Read),
    rule("update_tag", Role::Member, Scope::Write),
    rule("delete_tag", Role::Member, Scope::Write),
    rule("list_locales", Role::Viewer, Scope::Read),
    rule("list_providers", Role::Viewer, Scope::Read),
    rule("list_engines", Role::Viewer, Scope::Read),
    rule("find_engine", Role::Viewer, Scope::Read),
    rule("save_engine", Role::Admin, Scope::Write),
    rule("delete_engine", Role::Admin, Scope::Write),
    rule("save_engine_credential", Role::Admin, Scope::Keys),
    rule("delete_engine_credential", Role::Admin, Scope::Keys),
    rule("test_engine", Role::Admin, Scope::Run),
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
    rule("list_mentions", Role::Viewer, Scope::Read),
    rule("list_citations", Role::Viewer, Scope::Read),
    rule("find_raw_answer", Role::Admin, Scope::Read),
    rule("create_analysis", Role::Member, Scope::Write),
    rule("reanalyse_answer", Role::Member, Scope::Write),
    rule("list_analyses", Role::Viewer, Scope::Read),
    rule("find_analysis", Role::Viewer, Scope::Read),
    rule("cancel_analysis", Role::Member, Scope::Write),
    rule("find_metrics_overview", Role::Viewer, Scope::Read),
    rule("list_metrics_timeseries", Role::Viewer, Scope::Read),
    rule("list_engine_metrics", Role::Viewer, Scope::Read),
    rule("list_prompt_metrics", Role::Viewer, Scope::Read),
    rule("list_brand_metrics", Role::Viewer, Scope::Read),
    rule("list_source_metrics", Role::Viewer, Scope::Read),
    rule("list_snippets", Role::Viewer, Scope::Read),
    rule("list_citation_opportunities", Role::Viewer, Scope::Read),
    rule("update_citation_opportunity", Role::Member, Scope::Write),
    rule("list_ledger", Role::Viewer, Scope::Read),
    rule("export_ledger", Role::Viewer, Scope::Read),
    rule("list_top_domains", Role::Viewer, Scope::Read),
    rule("list_costs", Role::Viewer, Scope::Read),
    rule("reload_config", Role::Owner, Scope::Platform),
    rule("stream_events", Role::Viewer, Scope::Read),
    rule("create_stream_ticket", Role::Viewer, Scope::Read),
    rule("create_webhook", Role::Admin, Scope::Write),
    rule("list_webhooks", Role::Member, Scope::Read),
    rule("find_webhook", Role::Member, Scope::Read),
    rule("update_webhook", Role::Admin, Scope::Write),
    rule("delete_webhook", Role::Admin, Scope::Write),
    rule("rotate_webhook", Role::Admin, Scope::Write),
    rule("test_webhook", Role::Admin, Scope::Write),
    rule("list_webhook_deliveries", Role::Member, Scope::Read),
    rule("find_webhook_delivery", Role::Member, Scope::Read),
    rule("redeliver_webhook_delivery", Role::Admin, Scope::Write),
    rule("create_connection", Role::Admin, Scope::Write),
    rule("list_connections", Role::Member, Scope::Read),
    rule("find_connection", Role::Member, Scope::Read),
    rule("update_connection", Role::Admin, Scope::Write),
    rule("delete_connection", Role::Admin, Scope::Write),
    rule("test_connection", Role::Admin, Scope::Write),
    rule("create_alert_rule", Role::Member, Scope::Write),
    rule("list_alert_rules", Role::Viewer, Scope::Read),
    rule("find_alert_rule", Role::Viewer, Scope::Read),
    rule("update_alert_rule", Role::Member, Scope::Write),
    rule("delete_alert_rule", Role::Member, Scope::Write),
    rule("list_alerts", Role::Viewer, Scope::Read),
    rule("find_alert", Role::Viewer, Scope::Read),
    rule("acknowledge_alert", Role::Member, Scope::Write),
    rule("resolve_alert", Role::Member, Scope::Write),
    rule("snooze_alert", Role::Member, Scope::Write),
    rule("create_mute_window", Role::Member, Scope::Write),
    rule("list_mute_windows", Role::Viewer, Scope::Read),
    rule("delete_mute_window", Role::Member, Scope::Write),
    rule("list_findings", Role::Viewer, Scope::Read),
    rule("find_finding", Role::Viewer, Scope::Read),
    rule("update_finding", Role::Member, Scope::Write),
    rule("find_copilot_rules", Role::Viewer, Scope::Read),
    rule("save_copilot_rules", Role::Admin, Scope::Write),
    rule("list_copilot_actions", Role::Viewer, Scope::Read),
    rule("find_copilot_action", Role::Viewer, Scope::Read),
    rule("approve_copilot_action", Role::Admin, Scope::Write),
    rule("dismiss_copilot_action", Role::Member, Scope::Write),
    rule("complete_copilot_action", Role::Member, Scope::Write),
    rule("create_report", Role::Member, Scope::Write),
    rule("list_reports", Role::Viewer, Scope::Read),
    rule("find_report", Role::Viewer, Scope::Read),
    rule("download_report", Role::Viewer, Scope::Read),
    rule("delete_report", Role::Member, Scope::Write),
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
    rule("find_run_case", Role::Owner, Scope::Platform),
    rule("list_publisher_keys", Role::Owner, Scope::Platform),
    rule("save_publisher_key", Role::Owner, Scope::Platform),
    rule("revoke_publisher_key", Role::Owner, Scope::Platform),
];

pub(crate) fn rule_of(operation: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.operation == operation)
}

impl Rule {
    pub(super) fn check(&self, caller: &Caller) -> Result<(), Problem> {
        if self.scope == Scope::Account {
            // Whatever they may do in a workspace, people have a say in their own accounts.
            return if caller.is_user() { Ok(()) } else { Err(people_only()) };
        }
        if caller.is_platform() {
            return Ok(());
        }
        if self.scope == Scope::Platform {
            return Err(forbidden(format!("this needs the scope `{PLATFORM}`")));
        }
        if caller.role < self.role {
            let (needed, given) = (name(self.role), name(caller.role));
            return Err(forbidden(format!("this needs the role {needed}; you have {given}")));
        }
        let scope = self.scope.as_str();
        // Without scopes, a key or token may do all that its role may.
        if !caller.scopes.is_empty() && !caller.scopes.iter().any(|given| given == scope) {
            return Err(forbidden(format!("this needs the scope `{scope}`, which yours lacks")));
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

/// What a key asks that only a person can.
pub(crate) fn people_only() -> Problem {
    forbidden("this is for people: send a token, not an API key".into())
}

fn forbidden(detail: String) -> Problem {
    Error::Forbidden(detail).into()
}
