//! SerpApi's errors: a sentence, and a status that does not always fit it.

use aiv_sdk::json::{Json, str_at};
use aiv_sdk::{ErrorKind, Failure, HttpResponse};

/// The sentence that means "no results", which is no error.
pub(crate) fn is_no_results(message: &str) -> bool {
    let message = message.to_lowercase();
    message.contains("hasn't returned any results")
        || message.contains("hasn’t returned any results")
}

/// The failure that a refused request tells of.
pub(crate) fn refused(response: &HttpResponse, following: bool) -> Failure {
    let body = response.json().unwrap_or_default();
    failure(response, message(&body).unwrap_or_default(), following)
}

/// The top-level error of a body.
pub(crate) fn message(body: &Json) -> Option<&str> {
    str_at(body, "/error").or_else(|| str_at(body, "/error/message"))
}

/// The failure that this sentence tells of.
pub(crate) fn failure(response: &HttpResponse, message: &str, following: bool) -> Failure {
    let shown = match message {
        "" => format!("SerpApi answered with status {}", response.status),
        message => message.to_owned(),
    };
    Failure::new(kind(response.status, message, following), shown)
        .at(response)
        .retry_after(response.retry_after_ms())
}

/// The sentence goes before the status: an account without searches is 429 or even 200.
fn kind(status: u16, message: &str, following: bool) -> ErrorKind {
    let message = message.to_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    if says(&["run out of searches", "searches for the month are exhausted", "out of credits"]) {
        return ErrorKind::QuotaExhausted;
    }
    if says(&["invalid api key", "missing api key"]) {
        return ErrorKind::Auth;
    }
    // A token lives for a minute; the host starts over with a new search.
    if following && says(&["expired", "invalid page_token", "invalid `page_token`"]) {
        return ErrorKind::UpstreamUnavailable;
    }
    match status {
        200..=299 if says(&["throughput", "too fast", "rate limit", "too many requests"]) => {
            ErrorKind::RateLimited
        }
        200..=299 if says(&["missing query", "unsupported"]) => ErrorKind::InvalidRequest,
        200..=299 => ErrorKind::UpstreamUnavailable,
        status => ErrorKind::of_status(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_decides_before_the_status() {
        let out = "Your searches for the month are exhausted. You can upgrade plans on SerpApi.com";
        assert_eq!(kind(200, out, false), ErrorKind::QuotaExhausted);
        assert_eq!(
            kind(429, "Your account has run out of searches.", false),
            ErrorKind::QuotaExhausted
        );
        assert_eq!(
            kind(429, "You exceeded the hourly throughput limit.", false),
            ErrorKind::RateLimited
        );
        assert_eq!(kind(429, "", false), ErrorKind::RateLimited);
        assert_eq!(kind(400, "Missing query `q` parameter.", false), ErrorKind::InvalidRequest);
        assert_eq!(kind(410, "The search expired.", false), ErrorKind::InvalidRequest);
        assert_eq!(kind(400, "The page_token has expired.", true), ErrorKind::UpstreamUnavailable);
        assert_eq!(kind(403, "", false), ErrorKind::Auth);
        assert_eq!(kind(503, "", false), ErrorKind::UpstreamUnavailable);
    }
}
