//! A run as a conformance case: a report of what went wrong becomes a test.

use super::run_prompt::{query, stored_call};
use crate::{
    Error, Result,
    ids::RunId,
    providers::cases::{Asked, Recording},
    store::{
        Conn, engines, providers, raw_payloads, run_admin,
        runs::{self, Question},
    },
};
use anyhow::Context as _;

/// The last call of a run that got as far as its vendor, as a case that expects what came of it.
///
/// The settings of its engine are those of today.
///
/// # Errors
/// 409 when the run's requests and responses are not all kept.
pub async fn run_case(conn: &mut Conn, run: RunId) -> Result<Recording> {
    let workspace = run_admin::workspace_of(conn, run).await?;
    let question = runs::question(conn, workspace, run).await?;
    let Question { run, .. } = &question;
    let attempts = runs::attempts(conn, workspace, run.number).await?;
    let asked = attempts.into_iter().rev().find(|attempt| attempt.raw_digest.is_some());
    let nothing = || {
        Error::Conflict("no answer to this run is kept: there is nothing to make a case of".into())
    };
    let attempt = asked.ok_or_else(nothing)?;
    let raw_digest = attempt.raw_digest.as_deref().unwrap_or_default();
    let document = raw_payloads::find(conn, workspace, raw_digest).await?.ok_or_else(nothing)?;
    let (exchanges, outcome) = stored_call(&document)?;
    if i64::try_from(exchanges.len()).unwrap_or(i64::MAX) < attempt.fetches {
        let detail = "the call waited for its vendor, and what came before is not kept: record a \
                      case of the same question with `aiv plugin test --record`";
        return Err(Error::Conflict(detail.into()));
    }
    let engine = engines::find(conn, workspace, &run.engine).await?;
    let artifact = providers::find_artifact(conn, &run.engine, &attempt.provider_digest).await?;
    let manifest = serde_json::from_value(artifact.manifest.0).context("read a manifest")?;
    let asked = Asked {
        manifest: &manifest,
        query: &query(&question, &engine)?,
        at: attempt.started_at,
        digest: hex::encode(&attempt.provider_digest),
    };
    let (kind, message) = (attempt.error_kind.as_deref(), attempt.error_detail.as_deref());
    let expect = Recording::stored_expectation(outcome, kind, message, &exchanges);
    Ok(Recording::new(&format!("run-{}", run.id), &asked, &exchanges, &expect))
}
