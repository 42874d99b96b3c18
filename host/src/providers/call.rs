//! One attempt at one query: steps and fetches, until the component is done, fails or pauses.
//!
//! **Invariant:** whatever a component does, the call ends: fetches are counted, every wait comes
//! out of the surface's deadline, and a step cannot outlast the limits of the runtime.
//!
//! **Invariant:** a paused call is nothing but its [`Checkpoint`]: any process that has the same
//! component can go on with it.

use super::{
    OwnCredentials, Providers, Route,
    credentials::Secrets,
    exchange::{Exchange, redacted},
    failure::{CallFailure, FailureClass},
    request::{NotSent, Rules},
    transport::{CallContext, Incoming, TransportFailure},
};
use aiv_runtime::{
    Digest, PluginError, StepReport,
    types::{
        Body, Cost, CostBasis, ErrorKind, Event, HttpRequest, HttpResponse, LogLine, Moment,
        Outcome, Query, Step, Surface, TransportError,
    },
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};
use tracing::Instrument;

/// A shorter pause would be a busy loop.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// What a step may wait for a free slot on top of its own limits.
const STEP_PATIENCE: Duration = Duration::from_mins(1);

/// Host limit, whatever the runtime allows: the state is stored with the job.
const MAX_STATE_BYTES: usize = 64 << 10;

/// What to do, and how often it was tried.
#[derive(Debug, Clone)]
pub struct CallRequest {
    pub begin: Begin,
    /// From 1.
    pub attempt: u16,
}

/// Where a call starts.
#[derive(Debug, Clone)]
pub enum Begin {
    /// From the beginning. The driver sets `now_unix`.
    Query(Box<Query>),
    /// After a pause.
    Resume(Checkpoint),
}

impl Begin {
    fn surface(&self) -> &str {
        match self {
            Self::Query(query) => &query.surface,
            Self::Resume(checkpoint) => &checkpoint.surface,
        }
    }
}

/// A call that waits, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The component that made `state`, and the only one that can read it.
    pub digest: Digest,
    #[serde(with = "base64_state")]
    pub state: Vec<u8>,
    pub surface: String,
    pub seed: u32,
    pub fetches: u32,
    /// Fetches that the vendor answered with success, and so may charge for.
    pub answered: u32,
    /// Used up of the deadline, pauses included.
    pub elapsed_ms: u64,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum CallEnd {
    Done(Outcome),
    Failed(CallFailure),
    /// Go on with `checkpoint` after `delay`.
    Paused {
        checkpoint: Checkpoint,
        delay: Duration,
    },
}

/// Everything there is to know about a call.
#[derive(Debug, Clone)]
pub struct CallReport {
    pub end: CallEnd,
    /// In order, redacted.
    pub exchanges: Vec<Exchange>,
    pub logs: Vec<LogLine>,
    pub stderr: String,
    /// Of the component's crash, innermost frame first.
    pub backtrace: Vec<String>,
    pub took: Duration,
    /// In this call and before its pauses.
    pub fetches: u32,
    pub digest: Digest,
}

impl Providers {
    /// Makes one attempt. Failures are part of the report.
    pub async fn call(&self, route: &Route, request: CallRequest) -> CallReport {
        self.call_with(route, request, &OwnCredentials::default()).await
    }

    /// As [`Providers::call`], with a workspace's own credentials before the installation's.
    pub async fn call_with(
        &self,
        route: &Route,
        request: CallRequest,
        own: &OwnCredentials,
    ) -> CallReport {
        let span = tracing::info_span!(
            "provider_call",
            provider = route.key(),
            digest = route.digest.short(),
            surface = request.begin.surface(),
            attempt = request.attempt,
        );
        Driver::new(self, route, &request, own).run(request.begin).instrument(span).await
    }

    /// Like [`Providers::call`], and waits through the pauses itself.
    pub async fn call_to_end(&self, route: &Route, request: CallRequest) -> CallReport {
        let attempt = request.attempt;
        let mut report = self.call(route, request).await;
        while let CallEnd::Paused { checkpoint, delay } = report.end {
            tokio::time::sleep(delay).await;
            let next = CallRequest { begin: Begin::Resume(checkpoint), attempt };
            let rest = self.call(route, next).await;
            report = CallReport {
                end: rest.end,
                exchanges: [report.exchanges, rest.exchanges].concat(),
                logs: [report.logs, rest.logs].concat(),
                stderr: report.stderr + &rest.stderr,
                backtrace: rest.backtrace,
                took: report.took + delay + rest.took,
                fetches: rest.fetches,
                digest: rest.digest,
            };
        }
        report
    }
}

struct Driver<'a> {
    providers: &'a Providers,
    route: &'a Route,
    secrets: Arc<Secrets>,
    started: Instant,
    context: CallContext,
    used_before: Duration,
    fetches: u32,
    answered: u32,
    exchanges: Vec<Exchange>,
    logs: Vec<LogLine>,
    stderr: String,
    backtrace: Vec<String>,
    /// Why the last fetch had no response: the component only knows the kind.
    last_failure: Option<TransportFailure>,
}

impl<'a> Driver<'a> {
    fn new(
        providers: &'a Providers,
        route: &'a Route,
        request: &CallRequest,
        own: &OwnCredentials,
    ) -> Self {
        let (seed, fetches, answered, elapsed_ms) = match &request.begin {
            Begin::Query(query) => (query.seed, 0, 0, 0),
            Begin::Resume(c) => (c.seed, c.fetches, c.answered, c.elapsed_ms),
        };
        Self {
            providers,
            route,
            secrets: providers.secrets(route, own),
            started: Instant::now(),
            context: CallContext { seed, attempt: request.attempt },
            used_before: Duration::from_millis(elapsed_ms),
            fetches,
            answered,
            exchanges: Vec::new(),
            logs: Vec::new(),
            stderr: String::new(),
            backtrace: Vec::new(),
            last_failure: None,
        }
    }

    async fn run(mut self, begin: Begin) -> CallReport {
        let surface = begin.surface().to_owned();
        let end = self
            .drive(begin)
            .await
            .unwrap_or_else(|failure| CallEnd::Failed(self.with_estimate(failure, &surface)));
        CallReport {
            end,
            exchanges: self.exchanges,
            logs: self.logs,
            stderr: self.stderr,
            backtrace: self.backtrace,
            took: self.started.elapsed(),
            fetches: self.fetches,
            digest: self.route.digest,
        }
    }

    async fn drive(&mut self, begin: Begin) -> Result<CallEnd, CallFailure> {
        let route = self.route;
        let surface_id = begin.surface().to_owned();
        let surface = route.surface(&surface_id).ok_or_else(|| {
            CallFailure::of_host(
                FailureClass::Policy,
                ErrorKind::InvalidRequest,
                format!("{} has no surface {surface_id}", route.key()),
            )
        })?;
        let mut step = match begin {
            Begin::Query(mut query) => {
                query.now_unix = self.now_unix();
                self.step(route.plugin.start(&query)).await?
            }
            Begin::Resume(checkpoint) if checkpoint.digest == route.digest => {
                self.resume(&checkpoint.state, &Event::Resumed).await?
            }
            Begin::Resume(checkpoint) => {
                let message = format!(
                    "the call was paused by component {}, which is not the one in service",
                    checkpoint.digest.short()
                );
                let kind = ErrorKind::UpstreamUnavailable;
                return Err(CallFailure::of_host(FailureClass::Policy, kind, message));
            }
        };
        loop {
            match step {
                Step::Fetch { state, request } => {
                    check_state(&state)?;
                    let event = self.fetch(&request, surface).await?;
                    let next = self.resume(&state, &event).await;
                    // Afterwards, and whatever came of it: what is large is moved and not copied.
                    if let Event::Response(response) = event {
                        let redactor = self.secrets.redactor();
                        self.exchanges.push(Exchange::answered(request, response, redactor));
                    }
                    step = next?;
                }
                Step::Pause { state, delay_ms } => {
                    check_state(&state)?;
                    let delay = Duration::from_millis(delay_ms.into()).max(SHORTEST_PAUSE);
                    if delay >= self.time_left(surface) {
                        return Err(too_late(surface));
                    }
                    let used = self.used_before + self.started.elapsed() + delay;
                    let checkpoint = Checkpoint {
                        digest: route.digest,
                        state,
                        surface: surface_id,
                        seed: self.context.seed,
                        fetches: self.fetches,
                        answered: self.answered,
                        elapsed_ms: millis(used).into(),
                    };
                    return Ok(CallEnd::Paused { checkpoint, delay });
                }
                Step::Done(outcome) => return Ok(CallEnd::Done(outcome)),
                Step::Failed(failure) => {
                    let mut failure = CallFailure::of_vendor(failure);
                    if let Some(cause) = self.last_failure.take() {
                        failure.message = format!("{} ({})", failure.message, cause.reason);
                        if cause.error == TransportError::RefusedByPolicy {
                            failure.class = FailureClass::Policy;
                        }
                    }
                    return Err(failure);
                }
            }
        }
    }

    async fn resume(&mut self, state: &[u8], event: &Event) -> Result<Step, CallFailure> {
        let moment = Moment { now_unix: self.now_unix(), seed: self.context.seed };
        self.step(self.route.plugin.resume(state, event, moment)).await
    }

    /// Waits for one step and keeps what the component said on the way.
    async fn step(
        &mut self,
        step: impl Future<Output = Result<StepReport, PluginError>>,
    ) -> Result<Step, CallFailure> {
        let result = timeout(STEP_PATIENCE, step).await.map_err(|_| {
            CallFailure::of_host(
                FailureClass::Deadline,
                ErrorKind::Timeout,
                "no free slot to run the component in",
            )
        })?;
        match result {
            Ok(report) => {
                self.logs.extend(report.logs);
                self.stderr += &report.stderr;
                Ok(report.step)
            }
            Err(err) => {
                tracing::warn!(backtrace = ?err.backtrace, "the component failed: {}", err.message);
                self.logs.extend(err.logs.iter().cloned());
                self.stderr += &err.stderr;
                self.backtrace.clone_from(&err.backtrace);
                Err(err.into())
            }
        }
    }

    async fn fetch(
        &mut self,
        request: &HttpRequest,
        surface: &Surface,
    ) -> Result<Event, CallFailure> {
        let granted = self.route.grant.max_fetches.unwrap_or(u32::MAX);
        let max_fetches = surface.max_fetches.min(granted);
        if self.fetches >= max_fetches {
            let message = format!("wants more than {max_fetches} fetches for one query");
            return Err(CallFailure::of_guest(FailureClass::Policy, message));
        }
        self.fetches += 1;
        let time_left = self.time_left(surface);
        if time_left.is_zero() {
            return Err(too_late(surface));
        }
        let begun = Instant::now();
        let sent = self.send(request, time_left).await?;
        let elapsed_ms = millis(begun.elapsed());
        Ok(match sent {
            Ok(incoming) => {
                tracing::debug!(status = incoming.status, elapsed_ms, "fetched");
                let response = self.response(incoming, elapsed_ms);
                self.answered += u32::from((200..300).contains(&response.status));
                self.last_failure = None;
                Event::Response(response)
            }
            Err(mut failure) => {
                let redactor = self.secrets.redactor();
                failure.reason = redactor.text(&failure.reason).into_owned();
                tracing::warn!(error = failure.error.as_str(), elapsed_ms, "{}", failure.reason);
                let request = request.clone();
                let exchange = Exchange::unanswered(request, &failure, elapsed_ms, redactor);
                self.exchanges.push(exchange);
                let event = Event::TransportError(failure.error);
                self.last_failure = Some(failure);
                event
            }
        })
    }

    /// The outer error ends the call; the inner one is the component's to judge.
    async fn send(
        &self,
        request: &HttpRequest,
        time_left: Duration,
    ) -> Result<Result<Incoming, TransportFailure>, CallFailure> {
        let rules = Rules {
            manifest: &self.route.manifest,
            grant: &self.route.grant,
            secrets: &self.secrets,
        };
        let outgoing = match rules.prepare(request, time_left, self.context) {
            Ok(outgoing) => outgoing,
            Err(NotSent::Refused(refusal)) => return Ok(Err(refusal)),
            Err(NotSent::MissingCredential { name, variable }) => {
                let message = format!(
                    "{} needs the credential {name}: set {variable}",
                    self.route.manifest.display_name
                );
                let class = FailureClass::Credential;
                return Err(CallFailure::of_host(class, ErrorKind::Auth, message));
            }
        };
        let patience = outgoing.timeout;
        Ok(timeout(patience, self.providers.transport().send(outgoing)).await.unwrap_or_else(
            |_| {
                let reason = format!("no response within {} ms", millis(patience));
                Err(TransportFailure::new(TransportError::Timeout, reason))
            },
        ))
    }

    /// What the component gets to see of a response.
    fn response(&self, incoming: Incoming, elapsed_ms: u32) -> HttpResponse {
        let redactor = self.secrets.redactor();
        let headers: Vec<_> = incoming
            .headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .filter(|(name, _)| name != "set-cookie")
            .map(|(name, value)| (name, redactor.owned(value)))
            .collect();
        let body = match Body::from_bytes(incoming.body) {
            Body::Binary(bytes) if declares_utf8(&headers) => {
                Body::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
            body => body,
        };
        HttpResponse {
            status: incoming.status,
            headers,
            body: redacted(body, redactor),
            elapsed_ms,
            received_at: self.now_unix(),
        }
    }

    fn now_unix(&self) -> f64 {
        self.providers.now_unix()
    }

    fn time_left(&self, surface: &Surface) -> Duration {
        let deadline = surface.deadline_ms.min(self.route.grant.max_deadline_ms);
        let used = self.used_before + self.started.elapsed();
        Duration::from_millis(deadline.into()).saturating_sub(used)
    }

    /// A vendor that answered charges for it, whatever became of the answer.
    fn with_estimate(&self, failure: CallFailure, surface: &str) -> CallFailure {
        if failure.spent.is_some() || failure.class == FailureClass::Failed || self.answered == 0 {
            return failure;
        }
        let typical = self.route.surface(surface).map(|surface| surface.typical_cost_micro_usd);
        let spent = typical.map(|micro_usd| Cost { micro_usd, basis: CostBasis::Estimated });
        CallFailure { spent, ..failure }
    }
}

fn check_state(state: &[u8]) -> Result<(), CallFailure> {
    if state.len() > MAX_STATE_BYTES {
        let message = format!("keeps a state of more than {MAX_STATE_BYTES} bytes");
        return Err(CallFailure::of_guest(FailureClass::Policy, message));
    }
    Ok(())
}

fn too_late(surface: &Surface) -> CallFailure {
    let message = format!("{} took longer than its deadline", surface.display_name);
    CallFailure::of_host(FailureClass::Deadline, ErrorKind::Timeout, message)
}

fn declares_utf8(headers: &[(String, String)]) -> bool {
    headers.iter().any(|(name, value)| {
        name == "content-type" && {
            let value = value.to_ascii_lowercase();
            value.contains("charset=utf-8") || value.contains("charset=\"utf-8\"")
        }
    })
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

mod base64_state {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(state: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(state))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}
