//! Everything that runs plugins: one engine, one code cache, the loaded plugins by digest.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Semaphore};
use tracing::info;
use wasmtime::component::{Component, Linker};

use crate::abi::{self, Bindings};
use crate::cache::CodeCache;
use crate::compile::Compiler;
use crate::digest::Digest;
use crate::error::LoadError;
use crate::guest::Guest;
use crate::inspect::{self, Shape};
use crate::limits::Limits;
use crate::manifest::{check_manifest, warnings};
use crate::plugin::{Code, Plugin};
use crate::shared::{Shared, default_concurrency, permits};
use crate::ticker::Ticker;
use crate::types::Manifest;
use crate::{engine, wasi};

/// How a runtime is set up.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// Where compiled code is kept; a directory of its own on a local disk.
    pub cache_dir: PathBuf,
    pub compiler: Compiler,
    /// Limits of plugins that have none of their own.
    pub limits: Limits,
    /// Largest component that is looked at.
    pub max_component_bytes: usize,
    /// Guests that run at once, at most 64.
    pub concurrency: usize,
    /// Accepts local names and addresses as hosts, and plain http: for tests and development.
    pub allow_local_hosts: bool,
}

impl RuntimeConfig {
    /// The defaults, compiling in process.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            compiler: Compiler::InProcess,
            limits: Limits::default(),
            max_component_bytes: 32 << 20,
            concurrency: default_concurrency(),
            allow_local_hosts: false,
        }
    }
}

/// Loads and keeps plugins.
pub struct Runtime {
    shared: Arc<Shared>,
    linker: Linker<Guest>,
    cache: Arc<CodeCache>,
    config: RuntimeConfig,
    plugins: RwLock<HashMap<Digest, Arc<Plugin>>>,
    /// One compiler at a time: it wants a core and several hundred megabytes.
    compiling: Mutex<()>,
}

/// What is known about a component that may be offered to an operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Admission {
    pub digest: Digest,
    pub size: usize,
    /// Version of the interface the component exports, such as `0.1.0`.
    pub wit_version: String,
    pub imports: Vec<String>,
    /// The component imports nothing, so it can only compute.
    pub pure: bool,
    pub manifest: Manifest,
    /// For a person to read before granting anything.
    pub warnings: Vec<String>,
}

impl Runtime {
    /// Starts the engine and opens the code cache.
    pub fn new(config: RuntimeConfig) -> Result<Self, LoadError> {
        let failed = |error: wasmtime::Error| LoadError::Engine(format!("{error:#}"));
        let engine = engine::for_running().map_err(failed)?;
        let mut linker = Linker::new(&engine);
        wasi::link(&mut linker).map_err(failed)?;
        abi::link(&mut linker).map_err(failed)?;
        let cache = Arc::new(CodeCache::open(&config.cache_dir, &engine)?);
        let ticker = Ticker::start(engine.clone())
            .map_err(|error| LoadError::Engine(format!("no thread for the epochs: {error}")))?;
        let shared = Shared {
            engine,
            ticker,
            gate: Semaphore::new(permits(config.concurrency)),
            allow_local_hosts: config.allow_local_hosts,
        };
        Ok(Self {
            shared: Arc::new(shared),
            linker,
            cache,
            config,
            plugins: RwLock::default(),
            compiling: Mutex::new(()),
        })
    }

    /// Checks a component from the first byte to its description of itself. Nothing is kept but
    /// the compiled code.
    pub async fn admit(&self, wasm: &[u8]) -> Result<Admission, LoadError> {
        let digest = Digest::of(wasm);
        let shape = self.validate(wasm.to_vec()).await?;
        let component = match self.cached(digest).await? {
            Some(component) => component,
            None => self.compile(digest, wasm).await?,
        };
        let plugin = self.prepare(digest, &shape, &component).await?;
        let manifest = plugin.manifest().clone();
        Ok(Admission {
            digest,
            size: wasm.len(),
            wit_version: shape.wit_version.to_string(),
            pure: shape.imports.is_empty(),
            warnings: warnings(&manifest),
            imports: shape.imports,
            manifest,
        })
    }

    /// A plugin that is ready to run: from memory, from the code cache, or compiled.
    pub async fn load(&self, wasm: &[u8]) -> Result<Arc<Plugin>, LoadError> {
        inspect::check_kind(wasm, self.config.max_component_bytes)?;
        let digest = Digest::of(wasm);
        if let Some(plugin) = self.loaded(&digest) {
            return Ok(plugin);
        }
        let (shape, component) = if let Some(component) = self.cached(digest).await? {
            // Compiled code of this digest was validated before it was compiled.
            (inspect::shape(wasm)?, component)
        } else {
            let shape = self.validate(wasm.to_vec()).await?;
            (shape, self.compile(digest, wasm).await?)
        };
        let plugin = Arc::new(self.prepare(digest, &shape, &component).await?);
        let mut plugins = self.plugins.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(plugins.entry(digest).or_insert(plugin)))
    }

    /// The plugin, if it is in memory.
    pub fn loaded(&self, digest: &Digest) -> Option<Arc<Plugin>> {
        let plugins = self.plugins.read().unwrap_or_else(PoisonError::into_inner);
        plugins.get(digest).cloned()
    }

    /// Drops the plugin from memory; steps that run go on, the code cache keeps its file.
    pub fn forget(&self, digest: &Digest) {
        self.plugins.write().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }

    /// Guests that run now.
    pub fn running(&self) -> usize {
        self.shared.ticker.running()
    }

    /// Where the compiled code of a component is kept.
    pub fn code_path(&self, digest: Digest) -> PathBuf {
        self.cache.path(digest)
    }

    /// Where compiled code is kept.
    pub fn cache_dir(&self) -> &Path {
        &self.config.cache_dir
    }

    async fn validate(&self, wasm: Vec<u8>) -> Result<Shape, LoadError> {
        let (engine, max) = (self.shared.engine.clone(), self.config.max_component_bytes);
        blocking(move || inspect::validate(&wasm, max, &engine)).await?
    }

    async fn cached(&self, digest: Digest) -> Result<Option<Component>, LoadError> {
        let (cache, engine) = (Arc::clone(&self.cache), self.shared.engine.clone());
        blocking(move || cache.load(&engine, digest)).await
    }

    async fn compile(&self, digest: Digest, wasm: &[u8]) -> Result<Component, LoadError> {
        let _turn = self.compiling.lock().await;
        if let Some(component) = self.cached(digest).await? {
            return Ok(component);
        }
        let began = Instant::now();
        let code = self.config.compiler.compile(wasm.to_vec()).await?;
        let cache = Arc::clone(&self.cache);
        let code_bytes = code.len();
        blocking(move || cache.store(digest, &code)).await??;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        info!(plugin.digest = %digest, wasm_bytes = wasm.len(), code_bytes, took_ms, "compiled");
        self.cached(digest).await?.ok_or_else(|| {
            LoadError::Compiler("what it wrote does not load: is it the same version?".to_owned())
        })
    }

    /// Links, instantiates and asks for the manifest: linking alone checks no types.
    async fn prepare(
        &self,
        digest: Digest,
        shape: &Shape,
        component: &Component,
    ) -> Result<Plugin, LoadError> {
        let misfit = |error: wasmtime::Error| LoadError::Oversized(format!("{error:#}"));
        let pre = self.linker.instantiate_pre(component).map_err(misfit)?;
        let bindings = Bindings::new(&pre).map_err(misfit)?;
        let shared = Arc::clone(&self.shared);
        let wit_version = shape.wit_version.clone();
        let code = Arc::new(Code { shared, digest, wit_version, pre, bindings });
        let limits = self.config.limits;
        let manifest = code.describe(&limits).await.map_err(Box::new)?;
        let problems = check_manifest(&manifest, self.config.allow_local_hosts);
        if problems.is_empty() {
            Ok(Plugin::new(code, manifest, limits))
        } else {
            Err(LoadError::Manifest(problems))
        }
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("config", &self.config).finish_non_exhaustive()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LoadError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| LoadError::Engine(format!("a blocking task ended early: {error}")))
}
