use super::{Body, Caller, Problem, Tag, credentials::installed};
use crate::{
    App,
    jobs::{TestStatus, Tested, test_engine},
    store::{audit_logs, engines},
};
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json};
use serde_json::json;

/// How to test an engine.
#[derive(Object)]
struct EngineTest {
    /// A question to ask. It costs what any question costs, and the answer is not measured. Without
    /// one, the free check of the provider is made, if it has one.
    #[oai(validator(min_length = 3, max_length = 1000))]
    query: Option<String>,
}

/// What a test of an engine showed.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct EngineTestResult {
    status: EngineTestStatus,
    /// What the vendor, the network or the component said, in case of trouble.
    detail: Option<String>,
    /// How long it took.
    took_ms: u64,
    /// What it cost, in millionths of a US dollar.
    cost_micros: i64,
    /// The beginning of the answer to the question.
    answer: Option<String>,
    /// Sources that the answer named.
    citations: Option<u64>,
}

/// What became of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum EngineTestStatus {
    /// The vendor accepts the credential and answers.
    Ok,
    /// The vendor shows no answer to this question.
    Absent,
    /// The provider has no free check: ask a question.
    Unknown,
    /// The credential is missing, or the vendor does not accept it.
    CredentialRefused,
    /// The vendor, the network or the component is in trouble.
    Failed,
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Engines")]
impl Api {
    /// Test an engine
    ///
    /// Makes one real call with the engine's configuration and credential, and tells what came of
    /// it. Nothing of it is measured. A question is paid from the budgets like any other.
    #[oai(path = "/engines/:engine/test", method = "post", operation_id = "test_engine")]
    async fn test(
        &self,
        caller: Caller,
        /// Key of the engine.
        engine: Path<String>,
        how: Body<EngineTest>,
    ) -> Result<Json<EngineTestResult>, Problem> {
        let app = &self.0;
        let mut conn = app.store.read().await?;
        let row = engines::find(&mut conn, caller.workspace, &engine.0).await?;
        drop(conn);
        let route = installed(app, &engine.0)?;
        let query = how.0.query;
        let asked = query.is_some();
        let Tested { status, detail, took, cost_micros, answer, citations } =
            test_engine(app, &row, &route, query).await?;
        let now = app.clock.now();
        let mut tx = app.store.begin().await?;
        let what = json!({"asked": asked, "status": status, "cost_micros": cost_micros});
        audit_logs::note(&mut tx, &caller.actor(), "engine.test", &engine.0, what, now).await?;
        tx.commit().await?;
        Ok(Json(EngineTestResult {
            status: status.into(),
            detail,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            cost_micros,
            answer,
            citations,
        }))
    }
}

impl From<TestStatus> for EngineTestStatus {
    fn from(status: TestStatus) -> Self {
        match status {
            TestStatus::Ok => EngineTestStatus::Ok,
            TestStatus::Absent => EngineTestStatus::Absent,
            TestStatus::Unknown => EngineTestStatus::Unknown,
            TestStatus::CredentialRefused => EngineTestStatus::CredentialRefused,
            TestStatus::Failed => EngineTestStatus::Failed,
        }
    }
}
