use super::{Conn, on_db};
use crate::{Error, Result, ids::WorkspaceId};
use chrono::{DateTime, NaiveDate, TimeZone, Utc};
use chrono_tz::Tz;
use sqlx::{FromRow, query, query_as};

/// A tenant: owns brands, prompts, engines, budgets and data.
#[derive(Debug, Clone, FromRow)]
pub struct Workspace {
    pub id: WorkspaceId,
    pub name: String,
    /// IANA name; day boundaries are taken in it.
    pub timezone: String,
    pub synthetic: bool,
    pub daily_budget_micros: Option<i64>,
    pub brands_version: i64,
    /// Grows with each change of the settings; the ETag.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Workspace {
    pub fn new(name: impl Into<String>, synthetic: bool, now: DateTime<Utc>) -> Self {
        Workspace {
            id: WorkspaceId::generate(),
            name: name.into(),
            timezone: "UTC".into(),
            synthetic,
            daily_budget_micros: None,
            brands_version: 1,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }

    /// The calendar day of `at` where the workspace is.
    pub fn day(&self, at: DateTime<Utc>) -> NaiveDate {
        day_in(&self.timezone, at)
    }
}

/// The calendar day of `at` in an IANA time zone, in UTC when there is no such zone.
pub fn day_in(timezone: &str, at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&timezone.parse().unwrap_or(Tz::UTC)).date_naive()
}

/// When the next calendar day begins there; `None` when the calendar does not say.
pub fn next_day(timezone: &str, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let zone: Tz = timezone.parse().unwrap_or(Tz::UTC);
    let tomorrow = at.with_timezone(&zone).date_naive().succ_opt()?;
    // Where a clock is set forward at midnight, the day begins an hour later.
    (0..=3)
        .filter_map(|hour| zone.from_local_datetime(&tomorrow.and_hms_opt(hour, 0, 0)?).earliest())
        .map(|begin| begin.with_timezone(&Utc))
        .next()
}

pub async fn insert(conn: &mut Conn, workspace: &Workspace) -> Result<()> {
    let Workspace {
        id,
        name,
        timezone,
        synthetic,
        daily_budget_micros,
        brands_version,
        version,
        created_at,
        updated_at,
    } = workspace;
    on_db!(conn, |c| query(
        "INSERT INTO workspaces (id, name, timezone, synthetic, daily_budget_micros,
                                 brands_version, version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(id)
    .bind(name)
    .bind(timezone)
    .bind(synthetic)
    .bind(daily_budget_micros)
    .bind(brands_version)
    .bind(version)
    .bind(created_at)
    .bind(updated_at)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}

pub async fn find(conn: &mut Conn, id: WorkspaceId) -> Result<Workspace> {
    on_db!(conn, |c| query_as("SELECT * FROM workspaces WHERE id = $1")
        .bind(id)
        .fetch_optional(c)
        .await)?
    .ok_or(Error::NotFound("workspace"))
}

/// The page of all workspaces that follows `after`, oldest first. For platform operators only.
pub async fn list(
    conn: &mut Conn,
    after: Option<WorkspaceId>,
    limit: i64,
) -> Result<Vec<Workspace>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM workspaces WHERE ($1 IS NULL OR id > $1) ORDER BY id LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

pub async fn count(conn: &mut Conn) -> Result<i64> {
    Ok(on_db!(conn, |c| sqlx::query_scalar("SELECT COUNT(*) FROM workspaces").fetch_one(c).await)?)
}

/// Settings to change; a missing one stays.
#[derive(Debug, Clone, Default)]
pub struct WorkspacePatch {
    pub name: Option<String>,
    pub timezone: Option<String>,
    /// `Some(None)` removes the limit.
    pub daily_budget_micros: Option<Option<i64>>,
}

/// Changes the settings when they are still at `expected` (any version when `None`).
pub async fn update(
    conn: &mut Conn,
    id: WorkspaceId,
    expected: Option<i64>,
    patch: WorkspacePatch,
    now: DateTime<Utc>,
) -> Result<Workspace> {
    let WorkspacePatch { name, timezone, daily_budget_micros } = patch;
    let found: Option<Workspace> = on_db!(conn, |c| query_as(
        "UPDATE workspaces
         SET name = COALESCE($3, name), timezone = COALESCE($4, timezone),
             daily_budget_micros = CASE WHEN $5 THEN $6 ELSE daily_budget_micros END,
             version = version + 1, updated_at = $7
         WHERE id = $1 AND ($2 IS NULL OR version = $2)
         RETURNING *",
    )
    .bind(id)
    .bind(expected)
    .bind(&name)
    .bind(&timezone)
    .bind(daily_budget_micros.is_some())
    .bind(daily_budget_micros.flatten())
    .bind(now)
    .fetch_optional(c)
    .await)?;
    match found {
        Some(workspace) => Ok(workspace),
        None => find(conn, id).await.and(Err(Error::Changed("workspace"))),
    }
}

/// Notes that the tracked brands changed: answers analysed before are out of date.
pub async fn bump_brands_version(conn: &mut Conn, id: WorkspaceId) -> Result<()> {
    on_db!(conn, |c| query(
        "UPDATE workspaces SET brands_version = brands_version + 1 WHERE id = $1",
    )
    .bind(id)
    .execute(c)
    .await
    .map(drop))?;
    Ok(())
}
