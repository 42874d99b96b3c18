use super::{
    Body, Caller, Paging, Problem, Tag, Tagged, etag, page,
    types::{Timestamp, mirrored},
};
use crate::{
    App, Result,
    ids::ActionId,
    store::{
        audit_logs,
        copilot::{self, ActionFilter, CopilotRules as Row},
    },
};
use chrono::{DateTime, Utc};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
    types::Any,
};
use serde_json::json;
use uuid::Uuid;

/// What the copilot can propose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename_all = "snake_case")]
enum ActionKind {
    AddFaq,
    AddTldr,
    AddCitations,
    FixSchema,
    ReviewCampaign,
    CorrectHallucination,
}

/// How far an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "CopilotActionState", rename_all = "snake_case")]
enum ActionState {
    Proposed,
    /// Somebody agreed to it.
    Approved,
    /// Somebody refused it.
    Dismissed,
    /// It was carried out.
    Done,
}

/// What the copilot may propose and do.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct CopilotRules {
    enabled_actions: Vec<ActionKind>,
    /// Whether a person has to agree to each action.
    require_approval: bool,
    max_actions_per_week: i64,
    /// 1 proposes what matters most, 3 everything.
    intensity: i64,
    /// Absent while nobody has set anything.
    updated_at: Option<Timestamp>,
}

/// Rules to save.
#[derive(Object)]
struct NewCopilotRules {
    #[oai(validator(max_items = 6, unique_items))]
    enabled_actions: Vec<ActionKind>,
    /// Whether a person has to agree to each action.
    #[oai(default = "yes")]
    require_approval: bool,
    #[oai(default = "five", validator(minimum(value = "0"), maximum(value = "100")))]
    max_actions_per_week: i64,
    /// 1 proposes what matters most, 3 everything.
    #[oai(default = "one", validator(minimum(value = "1"), maximum(value = "3")))]
    intensity: i64,
}

fn yes() -> bool {
    true
}

fn one() -> i64 {
    1
}

fn five() -> i64 {
    5
}

/// Something that could be done about a gap.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct CopilotAction {
    id: Uuid,
    kind: ActionKind,
    title: String,
    /// Where it is to be done, such as the address of a page.
    target: String,
    /// What is to be done there.
    content: String,
    /// The runs and numbers it follows from.
    evidence: Any<serde_json::Value>,
    /// 1 to 10, higher first.
    priority: i64,
    state: ActionState,
    /// SHA-256 of kind, target and content when it was approved: nothing else may be carried out.
    approved_sha256: Option<String>,
    decided_by: Option<String>,
    decided_at: Option<Timestamp>,
    note: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A word about a decision.
#[derive(Object)]
struct ActionNote {
    /// For those who look at it later.
    #[oai(validator(min_length = 1, max_length = 1000))]
    note: Option<String>,
}

page! {
    /// A page of actions, newest first.
    CopilotActionPage of CopilotAction
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Copilot")]
impl Api {
    /// Find the copilot's rules
    ///
    /// While nobody has set any, they are the careful ones: nothing is proposed.
    #[oai(path = "/copilot/rules", method = "get", operation_id = "find_copilot_rules")]
    async fn rules(&self, caller: Caller) -> Result<Tagged<CopilotRules>, Problem> {
        let mut conn = self.0.store.read().await?;
        let row = copilot::rules(&mut conn, caller.workspace).await?;
        Ok(match row {
            Some(row) => Tagged::new(row.version, row.into()),
            None => Tagged::new(
                0,
                CopilotRules {
                    enabled_actions: vec![],
                    require_approval: yes(),
                    max_actions_per_week: five(),
                    intensity: one(),
                    updated_at: None,
                },
            ),
        })
    }

    /// Save the copilot's rules
    #[oai(path = "/copilot/rules", method = "put", operation_id = "save_copilot_rules")]
    async fn save_rules(
        &self,
        caller: Caller,
        /// `ETag` of the version you mean to change: refused with 412 when it is not current.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        rules: Body<NewCopilotRules>,
    ) -> Result<Tagged<CopilotRules>, Problem> {
        let now = self.0.clock.now();
        let NewCopilotRules { enabled_actions, require_approval, max_actions_per_week, intensity } =
            rules.0;
        let expected = etag::expected(if_match.0.as_deref(), "copilot rules")?;
        let names: Vec<String> = enabled_actions.iter().map(|k| k.name().to_owned()).collect();
        let row = Row {
            workspace_id: caller.workspace,
            enabled_actions: names.into(),
            require_approval,
            max_actions_per_week,
            intensity,
            version: 0,
            updated_at: now,
        };
        let mut tx = self.0.store.begin().await?;
        let row = copilot::save_rules(&mut tx, &row, expected).await?;
        let what = json!({
            "enabled_actions": row.enabled_actions.0,
            "require_approval": row.require_approval,
            "max_actions_per_week": row.max_actions_per_week,
            "intensity": row.intensity,
        });
        let id = caller.workspace;
        audit_logs::note(&mut tx, &caller.actor(), "copilot_rules.save", id, what, now).await?;
        tx.commit().await?;
        Ok(Tagged::new(row.version, row.into()))
    }

    /// List the copilot's actions
    #[oai(path = "/copilot/actions", method = "get", operation_id = "list_copilot_actions")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those in this state.
        state: Query<Option<ActionState>>,
        /// Only those of this kind.
        kind: Query<Option<ActionKind>>,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<CopilotActionPage>, Problem> {
        let filter = ActionFilter {
            state: state.0.map(Into::into),
            kind: kind.0.map(|kind| kind.name().to_owned()),
        };
        let (limit, cursor) = (limit.0, cursor.0);
        let page = Paging::open(&self.0, &caller, "actions", &filter, limit, cursor.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows =
            copilot::list(&mut conn, caller.workspace, &filter, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find an action
    #[oai(path = "/copilot/actions/:action", method = "get", operation_id = "find_copilot_action")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the action.
        action: Path<Uuid>,
    ) -> Result<Json<CopilotAction>, Problem> {
        let mut conn = self.0.store.read().await?;
        let row = copilot::find(&mut conn, caller.workspace, ActionId(action.0)).await?;
        Ok(Json(row.into()))
    }

    /// Approve an action
    ///
    /// What is approved is what was looked at: its digest is kept with the approval.
    #[oai(
        path = "/copilot/actions/:action/approve",
        method = "post",
        operation_id = "approve_copilot_action"
    )]
    async fn approve(
        &self,
        caller: Caller,
        /// Id of the action.
        action: Path<Uuid>,
        note: Body<ActionNote>,
    ) -> Result<Json<CopilotAction>, Problem> {
        self.decide(&caller, action.0, ActionState::Approved, note.0).await
    }

    /// Dismiss an action
    #[oai(
        path = "/copilot/actions/:action/dismiss",
        method = "post",
        operation_id = "dismiss_copilot_action"
    )]
    async fn dismiss(
        &self,
        caller: Caller,
        /// Id of the action.
        action: Path<Uuid>,
        note: Body<ActionNote>,
    ) -> Result<Json<CopilotAction>, Problem> {
        self.decide(&caller, action.0, ActionState::Dismissed, note.0).await
    }

    /// Complete an action
    ///
    /// Says that an approved action was carried out.
    #[oai(
        path = "/copilot/actions/:action/complete",
        method = "post",
        operation_id = "complete_copilot_action"
    )]
    async fn complete(
        &self,
        caller: Caller,
        /// Id of the action.
        action: Path<Uuid>,
        note: Body<ActionNote>,
    ) -> Result<Json<CopilotAction>, Problem> {
        self.decide(&caller, action.0, ActionState::Done, note.0).await
    }
}

impl Api {
    async fn decide(
        &self,
        caller: &Caller,
        action: Uuid,
        next: ActionState,
        note: ActionNote,
    ) -> Result<Json<CopilotAction>, Problem> {
        let (now, id, by) = (self.0.clock.now(), ActionId(action), caller.label());
        let said = (by.as_str(), note.note.as_deref());
        let mut tx = self.0.store.begin().await?;
        let row = copilot::decide(&mut tx, caller.workspace, id, next.into(), said, now).await?;
        let verb = match next {
            ActionState::Approved => "copilot_action.approve",
            ActionState::Dismissed => "copilot_action.dismiss",
            ActionState::Proposed | ActionState::Done => "copilot_action.complete",
        };
        let what = json!({"title": row.title, "digest": hex::encode(row.digest())});
        audit_logs::note(&mut tx, &caller.actor(), verb, id, what, now).await?;
        tx.commit().await?;
        Ok(Json(row.into()))
    }
}

const KINDS: [ActionKind; 6] = [
    ActionKind::AddFaq,
    ActionKind::AddTldr,
    ActionKind::AddCitations,
    ActionKind::FixSchema,
    ActionKind::ReviewCampaign,
    ActionKind::CorrectHallucination,
];

impl ActionKind {
    const fn name(self) -> &'static str {
        match self {
            ActionKind::AddFaq => "add_faq",
            ActionKind::AddTldr => "add_tldr",
            ActionKind::AddCitations => "add_citations",
            ActionKind::FixSchema => "fix_schema",
            ActionKind::ReviewCampaign => "review_campaign",
            ActionKind::CorrectHallucination => "correct_hallucination",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.name() == name)
    }
}

mirrored!(ActionState, copilot::ActionState, Proposed, Approved, Dismissed, Done);

impl From<Row> for CopilotRules {
    fn from(row: Row) -> Self {
        let Row {
            workspace_id: _,
            enabled_actions,
            require_approval,
            max_actions_per_week,
            intensity,
            version: _,
            updated_at,
        } = row;
        let kinds = enabled_actions.iter().filter_map(|name| ActionKind::parse(name));
        CopilotRules {
            enabled_actions: kinds.collect(),
            require_approval,
            max_actions_per_week,
            intensity,
            updated_at: Some(updated_at.into()),
        }
    }
}

impl From<copilot::Action> for CopilotAction {
    fn from(row: copilot::Action) -> Self {
        let copilot::Action {
            id,
            workspace_id: _,
            kind,
            title,
            target,
            content,
            evidence,
            priority,
            state,
            approved_digest,
            decided_by,
            decided_at,
            note,
            created_at,
            updated_at,
        } = row;
        let time = |at: DateTime<Utc>| Timestamp::from(at);
        CopilotAction {
            id: id.0,
            // A kind that this version does not know is for a person to look at.
            kind: ActionKind::parse(&kind).unwrap_or(ActionKind::ReviewCampaign),
            title,
            target,
            content,
            evidence: Any(evidence.0),
            priority,
            state: state.into(),
            approved_sha256: approved_digest.map(hex::encode),
            decided_by,
            decided_at: decided_at.map(time),
            note,
            created_at: time(created_at),
            updated_at: time(updated_at),
        }
    }
}
