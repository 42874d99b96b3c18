//! Perplexity's errors: an object, or a page of the proxy in front of it.

use aiv_sdk::json::{Json, str_at, u32_at};
use aiv_sdk::{ErrorKind, Failure, HttpResponse};

/// The failure that a refused request tells of.
pub(crate) fn refused(response: &HttpResponse) -> Failure {
    let body = response.json().unwrap_or_default();
    failure(response, body.get("error").unwrap_or(&body))
}

/// The failure that an error object tells of, be the status an error or not.
pub(crate) fn failure(response: &HttpResponse, error: &Json) -> Failure {
    let name = str_at(error, "/type").filter(|name| *name != "error");
    let code = name.or_else(|| str_at(error, "/code"));
    let mut names = [code, str_at(error, "/code")].into_iter().flatten();
    let inner = u32_at(error, "/code").and_then(|status| u16::try_from(status).ok());
    let status = match inner.filter(|status| (400..600).contains(status)) {
        Some(inner) if response.is_success() => inner,
        _ => response.status,
    };
    let message = str_at(error, "/message").or_else(|| error.as_str());
    let message = message.or_else(|| str_at(error, "/detail")).filter(|text| !text.is_empty());
    let kind = names.find_map(kind_of_name).unwrap_or_else(|| kind_of_status(status));
    let message = message.map_or_else(
        || format!("Perplexity answered with status {}", response.status),
        str::to_owned,
    );
    Failure::new(kind, message)
        .at(response)
        .code(code)
        .retry_after(delay(response, kind == ErrorKind::RateLimited))
}

/// Rate limits name the Unix second at which a new window begins.
fn delay(response: &HttpResponse, rate_limited: bool) -> Option<u32> {
    let reset = || {
        let reset = response.header("x-ratelimit-reset")?.parse::<f64>().ok()?;
        Some(response.ms_until(reset))
    };
    response.retry_after_ms().or_else(|| if rate_limited { reset() } else { None })
}

fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        // An error inside of a success says nothing about whose fault it is.
        200..=299 => ErrorKind::UpstreamUnavailable,
        status => ErrorKind::of_status(status),
    }
}

/// Names are an open set, so they are recognised by what they contain.
fn kind_of_name(name: &str) -> Option<ErrorKind> {
    const KINDS: [(&[&str], ErrorKind); 8] = [
        (&["chat_completions_not_available", "not_entitled"], ErrorKind::NotEntitled),
        (&["insufficient_quota", "quota_exceeded", "billing"], ErrorKind::QuotaExhausted),
        (&["rate_limit", "too_many_requests"], ErrorKind::RateLimited),
        (&["content_filter", "content_policy", "moderation", "safety"], ErrorKind::ContentBlocked),
        (&["invalid_api_key", "authentication", "unauthorized"], ErrorKind::Auth),
        (&["timeout", "timed_out", "deadline"], ErrorKind::Timeout),
        (&["invalid_request", "invalid_parameter", "validation"], ErrorKind::InvalidRequest),
        (
            &["server_error", "internal", "overloaded", "unavailable"],
            ErrorKind::UpstreamUnavailable,
        ),
    ];
    let name = name.to_ascii_lowercase();
    KINDS
        .iter()
        .find(|(parts, _)| parts.iter().any(|part| name.contains(part)))
        .map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use aiv_sdk::testing;
    use serde_json::json;

    use super::*;

    fn kind(status: u16, body: &Json) -> ErrorKind {
        refused(&testing::response(status, "application/json", body.to_string())).kind
    }

    #[test]
    fn names_go_before_the_status() {
        let error = |name: &str| json!({"error": {"type": name, "message": "m", "code": 1}});
        assert_eq!(kind(403, &error("chat_completions_not_available")), ErrorKind::NotEntitled);
        assert_eq!(kind(403, &error("forbidden")), ErrorKind::Auth);
        assert_eq!(kind(429, &error("insufficient_quota")), ErrorKind::QuotaExhausted);
        assert_eq!(kind(429, &error("request_rate_limit_exceeded")), ErrorKind::RateLimited);
        assert_eq!(kind(422, &json!({"detail": [{"msg": "x"}]})), ErrorKind::InvalidRequest);
        assert_eq!(kind(402, &json!({})), ErrorKind::QuotaExhausted);
    }

    #[test]
    fn an_error_page_has_only_its_status() {
        let page = |status| refused(&testing::response(status, "text/html", "<h1>no</h1>"));
        assert_eq!(page(401).kind, ErrorKind::Auth);
        assert_eq!(page(502).kind, ErrorKind::UpstreamUnavailable);
        assert_eq!(page(524).kind, ErrorKind::Timeout);
        assert_eq!(page(502).provider_code, None);
    }

    #[test]
    fn an_error_may_come_with_status_200() {
        let reply = testing::json("{}");
        let error = json!({"type": "odd", "message": "slow down", "code": 429});
        let failure = failure(&reply, &error);
        assert_eq!((failure.kind, failure.http_status), (ErrorKind::RateLimited, Some(200)));
    }

    #[test]
    fn the_delay_is_counted_from_the_hosts_clock() {
        let mut reply = testing::response(429, "application/json", "{}");
        reply.headers.push(("x-ratelimit-reset".into(), "1800000029".into()));
        assert_eq!(refused(&reply).retry_after_ms, Some(29_000));
        reply.headers.push(("retry-after".into(), "3".into()));
        assert_eq!(refused(&reply).retry_after_ms, Some(3_000));
    }
}
