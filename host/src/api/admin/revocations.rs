use super::{Body, Caller, Operator, Paging, Problem, Tag, page, types::Timestamp};
use crate::{
    Error,
    api::auth::Caches,
    store::{
        audit_logs,
        revocations::{self, RevocationKind},
    },
};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// Tokens that ended before their time.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Revocation {
    id: Uuid,
    /// Who issued them.
    issuer: String,
    /// All tokens of this subject that were issued until `revoked_at`.
    subject: Option<String>,
    /// The token of this id (`jti`).
    jti: Option<String>,
    revoked_at: Timestamp,
}

/// Tokens to end: name a subject or the id of a token.
#[derive(Object)]
struct NewRevocation {
    /// Who issued them; this installation when absent.
    #[oai(validator(min_length = 1, max_length = 500))]
    issuer: Option<String>,
    /// Ends every token of this subject that was issued until now.
    #[oai(validator(min_length = 1, max_length = 255))]
    subject: Option<String>,
    /// Ends the token of this id (`jti`).
    #[oai(validator(min_length = 1, max_length = 255))]
    jti: Option<String>,
}

page! {
    /// A page of revocations, oldest first.
    RevocationPage of Revocation
}

pub(in crate::api) struct Api {
    pub(super) operator: Operator,
    pub(super) caches: Arc<Caches>,
}

#[OpenApi(tag = "Tag::Operations")]
impl Api {
    /// Revoke tokens
    ///
    /// They stop working at once here, and within five seconds in every other process. Doing it
    /// again for a subject ends the tokens issued since, too.
    #[oai(path = "/admin/revocations", method = "post", operation_id = "create_revocation")]
    async fn create(
        &self,
        caller: Caller,
        new: Body<NewRevocation>,
    ) -> Result<Json<Revocation>, Problem> {
        let NewRevocation { issuer, subject, jti } = new.0;
        let app = &self.operator.app;
        let (kind, value) = match (subject, jti) {
            (Some(subject), None) => (RevocationKind::Subject, subject),
            (None, Some(jti)) => (RevocationKind::Token, jti),
            _ => {
                let detail = "name either a subject or the id of a token";
                return Err(Error::invalid("", detail).into());
            }
        };
        let issuer = issuer.or_else(|| app.tokens.own_issuer());
        let issuers = app.tokens.issuers();
        let known = issuer.filter(|issuer| issuers.contains(issuer));
        let issuer = known.ok_or_else(|| {
            let there = if issuers.is_empty() { "none".into() } else { issuers.join(", ") };
            Error::invalid("/issuer", format!("must be an issuer that is believed here: {there}"))
        })?;
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        let row = revocations::save(&mut tx, &issuer, kind, &value, now).await?;
        let what = json!({"issuer": issuer, "kind": kind, "value": value});
        audit_logs::note(&mut tx, &caller.operator(), "session.revoke", row.id, what, now).await?;
        tx.commit().await?;
        self.caches.people.clear();
        Ok(Json(row.into()))
    }

    /// List the revocations
    #[oai(path = "/admin/revocations", method = "get", operation_id = "list_revocations")]
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
    ) -> Result<Json<RevocationPage>, Problem> {
        let app = &self.operator.app;
        let page = Paging::open(app, &caller, "revocations", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = app.store.read().await?;
        let rows = revocations::list(&mut conn, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }
}

impl From<revocations::Revocation> for Revocation {
    fn from(row: revocations::Revocation) -> Self {
        let revocations::Revocation { id, issuer, kind, value, revoked_at, created_at: _ } = row;
        let (subject, jti) = match kind {
            RevocationKind::Subject => (Some(value), None),
            RevocationKind::Token => (None, Some(value)),
        };
        Revocation { id: id.0, issuer, subject, jti, revoked_at: revoked_at.into() }
    }
}
