//! The accounts: what the API accepted, what the database says and what the vendors saw.

use super::{
    fleet::Fleet,
    load::{self, Accepted},
    report::Report,
};
use aiv_bench::{
    mock::{PromptCalls, Vendor},
    servers::Client,
};
use anyhow::{Context, bail};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

/// One run with all that belongs to it.
struct Run {
    id: String,
    state: String,
    outcome: String,
    question: (Vendor, String),
    answers: u64,
    attempts: u64,
    succeeded: u64,
    failed: u64,
}

impl Run {
    /// Attempts whose end nobody knows: their worker died.
    fn lost(&self) -> u64 {
        self.attempts - self.succeeded - self.failed
    }

    /// Calls that no failed attempt explains, beside the one that is due.
    fn repeats(&self, calls: u64) -> u64 {
        calls.saturating_sub(self.failed + 1)
    }
}

const RUNS: &str = "
    SELECT runs.id, runs.state, COALESCE(runs.outcome, ''), runs.engine, prompts.text,
           (SELECT count(*) FROM answers WHERE answers.run_number = runs.number),
           COALESCE(a.attempts, 0), COALESCE(a.succeeded, 0), COALESCE(a.failed, 0)
    FROM runs
    JOIN prompts ON prompts.workspace_id = runs.workspace_id AND prompts.id = runs.prompt_id
    LEFT JOIN (
        SELECT run_number, count(*) AS attempts,
               count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
               count(*) FILTER (WHERE state = 'failed') AS failed
        FROM run_attempts GROUP BY run_number
    ) AS a ON a.run_number = runs.number";

pub(crate) async fn everything(
    report: &mut Report,
    fleet: &Fleet,
    accepted: &[Accepted],
    in_killed: &HashSet<String>,
) -> anyhow::Result<()> {
    let sql = &fleet.sql;
    let runs = runs(sql).await?;
    every_run_ended(report, sql, accepted, &runs).await?;
    every_call_is_known(report, &fleet.vendors.calls(), &runs, in_killed);
    nothing_is_left(report, sql).await?;
    sums_are_equal(report, sql).await?;
    counts_are_right(report, sql).await
}

async fn runs(sql: &Client) -> anyhow::Result<Vec<Run>> {
    let rows = sql.query(RUNS).await?;
    rows.lines().map(|line| run(line).with_context(|| format!("read {line}"))).collect()
}

fn run(line: &str) -> anyhow::Result<Run> {
    let columns: Vec<&str> = line.split('|').collect();
    let [id, state, outcome, engine, text, answers, attempts, succeeded, failed] = columns[..]
    else {
        bail!("nine columns were due")
    };
    let vendor = match engine {
        "perplexity" => Vendor::Perplexity,
        "aio" => Vendor::Serpapi,
        "brave" => Vendor::Brave,
        _ => bail!("no vendor is known for {engine}"),
    };
    Ok(Run {
        id: id.into(),
        state: state.into(),
        outcome: outcome.into(),
        question: (vendor, text.into()),
        answers: answers.parse()?,
        attempts: attempts.parse()?,
        succeeded: succeeded.parse()?,
        failed: failed.parse()?,
    })
}

async fn every_run_ended(
    report: &mut Report,
    sql: &Client,
    accepted: &[Accepted],
    runs: &[Run],
) -> anyhow::Result<()> {
    let rows = sql.query("SELECT batch_id, count(*) FROM runs GROUP BY batch_id").await?;
    let made: HashMap<&str, &str> = rows.lines().filter_map(|row| row.split_once('|')).collect();
    let due: usize = accepted.iter().map(|batch| batch.runs).sum();
    let short = accepted
        .iter()
        .filter(|batch| made.get(batch.batch.as_str()) != Some(&batch.runs.to_string().as_str()))
        .count();
    report.check(
        "every accepted batch has exactly its runs",
        short == 0 && due == runs.len(),
        format!("{} batches, {due} runs accepted, {} made", accepted.len(), runs.len()),
    );

    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for run in runs {
        *states.entry(run.state.as_str()).or_default() += 1;
    }
    let ended = states.keys().all(|state| matches!(*state, "succeeded" | "failed"));
    let mut found: Vec<_> =
        states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let why = "SELECT count(*), error_kind, left(error_detail, 60) FROM runs
               WHERE state <> 'succeeded' GROUP BY 2, 3 ORDER BY 1 DESC LIMIT 3";
    found.extend(sql.query(why).await?.lines().map(str::to_owned));
    report.check("every run ended", ended, found.join(", "));

    let odd = runs.iter().filter(|run| run.state == "succeeded").filter(|run| {
        let answers = u64::from(run.outcome == "answer");
        run.succeeded != 1 || run.answers != answers
    });
    let odd = odd.count();
    report.check(
        "a run that succeeded has one good attempt and one answer",
        odd == 0,
        format!("{odd} have not"),
    );
    Ok(())
}

/// What the vendors saw is what the database says, and nobody was asked twice without need.
fn every_call_is_known(
    report: &mut Report,
    calls: &[PromptCalls],
    runs: &[Run],
    in_killed: &HashSet<String>,
) {
    let asked: HashMap<(Vendor, &str), &PromptCalls> =
        calls.iter().map(|asked| ((asked.vendor, asked.prompt.as_str()), asked)).collect();
    let (mut seen, mut attempts, mut lost, mut unexplained) = (0, 0, 0, 0);
    let (mut repeats, mut paid_twice, mut undue) = (0, 0, Vec::new());
    for run in runs {
        let asked = asked.get(&(run.question.0, run.question.1.as_str()));
        let (calls, answered) = asked.map_or((0, 0), |asked| (asked.calls, asked.answered));
        seen += calls;
        attempts += run.attempts;
        lost += run.lost();
        // A worker may die between the note that it will call and the call.
        if calls > run.attempts || calls + run.lost() < run.attempts {
            unexplained += 1;
        }
        repeats += run.repeats(calls);
        paid_twice += answered.saturating_sub(1);
        if (run.repeats(calls) > 0 || answered > 1) && !in_killed.contains(&run.id) {
            undue.push(run.id.as_str());
        }
    }
    let all: u64 = calls.iter().map(|asked| asked.calls).sum();
    report.check(
        "every call has its attempt, every attempt its call",
        unexplained == 0 && all == seen,
        format!(
            "{all} calls = {attempts} attempts − {} of {lost} lost ones",
            attempts - seen.min(attempts)
        ),
    );
    let bound = in_killed.len();
    report.check(
        "no question twice, but for those in flight in a killed process",
        undue.is_empty() && repeats <= u64::try_from(bound).unwrap_or(u64::MAX),
        format!(
            "{repeats} repeated, {paid_twice} answered twice, of {bound} in flight at kills; {} undue{}",
            undue.len(),
            undue.first().map(|id| format!(" such as {id}")).unwrap_or_default(),
        ),
    );
}

async fn nothing_is_left(report: &mut Report, sql: &Client) -> anyhow::Result<()> {
    let left = "SELECT (SELECT count(*) FROM jobs WHERE state IN ('available', 'running')),
                       (SELECT count(*) FROM jobs WHERE owner IS NOT NULL),
                       (SELECT count(*) FROM batches WHERE state <> 'completed')";
    let left = sql.query(left).await?;
    report.check(
        "no job is left, every batch is completed",
        left == "0|0|0",
        format!("jobs left, jobs held, batches open: {left}"),
    );
    Ok(())
}

async fn sums_are_equal(report: &mut Report, sql: &Client) -> anyhow::Result<()> {
    let sums = "SELECT (SELECT COALESCE(sum(micros), 0) FROM cost_ledger WHERE kind = 'settle'),
                       (SELECT COALESCE(sum(cost_micros), 0) FROM run_attempts),
                       (SELECT COALESCE(sum(cost_micros), 0) FROM runs)";
    let sums = sql.query(sums).await?;
    let parts: Vec<&str> = sums.split('|').collect();
    let equal = parts.windows(2).all(|pair| pair[0] == pair[1]) && parts[0] != "0";
    report.check("ledger = attempts = runs, in micro-USD", equal, sums);
    Ok(())
}

const COUNTS: [&str; 3] = ["daily_prompt_counts", "daily_brand_counts", "daily_domain_counts"];

/// Counts every day again and compares.
async fn counts_are_right(report: &mut Report, sql: &Client) -> anyhow::Result<()> {
    for table in COUNTS {
        let keep = format!(
            "DROP TABLE IF EXISTS kept_{table};
             CREATE TABLE kept_{table} AS SELECT * FROM {table}"
        );
        sql.query(&keep).await?;
    }
    let again = "INSERT INTO jobs (id, queue, lane, workspace_id, priority, payload, state, run_at,
                                   epoch, attempt, max_attempts, lost, created_at)
                 SELECT gen_random_uuid(), 'dailyAggregations', '', workspace_id, 100,
                        jsonb_build_object('workspace', workspace_id, 'day', day), 'available',
                        now(), 0, 0, 5, 0, now()
                 FROM (SELECT DISTINCT workspace_id, day FROM runs WHERE day IS NOT NULL) AS days";
    sql.query(again).await?;
    let done = load::finish(sql, Duration::from_mins(1)).await;
    let (mut rows, mut differ) = (0, Vec::new());
    for table in COUNTS {
        rows += sql.query(&format!("SELECT count(*) FROM {table}")).await?.parse::<u64>()?;
        let only = |one: &str, other: &str| format!("(TABLE {one} EXCEPT TABLE {other} LIMIT 1)");
        let kept = format!("kept_{table}");
        let row = format!("{} UNION ALL {}", only(&kept, table), only(table, &kept));
        differ.extend(sql.query(&row).await?.lines().map(|row| format!("{table}: {row}")));
    }
    let found = match done {
        false => "they were not counted in time".to_owned(),
        true if differ.is_empty() => format!("{rows} rows"),
        true => differ.join("; "),
    };
    let holds = done && differ.is_empty() && rows > 0;
    report.check("daily counts equal a count from scratch", holds, found);
    Ok(())
}
