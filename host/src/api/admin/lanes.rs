use super::{
    Body, Caller, Operator, Problem, Tag, figures::Sample, queues::Pause, types::Timestamp,
};
use crate::{
    App, Error, Result,
    jobs::{self, operate},
    store::{
        lanes::FULL,
        queue_control::{self, LaneLimits},
    },
};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use std::collections::BTreeSet;

/// How paths call the lane of queues that have only one.
const DEFAULT: &str = "default";

/// What limits the jobs of a queue together: a provider, for runs.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[expect(clippy::struct_field_names, reason = "`lane` is what every answer calls it")]
pub(super) struct Lane {
    queue: String,
    /// Key of the provider; `default` in queues that have one lane only.
    lane: String,
    /// An operator holds it back.
    paused: bool,
    waiting: i64,
    delayed: i64,
    active: i64,
    /// Seconds that its oldest due job has waited.
    oldest_waiting_s: i64,
    /// Starts per minute that an operator allows; absent when the component's rate holds.
    per_minute: Option<i64>,
    /// Starts at once that an operator allows; absent when the component's burst holds.
    burst: Option<i64>,
    /// Jobs in flight at once over all processes; absent when unlimited.
    max_in_flight: Option<i64>,
    /// Starts per minute that the component states; absent when it states none.
    stated_per_minute: Option<f64>,
    stated_burst: Option<u32>,
    /// Share of the rate that is used, from 0 to 1: refusals lower it, peace brings it back.
    throttle: f64,
    /// A vendor asked to be left alone until then.
    blocked_until: Option<Timestamp>,
    /// Who said something last.
    updated_by: Option<String>,
    updated_at: Option<Timestamp>,
}

/// How much a lane may do; what is absent or `null` is left to the component.
#[derive(Object)]
struct NewLaneLimits {
    /// Starts per minute in the long run.
    #[oai(validator(minimum(value = "1"), maximum(value = "6000000")))]
    per_minute: Option<i64>,
    /// Starts at once before the rate applies.
    #[oai(validator(minimum(value = "1"), maximum(value = "100000")))]
    burst: Option<i64>,
    /// Jobs in flight at once over all processes.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000")))]
    max_in_flight: Option<i64>,
}

pub(in crate::api) struct Api(pub(super) Operator);

#[OpenApi(tag = "Tag::Operations")]
impl Api {
    /// Find a lane
    #[oai(path = "/admin/queues/:queue/lanes/:lane", method = "get", operation_id = "find_lane")]
    async fn find(
        &self,
        _caller: Caller,
        /// Name of the queue.
        queue: Path<String>,
        /// Key of the provider, or `default`.
        lane: Path<String>,
    ) -> Result<Json<Lane>, Problem> {
        self.show(operate::queue(&queue.0)?, &lane.0).await
    }

    /// Save the limits of a lane
    ///
    /// They hold over all processes, within a second or so.
    #[oai(path = "/admin/queues/:queue/lanes/:lane", method = "put", operation_id = "save_lane")]
    async fn save(
        &self,
        caller: Caller,
        /// Name of the queue.
        queue: Path<String>,
        /// Key of the provider, or `default`.
        lane: Path<String>,
        limits: Body<NewLaneLimits>,
    ) -> Result<Json<Lane>, Problem> {
        let (queue, lane) = self.known(&queue.0, &lane.0).await?;
        let NewLaneLimits { per_minute, burst, max_in_flight } = limits.0;
        let limits = LaneLimits { per_minute, burst, max_in_flight };
        let (actor, now) = (caller.operator(), self.0.app.clock.now());
        let mut tx = self.0.app.store.begin().await?;
        operate::limit_lane(&mut tx, (queue, &lane), limits, &actor, now).await?;
        tx.commit().await?;
        self.0.done().await;
        self.show(queue, &lane).await
    }

    /// Pause a lane
    ///
    /// Nobody takes jobs of it any more; those in flight end as usual. Pausing it again changes
    /// nothing.
    #[oai(
        path = "/admin/queues/:queue/lanes/:lane/pause",
        method = "post",
        operation_id = "pause_lane"
    )]
    async fn pause(
        &self,
        caller: Caller,
        /// Name of the queue.
        queue: Path<String>,
        /// Key of the provider, or `default`.
        lane: Path<String>,
    ) -> Result<Json<Pause>, Problem> {
        self.set_paused(&caller, &queue.0, &lane.0, true).await
    }

    /// Resume a lane
    ///
    /// Resuming one that is not paused changes nothing.
    #[oai(
        path = "/admin/queues/:queue/lanes/:lane/resume",
        method = "post",
        operation_id = "resume_lane"
    )]
    async fn resume(
        &self,
        caller: Caller,
        /// Name of the queue.
        queue: Path<String>,
        /// Key of the provider, or `default`.
        lane: Path<String>,
    ) -> Result<Json<Pause>, Problem> {
        self.set_paused(&caller, &queue.0, &lane.0, false).await
    }

    /// Unblock a lane
    ///
    /// Forgets what the vendor's refusals did: the lane goes on at once, at its whole rate.
    #[oai(
        path = "/admin/queues/:queue/lanes/:lane/unblock",
        method = "post",
        operation_id = "unblock_lane"
    )]
    async fn unblock(
        &self,
        caller: Caller,
        /// Name of the queue.
        queue: Path<String>,
        /// Key of the provider, or `default`.
        lane: Path<String>,
    ) -> Result<Json<Lane>, Problem> {
        let (queue, lane) = self.known(&queue.0, &lane.0).await?;
        let (actor, now) = (caller.operator(), self.0.app.clock.now());
        let mut tx = self.0.app.store.begin().await?;
        operate::unblock_lane(&mut tx, (queue, &lane), &actor, now).await?;
        tx.commit().await?;
        self.0.done().await;
        self.show(queue, &lane).await
    }
}

impl Api {
    async fn show(&self, queue: &'static str, lane: &str) -> Result<Json<Lane>, Problem> {
        let sample = self.0.figures.read(&self.0.app).await?;
        let lane = if lane.is_empty() { DEFAULT } else { lane };
        let found = lanes_of(&self.0.app, &sample, queue).into_iter().find(|row| row.lane == lane);
        Ok(Json(found.ok_or(Error::NotFound("lane"))?))
    }

    /// The lane of this name, when there is one: nothing is said about lanes that nobody walks.
    async fn known(&self, queue: &str, lane: &str) -> Result<(&'static str, String)> {
        let queue = operate::queue(queue)?;
        let lane = if lane == DEFAULT { "" } else { lane };
        let sample = self.0.figures.read(&self.0.app).await?;
        if names(&self.0.app, &sample, queue).contains(lane) {
            Ok((queue, lane.to_owned()))
        } else {
            Err(Error::NotFound("lane"))
        }
    }

    async fn set_paused(
        &self,
        caller: &Caller,
        queue: &str,
        lane: &str,
        paused: bool,
    ) -> Result<Json<Pause>, Problem> {
        let (queue, lane) = self.known(queue, lane).await?;
        let (actor, now) = (caller.operator(), self.0.app.clock.now());
        let mut tx = self.0.app.store.begin().await?;
        operate::pause_lane(&mut tx, (queue, &lane), paused, &actor, now).await?;
        let words = queue_control::lanes(&mut tx, Some(queue)).await?;
        tx.commit().await?;
        self.0.done().await;
        let word = words.into_iter().find(|word| word.control.lane == lane);
        let said = word.map(|word| (word.updated_by, word.updated_at));
        let shown = if lane.is_empty() { DEFAULT } else { &lane };
        Ok(Json(Pause::new(queue, Some(shown), paused, said)))
    }
}

/// Lanes that hold something, that something is said about, or that a provider has.
fn names(app: &App, sample: &Sample, queue: &str) -> BTreeSet<String> {
    let held = sample.lanes.iter().filter(|lane| lane.queue == queue).map(|lane| lane.lane.clone());
    let said = sample.lane_words.iter().map(|word| &word.control);
    let said = said.filter(|control| control.queue == queue).map(|control| control.lane.clone());
    let mut names: BTreeSet<_> = held.chain(said).collect();
    if queue == operate::QUEUES[0] {
        names.extend(app.providers.list().iter().map(|route| route.key().to_owned()));
    } else {
        names.insert(String::new());
    }
    names
}

/// Every lane of a queue, by name.
pub(super) fn lanes_of(app: &App, sample: &Sample, queue: &str) -> Vec<Lane> {
    let lane = |name: String| {
        let count = sample.lanes.iter().find(|lane| lane.queue == queue && lane.lane == name);
        let word = sample
            .lane_words
            .iter()
            .find(|word| word.control.queue == queue && word.control.lane == name);
        let control = word.map(|word| &word.control);
        let stated = jobs::stated_rate(app, queue, &name);
        let share = control.map_or(FULL, |control| control.throttle);
        Lane {
            queue: queue.into(),
            paused: control.is_some_and(|control| control.paused),
            waiting: count.map_or(0, |count| count.waiting),
            delayed: count.map_or(0, |count| count.delayed),
            active: count.map_or(0, |count| count.running),
            oldest_waiting_s: count.map_or(0, |count| sample.age(count)),
            per_minute: control.and_then(|control| control.per_minute),
            burst: control.and_then(|control| control.burst),
            max_in_flight: control.and_then(|control| control.max_in_flight),
            stated_per_minute: stated.map(|rate| rate.per_minute),
            stated_burst: stated.map(|rate| rate.burst),
            throttle: f64::from(i32::try_from(share).unwrap_or(0)) / 1000.0,
            blocked_until: control
                .and_then(|control| control.blocked_until)
                .filter(|until| *until > sample.at)
                .map(Into::into),
            updated_by: word.map(|word| word.updated_by.clone()),
            updated_at: word.map(|word| word.updated_at.into()),
            lane: if name.is_empty() { DEFAULT.into() } else { name },
        }
    };
    names(app, sample, queue).into_iter().map(lane).collect()
}
