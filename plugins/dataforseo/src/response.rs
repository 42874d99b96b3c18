//! From DataForSEO's bodies to an outcome.

use aiv_sdk::json::{Json, decimal_at, items_at, str_at, u32_at};
use aiv_sdk::{
    Absence, Answer, Cost, ErrorKind, Failure, HttpResponse, Meta, NoAnswer, Outcome, Query,
    Retrieval, Usage,
};

use crate::{SURFACE, failures, overview};

/// The status of a body or a task that is as it should be.
const OK: u32 = 20_000;
/// Google found nothing at all.
const NO_RESULTS: u32 = 40_102;

/// What the response says.
pub(crate) fn read(query: &Query, response: &HttpResponse) -> Result<Outcome, Failure> {
    let body =
        if response.is_success() { response.json()? } else { response.json().unwrap_or_default() };
    let Some(task) = items_at(&body, "/tasks").first() else {
        return Err(failures::failure(response, &body));
    };
    let cost = decimal_at(task, "/cost").or_else(|| decimal_at(&body, "/cost"));
    let cost = cost.map(Cost::reported);
    let absent = |reason, result: &Json| {
        let meta = meta(query, task, result, cost);
        Ok(Outcome::Absent(NoAnswer { reason, meta }))
    };
    match u32_at(task, "/status_code") {
        Some(OK) => {}
        Some(NO_RESULTS) => return absent(Absence::NoResults, &Json::Null),
        _ => return Err(failures::failure(response, task).spent(cost)),
    }
    let Some(result) = items_at(task, "/result").first() else {
        return Err(Failure::malformed(response, "a finished task without result").spent(cost));
    };
    let items = items_at(result, "/items");
    let found = items.iter().find(|item| str_at(item, "/type") == Some("ai_overview"));
    let Some(found) = found else {
        let reason = if items.is_empty() { Absence::NoResults } else { Absence::NotTriggered };
        return absent(reason, result);
    };
    let text = overview::text(found);
    if text.is_empty() {
        if found.get("asynchronous_ai_overview").and_then(Json::as_bool) == Some(true) {
            let message = "the overview did not finish loading";
            let failure = Failure::new(ErrorKind::UpstreamUnavailable, message).at(response);
            return Err(failure.spent(cost));
        }
        return absent(Absence::Empty, result);
    }
    let citations = overview::citations(found, &text);
    let meta = meta(query, task, result, cost).citations(&citations);
    Ok(Outcome::Answered(Answer {
        text,
        citations: citations.into_list(),
        related_questions: questions(items),
        meta,
    }))
}

fn meta(query: &Query, task: &Json, result: &Json, cost: Option<Cost>) -> Meta {
    // Whoever reads the answer can see the page that it stood on.
    let page = result.get("check_url").filter(|page| page.is_string());
    let meta = Meta::of(query, None)
        .served_model(Some(SURFACE))
        .request_id(str_at(task, "/id"))
        .searched(Retrieval::Searched, Vec::new())
        .usage(Some(Usage::searches(1)), None)
        .cost(cost);
    match page {
        Some(page) => meta.extra("page", page),
        None => meta,
    }
}

/// What people also ask.
fn questions(items: &[Json]) -> Vec<String> {
    let blocks = items.iter().filter(|item| str_at(item, "/type") == Some("people_also_ask"));
    let questions = blocks.flat_map(|block| items_at(block, "/items"));
    questions.filter_map(|item| str_at(item, "/title").map(str::to_owned)).collect()
}
