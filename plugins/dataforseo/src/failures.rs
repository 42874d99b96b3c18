//! DataForSEO's errors: a number of five digits, mostly inside of a success.

use aiv_sdk::json::{Json, str_at, u32_at};
use aiv_sdk::{ErrorKind, Failure, HttpResponse};

/// The failure that a body or a task tells of.
pub(crate) fn failure(response: &HttpResponse, body: &Json) -> Failure {
    let code = u32_at(body, "/status_code");
    let message = str_at(body, "/status_message").map_or_else(
        || format!("DataForSEO answered with status {}", response.status),
        str::to_owned,
    );
    let kind = code.and_then(kind).unwrap_or_else(|| ErrorKind::of_status(response.status));
    Failure::new(kind, message)
        .at(response)
        .code(code.map(|code| code.to_string()))
        .retry_after(response.retry_after_ms())
}

fn kind(code: u32) -> Option<ErrorKind> {
    Some(match code {
        // A body that is well and has no task is none that can be read.
        20_000..=29_999 => ErrorKind::MalformedResponse,
        40_100 | 40_104 | 40_201 | 40_207 => ErrorKind::Auth,
        40_101 | 40_103 | 40_601 | 40_602 => ErrorKind::UpstreamUnavailable,
        40_200 | 40_203 | 40_210 => ErrorKind::QuotaExhausted,
        40_202 | 40_209 => ErrorKind::RateLimited,
        40_204 | 40_206 => ErrorKind::NotEntitled,
        40_000..=49_999 => ErrorKind::InvalidRequest,
        50_401 | 50_402 => ErrorKind::Timeout,
        50_000..=59_999 => ErrorKind::UpstreamUnavailable,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use aiv_sdk::testing;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_number_decides_before_the_status() {
        let kind = |status, code: u32| {
            failure(
                &testing::response(status, "application/json", ""),
                &json!({"status_code": code}),
            )
            .kind
        };
        assert_eq!(kind(200, 40_100), ErrorKind::Auth);
        assert_eq!(kind(200, 40_202), ErrorKind::RateLimited);
        assert_eq!(kind(200, 40_210), ErrorKind::QuotaExhausted);
        assert_eq!(kind(200, 40_501), ErrorKind::InvalidRequest);
        assert_eq!(kind(200, 50_303), ErrorKind::UpstreamUnavailable);
        assert_eq!(kind(200, 50_402), ErrorKind::Timeout);
        assert_eq!(kind(200, 20_000), ErrorKind::MalformedResponse);
        assert_eq!(kind(402, 0), ErrorKind::QuotaExhausted);
    }
}
