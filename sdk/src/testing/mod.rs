//! Drives a provider natively: give it responses, look at what it asked for and how it ended.
//!
//! A plugin turns the feature `testing` on for its dev-dependencies only.

pub mod cases;
mod compare;

use crate::bindings::exports::aiv::provider::engine::{Fetch, Pause};
use crate::{
    Adapter, Answer, Body, Event, Failure, HttpRequest, HttpResponse, NoAnswer, Outcome, Provider,
    Query, Step, TransportError,
};

/// A query with this prompt and nothing else.
pub fn query(surface: &str, prompt: &str) -> Query {
    Query {
        id: "query-1".to_owned(),
        prompt: prompt.to_owned(),
        surface: surface.to_owned(),
        model: None,
        language: None,
        country: None,
        location: None,
        device: None,
        config: "{}".to_owned(),
        now_unix: 1_800_000_000.0,
        seed: 1,
        extra: Vec::new(),
    }
}

/// A response with status 200 and a JSON body.
pub fn json(body: impl Into<String>) -> HttpResponse {
    response(200, "application/json", body)
}

/// A response with status 200 and a stream of events.
pub fn stream(body: impl Into<String>) -> HttpResponse {
    response(200, "text/event-stream", body)
}

/// Any response, received when [`query`] was made.
pub fn response(status: u16, content_type: &str, body: impl Into<String>) -> HttpResponse {
    HttpResponse {
        status,
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        body: Body::Text(body.into()),
        elapsed_ms: 1,
        received_at: 1_800_000_000.0,
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// With an answer.
    Answered(Answer),
    /// Without one, which is a result.
    Absent(NoAnswer),
    /// With a failure.
    Failed(Failure),
    /// Waiting, with no response left; this is the state it waits with.
    Pending(String),
    /// With a request for which no response was left.
    Unanswered,
}

/// What a provider did.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// All requests, in order.
    pub requests: Vec<HttpRequest>,
    /// How it ended.
    pub ending: Ending,
}

impl Run {
    /// The answer.
    ///
    /// # Panics
    /// When there is none.
    pub fn answer(self) -> Answer {
        match self.ending {
            Ending::Answered(answer) => answer,
            #[expect(clippy::panic, reason = "only tests call this")]
            other => panic!("no answer but {other:?}"),
        }
    }

    /// The failure.
    ///
    /// # Panics
    /// When there is none.
    pub fn failure(self) -> Failure {
        match self.ending {
            Ending::Failed(failure) => failure,
            #[expect(clippy::panic, reason = "only tests call this")]
            other => panic!("no failure but {other:?}"),
        }
    }
}

/// Runs a query against these responses; an `Err` stands for a request that got none.
pub fn run<P: Provider>(
    query: Query,
    replies: impl IntoIterator<Item = Result<HttpResponse, TransportError>>,
) -> Run {
    let mut replies = replies.into_iter().peekable();
    let mut requests = Vec::new();
    let mut step = Adapter::<P>::start(query);
    let ending = loop {
        step = match step {
            Step::Fetch(Fetch { state, request }) => {
                requests.push(request);
                let Some(reply) = replies.next() else { break Ending::Unanswered };
                let event = reply.map_or_else(Event::TransportError, Event::Response);
                Adapter::<P>::resume(&state, event)
            }
            Step::Pause(Pause { state, .. }) => {
                if replies.peek().is_none() {
                    break Ending::Pending(String::from_utf8_lossy(&state).into_owned());
                }
                Adapter::<P>::resume(&state, Event::Resumed)
            }
            Step::Done(Outcome::Answered(answer)) => break Ending::Answered(answer),
            Step::Done(Outcome::Absent(absent)) => break Ending::Absent(absent),
            Step::Failed(failure) => break Ending::Failed(failure),
        };
    };
    Run { requests, ending }
}
