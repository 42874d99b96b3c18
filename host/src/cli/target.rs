//! Which host a command speaks to.

use crate::providers::api_client::ApiClient;
use clap::Args;
use secrecy::SecretString;
use std::convert::Infallible;
use url::Url;

/// Which host, and in whose name.
#[derive(Debug, Clone, Args)]
pub(super) struct Target {
    /// Address of the host.
    #[arg(long, visible_alias = "to", env = "AIV_URL", default_value = "http://127.0.0.1:3000")]
    url: Url,
    /// API key, or a token. Most commands act on the workspace that it belongs to; those for
    /// components want one with the scope `admin:*`.
    #[arg(long, visible_alias = "token", env = "AIV_KEY", hide_env_values = true, value_parser = secret)]
    key: SecretString,
}

#[expect(clippy::unnecessary_wraps, reason = "what a parser of arguments returns")]
fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.into())
}

impl Target {
    pub(super) fn client(self) -> anyhow::Result<ApiClient> {
        ApiClient::new(self.url, self.key)
    }
}
