use super::{
    Body, Caller, Paging, Problem, Tag, Tagged, etag, page,
    types::{Timestamp, mirrored},
};
use crate::{
    App, Result,
    ids::{BrandId, FindingId},
    store::{
        audit_logs,
        findings::{self, FindingFilter},
    },
};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use serde_json::json;
use uuid::Uuid;

/// How a claim holds against what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "FindingVerdict", rename_all = "snake_case")]
enum Verdict {
    Confirmed,
    Contradicted,
    /// Nothing is known about it.
    Unverifiable,
}

/// What people made of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum FindingState {
    Open,
    /// It is as found.
    Confirmed,
    /// It is not.
    Dismissed,
    /// The source was put right.
    Corrected,
}

/// Something an answer says of a brand, held against what is known.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Finding {
    id: Uuid,
    brand_id: Uuid,
    /// The run whose answer says it.
    run_id: Uuid,
    engine: String,
    /// What kind of fact it is about, such as `phone`.
    fact: String,
    /// What the answer says.
    claim: String,
    /// What is known; absent when nothing is.
    known: Option<String>,
    verdict: Verdict,
    /// 0 to 1.
    confidence: f64,
    state: FindingState,
    note: Option<String>,
    decided_by: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// What somebody makes of a finding.
#[derive(Object)]
struct FindingPatch {
    state: FindingState,
    #[oai(validator(min_length = 1, max_length = 1000))]
    note: Option<String>,
}

page! {
    /// A page of findings, newest first.
    FindingPage of Finding
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Findings")]
impl Api {
    /// List the findings
    #[oai(path = "/findings", method = "get", operation_id = "list_findings")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those in this state.
        state: Query<Option<FindingState>>,
        /// Only those with this verdict.
        verdict: Query<Option<Verdict>>,
        /// Only those of this brand.
        brand: Query<Option<Uuid>>,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<FindingPage>, Problem> {
        let filter = FindingFilter {
            state: state.0.map(Into::into),
            verdict: verdict.0.map(Into::into),
            brand: brand.0.map(BrandId),
        };
        let (limit, cursor) = (limit.0, cursor.0);
        let page = Paging::open(&self.0, &caller, "findings", &filter, limit, cursor.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows =
            findings::list(&mut conn, caller.workspace, &filter, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find a finding
    #[oai(path = "/findings/:finding", method = "get", operation_id = "find_finding")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the finding.
        finding: Path<Uuid>,
    ) -> Result<Tagged<Finding>, Problem> {
        let mut conn = self.0.store.read().await?;
        let row = findings::find(&mut conn, caller.workspace, FindingId(finding.0)).await?;
        Ok(Tagged::new(row.version, row.into()))
    }

    /// Update a finding
    ///
    /// Says what you make of it.
    #[oai(path = "/findings/:finding", method = "patch", operation_id = "update_finding")]
    async fn update(
        &self,
        caller: Caller,
        /// Id of the finding.
        finding: Path<Uuid>,
        /// `ETag` of the version you mean to change: refused with 412 when it is not current.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        patch: Body<FindingPatch>,
    ) -> Result<Tagged<Finding>, Problem> {
        let (now, id, by) = (self.0.clock.now(), FindingId(finding.0), caller.label());
        let expected = etag::expected(if_match.0.as_deref(), "finding")?;
        let FindingPatch { state, note } = patch.0;
        let said = (state.into(), note.as_deref());
        let mut tx = self.0.store.begin().await?;
        let row = findings::decide(&mut tx, caller.workspace, id, said, &by, expected, now).await?;
        let what = json!({"state": row.state, "note": row.note});
        audit_logs::note(&mut tx, &caller.actor(), "finding.update", id, what, now).await?;
        tx.commit().await?;
        Ok(Tagged::new(row.version, row.into()))
    }
}

mirrored!(Verdict, findings::Verdict, Confirmed, Contradicted, Unverifiable);
mirrored!(FindingState, findings::FindingState, Open, Confirmed, Dismissed, Corrected);

impl From<findings::Finding> for Finding {
    fn from(row: findings::Finding) -> Self {
        let findings::Finding {
            id,
            workspace_id: _,
            brand_id,
            run_id,
            engine,
            fact,
            claim,
            known,
            verdict,
            confidence,
            state,
            note,
            decided_by,
            version: _,
            created_at,
            updated_at,
        } = row;
        Finding {
            id: id.0,
            brand_id: brand_id.0,
            run_id: run_id.0,
            engine,
            fact,
            claim,
            known,
            verdict: verdict.into(),
            confidence,
            state: state.into(),
            note,
            decided_by,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}
