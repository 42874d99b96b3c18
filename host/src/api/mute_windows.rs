use super::{Body, Caller, Created, Deleted, Paging, Problem, Tag, page, types::Timestamp};
use crate::{
    App, Error, Result,
    ids::{AlertRuleId, MuteWindowId},
    store::{alert_rules, audit_logs, mute_windows},
};
use chrono::TimeDelta;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::json;
use uuid::Uuid;

/// The longest window.
const LONGEST: TimeDelta = TimeDelta::days(90);

/// A time in which nobody is told of alerts. They are opened and counted all the same.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct MuteWindow {
    id: Uuid,
    /// The rule that is mute; all of them when absent.
    rule_id: Option<Uuid>,
    reason: String,
    starts_at: Timestamp,
    ends_at: Timestamp,
    created_by: String,
    created_at: Timestamp,
}

/// A window to make.
#[derive(Object)]
struct NewMuteWindow {
    /// The rule to mute; all of them when absent.
    rule_id: Option<Uuid>,
    /// Why, for those who wonder at the silence.
    #[oai(validator(min_length = 1, max_length = 200))]
    reason: String,
    /// Now when absent.
    starts_at: Option<Timestamp>,
    /// 90 days after the start at most.
    ends_at: Timestamp,
}

page! {
    /// A page of mute windows, oldest first.
    MuteWindowPage of MuteWindow
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Alerts")]
impl Api {
    /// Create a mute window
    #[oai(path = "/mute-windows", method = "post", operation_id = "create_mute_window")]
    async fn create(
        &self,
        caller: Caller,
        new: Body<NewMuteWindow>,
    ) -> Result<Created<MuteWindow>, Problem> {
        let now = self.0.clock.now();
        let NewMuteWindow { rule_id, reason, starts_at, ends_at } = new.0;
        let starts_at = starts_at.map_or(now, |at| at.0);
        if ends_at.0 <= starts_at || ends_at.0 <= now {
            return Err(Error::invalid("/ends_at", "must lie after the start and now").into());
        }
        if ends_at.0 - starts_at > LONGEST {
            return Err(Error::invalid("/ends_at", "must lie within 90 days of the start").into());
        }
        let mut tx = self.0.store.begin().await?;
        if let Some(id) = rule_id
            && let Err(error) = alert_rules::find(&mut tx, caller.workspace, AlertRuleId(id)).await
        {
            let Error::NotFound(_) = error else { return Err(error.into()) };
            return Err(Error::invalid("/rule_id", "no alert rule has this id").into());
        }
        let row = mute_windows::MuteWindow {
            id: MuteWindowId::generate(),
            workspace_id: caller.workspace,
            rule_id: rule_id.map(AlertRuleId),
            reason: reason.trim().into(),
            starts_at,
            ends_at: ends_at.0,
            created_by: caller.label(),
            created_at: now,
        };
        mute_windows::insert(&mut tx, &row).await?;
        let what = json!({
            "rule_id": row.rule_id,
            "reason": row.reason,
            "starts_at": row.starts_at,
            "ends_at": row.ends_at,
        });
        audit_logs::note(&mut tx, &caller.actor(), "mute_window.create", row.id, what, now).await?;
        tx.commit().await?;
        Ok(Created::new(format!("/v1/mute-windows/{}", row.id), &MuteWindow::from(row)))
    }

    /// List the mute windows
    #[oai(path = "/mute-windows", method = "get", operation_id = "list_mute_windows")]
    async fn list(
        &self,
        caller: Caller,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<MuteWindowPage>, Problem> {
        let page =
            Paging::open(&self.0, &caller, "mute windows", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows =
            mute_windows::list(&mut conn, caller.workspace, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Delete a mute window
    ///
    /// One that is on ends with it.
    #[oai(path = "/mute-windows/:window", method = "delete", operation_id = "delete_mute_window")]
    async fn delete(
        &self,
        caller: Caller,
        /// Id of the window.
        window: Path<Uuid>,
    ) -> Result<Deleted, Problem> {
        let (now, id) = (self.0.clock.now(), MuteWindowId(window.0));
        let mut tx = self.0.store.begin().await?;
        mute_windows::delete(&mut tx, caller.workspace, id).await?;
        let what = json!({});
        audit_logs::note(&mut tx, &caller.actor(), "mute_window.delete", id, what, now).await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }
}

impl From<mute_windows::MuteWindow> for MuteWindow {
    fn from(row: mute_windows::MuteWindow) -> Self {
        let mute_windows::MuteWindow {
            id,
            workspace_id: _,
            rule_id,
            reason,
            starts_at,
            ends_at,
            created_by,
            created_at,
        } = row;
        MuteWindow {
            id: id.0,
            rule_id: rule_id.map(|id| id.0),
            reason,
            starts_at: starts_at.into(),
            ends_at: ends_at.into(),
            created_by,
            created_at: created_at.into(),
        }
    }
}
