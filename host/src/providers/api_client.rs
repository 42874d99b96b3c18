//! The API of a host, asked from a terminal.
//!
//! Its address is the operator's own, and often this machine: the guard of [`super::egress`], which
//! is there against addresses that others name, does not apply.

use anyhow::{Context, bail};
use bytes::Bytes;
use reqwest::{Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use std::{fmt, time::Duration};
use url::Url;

const TIMEOUT: Duration = Duration::from_mins(1);
/// As long as a host takes to compile a large component on a slow machine.
const UPLOAD: Duration = Duration::from_mins(3);
/// How often a request that comes too soon is repeated.
const PATIENCE: u32 = 10;

/// A host's API, spoken to with a key.
pub struct ApiClient {
    client: reqwest::Client,
    base: Url,
    key: SecretString,
}

/// What a request carries.
struct Body {
    kind: &'static str,
    bytes: Bytes,
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
    /// The host's problem document, as it came.
    #[serde(skip)]
    document: Value,
}

/// A [`Refusal`] with every rule that was broken.
#[derive(Debug, thiserror::Error)]
pub struct FullRefusal(Refusal);

impl fmt::Display for FullRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        for BrokenRule { pointer, detail } in &self.0.errors {
            let of_what = if pointer.is_empty() { "" } else { ": " };
            write!(f, "\n  {pointer}{of_what}{detail}")?;
        }
        Ok(())
    }
}

impl Refusal {
    /// The host's problem document, as it came.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The same with every rule that was broken.
    pub fn in_full(self) -> FullRefusal {
        FullRefusal(self)
    }

    pub fn is_not_found(&self) -> bool {
        self.code == "not_found"
    }
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

    /// Where the host is.
    pub fn base(&self) -> &Url {
        &self.base
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::GET, self.base.join(path)?, None).await
    }

    /// Puts a component; the host compiles it before it answers.
    pub async fn upload(&self, path: &str, component: Vec<u8>) -> anyhow::Result<Value> {
        let body = Body { kind: "application/wasm", bytes: component.into() };
        self.send_within(UPLOAD, Method::PUT, self.base.join(path)?, Some(body)).await
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
        let body = match body {
            Some(body) => {
                Some(Body { kind: "application/json", bytes: serde_json::to_vec(body)?.into() })
            }
            None => None,
        };
        self.send_within(TIMEOUT, method, url, body).await
    }

    async fn send_within(
        &self,
        limit: Duration,
        method: Method,
        url: Url,
        body: Option<Body>,
    ) -> anyhow::Result<Value> {
        for _ in 0..PATIENCE {
            let mut request = self
                .client
                .request(method.clone(), url.clone())
                .timeout(limit)
                .bearer_auth(self.key.expose_secret());
            if let Some(Body { kind, bytes }) = &body {
                request = request.header(header::CONTENT_TYPE, *kind).body(bytes.clone());
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
            let document: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            return Err(match Refusal::deserialize(&document) {
                Ok(refusal) => Refusal { document, ..refusal }.into(),
                Err(_) => anyhow::anyhow!("{} answered {status}", self.base),
            });
        }
        bail!("{} answers that there are too many requests", self.base)
    }
}
