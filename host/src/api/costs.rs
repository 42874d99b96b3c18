use super::{
    Caller, Problem, Tag,
    window::{Days, Period, window},
};
use crate::{
    App,
    store::{
        costs::{self, CostSum},
        workspaces,
    },
};
use chrono::NaiveDate;
use poem_openapi::{Enum, Object, OpenApi, param::Query, payload::Json};

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
