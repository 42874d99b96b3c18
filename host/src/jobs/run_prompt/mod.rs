use super::{
    Context, Job,
    analysis::{Analysed, Place},
    call_log,
    run_reader::Found,
};
use crate::{
    Result,
    ids::{RunId, WorkspaceId},
    providers::{Begin, CallEnd, CallReport, CallRequest, Checkpoint, Route},
    queue::Ended,
    store::{
        Conn, batches,
        budgets::Want,
        citations::DomainNumbers,
        daily_counts::{self, Additions, Cell, PromptDay},
        engines::Engine,
        jobs::{Claimed, JobEnd, Priority},
        raw_payloads::RawPayload,
        run_writes::{self, Begun, Fetched},
        runs::{self, Attempt, Question},
        workspaces::{day_in, next_day},
    },
    telemetry::metrics,
};
use aiv_runtime::types::ErrorKind;
use anyhow::Context as _;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

mod call;
mod ends;

pub(super) use self::call::{outcome_cost, outcome_label, query, stored_call, stored_outcome};

/// Asks one prompt of one engine and keeps what it answered.
///
/// **Invariant:** the attempt row is written before the call is made: a repeat shows.
/// **Invariant:** a paid answer is not lost to what comes after it. It is stored with what was found
/// in it, in one transaction; where finding or writing that fails, it is stored by itself, and the
/// next try begins with it.
/// **Invariant:** a worker that dies costs at most the calls in flight. A job that lost one before,
/// or that waited for its answer, stores the answer before it looks at it: it would be a pity twice.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunPrompt {
    pub workspace: WorkspaceId,
    pub run: RunId,
}

impl RunPrompt {
    /// Fails the run of a job that nobody will try again, so that its batch can end.
    pub(super) async fn bury(&self, context: &Context, conn: &mut Conn, error: &str) -> Result<()> {
        let now = context.app.clock.now();
        let question = match runs::question(conn, self.workspace, self.run).await {
            Err(crate::Error::NotFound(_)) => return Ok(()),
            found => found?,
        };
        let Question { run, timezone, synthetic_workspace, .. } = question;
        let day = day_in(&timezone, now);
        if !runs::fail(conn, &run, "internal", error, day, now).await? {
            return Ok(());
        }
        if run.synthetic == synthetic_workspace {
            let cell = Cell { workspace: self.workspace, day, engine: run.engine.clone() };
            let mut additions = Additions::default();
            let failed = PromptDay { failed: 1, ..PromptDay::default() };
            additions.prompts.insert((cell, run.prompt_id), failed);
            daily_counts::add(conn, &additions, &DomainNumbers::new()).await?;
        }
        let batch = run.batch_id.map(|batch| (self.workspace, batch));
        batches::complete(conn, &batch.into_iter().collect(), now).await
    }
}

/// Where an answer's raw payload is.
#[derive(Clone)]
enum Raw {
    /// In the database, under this digest.
    Stored(Vec<u8>),
    /// Only here.
    New(Arc<RawPayload>),
}

/// How long a run waits whose budget runs low.
const PUT_OFF: TimeDelta = TimeDelta::minutes(15);

/// A run in the hands of this job.
struct Try<'a> {
    context: &'a Context,
    claimed: &'a Claimed,
    question: Question,
    engine: Engine,
    route: Arc<Route>,
}

impl Job for RunPrompt {
    const QUEUE: &'static str = "runPrompt";
    const MAX_ATTEMPTS: i64 = 5;

    async fn run(self, context: &Context, claimed: &Claimed) -> Result<Ended> {
        let app = &context.app;
        let Found { question, engine, last } =
            context.run_reader.find(self.workspace, self.run).await?;
        if question.run.finished_at.is_some() {
            return Ok(Ended::As(JobEnd::Succeeded));
        }
        let now = app.clock.now();

        let key = question.run.engine.clone();
        let skip = |reason: String| ends::skip(context, claimed, &question, reason);
        let Some(engine) = engine else {
            return skip(format!("engine {key} is not configured")).await;
        };
        if !engine.enabled {
            return skip(format!("engine {key} is disabled")).await;
        }
        if let Some(attention) = &engine.needs_attention {
            return skip(format!("engine {key} needs attention: {attention}")).await;
        }
        if question.run.synthetic != app.providers.is_synthetic() {
            let mode = if question.run.synthetic { "recordings" } else { "the vendors" };
            return skip(format!("made for {mode}, which this process does not ask")).await;
        }
        if let Some(until) = engine.paused_until.filter(|until| *until > now) {
            return Ok(Ended::As(JobEnd::Retry { run_at: until, counts: false, error: None }));
        }

        let limit = usize::try_from(engine.concurrency).unwrap_or(1).max(1);
        let _place = context.permits.acquire(self.workspace, &key, limit).await;
        // Chosen when its turn has come: what was taken out of service meanwhile asks nothing more.
        let Some(route) = route(context, &question, last.as_ref()).await? else {
            return skip(format!("no component for {key} is in service")).await;
        };
        if let Some(refusal) = route.refuses_research(&engine) {
            return skip(refusal).await;
        }
        Try { context, claimed, question, engine, route }.go_on(last.as_ref()).await
    }
}

/// The component that asks: the one that made the state of a call that waits, whatever is in
/// service since; else the one that is in service for this run.
async fn route(
    context: &Context,
    question: &Question,
    last: Option<&Attempt>,
) -> Result<Option<Arc<Route>>> {
    let app = &context.app;
    let Question { run, .. } = question;
    if let Some(checkpoint) = waiting(question, last)?
        && let Some(route) = app.registry.route_of(checkpoint.digest).await?
    {
        return Ok(Some(route));
    }
    let chosen = app.providers.choose(&run.engine, run.workspace_id, run.id);
    // What a canary could not read, the component that everybody gets may: the trial should cost
    // no run.
    let own_fault = [ErrorKind::MalformedResponse.as_str(), ErrorKind::InvalidRequest.as_str()];
    let failed_by = |route: &Route| {
        last.is_some_and(|last| {
            last.state == "failed"
                && last.error_kind.as_deref().is_some_and(|kind| own_fault.contains(&kind))
                && last.provider_digest == route.digest.as_bytes()
        })
    };
    Ok(match chosen {
        Some(route) if app.providers.is_canary(route.key(), route.digest) && failed_by(&route) => {
            app.providers.find(&run.engine).or(Some(route))
        }
        chosen => chosen,
    })
}

/// The call that waits, if the last attempt put one aside.
fn waiting(question: &Question, last: Option<&Attempt>) -> Result<Option<Checkpoint>> {
    let waits = last.is_some_and(|last| last.state == "waiting");
    let checkpoint = question.run.checkpoint.as_deref().filter(|_| waits);
    let checkpoint = checkpoint.map(serde_json::from_slice).transpose();
    Ok(checkpoint.context("read a waiting call")?)
}

impl Try<'_> {
    /// Goes on where the last attempt stopped.
    async fn go_on(&self, last: Option<&Attempt>) -> Result<Ended> {
        if let Some(last) = last
            && last.state == "fetched"
            && let Some(raw_digest) = &last.raw_digest
            && let Some(outcome) = self.stored_outcome(raw_digest).await?
        {
            let raw = Raw::Stored(raw_digest.clone());
            return self.keep(outcome, last.attempt, last.fetches, raw).await;
        }

        let (begin, attempt) = match (waiting(&self.question, last)?, last) {
            (Some(checkpoint), Some(last)) => (Begin::Resume(checkpoint), last.attempt),
            _ => (Begin::Query(Box::new(self.query()?)), self.question.run.attempts + 1),
        };
        let run = &self.question.run;
        let app = &self.context.app;
        // Before money is reserved: one that does not open ends the try.
        let own = app.credentials.of(run.workspace_id, &run.engine).await?;
        let resumes = matches!(begin, Begin::Resume(_));
        match self.context.run_writer.begin(self.wish(attempt, resumes)).await? {
            Begun::Started => {}
            Begun::Gone => return Ok(Ended::As(JobEnd::Cancelled)),
            Begun::PutOff => {
                metrics::budget_refused(&run.engine, "put_off");
                return Ok(Ended::As(self.put_off()));
            }
            Begun::Refused(why) => {
                metrics::budget_refused(&run.engine, "skipped");
                return ends::skip(self.context, self.claimed, &self.question, why).await;
            }
        }

        let number = u16::try_from(self.claimed.attempt).unwrap_or(u16::MAX);
        let request = CallRequest { begin, attempt: number };
        let report = app.providers.call_with(&self.route, request, &own).await;
        metrics::provider_call(&run.engine, call::outcome_label(&report.end), report.took);
        let call = call_log::Call {
            provider: self.route.key(),
            workspace: run.workspace_id,
            run: run.id,
            attempt,
        };
        self.context.call_log.note(&call, &report);
        self.report(report, attempt).await
    }

    fn wish(&self, attempt: i64, resumes: bool) -> run_writes::Begin {
        let Question { run, timezone, synthetic_workspace, .. } = &self.question;
        let surface = self.route.surface(&self.engine.surface);
        run_writes::Begin {
            run_number: run.number,
            provider_digest: self.route.digest.as_bytes().to_vec(),
            want: Want {
                run: run.id,
                attempt,
                workspace: run.workspace_id,
                engine: run.engine.clone(),
                day: day_in(timezone, self.context.app.clock.now()),
                micros: surface.map_or(0, |surface| i64::from(surface.typical_cost_micro_usd)),
                urgent: self.claimed.priority <= Priority::Demo.value(),
                synthetic: run.synthetic,
            },
            resumes,
            counts: run.synthetic == *synthetic_workspace,
        }
    }

    /// Later, but no later than the workspace's next day, which has a budget of its own.
    fn put_off(&self) -> JobEnd {
        let now = self.context.app.clock.now();
        let later = now + PUT_OFF;
        let run_at = next_day(&self.question.timezone, now).map_or(later, |day| day.min(later));
        JobEnd::Retry { run_at, counts: false, error: None }
    }

    async fn report(&self, report: CallReport, attempt: i64) -> Result<Ended> {
        let CallReport { end, exchanges, logs, stderr, fetches, .. } = report;
        let run = &self.question.run;
        for line in logs {
            tracing::debug!(run.id = %run.id, engine.name = run.engine, "{}", line.message);
        }
        if !stderr.is_empty() {
            tracing::warn!(run.id = %run.id, engine.name = run.engine, "component: {stderr}");
        }
        let fetches = i64::from(fetches);
        match end {
            CallEnd::Done(outcome) => {
                let raw = Arc::new(call::raw_payload(&exchanges, Some(&outcome))?);
                drop(exchanges);
                let waited = self.question.run.checkpoint.is_some();
                let raw = if waited || self.claimed.lost > 0 {
                    let cost = call::outcome_cost(&outcome).0;
                    self.store_raw(&raw, attempt, fetches, cost).await?;
                    Raw::Stored(raw.digest.clone())
                } else {
                    Raw::New(raw)
                };
                self.keep(outcome, attempt, fetches, raw).await
            }
            CallEnd::Paused { checkpoint, delay } => {
                self.wait(&checkpoint, delay, attempt, fetches).await
            }
            CallEnd::Failed(failure) => {
                let raw = (!exchanges.is_empty())
                    .then(|| call::raw_payload(&exchanges, None))
                    .transpose()?;
                self.fail(&failure, attempt, fetches, raw.map(Arc::new)).await
            }
        }
    }

    /// Stores an answer before anything is made of it.
    async fn store_raw(
        &self,
        raw: &Arc<RawPayload>,
        attempt: i64,
        fetches: i64,
        cost_micros: i64,
    ) -> Result<()> {
        let run = &self.question.run;
        self.context
            .run_writer
            .fetched(Fetched {
                run_number: run.number,
                workspace: run.workspace_id,
                attempt,
                fetches,
                cost_micros,
                raw: Arc::clone(raw),
            })
            .await
    }
}
