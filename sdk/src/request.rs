//! Requests, put together piece by piece.

use crate::json::Json;
use crate::{Body, HttpMethod, HttpRequest, Value};

impl Value {
    /// The named credential, which the host puts in at the last moment.
    pub fn secret(name: impl Into<String>) -> Self {
        Self::Secret(name.into())
    }

    /// A literal prefix and then the named credential: `("Bearer ", "api-key")`.
    pub fn prefixed(prefix: impl Into<String>, name: impl Into<String>) -> Self {
        Self::PrefixedSecret((prefix.into(), name.into()))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Builds an [`HttpRequest`].
#[derive(Debug, Clone)]
pub struct Request(HttpRequest);

impl Request {
    /// A request to an absolute https URL without query.
    pub fn new(method: HttpMethod, url: impl Into<String>) -> Self {
        Self(HttpRequest {
            method,
            url: url.into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            timeout_ms: None,
        })
    }

    /// A GET request.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(HttpMethod::Get, url)
    }

    /// A POST request.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new(HttpMethod::Post, url)
    }

    /// Appends one part to the path, percent-encoded: an id from a vendor cannot change the path.
    #[must_use]
    pub fn segment(mut self, segment: &str) -> Self {
        let url = &mut self.0.url;
        url.push('/');
        for byte in segment.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                url.push(char::from(byte));
            } else {
                url.push('%');
                for digit in [byte >> 4, byte & 0xF] {
                    url.extend(char::from_digit(digit.into(), 16).map(|d| d.to_ascii_uppercase()));
                }
            }
        }
        self
    }

    /// Adds a query parameter. The host encodes it.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.query.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a query parameter when there is a value.
    #[must_use]
    pub fn query_opt(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds a header; its name is sent in lower case.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// Sends this JSON as the body.
    #[must_use]
    pub fn json(mut self, body: &Json) -> Self {
        self.0.body = Some(Body::Text(body.to_string()));
        self.header("content-type", "application/json")
    }

    /// Wishes for a time-out, which the host clamps.
    #[must_use]
    pub fn timeout_ms(mut self, timeout_ms: u32) -> Self {
        self.0.timeout_ms = Some(timeout_ms);
        self
    }

    /// The finished request.
    pub fn build(self) -> HttpRequest {
        self.0
    }
}

impl From<Request> for HttpRequest {
    fn from(request: Request) -> Self {
        request.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_stays_a_placeholder() {
        let request = Request::get("https://api.example/v1")
            .query("api_key", Value::secret("api-key"))
            .header("Authorization", Value::prefixed("Bearer ", "api-key"))
            .build();
        assert_eq!(request.query, [("api_key".to_owned(), Value::Secret("api-key".into()))]);
        assert_eq!(request.headers[0].0, "authorization");
        assert!(!format!("{request:?}").contains("Bearer api-key"));
    }

    #[test]
    fn a_path_segment_cannot_leave_its_place() {
        let url = |segment| Request::get("https://a.example/v1").segment(segment).build().url;
        assert_eq!(url("x_1-2"), "https://a.example/v1/x_1-2");
        assert_eq!(url("../k?é"), "https://a.example/v1/..%2Fk%3F%C3%A9");
    }
}
