//! The smallest provider: it asks a service that echoes the prompt back.
//!
//! Build it with `cargo build --release --example echo --target wasm32-wasip2 -p aiv-sdk`.

use aiv_sdk::json::str_at;
use aiv_sdk::{
    Answer, ContextSupport, ErrorKind, Failure, HttpRequest, HttpResponse, Manifest, Meta, Outcome,
    Query, Request, SingleFetch, Surface, Value, export_provider,
};

struct Echo;

impl SingleFetch for Echo {
    fn describe() -> Manifest {
        let context = ContextSupport { language: true, country: false, city: false, device: false };
        Manifest::new("echo", "Echo", env!("CARGO_PKG_VERSION"))
            .description("Answers with the prompt", "https://echo.example/docs")
            .host("echo.example", "api-key", "ECHO_API_KEY", "A key of echo.example")
            .surface(Surface { context, ..Surface::new("echo", "Echo") })
    }

    fn request(query: &Query) -> Result<HttpRequest, Failure> {
        Ok(Request::get("https://echo.example/v1/echo")
            .query("q", query.prompt.as_str())
            .query_opt("lang", query.primary_language())
            .header("authorization", Value::prefixed("Bearer ", "api-key"))
            .build())
    }

    fn parse(query: &Query, response: &HttpResponse) -> Result<Outcome, Failure> {
        if !response.is_success() {
            let kind = ErrorKind::of_status(response.status);
            return Err(Failure::new(kind, "the service refused")
                .at(response)
                .retry_after(response.retry_after_ms()));
        }
        let body = response.json()?;
        let text = str_at(&body, "/echo").ok_or_else(|| Failure::malformed(response, "no echo"))?;
        Ok(Outcome::Answered(Answer {
            text: text.to_owned(),
            citations: Vec::new(),
            related_questions: Vec::new(),
            meta: Meta::of(query, None).served_model(Some("echo")),
        }))
    }
}

export_provider!(Echo);
