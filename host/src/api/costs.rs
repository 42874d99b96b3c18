use super::{
    Caller, Paging, Problem, Tag,
    download::{CSV, Csv, Download, csv_lines, parts},
    page,
    types::Timestamp,
    window::{Days, Period, window},
};
use crate::{
    App, Result,
    ids::WorkspaceId,
    metrics::Window,
    store::{
        costs::{self, CostSum, LedgerEntry, LedgerFilter, LedgerKey},
        workspaces,
    },
};
use bytes::Bytes;
use chrono::{NaiveDate, SecondsFormat};
use poem_openapi::{Enum, Object, OpenApi, param::Query, payload::Json};
use std::sync::Arc;
use uuid::Uuid;

/// What costs are added up by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum GroupBy {
    #[default]
    Day,
    Engine,
}

/// What a window cost.
#[derive(Object)]
struct CostList {
    window: Days,
    group_by: GroupBy,
    /// Millionths of a US dollar.
    total_micros: i64,
    data: Vec<Cost>,
}

/// What a day or an engine cost.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Cost {
    /// In the workspace's time zone.
    day: Option<NaiveDate>,
    /// Key of the engine.
    engine: Option<String>,
    /// Millionths of a US dollar.
    #[oai(rename = "cost_micros")]
    micros: i64,
    /// Paid calls.
    calls: i64,
}

/// A line of the ledger. Lines are added and never changed.
#[derive(Object)]
struct LedgerLine {
    id: Uuid,
    run_id: Uuid,
    /// Number of the call within its run.
    attempt: i64,
    kind: LedgerKind,
    /// Key of the engine.
    engine: String,
    /// Millionths of a US dollar.
    #[oai(rename = "cost_micros")]
    micros: i64,
    /// How it is known: `reported`, `computed`, `estimated` or `unknown`.
    basis: String,
    /// Of a recording: nothing was paid.
    synthetic: bool,
    /// In the workspace's time zone.
    day: NaiveDate,
    created_at: Timestamp,
}

/// What a line of the ledger says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum LedgerKind {
    /// A call was about to be made: what it costs as a rule was put aside.
    Reserve,
    /// The call was made: what it did cost.
    Settle,
    /// The call cost nothing: what was put aside is free again.
    Release,
}

page! {
    /// A page of the cost ledger, newest day first.
    LedgerPage of LedgerLine
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Costs")]
impl Api {
    /// List the costs
    ///
    /// From the ledger, by day or by engine.
    #[oai(path = "/costs", method = "get", operation_id = "list_costs")]
    async fn list(
        &self,
        caller: Caller,
        /// The last days; 30 when no window is named.
        period: Query<Option<Period>>,
        /// First day, instead of `period`.
        from: Query<Option<NaiveDate>>,
        /// Last day; today when absent. At most 366 days.
        to: Query<Option<NaiveDate>>,
        /// What to add up by.
        #[oai(default)]
        group_by: Query<GroupBy>,
    ) -> Result<Json<CostList>, Problem> {
        let mut conn = self.0.store.read().await?;
        let workspace = workspaces::find(&mut conn, caller.workspace).await?;
        let window = window(&workspace, self.0.clock.now(), period.0, from.0, to.0)?;
        let rows =
            costs::by_day_and_engine(&mut conn, caller.workspace, window.from, window.to).await?;
        Ok(Json(CostList {
            window: window.into(),
            group_by: group_by.0,
            total_micros: rows.iter().map(|row| row.micros).sum(),
            data: add_up(rows, group_by.0),
        }))
    }
    /// List the cost ledger
    ///
    /// Every line, the newest day first: what was reserved for a call, and what it cost.
    #[oai(path = "/costs/ledger", method = "get", operation_id = "list_ledger")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn ledger(
        &self,
        caller: Caller,
        /// The last days; 30 when no window is named.
        period: Query<Option<Period>>,
        /// First day, instead of `period`.
        from: Query<Option<NaiveDate>>,
        /// Last day; today when absent. At most 366 days.
        to: Query<Option<NaiveDate>>,
        /// Only this engine.
        engine: Query<Option<String>>,
        /// Only lines of this kind.
        kind: Query<Option<LedgerKind>>,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<LedgerPage>, Problem> {
        let mut conn = self.0.store.read().await?;
        let workspace = workspaces::find(&mut conn, caller.workspace).await?;
        let window = window(&workspace, self.0.clock.now(), period.0, from.0, to.0)?;
        let filter = filter(window, engine.0, kind.0);
        let cursor = cursor.0.as_deref();
        let page = Paging::open(&self.0, &caller, "ledger", &filter, limit.0, cursor)?;
        let (after, fetch) = (page.after, page.fetch());
        let rows = costs::ledger(&mut conn, caller.workspace, &filter, after, fetch).await?;
        Ok(Json(page.close(rows, |row| (row.day, row.id))?.into()))
    }

    /// Export the cost ledger
    ///
    /// As CSV, streamed while it is read: there is no limit to its length.
    #[oai(path = "/costs/ledger/export", method = "get", operation_id = "export_ledger")]
    async fn export(
        &self,
        caller: Caller,
        /// The last days; 30 when no window is named.
        period: Query<Option<Period>>,
        /// First day, instead of `period`.
        from: Query<Option<NaiveDate>>,
        /// Last day; today when absent. At most 366 days.
        to: Query<Option<NaiveDate>>,
        /// Only this engine.
        engine: Query<Option<String>>,
        /// Only lines of this kind.
        kind: Query<Option<LedgerKind>>,
    ) -> Result<Download<Csv>, Problem> {
        let mut conn = self.0.store.read().await?;
        let workspace = workspaces::find(&mut conn, caller.workspace).await?;
        drop(conn);
        let window = window(&workspace, self.0.clock.now(), period.0, from.0, to.0)?;
        let filter = Arc::new(filter(window, engine.0, kind.0));
        let name = format!("ledger-{}-{}.csv", window.from, window.to);
        let (app, id) = (self.0.clone(), caller.workspace);
        let parts = parts(At::Start, move |at| {
            let (app, filter) = (app.clone(), Arc::clone(&filter));
            async move { part(&app, id, &filter, at).await }
        });
        Ok(Download::streamed(name, CSV, parts))
    }
}

fn filter(window: Window, engine: Option<String>, kind: Option<LedgerKind>) -> LedgerFilter {
    let kind = kind.map(|kind| kind.as_str().to_owned());
    LedgerFilter { from: window.from, to: window.to, engine, kind }
}

impl From<LedgerEntry> for LedgerLine {
    fn from(entry: LedgerEntry) -> Self {
        let LedgerEntry {
            id,
            workspace_id: _,
            run_id,
            attempt,
            kind,
            engine,
            micros,
            basis,
            synthetic,
            day,
            created_at,
        } = entry;
        LedgerLine {
            id: id.0,
            run_id: run_id.0,
            attempt,
            kind: match kind.as_str() {
                "reserve" => LedgerKind::Reserve,
                "release" => LedgerKind::Release,
                _ => LedgerKind::Settle,
            },
            engine,
            micros,
            basis,
            synthetic,
            day,
            created_at: created_at.into(),
        }
    }
}

impl LedgerKind {
    fn as_str(self) -> &'static str {
        match self {
            LedgerKind::Reserve => "reserve",
            LedgerKind::Settle => "settle",
            LedgerKind::Release => "release",
        }
    }
}

const COLUMNS: [&str; 10] = [
    "day",
    "created_at",
    "engine",
    "kind",
    "cost_micros",
    "basis",
    "run_id",
    "attempt",
    "synthetic",
    "id",
];

fn cells(entry: LedgerEntry) -> [String; 10] {
    [
        entry.day.to_string(),
        entry.created_at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        entry.engine,
        entry.kind,
        entry.micros.to_string(),
        entry.basis,
        entry.run_id.to_string(),
        entry.attempt.to_string(),
        entry.synthetic.to_string(),
        entry.id.to_string(),
    ]
}

/// Lines of one part of the file.
const PART: i64 = 1000;

/// How far the file is.
enum At {
    Start,
    After(LedgerKey),
    End,
}

/// The part of the file that follows; each has a connection for itself, so that a slow reader
/// holds none.
async fn part(
    app: &App,
    workspace: WorkspaceId,
    filter: &LedgerFilter,
    at: At,
) -> Result<Option<(Bytes, At)>> {
    let (header, before) = match at {
        At::Start => (Some(COLUMNS.map(str::to_owned)), None),
        At::After(key) => (None, Some(key)),
        At::End => return Ok(None),
    };
    let mut conn = app.store.read().await?;
    let rows = costs::ledger(&mut conn, workspace, filter, before, PART).await?;
    drop(conn);
    let next = match rows.last() {
        Some(last) if i64::try_from(rows.len()) == Ok(PART) => At::After((last.day, last.id)),
        _ => At::End,
    };
    let lines = csv_lines(header.into_iter().chain(rows.into_iter().map(cells)))?;
    Ok(Some((lines.into(), next)))
}

/// One line for each day or engine, in order.
fn add_up(mut rows: Vec<CostSum>, by: GroupBy) -> Vec<Cost> {
    let same: fn(&Cost, &CostSum) -> bool = match by {
        GroupBy::Day => |cost, row| cost.day == row.day,
        GroupBy::Engine => |cost, row| cost.engine == row.engine,
    };
    match by {
        GroupBy::Day => rows.sort_by_key(|row| row.day),
        GroupBy::Engine => rows.sort_by(|a, b| a.engine.cmp(&b.engine)),
    }
    let mut costs: Vec<Cost> = Vec::new();
    for row in rows {
        match costs.last_mut() {
            Some(cost) if same(cost, &row) => {
                cost.micros += row.micros;
                cost.calls += row.calls;
            }
            _ => costs.push(Cost {
                day: row.day.filter(|_| by == GroupBy::Day),
                engine: row.engine.filter(|_| by == GroupBy::Engine),
                micros: row.micros,
                calls: row.calls,
            }),
        }
    }
    costs
}
