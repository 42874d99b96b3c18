//! Examples of request bodies, by the name of their schema. A test holds each against its schema.

use serde_json::{Value, json};

pub(super) fn add(document: &mut Value) {
    for (name, example) in all() {
        if let Some(schema) = document["components"]["schemas"].get_mut(name) {
            schema["examples"] = json!([example]);
        }
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn all() -> Vec<(&'static str, Value)> {
    vec![
        (
            "NewWorkspace",
            json!({"name": "Acme", "timezone": "Europe/Copenhagen", "daily_budget_micros": 5_000_000}),
        ),
        ("WorkspacePatch", json!({"daily_budget_micros": 10_000_000})),
        ("NewApiKey", json!({"name": "nightly export", "role": "viewer", "scopes": ["read"]})),
        ("MemberPatch", json!({"role": "admin"})),
        ("NewInvitation", json!({"email": "ada@acme.com", "role": "member", "expires_in_days": 7})),
        ("Acceptance", json!({"token": "avi_0000000000000000000000000000"})),
        (
            "ComponentAddress",
            json!({
                "url": "https://downloads.example.com/perplexity-1.3.0.wasm",
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            }),
        ),
        ("NewRevocation", json!({"subject": "ada@acme.com"})),
        ("NewErasure", json!({"subject": "ada", "reason": "asked for on 3 March"})),
        (
            "NewBrand",
            json!({
                "name": "Monday.com",
                "kind": "competitor",
                "aliases": [{"text": "Monday", "require_capital": true, "must_have_near": ["project"]}],
                "domains": ["monday.com"],
            }),
        ),
        ("BrandPatch", json!({"domains": ["acme.com", "acme.dk"]})),
        (
            "NewPrompt",
            json!({
                "text": "What is the best CRM for a small agency?",
                "intent": "best crm",
                "tags": ["crm"],
                "language": "en",
                "country": "US",
            }),
        ),
        ("PromptPatch", json!({"active": false})),
        (
            "BrandPreview",
            json!({"brand": {"name": "Monday.com", "kind": "competitor", "domains": ["monday.com"]}}),
        ),
        (
            "NewBrandFacts",
            json!({"facts": [
                {"name": "founded", "kind": "number", "value": 2012},
                {"name": "headquarters", "kind": "text", "value": "Tel Aviv", "source_url": "https://monday.com/about"},
            ]}),
        ),
        (
            "PromptImport",
            json!({"prompts": [{"text": "What is the best CRM for a bakery?", "tags": ["crm"]}]}),
        ),
        (
            "PromptChange",
            json!({"action": "activate", "prompt_ids": ["019a0000-0000-7000-8000-000000000000"]}),
        ),
        (
            "NewSuggestions",
            json!({"topics": ["CRM"], "kinds": ["best", "alternatives"], "limit": 20}),
        ),
        ("NewIntent", json!({"name": "best crm", "kind": "best"})),
        ("IntentPatch", json!({"kind": "versus"})),
        ("NewTopic", json!({"name": "CRM", "description": "Our main product line"})),
        ("TopicPatch", json!({"name": "Customer relationship management"})),
        (
            "NewPersona",
            json!({"name": "owner of a bakery", "context": "I run a bakery with five employees."}),
        ),
        ("PersonaPatch", json!({"context": "I run a bakery with ten employees."})),
        ("TagPatch", json!({"name": "crm"})),
        ("NewExport", json!({"format": "csv"})),
        ("NewDeletionRequest", json!({"reason": "we no longer need it", "workspace_name": "Acme"})),
        ("NewAnalysis", json!({"period": "30d"})),
        ("OpportunityPatch", json!({"status": "done", "note": "we are listed there since Monday"})),
        (
            "NewEngine",
            json!({"enabled": true, "surface": "answer", "country": "US", "config": {}, "concurrency": 16}),
        ),
        ("NewCredential", json!({"value": "pplx-0000000000000000"})),
        ("EngineTest", json!({"query": "What is the best CRM for a small agency?"})),
        ("NewPlatformBudget", json!({"limit_micros": 100_000_000})),
        (
            "NewThrottle",
            json!({"state": "throttled", "reason": "the vendor's bill is being looked into"}),
        ),
        ("NewBatch", json!({"tags": ["crm"], "engines": ["perplexity"], "samples": 3})),
        ("RetryFailed", json!({"lane": "perplexity", "limit": 100})),
        ("PurgeFailed", json!({"older_than_s": 86_400})),
        ("NewLaneLimits", json!({"per_minute": 300, "burst": 10, "max_in_flight": 50})),
        (
            "NewSchedule",
            json!({
                "name": "every morning",
                "cron": "30 6 * * 1-5",
                "timezone": "Europe/Copenhagen",
                "batch": {"tags": ["crm"], "samples": 3},
                "jitter_seconds": 300,
            }),
        ),
        ("SchedulePatch", json!({"cron": "30 7 * * 1-5"})),
        (
            "SchedulePreview",
            json!({"cron": "30 2 * * *", "timezone": "Europe/Copenhagen", "count": 3}),
        ),
        (
            "NewWebhook",
            json!({
                "url": "https://hooks.example.com/aiv",
                "description": "the ops channel",
                "event_types": ["budget.exceeded", "engine.needs_attention"],
            }),
        ),
        ("WebhookPatch", json!({"enabled": true})),
        ("WebhookRotation", json!({"overlap_hours": 24})),
        (
            "NewConnection",
            json!({
                "name": "site builder",
                "kind": "webhook",
                "url": "https://cms.example.com/hooks/aiv",
                "secret": "a long secret of the receiver",
            }),
        ),
        ("ConnectionPatch", json!({"enabled": false})),
        (
            "NewAlertRule",
            json!({
                "name": "money runs out",
                "condition": {"kind": "event", "event_type": "budget.exceeded"},
                "severity": "high",
            }),
        ),
        (
            "AlertRulePatch",
            json!({
                "condition": {
                    "kind": "metric",
                    "metric": "answer_rate",
                    "comparison": "drops_by",
                    "threshold": 0.1,
                    "days": 7,
                },
            }),
        ),
        ("AlertNote", json!({"note": "we are on it"})),
        ("AlertSnooze", json!({"until": "2030-01-01T08:00:00Z"})),
        ("NewMuteWindow", json!({"reason": "the site moves", "ends_at": "2026-01-10T08:00:00Z"})),
        ("FindingPatch", json!({"state": "dismissed", "note": "the number is an old one"})),
        (
            "NewCopilotRules",
            json!({"enabled_actions": ["add_faq", "add_citations"], "require_approval": true}),
        ),
        ("ActionNote", json!({"note": "after the launch"})),
        ("NewReport", json!({"title": "December", "from": "2025-12-01", "to": "2025-12-31"})),
        (
            "ActivationRequest",
            json!({
                "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "reason": "reads the new citations",
            }),
        ),
        (
            "CanaryRequest",
            json!({
                "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "weight": 0.05,
                "reason": "a first look",
            }),
        ),
        ("RollbackRequest", json!({"reason": "no citations since noon"})),
        ("DisableRequest", json!({"reason": "the vendor closed our account"})),
        (
            "NewProviderGrant",
            json!({
                "hosts": ["api.example.com"],
                "credentials": ["api-key"],
                "credential_hosts": {"api-key": ["api.example.com"]},
                "cpu_ms": 500,
            }),
        ),
        ("NewPublisherKey", json!({"name": "Acme Plugins"})),
        (
            "Problem",
            json!({
                "type": "urn:aiv:problem:invalid",
                "title": "Unprocessable Entity",
                "status": 422,
                "detail": "/text: is required",
                "instance": "/v1/prompts",
                "code": "invalid",
                "request_id": "019a0000-0000-7000-8000-000000000000",
                "errors": [{"pointer": "/text", "detail": "is required"}],
            }),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::openapi::validator;

    #[test]
    fn every_example_obeys_its_schema() {
        for (name, example) in all() {
            let validator = validator(name).unwrap_or_else(|| panic!("no schema is called {name}"));
            let problems: Vec<_> = validator.iter_errors(&example).map(|e| e.to_string()).collect();
            assert!(problems.is_empty(), "{name}: {problems:?}");
        }
    }
}
