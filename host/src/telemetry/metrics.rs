//! Every metric of the process: one function per event, called where the event happens.
//!
//! **Invariant:** label values come from closed sets (route patterns, queue names, keys of
//! installed providers), never from what a caller sent; no label names a workspace.

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Upper bounds in seconds. Without them the exporter writes summaries, which cannot be added up.
const REQUEST_SECONDS: [f64; 12] =
    [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0];
const WORK_SECONDS: [f64; 12] =
    [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0];

static EXPORTER: LazyLock<Option<PrometheusHandle>> = LazyLock::new(|| {
    let exporter = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Prefix("http_".into()), &REQUEST_SECONDS)
        .and_then(|builder| builder.set_buckets(&WORK_SECONDS))
        .and_then(PrometheusBuilder::install_recorder);
    match exporter {
        Ok(exporter) => {
            describe();
            Some(exporter)
        }
        Err(error) => {
            tracing::error!("metrics are off: {error}");
            None
        }
    }
});

/// Begins to count. What happens before is not counted.
pub fn install() {
    LazyLock::force(&EXPORTER);
}

/// All metrics in the Prometheus text format.
pub fn render() -> String {
    let Some(exporter) = &*EXPORTER else { return String::new() };
    exporter.run_upkeep();
    exporter.render()
}

/// Folds recorded durations into buckets until `stop`: without it they pile up between scrapes.
pub async fn keep_up(stop: CancellationToken) {
    let mut every = tokio::time::interval(Duration::from_secs(5));
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        if let Some(exporter) = &*EXPORTER {
            exporter.run_upkeep();
        }
    }
}

fn describe() {
    describe_counter!("http_requests_total", "Requests answered.");
    describe_histogram!("http_request_duration_seconds", Unit::Seconds, "Time to answer.");
    describe_gauge!("http_requests_in_flight", "Requests being answered.");
    describe_gauge!("http_connections_open", "Connections being served.");
    describe_counter!("queue_jobs_total", "Jobs that came to an end, by outcome.");
    describe_histogram!("queue_job_duration_seconds", Unit::Seconds, "Time a job ran.");
    describe_gauge!("queue_depth", "Jobs in a queue, by state.");
    describe_gauge!("queue_oldest_job_age_seconds", Unit::Seconds, "Age of the oldest due job.");
    describe_counter!("schedule_fires_total", "Slots of schedules, by what became of them.");
    describe_histogram!("schedule_lateness_seconds", Unit::Seconds, "From due to started.");
    describe_counter!("provider_api_calls_total", "Calls of providers, by outcome.");
    describe_histogram!("provider_api_call_duration_seconds", Unit::Seconds, "Time of a call.");
    describe_counter!("provider_cost_micros_total", "Money spent, in millionths of a US dollar.");
    describe_counter!("budget_refusals_total", "Calls that a budget did not allow, by effect.");
    describe_counter!("budget_reservations_swept_total", "Reservations whose run left them.");
    describe_counter!("plugin_swaps_total", "Components put in service or taken out of it.");
    describe_gauge!("database_connections_active", "Database connections in use.");
    describe_gauge!("database_connections_idle", "Database connections open and idle.");
    describe_gauge!("database_connections_max", "Database connections allowed.");
    describe_counter!("events_published_total", "Events published, by type.");
    describe_gauge!("sse_clients", "Streams of events that are open.");
    describe_counter!("webhook_deliveries_total", "Tries to deliver events, by outcome.");
    describe_gauge!("build_info", "1, labelled with the version that runs.");
    gauge!("build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// A request that is being answered, until it is dropped.
pub struct RequestInFlight(());

impl RequestInFlight {
    pub fn begin() -> Self {
        gauge!("http_requests_in_flight").increment(1.0);
        RequestInFlight(())
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        gauge!("http_requests_in_flight").decrement(1.0);
    }
}

/// A connection that is being served, until it is dropped.
pub struct ConnectionOpen(());

impl ConnectionOpen {
    pub fn begin() -> Self {
        gauge!("http_connections_open").increment(1.0);
        ConnectionOpen(())
    }
}

impl Drop for ConnectionOpen {
    fn drop(&mut self) {
        gauge!("http_connections_open").decrement(1.0);
    }
}

/// A stream of events that is open, until it is dropped.
pub struct StreamOpen(());

impl StreamOpen {
    pub fn begin() -> Self {
        gauge!("sse_clients").increment(1.0);
        StreamOpen(())
    }
}

impl Drop for StreamOpen {
    fn drop(&mut self) {
        gauge!("sse_clients").decrement(1.0);
    }
}

/// An event was published.
pub fn event_published(kind: &'static str) {
    counter!("events_published_total", "type" => kind).increment(1);
}

/// An event was sent to a webhook.
pub fn webhook_delivery(outcome: &'static str) {
    counter!("webhook_deliveries_total", "outcome" => outcome).increment(1);
}

/// A request was answered. `route` is the pattern, not the path.
pub fn http_request(method: &'static str, route: &'static str, status: u16, started: Instant) {
    let took = started.elapsed();
    counter!("http_requests_total", "method" => method, "route" => route,
             "status" => status.to_string())
    .increment(1);
    histogram!("http_request_duration_seconds", "method" => method, "route" => route)
        .record(took.as_secs_f64());
    let took_ms = millis(took);
    // Probes and scrapes come every few seconds and say nothing new.
    if matches!(route, "/healthz" | "/readyz" | "/metrics") {
        tracing::debug!(
            http.method = method,
            http.route = route,
            http.status = status,
            took_ms,
            "{method} {route}: {status} in {took_ms} ms"
        );
    } else {
        tracing::info!(
            http.method = method,
            http.route = route,
            http.status = status,
            took_ms,
            "{method} {route}: {status} in {took_ms} ms"
        );
    }
}

/// How long a job waited from when it was due until a worker took it.
pub fn job_waited(queue: &'static str, waited: Duration) {
    histogram!("queue_wait_seconds", "queue" => queue).record(waited.as_secs_f64());
}

/// A broker delivered jobs that somebody else has or had.
pub fn fenced(jobs: usize) {
    counter!("queue_fenced_total").increment(jobs as u64);
}

/// Jobs went to the broker.
pub fn dispatched(queue: &'static str, jobs: usize) {
    counter!("queue_dispatched_total", "queue" => queue).increment(jobs as u64);
}

/// Jobs that the broker lost go there again: `wiped`, `missing` or `finished`.
pub fn redispatched(reason: &'static str, jobs: u64) {
    if jobs > 0 {
        counter!("queue_redispatched_total", "reason" => reason).increment(jobs);
    }
}

/// Workers died or froze with jobs in their hands.
pub fn leases_expired(jobs: usize) {
    counter!("queue_leases_expired_total").increment(jobs as u64);
}

/// A try of a job came to an end: `completed`, `retried`, `dead`, `skipped`, or `lost` when it was
/// somebody else's by then.
pub fn job(queue: &str, outcome: &'static str, took: Duration) {
    counter!("queue_jobs_total", "queue" => queue.to_owned(), "outcome" => outcome).increment(1);
    histogram!("queue_job_duration_seconds", "queue" => queue.to_owned())
        .record(took.as_secs_f64());
    let took_ms = millis(took);
    tracing::debug!(
        job.queue = queue,
        job.outcome = outcome,
        took_ms,
        "job of {queue} {outcome} after {took_ms} ms"
    );
}

/// How many jobs a lane of a queue holds in one state.
pub fn queue_depth(queue: &str, lane: &str, state: &'static str, jobs: i64) {
    let depth = gauge!("queue_depth", "queue" => queue.to_owned(), "lane" => lane.to_owned(),
                       "state" => state);
    #[expect(clippy::cast_precision_loss, reason = "gauges are floats; 2⁵³ jobs are far away")]
    depth.set(jobs as f64);
}

/// How long the oldest due job of a queue has waited.
pub fn queue_age(queue: &str, oldest: Duration) {
    gauge!("queue_oldest_job_age_seconds", "queue" => queue.to_owned()).set(oldest.as_secs_f64());
}

/// Slots of a schedule were dealt with: `started`, `refused` or `missed`.
pub fn schedule_fire(outcome: &'static str, slots: i64, late: Duration) {
    let slots = u64::try_from(slots).unwrap_or_default();
    counter!("schedule_fires_total", "outcome" => outcome).increment(slots);
    if outcome == "started" {
        histogram!("schedule_lateness_seconds").record(late.as_secs_f64());
    }
}

/// A call of a provider ended: `ok`, `no_answer`, or the kind of its failure.
///
/// `provider` must be the key of an installed provider.
pub fn provider_call(provider: &str, outcome: &'static str, took: Duration) {
    counter!("provider_api_calls_total", "provider" => provider.to_owned(), "outcome" => outcome)
        .increment(1);
    histogram!("provider_api_call_duration_seconds", "provider" => provider.to_owned())
        .record(took.as_secs_f64());
    let took_ms = millis(took);
    tracing::debug!(
        provider.key = provider,
        call.outcome = outcome,
        took_ms,
        "{provider} answered {outcome} after {took_ms} ms"
    );
}

/// Money was spent at a provider, in millionths of a US dollar.
pub fn provider_cost(provider: &str, micros: u64) {
    counter!("provider_cost_micros_total", "provider" => provider.to_owned()).increment(micros);
}

/// A budget did not allow a call, which is `skipped` or `put_off`.
pub fn budget_refused(provider: &str, effect: &'static str) {
    counter!("budget_refusals_total", "provider" => provider.to_owned(), "effect" => effect)
        .increment(1);
}

/// Reservations were ended that their runs had left behind.
pub fn reservations_swept(count: usize) {
    counter!("budget_reservations_swept_total").increment(count as u64);
    tracing::warn!(reservations = count, "ended reservations that their runs had left behind");
}

/// A component was put in service or taken out of it.
pub fn plugin_swap(provider: &str, outcome: &'static str) {
    counter!("plugin_swaps_total", "provider" => provider.to_owned(), "outcome" => outcome)
        .increment(1);
    tracing::info!(
        provider.key = provider,
        swap.outcome = outcome,
        "component of {provider}: {outcome}"
    );
}

/// What the database pool is doing.
pub fn database(active: u32, idle: u32, max: u32) {
    gauge!("database_connections_active").set(active);
    gauge!("database_connections_idle").set(idle);
    gauge!("database_connections_max").set(max);
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
