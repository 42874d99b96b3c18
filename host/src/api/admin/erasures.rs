use super::{Body, Caller, Operator, Paging, Problem, Tag, page, types::Timestamp};
use crate::{
    Error, Result,
    api::auth::Caches,
    ids::UserId,
    store::{
        Conn, audit_logs, erasures,
        revocations::{self, RevocationKind},
        users::{self, User},
    },
};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// That a person was forgotten.
#[derive(Object)]
struct Erasure {
    id: Uuid,
    /// What records and the audit log go on to call them; nothing says any more who it was.
    user_id: Uuid,
    reason: String,
    requested_by: String,
    /// What was removed.
    receipt: Vec<Erased>,
    created_at: Timestamp,
}

/// Rows removed from a table.
#[derive(Object)]
struct Erased {
    table: String,
    rows: i64,
}

/// Whom to forget: name `user_id`, or `issuer` and `subject`.
#[derive(Object)]
struct NewErasure {
    /// As members and the audit log name them.
    user_id: Option<Uuid>,
    /// Who issues their tokens; this installation when absent.
    #[oai(validator(min_length = 1, max_length = 500))]
    issuer: Option<String>,
    /// Who they are, in the issuer's words.
    #[oai(validator(min_length = 1, max_length = 255))]
    subject: Option<String>,
    /// Why, for the record. Do not name the person here.
    #[oai(validator(min_length = 1, max_length = 500))]
    reason: String,
}

page! {
    /// A page of erasures, newest first.
    ErasurePage of Erasure
}

pub(in crate::api) struct Api {
    pub(super) operator: Operator,
    pub(super) caches: Arc<Caches>,
}

#[OpenApi(tag = "Tag::Operations")]
impl Api {
    /// Erase a person
    ///
    /// Removes who they are from all workspaces: name and address, memberships, invitations for
    /// them or taken by them. What they did stays in the audit log and in records, under a number
    /// that leads nowhere any more. Their tokens end; the revocation keeps their subject, so that
    /// they stay ended. Refused with 409 while they are the only owner of a workspace.
    #[oai(path = "/admin/erasures", method = "post", operation_id = "create_erasure")]
    async fn create(
        &self,
        caller: Caller,
        new: Body<NewErasure>,
    ) -> Result<Json<Erasure>, Problem> {
        let NewErasure { user_id, issuer, subject, reason } = new.0;
        let app = &self.operator.app;
        let now = app.clock.now();
        let issuer = issuer.or_else(|| app.tokens.own_issuer());
        let mut tx = app.store.begin().await?;
        let user = person(&mut tx, user_id, issuer, subject).await?;
        let kind = RevocationKind::Subject;
        revocations::save(&mut tx, &user.issuer, kind, &user.subject, now).await?;
        let by = caller.label();
        let row = erasures::erase(&mut tx, &user, reason.trim(), &by, now).await?;
        let what = json!({"erasure": row.id, "receipt": row.receipt.0});
        audit_logs::note(&mut tx, &caller.operator(), "person.erase", user.id, what, now).await?;
        tx.commit().await?;
        self.caches.people.clear();
        Ok(Json(row.into()))
    }

    /// List the erasures
    #[oai(path = "/admin/erasures", method = "get", operation_id = "list_erasures")]
    async fn list(
        &self,
        caller: Caller,
        /// Rows of a page.
        #[oai(
            default = "crate::api::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<ErasurePage>, Problem> {
        let app = &self.operator.app;
        let page = Paging::open(app, &caller, "erasures", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = app.store.read().await?;
        let rows = erasures::list(&mut conn, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }
}

async fn person(
    conn: &mut Conn,
    user_id: Option<Uuid>,
    issuer: Option<String>,
    subject: Option<String>,
) -> Result<User> {
    match (user_id, issuer, subject) {
        (Some(id), _, None) => users::find(conn, UserId(id)).await,
        (None, Some(issuer), Some(subject)) => {
            let found = users::find_by_subject(conn, &issuer, &subject).await?;
            found.ok_or(Error::NotFound("user"))
        }
        (None, None, Some(_)) => Err(Error::invalid("/issuer", "is required: none is set here")),
        _ => Err(Error::invalid("", "name either a user or a subject")),
    }
}

impl From<erasures::Erasure> for Erasure {
    fn from(row: erasures::Erasure) -> Self {
        let erasures::Erasure { id, user_id, reason, requested_by, receipt, created_at } = row;
        let receipt = receipt.0.into_iter().map(|(table, rows)| Erased { table, rows }).collect();
        Erasure {
            id: id.0,
            user_id: user_id.0,
            reason,
            requested_by,
            receipt,
            created_at: created_at.into(),
        }
    }
}
