use super::{
    Begun, Body, Caller, Created, Deleted, Once, Paging, Problem, Tag, page,
    rules::Rules,
    types::{Clearable, Timestamp},
};
use crate::{
    App, Result,
    ids::TopicId,
    store::{audit_logs, topics},
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::json;
use uuid::Uuid;

/// What prompts are about, such as a product line. A prompt has at most one.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Topic {
    id: Uuid,
    name: String,
    description: Option<String>,
    /// Prompts that are not archived.
    prompts: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A topic to make.
#[derive(Object)]
struct NewTopic {
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
    #[oai(validator(max_length = 500))]
    description: Option<String>,
}

/// What to change of a topic; fields that are absent stay, `null` empties.
#[derive(Object)]
struct TopicPatch {
    #[oai(validator(min_length = 1, max_length = 100))]
    name: Option<String>,
    #[oai(validator(max_length = 500))]
    description: Clearable<String>,
}

page! {
    /// A page of topics, oldest first.
    TopicPage of Topic
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Prompts")]
impl Api {
    /// Create a topic
    ///
    /// Prompts that name a topic which does not exist make it, too.
    #[oai(path = "/topics", method = "post", operation_id = "create_topic")]
    async fn create(
        &self,
        caller: Caller,
        /// Repeating a request with the same key has one effect.
        #[oai(name = "Idempotency-Key")]
        once: Once,
        new: Body<NewTopic>,
    ) -> Result<Created<Topic>, Problem> {
        let new = new.0.checked()?;
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let doing = match once.begin(&mut tx, &caller, now).await? {
            Begun::First(doing) => doing,
            Begun::Again(record) => return Ok(Created::again(record)),
        };
        let row = topics::insert(&mut tx, caller.workspace, new, now).await?;
        let what = json!({"name": row.name});
        audit_logs::note(&mut tx, &caller.actor(), "topic.create", row.id, what, now).await?;
        let created = Created::new(format!("/v1/topics/{}", row.id), &Topic::from(row));
        doing.finish(&mut tx, &created).await?;
        tx.commit().await?;
        Ok(created)
    }

    /// List the topics
    #[oai(path = "/topics", method = "get", operation_id = "list_topics")]
    async fn list(
        &self,
        caller: Caller,
        /// Rows of a page.
        #[oai(
            default = "super::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<TopicPage>, Problem> {
        let page = Paging::open(&self.0, &caller, "topics", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows = topics::list(&mut conn, caller.workspace, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find a topic
    #[oai(path = "/topics/:topic", method = "get", operation_id = "find_topic")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the topic.
        topic: Path<Uuid>,
    ) -> Result<Json<Topic>, Problem> {
        let mut conn = self.0.store.read().await?;
        Ok(Json(topics::find(&mut conn, caller.workspace, TopicId(topic.0)).await?.into()))
    }

    /// Update a topic
    #[oai(path = "/topics/:topic", method = "patch", operation_id = "update_topic")]
    async fn update(
        &self,
        caller: Caller,
        /// Id of the topic.
        topic: Path<Uuid>,
        patch: Body<TopicPatch>,
    ) -> Result<Json<Topic>, Problem> {
        let TopicPatch { name, description } = patch.0;
        let id = TopicId(topic.0);
        let mut tx = self.0.store.begin().await?;
        let before = topics::find(&mut tx, caller.workspace, id).await?;
        let new = NewTopic {
            name: name.unwrap_or(before.name),
            description: description.over(before.description),
        };
        let new = new.checked()?;
        let now = self.0.clock.now();
        let row = topics::update(&mut tx, caller.workspace, id, new, now).await?;
        let what = json!({"name": row.name});
        audit_logs::note(&mut tx, &caller.actor(), "topic.update", id, what, now).await?;
        tx.commit().await?;
        Ok(Json(row.into()))
    }

    /// Delete a topic
    ///
    /// Its prompts go on without one.
    #[oai(path = "/topics/:topic", method = "delete", operation_id = "delete_topic")]
    async fn delete(
        &self,
        caller: Caller,
        /// Id of the topic.
        topic: Path<Uuid>,
    ) -> Result<Deleted, Problem> {
        let mut tx = self.0.store.begin().await?;
        let (id, now) = (TopicId(topic.0), self.0.clock.now());
        topics::delete(&mut tx, caller.workspace, id).await?;
        audit_logs::note(&mut tx, &caller.actor(), "topic.delete", id, json!({}), now).await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }
}

impl NewTopic {
    fn checked(self) -> Result<topics::NewTopic> {
        let NewTopic { name, description } = self;
        let mut rules = Rules::default();
        rules.name("/name", &name);
        rules.check()?;
        Ok(topics::NewTopic { name: name.trim().into(), description })
    }
}

impl From<topics::Topic> for Topic {
    fn from(row: topics::Topic) -> Self {
        let topics::Topic {
            id,
            workspace_id: _,
            name,
            description,
            prompts,
            created_at,
            updated_at,
        } = row;
        Topic {
            id: id.0,
            name,
            description,
            prompts,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}
