//! OpenAI's models with web search, through the Responses API.
//!
//! **Invariant:** the prompt is sent as it is: no instructions, no place smuggled into it.

mod config;
mod failures;
mod manifest;
mod pricing;
mod request;
mod response;

use aiv_sdk::{
    Failure, HttpRequest, HttpResponse, Manifest, Outcome, Query, SingleFetch, export_provider,
};

use self::config::Config;

/// The one surface.
const SURFACE: &str = "openai-responses";

/// The provider.
pub struct OpenAi;

impl SingleFetch for OpenAi {
    fn describe() -> Manifest {
        manifest::manifest()
    }

    fn health_check(_config: &str) -> Option<HttpRequest> {
        Some(request::models())
    }

    fn request(query: &Query) -> Result<HttpRequest, Failure> {
        if !matches!(query.surface.as_str(), "" | SURFACE) {
            return Err(Failure::invalid(format!("unknown surface {}", query.surface)));
        }
        let config: Config = query.config()?;
        Ok(request::ask(query, &config))
    }

    fn parse(query: &Query, response: &HttpResponse) -> Result<Outcome, Failure> {
        if !response.is_success() {
            return Err(failures::refused(response));
        }
        let config: Config = query.config()?;
        response::read(query, &config, response)
    }
}

export_provider!(OpenAi);
