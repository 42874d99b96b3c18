//! What an export holds: which tables, which columns, in which order.
//!
//! **Invariant:** a column is exported because it stands here. Secrets, hashes and what the
//! platform needs for itself do not.

use super::{Conn, on_db, raw_payloads};
use crate::{Result, ids::WorkspaceId};
use anyhow::Context;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::Value;
use sqlx::{QueryBuilder, Row as _, postgres::PgRow, sqlite::SqliteRow, types::Json};
use uuid::Uuid;

/// A table of the export.
pub struct Section {
    /// Its files are called so.
    pub name: &'static str,
    /// Where the rows come from; `k` is the table whose ids order the pages.
    from: &'static str,
    pages: Pages,
    order: &'static str,
    columns: &'static [(&'static str, &'static str, Kind)],
}

/// How the rows of a section are read in pieces.
#[derive(Debug, Clone, Copy)]
enum Pages {
    /// They are few: at once.
    Whole,
    /// By the ids of this table.
    Ids(&'static str),
    /// By the numbers that are the ids of this table.
    Numbers(&'static str),
    /// By the digests of this table, whose rows are as large as they say.
    Digests(&'static str),
}

/// The last row of a page.
#[derive(Debug, Clone)]
pub enum Mark {
    Id(Uuid),
    Number(i64),
    Digest(Vec<u8>),
}

/// Bytes of documents that are read at once; a single one may be larger.
const DOCUMENTS: i64 = 8 << 20;

/// How a column is read.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Id,
    Text,
    Number,
    Flag,
    Time,
    Day,
    Document,
    Bytes,
    /// A compressed document.
    Packed,
}
use Kind::{Bytes, Day, Document, Flag, Id, Number, Packed, Text, Time};

/// Everything that belongs to a workspace and was not made by the platform for itself.
pub const SECTIONS: &[Section] = &[
    Section {
        name: "workspace",
        from: "workspaces k WHERE k.id = $1",
        pages: Pages::Whole,
        order: "k.id",
        columns: &[
            ("id", "k.id", Id),
            ("name", "k.name", Text),
            ("timezone", "k.timezone", Text),
            ("synthetic", "k.synthetic", Flag),
            ("daily_budget_micros", "k.daily_budget_micros", Number),
            ("created_at", "k.created_at", Time),
        ],
    },
    Section {
        name: "brands",
        from: "brands k WHERE k.workspace_id = $1",
        pages: Pages::Ids("brands"),
        order: "k.id",
        columns: &[
            ("id", "k.id", Id),
            ("name", "k.name", Text),
            ("kind", "k.kind", Text),
            ("aliases", "k.aliases", Document),
            ("domains", "k.domains", Document),
            ("archived_at", "k.archived_at", Time),
            ("created_at", "k.created_at", Time),
            ("updated_at", "k.updated_at", Time),
        ],
    },
    Section {
        name: "brand_facts",
        from: "brand_facts k WHERE k.workspace_id = $1",
        pages: Pages::Whole,
        order: "k.brand_id, k.version",
        columns: &[
            ("brand_id", "k.brand_id", Id),
            ("version", "k.version", Number),
            ("facts", "k.facts", Document),
            ("created_by", "k.created_by", Text),
            ("created_at", "k.created_at", Time),
        ],
    },
    Section {
        name: "intents",
        from: "intents k WHERE k.workspace_id = $1",
        pages: Pages::Ids("intents"),
        order: "k.id",
        columns: &[
            ("id", "k.id", Id),
            ("name", "k.name", Text),
            ("kind", "k.kind", Text),
            ("description", "k.description", Text),
            ("created_at", "k.created_at", Time),
        ],
    },
    Section {
        name: "topics",
        from: "topics k WHERE k.workspace_id = $1",
        pages: Pages::Ids("topics"),
        order: "k.id",
        columns: &[
            ("id", "k.id", Id),
            ("name", "k.name", Text),
            ("description", "k.description", Text),
            ("created_at", "k.created_at", Time),
        ],
    },
    Section {
        name: "personas",
        from: "personas k WHERE k.workspace_id = $1",
        pages: Pages::Ids("personas"),
        order: "k.id",
        columns: &[
            ("id", "k.id", Id),
            ("name", "k.name", Text),
            ("description", "k.description", Text),
            ("context", "k.context", Text),
            ("created_at", "k.created_at", Time),
        ],
    },
    Section {
        name: "prompts",
        from: "prompts k WHERE k.workspace_id = $1",
        pages: Pages::Ids("prompts"),
        order: "k.id",
        columns: &[
            ("id", "k.id", Id),
            ("intent_id", "k.intent_id", Id),
            ("topic_id", "k.topic_id", Id),
            ("persona_id", "k.persona_id", Id),
            ("version_id", "k.version_id", Id),
            ("text", "k.text", Text),
            ("language", "k.language", Text),
            ("country", "k.country", Text),
            ("location", "k.location", Text),
            ("tags", "k.tags", Document),
            ("active", "k.active", Flag),
            ("archived_at", "k.archived_at", Time),
            ("created_at", "k.created_at", Time),
            ("updated_at", "k.updated_at", Time),
        ],
    },
    Section {
        name: "prompt_versions",
        from: "prompt_versions k WHERE k.workspace_id = $1",
        pages: Pages::Ids("prompt_versions"),
        order: "k.id",
        columns: &[
            ("id", "k.id", Id),
            ("prompt_id", "k.prompt_id", Id),
            ("version", "k.version", Number),
            ("text", "k.text", Text),
            ("persona_id", "k.persona_id", Id),
            ("context", "k.context", Text),
            ("created_at", "k.created_at", Time),
        ],
    },
    Section {
        name: "engines",
        from: "engines k WHERE k.workspace_id = $1",
        pages: Pages::Whole,
        order: "k.key",
        columns: &[
            ("key", "k.key", Text),
            ("enabled", "k.enabled", Flag),
            ("surface", "k.surface", Text),
            ("model", "k.model", Text),
            ("language", "k.language", Text),
            ("country", "k.country", Text),
            ("location", "k.location", Text),
            ("device", "k.device", Text),
            ("config", "k.config", Document),
            ("concurrency", "k.concurrency", Number),
            ("daily_budget_micros", "k.daily_budget_micros", Number),
            ("allow_research", "k.allow_research", Flag),
            ("created_at", "k.created_at", Time),
            ("updated_at", "k.updated_at", Time),
        ],
    },
    Section {
        name: "schedules",
        from: "schedules k WHERE k.workspace_id = $1",
        pages: Pages::Whole,
        order: "k.id",
        columns: &[
            ("id", "k.id", Id),
            ("name", "k.name", Text),
            ("queue", "k.queue", Text),
            ("cron", "k.cron", Text),
            ("timezone", "k.timezone", Text),
            ("payload", "k.payload", Document),
            ("enabled", "k.enabled", Flag),
            ("created_at", "k.created_at", Time),
            ("updated_at", "k.updated_at", Time),
        ],
    },
    Section {
        name: "batches",
        from: "batches k WHERE k.workspace_id = $1",
        pages: Pages::Ids("batches"),
        order: "k.id",
        columns: &[
            ("id", "k.id", Id),
            ("state", "k.state", Text),
            ("slot", "k.slot", Text),
            ("samples", "k.samples", Number),
            ("selection", "k.selection", Document),
            ("planned", "k.planned", Number),
            ("estimated_micros", "k.estimated_micros", Number),
            ("created_by", "k.created_by", Text),
            ("created_at", "k.created_at", Time),
            ("finished_at", "k.finished_at", Time),
        ],
    },
    Section {
        name: "runs",
        from: "runs k WHERE k.workspace_id = $1",
        pages: Pages::Ids("runs"),
        order: "k.id",
        columns: &[
            ("id", "k.id", Id),
            ("batch_id", "k.batch_id", Id),
            ("prompt_id", "k.prompt_id", Id),
            ("prompt_version_id", "k.prompt_version_id", Id),
            ("engine", "k.engine", Text),
            ("sample", "k.sample", Number),
            ("slot", "k.slot", Text),
            ("synthetic", "k.synthetic", Flag),
            ("state", "k.state", Text),
            ("outcome", "k.outcome", Text),
            ("reason", "k.reason", Text),
            ("error_kind", "k.error_kind", Text),
            ("cost_micros", "k.cost_micros", Number),
            ("day", "k.day", Day),
            ("created_at", "k.created_at", Time),
            ("finished_at", "k.finished_at", Time),
        ],
    },
    Section {
        name: "answers",
        from: "runs k JOIN answers a ON a.run_number = k.number WHERE k.workspace_id = $1",
        pages: Pages::Ids("runs"),
        order: "k.id",
        columns: &[
            ("run_id", "k.id", Id),
            ("text", "a.text", Text),
            ("passport", "a.passport", Document),
            ("related_questions", "a.related", Document),
            ("raw_digest", "a.raw_digest", Bytes),
            ("analysis_version", "a.analysis_version", Number),
            ("created_at", "a.created_at", Time),
        ],
    },
    Section {
        name: "mentions",
        from: "runs k JOIN mentions m ON m.run_number = k.number
               JOIN brands b ON b.number = m.brand WHERE k.workspace_id = $1",
        pages: Pages::Ids("runs"),
        order: "k.id, m.start",
        columns: &[
            ("run_id", "k.id", Id),
            ("brand_id", "b.id", Id),
            ("start", "m.start", Number),
            ("length", "m.length", Number),
            ("rank", "m.rank", Number),
            ("list_position", "m.list_position", Number),
            ("recommended", "m.recommended", Flag),
            ("sentiment", "m.sentiment", Number),
        ],
    },
    Section {
        name: "citations",
        from: "runs k JOIN citations c ON c.run_number = k.number
               JOIN domains d ON d.number = c.domain
               LEFT JOIN brands b ON b.number = c.brand WHERE k.workspace_id = $1",
        pages: Pages::Ids("runs"),
        order: "k.id, c.position",
        columns: &[
            ("run_id", "k.id", Id),
            ("position", "c.position", Number),
            ("url", "c.url", Text),
            ("domain", "d.name", Text),
            ("title", "c.title", Text),
            ("kind", "c.kind", Text),
            ("origin", "c.origin", Text),
            ("visible", "c.visible", Flag),
            ("brand_id", "b.id", Id),
            ("markers", "c.markers", Document),
            ("published", "c.published", Text),
        ],
    },
    Section {
        name: "cost_ledger",
        from: "runs k JOIN cost_ledger l ON l.run_id = k.id WHERE k.workspace_id = $1",
        pages: Pages::Ids("runs"),
        order: "k.id, l.attempt, l.kind",
        columns: &[
            ("id", "l.id", Id),
            ("run_id", "l.run_id", Id),
            ("attempt", "l.attempt", Number),
            ("kind", "l.kind", Text),
            ("engine", "l.engine", Text),
            ("micros", "l.micros", Number),
            ("basis", "l.basis", Text),
            ("synthetic", "l.synthetic", Flag),
            ("day", "l.day", Day),
            ("created_at", "l.created_at", Time),
        ],
    },
];

/// What an export holds when it is asked for by the name of its section.
pub const ON_REQUEST: &[Section] = &[
    Section {
        name: "audit_log",
        from: "audit_logs k WHERE k.workspace_id = $1",
        pages: Pages::Numbers("audit_logs"),
        order: "k.id",
        columns: &[
            ("id", "k.id", Number),
            ("actor", "k.actor", Text),
            ("action", "k.action", Text),
            ("resource_type", "k.resource_type", Text),
            ("resource_id", "k.resource_id", Text),
            ("payload", "k.payload", Document),
            ("request_id", "k.request_id", Text),
            ("created_at", "k.created_at", Time),
        ],
    },
    Section {
        name: "raw_payloads",
        from: "raw_payloads k WHERE k.workspace_id = $1",
        pages: Pages::Digests("raw_payloads"),
        order: "k.digest",
        columns: &[
            ("digest", "k.digest", Bytes),
            ("size", "k.size", Number),
            ("created_at", "k.created_at", Time),
            ("document", "k.bytes", Packed),
        ],
    },
];

impl Section {
    /// Names of the columns, in their order.
    pub fn columns(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.columns.iter().map(|(name, ..)| *name)
    }
}

/// Binds a mark, whichever it is.
macro_rules! bind_mark {
    ($query:expr, $mark:expr) => {
        match $mark {
            Mark::Id(id) => $query.bind(id),
            Mark::Number(number) => $query.bind(number),
            Mark::Digest(digest) => $query.bind(digest),
        }
    };
}

/// The last of the next ids of a table, whatever these are.
macro_rules! last_id {
    ($conn:ident, $id:ty, $table:ident, $workspace:ident, $after:ident, $limit:ident) => {{
        let ids = format!(
            "SELECT id FROM {} WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3",
            $table
        );
        let ids: Vec<$id> = on_db!($conn, |c| QueryBuilder::new(ids)
            .build_query_scalar()
            .bind($workspace)
            .bind($after)
            .bind($limit)
            .fetch_all(c)
            .await)?;
        ids.last().copied()
    }};
}

/// The last of the next `limit` rows after `after`, or of fewer when they are large; `None` when
/// there is none.
async fn next_mark(
    conn: &mut Conn,
    pages: Pages,
    workspace: WorkspaceId,
    after: &Mark,
    limit: i64,
) -> Result<Option<Mark>> {
    Ok(match (pages, after) {
        (Pages::Ids(table), Mark::Id(after)) => {
            last_id!(conn, Uuid, table, workspace, after, limit).map(Mark::Id)
        }
        (Pages::Numbers(table), Mark::Number(after)) => {
            last_id!(conn, i64, table, workspace, after, limit).map(Mark::Number)
        }
        (Pages::Digests(table), Mark::Digest(after)) => {
            let sizes = format!(
                "SELECT digest, size FROM {table} WHERE workspace_id = $1 AND digest > $2
                 ORDER BY digest LIMIT $3"
            );
            let sizes: Vec<(Vec<u8>, i64)> = on_db!(conn, |c| QueryBuilder::new(sizes)
                .build_query_as()
                .bind(workspace)
                .bind(after)
                .bind(limit)
                .fetch_all(c)
                .await)?;
            let (mut sum, mut last) = (0_i64, None);
            for (digest, size) in sizes {
                sum = sum.saturating_add(size);
                if last.is_some() && sum > DOCUMENTS {
                    break;
                }
                last = Some(Mark::Digest(digest));
            }
            last
        }
        _ => None,
    })
}

impl Pages {
    /// Before the first row.
    fn start(self) -> Option<Mark> {
        match self {
            Pages::Whole => None,
            Pages::Ids(_) => Some(Mark::Id(Uuid::nil())),
            Pages::Numbers(_) => Some(Mark::Number(0)),
            Pages::Digests(_) => Some(Mark::Digest(vec![])),
        }
    }

    const fn key(self) -> &'static str {
        if matches!(self, Pages::Digests(_)) { "k.digest" } else { "k.id" }
    }
}

/// The rows of the `limit` keys after `after` (from the first when `None`), fewer when they are
/// large, and the last of these keys; `None` when there is none after it, or the rows are not read
/// by pages.
pub async fn page(
    conn: &mut Conn,
    section: &Section,
    workspace: WorkspaceId,
    after: Option<Mark>,
    limit: i64,
) -> Result<(Vec<Vec<Value>>, Option<Mark>)> {
    let mut bounds = None;
    if let Some(after) = after.or(section.pages.start()) {
        let last = next_mark(conn, section.pages, workspace, &after, limit).await?;
        let Some(last) = last else { return Ok((vec![], None)) };
        bounds = Some([after, last]);
    }
    let columns: Vec<&str> = section.columns.iter().map(|(_, column, _)| *column).collect();
    let key = section.pages.key();
    let range =
        bounds.as_ref().map_or_else(String::new, |_| format!(" AND {key} > $2 AND {key} <= $3"));
    let (columns, from, order) = (columns.join(", "), section.from, section.order);
    let sql = format!("SELECT {columns} FROM {from}{range} ORDER BY {order}");
    let kinds: Vec<Kind> = section.columns.iter().map(|(.., kind)| *kind).collect();
    let rows = on_db!(conn,
    postgres: |c| {
        let mut query = QueryBuilder::new(sql);
        let mut query = query.build().bind(workspace);
        for bound in bounds.iter().flatten() {
            query = bind_mark!(query, bound);
        }
        let rows = query.fetch_all(c).await?;
        rows.iter().map(|row| of_postgres(row, &kinds)).collect::<Result<_>>()?
    },
    sqlite: |c| {
        let mut query = QueryBuilder::new(sql);
        let mut query = query.build().bind(workspace);
        for bound in bounds.iter().flatten() {
            query = bind_mark!(query, bound);
        }
        let rows = query.fetch_all(c).await?;
        rows.iter().map(|row| of_sqlite(row, &kinds)).collect::<Result<_>>()?
    });
    Ok((rows, bounds.map(|[_, last]| last)))
}

macro_rules! reader {
    ($name:ident, $row:ty) => {
        fn $name(row: &$row, kinds: &[Kind]) -> Result<Vec<Value>> {
            let of = |index: usize, kind: &Kind| -> Result<Value> {
                Ok(match kind {
                    Id => row.try_get::<Option<Uuid>, _>(index)?.map(|id| id.to_string()).into(),
                    Text => row.try_get::<Option<String>, _>(index)?.into(),
                    Number => row.try_get::<Option<i64>, _>(index)?.into(),
                    Flag => row.try_get::<Option<bool>, _>(index)?.into(),
                    Time => row.try_get::<Option<DateTime<Utc>>, _>(index)?.map(written).into(),
                    Day => {
                        let day = row.try_get::<Option<NaiveDate>, _>(index)?;
                        day.map(|day| day.to_string()).into()
                    }
                    Document => {
                        row.try_get::<Option<Json<Value>>, _>(index)?.map_or(Value::Null, |j| j.0)
                    }
                    Bytes => row.try_get::<Option<Vec<u8>>, _>(index)?.map(hex::encode).into(),
                    Packed => {
                        let document = raw_payloads::unpack(&row.try_get::<Vec<u8>, _>(index)?)?;
                        serde_json::from_slice(&document).context("read a stored raw answer")?
                    }
                })
            };
            kinds.iter().enumerate().map(|(index, kind)| of(index, kind)).collect()
        }
    };
}
reader!(of_postgres, PgRow);
reader!(of_sqlite, SqliteRow);

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
