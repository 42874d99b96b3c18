use super::{Conn, on_db, workspaces};
use crate::{
    Error, Result,
    error::Expected,
    ids::{BrandId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, query, query_as, types::Json};

/// A tracked brand.
#[derive(Debug, Clone, FromRow)]
pub struct Brand {
    /// What mentions and counts call it; given by the database.
    pub number: i64,
    pub id: BrandId,
    pub workspace_id: WorkspaceId,
    pub name: String,
    pub kind: BrandKind,
    /// How texts call it; the name itself is always one.
    pub aliases: Json<Vec<Alias>>,
    /// Its sites, as registrable domains or hosts.
    pub domains: Json<Vec<String>>,
    pub archived_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type, Serialize, Deserialize)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum BrandKind {
    /// The workspace's own.
    Own,
    Competitor,
}

/// One way in which texts call a brand, with what guards it against mistakes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    pub text: String,
    /// For names that are common words: only with a capital.
    #[serde(default)]
    pub require_capital: bool,
    /// One of these must stand nearby.
    #[serde(default)]
    pub must_have_near: Vec<String>,
    /// None of these may stand right before it.
    #[serde(default)]
    pub forbidden_before: Vec<String>,
    /// None of these may stand right after it.
    #[serde(default)]
    pub forbidden_after: Vec<String>,
}

impl Alias {
    /// An alias without guards.
    pub fn plain(text: impl Into<String>) -> Self {
        Alias {
            text: text.into(),
            require_capital: false,
            must_have_near: vec![],
            forbidden_before: vec![],
            forbidden_after: vec![],
        }
    }
}

/// A brand to create or to replace one with.
#[derive(Debug, Clone)]
pub struct NewBrand {
    pub name: String,
    pub kind: BrandKind,
    pub aliases: Vec<Alias>,
    pub domains: Vec<String>,
}

pub async fn insert(
    conn: &mut Conn,
    workspace: WorkspaceId,
    new: NewBrand,
    now: DateTime<Utc>,
) -> Result<Brand> {
    let NewBrand { name, kind, aliases, domains } = new;
    let brand = on_db!(conn, |c| query_as(
        "INSERT INTO brands (id, workspace_id, name, kind, aliases, domains,
                             created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
         RETURNING *",
    )
    .bind(BrandId::generate())
    .bind(workspace)
    .bind(&name)
    .bind(kind)
    .bind(Json(&aliases))
    .bind(Json(&domains))
    .bind(now)
    .fetch_one(c)
    .await)
    .unique("brand")?;
    workspaces::bump_brands_version(conn, workspace).await?;
    Ok(brand)
}

pub async fn find(conn: &mut Conn, workspace: WorkspaceId, id: BrandId) -> Result<Brand> {
    on_db!(conn, |c| query_as(
        "SELECT * FROM brands WHERE workspace_id = $1 AND id = $2 AND archived_at IS NULL",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(c)
    .await)?
    .ok_or(Error::NotFound("brand"))
}

/// The page that follows `after`, oldest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    after: Option<BrandId>,
    limit: i64,
) -> Result<Vec<Brand>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM brands
         WHERE workspace_id = $1 AND archived_at IS NULL AND ($2 IS NULL OR id > $2)
         ORDER BY id LIMIT $3",
    )
    .bind(workspace)
    .bind(after)
    .bind(limit)
    .fetch_all(c)
    .await)?)
}

/// Every tracked brand of the workspace: the set that a share of voice is taken over.
pub async fn tracked(conn: &mut Conn, workspace: WorkspaceId) -> Result<Vec<Brand>> {
    Ok(on_db!(conn, |c| query_as(
        "SELECT * FROM brands WHERE workspace_id = $1 AND archived_at IS NULL ORDER BY number",
    )
    .bind(workspace)
    .fetch_all(c)
    .await)?)
}

/// Replaces what is known of a brand.
pub async fn update(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: BrandId,
    new: NewBrand,
    now: DateTime<Utc>,
) -> Result<Brand> {
    let NewBrand { name, kind, aliases, domains } = new;
    let brand: Option<Brand> = on_db!(conn, |c| query_as(
        "UPDATE brands SET name = $3, kind = $4, aliases = $5, domains = $6, updated_at = $7
         WHERE workspace_id = $1 AND id = $2 AND archived_at IS NULL
         RETURNING *",
    )
    .bind(workspace)
    .bind(id)
    .bind(&name)
    .bind(kind)
    .bind(Json(&aliases))
    .bind(Json(&domains))
    .bind(now)
    .fetch_optional(c)
    .await)
    .unique("brand")?;
    workspaces::bump_brands_version(conn, workspace).await?;
    brand.ok_or(Error::NotFound("brand"))
}

/// Stops tracking a brand; what was counted of it stays.
pub async fn archive(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: BrandId,
    now: DateTime<Utc>,
) -> Result<()> {
    let archived = on_db!(conn, |c| query(
        "UPDATE brands SET archived_at = $3
         WHERE workspace_id = $1 AND id = $2 AND archived_at IS NULL",
    )
    .bind(workspace)
    .bind(id)
    .bind(now)
    .execute(c)
    .await
    .map(|done| done.rows_affected()))?;
    if archived == 0 {
        return Err(Error::NotFound("brand"));
    }
    workspaces::bump_brands_version(conn, workspace).await
}
