use super::{Body, Caller, Deleted, Problem, Tag, rules::Rules};
use crate::{
    App,
    store::{audit_logs, tags},
};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use serde_json::json;

/// A free label on prompts.
#[derive(Object)]
#[oai(rename = "Tag")]
struct Label {
    name: String,
    /// Prompts that have it and are not archived.
    prompts: i64,
}

/// Every tag in use.
#[derive(Object)]
struct TagList {
    /// By name.
    data: Vec<Label>,
}

/// What to change of a tag.
#[derive(Object)]
struct TagPatch {
    /// Its new name. Where a prompt has both, the two become one.
    #[oai(validator(min_length = 1, max_length = 50))]
    name: String,
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Prompts")]
impl Api {
    /// List the tags
    ///
    /// A tag exists as long as a prompt has it.
    #[oai(path = "/tags", method = "get", operation_id = "list_tags")]
    async fn list(&self, caller: Caller) -> Result<Json<TagList>, Problem> {
        let mut conn = self.0.store.read().await?;
        let rows = tags::list(&mut conn, caller.workspace).await?;
        let data = rows.into_iter().map(|tags::Tag { name, prompts }| Label { name, prompts });
        Ok(Json(TagList { data: data.collect() }))
    }

    /// Update a tag
    ///
    /// Renames it on every prompt that has it.
    #[oai(path = "/tags/:tag", method = "patch", operation_id = "update_tag")]
    async fn update(
        &self,
        caller: Caller,
        /// Name of the tag.
        tag: Path<String>,
        patch: Body<TagPatch>,
    ) -> Result<Json<Label>, Problem> {
        let name = patch.0.name.trim().to_owned();
        let mut rules = Rules::default();
        rules.name("/name", &name);
        rules.check()?;
        let (workspace, now) = (caller.workspace, self.0.clock.now());
        let mut tx = self.0.store.begin().await?;
        let changed = tags::replace(&mut tx, workspace, &tag.0, Some(&name), now).await?;
        let what = json!({"name": name, "prompts": changed});
        audit_logs::note(&mut tx, &caller.actor(), "tag.update", &tag.0, what, now).await?;
        let rows = tags::list(&mut tx, workspace).await?;
        tx.commit().await?;
        let prompts = rows.iter().find(|row| row.name == name).map_or(0, |row| row.prompts);
        Ok(Json(Label { name, prompts }))
    }

    /// Delete a tag
    ///
    /// Takes it off every prompt that has it.
    #[oai(path = "/tags/:tag", method = "delete", operation_id = "delete_tag")]
    async fn delete(
        &self,
        caller: Caller,
        /// Name of the tag.
        tag: Path<String>,
    ) -> Result<Deleted, Problem> {
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let changed = tags::replace(&mut tx, caller.workspace, &tag.0, None, now).await?;
        let what = json!({"prompts": changed});
        audit_logs::note(&mut tx, &caller.actor(), "tag.delete", &tag.0, what, now).await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }
}
