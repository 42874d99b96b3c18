//! The operator's settings.

use serde::Deserialize;

/// What `config.schema.json` describes. Everything may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    pub(crate) wait_for_overview: Option<bool>,
    pub(crate) os: Option<String>,
    pub(crate) se_domain: Option<String>,
    pub(crate) location_code: Option<u32>,
}
