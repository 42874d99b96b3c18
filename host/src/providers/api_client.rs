//! The API of a host, asked from a terminal.
//!
//! Its address is the operator's own, and often this machine: the guard of [`super::egress`], which
//! is there against addresses that others name, does not apply.

use anyhow::{Context, bail};
use reqwest::{Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use url::Url;

const TIMEOUT: Duration = Duration::from_mins(1);
/// How often a request that comes too soon is repeated.
const PATIENCE: u32 = 10;

/// A host's API, spoken to with a key.
pub struct ApiClient {
    client: reqwest::Client,
    base: Url,
    key: SecretString,
}

/// What the host did not like about a request.
#[derive(Debug, Clone, Deserialize, thiserror::Error)]
#[error("{detail} ({code}, request {request_id})")]
pub struct Refusal {
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub detail: String,
    #[serde(default)]
    pub request_id: String,
    #[serde(default)]
    pub errors: Vec<BrokenRule>,
}

/// One broken rule of a request body.
#[derive(Debug, Clone, Deserialize)]
pub struct BrokenRule {
    pub pointer: String,
    pub detail: String,
}

impl ApiClient {
    pub fn new(base: Url, key: SecretString) -> anyhow::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "the operator names the address")]
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("aiv/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(ApiClient { client, base, key })
    }

    /// Every row of a list.
    pub async fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut rows = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut url = self.base.join(path)?;
            // Lists that come whole know neither.
            if let Some(cursor) = &cursor {
                url.query_pairs_mut().append_pair("cursor", cursor);
            }
            let page = self.send(Method::GET, url, None).await?;
            let data = page["data"].as_array().with_context(|| format!("{path} is no list"))?;
            rows.extend(data.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(rows),
            }
        }
    }

    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::POST, self.base.join(path)?, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::PUT, self.base.join(path)?, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::PATCH, self.base.join(path)?, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::DELETE, self.base.join(path)?, None).await
    }

    /// Sends a request, again while it comes too soon. What the host refuses is a [`Refusal`].
    async fn send(&self, method: Method, url: Url, body: Option<&Value>) -> anyhow::Result<Value> {
        for _ in 0..PATIENCE {
            let mut request = self
                .client
                .request(method.clone(), url.clone())
                .bearer_auth(self.key.expose_secret());
            if let Some(body) = body {
                request = request
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(serde_json::to_vec(body)?);
            }
            let answer = request
                .send()
                .await
                .map_err(reqwest::Error::without_url)
                .with_context(|| format!("cannot reach {}", self.base))?;
            let status = answer.status();
            if status == StatusCode::TOO_MANY_REQUESTS {
                let seconds = answer
                    .headers()
                    .get(header::RETRY_AFTER)
                    .and_then(|value| value.to_str().ok()?.parse().ok())
                    .unwrap_or(1);
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                continue;
            }
            let bytes = answer.bytes().await.map_err(reqwest::Error::without_url)?;
            if status.is_success() {
                return Ok(serde_json::from_slice(&bytes).unwrap_or(Value::Null));
            }
            return Err(match serde_json::from_slice::<Refusal>(&bytes) {
                Ok(refusal) => refusal.into(),
                Err(_) => anyhow::anyhow!("{} answered {status}", self.base),
            });
        }
        bail!("{} answers that there are too many requests", self.base)
    }
}
