//! A loaded component, and its steps.
//!
//! **Invariant:** each call runs in an instance of its own, which is gone afterwards. Nothing a
//! guest does in one step can be seen in the next but the state it handed over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use semver::Version;
use wasmtime::Store;
use wasmtime::component::InstancePre;

use crate::abi::{Bindings, Call, Reply};
use crate::digest::Digest;
use crate::error::{Class, Export, PluginError};
use crate::fault::Fault;
use crate::guest::Guest;
use crate::limits::Limits;
use crate::meter::Meter;
use crate::policy;
use crate::shared::Shared;
use crate::types::{Event, HttpRequest, LogLine, Manifest, Moment, Query, Step};

/// A component that is ready to run; cheap to clone.
#[derive(Clone)]
pub struct Plugin {
    code: Arc<Code>,
    manifest: Arc<Manifest>,
    limits: Limits,
}

/// What a step asked for, and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    pub step: Step,
    pub logs: Vec<LogLine>,
    /// Lines that were logged beyond the limit.
    pub dropped_logs: u32,
    /// The beginning of what the guest wrote to stderr.
    pub stderr: String,
    /// Time on the wall, not counting the wait for a free slot.
    pub took: Duration,
    /// CPU time.
    pub cpu: Duration,
    /// Largest sum of the guest's memories, in bytes.
    pub peak_memory: usize,
}

impl Plugin {
    pub(crate) fn new(code: Arc<Code>, manifest: Manifest, limits: Limits) -> Self {
        Self { code, manifest: Arc::new(manifest), limits }
    }

    /// What identifies the component.
    pub fn digest(&self) -> Digest {
        self.code.digest
    }

    /// What the component says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Version of the interface it was built for.
    pub fn wit_version(&self) -> String {
        self.code.wit_version.to_string()
    }

    /// What each of its steps may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The same code under other limits.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        Self { limits, ..self.clone() }
    }

    /// The first step of a query.
    pub async fn start(&self, query: &Query) -> Result<StepReport, PluginError> {
        self.step(Call::Start(query), Moment::of_query(query)).await
    }

    /// The step after an event. The moment is the host's clock and the query's seed; a response
    /// brings its own time.
    pub async fn resume(
        &self,
        state: &[u8],
        event: &Event,
        moment: Moment,
    ) -> Result<StepReport, PluginError> {
        self.step(Call::Resume(state, event), moment.at_event(event)).await
    }

    /// A free request that proves that the credential works, if the vendor has one.
    pub async fn health_check(
        &self,
        config: &str,
        moment: Moment,
    ) -> Result<Option<HttpRequest>, PluginError> {
        let call = Call::HealthCheck(config);
        let done = self.code.run(call, moment, &self.limits).await?;
        let Reply::HealthCheck(request) = done.reply else {
            return Err(done.mismatch(self.digest()));
        };
        if let Some(request) = &request {
            let Limits { step, .. } = &self.limits;
            let local = self.code.shared.allow_local_hosts;
            policy::check_request(request, &self.manifest, step, local).map_err(|broken| {
                done.usage.error(self.digest(), call.export(), Fault::guest(Class::Policy, broken))
            })?;
        }
        Ok(request)
    }

    async fn step(&self, call: Call<'_>, moment: Moment) -> Result<StepReport, PluginError> {
        let done = self.code.run(call, moment, &self.limits).await?;
        let Reply::Step(step) = done.reply else {
            return Err(done.mismatch(self.digest()));
        };
        let local = self.code.shared.allow_local_hosts;
        match policy::check_step(&step, &self.manifest, &self.limits.step, local) {
            Ok(()) => {
                let Usage { logs, dropped_logs, stderr, took, cpu, peak_memory } = done.usage;
                Ok(StepReport { step, logs, dropped_logs, stderr, took, cpu, peak_memory })
            }
            Err(broken) => {
                let fault = Fault::guest(Class::Policy, broken);
                Err(done.usage.error(self.digest(), call.export(), fault))
            }
        }
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (key, version) = (&self.manifest.key, &self.manifest.version);
        write!(f, "Plugin({key} {version}, {})", self.digest().short())
    }
}

/// Linked machine code, ready to be instantiated.
pub(crate) struct Code {
    pub(crate) shared: Arc<Shared>,
    pub(crate) digest: Digest,
    pub(crate) wit_version: Version,
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) bindings: Bindings,
}

impl Code {
    /// Asks the component to describe itself.
    pub(crate) async fn describe(&self, limits: &Limits) -> Result<Manifest, PluginError> {
        let nowhen = Moment { now_unix: 0.0, seed: 0 };
        let done = self.run(Call::Describe, nowhen, limits).await?;
        match done.reply {
            Reply::Manifest(manifest) => Ok(manifest),
            Reply::HealthCheck(_) | Reply::Step(_) => Err(done.mismatch(self.digest)),
        }
    }

    /// One call in a fresh instance.
    async fn run(
        &self,
        call: Call<'_>,
        moment: Moment,
        limits: &Limits,
    ) -> Result<Done, PluginError> {
        let export = call.export();
        let Ok(_permit) = self.shared.gate.acquire().await else {
            let fault = Fault::host("the runtime is shutting down");
            return Err(Usage::default().error(self.digest, export, fault));
        };
        let _running = self.shared.ticker.run();
        let began = Instant::now();
        let meter = Arc::new(Meter::default());
        let mut store = Guest::store(&self.shared, limits, moment, &meter);
        let call = meter.charge(self.call(&mut store, call));
        let result = tokio::time::timeout(limits.wall, call).await;
        let result = match result {
            Ok(result) => result.map_err(Fault::from),
            Err(_) => Err(Fault::slept(limits.wall, meter.total())),
        };
        let usage = Usage::of(store.into_data(), began.elapsed(), meter.total());
        match result {
            Ok(reply) => Ok(Done { reply, usage, export }),
            Err(fault) => {
                let fault = fault.with_panic(&usage.stderr);
                Err(usage.error(self.digest, export, fault))
            }
        }
    }

    async fn call(&self, store: &mut Store<Guest>, call: Call<'_>) -> wasmtime::Result<Reply> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        self.bindings.call(store, &instance, call).await
    }
}

/// A call that returned.
struct Done {
    reply: Reply,
    usage: Usage,
    export: Export,
}

impl Done {
    /// The bindings answered another question than was asked.
    fn mismatch(self, digest: Digest) -> PluginError {
        self.usage.error(digest, self.export, Fault::host("the bindings mixed up two exports"))
    }
}

/// What a call left behind.
#[derive(Default)]
struct Usage {
    logs: Vec<LogLine>,
    dropped_logs: u32,
    stderr: String,
    took: Duration,
    cpu: Duration,
    peak_memory: usize,
}

impl Usage {
    fn of(guest: Guest, took: Duration, cpu: Duration) -> Self {
        Self {
            stderr: guest.stderr.text(),
            logs: guest.log.lines,
            dropped_logs: guest.log.dropped,
            took,
            cpu,
            peak_memory: guest.account.peak_memory,
        }
    }

    fn error(self, digest: Digest, export: Export, fault: Fault) -> PluginError {
        let Fault { blame, class, message, backtrace } = fault;
        let Self { logs, stderr, .. } = self;
        PluginError { blame, class, digest, export, message, backtrace, stderr, logs }
    }
}
