//! Requests to the servers of the benchmark.

use anyhow::{Context, ensure};
use reqwest::{Client, Method};
use serde_json::Value;
use std::time::Duration;

#[derive(Clone)]
pub(crate) struct Api {
    client: Client,
    base: String,
    key: Option<String>,
}

impl Api {
    pub(crate) fn new(base: impl Into<String>, key: Option<String>) -> anyhow::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "the benchmark speaks to its own servers")]
        let client = Client::builder().no_proxy().timeout(Duration::from_mins(1)).build()?;
        Ok(Self { client, base: base.into(), key })
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn is_ready(&self, path: &str) -> bool {
        self.get(path).await.is_ok()
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let what = format!("{method} {path}");
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
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
