//! Connections: accepted, limited, timed and drained by us.
//!
//! poem's own server has no time limit for the head of a request and spins when the process runs
//! out of file descriptors; hyper does the rest in both.

use super::endpoint;
use crate::{
    App, Clock, Result,
    store::{Store, idempotency},
    telemetry::metrics::{self, ConnectionOpen},
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use poem::{
    Endpoint, Request, Response,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A request's head has to be here within this time.
const HEAD: Duration = Duration::from_secs(10);
/// Bytes that the head of a request may have.
const HEAD_BYTES: usize = 64 * 1024;
/// After a failed accept: most often the process is out of file descriptors for a moment.
const BREATHE: Duration = Duration::from_millis(50);

/// Serves the API until `stop`, then lets the requests in flight end.
///
/// From `stop` on, `/readyz` says no. Connections are still accepted for
/// `SHUTDOWN_DELAY_SECONDS`, and those open may take `DRAIN_TIMEOUT_SECONDS` more.
///
/// Without `whole`, only the pages that say how the process is are served.
pub async fn serve(
    app: App,
    listener: TcpListener,
    whole: bool,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let settings = app.config.server.clone();
    let grace = Duration::from_secs(app.config.workers.drain_timeout_seconds);
    let store = (app.store.clone(), app.clock.clone());
    let endpoint = Arc::new(endpoint(app, whole, stop.clone())?);
    let local = listener.local_addr()?;

    let (tasks, upkeep) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(metrics::keep_up(upkeep.clone()));
    tasks.spawn(forget_requests(store.0, store.1, upkeep.clone()));
    let close = CancellationToken::new();
    tasks.spawn({
        let (close, delay) = (close.clone(), Duration::from_secs(settings.shutdown_delay_seconds));
        async move {
            stop.cancelled().await;
            tokio::time::sleep(delay).await;
            close.cancel();
        }
    });

    let hard = CancellationToken::new();
    let permits = Arc::new(Semaphore::new(settings.max_connections));
    loop {
        // Without a permit nothing is accepted: the kernel's backlog holds the rest.
        let permit = tokio::select! {
            permit = permits.clone().acquire_owned() => permit?,
            () = close.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = close.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(BREATHE).await;
                continue;
            }
        };
        let connection = Connection { local, peer, close: close.clone(), hard: hard.clone() };
        let endpoint = endpoint.clone();
        tasks.spawn(async move {
            let _permit = permit;
            connection.serve(stream, endpoint).await;
        });
    }
    drop(listener);
    upkeep.cancel();
    tasks.close();
    if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
        tracing::warn!("closing connections that did not end within {} s", grace.as_secs());
        hard.cancel();
        tasks.wait().await;
    }
    Ok(())
}

struct Connection {
    local: SocketAddr,
    peer: SocketAddr,
    /// Ends the connection once its requests are answered.
    close: CancellationToken,
    /// Ends it at once.
    hard: CancellationToken,
}

impl Connection {
    async fn serve(
        self,
        stream: TcpStream,
        endpoint: Arc<impl Endpoint<Output = Response> + 'static>,
    ) {
        let _open = ConnectionOpen::begin();
        let Connection { local, peer, close, hard } = self;
        // Answers are written whole: waiting for more to send only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("nodelay was refused: {error}");
        }
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let endpoint = endpoint.clone();
            async move {
                let request: Request =
                    (request, LocalAddr(local.into()), RemoteAddr(peer.into()), Scheme::HTTP)
                        .into();
                let response = match endpoint.call(request).await {
                    Ok(response) => response,
                    Err(error) => error.into_response(),
                };
                Ok::<hyper::Response<_>, Infallible>(response.into())
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Some(Duration::from_secs(20)))
            .keep_alive_timeout(Duration::from_secs(20))
            .max_concurrent_streams(100)
            .max_header_list_size(16 * 1024);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = close.cancelled() => None,
        };
        let ended = if let Some(ended) = ended {
            ended
        } else {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = hard.cancelled() => return,
            }
        };
        if let Err(error) = ended {
            tracing::debug!("a connection from {peer} ended early: {error}");
        }
    }
}

/// Forgets remembered requests when their time is over, until `stop`.
async fn forget_requests(store: Store, clock: Clock, stop: CancellationToken) {
    let mut every = tokio::time::interval(Duration::from_hours(1));
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        let forgotten = async {
            let mut tx = store.begin().await?;
            idempotency::purge(&mut tx, clock.now()).await?;
            tx.commit().await?;
            Result::<()>::Ok(())
        };
        if let Err(error) = forgotten.await {
            tracing::warn!("old requests are still remembered: {error}");
        }
    }
}
