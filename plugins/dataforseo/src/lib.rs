//! Google AI Overviews, read through DataForSEO.
//!
//! A search page comes as a task inside of a list of tasks, with a status of its own. A page
//! without an overview is a result with a cost, not an error.

mod config;
mod failures;
mod manifest;
mod overview;
mod places;
mod request;
mod response;

use aiv_sdk::{
    Failure, HttpRequest, HttpResponse, Manifest, Outcome, Query, SingleFetch, export_provider,
};

use self::config::Config;

/// The one surface.
const SURFACE: &str = "google-ai-overview";

/// The provider.
pub struct DataForSeo;

impl SingleFetch for DataForSeo {
    fn describe() -> Manifest {
        manifest::manifest()
    }

    fn health_check(_config: &str) -> Option<HttpRequest> {
        Some(request::account())
    }

    fn request(query: &Query) -> Result<HttpRequest, Failure> {
        if !matches!(query.surface.as_str(), "" | SURFACE) {
            return Err(Failure::invalid(format!("unknown surface {}", query.surface)));
        }
        let config: Config = query.config()?;
        request::search(query, &config)
    }

    fn parse(query: &Query, response: &HttpResponse) -> Result<Outcome, Failure> {
        response::read(query, response)
    }
}

export_provider!(DataForSeo);
