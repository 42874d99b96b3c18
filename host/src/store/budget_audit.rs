//! Keeps the budgets and the ledger true to each other: dead reservations end, differences show.

use super::{
    Conn,
    budgets::{self, Books, Closing, Policy},
    bulk::Rows,
    costs::LedgerEntry,
    on_db,
};
use crate::{
    Result,
    ids::{LedgerEntryId, RunId, WorkspaceId},
};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use sqlx::{FromRow, query, query_as};
use std::collections::BTreeMap;
use uuid::Uuid;

/// How long a reservation may outlive its run: the end of a try may still be on its way.
const AFTER_END: TimeDelta = TimeDelta::minutes(2);
/// How long a call may wait for its answer before it is given up.
const ABANDONED: TimeDelta = TimeDelta::hours(24);
/// Reservations ended at once.
const PAGE: i64 = 500;

#[derive(FromRow)]
struct Dead {
    workspace_id: WorkspaceId,
    run_id: RunId,
    run_number: i64,
    attempt: i64,
    engine: String,
    synthetic: bool,
    day: NaiveDate,
    state: String,
    attempt_micros: i64,
}

/// Ends reservations whose run has ended without them, or whose call nobody waits for any more.
/// Returns how many; there may be more.
///
/// What the vendor charged is known when its answer was stored. Else the call may have been paid:
/// what was reserved counts as spent.
pub async fn sweep(conn: &mut Conn, policy: &Policy, now: DateTime<Utc>) -> Result<usize> {
    let dead: Vec<Dead> = on_db!(conn, |c| query_as(
        "SELECT l.workspace_id, l.run_id, r.number AS run_number, l.attempt, l.engine,
                l.synthetic, l.day, a.state, a.cost_micros AS attempt_micros
         FROM budget_days b
         JOIN cost_ledger l
           ON l.workspace_id = b.workspace_id AND l.day = b.day AND l.kind = 'reserve'
         JOIN runs r ON r.workspace_id = l.workspace_id AND r.id = l.run_id
         JOIN run_attempts a ON a.run_number = r.number AND a.attempt = l.attempt
         WHERE b.scope = 'workspace' AND b.reserved_micros > 0
           AND NOT EXISTS (SELECT 1 FROM cost_ledger s
                           WHERE s.run_id = l.run_id AND s.attempt = l.attempt
                             AND s.kind IN ('settle', 'release'))
           AND (r.finished_at < $1 OR (l.created_at < $2 AND a.state IN ('running', 'waiting')))
         ORDER BY l.run_id, l.attempt LIMIT $3",
    )
    .bind(now - AFTER_END)
    .bind(now - ABANDONED)
    .bind(PAGE)
    .fetch_all(c)
    .await)?;
    if dead.is_empty() {
        return Ok(0);
    }
    let closings = dead
        .iter()
        .map(|dead| Closing {
            guess: dead.state != "fetched",
            entry: LedgerEntry {
                id: LedgerEntryId::generate(),
                workspace_id: dead.workspace_id,
                run_id: dead.run_id,
                attempt: dead.attempt,
                kind: "settle".into(),
                engine: dead.engine.clone(),
                micros: dead.attempt_micros,
                basis: "estimated".into(),
                synthetic: dead.synthetic,
                day: dead.day,
                created_at: now,
            },
        })
        .collect();
    let mut books = Books::default();
    let lines = budgets::close(conn, &mut books, closings).await?;
    let numbers: BTreeMap<_, _> =
        dead.iter().map(|dead| ((dead.run_id, dead.attempt), dead.run_number)).collect();
    let lost: Vec<_> = lines
        .iter()
        .filter_map(|line| {
            let number = numbers.get(&(line.run_id, line.attempt))?;
            Some((*number, line.attempt, line.micros))
        })
        .collect();
    note_lost(conn, &lost, now).await?;
    books.post(conn, policy, now).await?;
    Ok(lines.len())
}

/// Writes what lost calls are taken to have cost: run number, attempt, micro-USD.
pub(super) async fn note_lost(
    conn: &mut Conn,
    lost: &[(i64, i64, i64)],
    now: DateTime<Utc>,
) -> Result<()> {
    let rows = || {
        Rows::new(lost)
            .column("number", |(number, ..)| *number)
            .column("attempt", |(_, attempt, _)| *attempt)
            .column("micros", |(.., micros)| *micros)
    };
    rows()
        .column("finished_at", |_| now)
        .execute(
            conn,
            "UPDATE run_attempts
             SET state = 'lost', cost_micros = v.micros,
                 finished_at = COALESCE(run_attempts.finished_at, v.finished_at)
             FROM v WHERE run_attempts.run_number = v.number
               AND run_attempts.attempt = v.attempt",
        )
        .await?;
    rows()
        .execute(
            conn,
            "UPDATE runs SET cost_micros = runs.cost_micros + v.micros
             FROM v WHERE runs.number = v.number",
        )
        .await
        .map(drop)
}

/// A row of `budget_days` that does not say what the ledger says. Micro-USD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// platform | workspace | engine
    pub scope: &'static str,
    /// The nil one for the platform.
    pub workspace: Uuid,
    /// Empty for all of them.
    pub engine: String,
    pub reserved: i64,
    pub spent: i64,
    pub ledger_reserved: i64,
    pub ledger_spent: i64,
}

/// Makes a row of `budget_days` say what the ledger said. What calls book meanwhile is kept: the
/// difference is added, not the sum written.
pub async fn correct(
    conn: &mut Conn,
    day: NaiveDate,
    difference: &Difference,
    now: DateTime<Utc>,
) -> Result<()> {
    let Difference { scope, workspace, engine, reserved, spent, ledger_reserved, ledger_spent } =
        difference;
    on_db!(conn, |c| query(
        "INSERT INTO budget_days (scope, workspace_id, engine, day, reserved_micros,
                                  spent_micros, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (scope, workspace_id, engine, day) DO UPDATE
         SET reserved_micros = budget_days.reserved_micros + excluded.reserved_micros,
             spent_micros = budget_days.spent_micros + excluded.spent_micros,
             updated_at = excluded.updated_at",
    )
    .bind(*scope)
    .bind(workspace)
    .bind(engine)
    .bind(day)
    .bind(ledger_reserved - reserved)
    .bind(ledger_spent - spent)
    .bind(now)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

#[derive(FromRow)]
struct Sum {
    workspace_id: Uuid,
    engine: String,
    reserved: i64,
    spent: i64,
}

/// Counts a day again from the ledger; what is returned should be empty.
pub async fn audit(conn: &mut Conn, day: NaiveDate) -> Result<Vec<Difference>> {
    // A reservation is open until a settlement or a release of the same attempt.
    let own: Vec<Sum> = on_db!(conn, |c| query_as(
        "SELECT l.workspace_id, l.engine,
                CAST(SUM(CASE WHEN l.kind = 'reserve' AND NOT EXISTS (
                             SELECT 1 FROM cost_ledger s
                             WHERE s.run_id = l.run_id AND s.attempt = l.attempt
                               AND s.kind IN ('settle', 'release'))
                         THEN l.micros ELSE 0 END) AS BIGINT) AS reserved,
                CAST(SUM(CASE WHEN l.kind = 'settle' THEN l.micros ELSE 0 END) AS BIGINT) AS spent
         FROM cost_ledger l JOIN workspaces w ON w.id = l.workspace_id
         WHERE l.day = $1 AND l.synthetic = w.synthetic
         GROUP BY l.workspace_id, l.engine",
    )
    .bind(day)
    .fetch_all(c)
    .await)?;
    let start = day.and_time(NaiveTime::MIN).and_utc();
    let all: Sum = on_db!(conn, |c| query_as(
        "SELECT CAST($1 AS TEXT) AS engine, w0.workspace_id, w0.reserved, w0.spent FROM (
             SELECT $2 AS workspace_id,
                CAST(COALESCE(SUM(CASE WHEN l.kind = 'reserve' AND NOT EXISTS (
                             SELECT 1 FROM cost_ledger s
                             WHERE s.run_id = l.run_id AND s.attempt = l.attempt
                               AND s.kind IN ('settle', 'release'))
                         THEN l.micros ELSE 0 END), 0) AS BIGINT) AS reserved,
                CAST(COALESCE(SUM(CASE WHEN l.kind = 'settle' THEN l.micros ELSE 0 END), 0)
                     AS BIGINT) AS spent
             FROM cost_ledger l JOIN workspaces w ON w.id = l.workspace_id
             LEFT JOIN cost_ledger r
               ON r.run_id = l.run_id AND r.attempt = l.attempt AND r.kind = 'reserve'
             WHERE COALESCE(r.created_at, l.created_at) >= $3
               AND COALESCE(r.created_at, l.created_at) < $4 AND l.synthetic = w.synthetic) w0",
    )
    .bind("")
    .bind(Uuid::nil())
    .bind(start)
    .bind(start + TimeDelta::days(1))
    .fetch_one(c)
    .await)?;

    let mut counted: BTreeMap<(&'static str, Uuid, String), (i64, i64)> = BTreeMap::new();
    counted.insert(("platform", Uuid::nil(), String::new()), (all.reserved, all.spent));
    for Sum { workspace_id, engine, reserved, spent } in own {
        for key in [("workspace", workspace_id, String::new()), ("engine", workspace_id, engine)] {
            let sum = counted.entry(key).or_default();
            *sum = (sum.0 + reserved, sum.1 + spent);
        }
    }
    let mut booked = budgets::booked(conn, day).await?;
    for key in counted.keys() {
        booked.entry(key.clone()).or_default();
    }
    Ok(booked
        .into_iter()
        .filter_map(|(key, (reserved, spent))| {
            let (ledger_reserved, ledger_spent) = counted.get(&key).copied().unwrap_or_default();
            let (scope, workspace, engine) = key;
            let differs = (reserved, spent) != (ledger_reserved, ledger_spent);
            differs.then_some(Difference {
                scope,
                workspace,
                engine,
                reserved,
                spent,
                ledger_reserved,
                ledger_spent,
            })
        })
        .collect())
}
