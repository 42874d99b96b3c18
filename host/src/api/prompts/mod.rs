use super::{
    Begun, Body, Caller, Created, Deleted, Once, Paging, Problem, Tag, page, rules::Rules,
};
use crate::{
    App,
    ids::PromptId,
    store::{
        audit_logs, prompt_sets, prompt_versions,
        prompts::{self, PromptFilter},
    },
};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::json;
use uuid::Uuid;

pub(super) mod suggestions;
pub(super) mod transfer;
mod types;

use self::types::{
    NewPrompt, Prompt, PromptAction, PromptChange, PromptPatch, PromptVersion, PromptsChanged,
};

page! {
    /// A page of prompts, oldest first.
    PromptPage of Prompt
}

page! {
    /// A page of a prompt's versions, newest first.
    PromptVersionPage of PromptVersion
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
        /// Only those about this topic.
        topic: Query<Option<String>>,
        /// Only those that this persona asks.
        persona: Query<Option<String>>,
        /// Only those asked in this language.
        language: Query<Option<String>>,
        /// Only those asked from this country.
        country: Query<Option<String>>,
        /// Only active ones, or only inactive ones.
        active: Query<Option<bool>>,
        /// Only those whose text contains this, whatever its case.
        q: Query<Option<String>>,
        /// Rows of a page.
        #[oai(
            default = "crate::api::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<PromptPage>, Problem> {
        let filter = PromptFilter {
            tag: tag.0,
            intent: intent.0,
            topic: topic.0,
            persona: persona.0,
            language: language.0,
            country: country.0,
            active: active.0,
            q: q.0,
        };
        let cursor = cursor.0.as_deref();
        let page = Paging::open(&self.0, &caller, "prompts", &filter, limit.0, cursor)?;
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
        let PromptPatch { text, intent, topic, persona, tags, language, country, location, active } =
            patch.0;
        let id = PromptId(prompt.0);
        let mut tx = self.0.store.begin().await?;
        let before = prompts::find(&mut tx, caller.workspace, id).await?;
        let new = NewPrompt {
            text: text.unwrap_or(before.text),
            intent: intent.over(before.intent),
            topic: topic.over(before.topic),
            persona: persona.over(before.persona),
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
    /// Update many prompts
    ///
    /// All of them or none: an id without a prompt refuses the request.
    #[oai(path = "/prompts/bulk", method = "post", operation_id = "update_prompts")]
    async fn update_many(
        &self,
        caller: Caller,
        change: Body<PromptChange>,
    ) -> Result<Json<PromptsChanged>, Problem> {
        let PromptChange { action, prompt_ids, add_tags, remove_tags } = change.0;
        let (workspace, now) = (caller.workspace, self.0.clock.now());
        let ids: Vec<PromptId> = prompt_ids.into_iter().map(PromptId).collect();
        let mut tx = self.0.store.begin().await?;
        let known = prompt_sets::find(&mut tx, workspace, &ids).await?;
        let mut rules = Rules::default();
        for (index, id) in ids.iter().enumerate() {
            let there = known.contains_key(id);
            rules.require(there, format!("/prompt_ids/{index}"), "no prompt has this id");
        }
        rules.tags("/add_tags", &add_tags);
        rules.check()?;
        let (verb, changed) = match action {
            PromptAction::Activate => {
                let changed = prompt_sets::set_active(&mut tx, workspace, &ids, true, now).await?;
                ("prompt.activate", changed)
            }
            PromptAction::Deactivate => {
                let changed = prompt_sets::set_active(&mut tx, workspace, &ids, false, now).await?;
                ("prompt.deactivate", changed)
            }
            PromptAction::Archive => {
                ("prompt.delete", prompt_sets::archive(&mut tx, workspace, &ids, now).await?)
            }
            PromptAction::Tag => {
                let (add, remove) = (&add_tags, &remove_tags);
                let changed = prompt_sets::retag(&mut tx, workspace, &known, add, remove, now);
                ("prompt.tag", changed.await?)
            }
        };
        let changed = i64::try_from(changed).unwrap_or(i64::MAX);
        let what = json!({"prompts": changed, "first_ids": &ids[..ids.len().min(100)]});
        audit_logs::note(&mut tx, &caller.actor(), verb, "many", what, now).await?;
        tx.commit().await?;
        Ok(Json(PromptsChanged { changed }))
    }

    /// List a prompt's versions
    ///
    /// What engines were asked, newest first. Runs name the version they asked.
    #[oai(
        path = "/prompts/:prompt/versions",
        method = "get",
        operation_id = "list_prompt_versions"
    )]
    async fn versions(
        &self,
        caller: Caller,
        /// Id of the prompt.
        prompt: Path<Uuid>,
        /// Rows of a page.
        #[oai(
            default = "crate::api::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<PromptVersionPage>, Problem> {
        let cursor = cursor.0.as_deref();
        let page = Paging::open(&self.0, &caller, "prompt_versions", &prompt.0, limit.0, cursor)?;
        let mut conn = self.0.store.read().await?;
        let id = PromptId(prompt.0);
        prompts::find(&mut conn, caller.workspace, id).await?;
        let (after, fetch) = (page.after, page.fetch());
        let rows = prompt_versions::list(&mut conn, caller.workspace, id, after, fetch).await?;
        Ok(Json(page.close(rows, |row| row.version)?.into()))
    }

    /// Find a prompt's version
    #[oai(
        path = "/prompts/:prompt/versions/:version",
        method = "get",
        operation_id = "find_prompt_version"
    )]
    async fn version(
        &self,
        caller: Caller,
        /// Id of the prompt.
        prompt: Path<Uuid>,
        /// Number of the version, from 1.
        version: Path<i64>,
    ) -> Result<Json<PromptVersion>, Problem> {
        let mut conn = self.0.store.read().await?;
        let id = PromptId(prompt.0);
        let row = prompt_versions::find(&mut conn, caller.workspace, id, version.0).await?;
        Ok(Json(row.into()))
    }
}
