//! How a try of a run comes to its end, and what is written then.

use super::{Analysed, Place, Raw, Try, call};
use crate::{
    Result,
    ids::LedgerEntryId,
    jobs::{Context, Job, RunPrompt},
    providers::{
        CallFailure, Checkpoint, FailureClass,
        retry::{self, Decision, Situation},
    },
    queue::{self, Ended},
    store::{
        answers,
        costs::LedgerEntry,
        daily_counts::{Additions, Cell, PromptDay},
        engines,
        events::{self, EventType, NewEvent},
        jobs::{Claimed, JobEnd},
        raw_payloads::RawPayload,
        run_writes::{AttemptEnd, End, RunEnd},
        runs::{Question, RunOutcome, RunState},
        workspaces::day_in,
    },
    telemetry::metrics,
};
use aiv_runtime::{
    Blame,
    types::{Answer, ErrorKind, Outcome},
};
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use serde_json::json;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

impl Try<'_> {
    /// Analyses an outcome and ends the run with it. Whatever goes wrong on the way, the outcome is
    /// stored before the error goes on.
    pub(super) async fn keep(
        &self,
        outcome: Outcome,
        attempt: i64,
        fetches: i64,
        raw: Raw,
    ) -> Result<Ended> {
        let cost = call::outcome_cost(&outcome).0;
        let kept = AssertUnwindSafe(self.analyse_and_end(outcome, attempt, fetches, raw.clone()));
        let kept = kept.catch_unwind().await;
        if !matches!(kept, Ok(Ok(_)))
            && let Raw::New(raw) = &raw
        {
            self.store_raw(raw, attempt, fetches, cost).await?;
        }
        kept.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    async fn analyse_and_end(
        &self,
        outcome: Outcome,
        attempt: i64,
        fetches: i64,
        raw: Raw,
    ) -> Result<Ended> {
        let now = self.context.app.clock.now();
        let run = &self.question.run;
        let (cost_micros, basis) = call::outcome_cost(&outcome);
        let mut end = self.end(JobEnd::Succeeded, RunState::Succeeded, now);
        let raw_digest = match raw {
            Raw::Stored(digest) => digest,
            Raw::New(raw) => {
                let digest = raw.digest.clone();
                end.raw = Some(raw);
                digest
            }
        };
        end.attempt = Some(AttemptEnd {
            attempt,
            state: "succeeded",
            fetches,
            cost_micros,
            error_kind: None,
            error_detail: None,
        });
        end.run.cost_micros = cost_micros;
        end.ledger = Some(self.ledger("settle", attempt, cost_micros, basis, now));
        let counts = run.synthetic == self.question.synthetic_workspace;
        match outcome {
            Outcome::Answered(answer) => {
                let found = match self.analyse(&answer, now).await? {
                    Ok(found) => found,
                    Err(text) => {
                        tracing::error!(run.id = %run.id, "analysis failed: {text}");
                        end.run.state = RunState::Failed;
                        end.run.error_kind = Some("analysis".into());
                        end.run.error_detail =
                            Some("the answer is stored, but could not be analysed".into());
                        return self.write(end).await;
                    }
                };
                end.run.outcome = Some(RunOutcome::Answer);
                end.answer = Some(answers::Answer {
                    run_number: run.number,
                    workspace_id: run.workspace_id,
                    passport: self.passport(&answer.meta)?.into(),
                    text: answer.text,
                    related: answer.related_questions.into(),
                    raw_digest,
                    analysis_version: aiv_analysis::ANALYSIS_VERSION.into(),
                    brands_version: self.question.brands_version,
                    created_at: now,
                });
                end.mentions = found.mentions;
                end.citations = found.citations;
                if counts {
                    end.additions = found.additions;
                }
            }
            Outcome::Absent(absent) => {
                end.run.outcome = Some(RunOutcome::NoAnswer);
                end.run.reason = Some(absent.reason.as_str().into());
                if counts {
                    end.additions = self.prompt_count(now, |day| day.no_answer = 1);
                }
            }
        }
        self.write(end).await
    }

    /// What the answer says, or the text of the panic that reading it ended in.
    async fn analyse(
        &self,
        answer: &Answer,
        now: DateTime<Utc>,
    ) -> Result<Result<Analysed, String>> {
        let run = &self.question.run;
        let store = &self.context.app.store;
        let analyzer = self
            .context
            .analyzers
            .find(store, run.workspace_id, self.question.brands_version)
            .await?;
        let place = Place {
            run_number: run.number,
            prompt: run.prompt_id,
            cell: self.cell(now),
            listed_is_visible: self
                .route
                .surface(&self.engine.surface)
                .is_some_and(|surface| surface.listed_is_visible),
        };
        let found = std::panic::catch_unwind(AssertUnwindSafe(|| analyzer.analyse(answer, &place)));
        Ok(found.map_err(|panic| {
            panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "panic".into())
        }))
    }

    /// Puts the call aside; whoever takes the job next goes on with it.
    pub(super) async fn wait(
        &self,
        checkpoint: &Checkpoint,
        delay: Duration,
        attempt: i64,
        fetches: i64,
    ) -> Result<Ended> {
        let now = self.context.app.clock.now();
        let run_at = now + delay;
        let retry = JobEnd::Retry { run_at, counts: false, error: None };
        let mut end = self.end(retry, RunState::Running, now);
        end.run.finished_at = None;
        end.run.day = None;
        end.run.checkpoint = Some(serde_json::to_vec(checkpoint).context("write a waiting call")?);
        end.attempt = Some(AttemptEnd {
            attempt,
            state: "waiting",
            fetches,
            cost_micros: 0,
            error_kind: None,
            error_detail: None,
        });
        self.write(end).await
    }

    pub(super) async fn fail(
        &self,
        failure: &CallFailure,
        attempt: i64,
        fetches: i64,
        raw: Option<Arc<RawPayload>>,
    ) -> Result<Ended> {
        let app = &self.context.app;
        let now = app.clock.now();
        let run = &self.question.run;
        let waited = (now - run.started_at.unwrap_or(now)).to_std().unwrap_or_default();
        let tried = u16::try_from(self.claimed.attempt).unwrap_or(u16::MAX);
        let max_attempts = app.config.providers.max_attempts;
        let situation = Situation::of(failure, tried, max_attempts, waited, rand::random());
        let decision = match retry::decide(&situation) {
            // The component that everybody gets has not had its try.
            Decision::Fail
                if failure.blame == Blame::Guest
                    && tried < max_attempts
                    && app.providers.is_canary(self.route.key(), self.route.digest) =>
            {
                Decision::Retry { after: Duration::from_secs(1), counts_as_attempt: true }
            }
            decision => decision,
        };
        tracing::warn!(
            run.id = %run.id,
            engine.name = run.engine,
            attempt,
            kind = failure.kind.as_str(),
            class = failure.class.as_str(),
            "call failed: {}",
            failure.message
        );

        let cost = failure.spent.as_ref().map_or(0, |cost| i64::from(cost.micro_usd));
        let (job_end, state) = match decision {
            Decision::Retry { after, counts_as_attempt } => (
                JobEnd::Retry {
                    run_at: now + after,
                    counts: counts_as_attempt,
                    error: Some(failure.message.clone()),
                },
                RunState::Queued,
            ),
            Decision::Fail | Decision::FailAndPauseEngine { .. } => {
                (JobEnd::Dead { error: failure.message.clone() }, RunState::Failed)
            }
        };
        let mut end = self.end(job_end, state, now);
        end.run.error_kind = Some(failure.kind.as_str().into());
        end.run.error_detail = Some(failure.message.clone());
        end.run.cost_micros = cost;
        end.raw = raw;
        end.attempt = Some(AttemptEnd {
            attempt,
            state: "failed",
            fetches,
            cost_micros: cost,
            error_kind: end.run.error_kind.clone(),
            error_detail: end.run.error_detail.clone(),
        });
        end.ledger = Some(match &failure.spent {
            Some(spent) => self.ledger("settle", attempt, cost, spent.basis.as_str(), now),
            None => self.ledger("release", attempt, 0, "estimated", now),
        });
        if state == RunState::Queued {
            end.run.finished_at = None;
            end.run.day = None;
        } else if run.synthetic == self.question.synthetic_workspace {
            end.additions = self.prompt_count(now, |day| day.failed = 1);
        }
        let ended = self.write(end).await?;
        if failure.kind == ErrorKind::RateLimited {
            let hint = failure.retry_after_ms.map(|ms| Duration::from_millis(ms.into()));
            let lane = (RunPrompt::QUEUE, run.engine.as_str());
            app.queue.refused(&app.store, lane, hint, now).await?;
        }

        // A credential that is not set is fixed by setting it: the engine itself is fine.
        if let Decision::FailAndPauseEngine { pause } = decision
            && failure.class != FailureClass::Credential
        {
            let mut tx = app.store.begin().await?;
            if let Some(pause) = pause {
                engines::pause(&mut tx, run.workspace_id, &run.engine, now + pause).await?;
            } else {
                let text = format!("{}: {}", failure.kind.as_str(), failure.message);
                if engines::mark(&mut tx, run.workspace_id, &run.engine, &text, now).await? {
                    let data = json!({"engine": run.engine, "reason": text});
                    let kind = EventType::EngineNeedsAttention;
                    let event = NewEvent::new(run.workspace_id, kind, run.engine.clone(), data);
                    events::insert(&mut tx, &[event], now).await?;
                }
            }
            tx.commit().await?;
        }
        Ok(ended)
    }

    async fn write(&self, end: End) -> Result<Ended> {
        let id = end.run.id;
        let paid = end.ledger.as_ref().and_then(|line| u64::try_from(line.micros).ok());
        let outcome = queue::Outcome::of(&end.job_end);
        if !self.context.run_writer.end(self.claimed.owner, end).await? {
            tracing::warn!(run.id = %id, "lost the lease of a run: its result is dropped");
            return Ok(Ended::Written(queue::Outcome::Lost));
        }
        if let Some(micros) = paid {
            metrics::provider_cost(&self.question.run.engine, micros);
        }
        Ok(Ended::Written(outcome))
    }

    fn end(&self, job_end: JobEnd, state: RunState, now: DateTime<Utc>) -> End {
        new_end(self.claimed, &self.question, job_end, state, now)
    }

    fn cell(&self, now: DateTime<Utc>) -> Cell {
        Cell {
            workspace: self.question.run.workspace_id,
            day: day_in(&self.question.timezone, now),
            engine: self.question.run.engine.clone(),
        }
    }

    fn prompt_count(&self, now: DateTime<Utc>, set: impl FnOnce(&mut PromptDay)) -> Additions {
        let mut day = PromptDay::default();
        set(&mut day);
        let mut additions = Additions::default();
        additions.prompts.insert((self.cell(now), self.question.run.prompt_id), day);
        additions
    }

    fn ledger(
        &self,
        kind: &'static str,
        attempt: i64,
        micros: i64,
        basis: &'static str,
        now: DateTime<Utc>,
    ) -> LedgerEntry {
        let run = &self.question.run;
        LedgerEntry {
            id: LedgerEntryId::generate(),
            workspace_id: run.workspace_id,
            run_id: run.id,
            attempt,
            kind: kind.into(),
            engine: run.engine.clone(),
            micros,
            basis: basis.into(),
            synthetic: run.synthetic,
            day: day_in(&self.question.timezone, now),
            created_at: now,
        }
    }
}

/// Ends a run that is not asked.
pub(super) async fn skip(
    context: &Context,
    claimed: &Claimed,
    question: &Question,
    reason: String,
) -> Result<Ended> {
    let now = context.app.clock.now();
    let mut end = new_end(claimed, question, JobEnd::Cancelled, RunState::Skipped, now);
    end.run.reason = Some(reason);
    let written = context.run_writer.end(claimed.owner, end).await?;
    let outcome = if written { queue::Outcome::Cancelled } else { queue::Outcome::Lost };
    Ok(Ended::Written(outcome))
}

fn new_end(
    claimed: &Claimed,
    question: &Question,
    job_end: JobEnd,
    state: RunState,
    now: DateTime<Utc>,
) -> End {
    let run = &question.run;
    End {
        job: claimed.id,
        epoch: claimed.epoch,
        job_end,
        run: RunEnd {
            number: run.number,
            workspace: run.workspace_id,
            id: run.id,
            batch: run.batch_id,
            state,
            outcome: None,
            reason: None,
            error_kind: None,
            error_detail: None,
            cost_micros: 0,
            day: Some(day_in(&question.timezone, now)),
            checkpoint: None,
            finished_at: Some(now),
        },
        attempt: None,
        raw: None,
        ledger: None,
        answer: None,
        mentions: vec![],
        citations: vec![],
        additions: Additions::default(),
    }
}
