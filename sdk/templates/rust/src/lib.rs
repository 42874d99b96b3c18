//! Answers of Acme with their sources.

use aiv_sdk::json::{decimal_at, items_at, str_at};
use aiv_sdk::{
    Answer, CitationKind, Citations, ContextSupport, Cost, ErrorKind, Failure, FinishReason,
    HttpRequest, HttpResponse, Manifest, Meta, Outcome, Query, Request, Retrieval, SingleFetch,
    Source, Surface, Value, export_provider,
};

/// The provider.
pub struct Acme;

impl SingleFetch for Acme {
    fn describe() -> Manifest {
        let context = ContextSupport { language: true, country: false, city: false, device: false };
        Manifest::new("acme", "Acme", env!("CARGO_PKG_VERSION"))
            .description("Answers of Acme with their sources", "https://acme.example")
            .host("api.acme.example", "api-key", "ACME_API_KEY", "Key of the Acme API")
            .surface(Surface {
                context,
                typical_cost_micro_usd: 2000,
                ..Surface::new("acme", "Acme")
            })
    }

    fn request(query: &Query) -> Result<HttpRequest, Failure> {
        Ok(Request::get("https://api.acme.example/v1/ask")
            .query("q", query.prompt.as_str())
            .query_opt("lang", query.primary_language())
            .header("authorization", Value::prefixed("Bearer ", "api-key"))
            .build())
    }

    fn parse(query: &Query, response: &HttpResponse) -> Result<Outcome, Failure> {
        if !response.is_success() {
            let kind = ErrorKind::of_status(response.status);
            let failure = Failure::new(kind, "Acme refused").at(response);
            return Err(failure.retry_after(response.retry_after_ms()));
        }
        let body = response.json()?;
        let text = str_at(&body, "/answer");
        let text = text.ok_or_else(|| Failure::malformed(response, "no answer"))?.to_owned();
        let mut citations = Citations::new();
        for page in items_at(&body, "/pages") {
            let url = str_at(page, "/url").unwrap_or_default();
            let title = str_at(page, "/title");
            citations.add(CitationKind::Cited, Source { title, ..Source::at(url) });
        }
        let meta = Meta::of(query, None)
            .finish(FinishReason::Stop)
            .searched(Retrieval::Searched, Vec::new())
            .cost(decimal_at(&body, "/usd").map(Cost::reported))
            .citations(&citations);
        let citations = citations.into_list();
        Ok(Outcome::Answered(Answer { text, citations, related_questions: Vec::new(), meta }))
    }
}

export_provider!(Acme);

#[cfg(test)]
mod tests {
    use super::Acme;
    use aiv_sdk::testing::cases;

    #[test]
    fn the_cases_hold() {
        let (differences, count) = cases::check::<Acme>("cases").unwrap();
        assert!(count > 0, "there is no case");
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }
}
