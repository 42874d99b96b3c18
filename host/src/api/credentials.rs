use super::{Body, Caller, Deleted, Problem, Tag, types::Timestamp};
use crate::{
    App, Error, Result,
    providers::Route,
    store::{audit_logs, credentials, engines},
    vault::Place,
};
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Path, Query},
};
use serde_json::json;
use std::sync::Arc;

/// Something that the provider has to be given before it can ask its vendor. What it is can be set
/// and never read.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct EngineCredential {
    /// As the provider calls it.
    name: String,
    source: CredentialSource,
    /// When the workspace set its own.
    set_at: Option<Timestamp>,
}

/// Whose credential is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum CredentialSource {
    /// The workspace's own.
    Workspace,
    /// The one that the installation has for everybody.
    Installation,
    /// There is none: the engine cannot be asked.
    Missing,
}

/// A credential to set.
#[derive(Object)]
struct NewCredential {
    /// As the provider calls it; may be absent when it wants only one.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: Option<String>,
    /// The credential itself. It is sealed, used for calls, and never shown again.
    #[oai(validator(min_length = 1, max_length = 4096))]
    value: String,
}

/// 204: it is set, and there is nothing to show.
#[derive(ApiResponse)]
enum Set {
    /// It is set.
    #[oai(status = 204)]
    Done,
}

pub(super) struct Api(pub(super) App);

#[OpenApi(tag = "Tag::Engines")]
impl Api {
    /// Set a credential of an engine
    ///
    /// The workspace's calls are made with it from now on, before any that the installation has:
    /// at once here, and within five seconds in every other process. It cannot be read back.
    #[oai(
        path = "/engines/:engine/credential",
        method = "put",
        operation_id = "save_engine_credential"
    )]
    async fn save(
        &self,
        caller: Caller,
        /// Key of the engine.
        engine: Path<String>,
        new: Body<NewCredential>,
    ) -> Result<Set, Problem> {
        let app = &self.0;
        let NewCredential { name, value } = new.0;
        let value = value.trim();
        if value.is_empty() || value.contains(|c: char| c.is_control()) {
            let detail = "must have visible characters and none of control";
            return Err(Error::invalid("/value", detail).into());
        }
        let (workspace, now) = (caller.workspace, app.clock.now());
        let mut tx = app.store.begin().await?;
        engines::find(&mut tx, workspace, &engine.0).await?;
        let route = installed(app, &engine.0)?;
        let name = known_name(app, &route, name)?;
        let place = Place::of_engine(workspace, &engine.0, &name);
        let sealed = app.vault.seal(place, value.as_bytes())?;
        let row = credentials::Credential {
            workspace_id: workspace,
            engine: engine.0.clone(),
            name,
            sealed,
            created_at: now,
            updated_at: now,
        };
        credentials::save(&mut tx, &row).await?;
        // What a vendor refused before it may accept now.
        engines::touch(&mut tx, workspace, &engine.0, now).await?;
        let what = json!({"name": row.name});
        let actor = caller.actor();
        audit_logs::note(&mut tx, &actor, "credential.save", &engine.0, what, now).await?;
        tx.commit().await?;
        app.credentials.forget(workspace);
        Ok(Set::Done)
    }

    /// Delete a credential of an engine
    ///
    /// Calls are made with the installation's again, if it has one.
    #[oai(
        path = "/engines/:engine/credential",
        method = "delete",
        operation_id = "delete_engine_credential"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Key of the engine.
        engine: Path<String>,
        /// As the provider calls it; may be absent when there is only one.
        name: Query<Option<String>>,
    ) -> Result<Deleted, Problem> {
        let app = &self.0;
        let (workspace, now) = (caller.workspace, app.clock.now());
        let mut tx = app.store.begin().await?;
        engines::find(&mut tx, workspace, &engine.0).await?;
        let name = match name.0 {
            Some(name) => name,
            None => only_one(credentials::list(&mut tx, workspace).await?, &engine.0)?,
        };
        credentials::delete(&mut tx, workspace, &engine.0, &name).await?;
        engines::touch(&mut tx, workspace, &engine.0, now).await?;
        let (actor, what) = (caller.actor(), json!({"name": name}));
        audit_logs::note(&mut tx, &actor, "credential.delete", &engine.0, what, now).await?;
        tx.commit().await?;
        app.credentials.forget(workspace);
        Ok(Deleted::Gone)
    }
}

/// The component that speaks for an engine.
pub(super) fn installed(app: &App, engine: &str) -> Result<Arc<Route>> {
    let missing = || Error::Conflict(format!("the provider {engine} is not in service"));
    app.providers.find(engine).ok_or_else(missing)
}

/// The name of a credential that the provider may be given.
fn known_name(app: &App, route: &Route, name: Option<String>) -> Result<String> {
    let wanted = app.providers.wanted_credentials(route);
    let names: Vec<_> = wanted.iter().map(|(name, _)| name.as_str()).collect();
    match (name, names.as_slice()) {
        (_, []) => Err(Error::Conflict(format!("{} wants no credential", route.key()))),
        (None, [only]) => Ok((*only).to_owned()),
        (Some(name), names) if names.contains(&name.as_str()) => Ok(name),
        (_, names) => Err(Error::invalid("/name", format!("must be one of {}", names.join(", ")))),
    }
}

fn only_one(rows: Vec<credentials::Credential>, engine: &str) -> Result<String> {
    let mut names = rows.into_iter().filter(|row| row.engine == engine).map(|row| row.name);
    match (names.next(), names.next()) {
        (None, _) => Err(Error::NotFound("credential")),
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => {
            Err(Error::Malformed("there are several credentials: say which by `name`".into()))
        }
    }
}

/// What an engine's provider wants, and whose credential it gets.
pub(super) fn of_engine(
    app: &App,
    engine: &str,
    own: &[credentials::Credential],
) -> Vec<EngineCredential> {
    let wanted = app.providers.find(engine).map(|route| app.providers.wanted_credentials(&route));
    let describe = |(name, installation): (String, bool)| {
        let set = own.iter().find(|row| row.engine == engine && row.name == name);
        let source = match (set, installation) {
            (Some(_), _) => CredentialSource::Workspace,
            (None, true) => CredentialSource::Installation,
            (None, false) => CredentialSource::Missing,
        };
        EngineCredential { name, source, set_at: set.map(|row| row.updated_at.into()) }
    };
    wanted.into_iter().flatten().map(describe).collect()
}
