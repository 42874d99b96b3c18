//! Brave Answers, Brave research and the older summarizer.
//!
//! Answers come as a stream: a blocking answer carries no citations at all. Citations, list items
//! and usage are tags inside of the text, cut anywhere by the chunks.

mod answers;
mod completion;
mod config;
mod failures;
mod manifest;
mod request;
mod summarizer;
mod tags;

use aiv_sdk::{Event, Failure, Manifest, Next, Provider, Query, export_provider};
use serde::{Deserialize, Serialize};

use self::config::Config;

/// The provider.
pub struct Brave;

/// Which of Brave's answers is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Surface {
    Answers,
    /// Many searches for one answer, at the price of many.
    Research,
    /// The older summary above the search results.
    Summarizer,
}

impl Surface {
    fn of(query: &Query) -> Result<Self, Failure> {
        match query.surface.as_str() {
            "" | "brave-answers" => Ok(Self::Answers),
            "brave-research" => Ok(Self::Research),
            "brave-summarizer" => Ok(Self::Summarizer),
            other => Err(Failure::invalid(format!("unknown surface {other}"))),
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::Answers => "brave-answers",
            Self::Research => "brave-research",
            Self::Summarizer => "brave-summarizer",
        }
    }
}

/// What is remembered while Brave works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    query: Query,
    /// The key of the summary, once the search has told it.
    summary_key: Option<String>,
    polls: u32,
}

impl Provider for Brave {
    type State = State;

    fn describe() -> Manifest {
        manifest::manifest()
    }

    fn start(query: Query) -> Result<Next<State>, Failure> {
        let config: Config = query.config()?;
        let request = match Surface::of(&query)? {
            Surface::Summarizer => request::web_search(&query, &config),
            surface => request::answers(&query, surface, &config),
        };
        Ok(Next::Fetch(State { query, summary_key: None, polls: 0 }, request))
    }

    fn resume(state: State, event: Event) -> Result<Next<State>, Failure> {
        match (event, &state.summary_key) {
            (Event::Resumed, Some(key)) => {
                let request = request::summary(key);
                Ok(Next::Fetch(state, request))
            }
            (event, _) if Surface::of(&state.query)? == Surface::Summarizer => {
                summarizer::next(state, event)
            }
            (event, _) => answers::read(&state.query, &event.into_response()?).map(Next::Done),
        }
    }
}

export_provider!(Brave);
