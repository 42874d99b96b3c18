//! What happens to runs, written for many of them at once.
//!
//! A statement per run costs twice as much as one statement for a hundred, so the worker hands
//! its writes to `jobs::run_writer`, which brings whatever is waiting here in one transaction.
//!
//! **Invariant:** an end counts only when the job is still the worker's (`jobs::end`): what a
//! worker says after it lost its lease leaves no row.

use super::{
    Conn, answers, batches, budget_audit,
    budgets::{self, Books, Closing, Policy, Verdict, Want},
    bulk::Rows,
    citations::{self, DomainNumbers},
    costs::LedgerEntry,
    daily_counts::{self, Additions},
    jobs::{self, JobEnd},
    mentions,
    raw_payloads::{self, RawPayload},
    runs::{RunOutcome, RunState},
};
use crate::{
    Result,
    ids::{BatchId, JobId, ProcessId, RunId, WorkspaceId},
};
use chrono::{DateTime, NaiveDate, Utc};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

/// A call is about to be made.
#[derive(Debug, Clone)]
pub struct Begin {
    pub run_number: i64,
    pub provider_digest: Vec<u8>,
    /// The attempt, and what it costs as a rule.
    pub want: Want,
    /// It takes up a call that waits, and whose money is reserved already.
    pub resumes: bool,
    /// A recording costs nothing where answers are real.
    pub counts: bool,
}

/// What became of the wish to make a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    Started,
    /// The run was cancelled meanwhile.
    Gone,
    /// A budget runs low: not now.
    PutOff,
    /// A budget does not allow it, and why.
    Refused(String),
}

/// A call was made; its answer waits for analysis.
#[derive(Debug, Clone)]
pub struct Fetched {
    pub run_number: i64,
    pub workspace: WorkspaceId,
    pub attempt: i64,
    pub fetches: i64,
    pub cost_micros: i64,
    pub raw: Arc<RawPayload>,
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
    pub raw: Option<Arc<RawPayload>>,
    /// Settles or releases what the call had reserved.
    pub ledger: Option<LedgerEntry>,
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

/// Notes the calls that are about to be made, and reserves what they cost. Says what became of
/// each run.
pub async fn begin(
    conn: &mut Conn,
    books: &mut Books,
    begins: &mut [&Begin],
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<HashMap<i64, Begun>> {
    if begins.is_empty() {
        return Ok(HashMap::new());
    }
    begins.sort_unstable_by_key(|begin| begin.run_number);
    note_lost(conn, books, begins, now).await?;
    let pays = |begin: &Begin| begin.counts && !begin.resumes;
    let wants: Vec<_> =
        begins.iter().filter(|begin| pays(begin)).map(|begin| begin.want.clone()).collect();
    let mut verdicts = budgets::reserve(conn, books, &wants, policy, now).await?.into_iter();
    let mut begun: Vec<Begun> = begins
        .iter()
        .map(|begin| match pays(begin).then(|| verdicts.next()).flatten() {
            None | Some(Verdict::Granted) => Begun::Started,
            Some(Verdict::PutOff) => Begun::PutOff,
            Some(Verdict::Refused(why)) => Begun::Refused(why),
        })
        .collect();

    let may: Vec<&Begin> =
        begins.iter().zip(&begun).filter(|(_, b)| **b == Begun::Started).map(|(b, _)| *b).collect();
    let started: Vec<(i64,)> = Rows::new(&may)
        .column("run_number", |begin| begin.run_number)
        .column("attempt", |begin| begin.want.attempt)
        .column("provider_digest", |begin| begin.provider_digest.as_slice())
        .column("now", |_| now)
        .fetch(
            conn,
            "UPDATE runs SET state = 'running', attempts = v.attempt,
                             provider_digest = v.provider_digest,
                             started_at = COALESCE(started_at, v.now)
             FROM v WHERE runs.number = v.run_number AND runs.state IN ('queued', 'running')
             RETURNING runs.number",
        )
        .await?;
    let started: HashSet<i64> = started.into_iter().map(|(number,)| number).collect();
    let (started, gone): (Vec<&Begin>, Vec<&Begin>) =
        may.into_iter().partition(|begin| started.contains(&begin.run_number));
    let unpaid: Vec<_> =
        gone.iter().filter(|begin| pays(begin)).map(|begin| release(begin, now)).collect();
    budgets::close(conn, books, unpaid).await?;
    let gone: HashSet<i64> = gone.iter().map(|begin| begin.run_number).collect();
    for (begin, begun) in begins.iter().zip(&mut begun) {
        if gone.contains(&begin.run_number) {
            *begun = Begun::Gone;
        }
    }

    Rows::new(&started)
        .column("run_number", |begin| begin.run_number)
        .column("attempt", |begin| begin.want.attempt)
        .column("workspace_id", |begin| begin.want.workspace)
        .column("state", |_| "running")
        .column("provider_digest", |begin| begin.provider_digest.as_slice())
        .column("fetches", |_| 0_i64)
        .column("cost_micros", |_| 0_i64)
        .column("started_at", |_| now)
        // A resumed call goes on with its row.
        .insert(
            conn,
            "INSERT INTO run_attempts",
            "ON CONFLICT (run_number, attempt) DO UPDATE SET state = 'running'",
        )
        .await?;
    Ok(begins.iter().map(|begin| begin.run_number).zip(begun).collect())
}

/// An older attempt that never came back was lost with its worker. Its call may have been paid.
async fn note_lost(
    conn: &mut Conn,
    books: &mut Books,
    begins: &[&Begin],
    now: DateTime<Utc>,
) -> Result<()> {
    let again: Vec<_> = begins.iter().filter(|begin| begin.want.attempt > 1).collect();
    let lost: Vec<(i64, i64)> = Rows::new(&again)
        .column("run_number", |begin| begin.run_number)
        .column("attempt", |begin| begin.want.attempt)
        .fetch(
            conn,
            "UPDATE run_attempts SET state = 'lost'
             FROM v WHERE run_attempts.run_number = v.run_number
               AND run_attempts.attempt < v.attempt AND run_attempts.state = 'running'
             RETURNING run_attempts.run_number, run_attempts.attempt",
        )
        .await?;
    if lost.is_empty() {
        return Ok(());
    }
    let closings = lost
        .iter()
        .filter_map(|(number, attempt)| {
            let begin = again.iter().find(|begin| begin.run_number == *number)?;
            let entry = LedgerEntry {
                attempt: *attempt,
                kind: "settle".into(),
                ..budgets::line(&begin.want, now)
            };
            Some(Closing { entry, guess: true })
        })
        .collect();
    let numbers: HashMap<_, _> = again.iter().map(|b| (b.want.run, b.run_number)).collect();
    let paid: Vec<_> = budgets::close(conn, books, closings)
        .await?
        .iter()
        .filter_map(|line| Some((*numbers.get(&line.run_id)?, line.attempt, line.micros)))
        .collect();
    budget_audit::note_lost(conn, &paid, now).await
}

fn release(begin: &Begin, now: DateTime<Utc>) -> Closing {
    let entry = LedgerEntry { kind: "release".into(), ..budgets::line(&begin.want, now) };
    Closing { entry, guess: false }
}

/// Keeps raw answers and notes on the attempts that they are there.
pub async fn fetched(conn: &mut Conn, fetched: &mut [&Fetched], now: DateTime<Utc>) -> Result<()> {
    if fetched.is_empty() {
        return Ok(());
    }
    fetched.sort_unstable_by_key(|fetched| fetched.run_number);
    let mut payloads: Vec<_> = fetched.iter().map(|f| (f.workspace, &*f.raw)).collect();
    raw_payloads::insert(conn, &mut payloads, now).await?;
    Rows::new(&*fetched)
        .column("run_number", |fetched| fetched.run_number)
        .column("attempt", |fetched| fetched.attempt)
        .column("raw_digest", |fetched| fetched.raw.digest.as_slice())
        .column("fetches", |fetched| fetched.fetches)
        .column("cost_micros", |fetched| fetched.cost_micros)
        .execute(
            conn,
            "UPDATE run_attempts SET state = 'fetched', raw_digest = v.raw_digest,
                                     fetches = v.fetches, cost_micros = v.cost_micros
             FROM v WHERE run_attempts.run_number = v.run_number
               AND run_attempts.attempt = v.attempt AND run_attempts.state = 'running'",
        )
        .await
        .map(drop)
}

/// Writes how tries ended; returns the jobs that were still `owner`'s, and so were written.
/// `domains` holds the number of every domain cited.
///
/// Tables and rows go in one order, so that no two groups wait for each other: own rows first, then
/// the counts that everybody adds to, and the batches last.
pub async fn end(
    conn: &mut Conn,
    books: &mut Books,
    owner: ProcessId,
    ends: &mut [&End],
    domains: &DomainNumbers,
    now: DateTime<Utc>,
) -> Result<HashSet<JobId>> {
    if ends.is_empty() {
        return Ok(HashSet::new());
    }
    ends.sort_unstable_by_key(|end| end.run.number);
    let job_ends: Vec<_> =
        ends.iter().map(|end| (end.job, end.epoch, end.job_end.clone())).collect();
    let ours = jobs::end(conn, owner, &job_ends, now).await?;
    let ends: Vec<&End> = ends.iter().copied().filter(|end| ours.contains(&end.job)).collect();
    if ends.is_empty() {
        return Ok(ours);
    }

    let mut payloads: Vec<_> =
        ends.iter().filter_map(|end| Some((end.run.workspace, end.raw.as_deref()?))).collect();
    raw_payloads::insert(conn, &mut payloads, now).await?;
    end_runs(conn, &ends).await?;
    end_attempts(conn, &ends, now).await?;
    let closings = ends.iter().filter_map(|end| end.ledger.clone());
    let closings = closings.map(|entry| Closing { entry, guess: false }).collect();
    budgets::close(conn, books, closings).await?;
    let found: Vec<_> = ends.iter().filter_map(|end| end.answer.as_ref()).collect();
    answers::insert(conn, &found).await?;
    let spans: Vec<_> = ends.iter().flat_map(|end| &end.mentions).collect();
    mentions::insert(conn, &spans).await?;
    let sources: Vec<_> = ends.iter().flat_map(|end| &end.citations).collect();
    citations::insert(conn, &sources, domains).await?;

    let mut additions = Additions::default();
    for end in &ends {
        additions.merge(&end.additions);
    }
    daily_counts::add(conn, &additions, domains).await?;

    let finished: BTreeSet<_> = ends
        .iter()
        .filter(|end| end.run.finished_at.is_some())
        .filter_map(|end| Some((end.run.workspace, end.run.batch?)))
        .collect();
    batches::complete(conn, &finished, now).await?;
    Ok(ours)
}

async fn end_runs(conn: &mut Conn, ends: &[&End]) -> Result<()> {
    Rows::new(ends)
        .column("number", |end| end.run.number)
        .column("state", |end| end.run.state)
        .column("outcome", |end| end.run.outcome)
        .column("reason", |end| end.run.reason.as_deref())
        .column("error_kind", |end| end.run.error_kind.as_deref())
        .column("error_detail", |end| end.run.error_detail.as_deref())
        .column("cost_micros", |end| end.run.cost_micros)
        .column("day", |end| end.run.day)
        .column("checkpoint", |end| end.run.checkpoint.as_deref())
        .column("finished_at", |end| end.run.finished_at)
        .column("mentions", |end| count(&end.mentions))
        .column("citations", |end| count(&end.citations))
        .execute(
            conn,
            "UPDATE runs
             SET state = v.state, outcome = v.outcome, reason = v.reason,
                 error_kind = v.error_kind, error_detail = v.error_detail,
                 cost_micros = runs.cost_micros + v.cost_micros, day = v.day,
                 checkpoint = v.checkpoint, finished_at = v.finished_at, mentions = v.mentions,
                 citations = v.citations
             FROM v WHERE runs.number = v.number",
        )
        .await
        .map(drop)
}

async fn end_attempts(conn: &mut Conn, ends: &[&End], now: DateTime<Utc>) -> Result<()> {
    let attempts: Vec<_> =
        ends.iter().filter_map(|end| Some((*end, end.attempt.as_ref()?))).collect();
    Rows::new(&attempts)
        .column("run_number", |(end, _)| end.run.number)
        .column("attempt", |(_, attempt)| attempt.attempt)
        .column("state", |(_, attempt)| attempt.state)
        .column("fetches", |(_, attempt)| attempt.fetches)
        .column("cost_micros", |(_, attempt)| attempt.cost_micros)
        .column("error_kind", |(_, attempt)| attempt.error_kind.as_deref())
        .column("error_detail", |(_, attempt)| attempt.error_detail.as_deref())
        .column("finished_at", |(_, attempt)| (attempt.state != "waiting").then_some(now))
        .column("raw_digest", |(end, _)| Some(end.raw.as_ref()?.digest.as_slice()))
        .execute(
            conn,
            "UPDATE run_attempts
             SET state = v.state, fetches = v.fetches, cost_micros = v.cost_micros,
                 error_kind = v.error_kind, error_detail = v.error_detail,
                 finished_at = v.finished_at,
                 raw_digest = COALESCE(v.raw_digest, run_attempts.raw_digest)
             FROM v WHERE run_attempts.run_number = v.run_number
               AND run_attempts.attempt = v.attempt",
        )
        .await
        .map(drop)
}

fn count<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}
