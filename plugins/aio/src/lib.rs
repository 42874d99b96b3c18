//! Google AI Overviews and AI Mode, read through SerpApi.
//!
//! An overview often comes in two steps: the search page holds only a `page_token`, and a second
//! search brings the text. Both are billed. No overview is a result with a cost, not an error.
//!
//! **Invariant:** only `ai_overview.page_token` is followed; tokens of related questions are not.

mod blocks;
mod config;
mod failures;
mod manifest;
mod request;
mod response;

use aiv_sdk::{Event, Failure, HttpRequest, Manifest, Next, Provider, Query, export_provider};
use serde::{Deserialize, Serialize};

use self::config::Config;

/// Milliseconds between two looks at a search that SerpApi still works on.
const POLL_DELAY_MS: u32 = 2_000;
/// Looks at one search before it counts as timed out.
const MAX_POLLS: u32 = 10;

/// The provider.
pub struct Aio;

/// Which of Google's answers is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Surface {
    Overview,
    Mode,
}

impl Surface {
    fn of(query: &Query) -> Result<Self, Failure> {
        match query.surface.as_str() {
            "" | "google-ai-overview" => Ok(Self::Overview),
            "google-ai-mode" => Ok(Self::Mode),
            other => Err(Failure::invalid(format!("unknown surface {other}"))),
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::Overview => "google-ai-overview",
            Self::Mode => "google-ai-mode",
        }
    }
}

/// What is remembered while SerpApi works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    query: Query,
    /// Whether the page token is being followed.
    following: bool,
    /// Searches billed so far.
    billed: u32,
    /// The search that SerpApi had not finished.
    pending: Option<String>,
    polls: u32,
    /// Facts of the first step that the second one does not repeat.
    location_used: Option<String>,
    related_questions: Vec<String>,
}

impl Provider for Aio {
    type State = State;

    fn describe() -> Manifest {
        manifest::manifest()
    }

    fn health_check(_config: &str) -> Option<HttpRequest> {
        Some(request::account())
    }

    fn start(query: Query) -> Result<Next<State>, Failure> {
        let config: Config = query.config()?;
        let request = request::search(&query, Surface::of(&query)?, &config);
        let state = State {
            query,
            following: false,
            billed: 0,
            pending: None,
            polls: 0,
            location_used: None,
            related_questions: Vec::new(),
        };
        Ok(Next::Fetch(state, request))
    }

    fn resume(state: State, event: Event) -> Result<Next<State>, Failure> {
        match (event, &state.pending) {
            (Event::Resumed, Some(id)) => {
                let request = request::archived(id);
                Ok(Next::Fetch(state, request))
            }
            (event, _) => response::next(state, event),
        }
    }
}

export_provider!(Aio);
