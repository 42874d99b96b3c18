use super::{
    key::{ADMIN_SCOPE, first_workspace},
    operator::Operator,
    print,
};
use crate::{
    config::Config,
    identity::{self, NewToken},
    ids::{UserId, WorkspaceId},
    store::{
        api_keys::Role,
        audit_logs, members,
        revocations::{self, RevocationKind},
        users, workspaces,
    },
};
use anyhow::ensure;
use chrono::TimeDelta;
use serde_json::json;
use std::process::ExitCode;

/// Longer than this, a key with an expiry is the better credential.
const LONGEST_MINUTES: i64 = 24 * 60;

#[derive(Debug, clap::Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token for a person, and make them a member.
    Create(CreateToken),
    /// End tokens before their time: within five seconds in every process.
    Revoke(RevokeTokens),
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateToken {
    /// Who it is for: a name that stays the same, such as a mail address.
    #[arg(long)]
    subject: String,
    /// Mail address to show.
    #[arg(long)]
    email: Option<String>,
    /// Id of the workspace. The oldest one by default; made when there is none.
    #[arg(long)]
    workspace: Option<WorkspaceId>,
    /// What they are there. Somebody who is a member already keeps their role when absent.
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// Also allow to operate the platform: workspaces of others, providers, queues.
    #[arg(long)]
    admin: bool,
    /// Minutes until it expires: a day at most.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(i64).range(1..=LONGEST_MINUTES))]
    minutes: i64,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false, id = "tokens")]
pub(super) struct RevokeTokens {
    /// End every token of this subject that was issued until now.
    #[arg(long, group = "tokens")]
    subject: Option<String>,
    /// End the token of this id (`jti`).
    #[arg(long, group = "tokens")]
    id: Option<String>,
}

impl TokenCommand {
    pub(super) async fn run(self, config: Config, json: bool) -> anyhow::Result<ExitCode> {
        match self {
            TokenCommand::Create(create) => create.run(&config, json).await?,
            TokenCommand::Revoke(revoke) => revoke.run(&config, json).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl CreateToken {
    async fn run(self, config: &Config, json: bool) -> anyhow::Result<()> {
        let CreateToken { subject, email, workspace, role, admin, minutes } = self;
        ensure!(!subject.trim().is_empty(), "the subject is empty");
        let operator = Operator::open(config, json).await?;
        let now = operator.now;
        let mut tx = operator.begin().await?;
        let workspace = if let Some(id) = workspace {
            workspaces::find(&mut tx, id).await?
        } else {
            first_workspace(&mut tx, config.providers.mode.is_synthetic(), now).await?
        };
        let token_id = UserId::generate().to_string();
        let token = NewToken {
            subject: subject.clone(),
            token_id: token_id.clone(),
            email: email.clone(),
            workspace: Some(workspace.id),
            scopes: if admin { vec![ADMIN_SCOPE.to_owned()] } else { vec![] },
            issued_at: now,
            expires_at: now + TimeDelta::minutes(minutes),
        };
        // Without a secret nothing is made.
        let text = identity::mint(&config.auth, &token)?;
        let issuer = &config.auth.jwt_issuer;
        let user = users::save(&mut tx, issuer, &subject, email.as_deref(), None, now).await?;
        let before = members::of_user(&mut tx, user.id).await?;
        let before = before.iter().find(|member| member.workspace_id == workspace.id);
        match (before, role) {
            (Some(_), None) => {}
            (Some(_), Some(role)) => {
                members::update(&mut tx, workspace.id, user.id, role, now).await?;
            }
            (None, role) => {
                let role = role.unwrap_or(Role::Member);
                members::insert(&mut tx, workspace.id, user.id, role, now).await?;
            }
        }
        let actor = audit_logs::Actor { workspace: Some(workspace.id), ..operator.actor.clone() };
        let what = json!({"subject": subject, "role": role, "admin": admin, "minutes": minutes});
        audit_logs::note(&mut tx, &actor, "token.create", &token_id, what, now).await?;
        tx.commit().await?;
        operator.store.close().await;
        if json {
            print(json!({
                "token": text,
                "token_id": token_id,
                "user_id": user.id,
                "workspace_id": workspace.id,
                "expires_at": token.expires_at,
            }))?;
        } else {
            print(text)?;
        }
        Ok(())
    }
}

impl RevokeTokens {
    async fn run(self, config: &Config, json: bool) -> anyhow::Result<()> {
        let (kind, value) = match (self.subject, self.id) {
            (Some(subject), _) => (RevocationKind::Subject, subject),
            (None, Some(id)) => (RevocationKind::Token, id),
            (None, None) => anyhow::bail!("name a subject or the id of a token"),
        };
        let operator = Operator::open(config, json).await?;
        let (issuer, now) = (&config.auth.jwt_issuer, operator.now);
        let mut tx = operator.begin().await?;
        let row = revocations::save(&mut tx, issuer, kind, &value, now).await?;
        let what = json!({"issuer": issuer, "kind": kind, "value": value});
        audit_logs::note(&mut tx, &operator.actor, "session.revoke", row.id, what, now).await?;
        tx.commit().await?;
        operator.store.close().await;
        let facts = json!({"issuer": issuer, "kind": kind, "value": value});
        operator.say(&format!("revoked the tokens of {value}"), &facts)
    }
}
