//! One real call to an engine, to see whether it can be asked. Nothing of it is measured.

use super::{
    budget_policy,
    run_prompt::{outcome_cost, outcome_label},
};
use crate::{
    App, Error, Result,
    ids::{LedgerEntryId, RunId},
    providers::{Begin, CallEnd, CallFailure, CallRequest, FailureClass, Health, Route, replay},
    store::{
        budgets::{self, Books, Closing, Verdict, Want},
        costs::LedgerEntry,
        engines::Engine,
        workspaces,
    },
    telemetry::metrics,
};
use aiv_runtime::types::{ErrorKind, Outcome, Query};
use std::time::{Duration, Instant};

/// Somebody waits at the other end of a request for it.
const PATIENCE: Duration = Duration::from_secs(25);
/// Characters of an answer that are shown.
const SHOWN: usize = 500;

/// What a test showed.
#[derive(Debug)]
pub struct Tested {
    pub status: TestStatus,
    pub detail: Option<String>,
    pub took: Duration,
    pub cost_micros: i64,
    /// The beginning of the answer.
    pub answer: Option<String>,
    /// Sources that the answer named.
    pub citations: Option<u64>,
}

/// What became of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TestStatus {
    /// The vendor accepts the credential and answers.
    Ok,
    /// The vendor shows no answer to this question.
    Absent,
    /// The provider has no free check.
    Unknown,
    /// The credential is missing, or the vendor does not accept it.
    CredentialRefused,
    /// The vendor, the network or the component is in trouble.
    Failed,
}

/// Makes the provider's free check, or asks `question`, which is paid from the budgets.
///
/// # Errors
/// When a budget does not allow it, or the workspace's credential does not open.
pub async fn test_engine(
    app: &App,
    engine: &Engine,
    route: &Route,
    question: Option<String>,
) -> Result<Tested> {
    let own = app.credentials.of(engine.workspace_id, &engine.key).await?;
    let started = Instant::now();
    let Some(question) = question else {
        let config = engine.config.0.to_string();
        let health = app.providers.check_health_with(route, &config, &own).await;
        let (status, detail) = match health {
            Health::Healthy => (TestStatus::Ok, None),
            Health::Unknown => (TestStatus::Unknown, None),
            Health::CredentialRefused(detail) => (TestStatus::CredentialRefused, Some(detail)),
            Health::Unhealthy(detail) => (TestStatus::Failed, Some(detail)),
        };
        let took = started.elapsed();
        return Ok(Tested { status, detail, took, cost_micros: 0, answer: None, citations: None });
    };

    if let Some(refusal) = route.refuses_research(engine) {
        return Err(Error::Conflict(refusal));
    }
    let want = reserve(app, engine, route).await?;
    let query = Query {
        id: want.run.to_string(),
        seed: replay::seed(&question, &engine.key, 1),
        prompt: question,
        surface: engine.surface.clone(),
        model: engine.model.clone(),
        language: engine.language.clone(),
        country: engine.country.clone(),
        location: engine.location.clone(),
        device: engine.device.clone(),
        config: engine.config.0.to_string(),
        now_unix: 0.0,
        extra: vec![],
    };
    let request = CallRequest { begin: Begin::Query(Box::new(query)), attempt: 1 };
    let call = app.providers.call_with(route, request, &own);
    let end = tokio::time::timeout(PATIENCE, call).await.map(|report| report.end).ok();
    let took = started.elapsed();
    if let Some(end) = &end {
        metrics::provider_call(&engine.key, outcome_label(end), took);
    }
    let cost = Cost::of(end.as_ref());
    cost.settle(app, &want).await?;
    let cost_micros = cost.micros.unwrap_or(want.micros);
    let tested = |status, detail| Tested {
        status,
        detail,
        took,
        cost_micros,
        answer: None,
        citations: None,
    };
    Ok(match end {
        Some(CallEnd::Done(Outcome::Answered(answer))) => Tested {
            answer: Some(answer.text.chars().take(SHOWN).collect()),
            citations: Some(answer.citations.len() as u64),
            ..tested(TestStatus::Ok, None)
        },
        Some(CallEnd::Done(Outcome::Absent(absent))) => {
            tested(TestStatus::Absent, Some(absent.reason.as_str().to_owned()))
        }
        Some(CallEnd::Failed(failure)) => tested(status_of(&failure), Some(failure.message)),
        Some(CallEnd::Paused { .. }) => {
            let detail = "the vendor accepted the question and will answer later";
            tested(TestStatus::Ok, Some(detail.into()))
        }
        None => {
            let detail = format!("no answer within {} s", PATIENCE.as_secs());
            tested(TestStatus::Failed, Some(detail))
        }
    })
}

async fn reserve(app: &App, engine: &Engine, route: &Route) -> Result<Want> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let workspace = workspaces::find(&mut tx, engine.workspace_id).await?;
    let surface = route.surface(&engine.surface);
    let want = Want {
        run: RunId::generate(),
        attempt: 1,
        workspace: workspace.id,
        engine: engine.key.clone(),
        day: workspace.day(now),
        micros: surface.map_or(0, |surface| i64::from(surface.typical_cost_micro_usd)),
        urgent: true,
        synthetic: app.providers.is_synthetic(),
    };
    let (mut books, wants) = (Books::default(), std::slice::from_ref(&want));
    let verdicts = budgets::reserve(&mut tx, &mut books, wants, &budget_policy(app), now).await?;
    match verdicts.into_iter().next() {
        Some(Verdict::Granted) => {}
        Some(Verdict::Refused(why)) => return Err(Error::Budget(why)),
        Some(Verdict::PutOff) | None => {
            return Err(Error::Budget("the budget runs low: try again later".into()));
        }
    }
    tx.commit().await?;
    Ok(want)
}

/// What a call cost.
struct Cost {
    /// `None` when nobody knows, so that what was reserved counts.
    micros: Option<i64>,
    basis: &'static str,
    /// `settle`, or `release` when there is nothing to pay.
    kind: &'static str,
}

impl Cost {
    fn of(end: Option<&CallEnd>) -> Self {
        let settled = |micros, basis| Cost { micros, basis, kind: "settle" };
        match end {
            Some(CallEnd::Done(outcome)) => {
                let (micros, basis) = outcome_cost(outcome);
                settled(Some(micros), basis)
            }
            Some(CallEnd::Failed(failure)) => match &failure.spent {
                Some(spent) => settled(Some(i64::from(spent.micro_usd)), spent.basis.as_str()),
                None => Cost { micros: Some(0), basis: "estimated", kind: "release" },
            },
            Some(CallEnd::Paused { .. }) | None => settled(None, "estimated"),
        }
    }

    async fn settle(&self, app: &App, want: &Want) -> Result<()> {
        let now = app.clock.now();
        let entry = LedgerEntry {
            id: LedgerEntryId::generate(),
            workspace_id: want.workspace,
            run_id: want.run,
            attempt: want.attempt,
            kind: self.kind.into(),
            engine: want.engine.clone(),
            micros: self.micros.unwrap_or(want.micros),
            basis: self.basis.into(),
            synthetic: want.synthetic,
            day: want.day,
            created_at: now,
        };
        let closing = Closing { entry, guess: self.micros.is_none() };
        let mut books = Books::default();
        let mut tx = app.store.begin().await?;
        budgets::close(&mut tx, &mut books, vec![closing]).await?;
        books.post(&mut tx, &budget_policy(app), now).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn status_of(failure: &CallFailure) -> TestStatus {
    let refused =
        failure.class == FailureClass::Credential || matches!(failure.kind, ErrorKind::Auth);
    if refused { TestStatus::CredentialRefused } else { TestStatus::Failed }
}
