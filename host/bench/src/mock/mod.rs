//! Vendors that are played on this machine.
//!
//! | vendor | endpoints |
//! |---|---|
//! | perplexity | `POST /v1/agent`, `/v1/responses`, `/chat/completions`; `GET /v1/models` |
//! | serpapi | `GET /search.json` (`google`, `google_ai_overview`, `google_ai_mode`), `/account.json` |
//! | brave | `POST /res/v1/chat/completions`; `GET /res/v1/web/search`, `/res/v1/summarizer/search` |
//!
//! `/l/<milliseconds>` and `/fault/<kind>` before any of them order a latency and a fault for this
//! call. `POST /__control` orders them for all calls ([`Control`]), `GET /__stats` says what was
//! asked ([`Stats`]), `GET /__calls` says it for each prompt ([`PromptCalls`]; `?again` leaves out
//! what was asked once), `POST /__reset` forgets.
//!
//! **Invariant:** the same prompt gets the same body, on every machine. Bodies are made once, so a
//! call costs its HTTP and its latency.
//!
//! **Invariant:** faults are drawn from the prompt and the number of the call: a load that is
//! repeated meets them again, and trying again helps.
//!
//! **Invariant:** every call ends as exactly one of answered, faulted and abandoned; the last is one
//! whose caller went away.

mod bodies;
mod control;
mod dice;
mod material;
mod older_bodies;
mod question;
mod serve;
mod stats;

pub use self::{
    control::{Control, Fault, FaultKind},
    question::Vendor,
    stats::{PromptCalls, Stats, Tally},
};

use self::{bodies::Bodies, control::Orders, stats::Counters};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{net::TcpListener, task::JoinSet};

/// The running vendors; they go away when the last clone is dropped, and every open call with them.
#[derive(Clone)]
pub struct Mock {
    address: SocketAddr,
    house: Arc<House>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

/// What all connections share.
struct House {
    bodies: Bodies,
    orders: Mutex<Orders>,
    counters: Counters,
}

impl Mock {
    /// Starts to answer on a free port of loopback.
    pub async fn start() -> io::Result<Self> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts to answer on `address`.
    pub async fn listen(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let house = Arc::new(House {
            bodies: Bodies::default(),
            orders: Mutex::default(),
            counters: Counters::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&house)));
        Ok(Self { address, house, tasks: Arc::new(Mutex::new(tasks)) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `PROVIDER_MOCK_URL` is set to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What is ordered for the calls that come from now on.
    pub fn control(&self, control: Control) {
        self.house.order(control);
    }

    pub fn stats(&self) -> Stats {
        self.house.counters.stats()
    }

    /// Every prompt that was asked, with its vendor.
    pub fn calls(&self) -> Vec<PromptCalls> {
        self.house.counters.calls()
    }

    /// Forgets what was asked. Calls that are in flight count on.
    pub fn reset(&self) {
        self.house.counters.reset();
    }

    /// Waits for ever, as the task that accepts does.
    pub async fn run(self) {
        let mut tasks =
            std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.join_next().await;
    }
}

impl House {
    fn order(&self, control: Control) -> Control {
        let orders = Orders::new(control.clone());
        *self.orders.lock().unwrap_or_else(PoisonError::into_inner) = orders;
        control
    }

    fn ordered(&self) -> Control {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).control.clone()
    }
}

async fn accept(listener: TcpListener, house: Arc<House>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // An accept fails when files run out; whoever waits tries again.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        house.counters.connected();
        let house = Arc::clone(&house);
        connections.spawn(async move {
            let service =
                hyper::service::service_fn(move |request| serve::answer(house.clone(), request));
            // A connection that breaks is the caller's affair, or a fault that was ordered.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .pipeline_flush(true)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
