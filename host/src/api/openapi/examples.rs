//! Examples of request bodies, by the name of their schema. A test holds each against its schema.

use serde_json::{Value, json};

pub(super) fn add(document: &mut Value) {
    for (name, example) in all() {
        if let Some(schema) = document["components"]["schemas"].get_mut(name) {
            schema["examples"] = json!([example]);
        }
    }
}

fn all() -> [(&'static str, Value); 24] {
    [
        (
            "NewWorkspace",
            json!({"name": "Acme", "timezone": "Europe/Copenhagen", "daily_budget_micros": 5_000_000}),
        ),
        ("WorkspacePatch", json!({"daily_budget_micros": 10_000_000})),
        ("NewApiKey", json!({"name": "nightly export", "role": "viewer", "scopes": ["read"]})),
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
            "NewEngine",
            json!({"enabled": true, "surface": "answer", "country": "US", "config": {}, "concurrency": 16}),
        ),
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
