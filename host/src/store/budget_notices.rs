//! Says once a day and budget that it runs low or is used up.

use super::{
    Conn,
    budgets::{Books, Key, Level, Policy, Scope, State},
    bulk::Rows,
    events::{self, EventType, NewEvent},
};
use crate::{Result, ids::WorkspaceId};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::json;
use uuid::Uuid;

/// Writes events for the budgets in `books` that have come to an end or close to it. The books are
/// posted: their rows are locked, so that no other transaction says the same.
///
/// What the platform's budget comes to is no tenant's business.
pub async fn tell(
    conn: &mut Conn,
    books: &Books,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<()> {
    let notices: Vec<(&Key, &Level, &'static str)> = books
        .levels
        .iter()
        .filter(|(key, level)| key.scope != Scope::Platform && level.limit.is_some())
        .filter_map(|(key, level)| {
            let word = match level.state(policy) {
                State::Stopped => "exceeded",
                _ if books.full.contains(key) => "exceeded",
                State::Throttled => "throttled",
                State::Normal => return None,
            };
            Some((key, level, word))
        })
        .collect();
    let new: Vec<(String, Uuid, String, NaiveDate)> = Rows::new(&notices)
        .column("scope", |(key, ..)| key.scope.as_str())
        .column("workspace_id", |(key, ..)| key.workspace)
        .column("engine", |(key, ..)| key.engine.as_str())
        .column("day", |(key, ..)| key.day)
        .column("told", |(.., word)| *word)
        .fetch(
            conn,
            "UPDATE budget_days SET told = v.told
             FROM v WHERE budget_days.scope = v.scope
               AND budget_days.workspace_id = v.workspace_id
               AND budget_days.engine = v.engine AND budget_days.day = v.day
               AND (budget_days.told IS NULL
                    OR (budget_days.told = 'throttled' AND v.told = 'exceeded'))
             RETURNING budget_days.scope, budget_days.workspace_id, budget_days.engine,
                       budget_days.day",
        )
        .await?;
    let is_new = |key: &Key| {
        new.iter().any(|(scope, workspace, engine, day)| {
            *scope == key.scope.as_str()
                && *workspace == key.workspace
                && *engine == key.engine
                && *day == key.day
        })
    };
    let events: Vec<_> = notices
        .iter()
        .filter(|(key, ..)| is_new(key))
        .map(|(key, level, word)| event(key, level, word))
        .collect();
    events::insert(conn, &events, now).await
}

fn event(key: &Key, level: &Level, word: &str) -> NewEvent {
    let workspace = WorkspaceId(key.workspace);
    let kind =
        if word == "exceeded" { EventType::BudgetExceeded } else { EventType::BudgetThrottled };
    let mut data = json!({
        "scope": key.scope.as_str(),
        "day": key.day,
        "limit_micros": level.limit,
        "spent_micros": level.spent,
        "reserved_micros": level.reserved,
    });
    let engine = key.scope == Scope::Engine;
    if engine {
        data["engine"] = key.engine.as_str().into();
    }
    let subject = if engine { key.engine.clone() } else { key.workspace.to_string() };
    NewEvent::new(workspace, kind, subject, data)
}
