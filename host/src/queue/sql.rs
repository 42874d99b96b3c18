//! Hands jobs out from the table itself: no other service, and limits that are exact across
//! processes, since they are read and spent in the transaction of the claim.

use super::{
    Handlers, QueueSpec, WorkerConfig,
    dispatcher::{Dispatcher, Place, Room, Settled, Taken},
    limits::{self, Controls, Cursors, Outlook},
    rate::{self, Rate},
    shares::{self, Lane, Turns},
};
use crate::{
    Result,
    store::{
        Tx,
        claims::{self, Lease},
        jobs::Claimed,
        lanes,
    },
};
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Claims jobs from the table.
pub struct SqlDispatcher {
    place: Place,
    handlers: Arc<dyn Handlers>,
    lease: Duration,
    /// How old what operators say may be.
    controls_age: Duration,
    controls: Controls,
    turns: HashMap<&'static str, (Turns, Cursors)>,
}

/// What a lane has spent of its rate before this claim.
struct Spending {
    rate: Rate,
    tat: Option<DateTime<Utc>>,
}

impl SqlDispatcher {
    pub fn new(place: Place, handlers: Arc<dyn Handlers>, config: &WorkerConfig) -> Self {
        SqlDispatcher {
            place,
            handlers,
            lease: config.lease,
            controls_age: config.poll_every,
            controls: Controls::default(),
            turns: HashMap::new(),
        }
    }

    async fn take_queue(&mut self, spec: QueueSpec, room: &Room, taken: &mut Taken) -> Result<()> {
        let free = room.free(spec);
        if free == 0 {
            return Ok(());
        }
        let now = self.place.clock.now();
        let (turns, cursors) = self.turns.entry(spec.name).or_default();
        let mut conn = self.place.store.read().await?;
        self.controls.refresh(&mut conn, spec.name, self.controls_age).await?;
        if self.controls.queue(spec.name).is_some_and(|control| control.paused) {
            return Ok(());
        }
        let mut outlook = limits::look(&mut conn, spec.name, &self.controls, cursors, now).await?;
        drop(conn);

        if !outlook.lanes.is_empty() {
            let mut tx = self.place.store.begin().await?;
            let free = match self.controls.queue(spec.name).and_then(|c| c.max_in_flight) {
                Some(_) => free.min(queue_credit(&mut tx, spec.name, now).await?),
                None => free,
            };
            let limits = Limits { handlers: &*self.handlers, controls: &self.controls, room, spec };
            let (lanes, spending) = limits.apply(&mut tx, &mut outlook, now).await?;
            let grants = shares::share(free, spec.concurrency, &lanes, turns, now);
            if !grants.is_empty() {
                let lease = Lease { owner: self.place.owner, until: now + self.lease };
                let jobs = claims::claim(&mut tx, spec.name, &grants, lease, now).await?;
                spend(&mut tx, spec.name, &spending, &jobs, now).await?;
                tx.commit().await?;
                taken.jobs.extend(jobs);
            }
        }
        taken.next_at = [taken.next_at, outlook.next_at].into_iter().flatten().min();
        Ok(())
    }
}

impl Dispatcher for SqlDispatcher {
    fn take<'a>(&'a mut self, room: &'a Room) -> BoxFuture<'a, Result<Taken>> {
        Box::pin(async move {
            let mut taken = Taken::default();
            for spec in room.specs() {
                let found = self.take_queue(*spec, room, &mut taken).await;
                // What other queues gave is claimed already and must be done.
                if let Err(err) = found {
                    if taken.jobs.is_empty() {
                        return Err(err);
                    }
                    tracing::warn!(queue = spec.name, "cannot take jobs: {err}");
                }
            }
            Ok(taken)
        })
    }

    fn ready(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.place.queue.wake.notified())
    }

    fn settle(&mut self, _: &[Settled]) {}

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// What the queue may start, by the limit over all processes.
async fn queue_credit(tx: &mut Tx, queue: &str, now: DateTime<Utc>) -> Result<usize> {
    let Some(limit) = lanes::lock_queue(tx, queue, now).await?.max_in_flight else {
        return Ok(usize::MAX);
    };
    let running = lanes::running(tx, queue, None).await?;
    Ok(usize::try_from(limit - running).unwrap_or(0))
}

/// What limits the lanes of one queue.
struct Limits<'a> {
    handlers: &'a dyn Handlers,
    controls: &'a Controls,
    room: &'a Room,
    spec: QueueSpec,
}

impl Limits<'_> {
    /// The lanes with what each may start. Those with a limit are held until the claim is done.
    async fn apply(
        &self,
        tx: &mut Tx,
        outlook: &mut Outlook,
        now: DateTime<Utc>,
    ) -> Result<(Vec<Lane>, HashMap<String, Spending>)> {
        let queue = self.spec.name;
        let (mut lanes, mut spending) = (Vec::new(), HashMap::new());
        for (name, waiting) in std::mem::take(&mut outlook.lanes) {
            let known = self.controls.lane(queue, &name);
            let is_limited = limits::rate(self.handlers, queue, &name, known).is_some()
                || known.is_some_and(|control| control.max_in_flight.is_some());
            let (mut credit, mut most) = (usize::MAX, self.spec.concurrency);
            if is_limited || known.is_some_and(|control| control.throttle < lanes::FULL) {
                let control = lanes::lock(tx, queue, &name, now).await?;
                let rate = limits::rate(self.handlers, queue, &name, Some(&control));
                most = limits::most(self.spec.concurrency, rate, Some(&control));
                if let Some(limit) = control.max_in_flight {
                    let running = lanes::running(tx, queue, Some(&name)).await?;
                    credit = usize::try_from(limit - running).unwrap_or(0);
                }
                if let Some(rate) = rate {
                    let allowed = rate::allowed(rate, control.tat, now);
                    credit = credit.min(allowed.jobs);
                    outlook.later(allowed.next_at);
                    spending.insert(name.clone(), Spending { rate, tat: control.tat });
                }
            }
            let busy = self.room.busy(self.spec, &name);
            lanes.push(Lane { name, waiting, credit, most, busy });
        }
        Ok((lanes, spending))
    }
}

/// Takes what was claimed out of the lanes' rates.
async fn spend(
    tx: &mut Tx,
    queue: &str,
    spending: &HashMap<String, Spending>,
    claimed: &[Claimed],
    now: DateTime<Utc>,
) -> Result<()> {
    for (lane, Spending { rate, tat }) in spending {
        let jobs = claimed.iter().filter(|job| job.lane == *lane).count();
        if jobs > 0 {
            lanes::spend(tx, queue, lane, rate::spent(*rate, *tat, jobs, now)).await?;
        }
    }
    Ok(())
}
