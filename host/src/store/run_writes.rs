//! What happens to runs, written for many of them at once.
//!
//! A statement per run costs twice as much as one statement for a hundred, so the worker hands
//! its writes to `jobs::run_writer`, which brings whatever is waiting here in one transaction.
//!
//! **Invariant:** an end counts only when the job is still the worker's (`jobs::end`): what a
//! worker says after it lost its lease leaves no row.

use super::{
    Conn, answers, batches, citations, costs,
    daily_counts::{self, Additions},
    jobs::{self, JobEnd},
    mentions, on_db,
    raw_payloads::{self, RawPayload},
    runs::{RunOutcome, RunState},
};
use crate::{
    Result,
    ids::{BatchId, JobId, ProcessId, RunId, WorkspaceId},
};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::QueryBuilder;
use std::collections::{BTreeSet, HashSet};

/// A call is about to be made.
#[derive(Debug, Clone)]
pub struct Begin {
    pub run_number: i64,
    pub workspace: WorkspaceId,
    pub attempt: i64,
    pub provider_digest: Vec<u8>,
}

/// A call was made; its answer waits for analysis.
#[derive(Debug, Clone)]
pub struct Fetched {
    pub run_number: i64,
    pub workspace: WorkspaceId,
    pub attempt: i64,
    pub fetches: i64,
    pub cost_micros: i64,
    pub raw: RawPayload,
}

/// A try is over: the run ended, waits or will be tried again.
#[derive(Debug, Clone)]
pub struct End {
    pub job: JobId,
    pub epoch: i64,
    pub job_end: JobEnd,
    pub run: RunEnd,
    /// The call it made, if it made one.
    pub attempt: Option<AttemptEnd>,
    /// What the vendor sent, when it is not stored yet.
    pub raw: Option<RawPayload>,
    pub ledger: Option<costs::LedgerEntry>,
    pub answer: Option<answers::Answer>,
    pub mentions: Vec<mentions::Mention>,
    pub citations: Vec<citations::NewCitation>,
    pub additions: Additions,
}

/// What becomes of the run row.
#[derive(Debug, Clone)]
pub struct RunEnd {
    pub number: i64,
    pub workspace: WorkspaceId,
    pub id: RunId,
    pub batch: Option<BatchId>,
    pub state: RunState,
    pub outcome: Option<RunOutcome>,
    pub reason: Option<String>,
    pub error_kind: Option<String>,
    pub error_detail: Option<String>,
    /// Added to what earlier attempts cost.
    pub cost_micros: i64,
    pub day: Option<NaiveDate>,
    pub checkpoint: Option<Vec<u8>>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// What becomes of the attempt row.
#[derive(Debug, Clone)]
pub struct AttemptEnd {
    pub attempt: i64,
    /// waiting | succeeded | failed
    pub state: &'static str,
    pub fetches: i64,
    pub cost_micros: i64,
    pub error_kind: Option<String>,
    pub error_detail: Option<String>,
}

/// Notes the calls that are about to be made. Returns the runs that may make them: a run that was
/// cancelled meanwhile is not among them.
pub async fn begin(conn: &mut Conn, begins: &[&Begin], now: DateTime<Utc>) -> Result<HashSet<i64>> {
    if begins.is_empty() {
        return Ok(HashSet::new());
    }
    let started: Vec<i64> = on_db!(conn, |c| {
        let mut sql = QueryBuilder::new(
            "UPDATE runs SET state = 'running', attempts = v.column2, provider_digest = v.column3,
                             started_at = COALESCE(started_at, v.column4)
             FROM (",
        );
        sql.push_values(begins, |mut row, begin| {
            row.push_bind(begin.run_number)
                .push_bind(begin.attempt)
                .push_bind(&begin.provider_digest)
                .push_bind(now);
        });
        sql.push(
            ") AS v WHERE runs.number = v.column1 AND runs.state IN ('queued', 'running')
             RETURNING runs.number",
        );
        sql.build_query_scalar().fetch_all(c).await
    })?;
    let started: HashSet<i64> = started.into_iter().collect();
    let begins: Vec<_> =
        begins.iter().copied().filter(|b| started.contains(&b.run_number)).collect();
    if !begins.is_empty() {
        // An older attempt that never came back was lost with its worker.
        on_db!(conn, |c| {
            let mut sql = QueryBuilder::new("UPDATE run_attempts SET state = 'lost' FROM (");
            sql.push_values(&begins, |mut row, begin| {
                row.push_bind(begin.run_number).push_bind(begin.attempt);
            });
            sql.push(
                ") AS v WHERE run_attempts.run_number = v.column1
                 AND run_attempts.attempt < v.column2 AND run_attempts.state = 'running'",
            );
            sql.build().execute(c).await.map(drop)
        })?;
        on_db!(conn, |c| {
            let mut sql = QueryBuilder::new(
                "INSERT INTO run_attempts (run_number, attempt, workspace_id, state,
                                           provider_digest, fetches, cost_micros, started_at) ",
            );
            sql.push_values(&begins, |mut row, begin| {
                row.push_bind(begin.run_number)
                    .push_bind(begin.attempt)
                    .push_bind(begin.workspace)
                    .push_bind("running")
                    .push_bind(&begin.provider_digest)
                    .push("0, 0")
                    .push_bind(now);
            });
            // A resumed call goes on with its row.
            sql.push(" ON CONFLICT (run_number, attempt) DO UPDATE SET state = 'running'");
            sql.build().execute(c).await.map(drop)
        })?;
    }
    Ok(started)
}

/// Keeps raw answers and notes on the attempts that they are there.
pub async fn fetched(conn: &mut Conn, fetched: &[&Fetched], now: DateTime<Utc>) -> Result<()> {
    if fetched.is_empty() {
        return Ok(());
    }
    let payloads: Vec<_> = fetched.iter().map(|f| (f.workspace, &f.raw)).collect();
    raw_payloads::insert(conn, &payloads, now).await?;
    on_db!(conn, |c| {
        let mut sql = QueryBuilder::new(
            "UPDATE run_attempts SET state = 'fetched', raw_digest = v.column3,
                                     fetches = v.column4, cost_micros = v.column5
             FROM (",
        );
        sql.push_values(fetched, |mut row, f| {
            row.push_bind(f.run_number)
                .push_bind(f.attempt)
                .push_bind(&f.raw.digest)
                .push_bind(f.fetches)
                .push_bind(f.cost_micros);
        });
        sql.push(
            ") AS v WHERE run_attempts.run_number = v.column1
             AND run_attempts.attempt = v.column2",
        );
        sql.build().execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Writes how tries ended; returns the jobs that were still `owner`'s, and so were written.
pub async fn end(
    conn: &mut Conn,
    owner: ProcessId,
    ends: &[&End],
    now: DateTime<Utc>,
) -> Result<HashSet<JobId>> {
    if ends.is_empty() {
        return Ok(HashSet::new());
    }
    let job_ends: Vec<_> =
        ends.iter().map(|end| (end.job, end.epoch, end.job_end.clone())).collect();
    let ours = jobs::end(conn, owner, &job_ends, now).await?;
    let ends: Vec<&End> = ends.iter().copied().filter(|end| ours.contains(&end.job)).collect();
    if ends.is_empty() {
        return Ok(ours);
    }

    let payloads: Vec<_> =
        ends.iter().filter_map(|end| Some((end.run.workspace, end.raw.as_ref()?))).collect();
    raw_payloads::insert(conn, &payloads, now).await?;
    end_runs(conn, &ends).await?;
    end_attempts(conn, &ends, now).await?;
    let ledger: Vec<_> = ends.iter().filter_map(|end| end.ledger.as_ref()).collect();
    costs::insert(conn, &ledger).await?;
    let found: Vec<_> = ends.iter().filter_map(|end| end.answer.as_ref()).collect();
    answers::insert(conn, &found).await?;
    let spans: Vec<_> = ends.iter().flat_map(|end| &end.mentions).collect();
    mentions::insert(conn, &spans).await?;

    let sources: Vec<_> = ends.iter().flat_map(|end| &end.citations).collect();
    let names: BTreeSet<&String> = sources.iter().map(|citation| &citation.domain).collect();
    let names: Vec<String> = names.into_iter().cloned().collect();
    let domains = citations::domain_numbers(conn, &names).await?;
    citations::insert(conn, &sources, &domains).await?;

    let mut additions = Additions::default();
    for end in &ends {
        additions.merge(&end.additions);
    }
    daily_counts::add(conn, &additions, &domains).await?;

    let finished: BTreeSet<BatchId> = ends
        .iter()
        .filter(|end| end.run.finished_at.is_some())
        .filter_map(|end| end.run.batch)
        .collect();
    let finished: Vec<_> = finished.into_iter().collect();
    batches::complete(conn, &finished, now).await?;
    Ok(ours)
}

async fn end_runs(conn: &mut Conn, ends: &[&End]) -> Result<()> {
    on_db!(conn, |c| {
        let mut sql = QueryBuilder::new(
            "UPDATE runs
             SET state = v.column2, outcome = v.column3, reason = v.column4,
                 error_kind = v.column5, error_detail = v.column6,
                 cost_micros = runs.cost_micros + v.column7, day = v.column8,
                 checkpoint = v.column9, finished_at = v.column10, mentions = v.column11,
                 citations = v.column12
             FROM (",
        );
        sql.push_values(ends, |mut row, end| {
            let run = &end.run;
            row.push_bind(run.number)
                .push_bind(run.state)
                .push_bind(run.outcome)
                .push_bind(&run.reason)
                .push_bind(&run.error_kind)
                .push_bind(&run.error_detail)
                .push_bind(run.cost_micros)
                .push_bind(run.day)
                .push_bind(&run.checkpoint)
                .push_bind(run.finished_at)
                .push_bind(i64::try_from(end.mentions.len()).unwrap_or(i64::MAX))
                .push_bind(i64::try_from(end.citations.len()).unwrap_or(i64::MAX));
        });
        sql.push(") AS v WHERE runs.number = v.column1");
        sql.build().execute(c).await.map(drop)
    })?;
    Ok(())
}

async fn end_attempts(conn: &mut Conn, ends: &[&End], now: DateTime<Utc>) -> Result<()> {
    let attempts: Vec<_> =
        ends.iter().filter_map(|end| Some((*end, end.attempt.as_ref()?))).collect();
    if attempts.is_empty() {
        return Ok(());
    }
    on_db!(conn, |c| {
        let mut sql = QueryBuilder::new(
            "UPDATE run_attempts
             SET state = v.column3, fetches = v.column4, cost_micros = v.column5,
                 error_kind = v.column6, error_detail = v.column7, finished_at = v.column8,
                 raw_digest = COALESCE(v.column9, run_attempts.raw_digest)
             FROM (",
        );
        sql.push_values(&attempts, |mut row, (end, attempt)| {
            row.push_bind(end.run.number)
                .push_bind(attempt.attempt)
                .push_bind(attempt.state)
                .push_bind(attempt.fetches)
                .push_bind(attempt.cost_micros)
                .push_bind(&attempt.error_kind)
                .push_bind(&attempt.error_detail)
                .push_bind((attempt.state != "waiting").then_some(now))
                .push_bind(end.raw.as_ref().map(|raw| &raw.digest));
        });
        sql.push(
            ") AS v WHERE run_attempts.run_number = v.column1
             AND run_attempts.attempt = v.column2",
        );
        sql.build().execute(c).await.map(drop)
    })?;
    Ok(())
}
