use super::{Caller, Operator, Problem, Tag, types::Timestamp};
use crate::{
    Error, api::edge_settings::EdgeSettings, config::Config, store::audit_logs, vault::Vault,
};
use arc_swap::ArcSwap;
use poem_openapi::{Object, OpenApi, payload::Json};
use serde_json::json;
use std::sync::Arc;

/// What was read anew.
#[derive(Object)]
struct ReloadedConfig {
    /// The settings that took effect; all others need a new process.
    settings: Vec<String>,
    reloaded_at: Timestamp,
}

pub(in crate::api) struct Api {
    pub(super) operator: Operator,
    pub(super) settings: Arc<ArcSwap<EdgeSettings>>,
}

#[OpenApi(tag = "Tag::Operations")]
impl Api {
    /// Read the settings anew
    ///
    /// Reads the file that `AIV_CONFIG` names and puts the settings of the edge and the master keys
    /// into force: in the process that answers, and no other. If any of them is wrong, all stay as
    /// they are. What came from the environment stays as the process was started with.
    #[oai(path = "/admin/config/reload", method = "post", operation_id = "reload_config")]
    async fn reload(&self, caller: Caller) -> Result<Json<ReloadedConfig>, Problem> {
        let app = &self.operator.app;
        let wrong = |what: &str, error: &anyhow::Error| {
            // The text of a file may hold secrets: it is for the log of whoever can read the file.
            tracing::warn!("the settings stay as they are: {error:#}");
            Error::Conflict(format!("the settings stay as they are: {what}; the log says more"))
        };
        let config = Config::load().map_err(|error| wrong("they cannot be read", &error))?;
        let settings = EdgeSettings::new(&config, app.request_rates.clone())
            .map_err(|error| wrong("those of the edge are not in order", &error))?;
        let vault = Vault::open(&config.auth, &app.config.database)
            .map_err(|error| wrong("the master keys are not in order", &error))?;
        app.tokens
            .reload(&config.auth)
            .map_err(|error| wrong("those of tokens are not in order", &error))?;
        app.vault.replace(&vault);
        self.settings.store(Arc::new(settings));
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        let actor = caller.operator();
        audit_logs::note(&mut tx, &actor, "config.reload", "edge", json!({}), now).await?;
        tx.commit().await?;
        Ok(Json(ReloadedConfig {
            settings: EdgeSettings::NAMES.map(str::to_owned).into(),
            reloaded_at: now.into(),
        }))
    }
}
