//! Reading a response: text, headers, and how long to wait.

use crate::json::Json;
use crate::{Body, Failure, HttpResponse};

impl HttpResponse {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body, when it is text.
    pub fn text(&self) -> Option<&str> {
        match &self.body {
            Body::Text(text) => Some(text),
            Body::Binary(_) => None,
        }
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// A malformed-response failure when it is anything else.
    pub fn json(&self) -> Result<Json, Failure> {
        let text = self.text().ok_or_else(|| Failure::malformed(self, "body is not text"))?;
        serde_json::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|error| Failure::malformed(self, format!("body is not JSON: {error}")))
    }

    /// The first header of this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    /// The body, if it is a stream of events. Gateways label a stream as JSON and the other way
    /// round, so the first sign goes before the label.
    pub fn event_stream(&self) -> Option<&str> {
        let text = self.text()?;
        let start = text.trim_start_matches('\u{feff}').trim_start();
        let looks = ["data:", "event:", "id:", ":"].iter().any(|field| start.starts_with(field));
        let kind = self.header("content-type").unwrap_or_default().to_ascii_lowercase();
        let labelled = kind.starts_with("text/event-stream") && !start.starts_with('{');
        (looks || labelled).then_some(text)
    }

    /// `Retry-After` in milliseconds, be it seconds or a date.
    pub fn retry_after_ms(&self) -> Option<u32> {
        let value = self.header("retry-after")?;
        let seconds = match value.parse::<f64>() {
            Ok(seconds) if seconds.is_finite() => seconds,
            _ => http_date(value)? - self.received_at,
        };
        Some(milliseconds(seconds))
    }

    /// Milliseconds from the receipt of this response until a moment in Unix seconds.
    pub fn ms_until(&self, unix_seconds: f64) -> u32 {
        milliseconds(unix_seconds - self.received_at)
    }
}

/// Never negative, and never more than a `u32` holds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn milliseconds(seconds: f64) -> u32 {
    (seconds * 1000.0).round().clamp(0.0, f64::from(u32::MAX)) as u32
}

/// Unix seconds of an HTTP date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<f64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split([' ', ':']);
    let mut number = || parts.next()?.parse::<u32>().ok();
    let day = number()?;
    let month = parts.next().filter(|month| month.len() == 3)?;
    let month = u32::try_from(MONTHS.find(month).filter(|at| at % 3 == 0)? / 3).ok()?;
    let mut number = || parts.next()?.parse::<u32>().ok();
    let (year, hour, minute, second) = (number()?, number()?, number()?, number()?);
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970, counting years from March so that the leap day comes last.
    let (shifted_year, shifted_month) =
        if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let leap_days = shifted_year / 4 - shifted_year / 100 + shifted_year / 400;
    let days = f64::from(shifted_year * 365 + leap_days + (shifted_month * 306 + 5) / 10 + day - 1)
        - 719_468.0;
    Some(days * 86_400.0 + f64::from(hour) * 3600.0 + f64::from(minute) * 60.0 + f64::from(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(headers: &[(&str, &str)]) -> HttpResponse {
        HttpResponse {
            status: 429,
            headers: headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            body: Body::Text(String::new()),
            elapsed_ms: 1,
            received_at: 784_111_777.0,
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wait = |value| response(&[("Retry-After", value)]).retry_after_ms();
        assert_eq!(wait("2"), Some(2000));
        assert_eq!(wait("0.5"), Some(500));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:40 GMT"), Some(3000));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("99999999999"), Some(u32::MAX));
    }

    #[test]
    fn dates_around_leap_days_are_right() {
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0.0));
        assert_eq!(http_date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000.0));
        assert_eq!(http_date("Fri, 01 Mar 2024 00:00:00 GMT"), Some(1_709_251_200.0));
    }

    #[test]
    fn headers_are_found_in_any_case() {
        let response = response(&[("content-type", "Text/Event-Stream; charset=utf-8")]);
        assert_eq!(response.header("Content-Type"), Some("Text/Event-Stream; charset=utf-8"));
        assert_eq!(response.event_stream(), Some(""));
    }
}
