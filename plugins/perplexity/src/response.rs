//! From Perplexity's bodies to the next step. The shape of a body decides how it is read, not the
//! endpoint: gateways serve the old shape at other addresses.

use aiv_sdk::json::{Json, items_at, str_at};
use aiv_sdk::{ErrorKind, Failure, HttpResponse, Next};

use crate::config::Config;
use crate::{State, agent, chat, failures, stream};

/// Looks at an answer in the making before it counts as timed out.
pub(crate) const MAX_POLLS: u32 = 90;
const FIRST_DELAY_MS: u32 = 2_000;
const LONGEST_DELAY_MS: u32 = 10_000;

/// The step after a response.
pub(crate) fn next(state: State, response: &HttpResponse) -> Result<Next<State>, Failure> {
    if !response.is_success() {
        return Err(failures::refused(response));
    }
    let config: Config = state.query.config()?;
    let body = match response.event_stream() {
        Some(text) => stream::assemble(response, text)?,
        None => response.json()?,
    };
    if !items_at(&body, "/choices").is_empty() {
        return chat::read(&state.query, &config, response, &body).map(Next::Done);
    }
    let spent = || agent::cost(&body, &config);
    match str_at(&body, "/status") {
        Some("completed" | "incomplete") => {
            agent::read(&state.query, &config, response, &body).map(Next::Done)
        }
        Some("queued" | "in_progress") => wait(state, response, &body),
        Some("failed") => {
            let failure = failures::failure(response, body.get("error").unwrap_or(&Json::Null));
            Err(failure.spent(spent()))
        }
        Some(status @ ("cancelled" | "canceled")) => {
            let failure = Failure::new(ErrorKind::UpstreamUnavailable, "the answer was cancelled");
            Err(failure.at(response).code(Some(status)).spent(spent()))
        }
        _ => match body.get("error").filter(|error| !error.is_null()) {
            Some(error) => Err(failures::failure(response, error)),
            None => Err(Failure::malformed(response, "body is neither answer nor error")),
        },
    }
}

fn wait(mut state: State, response: &HttpResponse, body: &Json) -> Result<Next<State>, Failure> {
    let id = str_at(body, "/id").map(str::to_owned).or(state.pending.take());
    state.pending = Some(id.ok_or_else(|| Failure::malformed(response, "queued without an id"))?);
    state.polls += 1;
    if state.polls > MAX_POLLS {
        let failure = Failure::new(ErrorKind::Timeout, "the answer did not get ready");
        return Err(failure.at(response));
    }
    let delay = FIRST_DELAY_MS.saturating_mul(state.polls).min(LONGEST_DELAY_MS);
    Ok(Next::Pause(state, delay))
}
