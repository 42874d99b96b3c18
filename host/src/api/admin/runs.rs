use super::{Caller, Operator, Problem, Tag};
use crate::{Result, ids::RunId, jobs, providers::cases::Recording};
use aiv_runtime::types::Body;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::Any};
use uuid::Uuid;

/// A run as a conformance case.
#[derive(Object)]
struct RunCase {
    /// `case.json`.
    case: Any<serde_json::Value>,
    /// What lies beside it.
    files: Vec<CaseFile>,
}

/// The body of a response.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct CaseFile {
    /// As the case names it.
    name: String,
    /// What is in it, if it is text.
    text: Option<String>,
    /// What is in it, if it is not.
    base64: Option<String>,
}

pub(in crate::api) struct Api(pub(super) Operator);

#[OpenApi(tag = "Tag::Operations")]
impl Api {
    /// Find a run's case
    ///
    /// What the run's last call asked and was answered, and what came of it, as a case for
    /// `aiv plugin test`: a report of what went wrong becomes a test. There are no credentials in
    /// it, and no headers about the account or the session; the question and the answer are. The
    /// settings of the engine are those of today. Refused with 409 when the call waited for its
    /// vendor, or nothing was answered: then not all of it is kept.
    #[oai(path = "/admin/runs/:run/case", method = "get", operation_id = "find_run_case")]
    async fn case(
        &self,
        _caller: Caller,
        /// Id of the run, in whichever workspace.
        run: Path<Uuid>,
    ) -> Result<Json<RunCase>, Problem> {
        let mut conn = self.0.app.store.read().await?;
        Ok(Json(jobs::run_case(&mut conn, RunId(run.0)).await?.into()))
    }
}

impl From<Recording> for RunCase {
    fn from(recording: Recording) -> Self {
        let Recording { case, bodies } = recording;
        let files = bodies.into_iter().map(|(name, body)| match body {
            Body::Text(text) => CaseFile { name, text: Some(text), base64: None },
            Body::Binary(bytes) => {
                CaseFile { name, text: None, base64: Some(STANDARD.encode(bytes)) }
            }
        });
        RunCase { case: Any(case), files: files.collect() }
    }
}
