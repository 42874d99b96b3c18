//! Components: installing them, putting them in service and looking after them.

use super::{Caller, Component, Created, Operator, Paging, Problem, Tag, page, types};
use crate::{
    Error, Result,
    api::Body,
    ids::{RunId, WorkspaceId},
    providers::registry::{
        activate::{self, Slot, Wish},
        inspect,
        install::{self, Upload},
    },
    store::{
        activations::{self, WHOLE},
        provider_calls, providers as store,
    },
};
use aiv_runtime::{Digest, InvalidDigest};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use std::time::Duration;
use uuid::Uuid;

mod described;
mod grants;

use self::{
    described::{
        Activation, ActivationRequest, CanaryRequest, ComponentAddress, Deletion, DisableRequest,
        Emptied, InstalledComponent, InstalledList, InstalledProvider, InstalledSummary, LogPage,
        Reload, RollbackRequest,
    },
    grants::{NewProviderGrant, ProviderGrant},
};

/// How long an answer waits for workers to have a component ready.
const PATIENCE: Duration = Duration::from_secs(20);

pub(in crate::api) struct Api(pub(super) Operator);

#[OpenApi(tag = "Tag::Operations")]
impl Api {
    /// List the installed providers
    ///
    /// Every provider of which a component was ever installed, in service or not.
    #[oai(path = "/admin/providers", method = "get", operation_id = "list_installed_providers")]
    async fn list(&self, _caller: Caller) -> Result<Json<InstalledList>, Problem> {
        let mut conn = self.0.app.store.read().await?;
        let artifacts = store::list_artifacts(&mut conn, None).await?;
        let slots = activations::current(&mut conn, None).await?;
        let generation = activations::generation(&mut conn).await?;
        Ok(Json(InstalledList { data: InstalledSummary::all(&artifacts, &slots), generation }))
    }

    /// Find an installed provider
    ///
    /// Its components with manifest, imports, size, signature, quarantine and how their calls of
    /// the last 24 hours went; what it is granted; what its slots hold and held; and which
    /// generation each process has in service.
    #[oai(
        path = "/admin/providers/:provider",
        method = "get",
        operation_id = "find_installed_provider"
    )]
    async fn find(
        &self,
        _caller: Caller,
        /// Key of the provider.
        provider: Path<String>,
    ) -> Result<Json<InstalledProvider>, Problem> {
        let now = self.0.app.clock.now();
        let mut conn = self.0.app.store.read().await?;
        let found = inspect::inspect(&mut conn, &provider.0, now).await?;
        Ok(Json(InstalledProvider::of(found)))
    }

    /// Install a component
    ///
    /// It is validated, compiled and asked to describe itself, and then kept; it is in service
    /// only once it is activated. Installing the same bytes again changes nothing. The answer says
    /// what the component asks for beyond what its provider is granted. Instead of the bytes, the
    /// address may be sent from which this host fetches them, with the SHA-256 that they must have.
    #[oai(path = "/admin/providers/:provider", method = "put", operation_id = "install_provider")]
    async fn install(
        &self,
        caller: Caller,
        /// Key of the provider, which the component's manifest has to name.
        provider: Path<String>,
        /// SHA-256 of the component in hexadecimal: refused when the bytes are others.
        sha256: Query<Option<String>>,
        /// The publisher's signature: `ed25519:<public key>:<signature>`, both in hexadecimal,
        /// over the text `aiv:provider:sha256:<sha256>`.
        signature: Query<Option<String>>,
        component: Component<ComponentAddress>,
    ) -> Result<Created<InstalledComponent>, Problem> {
        let (component, found) = match component {
            Component::Bytes(bytes) => (bytes, None),
            Component::Elsewhere(address) => {
                let (url, sha256) = address.checked()?;
                (install::download(&self.0.app.egress, url).await?, Some(sha256))
            }
        };
        let upload = Upload {
            component,
            sha256: found.or(sha256.0),
            key: Some(provider.0.clone()),
            signature: signature.0.as_deref().map(str::parse).transpose()?,
        };
        let place = self.0.app.registry.place();
        let artifact = install::install(place, upload, &caller.operator()).await?;
        let mut conn = self.0.app.store.read().await?;
        let missing = activate::missing(&mut conn, &artifact).await?;
        let location = format!("/v1/admin/providers/{}", provider.0);
        Ok(Created::new(location, &InstalledComponent::new(artifact, missing)))
    }

    /// Find the grant of a provider
    #[oai(
        path = "/admin/providers/:provider/grant",
        method = "get",
        operation_id = "find_provider_grant"
    )]
    async fn find_grant(
        &self,
        _caller: Caller,
        /// Key of the provider.
        provider: Path<String>,
    ) -> Result<Json<ProviderGrant>, Problem> {
        let mut conn = self.0.app.store.read().await?;
        let grant = activate::grant(&mut conn, &provider.0).await?;
        Ok(Json(grant.ok_or(Error::NotFound("grant"))?.into()))
    }

    /// Save the grant of a provider
    ///
    /// What its components may do, whatever their manifests ask for. It holds at once in every
    /// process, for calls that begin from then on.
    #[oai(
        path = "/admin/providers/:provider/grant",
        method = "put",
        operation_id = "save_provider_grant"
    )]
    async fn save_grant(
        &self,
        caller: Caller,
        /// Key of the provider.
        provider: Path<String>,
        grant: Body<NewProviderGrant>,
    ) -> Result<Json<ProviderGrant>, Problem> {
        let grant = grant.0.checked()?;
        let now = self.0.app.clock.now();
        let mut tx = self.0.app.store.begin().await?;
        let id =
            activate::save_grant(&mut tx, &provider.0, &grant, &caller.operator(), now).await?;
        tx.commit().await?;
        self.changed().await;
        Ok(Json((id, grant).into()))
    }

    /// Activate a component
    ///
    /// Puts it in service, for everybody or for one workspace, as soon as every worker has it
    /// ready; the answer waits for that for up to 20 seconds, and says `preparing` when it takes
    /// longer. Refused with 409 while the manifest asks for more than is granted, when it is
    /// older than what is in service, or when it is quarantined.
    #[oai(
        path = "/admin/providers/:provider/activate",
        method = "post",
        operation_id = "activate_provider"
    )]
    async fn activate(
        &self,
        caller: Caller,
        /// Key of the provider.
        provider: Path<String>,
        request: Body<ActivationRequest>,
    ) -> Result<Json<Activation>, Problem> {
        let ActivationRequest { digest, workspace_id, reason, force } = request.0;
        let slot = workspace_id.map_or(Slot::Main, |id| Slot::Pin(WorkspaceId(id)));
        self.want(&caller, &provider.0, &digest, slot, reason, force).await
    }

    /// Try a component on a share of the runs
    ///
    /// Which runs is decided by their ids, so that a run that is tried again meets the same
    /// component. Another request changes the share or the component; a rollback ends the trial.
    #[oai(
        path = "/admin/providers/:provider/canary",
        method = "post",
        operation_id = "start_provider_canary"
    )]
    async fn canary(
        &self,
        caller: Caller,
        /// Key of the provider.
        provider: Path<String>,
        request: Body<CanaryRequest>,
    ) -> Result<Json<Activation>, Problem> {
        let CanaryRequest { digest, weight, reason, force } = request.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "between 0 and 1000 by the schema"
        )]
        let weight = (weight * WHOLE as f64).round() as i64;
        self.want(&caller, &provider.0, &digest, Slot::Canary(weight), reason, force).await
    }

    /// Roll a provider back
    ///
    /// Ends its canary if it has one; else the component that was in service before is so again,
    /// at once where workers have kept it ready. Rolling back again goes further back.
    #[oai(
        path = "/admin/providers/:provider/rollback",
        method = "post",
        operation_id = "rollback_provider"
    )]
    async fn rollback(
        &self,
        caller: Caller,
        /// Key of the provider.
        provider: Path<String>,
        request: Body<RollbackRequest>,
    ) -> Result<Json<Activation>, Problem> {
        let (actor, now) = (caller.operator(), self.0.app.clock.now());
        let mut tx = self.0.app.store.begin().await?;
        let activation =
            activate::rollback(&mut tx, &provider.0, &request.0.reason, &actor, now).await?;
        tx.commit().await?;
        self.settled(activation.id).await
    }

    /// Disable a provider
    ///
    /// Takes it out of service; runs that would ask it are skipped. With a workspace, only what is
    /// pinned for that one is taken away. Disabling it again changes nothing.
    #[oai(
        path = "/admin/providers/:provider/disable",
        method = "post",
        operation_id = "disable_provider"
    )]
    async fn disable(
        &self,
        caller: Caller,
        /// Key of the provider.
        provider: Path<String>,
        request: Body<DisableRequest>,
    ) -> Result<Json<Emptied>, Problem> {
        let DisableRequest { workspace_id, reason } = request.0;
        let (actor, now) = (caller.operator(), self.0.app.clock.now());
        let workspace = workspace_id.map(WorkspaceId);
        let mut tx = self.0.app.store.begin().await?;
        let emptied =
            activate::disable(&mut tx, &provider.0, workspace, &reason, &actor, now).await?;
        tx.commit().await?;
        self.changed().await;
        Ok(Json(Emptied { data: emptied.into_iter().map(Into::into).collect() }))
    }

    /// Reload a provider
    ///
    /// Every process looks at what is in service and builds it anew.
    #[oai(
        path = "/admin/providers/:provider/reload",
        method = "post",
        operation_id = "reload_provider"
    )]
    async fn reload(
        &self,
        caller: Caller,
        /// Key of the provider.
        provider: Path<String>,
    ) -> Result<Json<Reload>, Problem> {
        let now = self.0.app.clock.now();
        let mut tx = self.0.app.store.begin().await?;
        activate::reload(&mut tx, &provider.0, &caller.operator(), now).await?;
        tx.commit().await?;
        self.changed().await;
        Ok(Json(Reload { generation: self.0.app.registry.generation() }))
    }

    /// Delete unused components
    ///
    /// Removes the bytes of components that are not in service, that a rollback would not go back
    /// to and that no call waits for. What is known of them stays, for the log.
    #[oai(
        path = "/admin/providers/:provider/components",
        method = "delete",
        operation_id = "delete_unused_components"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Key of the provider.
        provider: Path<String>,
        /// Only the component with this SHA-256; refused with 409 when it is needed.
        digest: Query<Option<String>>,
    ) -> Result<Json<Deletion>, Problem> {
        let digest = digest.0.as_deref().map(of_query).transpose()?;
        let (actor, now) = (caller.operator(), self.0.app.clock.now());
        let only = digest.as_ref().map(|digest| &digest.as_bytes()[..]);
        let mut tx = self.0.app.store.begin().await?;
        let deleted = activate::delete_unused(&mut tx, &provider.0, only, &actor, now).await?;
        tx.commit().await?;
        Ok(Json(Deletion { digests: deleted.iter().map(hex::encode).collect() }))
    }

    /// List what components said
    ///
    /// Lines that they logged, what they wrote to stderr, and how they failed, with backtraces;
    /// newest first. The newest thousand entries of each component are kept.
    #[oai(
        path = "/admin/providers/:provider/logs",
        method = "get",
        operation_id = "list_provider_logs"
    )]
    async fn logs(
        &self,
        caller: Caller,
        /// Key of the provider.
        provider: Path<String>,
        /// Only of the component with this SHA-256.
        digest: Query<Option<String>>,
        /// Only of this run.
        run: Query<Option<Uuid>>,
        /// Rows of a page.
        #[oai(
            default = "crate::api::page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<LogPage>, Problem> {
        let digest = digest.0.as_deref().map(of_query).transpose()?;
        let filter = (&provider.0, digest, run.0);
        let cursor = cursor.0.as_deref();
        let app = &self.0.app;
        let page = Paging::open(app, &caller, "provider_logs", &filter, limit.0, cursor)?;
        let mut conn = app.store.read().await?;
        let rows = provider_calls::logs(
            &mut conn,
            &provider.0,
            digest.as_ref().map(|digest| &digest.as_bytes()[..]),
            run.0.map(RunId),
            page.after,
            page.fetch(),
        )
        .await?;
        Ok(Json(page.close(rows, |row| row.id)?.into()))
    }
}

impl Api {
    async fn want(
        &self,
        caller: &Caller,
        provider: &str,
        digest: &str,
        slot: Slot,
        reason: String,
        force: bool,
    ) -> Result<Json<Activation>, Problem> {
        let digest: Digest = digest
            .parse()
            .map_err(|err: InvalidDigest| Error::invalid("/digest", err.to_string()))?;
        let app = &self.0.app;
        let wish = Wish { provider, digest: digest.as_bytes().to_vec(), slot, reason, force };
        let (policy, now) = (app.registry.place().signatures, app.clock.now());
        let mut tx = app.store.begin().await?;
        let activation = activate::activate(&mut tx, policy, wish, &caller.operator(), now).await?;
        tx.commit().await?;
        self.settled(activation.id).await
    }

    /// The activation once every worker has its component, or when that takes too long.
    async fn settled(&self, activation: i64) -> Result<Json<Activation>, Problem> {
        self.changed().await;
        let activation = self.0.app.registry.settled(activation, PATIENCE).await?;
        self.changed().await;
        Ok(Json(activation.into()))
    }

    /// This process sees at once what it just did. What keeps it from that, such as another
    /// provider's component that does not load, is no fault of the deed.
    async fn changed(&self) {
        self.0.app.registry.wake();
        if let Err(err) = self.0.app.registry.refresh().await {
            tracing::warn!("not everything is in service here: {err:#}");
        }
    }
}

fn of_query(text: &str) -> Result<Digest> {
    text.parse().map_err(|err: InvalidDigest| Error::Malformed(format!("`digest`: {err}")))
}
