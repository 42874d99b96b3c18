//! Perplexity through its Agent API, and the older Sonar bodies where they are still served.
//!
//! **Invariant:** the prompt is sent as it is: no instructions, no place smuggled into it.

mod agent;
mod chat;
mod config;
mod failures;
mod manifest;
mod markers;
mod pricing;
mod request;
mod response;
mod stream;
mod surface;

use aiv_sdk::{Event, Failure, HttpRequest, Manifest, Next, Provider, Query, export_provider};
use serde::{Deserialize, Serialize};

use self::config::Config;
use self::surface::Surface;

/// The provider.
pub struct Perplexity;

/// What is remembered while Perplexity works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    query: Query,
    /// The response that Perplexity works on in the background.
    pending: Option<String>,
    polls: u32,
}

impl Provider for Perplexity {
    type State = State;

    fn describe() -> Manifest {
        manifest::manifest()
    }

    fn health_check(_config: &str) -> Option<HttpRequest> {
        Some(request::models())
    }

    fn start(query: Query) -> Result<Next<State>, Failure> {
        let config: Config = query.config()?;
        let request = match Surface::of(&query)? {
            Surface::Sonar => request::chat(&query, &config),
            surface => request::agent(&query, surface, &config),
        };
        Ok(Next::Fetch(State { query, pending: None, polls: 0 }, request))
    }

    fn resume(state: State, event: Event) -> Result<Next<State>, Failure> {
        match (event, &state.pending) {
            (Event::Resumed, Some(id)) => {
                let request = request::poll(id);
                Ok(Next::Fetch(state, request))
            }
            (event, _) => response::next(state, &event.into_response()?),
        }
    }
}

export_provider!(Perplexity);
