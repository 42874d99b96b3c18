//! Requests to the servers that are measured.

use anyhow::{Context, ensure};
use reqwest::{Client, Method};
use serde_json::Value;
use std::time::Duration;

#[derive(Clone)]
pub struct Api {
    client: Client,
    base: String,
    key: Option<String>,
}

impl Api {
    pub fn new(base: impl Into<String>, key: Option<String>) -> anyhow::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "the benchmark speaks to its own servers")]
        let client = Client::builder().no_proxy().timeout(Duration::from_mins(1)).build()?;
        Ok(Self { client, base: base.into(), key })
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::GET, path, None, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::POST, path, Some(body), None).await
    }

    /// May be repeated with the same `key` until it succeeds; it has one effect.
    pub async fn post_once(&self, path: &str, body: &Value, key: &str) -> anyhow::Result<Value> {
        self.send(Method::POST, path, Some(body), Some(key)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::PUT, path, Some(body), None).await
    }

    /// Installs a component; an answer that is no success is an answer too.
    pub async fn upload(&self, path: &str, component: Vec<u8>) -> anyhow::Result<(u16, Value)> {
        let request = self.client.put(format!("{}{path}", self.base));
        let request = request.header("content-type", "application/wasm").body(component);
        let request = match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let response = request.send().await.with_context(|| format!("PUT {path}"))?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// Reads a body piece by piece; its bytes.
    pub async fn download(&self, path: &str) -> anyhow::Result<u64> {
        let request = self.client.get(format!("{}{path}", self.base));
        let request = match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let mut response = request.send().await.with_context(|| format!("GET {path}"))?;
        ensure!(response.status().is_success(), "GET {path} answered {}", response.status());
        let mut bytes = 0;
        while let Some(piece) = response.chunk().await? {
            bytes += piece.len() as u64;
        }
        Ok(bytes)
    }

    pub async fn is_ready(&self, path: &str) -> bool {
        self.get(path).await.is_ok()
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        once: Option<&str>,
    ) -> anyhow::Result<Value> {
        let what = format!("{method} {path}");
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(key) = once {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.with_context(|| what.clone())?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{what} answered {status}: {text}");
        Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}
