use super::{
    Begun, Body, Caller, Created, Deleted, Once, Paging, Problem, Tag, page,
    rules::Rules,
    types::{Clearable, Timestamp},
};
use crate::{
    App, Result,
    ids::IntentId,
    store::{audit_logs, intents},
};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::json;
use uuid::Uuid;

/// What sort of question it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum IntentKind {
    /// Which is best.
    Best,
    /// What else there is.
    Alternatives,
    /// What it costs.
    Pricing,
    /// One against the other.
    Versus,
    /// How to do or choose something.
    HowTo,
    /// About one brand.
    Brand,
    /// What there is at a place.
    Local,
    /// What others say.
    Review,
    Other,
}

/// Why people ask. Its prompts are phrasings of one question, and count as one draw from the
/// market.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Intent {
    id: Uuid,
    name: String,
    kind: Option<IntentKind>,
    description: Option<String>,
    /// Prompts that are not archived.
    prompts: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// An intent to make.
#[derive(Object)]
struct NewIntent {
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
    kind: Option<IntentKind>,
    #[oai(validator(max_length = 500))]
    description: Option<String>,
}

/// What to change of an intent; fields that are absent stay, `null` empties.
#[derive(Object)]
struct IntentPatch {
    #[oai(validator(min_length = 1, max_length = 100))]
    name: Option<String>,
    kind: Clearable<IntentKind>,
    #[oai(validator(max_length = 500))]
    description: Clearable<String>,
}

page! {
    /// A page of intents, oldest first.
    IntentPage of Intent
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Prompts")]
impl Api {
    /// Create an intent
    ///
    /// Prompts that name an intent which does not exist make it, too.
    #[oai(path = "/intents", method = "post", operation_id = "create_intent")]
    async fn create(
        &self,
        caller: Caller,
        /// Repeating a request with the same key has one effect.
        #[oai(name = "Idempotency-Key")]
        once: Once,
        new: Body<NewIntent>,
    ) -> Result<Created<Intent>, Problem> {
        let new = new.0.checked()?;
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let doing = match once.begin(&mut tx, &caller, now).await? {
            Begun::First(doing) => doing,
            Begun::Again(record) => return Ok(Created::again(record)),
        };
        let row = intents::insert(&mut tx, caller.workspace, new, now).await?;
        let what = json!({"name": row.name});
        audit_logs::note(&mut tx, &caller.actor(), "intent.create", row.id, what, now).await?;
        let created = Created::new(format!("/v1/intents/{}", row.id), &Intent::from(row));
        doing.finish(&mut tx, &created).await?;
        tx.commit().await?;
        Ok(created)
    }

    /// List the intents
    #[oai(path = "/intents", method = "get", operation_id = "list_intents")]
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
    ) -> Result<Json<IntentPage>, Problem> {
        let page = Paging::open(&self.0, &caller, "intents", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows = intents::list(&mut conn, caller.workspace, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find an intent
    #[oai(path = "/intents/:intent", method = "get", operation_id = "find_intent")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the intent.
        intent: Path<Uuid>,
    ) -> Result<Json<Intent>, Problem> {
        let mut conn = self.0.store.read().await?;
        Ok(Json(intents::find(&mut conn, caller.workspace, IntentId(intent.0)).await?.into()))
    }

    /// Update an intent
    #[oai(path = "/intents/:intent", method = "patch", operation_id = "update_intent")]
    async fn update(
        &self,
        caller: Caller,
        /// Id of the intent.
        intent: Path<Uuid>,
        patch: Body<IntentPatch>,
    ) -> Result<Json<Intent>, Problem> {
        let IntentPatch { name, kind, description } = patch.0;
        let id = IntentId(intent.0);
        let mut tx = self.0.store.begin().await?;
        let before = intents::find(&mut tx, caller.workspace, id).await?;
        let new = NewIntent {
            name: name.unwrap_or(before.name),
            kind: kind.over(before.kind.map(Into::into)),
            description: description.over(before.description),
        };
        let new = new.checked()?;
        let now = self.0.clock.now();
        let row = intents::update(&mut tx, caller.workspace, id, new, now).await?;
        let what = json!({"name": row.name});
        audit_logs::note(&mut tx, &caller.actor(), "intent.update", id, what, now).await?;
        tx.commit().await?;
        Ok(Json(row.into()))
    }

    /// Delete an intent
    ///
    /// Refused while prompts have it, archived ones included: their numbers are drawn by it.
    #[oai(path = "/intents/:intent", method = "delete", operation_id = "delete_intent")]
    async fn delete(
        &self,
        caller: Caller,
        /// Id of the intent.
        intent: Path<Uuid>,
    ) -> Result<Deleted, Problem> {
        let mut tx = self.0.store.begin().await?;
        let (id, now) = (IntentId(intent.0), self.0.clock.now());
        intents::delete(&mut tx, caller.workspace, id).await?;
        audit_logs::note(&mut tx, &caller.actor(), "intent.delete", id, json!({}), now).await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }
}

impl NewIntent {
    fn checked(self) -> Result<intents::NewIntent> {
        let NewIntent { name, kind, description } = self;
        let mut rules = Rules::default();
        rules.name("/name", &name);
        rules.check()?;
        Ok(intents::NewIntent { name: name.trim().into(), kind: kind.map(Into::into), description })
    }
}

impl From<intents::Intent> for Intent {
    fn from(row: intents::Intent) -> Self {
        let intents::Intent {
            id,
            workspace_id: _,
            name,
            kind,
            description,
            prompts,
            created_at,
            updated_at,
        } = row;
        Intent {
            id: id.0,
            name,
            kind: kind.map(Into::into),
            description,
            prompts,
            created_at: created_at.into(),
            updated_at: updated_at.unwrap_or(created_at).into(),
        }
    }
}

macro_rules! same_kinds {
    ($($kind:ident),+) => {
        impl From<intents::IntentKind> for IntentKind {
            fn from(kind: intents::IntentKind) -> Self {
                match kind {
                    $(intents::IntentKind::$kind => IntentKind::$kind),+
                }
            }
        }

        impl From<IntentKind> for intents::IntentKind {
            fn from(kind: IntentKind) -> Self {
                match kind {
                    $(IntentKind::$kind => intents::IntentKind::$kind),+
                }
            }
        }
    };
}
same_kinds! { Best, Alternatives, Pricing, Versus, HowTo, Brand, Local, Review, Other }
