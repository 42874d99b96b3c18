use super::{
    Body, Caller, Deleted, Problem, Tag, Tagged, body,
    credentials::{self, EngineCredential},
    etag,
    rules::Rules,
    types::Timestamp,
};
use crate::{
    App, Error, Result,
    ids::WorkspaceId,
    providers::Route,
    store::{
        self, Conn, audit_logs,
        engines::{self, DEFAULT_CONCURRENCY},
    },
};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path},
    payload::Json,
    types::Any,
};
use serde_json::json;
use std::sync::Arc;
use url::Url;

/// How a workspace uses a provider.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct Engine {
    /// Key of the provider.
    key: String,
    /// Whether batches ask it.
    enabled: bool,
    /// Which of the provider's surfaces is asked.
    surface: String,
    /// The surface's default when absent.
    model: Option<String>,
    /// BCP 47 tag, for prompts that name no language.
    language: Option<String>,
    /// ISO 3166-1 alpha-2 code, for prompts that name no country.
    country: Option<String>,
    /// Place, for prompts that name none.
    location: Option<String>,
    device: Option<Device>,
    /// What else the provider lets choose, by its `config_schema`.
    config: Any<serde_json::Value>,
    /// Runs in flight at once, per process.
    concurrency: i64,
    /// Most it may spend per day, in millionths of a US dollar; absent when unlimited.
    daily_budget_micros: Option<i64>,
    /// Research may be asked for: surfaces where a question costs a hundred times the usual.
    allow_research: bool,
    /// Why it is not asked until somebody acts. Saving the engine clears it.
    needs_attention: Option<String>,
    /// Until when its runs wait, at the vendor's wish.
    paused_until: Option<Timestamp>,
    /// What the provider has to be given, and whose is used.
    credentials: Vec<EngineCredential>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// What a question seems to be asked from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum Device {
    Desktop,
    Mobile,
    Tablet,
}

/// The whole configuration of an engine; what is absent takes its default.
#[derive(Object)]
struct NewEngine {
    /// Whether batches ask it.
    #[oai(default = "yes")]
    enabled: bool,
    /// One of the provider's surfaces; its first one when absent.
    surface: Option<String>,
    /// One of the surface's models; its default when absent.
    model: Option<String>,
    /// BCP 47 tag, for prompts that name no language.
    #[oai(validator(max_length = 35))]
    language: Option<String>,
    /// ISO 3166-1 alpha-2 code in capitals, for prompts that name no country.
    #[oai(validator(min_length = 2, max_length = 2))]
    country: Option<String>,
    /// Place, for prompts that name none.
    #[oai(validator(min_length = 1, max_length = 200))]
    location: Option<String>,
    device: Option<Device>,
    /// What else the provider lets choose, by its `config_schema`.
    #[oai(default = "nothing")]
    config: Any<serde_json::Value>,
    /// Runs in flight at once, per process.
    #[oai(default = "concurrency", validator(minimum(value = "1"), maximum(value = "1024")))]
    concurrency: i64,
    /// Most it may spend per day, in millionths of a US dollar; unlimited when absent.
    #[oai(validator(minimum(value = "0")))]
    daily_budget_micros: Option<i64>,
    /// Allow research: surfaces where a question costs a hundred times the usual. They also need a
    /// `daily_budget_micros`.
    #[oai(default)]
    allow_research: bool,
}

/// Every engine of the workspace, by key.
#[derive(Object)]
struct EngineList {
    data: Vec<Engine>,
}

fn yes() -> bool {
    true
}

fn nothing() -> Any<serde_json::Value> {
    Any(json!({}))
}

fn concurrency() -> i64 {
    DEFAULT_CONCURRENCY
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Engines")]
impl Api {
    /// List the engines
    #[oai(path = "/engines", method = "get", operation_id = "list_engines")]
    async fn list(&self, caller: Caller) -> Result<Json<EngineList>, Problem> {
        let mut conn = self.0.store.read().await?;
        let rows = engines::list(&mut conn, caller.workspace).await?;
        let own = store::credentials::list(&mut conn, caller.workspace).await?;
        let describe = |row| Engine::of(row, &self.0, &own);
        Ok(Json(EngineList { data: rows.into_iter().map(describe).collect() }))
    }

    /// Find an engine
    #[oai(path = "/engines/:engine", method = "get", operation_id = "find_engine")]
    async fn find(
        &self,
        caller: Caller,
        /// Key of the engine.
        engine: Path<String>,
        /// `ETag` of the version you have: answered with 304 while it is current.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<Tagged<Engine>, Problem> {
        let mut conn = self.0.store.read().await?;
        let row = engines::find(&mut conn, caller.workspace, &engine.0).await?;
        let version = row.version;
        let engine = describe(&self.0, &mut conn, caller.workspace, row).await?;
        Ok(Tagged::unless(version, engine, if_none_match.0.as_deref()))
    }

    /// Save an engine
    ///
    /// Configures the provider of this key for the workspace, for the first time or anew.
    #[oai(path = "/engines/:engine", method = "put", operation_id = "save_engine")]
    async fn save(
        &self,
        caller: Caller,
        /// Key of the engine: that of an installed provider.
        engine: Path<String>,
        /// `ETag` of the version you mean to change: refused with 412 when it is not current.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        new: Body<NewEngine>,
    ) -> Result<Tagged<Engine>, Problem> {
        let new = new.0.checked(&self.0, caller.workspace, engine.0)?;
        let expected = etag::expected(if_match.0.as_deref(), "engine")?;
        let mut tx = self.0.store.begin().await?;
        if expected.is_some() {
            // No version of what does not exist can be the one that is meant.
            let found = engines::find(&mut tx, caller.workspace, &new.key).await;
            found.map_err(|error| match error {
                Error::NotFound(what) => Error::Changed(what),
                error => error,
            })?;
        }
        let now = self.0.clock.now();
        let row = engines::save(&mut tx, caller.workspace, expected, new, now).await?;
        let what = json!({"enabled": row.enabled, "version": row.version});
        audit_logs::note(&mut tx, &caller.actor(), "engine.save", &row.key, what, now).await?;
        let version = row.version;
        let engine = describe(&self.0, &mut tx, caller.workspace, row).await?;
        tx.commit().await?;
        Ok(Tagged::new(version, engine))
    }

    /// Delete an engine
    ///
    /// The workspace asks the provider no longer; what was measured stays.
    #[oai(path = "/engines/:engine", method = "delete", operation_id = "delete_engine")]
    async fn delete(
        &self,
        caller: Caller,
        /// Key of the engine.
        engine: Path<String>,
        /// `ETag` of the version you mean to delete: refused with 412 when it is not current.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<Deleted, Problem> {
        let expected = etag::expected(if_match.0.as_deref(), "engine")?;
        let mut tx = self.0.store.begin().await?;
        engines::delete(&mut tx, caller.workspace, &engine.0, expected).await?;
        let (actor, now) = (caller.actor(), self.0.clock.now());
        audit_logs::note(&mut tx, &actor, "engine.delete", &engine.0, json!({}), now).await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }
}

impl NewEngine {
    /// The configuration, when the provider can be asked so.
    fn checked(self, app: &App, workspace: WorkspaceId, key: String) -> Result<engines::NewEngine> {
        let NewEngine {
            enabled,
            surface,
            model,
            language,
            country,
            location,
            device,
            config,
            concurrency,
            daily_budget_micros,
            allow_research,
        } = self;
        let route = provider(app, workspace, &key)?;
        let mut rules = Rules::default();
        let chosen = match &surface {
            Some(id) => route.surface(id),
            None => route.default_surface(),
        };
        match (chosen, &model) {
            (Some(chosen), Some(model)) if chosen.models.is_empty() => {
                let detail = format!("surface {} has no choice of models", chosen.id);
                rules.require(model.is_empty(), "/model", &detail);
            }
            (Some(chosen), Some(model)) => {
                let detail = format!("must be one of {}", chosen.models.join(", "));
                rules.require(chosen.models.contains(model), "/model", &detail);
            }
            (Some(_), None) => {}
            (None, _) => {
                let ids: Vec<_> = route.manifest.surfaces.iter().map(|s| s.id.as_str()).collect();
                rules.require(false, "/surface", &format!("must be one of {}", ids.join(", ")));
            }
        }
        if let Some(language) = &language {
            rules.language("/language", language);
        }
        if let Some(country) = &country {
            rules.country("/country", country);
        }
        check_config(&route, &config.0, &mut rules)?;
        check_host(&route, &config.0, &mut rules);
        let chosen_surface = chosen.map(|chosen| chosen.id.as_str()).unwrap_or_default();
        if route.researches(chosen_surface, model.as_deref(), &config.0) {
            let detail = "must be true: research costs a hundred times the usual";
            rules.require(allow_research, "/allow_research", detail);
            let detail = "is required for research: what it may cost in a day";
            rules.require(daily_budget_micros.is_some(), "/daily_budget_micros", detail);
        }
        let surface = chosen.map(|chosen| chosen.id.clone()).unwrap_or_default();
        rules.check()?;
        Ok(engines::NewEngine {
            key,
            enabled,
            surface,
            model,
            language,
            country,
            location,
            device: device.map(|device| device.as_str().to_owned()),
            config: config.0,
            concurrency,
            daily_budget_micros,
            allow_research,
        })
    }
}

/// An engine with what there is to know of its credentials.
async fn describe(
    app: &App,
    conn: &mut Conn,
    workspace: WorkspaceId,
    row: engines::Engine,
) -> Result<Engine> {
    let own = store::credentials::list(conn, workspace).await?;
    Ok(Engine::of(row, app, &own))
}

fn provider(app: &App, workspace: WorkspaceId, key: &str) -> Result<Arc<Route>> {
    app.providers.find_for(key, workspace).ok_or_else(|| {
        let routes = app.providers.list();
        let keys: Vec<_> = routes.iter().map(|route| route.key()).collect();
        let there = if keys.is_empty() { "none".into() } else { keys.join(", ") };
        Error::invalid("", format!("no provider is called {key:?}; installed: {there}"))
    })
}

/// Holds the configuration against what the component says of it.
fn check_config(route: &Route, config: &serde_json::Value, rules: &mut Rules) -> Result<()> {
    rules.require(config.is_object(), "/config", "must be an object");
    let schema = route.manifest.config_schema.as_str();
    if schema.trim().is_empty() {
        return Ok(());
    }
    let schema = serde_json::from_str(schema)
        .map_err(|error| anyhow::anyhow!("config schema of {}: {error}", route.key()))?;
    let validator = jsonschema::validator_for(&schema)
        .map_err(|error| anyhow::anyhow!("config schema of {}: {error}", route.key()))?;
    for violation in body::of_errors(validator.iter_errors(config)) {
        rules.require(false, format!("/config{}", violation.pointer), &violation.detail);
    }
    Ok(())
}

/// The address that a setting names must be one that the operator granted.
fn check_host(route: &Route, config: &serde_json::Value, rules: &mut Rules) {
    let Route { manifest, grant, .. } = route;
    let Some(setting) = manifest.host_setting() else { return };
    let Some(address) = config[setting].as_str() else { return };
    let reached = Url::parse(address).is_ok_and(|url| grant.reaches(manifest, &url));
    let detail = format!(
        "leads to a server that is not granted; granted are {}. An operator grants others as \
         `origins`: PUT /v1/admin/providers/{}/grant",
        grant.reachable(manifest).join(", "),
        route.key()
    );
    rules.require(reached, format!("/config/{setting}"), &detail);
}

impl Device {
    const ALL: [Device; 3] = [Device::Desktop, Device::Mobile, Device::Tablet];

    fn as_str(self) -> &'static str {
        match self {
            Device::Desktop => "desktop",
            Device::Mobile => "mobile",
            Device::Tablet => "tablet",
        }
    }
}

impl Engine {
    fn of(row: engines::Engine, app: &App, own: &[store::credentials::Credential]) -> Self {
        let credentials = credentials::of_engine(app, &row.key, own);
        let engines::Engine {
            workspace_id: _,
            key,
            enabled,
            surface,
            model,
            language,
            country,
            location,
            device,
            config,
            concurrency,
            daily_budget_micros,
            allow_research,
            needs_attention,
            paused_until,
            version: _,
            created_at,
            updated_at,
        } = row;
        let device =
            device.and_then(|name| Device::ALL.into_iter().find(|device| device.as_str() == name));
        Engine {
            key,
            enabled,
            surface,
            model,
            language,
            country,
            location,
            device,
            config: Any(config.0),
            concurrency,
            daily_budget_micros,
            allow_research,
            needs_attention,
            paused_until: paused_until.map(Into::into),
            credentials,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}
