//! OpenAI's errors: an object with a type and a code, or a page of the proxy in front of it.

use aiv_sdk::json::{Json, str_at};
use aiv_sdk::{ErrorKind, Failure, HttpResponse};

/// The failure that a refused request tells of.
pub(crate) fn refused(response: &HttpResponse) -> Failure {
    let body = response.json().unwrap_or_default();
    failure(response, body.get("error").unwrap_or(&Json::Null))
}

/// The failure that an error object tells of, be the status an error or not.
pub(crate) fn failure(response: &HttpResponse, error: &Json) -> Failure {
    let code = str_at(error, "/code").or_else(|| str_at(error, "/type"));
    let kind = code.and_then(kind_of_code).unwrap_or_else(|| kind_of_status(response.status));
    let message = str_at(error, "/message")
        .map_or_else(|| format!("OpenAI answered with status {}", response.status), str::to_owned);
    Failure::new(kind, message).at(response).code(code).retry_after(delay(response, kind))
}

/// An error inside of a success says nothing about whose fault it is.
fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        200..=299 => ErrorKind::UpstreamUnavailable,
        status => ErrorKind::of_status(status),
    }
}

fn kind_of_code(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "insufficient_quota" | "billing_hard_limit_reached" | "billing_not_active" => {
            ErrorKind::QuotaExhausted
        }
        "rate_limit_exceeded" | "rate_limit_error" | "slow_down" => ErrorKind::RateLimited,
        "invalid_api_key" | "account_deactivated" | "invalid_organization" => ErrorKind::Auth,
        "model_not_found" | "unsupported_country_region_territory" | "permission_denied" => {
            ErrorKind::NotEntitled
        }
        "content_policy_violation" | "content_filter" | "invalid_prompt" => {
            ErrorKind::ContentBlocked
        }
        "server_error" | "vector_store_timeout" => ErrorKind::UpstreamUnavailable,
        _ => return None,
    })
}

/// A rate limit is told in a header of its own, finer than `Retry-After`.
fn delay(response: &HttpResponse, kind: ErrorKind) -> Option<u32> {
    let fine = response.header("retry-after-ms").and_then(|ms| ms.parse::<u32>().ok());
    let reset = || {
        let reset = ["x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"];
        reset.into_iter().filter_map(|name| span_ms(response.header(name)?)).max()
    };
    fine.or_else(|| response.retry_after_ms())
        .or_else(|| if kind == ErrorKind::RateLimited { reset() } else { None })
}

/// Milliseconds of a span such as `1s`, `6m0s`, `1h2m3.5s` or `120ms`.
fn span_ms(text: &str) -> Option<u32> {
    let mut rest = text.trim();
    let mut sum = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let (unit, length) = match &rest[end..] {
            unit if unit.starts_with("ms") => (1.0, 2),
            unit if unit.starts_with('s') => (1_000.0, 1),
            unit if unit.starts_with('m') => (60_000.0, 1),
            unit if unit.starts_with('h') => (3_600_000.0, 1),
            _ => return None,
        };
        sum += number * unit;
        rest = &rest[end + length..];
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
    Some(sum.clamp(0.0, f64::from(u32::MAX)) as u32)
}

#[cfg(test)]
mod tests {
    use aiv_sdk::testing;
    use serde_json::json;

    use super::*;

    fn kind(status: u16, code: &str) -> ErrorKind {
        let body = json!({"error": {"code": code, "type": "x", "message": "m"}}).to_string();
        refused(&testing::response(status, "application/json", body)).kind
    }

    #[test]
    fn codes_go_before_the_status() {
        assert_eq!(kind(429, "insufficient_quota"), ErrorKind::QuotaExhausted);
        assert_eq!(kind(429, "rate_limit_exceeded"), ErrorKind::RateLimited);
        assert_eq!(kind(404, "model_not_found"), ErrorKind::NotEntitled);
        assert_eq!(kind(400, "unsupported_parameter"), ErrorKind::InvalidRequest);
        assert_eq!(kind(401, "odd"), ErrorKind::Auth);
        assert_eq!(kind(503, "odd"), ErrorKind::UpstreamUnavailable);
    }

    #[test]
    fn spans_are_read() {
        assert_eq!(span_ms("1s"), Some(1_000));
        assert_eq!(span_ms("6m0s"), Some(360_000));
        assert_eq!(span_ms("1h2m3.5s"), Some(3_723_500));
        assert_eq!(span_ms("120ms"), Some(120));
        assert_eq!(span_ms("soon"), None);
        assert_eq!(span_ms("5"), None);
    }

    #[test]
    fn the_longest_reset_counts_when_nothing_better_is_said() {
        let mut reply = testing::response(429, "application/json", "{}");
        reply.headers.push(("x-ratelimit-reset-requests".into(), "1s".into()));
        reply.headers.push(("x-ratelimit-reset-tokens".into(), "2.5s".into()));
        assert_eq!(refused(&reply).retry_after_ms, Some(2_500));
        reply.headers.push(("retry-after".into(), "7".into()));
        assert_eq!(refused(&reply).retry_after_ms, Some(7_000));
        reply.headers.push(("retry-after-ms".into(), "6500".into()));
        assert_eq!(refused(&reply).retry_after_ms, Some(6_500));
    }
}
