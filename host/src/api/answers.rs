use super::{
    Caller, Problem, Tag,
    runs::RunOutcome,
    types::{Nullable, Timestamp},
};
use crate::{
    App, Error,
    ids::{RunId, WorkspaceId},
    store::{
        Conn, answers, brands,
        citations::{self, CitationKind, CitationOrigin},
        mentions, raw_payloads, runs,
    },
};
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json, types::Any};
use serde_json::Value;
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
    passport: Option<Any<Value>>,
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

/// The mentions of an answer.
#[derive(Object)]
struct MentionList {
    data: Vec<Mention>,
}

/// The citations of an answer.
#[derive(Object)]
struct CitationList {
    data: Vec<Citation>,
}

/// What a vendor was asked and sent, as it is kept.
#[derive(Object)]
struct RawAnswer {
    /// SHA-256 of the document as it is kept.
    digest: String,
    /// Requests and responses, in their order.
    exchanges: Any<Value>,
    /// What the component made of them; `null` for a call that failed.
    outcome: Nullable<Any<Value>>,
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
        let names = names(&mut conn, workspace).await?;
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
    /// List an answer's mentions
    ///
    /// Where the text names tracked brands, in the order of the text.
    #[oai(path = "/answers/:answer/mentions", method = "get", operation_id = "list_mentions")]
    async fn mentions(
        &self,
        caller: Caller,
        /// Id of the run.
        answer: Path<Uuid>,
    ) -> Result<Json<MentionList>, Problem> {
        let mut conn = self.0.store.read().await?;
        let number = answered(&mut conn, caller.workspace, RunId(answer.0)).await?;
        let rows = mentions::list(&mut conn, caller.workspace, number).await?;
        let names = names(&mut conn, caller.workspace).await?;
        let data = rows.into_iter().map(|row| Mention::of(&row, &names)).collect();
        Ok(Json(MentionList { data }))
    }

    /// List an answer's citations
    ///
    /// Its sources, in the order of the engine.
    #[oai(path = "/answers/:answer/citations", method = "get", operation_id = "list_citations")]
    async fn citations(
        &self,
        caller: Caller,
        /// Id of the run.
        answer: Path<Uuid>,
    ) -> Result<Json<CitationList>, Problem> {
        let mut conn = self.0.store.read().await?;
        let number = answered(&mut conn, caller.workspace, RunId(answer.0)).await?;
        let rows = citations::list(&mut conn, caller.workspace, number).await?;
        let names = names(&mut conn, caller.workspace).await?;
        let data = rows.into_iter().map(|row| Citation::of(row, &names)).collect();
        Ok(Json(CitationList { data }))
    }

    /// Find an answer's raw payload
    ///
    /// What went to the vendor and came back, as it is kept: credentials show as `[name]`.
    #[oai(path = "/answers/:answer/raw", method = "get", operation_id = "find_raw_answer")]
    async fn raw(
        &self,
        caller: Caller,
        /// Id of the run.
        answer: Path<Uuid>,
    ) -> Result<Json<RawAnswer>, Problem> {
        let workspace = caller.workspace;
        let mut conn = self.0.store.read().await?;
        let run = runs::find(&mut conn, workspace, RunId(answer.0)).await?;
        let attempts = runs::attempts(&mut conn, workspace, run.number).await?;
        let last = attempts.into_iter().rev().find_map(|attempt| attempt.raw_digest);
        let digest = last.ok_or(Error::NotFound("raw answer"))?;
        let document = raw_payloads::find(&mut conn, workspace, &digest).await?;
        let document = document.ok_or(Error::NotFound("raw answer"))?;
        let mut document: Value = serde_json::from_slice(&document).map_err(anyhow::Error::from)?;
        Ok(Json(RawAnswer {
            digest: hex::encode(digest),
            exchanges: Any(document["exchanges"].take()),
            outcome: Nullable(Some(document["outcome"].take()).filter(|o| !o.is_null()).map(Any)),
        }))
    }
}

/// Number of the run, which has an answer.
async fn answered(conn: &mut Conn, workspace: WorkspaceId, id: RunId) -> crate::Result<i64> {
    let run = runs::find(conn, workspace, id).await?;
    run.outcome.map(|_| run.number).ok_or(Error::NotFound("answer"))
}

async fn names(conn: &mut Conn, workspace: WorkspaceId) -> crate::Result<Names> {
    let tracked = brands::tracked(conn, workspace).await?;
    Ok(tracked.into_iter().map(|brand| (brand.number, (brand.id.0, brand.name))).collect())
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
