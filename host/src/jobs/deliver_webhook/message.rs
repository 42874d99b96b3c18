//! A message by the rules of Standard Webhooks: signed, sent once, and judged by its answer.

use crate::{
    App,
    providers::transport::{CallContext, Outgoing},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, Method, header};
use sha2::Sha256;
use std::time::{Duration, Instant};
use url::Url;

/// How long a receiver may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A longer answer is an error: nobody reads it.
const MAX_ANSWER_BYTES: u64 = 64 << 10;
/// What is kept of an answer.
const KEPT_CHARS: usize = 500;

/// What is sent: the same bytes at each try.
pub struct Message<'a> {
    /// Equal at each try, so that a receiver knows what it had before.
    pub id: &'a str,
    pub body: &'a str,
}

/// What became of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// HTTP status; `None` when there was no answer.
    pub status: Option<u16>,
    /// Why it does not count as taken.
    pub error: Option<String>,
    /// The beginning of what was answered.
    pub answer: Option<String>,
    pub took: Duration,
}

impl Message<'_> {
    /// `webhook-signature`: one signature per key, so that a receiver that knows either is content.
    pub fn signature(&self, at: DateTime<Utc>, keys: &[Vec<u8>]) -> anyhow::Result<String> {
        let mut signatures = Vec::with_capacity(keys.len());
        for key in keys {
            let mac = Hmac::<Sha256>::new_from_slice(key)
                .map_err(|error| anyhow::anyhow!("signing key: {error}"))?
                .chain_update(format!("{}.{}.{}", self.id, at.timestamp(), self.body));
            signatures.push(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
        }
        Ok(signatures.join(" "))
    }

    /// Sends it once.
    pub async fn post(&self, app: &App, url: Url, keys: &[Vec<u8>]) -> anyhow::Result<Tried> {
        let now = app.clock.now();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("webhook-id", HeaderValue::from_str(self.id)?);
        headers.insert("webhook-timestamp", HeaderValue::from(now.timestamp()));
        if !keys.is_empty() {
            let signature = HeaderValue::from_str(&self.signature(now, keys)?)?;
            headers.insert("webhook-signature", signature);
        }
        let request = Outgoing {
            method: Method::POST,
            url,
            headers,
            body: Some(self.body.as_bytes().to_vec()),
            timeout: TIMEOUT,
            max_response_bytes: MAX_ANSWER_BYTES,
            named: false,
            call: CallContext { seed: 0, attempt: 1 },
        };
        let began = Instant::now();
        let answered = app.egress.send(request).await;
        let took = began.elapsed();
        Ok(match answered {
            Ok(answer) => {
                let taken = (200..300).contains(&answer.status);
                let text = String::from_utf8_lossy(&answer.body);
                let text: String = text.chars().filter(|c| *c != '\0').take(KEPT_CHARS).collect();
                Tried {
                    status: Some(answer.status),
                    error: (!taken).then(|| format!("answered {}", answer.status)),
                    answer: (!text.is_empty()).then_some(text),
                    took,
                }
            }
            Err(failure) => {
                Tried { status: None, error: Some(failure.to_string()), answer: None, took }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard.
    #[test]
    fn a_signature_is_what_the_standard_says() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let message =
            Message { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", body: r#"{"test": 2432232314}"# };
        let at = DateTime::from_timestamp(1_614_265_330, 0).unwrap();
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(message.signature(at, std::slice::from_ref(&key)).unwrap(), expected);
        let both = message.signature(at, &[key, vec![1; 32]]).unwrap();
        assert!(both.starts_with(expected) && both.split(' ').count() == 2, "{both}");
    }

    #[test]
    fn another_implementation_signs_the_same() {
        let key = vec![7; 32];
        let theirs = standardwebhooks::Webhook::from_bytes(key.clone()).unwrap();
        let at = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
        let message = Message { id: "019b0000-0000-7000-8000-000000000000", body: "{\"ä\":1}" };
        let signed = theirs.sign(message.id, at.timestamp(), message.body.as_bytes()).unwrap();
        assert_eq!(message.signature(at, &[key]).unwrap(), signed);
    }
}
