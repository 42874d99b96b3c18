use super::{print, rotate};
use crate::{
    Clock,
    api_key::{self, ApiKey},
    app::open_store,
    config::Config,
    ids::{ApiKeyId, WorkspaceId},
    store::{
        Conn,
        api_keys::{self, Role},
        workspaces::{self, Workspace},
    },
};
use chrono::{DateTime, Days, Utc};
use serde_json::json;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum KeyCommand {
    /// Make an API key and print it; it is not shown again.
    Create(CreateKey),
    /// Seal the secrets of workspaces anew with the first of AIV_MASTER_KEYS: credentials of
    /// engines, keys of webhooks, secrets of connections.
    Rotate,
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateKey {
    /// What the key is for.
    #[arg(long, default_value = "command line")]
    name: String,
    /// Id of the workspace. The oldest one by default; made when there is none.
    #[arg(long)]
    workspace: Option<WorkspaceId>,
    #[arg(long, value_enum, default_value = "owner")]
    role: Role,
    /// Also allow to operate the platform: workspaces of others, providers, queues.
    #[arg(long)]
    admin: bool,
    /// Days until the key expires. It does not by default.
    #[arg(long)]
    expires_in_days: Option<u64>,
}

/// The scope of whoever operates the platform.
pub(super) const ADMIN_SCOPE: &str = "admin:*";

impl KeyCommand {
    pub(super) async fn run(self, config: Config, json: bool) -> anyhow::Result<ExitCode> {
        match self {
            KeyCommand::Create(create) => create.run(config, json).await,
            KeyCommand::Rotate => rotate::run(&config, json).await,
        }
    }
}

impl CreateKey {
    async fn run(self, config: Config, json: bool) -> anyhow::Result<ExitCode> {
        let CreateKey { name, workspace, role, admin, expires_in_days } = self;
        let store = open_store(&config).await?;
        let now = Clock::default().now();
        let mut tx = store.begin().await?;
        let workspace = if let Some(id) = workspace {
            workspaces::find(&mut tx, id).await?
        } else {
            let synthetic = config.providers.mode.is_synthetic();
            first_workspace(&mut tx, synthetic, now).await?
        };
        let expires_at = expires_in_days.and_then(|days| now.checked_add_days(Days::new(days)));
        let key = create(&mut tx, &workspace, name, role, admin, expires_at, now).await?;
        tx.commit().await?;
        store.close().await;
        if json {
            print(json!({"workspace_id": workspace.id, "key": key.reveal()}))?;
        } else {
            print(key.reveal())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The oldest workspace, made when there is none. In one that is `synthetic`, recordings count.
pub(super) async fn first_workspace(
    conn: &mut Conn,
    synthetic: bool,
    now: DateTime<Utc>,
) -> anyhow::Result<Workspace> {
    if let Some(workspace) = workspaces::list(conn, None, 1).await?.pop() {
        return Ok(workspace);
    }
    let workspace = Workspace::new("Default", synthetic, now);
    workspaces::insert(conn, &workspace).await?;
    Ok(workspace)
}

/// Makes a key and stores its hash.
pub(super) async fn create(
    conn: &mut Conn,
    workspace: &Workspace,
    name: String,
    role: Role,
    admin: bool,
    expires_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> anyhow::Result<ApiKey> {
    let key = api_key::ApiKey::generate(&mut rand::rng());
    let scopes = if admin { vec![ADMIN_SCOPE.to_owned()] } else { vec![] };
    let row = api_keys::ApiKey {
        id: ApiKeyId::generate(),
        workspace_id: workspace.id,
        name,
        prefix: key.prefix().to_owned(),
        secret_hash: key.hash().to_vec(),
        role,
        scopes: scopes.into(),
        allowed_ips: None,
        expires_at,
        last_used_at: None,
        revoked_at: None,
        created_at: now,
    };
    api_keys::insert(conn, &row).await?;
    Ok(key)
}
