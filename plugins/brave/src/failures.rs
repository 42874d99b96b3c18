//! Brave's errors: a code, and rate limits in several windows at once.

use aiv_sdk::json::{Json, str_at, u32_at};
use aiv_sdk::{ErrorKind, Failure, HttpResponse};

/// The failure that a refused request tells of.
pub(crate) fn refused(response: &HttpResponse) -> Failure {
    failure(response, &response.json().unwrap_or_default())
}

/// The error inside of a body that should have been an answer.
pub(crate) fn inside(response: &HttpResponse, body: &Json) -> Option<Failure> {
    let is_error = str_at(body, "/type") == Some("ErrorResponse")
        || body.get("error").is_some_and(|error| !error.is_null());
    is_error.then(|| failure(response, body))
}

fn failure(response: &HttpResponse, body: &Json) -> Failure {
    let error = body.get("error").unwrap_or(body);
    let code = str_at(error, "/code").or_else(|| str_at(error, "/type"));
    let inner = u32_at(error, "/status").or_else(|| u32_at(error, "/code"));
    let inner = inner.and_then(|status| u16::try_from(status).ok()).filter(|s| *s >= 400);
    let status = if response.is_success() { inner.unwrap_or(500) } else { response.status };
    let window = Window::exhausted(response);
    let kind = match (code.and_then(kind_of_code), status) {
        (Some(ErrorKind::RateLimited), _) | (None, 429) => {
            let spent =
                window.as_ref().map_or_else(|| quota_spent(error), |window| window.is_quota);
            if spent { ErrorKind::QuotaExhausted } else { ErrorKind::RateLimited }
        }
        (Some(kind), _) => kind,
        (None, status) => ErrorKind::of_status(status),
    };
    let limited = matches!(kind, ErrorKind::RateLimited | ErrorKind::QuotaExhausted);
    let reset = if limited { window.and_then(|window| window.reset_ms) } else { None };
    let message = str_at(error, "/detail").or_else(|| str_at(error, "/message"));
    let message = message.or_else(|| error.as_str()).filter(|text| !text.is_empty());
    let message = message
        .map_or_else(|| format!("Brave answered with status {}", response.status), str::to_owned);
    Failure::new(kind, message)
        .at(response)
        .code(code)
        .retry_after(response.retry_after_ms().or(reset))
}

fn kind_of_code(code: &str) -> Option<ErrorKind> {
    Some(match code {
        // It comes with 422 and not with 401.
        "SUBSCRIPTION_TOKEN_INVALID" | "SUBSCRIPTION_NOT_FOUND" => ErrorKind::Auth,
        "VALIDATION" | "API_VERSION_NOT_FOUND" => ErrorKind::InvalidRequest,
        "OPTION_NOT_IN_PLAN" | "RESOURCE_NOT_ALLOWED" => ErrorKind::NotEntitled,
        "RATE_LIMITED" => ErrorKind::RateLimited,
        "QUOTA_LIMITED" | "USAGE_LIMIT_EXCEEDED" => ErrorKind::QuotaExhausted,
        _ => return None,
    })
}

/// The body counts the plan's quota as well. A limit of nought means that there is none.
fn quota_spent(error: &Json) -> bool {
    let limit = u32_at(error, "/meta/quota_limit").filter(|limit| *limit > 0);
    limit.is_some_and(|limit| u32_at(error, "/meta/quota_current").unwrap_or(0) >= limit)
}

/// The window that is used up.
struct Window {
    /// The last of several windows is the plan's quota.
    is_quota: bool,
    reset_ms: Option<u32>,
}

impl Window {
    /// The longest of the windows with nothing left, for only then is it worth trying again. When
    /// none says so, the shortest.
    fn exhausted(response: &HttpResponse) -> Option<Self> {
        let list = |name| -> Vec<Option<f64>> {
            let header = response.header(name).unwrap_or_default();
            header.split(',').map(|part| part.trim().parse().ok()).collect()
        };
        let resets = list("x-ratelimit-reset");
        let limits = list("x-ratelimit-limit");
        let left = list("x-ratelimit-remaining");
        if left.iter().chain(&resets).all(Option::is_none) {
            return None;
        }
        let unlimited = |at: usize| limits.get(at).copied().flatten() == Some(0.0);
        let empty = |at: &usize| left[*at].is_some_and(|left| left <= 0.0) && !unlimited(*at);
        let at = (0..left.len()).rev().find(empty).unwrap_or(0);
        // Seconds from now, not a moment.
        let reset = resets.get(at).copied().flatten();
        Some(Self {
            is_quota: at > 0 && at + 1 == left.len(),
            reset_ms: reset.map(|seconds| response.ms_until(response.received_at + seconds)),
        })
    }
}

#[cfg(test)]
mod tests {
    use aiv_sdk::testing;
    use serde_json::json;

    use super::*;

    fn limited(limit: &str, remaining: &str, reset: &str) -> (ErrorKind, Option<u32>) {
        let body = json!({"error": {"code": "RATE_LIMITED", "detail": "slow down"}});
        let mut reply = testing::response(429, "application/json", body.to_string());
        for (name, value) in [("limit", limit), ("remaining", remaining), ("reset", reset)] {
            reply.headers.push((format!("x-ratelimit-{name}"), value.to_owned()));
        }
        let failure = refused(&reply);
        (failure.kind, failure.retry_after_ms)
    }

    #[test]
    fn the_window_that_is_empty_decides() {
        let (rate, quota) = (ErrorKind::RateLimited, ErrorKind::QuotaExhausted);
        assert_eq!(limited("1, 2000", "0, 1985", "1, 1419704"), (rate, Some(1_000)));
        assert_eq!(limited("1, 2000", "0, 0", "1, 1419704"), (quota, Some(1_419_704_000)));
        assert_eq!(limited("1, 2000", "1, 0", "1, 60"), (quota, Some(60_000)));
        assert_eq!(limited("2, 0", "0, 0", "1, 1419704"), (rate, Some(1_000)));
        assert_eq!(limited("1", "0", "3"), (rate, Some(3_000)));
        assert_eq!(limited("1, 2000", "", "2, 9"), (rate, Some(2_000)));
        assert_eq!(limited("", "", ""), (rate, None));
    }

    #[test]
    fn codes_go_before_the_status() {
        let kind = |status, body: Json| {
            refused(&testing::response(status, "application/json", body.to_string())).kind
        };
        let error = |code: &str| json!({"type": "ErrorResponse", "error": {"code": code}});
        assert_eq!(kind(422, error("SUBSCRIPTION_TOKEN_INVALID")), ErrorKind::Auth);
        assert_eq!(kind(422, error("VALIDATION")), ErrorKind::InvalidRequest);
        assert_eq!(kind(400, error("OPTION_NOT_IN_PLAN")), ErrorKind::NotEntitled);
        assert_eq!(kind(402, error("USAGE_LIMIT_EXCEEDED")), ErrorKind::QuotaExhausted);
        assert_eq!(kind(402, json!({})), ErrorKind::QuotaExhausted);
        assert_eq!(kind(404, error("API_VERSION_NOT_FOUND")), ErrorKind::InvalidRequest);
        let spent = json!({"error": {"meta": {"quota_limit": 10, "quota_current": 10}}});
        assert_eq!(kind(429, spent), ErrorKind::QuotaExhausted);
    }
}
