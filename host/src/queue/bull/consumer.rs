use super::{AWAY, BullConfig, parse};
use crate::{
    Result,
    ids::JobId,
    queue::{
        Dispatcher, Handlers, Outcome, Place, QueueSpec, Room, Settled, SqlDispatcher, Taken,
        WorkerConfig,
    },
    store::{
        claims::{self, Lease},
        dispatches, leaders,
    },
    telemetry::metrics,
};
use bullmq::{
    options::WorkerOptions,
    types::{KeepJobs, RemoveOnFinish},
};
use futures_util::future::BoxFuture;
use serde_json::json;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::Instant,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// Takes what BullMQ delivers.
pub struct BullDispatcher {
    place: Place,
    lease: Duration,
    delivered: mpsc::UnboundedReceiver<Delivery>,
    arrived: Arc<Notify>,
    /// Delivered, and not claimed yet because the table was away.
    waiting: Vec<Delivery>,
    /// Claimed, and not ended yet.
    claimed: HashMap<(JobId, i64), oneshot::Sender<Reply>>,
    /// Its consumers end with it, however it ends.
    closing: DropGuard,
    /// Claims from the table itself while Redis is away.
    table: SqlDispatcher,
    away: Away,
}

/// A name that BullMQ gave to a worker of this process.
struct Delivery {
    id: JobId,
    epoch: i64,
    reply: oneshot::Sender<Reply>,
}

/// What BullMQ is told about a delivery.
enum Reply {
    Ended(Outcome),
    /// Somebody else has or had the job under this name, or it has another one by now.
    OutOfDate,
    /// The process stops before anybody worked on it.
    HandedBack,
}

/// Whether Redis is away, as the relay says in the table.
struct Away {
    is: bool,
    looked_at: Option<Instant>,
}

/// Several deliveries wait so long for more, and are claimed in one statement.
const LINGER: Duration = Duration::from_millis(2);

/// How often a worker asks whether Redis is away.
const LOOK: Duration = Duration::from_secs(1);

impl BullDispatcher {
    /// Starts a BullMQ worker per queue, which connects as soon as Redis can be reached. Its tasks
    /// are waited for through `tasks`.
    pub fn start(
        bull: &BullConfig,
        config: &WorkerConfig,
        place: Place,
        handlers: Arc<dyn Handlers>,
        tasks: &TaskTracker,
    ) -> Self {
        let (sender, delivered) = mpsc::unbounded_channel();
        let (arrived, closing) = (Arc::new(Notify::new()), CancellationToken::new());
        for spec in handlers.queues() {
            let consumer = Consumer {
                bull: bull.clone(),
                spec,
                lease: config.lease,
                drain: config.drain_timeout,
                sender: sender.clone(),
                arrived: Arc::clone(&arrived),
                closing: closing.clone(),
            };
            tasks.spawn(consumer.run());
        }
        let table = SqlDispatcher::new(place.clone(), handlers, config);
        BullDispatcher {
            place,
            lease: config.lease,
            delivered,
            arrived,
            waiting: Vec::new(),
            claimed: HashMap::new(),
            closing: closing.drop_guard(),
            table,
            away: Away { is: false, looked_at: None },
        }
    }

    fn collect(&mut self) {
        while let Ok(delivery) = self.delivered.try_recv() {
            self.waiting.push(delivery);
        }
    }

    /// Claims what was delivered, as far as it is still to be had.
    async fn begin(&mut self) -> Result<Taken> {
        let now = self.place.clock.now();
        let names: Vec<_> = self.waiting.iter().map(|d| (d.id, d.epoch)).collect();
        let lease = Lease { owner: self.place.owner, until: now + self.lease };
        let mut tx = self.place.store.begin().await?;
        let jobs = claims::begin(&mut tx, &names, lease, now).await?;
        tx.commit().await?;

        let mut deliveries: HashMap<_, _> =
            self.waiting.drain(..).map(|d| ((d.id, d.epoch), d.reply)).collect();
        for job in &jobs {
            if let Some(reply) = deliveries.remove(&(job.id, job.epoch)) {
                self.claimed.insert((job.id, job.epoch), reply);
            }
        }
        metrics::fenced(deliveries.len());
        for reply in deliveries.into_values() {
            // A worker that stopped does not listen any more.
            let _ = reply.send(Reply::OutOfDate);
        }
        Ok(Taken { jobs, next_at: None })
    }

    /// What can be had while Redis is away.
    async fn take_from_table(&mut self, room: &Room) -> Result<Taken> {
        if self.away.looked_at.is_none_or(|at| at.elapsed() >= LOOK) {
            let mut conn = self.place.store.read().await?;
            let is = leaders::is_held(&mut conn, AWAY, self.place.clock.now()).await?;
            self.away = Away { is, looked_at: Some(Instant::now()) };
        }
        if self.away.is { self.table.take(room).await } else { Ok(Taken::default()) }
    }
}

impl Dispatcher for BullDispatcher {
    fn take<'a>(&'a mut self, room: &'a Room) -> BoxFuture<'a, Result<Taken>> {
        Box::pin(async move {
            self.collect();
            match self.waiting.len() {
                0 => self.take_from_table(room).await,
                1 => self.begin().await,
                _ => {
                    tokio::time::sleep(LINGER).await;
                    self.collect();
                    self.begin().await
                }
            }
        })
    }

    fn ready(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            tokio::select! {
                () = self.arrived.notified() => {}
                () = self.place.queue.wake.notified(), if self.away.is => {}
            }
        })
    }

    fn settle(&mut self, ended: &[Settled]) {
        for Settled { id, epoch, outcome, .. } in ended {
            // Nobody waits for what was claimed from the table itself.
            if let Some(reply) = self.claimed.remove(&(*id, *epoch)) {
                let _ = reply.send(Reply::Ended(*outcome));
            }
        }
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.closing.token().cancel();
            self.collect();
            let names: Vec<_> = self.waiting.iter().map(|d| (d.id, d.epoch)).collect();
            let taken_back = async {
                let mut tx = self.place.store.begin().await?;
                dispatches::take_back(&mut tx, &names).await?;
                tx.commit().await?;
                Result::<()>::Ok(())
            };
            if !names.is_empty()
                && let Err(err) = taken_back.await
            {
                tracing::warn!("cannot give jobs back, the reconciler will: {err}");
            }
            for delivery in self.waiting.drain(..) {
                let _ = delivery.reply.send(Reply::HandedBack);
            }
        })
    }
}

/// The BullMQ worker of one queue.
struct Consumer {
    bull: BullConfig,
    spec: QueueSpec,
    lease: Duration,
    drain: Duration,
    sender: mpsc::UnboundedSender<Delivery>,
    arrived: Arc<Notify>,
    closing: CancellationToken,
}

/// How long to wait before Redis is tried again.
const RECONNECT: Duration = Duration::from_secs(1);

impl Consumer {
    async fn run(self) {
        let Some(worker) = self.connect().await else { return };
        loop {
            tokio::select! {
                () = self.closing.cancelled() => break,
                // They are of no use here; unread, they would fill the memory.
                event = worker.next_event() => if event.is_none() { break },
            }
        }
        worker.pause();
        let patience = u64::try_from(self.drain.as_millis()).unwrap_or(u64::MAX);
        if let Err(err) = worker.close(patience).await {
            tracing::debug!(queue = self.spec.name, "the BullMQ worker ended badly: {err}");
        }
    }

    /// `None` when the process stops before Redis can be reached.
    async fn connect(&self) -> Option<bullmq::Worker> {
        let mut failures = 0_u32;
        loop {
            let (sender, arrived) = (self.sender.clone(), Arc::clone(&self.arrived));
            let processor = move |job: bullmq::Job, _| {
                let (sender, arrived) = (sender.clone(), Arc::clone(&arrived));
                async move { deliver(&job, &sender, &arrived).await }
            };
            let started = tokio::select! {
                () = self.closing.cancelled() => return None,
                started = bullmq::Worker::with_options(self.spec.name, processor, self.options()) => started,
            };
            match started {
                Ok(worker) => {
                    tracing::info!(queue = self.spec.name, "takes jobs from Redis");
                    return Some(worker);
                }
                Err(err) => {
                    failures += 1;
                    if failures.is_power_of_two() {
                        tracing::warn!(queue = self.spec.name, "cannot reach Redis: {err}");
                    }
                }
            }
            tokio::select! {
                () = self.closing.cancelled() => return None,
                () = tokio::time::sleep(RECONNECT) => {}
            }
        }
    }

    fn options(&self) -> WorkerOptions {
        let lock = u64::try_from(self.lease.as_millis()).unwrap_or(30_000);
        WorkerOptions {
            connection: self.bull.connection(),
            prefix: self.bull.prefix.clone(),
            concurrency: self.spec.concurrency,
            lock_duration: lock,
            stalled_interval: (lock / 3).max(1),
            // The table decides which job kills its workers.
            max_stalled_count: 10,
            run_retry_delay: 1_000,
            remove_on_complete: Some(keep(500)),
            remove_on_fail: Some(keep(5_000)),
            ..WorkerOptions::default()
        }
    }
}

fn keep(count: usize) -> RemoveOnFinish {
    RemoveOnFinish::Options(KeepJobs { count: Some(count), age: Some(3_600), limit: None })
}

/// Hands a job to the worker of this process and waits until it knows how it ended.
async fn deliver(
    job: &bullmq::Job,
    sender: &mpsc::UnboundedSender<Delivery>,
    arrived: &Notify,
) -> Result<serde_json::Value, bullmq::Error> {
    let Some((id, epoch)) = parse(job.id()) else {
        let text = "not a job of this platform: add jobs through its API".to_owned();
        return Err(bullmq::Error::Unrecoverable(text));
    };
    let (reply, ended) = oneshot::channel();
    let sent = sender.send(Delivery { id, epoch, reply });
    arrived.notify_one();
    let reply = match sent {
        Ok(()) => ended.await.unwrap_or(Reply::HandedBack),
        Err(_) => Reply::HandedBack,
    };
    match reply {
        Reply::Ended(Outcome::Dead) => {
            Err(bullmq::Error::Unrecoverable("see the job's errors in the platform".into()))
        }
        Reply::Ended(outcome) => Ok(json!({"outcome": outcome.label()})),
        Reply::OutOfDate => Ok(json!({"outcome": "out of date"})),
        Reply::HandedBack => Ok(json!({"outcome": "handed back"})),
    }
}
