//! What a call is given and what is kept of it.

use super::Try;
use crate::{
    Result,
    providers::{CallEnd, Exchange, FailureClass, replay},
    store::{
        engines::Engine,
        raw_payloads::{self, RawPayload},
        runs::Question,
    },
};
use aiv_runtime::types::{Cost, Meta, Outcome, Query};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// What is kept of a call: enough to read it again. A failed call has no outcome.
#[derive(Serialize)]
struct RawAnswer<'a> {
    exchanges: &'a [Exchange],
    outcome: Option<&'a Outcome>,
}

/// The part of a [`RawAnswer`] that is read again.
#[derive(Deserialize)]
struct StoredAnswer {
    outcome: Option<Outcome>,
}

/// All of a [`RawAnswer`].
#[derive(Deserialize)]
struct StoredCall {
    exchanges: Vec<Exchange>,
    outcome: Option<Outcome>,
}

impl Try<'_> {
    pub(super) fn query(&self) -> Result<Query> {
        query(&self.question, &self.engine)
    }

    /// The instrument passport: a series breaks visibly where it changes.
    pub(super) fn passport(&self, meta: &Meta) -> Result<serde_json::Value> {
        let mut passport = serde_json::to_value(meta).context("write an instrument passport")?;
        let query = self.query()?;
        passport["engine"] = self.question.run.engine.clone().into();
        passport["language"] = query.language.into();
        passport["country"] = query.country.into();
        passport["location"] = query.location.into();
        passport["device"] = query.device.into();
        passport["config"] = self.engine.config.0.clone();
        passport["plugin"] = serde_json::json!({
            "version": self.route.manifest.version,
            "digest": self.route.digest.to_string(),
        });
        Ok(passport)
    }

    pub(super) async fn stored_outcome(&self, raw_digest: &[u8]) -> Result<Option<Outcome>> {
        let mut conn = self.context.app.store.read().await?;
        let document =
            raw_payloads::find(&mut conn, self.question.run.workspace_id, raw_digest).await?;
        document.map_or(Ok(None), |document| stored_outcome(&document))
    }
}

/// The question as the component gets it. The prompt's own locale goes before the engine's.
pub(in crate::jobs) fn query(question: &Question, engine: &Engine) -> Result<Query> {
    let Question { run, text, language, country, location, .. } = question;
    let sample = u32::try_from(run.sample).context("sample number")?;
    Ok(Query {
        id: run.id.to_string(),
        prompt: text.clone(),
        surface: engine.surface.clone(),
        model: engine.model.clone(),
        language: language.clone().or_else(|| engine.language.clone()),
        country: country.clone().or_else(|| engine.country.clone()),
        location: location.clone().or_else(|| engine.location.clone()),
        device: engine.device.clone(),
        config: engine.config.0.to_string(),
        now_unix: 0.0,
        seed: replay::seed(text, &run.engine, sample),
        extra: vec![],
    })
}

/// What was asked and answered in a stored document, and the outcome that was made of it.
pub(in crate::jobs) fn stored_call(document: &[u8]) -> Result<(Vec<Exchange>, Option<Outcome>)> {
    let raw: StoredCall = serde_json::from_slice(document).context("read a raw answer")?;
    Ok((raw.exchanges, raw.outcome))
}

/// The outcome in a stored document; a failed call has none.
pub(in crate::jobs) fn stored_outcome(document: &[u8]) -> Result<Option<Outcome>> {
    let raw: StoredAnswer = serde_json::from_slice(document).context("read a raw answer")?;
    Ok(raw.outcome)
}

pub(super) fn raw_payload(exchanges: &[Exchange], outcome: Option<&Outcome>) -> Result<RawPayload> {
    let raw = RawAnswer { exchanges, outcome };
    // Most answers fit, and need not be moved while they are written.
    let mut document = Vec::with_capacity(64 << 10);
    serde_json::to_writer(&mut document, &raw).context("write a raw answer")?;
    RawPayload::new(&document)
}

pub(in crate::jobs) fn outcome_cost(outcome: &Outcome) -> (i64, &'static str) {
    match &outcome.meta().cost {
        Some(Cost { micro_usd, basis }) => (i64::from(*micro_usd), basis.as_str()),
        None => (0, "unknown"),
    }
}

pub(in crate::jobs) fn outcome_label(end: &CallEnd) -> &'static str {
    match end {
        CallEnd::Done(Outcome::Answered(_)) => "ok",
        CallEnd::Done(Outcome::Absent(_)) => "no_answer",
        CallEnd::Paused { .. } => "waiting",
        CallEnd::Failed(failure) if failure.class == FailureClass::Failed => failure.kind.as_str(),
        CallEnd::Failed(failure) => failure.class.as_str(),
    }
}
