use super::{Body, Caller, Deleted, Problem, Tag, rules::Rules, types::Timestamp};
use crate::{
    App, Error, Result,
    ids::WorkspaceId,
    jobs::budget_policy,
    store::{
        audit_logs::{self, Actor},
        budgets::{self, Scope},
        throttles::{self, Override},
        workspaces::{self, next_day},
    },
};
use chrono::NaiveDate;
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json};
use serde_json::json;
use uuid::Uuid;

/// Whose budget it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum BudgetScope {
    Platform,
    Workspace,
    Engine,
}

/// How freely may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Enum)]
#[oai(rename_all = "snake_case")]
enum SpendingState {
    Normal,
    /// Only runs that somebody waits for are made; others wait.
    Throttled,
    /// Runs are skipped, and batches are refused.
    Stopped,
}

/// What today may cost, and has cost.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Budget {
    /// How the workspace may spend: the worst of its own and the platform's state, unless an
    /// operator said otherwise. A single engine may be worse off.
    state: SpendingState,
    /// What an operator said.
    throttle: Option<Throttle>,
    /// The platform, the workspace, and each of its engines.
    levels: Vec<BudgetLevel>,
}

/// One of the budgets that a run is paid from. Money is in millionths of a US dollar.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct BudgetLevel {
    scope: BudgetScope,
    /// Key of the engine.
    engine: Option<String>,
    /// In the workspace's time zone; the platform's is in UTC.
    day: NaiveDate,
    state: SpendingState,
    /// Most that the day may cost; absent when unlimited, and for the platform.
    limit_micros: Option<i64>,
    /// What calls in flight cost as a rule; absent for the platform.
    reserved_micros: Option<i64>,
    /// What calls did cost; absent for the platform.
    spent_micros: Option<i64>,
    /// When the next day begins, with nothing spent.
    resets_at: Option<Timestamp>,
}

/// An operator's word on how a workspace may spend.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Throttle {
    state: SpendingState,
    reason: String,
    /// When it ends by itself.
    until: Option<Timestamp>,
    updated_by: String,
    updated_at: Timestamp,
}

/// How a workspace shall spend.
#[derive(Object)]
struct NewThrottle {
    /// `normal` lifts the throttling of a budget that runs low, but no limit.
    state: SpendingState,
    /// For those who wonder later; the workspace can read it.
    #[oai(validator(min_length = 1, max_length = 500))]
    reason: String,
    /// When it ends by itself; never when absent.
    until: Option<Timestamp>,
}

/// What the whole platform may spend, and has spent, today in UTC.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct PlatformBudget {
    day: NaiveDate,
    state: SpendingState,
    /// Millionths of a US dollar; absent when unlimited.
    limit_micros: Option<i64>,
    reserved_micros: i64,
    spent_micros: i64,
    resets_at: Option<Timestamp>,
}

/// What the whole platform shall spend at most.
#[derive(Object)]
struct NewPlatformBudget {
    /// Millionths of a US dollar per day; 0 closes it, and it is unlimited when absent.
    #[oai(validator(minimum(value = "0")))]
    limit_micros: Option<i64>,
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Costs")]
impl Api {
    /// Find the budget
    ///
    /// What today may cost and has cost: the workspace, its engines, and whether the platform has
    /// money left.
    #[oai(path = "/budget", method = "get", operation_id = "find_budget")]
    async fn find(&self, caller: Caller) -> Result<Json<Budget>, Problem> {
        let (now, policy) = (self.0.clock.now(), budget_policy(&self.0));
        let mut conn = self.0.store.read().await?;
        let owner = workspaces::find(&mut conn, caller.workspace).await?;
        let rows =
            budgets::today(&mut conn, caller.workspace, owner.day(now), &policy, now).await?;
        let said = throttles::in_force(&mut conn, [caller.workspace], now).await?;
        let said = said.into_values().next();
        let levels: Vec<_> = rows
            .into_iter()
            .map(|budgets::Today { key, level }| {
                let own = (key.scope != Scope::Platform).then_some(level);
                BudgetLevel {
                    scope: key.scope.into(),
                    resets_at: next_day(own.map_or("UTC", |_| &owner.timezone), now)
                        .map(Into::into),
                    engine: (key.scope == Scope::Engine).then_some(key.engine),
                    day: key.day,
                    state: level.state(&policy).into(),
                    limit_micros: own.and_then(|level| level.limit),
                    reserved_micros: own.map(|level| level.reserved),
                    spent_micros: own.map(|level| level.spent),
                }
            })
            .collect();
        let shared = levels.iter().filter(|level| level.scope != BudgetScope::Engine);
        let worst = shared.map(|level| level.state).max().unwrap_or(SpendingState::Normal);
        let throttle: Option<Throttle> = said.map(Into::into);
        let state = match throttle.as_ref().map(|said| said.state) {
            Some(SpendingState::Normal) if worst == SpendingState::Throttled => {
                SpendingState::Normal
            }
            Some(said) => said.max(worst),
            None => worst,
        };
        Ok(Json(Budget { state, throttle, levels }))
    }

    /// Find the platform's budget
    #[oai(path = "/admin/budget", method = "get", operation_id = "find_platform_budget")]
    async fn find_platform(&self, caller: Caller) -> Result<Json<PlatformBudget>, Problem> {
        self.platform(&caller).await
    }

    /// Save the platform's budget
    ///
    /// It counts from the next call on, and instead of `PLATFORM_DAILY_BUDGET_MICROS`.
    #[oai(path = "/admin/budget", method = "put", operation_id = "save_platform_budget")]
    async fn save_platform(
        &self,
        caller: Caller,
        new: Body<NewPlatformBudget>,
    ) -> Result<Json<PlatformBudget>, Problem> {
        let (now, limit) = (self.0.clock.now(), new.0.limit_micros);
        let mut tx = self.0.store.begin().await?;
        throttles::set_platform_limit(&mut tx, limit, &caller.label(), now).await?;
        let what = json!({"limit_micros": limit});
        let actor = caller.operator();
        audit_logs::note(&mut tx, &actor, "budget.save", "platform", what, now).await?;
        tx.commit().await?;
        self.platform(&caller).await
    }

    /// Find a workspace's throttle
    #[oai(path = "/admin/throttle/:workspace", method = "get", operation_id = "find_throttle")]
    async fn find_throttle(
        &self,
        _caller: Caller,
        /// Id of the workspace.
        workspace: Path<Uuid>,
    ) -> Result<Json<Throttle>, Problem> {
        let mut conn = self.0.store.read().await?;
        Ok(Json(throttles::find(&mut conn, WorkspaceId(workspace.0)).await?.into()))
    }

    /// Save a workspace's throttle
    ///
    /// An operator's word on how it may spend, whatever its budget says.
    #[oai(path = "/admin/throttle/:workspace", method = "put", operation_id = "save_throttle")]
    async fn save_throttle(
        &self,
        caller: Caller,
        /// Id of the workspace.
        workspace: Path<Uuid>,
        new: Body<NewThrottle>,
    ) -> Result<Json<Throttle>, Problem> {
        let NewThrottle { state, reason, until } = new.0;
        let (id, now) = (WorkspaceId(workspace.0), self.0.clock.now());
        let until = until.map(|until| until.0);
        let mut rules = Rules::default();
        rules.require(until.is_none_or(|until| until > now), "/until", "must be in the future");
        rules.check()?;
        let mut tx = self.0.store.begin().await?;
        workspaces::find(&mut tx, id).await?;
        let said = Override {
            workspace_id: id,
            state: state.as_str().into(),
            reason,
            until,
            updated_by: caller.label(),
            updated_at: now,
        };
        throttles::save(&mut tx, &said).await?;
        let what = json!({"state": said.state, "reason": said.reason, "until": said.until});
        let actor = Actor { workspace: Some(id), ..caller.operator() };
        audit_logs::note(&mut tx, &actor, "throttle.save", id, what, now).await?;
        tx.commit().await?;
        Ok(Json(said.into()))
    }

    /// Delete a workspace's throttle
    ///
    /// Its budget decides again.
    #[oai(path = "/admin/throttle/:workspace", method = "delete", operation_id = "delete_throttle")]
    async fn delete_throttle(
        &self,
        caller: Caller,
        /// Id of the workspace.
        workspace: Path<Uuid>,
    ) -> Result<Deleted, Problem> {
        let (id, now) = (WorkspaceId(workspace.0), self.0.clock.now());
        let mut tx = self.0.store.begin().await?;
        throttles::delete(&mut tx, id).await?;
        let actor = Actor { workspace: Some(id), ..caller.operator() };
        audit_logs::note(&mut tx, &actor, "throttle.delete", id, json!({}), now).await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }
}

impl Api {
    async fn platform(&self, caller: &Caller) -> Result<Json<PlatformBudget>, Problem> {
        let (now, policy) = (self.0.clock.now(), budget_policy(&self.0));
        let mut conn = self.0.store.read().await?;
        let rows =
            budgets::today(&mut conn, caller.workspace, now.date_naive(), &policy, now).await?;
        let platform = rows.into_iter().find(|row| row.key.scope == Scope::Platform);
        let budgets::Today { key, level } = platform.ok_or(Error::NotFound("budget"))?;
        Ok(Json(PlatformBudget {
            day: key.day,
            state: level.state(&policy).into(),
            limit_micros: level.limit,
            reserved_micros: level.reserved,
            spent_micros: level.spent,
            resets_at: next_day("UTC", now).map(Into::into),
        }))
    }
}

impl SpendingState {
    fn as_str(self) -> &'static str {
        match self {
            SpendingState::Normal => "normal",
            SpendingState::Throttled => "throttled",
            SpendingState::Stopped => "stopped",
        }
    }
}

impl From<budgets::State> for SpendingState {
    fn from(state: budgets::State) -> Self {
        match state {
            budgets::State::Normal => SpendingState::Normal,
            budgets::State::Throttled => SpendingState::Throttled,
            budgets::State::Stopped => SpendingState::Stopped,
        }
    }
}

impl From<Scope> for BudgetScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Platform => BudgetScope::Platform,
            Scope::Workspace => BudgetScope::Workspace,
            Scope::Engine => BudgetScope::Engine,
        }
    }
}

impl From<Override> for Throttle {
    fn from(said: Override) -> Self {
        let Override { workspace_id: _, state, reason, until, updated_by, updated_at } = said;
        Throttle {
            state: match state.as_str() {
                "normal" => SpendingState::Normal,
                "throttled" => SpendingState::Throttled,
                _ => SpendingState::Stopped,
            },
            reason,
            until: until.map(Into::into),
            updated_by,
            updated_at: updated_at.into(),
        }
    }
}
