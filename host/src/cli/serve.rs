use super::{key, note};
use crate::{
    App, Clock, api, app,
    config::Config,
    jobs,
    queue::{Worker, WorkerConfig},
    store::{api_keys::Role, workspaces},
    telemetry,
};
use anyhow::Context;
use std::{process::ExitCode, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Serves until a signal asks to stop, then lets what is in flight come to its end.
pub(super) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    telemetry::init(&config.telemetry)?;
    let runtime = app::runtime(&config)?;
    let app = App::open(config, Clock::default(), runtime).await?;
    first_key(&app).await?;
    let stop = stop_on_signal()?;
    serve(app, stop).await?;
    Ok(ExitCode::SUCCESS)
}

/// The whole process: API and workers, until `stop`.
pub(super) async fn serve(app: App, stop: CancellationToken) -> anyhow::Result<()> {
    let address = app.config.listen_on();
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: is another process there? Set PORT")
    })?;
    let address = listener.local_addr()?;
    tracing::info!("listening on http://{address}");

    let tasks = TaskTracker::new();
    work(&app, &tasks, stop.clone());
    api::serve(app.clone(), listener, stop).await?;
    tasks.close();
    tasks.wait().await;
    app.store.close().await;
    Ok(())
}

/// Starts a worker for every queue; it drains once `stop` is cancelled.
pub(super) fn work(app: &App, tasks: &TaskTracker, stop: CancellationToken) {
    let config = WorkerConfig {
        drain_timeout: Duration::from_secs(app.config.workers.drain_timeout_seconds),
        ..WorkerConfig::default()
    };
    let handlers = Arc::new(jobs::Context::new(app.clone(), tasks));
    let (store, clock, queue) = (app.store.clone(), app.clock.clone(), app.queue.clone());
    tasks.spawn(Worker::embedded(config, store, clock, queue, handlers).run(stop));
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
    let key = key::create(&mut tx, &workspace, name, Role::Owner, true, None, now).await?;
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
