use super::{
    Begun, Body, Caller, Created, Deleted, Once, Paging, Problem, Tag, page,
    rules::Rules,
    types::{Clearable, Timestamp},
};
use crate::{
    App, Result,
    ids::PromptId,
    store::{
        audit_logs,
        prompts::{self, PromptFilter},
    },
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::json;
use uuid::Uuid;

/// A question tracked across engines.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct Prompt {
    id: Uuid,
    /// The question, as a person would type it.
    text: String,
    /// Why people ask; phrasings of one intent are counted as one draw.
    intent: Option<String>,
    /// Free labels to group prompts by.
    tags: Vec<String>,
    /// BCP 47 tag of the language it is asked in; the engine's own when absent.
    language: Option<String>,
    /// ISO 3166-1 alpha-2 code of the country it is asked from; the engine's own when absent.
    country: Option<String>,
    /// Place it is asked from, in the words of the engine.
    location: Option<String>,
    /// Whether batches ask it.
    active: bool,
    /// Grows when the text changes: answers to different texts are never mixed.
    version: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A question to track.
#[derive(Object)]
struct NewPrompt {
    /// The question, as a person would type it: 3 to 2000 characters.
    #[oai(validator(min_length = 3, max_length = 2000))]
    text: String,
    /// Free name of why people ask. Prompts of one name are phrasings of one intent.
    #[oai(validator(min_length = 1, max_length = 100))]
    intent: Option<String>,
    /// Free labels to group prompts by.
    #[oai(default, validator(max_items = 20, unique_items))]
    tags: Vec<String>,
    /// BCP 47 tag, such as `en` or `pt-BR`.
    #[oai(validator(max_length = 35))]
    language: Option<String>,
    /// ISO 3166-1 alpha-2 code in capitals, such as `DK`.
    #[oai(validator(min_length = 2, max_length = 2))]
    country: Option<String>,
    /// Place, in the words of the engine, such as `Austin, Texas, United States`.
    #[oai(validator(min_length = 1, max_length = 200))]
    location: Option<String>,
    /// Whether batches ask it.
    #[oai(default = "yes")]
    active: bool,
}

/// What to change of a prompt; fields that are absent stay, `null` empties.
#[derive(Object)]
struct PromptPatch {
    /// Another text makes another version: series of numbers begin anew.
    #[oai(validator(min_length = 3, max_length = 2000))]
    text: Option<String>,
    /// Free name of why people ask.
    #[oai(validator(min_length = 1, max_length = 100))]
    intent: Clearable<String>,
    /// Replaces all tags.
    #[oai(validator(max_items = 20, unique_items))]
    tags: Option<Vec<String>>,
    /// BCP 47 tag, such as `en` or `pt-BR`.
    #[oai(validator(max_length = 35))]
    language: Clearable<String>,
    /// ISO 3166-1 alpha-2 code in capitals, such as `DK`.
    #[oai(validator(min_length = 2, max_length = 2))]
    country: Clearable<String>,
    /// Place, in the words of the engine.
    #[oai(validator(min_length = 1, max_length = 200))]
    location: Clearable<String>,
    /// Whether batches ask it.
    active: Option<bool>,
}

page! {
    /// A page of prompts, oldest first.
    PromptPage of Prompt
}

fn yes() -> bool {
    true
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Prompts")]
impl Api {
    /// Create a prompt
    ///
    /// The next batch asks it, unless it is created inactive.
    #[oai(path = "/prompts", method = "post", operation_id = "create_prompt")]
    async fn create(
        &self,
        caller: Caller,
        /// Repeating a request with the same key has one effect.
        #[oai(name = "Idempotency-Key")]
        once: Once,
        new: Body<NewPrompt>,
    ) -> Result<Created<Prompt>, Problem> {
        let new = new.0.checked()?;
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let doing = match once.begin(&mut tx, &caller, now).await? {
            Begun::First(doing) => doing,
            Begun::Again(record) => return Ok(Created::again(record)),
        };
        let row = prompts::insert(&mut tx, caller.workspace, new, now).await?;
        let what = json!({"active": row.active, "tags": row.tags});
        audit_logs::note(&mut tx, &caller.actor(), "prompt.create", row.id, what, now).await?;
        let created = Created::new(format!("/v1/prompts/{}", row.id), &Prompt::from(row));
        doing.finish(&mut tx, &created).await?;
        tx.commit().await?;
        Ok(created)
    }

    /// List the prompts
    #[oai(path = "/prompts", method = "get", operation_id = "list_prompts")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those with this tag.
        tag: Query<Option<String>>,
        /// Only those of this intent.
        intent: Query<Option<String>>,
        /// Only active ones, or only inactive ones.
        active: Query<Option<bool>>,
        /// Only those whose text contains this, whatever its case.
        q: Query<Option<String>>,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<PromptPage>, Problem> {
        let filter = PromptFilter { tag: tag.0, intent: intent.0, active: active.0, q: q.0 };
        let bound = (&filter.tag, &filter.intent, &filter.active, &filter.q);
        let page = Paging::open(&self.0, &caller, "prompts", &bound, limit.0, cursor.0.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows =
            prompts::list(&mut conn, caller.workspace, &filter, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find a prompt
    #[oai(path = "/prompts/:prompt", method = "get", operation_id = "find_prompt")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the prompt.
        prompt: Path<Uuid>,
    ) -> Result<Json<Prompt>, Problem> {
        let mut conn = self.0.store.read().await?;
        Ok(Json(prompts::find(&mut conn, caller.workspace, PromptId(prompt.0)).await?.into()))
    }

    /// Update a prompt
    #[oai(path = "/prompts/:prompt", method = "patch", operation_id = "update_prompt")]
    async fn update(
        &self,
        caller: Caller,
        /// Id of the prompt.
        prompt: Path<Uuid>,
        patch: Body<PromptPatch>,
    ) -> Result<Json<Prompt>, Problem> {
        let PromptPatch { text, intent, tags, language, country, location, active } = patch.0;
        let id = PromptId(prompt.0);
        let mut tx = self.0.store.begin().await?;
        let before = prompts::find(&mut tx, caller.workspace, id).await?;
        let new = NewPrompt {
            text: text.unwrap_or(before.text),
            intent: intent.over(before.intent),
            tags: tags.unwrap_or(before.tags.0),
            language: language.over(before.language),
            country: country.over(before.country),
            location: location.over(before.location),
            active: active.unwrap_or(before.active),
        };
        let new = new.checked()?;
        let now = self.0.clock.now();
        let row = prompts::update(&mut tx, caller.workspace, id, new, now).await?;
        let what = json!({"active": row.active, "tags": row.tags});
        audit_logs::note(&mut tx, &caller.actor(), "prompt.update", id, what, now).await?;
        tx.commit().await?;
        Ok(Json(row.into()))
    }

    /// Delete a prompt
    ///
    /// It is asked no longer; what was measured with it stays.
    #[oai(path = "/prompts/:prompt", method = "delete", operation_id = "delete_prompt")]
    async fn delete(
        &self,
        caller: Caller,
        /// Id of the prompt.
        prompt: Path<Uuid>,
    ) -> Result<Deleted, Problem> {
        let mut tx = self.0.store.begin().await?;
        let id = PromptId(prompt.0);
        let now = self.0.clock.now();
        prompts::archive(&mut tx, caller.workspace, id, now).await?;
        audit_logs::note(&mut tx, &caller.actor(), "prompt.delete", id, json!({}), now).await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }
}

impl NewPrompt {
    fn checked(self) -> Result<prompts::NewPrompt> {
        let NewPrompt { text, intent, tags, language, country, location, active } = self;
        let mut rules = Rules::default();
        let text = text.trim().to_owned();
        let enough = text.chars().count() >= 3;
        rules.require(enough, "/text", "must have 3 characters between its first and last one");
        if let Some(intent) = &intent {
            rules.name("/intent", intent);
        }
        for (index, tag) in tags.iter().enumerate() {
            let fits = !tag.trim().is_empty() && tag.chars().count() <= 50;
            rules.require(fits, format!("/tags/{index}"), "must have 1 to 50 characters");
        }
        if let Some(language) = &language {
            rules.language("/language", language);
        }
        if let Some(country) = &country {
            rules.country("/country", country);
        }
        rules.check()?;
        let intent = intent.map(|intent| intent.trim().to_owned());
        Ok(prompts::NewPrompt { text, intent, language, country, location, tags, active })
    }
}

impl From<prompts::Prompt> for Prompt {
    fn from(row: prompts::Prompt) -> Self {
        let prompts::Prompt {
            id,
            workspace_id: _,
            intent_id: _,
            intent,
            version_id: _,
            text,
            language,
            country,
            location,
            tags,
            active,
            version,
            created_at,
            updated_at,
        } = row;
        Prompt {
            id: id.0,
            text,
            intent,
            tags: tags.0,
            language,
            country,
            location,
            active,
            version,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}
