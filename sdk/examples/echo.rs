//! The smallest provider: it asks a service that echoes the prompt back.
//!
//! Build it with `cargo build --release --example echo --target wasm32-wasip2 -p aiv-sdk
//! --features exact-json`.

use aiv_sdk::json::{Json, decimal_at, items_at, str_at, strings_at, u32_at};
use aiv_sdk::{
    Absence, Answer, CitationKind, Citations, ContextSupport, Cost, ErrorKind, Failure,
    FinishReason, HttpRequest, HttpResponse, Manifest, Meta, NoAnswer, Outcome, Query, Request,
    Retrieval, SingleFetch, Source, Surface, Usage, Value, export_provider, serde_json, sse,
};

/// The provider.
pub struct Echo;

impl SingleFetch for Echo {
    fn describe() -> Manifest {
        let context = ContextSupport { language: true, country: false, city: false, device: false };
        Manifest::new("echo", "Echo", env!("CARGO_PKG_VERSION"))
            .description("Answers with the prompt", "https://echo.example/docs")
            .host("echo.example", "api-key", "ECHO_API_KEY", "A key of echo.example")
            .surface(Surface {
                context,
                typical_cost_micro_usd: 100,
                ..Surface::new("echo", "Echo")
            })
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
            return Err(refused(response));
        }
        let (body, text) = assembled(response)?;
        let queries = strings_at(&body, "/searches");
        let searches = u32::try_from(queries.len()).unwrap_or(u32::MAX);
        let retrieval = if searches > 0 { Retrieval::Searched } else { Retrieval::NotSearched };
        let usage = Usage {
            input_tokens: u32_at(&body, "/usage/input"),
            output_tokens: u32_at(&body, "/usage/output"),
            ..Usage::searches(searches)
        };
        let meta = Meta::of(query, None)
            .served_model(str_at(&body, "/model"))
            .request_id(str_at(&body, "/id"))
            .finish(FinishReason::Stop)
            .searched(retrieval, queries)
            .usage(Some(usage), None)
            .cost(decimal_at(&body, "/usd").map(Cost::reported));
        if text.trim().is_empty() {
            return Ok(Outcome::Absent(NoAnswer { reason: Absence::Empty, meta }));
        }
        let citations = citations(&body, &text);
        let meta = meta.citations(&citations);
        let citations = citations.into_list();
        Ok(Outcome::Answered(Answer { text, citations, related_questions: Vec::new(), meta }))
    }
}

/// The body, also the one that a stream adds up to, and its text.
fn assembled(response: &HttpResponse) -> Result<(Json, String), Failure> {
    let Some(stream) = response.event_stream() else {
        let body = response.json()?;
        let text = body.get("echo").and_then(Json::as_str).map(str::to_owned);
        return Ok((body, text.ok_or_else(|| Failure::malformed(response, "no echo"))?));
    };
    let mut text = String::new();
    for event in sse::events(stream) {
        let mut event: Json = serde_json::from_str(&event.data)
            .map_err(|error| Failure::malformed(response, format!("event is not JSON: {error}")))?;
        if let Some(done) = event.get_mut("done") {
            return Ok((done.take(), text));
        }
        text.push_str(str_at(&event, "/delta").unwrap_or_default());
    }
    Err(Failure::malformed(response, "the stream ends before the answer does"))
}

fn citations(body: &Json, text: &str) -> Citations {
    let mut citations = Citations::new();
    for (source, number) in items_at(body, "/sources").iter().zip(1_u32..) {
        let cited = text.contains(&format!("[{number}]"));
        let kind = if cited { CitationKind::Cited } else { CitationKind::Listed };
        let markers = if cited { vec![number.to_string()] } else { Vec::new() };
        let title = str_at(source, "/title");
        let url = str_at(source, "/url").unwrap_or_default();
        citations.add(kind, Source { title, markers, ..Source::at(url) });
    }
    citations.add_links(text);
    citations
}

fn refused(response: &HttpResponse) -> Failure {
    let body = response.json().unwrap_or_default();
    let message = str_at(&body, "/error/message").unwrap_or("the service refused");
    Failure::new(ErrorKind::of_status(response.status), message)
        .at(response)
        .code(str_at(&body, "/error/code"))
        .retry_after(response.retry_after_ms())
}

export_provider!(Echo);
