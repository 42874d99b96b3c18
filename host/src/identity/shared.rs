//! Tokens that this installation makes and verifies with its own secret.

use crate::{config, ids::WorkspaceId};
use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::collections::BTreeSet;

/// Shorter than the digest, a secret is easier to guess than the digest is to forge.
const SHORTEST: usize = 32;
/// A secret made of fewer characters than this was typed, not generated.
const FEWEST_CHARACTERS: usize = 8;

/// A token to make.
#[derive(Debug, Clone)]
pub struct NewToken {
    pub subject: String,
    pub token_id: String,
    pub email: Option<String>,
    pub workspace: Option<WorkspaceId>,
    pub scopes: Vec<String>,
    pub issued_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// A token that [`super::Tokens`] of the same settings believe.
///
/// # Errors
/// When there is no secret to make it with.
pub fn mint(settings: &config::Auth, token: &NewToken) -> anyhow::Result<String> {
    let secrets = secrets(settings)?;
    let secret = secrets.first().context("set JWT_SECRET: tokens are made with it")?;
    let mut claims = json!({
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "sub": token.subject,
        "jti": token.token_id,
        "iat": token.issued_at.timestamp(),
        "exp": token.expires_at.timestamp(),
    });
    if let Some(email) = &token.email {
        claims["email"] = json!(email);
    }
    if let Some(workspace) = token.workspace {
        claims["workspace_id"] = json!(workspace);
    }
    if !token.scopes.is_empty() {
        claims["scope"] = json!(token.scopes.join(" "));
    }
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?)
}

/// The secrets, the present one first. An empty setting is none.
pub(super) fn secrets(settings: &config::Auth) -> anyhow::Result<Vec<SecretString>> {
    let given = |setting: &Option<SecretString>| {
        setting.as_ref().map(|s| s.expose_secret().to_owned()).filter(|s| !s.is_empty())
    };
    let previous = given(&settings.jwt_secret_previous);
    let Some(present) = given(&settings.jwt_secret) else {
        ensure!(previous.is_none(), "JWT_SECRET_PREVIOUS is set and JWT_SECRET is not");
        return Ok(Vec::new());
    };
    check("JWT_SECRET", &present)?;
    let mut secrets = vec![SecretString::from(present)];
    for text in previous.iter().flat_map(|list| list.split(',')) {
        check("JWT_SECRET_PREVIOUS", text)?;
        secrets.push(text.to_owned().into());
    }
    Ok(secrets)
}

fn check(setting: &str, secret: &str) -> anyhow::Result<()> {
    ensure!(
        secret.len() >= SHORTEST,
        "{setting} has fewer than {SHORTEST} bytes: make one with `openssl rand -hex 32`"
    );
    let distinct = secret.bytes().collect::<BTreeSet<_>>().len();
    ensure!(
        distinct >= FEWEST_CHARACTERS,
        "{setting} repeats few characters: make one with `openssl rand -hex 32`"
    );
    Ok(())
}
