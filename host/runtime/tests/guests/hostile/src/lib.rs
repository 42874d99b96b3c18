//! Does what the prompt says: from an honest fetch to every abuse the host has to survive.

mod abuse;
mod chat;

wit_bindgen::generate!({ path: "../../../../../wit/provider-0.1", world: "provider" });

use aiv::provider::types::{Failure, HttpRequest, Outcome, *};
use exports::aiv::provider::engine::*;

struct Hostile;

export!(Hostile);

impl Guest for Hostile {
    fn describe() -> Manifest {
        Manifest {
            key: "hostile".into(),
            display_name: "Hostile".into(),
            version: "0.1.0".into(),
            description: "Does what the prompt says.".into(),
            homepage: None,
            allowed_hosts: vec!["api.example.com".into(), "cdn.example.com".into()],
            credentials: vec![CredentialRequest {
                name: "api-key".into(),
                description: "A key".into(),
                hosts: vec!["api.example.com".into()],
            }],
            config_schema: r#"{"type": "object"}"#.into(),
            surfaces: vec![Surface {
                id: "hostile-web".into(),
                display_name: "Hostile web".into(),
                models: vec!["small".into(), "large".into()],
                default_model: Some("small".into()),
                context: ContextSupport { language: true, country: true, city: false, device: false },
                listed_is_visible: true,
                typical_cost_micro_usd: 5_000,
                max_fetches: 3,
                requests_per_second: 1.0,
                burst: 2,
                deadline_ms: 30_000,
            }],
            extra: vec![],
        }
    }

    fn health_check(config: String) -> Option<HttpRequest> {
        match config.as_str() {
            "none" => None,
            "foreign" => Some(get("https://evil.example/health")),
            _ => Some(get("https://api.example.com/health")),
        }
    }

    fn start(query: Query) -> Step {
        match query.prompt.as_str() {
            "echo" | "parse" | "panic-later" => fetch(&query.prompt, "https://api.example.com/echo"),
            "two-steps" => fetch("first", "https://api.example.com/first"),
            "pause" => Step::Pause(Pause { state: b"paused".to_vec(), delay_ms: 500 }),
            "fail" => Step::Failed(Failure {
                kind: ErrorKind::QuotaExhausted,
                message: "no credit".into(),
                http_status: Some(402),
                provider_code: Some("no_credit".into()),
                retry_after_ms: Some(60_000),
                spent: Some(Cost { micro_usd: 7, basis: CostBasis::Reported }),
            }),
            "absent" => Step::Done(Outcome::Absent(NoAnswer { reason: Absence::NotTriggered, meta: meta() })),
            prompt => abuse::run(prompt),
        }
    }

    fn resume(state: Vec<u8>, event: Event) -> Step {
        let Event::Response(response) = event else { return done("resumed") };
        let Body::Text(body) = response.body else { return done("binary") };
        match state.as_slice() {
            b"first" => fetch(&format!("second:{body}"), "https://cdn.example.com/second"),
            b"parse" => chat::read(&body),
            b"panic-later" => panic!("cannot read {body}"),
            b"loop" => abuse::run("loop"),
            state if state.starts_with(b"second:") => {
                done(&format!("{}+{body}", String::from_utf8_lossy(&state[7..])))
            }
            _ => done(&body),
        }
    }
}

fn get(url: &str) -> HttpRequest {
    HttpRequest {
        method: HttpMethod::Get,
        url: url.into(),
        query: vec![("q".into(), Value::Text("x".into()))],
        headers: vec![],
        body: None,
        timeout_ms: None,
    }
}

fn fetch(state: &str, url: &str) -> Step {
    Step::Fetch(Fetch { state: state.as_bytes().to_vec(), request: get(url) })
}

fn done(text: &str) -> Step {
    Step::Done(Outcome::Answered(Answer {
        text: text.into(),
        citations: vec![],
        related_questions: vec![],
        meta: meta(),
    }))
}

fn meta() -> Meta {
    Meta {
        surface: "hostile-web".into(),
        requested_model: None,
        served_model: None,
        request_id: None,
        finish: FinishReason::Stop,
        retrieval: Retrieval::Unknown,
        queries: vec![],
        usage: None,
        cost: None,
        location_used: None,
        warnings: vec![],
        extra: vec![],
    }
}
