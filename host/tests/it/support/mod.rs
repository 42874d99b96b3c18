//! A whole host per test, on a database of its own, with a clock that stands still and answers
//! from recordings.

use aiv::{
    App, Clock,
    api_key::ApiKey,
    app::open_store,
    config::{Config, ProviderMode},
    ids::{ApiKeyId, BatchId, WorkspaceId},
    jobs,
    providers::replay,
    queue::{Worker, WorkerConfig},
    seed,
    store::{
        api_keys::{self, Role},
        engines::{self, NewEngine},
        jobs as job_rows,
        workspaces::{self, Workspace},
    },
};
use aiv_runtime::{Compiler, Runtime, RuntimeConfig};
use chrono::{DateTime, TimeDelta, Utc};
use poem::{
    EndpointExt, Response,
    endpoint::BoxEndpoint,
    http::{HeaderMap, Method},
    test::{TestClient, TestResponse},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::Duration,
};
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) mod addresses;
pub(crate) mod guest;
pub(crate) mod idp;
pub(crate) mod process;
pub(crate) mod server;
pub(crate) mod sink;
pub(crate) mod tools;
pub(crate) mod vendor;

/// One runtime for all tests: components are compiled once and loaded once.
static RUNTIME: LazyLock<Arc<Runtime>> = LazyLock::new(|| {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache");
    let compiler = Compiler::child(env!("CARGO_BIN_EXE_aiv"), ["plugin", "compile"]);
    Arc::new(Runtime::new(RuntimeConfig { compiler, ..RuntimeConfig::new(cache) }).unwrap())
});

/// Where `make plugins` puts the components.
pub(crate) fn plugin_dir() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist");
    assert!(folder.join("perplexity.wasm").exists(), "no components: run `make plugins` first");
    folder
}

pub(crate) struct Host {
    pub(crate) app: App,
    pub(crate) workspace: Workspace,
    pub(crate) client: TestClient<BoxEndpoint<'static, Response>>,
    key: Option<String>,
    files: Arc<TempDir>,
}

impl Host {
    /// A host with a workspace, an owner's key and the three components, which answer from
    /// recordings.
    pub(crate) async fn start() -> Self {
        Self::start_in(ProviderMode::Replay, None).await
    }

    /// A host with other settings.
    pub(crate) async fn start_with(set: impl FnOnce(&mut Config)) -> Self {
        Self::start_as(ProviderMode::Replay, set).await
    }

    /// A host that would ask the vendors, had it their keys.
    pub(crate) async fn start_live() -> Self {
        Self::start_in(ProviderMode::Live, None).await
    }

    /// A host whose vendors are played at `url`.
    pub(crate) async fn start_mocked(url: String) -> Self {
        Self::start_in(ProviderMode::Mock, Some(url)).await
    }

    async fn start_in(mode: ProviderMode, mock_url: Option<String>) -> Self {
        Self::start_as(mode, |config| config.providers.mock_url = mock_url).await
    }

    /// A host with other settings, whose answers are recordings.
    pub(crate) async fn start_set(set: impl FnOnce(&mut Config)) -> Self {
        Self::start_as(ProviderMode::Replay, set).await
    }

    /// A host on a Redis as well.
    pub(crate) async fn start_with_redis(url: &str) -> Self {
        let url = url.to_owned().into();
        Self::start_as(ProviderMode::Replay, |config| config.redis.url = Some(url)).await
    }

    async fn start_as(mode: ProviderMode, set: impl FnOnce(&mut Config)) -> Self {
        let files = tempfile::tempdir().unwrap();
        let mut config = Config::defaults().unwrap();
        config.database.url = database_url(files.path()).await.into();
        config.database.auto_migrate = Some(true);
        config.database.max_connections = 5;
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        config.auth.master_keys = Some(format!("test:{key}").into());
        config.providers.mode = mode;
        config.providers.plugin_dir = plugin_dir();
        set(&mut config);
        let clock = Clock::fixed(DateTime::from_timestamp(1_767_225_600, 0).unwrap());
        let app = App::open(config, clock, Arc::clone(&RUNTIME)).await.unwrap();
        let mut tx = app.store.begin().await.unwrap();
        let workspace = Workspace::new("Acme", mode.is_synthetic(), app.clock.now());
        workspaces::insert(&mut tx, &workspace).await.unwrap();
        tx.commit().await.unwrap();
        let endpoint = aiv::api::in_process(app.clone()).unwrap();
        let client = TestClient::new(endpoint.map_to_response().boxed());
        let files = Arc::new(files);
        let mut host = Self { app, workspace, client, key: None, files };
        host.key = Some(host.create_key(host.workspace.id, Role::Owner, &[]).await);
        host
    }

    /// The same host, spoken to with another key.
    pub(crate) fn with_key(&self, key: impl Into<String>) -> Self {
        let endpoint = aiv::api::in_process(self.app.clone()).unwrap();
        Self {
            app: self.app.clone(),
            workspace: self.workspace.clone(),
            client: TestClient::new(endpoint.map_to_response().boxed()),
            key: Some(key.into()),
            files: Arc::clone(&self.files),
        }
    }

    /// The same host, spoken to by nobody in particular.
    pub(crate) fn anonymous(&self) -> Self {
        Self { key: None, ..self.with_key("") }
    }

    /// The same host, seen from a workspace of its own.
    pub(crate) async fn other_workspace(&self) -> Self {
        self.workspace_like(Workspace::new("Other", true, self.app.clock.now())).await
    }

    /// The same host, seen from `workspace`, which is made.
    pub(crate) async fn workspace_like(&self, workspace: Workspace) -> Self {
        let mut tx = self.app.store.begin().await.unwrap();
        workspaces::insert(&mut tx, &workspace).await.unwrap();
        tx.commit().await.unwrap();
        let key = self.create_key(workspace.id, Role::Owner, &[]).await;
        Self { workspace, ..self.with_key(key) }
    }

    /// The text of a new key.
    pub(crate) async fn create_key(
        &self,
        workspace: WorkspaceId,
        role: Role,
        scopes: &[&str],
    ) -> String {
        let key = ApiKey::generate(&mut rand::rng());
        let row = api_keys::ApiKey {
            id: ApiKeyId::generate(),
            workspace_id: workspace,
            name: "test".into(),
            prefix: key.prefix().into(),
            secret_hash: key.hash().to_vec(),
            role,
            scopes: scopes.iter().map(ToString::to_string).collect::<Vec<_>>().into(),
            allowed_ips: None,
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
            created_at: self.app.clock.now(),
        };
        let mut tx = self.app.store.begin().await.unwrap();
        api_keys::insert(&mut tx, &row).await.unwrap();
        tx.commit().await.unwrap();
        key.reveal().to_owned()
    }

    /// Fills the workspace with the demo's brands, its first `prompts` prompts and all engines.
    pub(crate) async fn seed_demo(&self, prompts: usize) {
        let mut set = replay::demo().clone();
        set.prompts.truncate(prompts);
        let (now, id) = (self.app.clock.now(), self.workspace.id);
        let mut tx = self.app.store.begin().await.unwrap();
        seed::fill(&mut tx, id, &set, &self.app.providers, now).await.unwrap();
        // A host that asks the vendors has no keys; its tests want to see what comes of it.
        let live = !self.app.providers.is_synthetic();
        for route in self.app.providers.list().into_iter().filter(|_| live) {
            let surface = &route.default_surface().unwrap().id;
            let engine = NewEngine::with_defaults(route.key(), surface);
            engines::save(&mut tx, id, None, engine, now).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// Plans and starts a batch over everything the workspace has.
    pub(crate) async fn start_batch(&self, samples: i64, slot: &str) -> BatchId {
        let request = jobs::BatchRequest {
            samples,
            slot: Some(slot.to_owned()),
            ..jobs::BatchRequest::default()
        };
        let mut tx = self.app.store.begin().await.unwrap();
        let plan = jobs::plan_batch(&self.app, &mut tx, self.workspace.id, request).await.unwrap();
        let batch =
            jobs::start_batch(&self.app, &mut tx, self.workspace.id, plan, "test").await.unwrap();
        tx.commit().await.unwrap();
        batch.id
    }

    /// Does all jobs, moving the clock to those that wait.
    pub(crate) async fn work(&self) {
        self.work_while(|_, _| true).await;
    }

    /// Does all jobs until the next one that waits is none of those that are `meant`.
    async fn work_while(&self, meant: impl Fn(DateTime<Utc>, DateTime<Utc>) -> bool) {
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let handlers = Arc::new(jobs::Context::new(self.app.clone(), &tasks));
        let config =
            WorkerConfig { poll_every: Duration::from_millis(5), ..WorkerConfig::default() };
        let (store, clock) = (self.app.store.clone(), self.app.clock.clone());
        let worker = Worker::embedded(config, store, clock, self.app.queue.clone(), handlers);
        tasks.spawn(worker.run(stop.clone()));
        loop {
            let mut conn = self.app.store.read().await.unwrap();
            let counts = job_rows::counts(&mut conn).await.unwrap();
            drop(conn);
            let busy = counts.iter().any(|count| count.state == "running");
            let next = counts
                .iter()
                .filter(|count| count.state == "available")
                .filter_map(|count| count.oldest_run_at)
                .min();
            match next {
                None if !busy => break,
                Some(at) if !busy && !meant(at, self.app.clock.now()) => break,
                Some(at) if !busy && at > self.app.clock.now() => {
                    self.app.clock.advance(at - self.app.clock.now() + TimeDelta::milliseconds(1));
                }
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }

    /// Publishes the events that wait; returns how many.
    pub(crate) async fn publish(&self) -> usize {
        jobs::Publisher::new(self.app.clone()).pass().await.unwrap()
    }

    /// Does all jobs that are due, without moving the clock to those that wait.
    pub(crate) async fn work_until_idle(&self) {
        self.work_while(|next, now| next <= now).await;
    }

    pub(crate) async fn get(&self, path: impl AsRef<str>) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: impl AsRef<str>, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: impl AsRef<str>, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: impl AsRef<str>, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: impl AsRef<str>) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: impl AsRef<str>,
        body: Option<Value>,
    ) -> Answer {
        let mut request = self.client.request(method, path.as_ref());
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if let Some(body) = body {
            request = request.body_json(&body);
        }
        Answer::of(request.send().await).await
    }

    /// Installs a component through the API.
    pub(crate) async fn upload(&self, path: impl AsRef<str>, component: Vec<u8>) -> Answer {
        let request = self
            .client
            .put(path.as_ref())
            .header("authorization", format!("Bearer {}", self.key()))
            .content_type("application/wasm")
            .body(component);
        Answer::of(request.send().await).await
    }

    /// The same database, as another process sees it.
    pub(crate) async fn other_process(&self) -> App {
        let config = Config::clone(&self.app.config);
        App::open(config, self.app.clock.clone(), Arc::clone(&RUNTIME)).await.unwrap()
    }

    /// The same host, spoken to by an operator of the platform.
    pub(crate) async fn operator(&self) -> Self {
        let key = self.create_key(self.workspace.id, Role::Owner, &["admin:*"]).await;
        self.with_key(key)
    }

    pub(crate) fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }
}

/// Puts other bytes in the place of a component's, as somebody with the database's password could.
pub(crate) async fn alter_component(store: &aiv::store::Store, digest: &str, bytes: &[u8]) {
    const ALTER: &str = "UPDATE provider_artifacts SET component = $2 WHERE digest = $1";
    let digest = hex::decode(digest).unwrap();
    match store {
        aiv::store::Store::Postgres(pool) => {
            sqlx::query(ALTER).bind(digest).bind(bytes).execute(pool).await.unwrap();
        }
        aiv::store::Store::Sqlite { writer, .. } => {
            sqlx::query(ALTER).bind(digest).bind(bytes).execute(writer).await.unwrap();
        }
    }
}

/// What the host answered.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    #[serde(skip)]
    pub(crate) headers: HeaderMap,
    /// `null` when it is empty, a string when it is not JSON.
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(response: TestResponse) -> Self {
        let status = response.0.status().as_u16();
        let headers = response.0.headers().clone();
        let bytes = response.0.into_body().into_vec().await.unwrap();
        let body = match serde_json::from_slice(&bytes) {
            Ok(json) => json,
            Err(_) if bytes.is_empty() => Value::Null,
            Err(_) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
        };
        Self { status, headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body of a success with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }
}

/// An empty store with the current schema.
pub(crate) async fn empty_store(files: &TempDir) -> aiv::store::Store {
    let mut config = Config::defaults().unwrap();
    config.database.auto_migrate = Some(true);
    config.database.url = database_url(files.path()).await.into();
    open_store(&config).await.unwrap()
}

/// A database of its own: a file in `folder`, or a new one on the test server.
pub(crate) async fn database_url(folder: &Path) -> String {
    match server() {
        Some(server) => create_database(&server).await,
        None => format!("sqlite:{}", folder.join("aiv.db").display()),
    }
}

#[expect(clippy::disallowed_methods, reason = "the suite is told its server by the environment")]
fn server() -> Option<String> {
    std::env::var("TEST_DATABASE_URL").ok()
}

/// A Redis for this run of the suite, if there is one; whoever uses it takes keys of its own.
#[expect(clippy::disallowed_methods, reason = "the suite is told its server by the environment")]
pub(crate) fn redis_url() -> Option<String> {
    let url = std::env::var("TEST_REDIS_URL").ok();
    if url.is_none() {
        eprintln!("skipped: no Redis; set TEST_REDIS_URL, or run under .ci/with-services");
    }
    url
}

async fn create_database(server: &str) -> String {
    let name = format!("it_{}", uuid::Uuid::now_v7().simple());
    let mut conn = PgConnection::connect(server).await.unwrap();
    conn.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}
