use super::{key, note};
use crate::{
    App, Clock, api, app,
    config::Config,
    jobs::{self, schedules::Scheduler},
    queue::{
        BullConfig, BullDispatcher, Dispatcher, Handlers, Place, Presence, ProcessRole, Relay,
        SqlDispatcher, Worker, WorkerConfig,
    },
    redis,
    store::{api_keys, dispatches, hints::Listener, workspaces},
    telemetry,
};
use anyhow::Context;
use std::{convert::Infallible, process::ExitCode, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Serves the API, does the work behind it, or both.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// What this process is there for. Every role serves `/healthz`, `/readyz` and `/metrics`.
    #[arg(long, value_enum, default_value = "all")]
    role: ProcessRole,
}

impl Serve {
    /// Serves until a signal asks to stop, then lets what is in flight come to its end.
    pub(super) async fn run(self, config: Config) -> anyhow::Result<ExitCode> {
        telemetry::init(&config.telemetry)?;
        let runtime = app::runtime(&config)?;
        let app = App::open(config, Clock::default(), runtime).await?;
        if self.role.serves() {
            first_key(&app).await?;
        }
        let stop = stop_on_signal()?;
        serve(app, self.role, stop).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The whole process, as far as its role goes, until `stop`.
pub(super) async fn serve(
    app: App,
    role: ProcessRole,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let address = app.config.listen_on();
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: is another process there? Set PORT")
    })?;
    let address = listener.local_addr()?;
    tracing::info!(role = role.as_str(), "listening on http://{address}");

    let tasks = TaskTracker::new();
    // Processes that say that they live outlast the jobs that they finish.
    let (beating, beat) = (TaskTracker::new(), CancellationToken::new());
    let presence = Presence::new(role, app.config.workers.runs_at_once(), app.clock.now());
    // The clock follows the database's before anything is leased by it.
    presence.beat(&app.store, &app.clock).await.context("cannot say that this process lives")?;
    let (store, clock) = (app.store.clone(), app.clock.clone());
    beating.spawn(presence.clone().run(store, clock, beat.clone()));
    tasks.spawn(share_rates(app.clone(), presence.clone(), stop.clone()));
    tasks.spawn(stop.clone().run_until_cancelled_owned(check_redis(app.clone())));
    tasks.spawn(listen(app.clone(), stop.clone()));
    tasks.spawn(app.registry.clone().follow(presence.id(), stop.clone()));
    if app.config.providers.watch {
        tasks.spawn(app.registry.clone().watch(stop.clone()));
    }
    if role.works() {
        work(&app, &presence, &tasks, stop.clone()).await?;
    }
    if role.schedules() {
        tasks.spawn(Scheduler::new(app.clone(), presence.id()).run(stop.clone()));
    }
    api::serve(app.clone(), listener, role.serves(), stop).await?;
    tasks.close();
    tasks.wait().await;
    beat.cancel();
    beating.close();
    beating.wait().await;
    app.store.close().await;
    Ok(())
}

/// Says how many processes share the rates, for when Redis cannot.
async fn share_rates(app: App, presence: Presence, stop: CancellationToken) {
    loop {
        app.request_rates.set_instances(u32::try_from(presence.living()).unwrap_or(u32::MAX));
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(Duration::from_secs(10)) => {}
        }
    }
}

/// Waits for Redis and says what about it endangers jobs.
async fn check_redis(app: App) {
    let Some(server) = &app.redis else { return };
    let mut told = false;
    loop {
        match redis::check(server).await {
            Ok((version, findings)) => {
                tracing::info!("Redis {version} is connected");
                for finding in findings {
                    tracing::warn!("{}: {}", finding.name, finding.detail);
                }
                return;
            }
            Err(error) if !told => {
                tracing::warn!(
                    "Redis is away, the host works without it until it is back: {error}"
                );
                told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Starts a worker for every queue; it drains once `stop` is cancelled.
pub(super) async fn work(
    app: &App,
    presence: &Presence,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let workers = &app.config.workers;
    let config = WorkerConfig {
        drain_timeout: Duration::from_secs(workers.drain_timeout_seconds),
        auto_throttle: workers.auto_throttle_enabled,
        ..WorkerConfig::with_lease(Duration::from_secs(workers.lease_seconds.get().into()))
    };
    let handlers: Arc<dyn Handlers> = Arc::new(jobs::Context::new(app.clone(), tasks));
    let (store, clock, queue) = (app.store.clone(), app.clock.clone(), app.queue.clone());
    let owner = presence.id();
    let dispatcher: Box<dyn Dispatcher> = if let Some(url) = &app.config.redis.url {
        let bull = BullConfig {
            url: url.clone(),
            prefix: app.config.redis.bull_prefix.clone(),
            window: app.config.redis.window,
        };
        let relay = Relay::new(
            bull.clone(),
            store.clone(),
            clock.clone(),
            queue.clone(),
            Arc::clone(&handlers),
            presence,
        );
        tasks.spawn(relay.run(stop.clone()));
        let place = Place { store: store.clone(), clock: clock.clone(), queue, owner };
        Box::new(BullDispatcher::start(&bull, &config, place, Arc::clone(&handlers), tasks))
    } else {
        // What a broker had that is no longer there.
        let mut tx = store.begin().await?;
        for spec in handlers.queues() {
            dispatches::forget_all(&mut tx, spec.name).await?;
        }
        tx.commit().await?;
        let place = Place { store: store.clone(), clock: clock.clone(), queue, owner };
        Box::new(SqlDispatcher::new(place, Arc::clone(&handlers), &config))
    };
    let worker = Worker::new(config, store, clock, handlers, dispatcher, presence.clone());
    tasks.spawn(worker.run(stop));
    Ok(())
}

/// Passes on what other processes say about new work and other components.
async fn listen(app: App, stop: CancellationToken) {
    let heard = async {
        loop {
            let listened = async {
                let mut listener = Listener::start(&app.store).await?;
                loop {
                    let heard = listener.next().await?;
                    if heard.work {
                        app.queue.wake();
                    }
                    if heard.providers {
                        app.registry.wake();
                    }
                }
            };
            let Err(err): crate::Result<Infallible> = listened.await;
            tracing::debug!("does not hear of new work, looks for it instead: {err}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = heard => {}
    }
}

/// A fresh installation gets a workspace and a key, shown this one time.
async fn first_key(app: &App) -> anyhow::Result<()> {
    let mut tx = app.store.begin().await?;
    if workspaces::count(&mut tx).await? > 0 {
        return Ok(());
    }
    let now = app.clock.now();
    let workspace = key::first_workspace(&mut tx, app.providers.is_synthetic(), now).await?;
    let name = "first key".to_owned();
    let key =
        key::create(&mut tx, &workspace, name, api_keys::Role::Owner, true, None, now).await?;
    tx.commit().await?;
    note(format_args!(
        "\nThis is the first start. Your API key, shown only now:\n\n  export AIV_KEY={}\n",
        key.reveal()
    ));
    Ok(())
}

/// Cancelled by Ctrl-C or SIGTERM.
pub(super) fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};

    let stop = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let cancel = stop.clone();
    #[expect(
        clippy::disallowed_methods,
        reason = "waits for signals as long as the process lives"
    )]
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        cancel.cancel();
    });
    Ok(stop)
}
