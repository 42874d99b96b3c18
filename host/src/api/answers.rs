use super::{Caller, Problem, Tag, runs::RunOutcome, types::Timestamp};
use crate::{
    App, Error,
    ids::RunId,
    store::{
        answers, brands,
        citations::{self, CitationKind, CitationOrigin},
        mentions, runs,
    },
};
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json, types::Any};
use std::collections::HashMap;
use uuid::Uuid;

/// What an engine answered, and what was found in it.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Answer {
    /// Id of the run.
    id: Uuid,
    prompt_id: Uuid,
    prompt_version_id: Uuid,
    /// Key of the engine.
    engine: String,
    outcome: RunOutcome,
    /// Why there is no answer.
    reason: Option<String>,
    /// Comes from a recording and is kept out of live numbers.
    synthetic: bool,
    /// Markdown, byte for byte as the engine gave it; absent when it gave none.
    text: Option<String>,
    /// Questions that the engine offers to go on with.
    related_questions: Vec<String>,
    /// Where the text names tracked brands, in the order of the text.
    mentions: Vec<Mention>,
    /// Sources, in the order of the engine.
    citations: Vec<Citation>,
    /// The instrument: what was asked and what answered. A series breaks where it changes.
    passport: Option<Any<serde_json::Value>>,
    /// SHA-256 of what the vendor sent, as it is kept.
    raw_digest: Option<String>,
    /// Version of the analysis that found mentions and citations.
    analysis_version: Option<i64>,
    created_at: Timestamp,
}

/// One place where an answer names a brand.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Mention {
    /// Absent when the brand is tracked no longer.
    brand_id: Option<Uuid>,
    /// Name of the brand.
    brand: Option<String>,
    /// Byte offset into the text (UTF-8).
    start: i64,
    /// Length in bytes.
    length: i64,
    /// Order of the brand's first appearance among the tracked brands, from 1.
    rank: i64,
    /// Number of the list item that holds it.
    list_position: Option<i64>,
    /// It is named as a pick.
    recommended: bool,
    sentiment: Option<Sentiment>,
}

/// How a sentence speaks of a brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum Sentiment {
    Positive,
    Neutral,
    Negative,
}

/// A URL that an answer gives as a source.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Citation {
    /// From 1, in the order of the engine.
    position: i64,
    url: String,
    /// Registrable domain.
    domain: String,
    title: Option<String>,
    kind: Kind,
    origin: Origin,
    /// A reader sees it: cited inline, or listed where the whole list is shown.
    visible: bool,
    /// The tracked brand that owns the domain.
    brand_id: Option<Uuid>,
    /// Inline marks that point here, such as `1`.
    markers: Vec<String>,
    /// Date of the source, as the engine gave it.
    published: Option<String>,
}

/// How an answer gives a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "CitationKind", rename_all = "snake_case")]
enum Kind {
    /// Referenced inline.
    Cited,
    /// Only offered as a source.
    Listed,
    /// A link in the text that is not in the source list.
    InlineLink,
}

/// Where a citation was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "CitationOrigin", rename_all = "snake_case")]
enum Origin {
    /// The engine gave it as a source.
    Provider,
    /// It stands in the text.
    Text,
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Runs")]
impl Api {
    /// Find an answer
    ///
    /// Also when the engine showed none: then `outcome` says so and there is no text.
    #[oai(path = "/answers/:answer", method = "get", operation_id = "find_answer")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the run.
        answer: Path<Uuid>,
    ) -> Result<Json<Answer>, Problem> {
        let workspace = caller.workspace;
        let mut conn = self.0.store.read().await?;
        let run = runs::find(&mut conn, workspace, RunId(answer.0)).await?;
        let outcome = run.outcome.ok_or(Error::NotFound("answer"))?;
        let base = Answer {
            id: run.id.0,
            prompt_id: run.prompt_id.0,
            prompt_version_id: run.prompt_version_id.0,
            engine: run.engine,
            outcome: outcome.into(),
            reason: run.reason,
            synthetic: run.synthetic,
            text: None,
            related_questions: vec![],
            mentions: vec![],
            citations: vec![],
            passport: None,
            raw_digest: None,
            analysis_version: None,
            created_at: run.finished_at.unwrap_or(run.created_at).into(),
        };
        if outcome == runs::RunOutcome::NoAnswer {
            return Ok(Json(base));
        }
        let answer = answers::find(&mut conn, workspace, run.number).await?;
        let mentions = mentions::list(&mut conn, workspace, run.number).await?;
        let citations = citations::list(&mut conn, workspace, run.number).await?;
        let tracked = brands::tracked(&mut conn, workspace).await?;
        let names: Names = tracked.into_iter().map(|b| (b.number, (b.id.0, b.name))).collect();
        Ok(Json(Answer {
            text: Some(answer.text),
            related_questions: answer.related.0,
            mentions: mentions.into_iter().map(|row| Mention::of(&row, &names)).collect(),
            citations: citations.into_iter().map(|row| Citation::of(row, &names)).collect(),
            passport: Some(Any(answer.passport.0)),
            raw_digest: Some(hex::encode(answer.raw_digest)),
            analysis_version: Some(answer.analysis_version),
            ..base
        }))
    }
}

/// Id and name of each tracked brand, by the number that rows use.
type Names = HashMap<i64, (Uuid, String)>;

impl Mention {
    fn of(row: &mentions::Mention, names: &Names) -> Self {
        let mentions::Mention {
            run_number: _,
            start,
            length,
            workspace_id: _,
            brand,
            rank,
            list_position,
            recommended,
            sentiment,
        } = *row;
        let brand = names.get(&brand);
        Mention {
            brand_id: brand.map(|(id, _)| *id),
            brand: brand.map(|(_, name)| name.clone()),
            start,
            length,
            rank,
            list_position,
            recommended,
            sentiment: sentiment.map(|sign| match sign.signum() {
                1 => Sentiment::Positive,
                -1 => Sentiment::Negative,
                _ => Sentiment::Neutral,
            }),
        }
    }
}

impl Citation {
    fn of(row: citations::Citation, names: &Names) -> Self {
        let citations::Citation {
            position,
            domain,
            kind,
            origin,
            visible,
            brand,
            url,
            title,
            markers,
            published,
        } = row;
        Citation {
            position,
            url,
            domain,
            title,
            kind: match kind {
                CitationKind::Cited => Kind::Cited,
                CitationKind::Listed => Kind::Listed,
                CitationKind::InlineLink => Kind::InlineLink,
            },
            origin: match origin {
                CitationOrigin::Provider => Origin::Provider,
                CitationOrigin::Text => Origin::Text,
            },
            visible,
            brand_id: brand.and_then(|number| names.get(&number)).map(|(id, _)| *id),
            markers: markers.0,
            published,
        }
    }
}
