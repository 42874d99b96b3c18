use super::{
    Begun, Body, Caller, Created, Deleted, Once, Paging, Problem, Tag, page,
    rules::Rules,
    types::{Clearable, Timestamp},
};
use crate::{
    App, Result,
    ids::PersonaId,
    store::{audit_logs, personas},
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::json;
use uuid::Uuid;

/// Who asks: a context that engines are told before the question.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
struct Persona {
    id: Uuid,
    name: String,
    /// For your own people: no engine sees it.
    description: Option<String>,
    /// What the persona says of itself before it asks.
    context: String,
    /// Prompts that are not archived.
    prompts: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A persona to make.
#[derive(Object)]
struct NewPersona {
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
    /// For your own people: no engine sees it.
    #[oai(validator(max_length = 500))]
    description: Option<String>,
    /// What the persona says of itself before it asks, such as `I run a bakery with five
    /// employees.`
    #[oai(validator(min_length = 1, max_length = 1000))]
    context: String,
}

/// What to change of a persona; fields that are absent stay, `null` empties.
#[derive(Object)]
struct PersonaPatch {
    #[oai(validator(min_length = 1, max_length = 100))]
    name: Option<String>,
    /// For your own people: no engine sees it.
    #[oai(validator(max_length = 500))]
    description: Clearable<String>,
    /// Another context makes another version of each of the persona's prompts.
    #[oai(validator(min_length = 1, max_length = 1000))]
    context: Option<String>,
}

page! {
    /// A page of personas, oldest first.
    PersonaPage of Persona
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Prompts")]
impl Api {
    /// Create a persona
    ///
    /// Prompts ask as the persona that they name.
    #[oai(path = "/personas", method = "post", operation_id = "create_persona")]
    async fn create(
        &self,
        caller: Caller,
        /// Repeating a request with the same key has one effect.
        #[oai(name = "Idempotency-Key")]
        once: Once,
        new: Body<NewPersona>,
    ) -> Result<Created<Persona>, Problem> {
        let new = new.0.checked()?;
        let now = self.0.clock.now();
        let mut tx = self.0.store.begin().await?;
        let doing = match once.begin(&mut tx, &caller, now).await? {
            Begun::First(doing) => doing,
            Begun::Again(record) => return Ok(Created::again(record)),
        };
        let row = personas::insert(&mut tx, caller.workspace, new, now).await?;
        let what = json!({"name": row.name});
        audit_logs::note(&mut tx, &caller.actor(), "persona.create", row.id, what, now).await?;
        let created = Created::new(format!("/v1/personas/{}", row.id), &Persona::from(row));
        doing.finish(&mut tx, &created).await?;
        tx.commit().await?;
        Ok(created)
    }

    /// List the personas
    #[oai(path = "/personas", method = "get", operation_id = "list_personas")]
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
    ) -> Result<Json<PersonaPage>, Problem> {
        let page = Paging::open(&self.0, &caller, "personas", &(), limit.0, cursor.0.as_deref())?;
        let mut conn = self.0.store.read().await?;
        let rows = personas::list(&mut conn, caller.workspace, page.after, page.fetch()).await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }

    /// Find a persona
    #[oai(path = "/personas/:persona", method = "get", operation_id = "find_persona")]
    async fn find(
        &self,
        caller: Caller,
        /// Id of the persona.
        persona: Path<Uuid>,
    ) -> Result<Json<Persona>, Problem> {
        let mut conn = self.0.store.read().await?;
        Ok(Json(personas::find(&mut conn, caller.workspace, PersonaId(persona.0)).await?.into()))
    }

    /// Update a persona
    #[oai(path = "/personas/:persona", method = "patch", operation_id = "update_persona")]
    async fn update(
        &self,
        caller: Caller,
        /// Id of the persona.
        persona: Path<Uuid>,
        patch: Body<PersonaPatch>,
    ) -> Result<Json<Persona>, Problem> {
        let PersonaPatch { name, description, context } = patch.0;
        let id = PersonaId(persona.0);
        let mut tx = self.0.store.begin().await?;
        let before = personas::find(&mut tx, caller.workspace, id).await?;
        let new = NewPersona {
            name: name.unwrap_or(before.name),
            description: description.over(before.description),
            context: context.unwrap_or(before.context),
        };
        let new = new.checked()?;
        let now = self.0.clock.now();
        let row = personas::update(&mut tx, caller.workspace, id, new, now).await?;
        let what = json!({"name": row.name});
        audit_logs::note(&mut tx, &caller.actor(), "persona.update", id, what, now).await?;
        tx.commit().await?;
        Ok(Json(row.into()))
    }

    /// Delete a persona
    ///
    /// Refused while prompts ask as this persona. What engines were asked stays as it was.
    #[oai(path = "/personas/:persona", method = "delete", operation_id = "delete_persona")]
    async fn delete(
        &self,
        caller: Caller,
        /// Id of the persona.
        persona: Path<Uuid>,
    ) -> Result<Deleted, Problem> {
        let mut tx = self.0.store.begin().await?;
        let (id, now) = (PersonaId(persona.0), self.0.clock.now());
        personas::delete(&mut tx, caller.workspace, id).await?;
        audit_logs::note(&mut tx, &caller.actor(), "persona.delete", id, json!({}), now).await?;
        tx.commit().await?;
        Ok(Deleted::Gone)
    }
}

impl NewPersona {
    fn checked(self) -> Result<personas::NewPersona> {
        let NewPersona { name, description, context } = self;
        let mut rules = Rules::default();
        rules.name("/name", &name);
        rules.name("/context", &context);
        rules.check()?;
        Ok(personas::NewPersona {
            name: name.trim().into(),
            description,
            context: context.trim().into(),
        })
    }
}

impl From<personas::Persona> for Persona {
    fn from(row: personas::Persona) -> Self {
        let personas::Persona {
            id,
            workspace_id: _,
            name,
            description,
            context,
            prompts,
            created_at,
            updated_at,
        } = row;
        Persona {
            id: id.0,
            name,
            description,
            context,
            prompts,
            created_at: created_at.into(),
            updated_at: updated_at.into(),
        }
    }
}
