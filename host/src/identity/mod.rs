//! Tokens of people (JWT): which are believed, and what they say.
//!
//! There are two issuers at most: this installation, which signs with `JWT_SECRET`, and an identity
//! provider, whose keys are read from `JWKS_URL`.
//!
//! **Invariant:** which algorithm verifies a token follows from its issuer and the settings, never
//! from the token. What its header says of keys and addresses (`jku`, `x5u`, `jwk`) is not read.
//! **Invariant:** fails closed: what cannot be verified, or lacks a claim, proves nothing.

mod jwks;
mod shared;

pub use self::{
    jwks::{EgressKeys, Fetched, KeySet, KeySource},
    shared::{NewToken, mint},
};

use crate::{Clock, config, ids::WorkspaceId, providers::egress::Egress};
use anyhow::{Context, ensure};
use arc_swap::ArcSwap;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use secrecy::ExposeSecret;
use serde::{Deserialize, de::IgnoredAny};
use std::sync::Arc;

/// Nobody's token is longer.
const LONGEST: usize = 8 * 1024;
/// How far the clocks of issuers may be off.
const LEEWAY: TimeDelta = TimeDelta::seconds(30);

/// Verifies tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    clock: Clock,
    issuers: ArcSwap<Vec<Issuer>>,
}

/// Somebody whose tokens are believed.
struct Issuer {
    name: String,
    validation: Validation,
    keys: Keys,
}

enum Keys {
    /// This installation's: the present one and those before it.
    Shared(Vec<DecodingKey>),
    /// An identity provider's.
    Published(KeySet),
}

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    pub issuer: String,
    pub subject: String,
    pub token_id: Option<String>,
    pub issued_at: Option<DateTime<Utc>>,
    pub expires_at: DateTime<Utc>,
    pub workspace: Option<WorkspaceId>,
    pub email: Option<String>,
    pub name: Option<String>,
    pub scopes: Vec<String>,
    /// Made by this installation, so that it may name operators of the platform.
    pub is_own: bool,
}

impl Claims {
    /// Whether the token still holds at `now`.
    pub fn holds(&self, now: DateTime<Utc>) -> bool {
        now < self.expires_at + LEEWAY
    }
}

/// Why a token proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// For the log: whoever sent it learns no more than that it is not valid.
    Invalid(&'static str),
    /// The keys to verify it with cannot be had.
    Unavailable,
}

/// A header as far as it matters. What it says of keys is not read at all.
#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    /// Extensions that have to be understood: none is.
    crit: Option<IgnoredAny>,
}

/// Enough of the claims to know whose keys to verify with.
#[derive(Deserialize)]
struct Unverified {
    iss: String,
}

#[derive(Deserialize)]
struct Verified {
    sub: String,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    jti: Option<String>,
    workspace_id: Option<WorkspaceId>,
    email: Option<String>,
    name: Option<String>,
    /// Separated by spaces (RFC 8693).
    scope: Option<String>,
}

impl Tokens {
    /// The issuers that the settings name, none included.
    ///
    /// # Errors
    /// When a setting is missing, contradicts another, or a secret is too weak to be one.
    pub fn new(settings: &config::Auth, clock: &Clock) -> anyhow::Result<Self> {
        Self::with(settings, clock, published(settings)?)
    }

    /// As [`Tokens::new`], with another way to the identity provider's keys.
    pub fn with(
        settings: &config::Auth,
        clock: &Clock,
        source: Option<Arc<dyn KeySource>>,
    ) -> anyhow::Result<Self> {
        let issuers = ArcSwap::from_pointee(issuers(settings, clock, source)?);
        Ok(Tokens(Arc::new(Inner { clock: clock.clone(), issuers })))
    }

    /// Goes by other settings from now on; when those are wrong, by the same as before.
    ///
    /// # Errors
    /// As [`Tokens::new`].
    pub fn reload(&self, settings: &config::Auth) -> anyhow::Result<()> {
        let issuers = issuers(settings, &self.0.clock, published(settings)?)?;
        self.0.issuers.store(Arc::new(issuers));
        Ok(())
    }

    /// Whether any token can be valid here.
    pub fn are_accepted(&self) -> bool {
        !self.0.issuers.load().is_empty()
    }

    /// The issuer that `aiv token` and this installation's secret speak for.
    pub fn own_issuer(&self) -> Option<String> {
        let own = |issuer: &&Issuer| matches!(issuer.keys, Keys::Shared(_));
        self.0.issuers.load().iter().find(own).map(|issuer| issuer.name.clone())
    }

    /// All issuers.
    pub fn issuers(&self) -> Vec<String> {
        self.0.issuers.load().iter().map(|issuer| issuer.name.clone()).collect()
    }

    /// What a token says, if it is to be believed.
    pub async fn verify(&self, token: &str) -> Result<Claims, Rejection> {
        use Rejection::Invalid;

        if token.len() > LONGEST {
            return Err(Invalid("longer than any token"));
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Invalid("not three parts"));
        };
        let header: Header = part(header).ok_or(Invalid("unreadable header"))?;
        let Unverified { iss } = part(claims).ok_or(Invalid("unreadable claims"))?;
        let known = |issuer: &&Issuer| issuer.name == iss;
        let issuers = self.0.issuers.load_full();
        let issuer = issuers.iter().find(known).ok_or(Invalid("unknown issuer"))?;
        if header.crit.is_some() {
            return Err(Invalid("critical extension"));
        }
        let kind = header.typ.as_deref().unwrap_or("JWT");
        if !["JWT", "at+jwt", "application/at+jwt"].iter().any(|t| t.eq_ignore_ascii_case(kind)) {
            return Err(Invalid("another type of token"));
        }
        // The library compares too; this says it before a key is looked for.
        if issuer.validation.algorithms.iter().all(|pinned| name(*pinned) != header.alg) {
            return Err(Invalid("another algorithm than the issuer's"));
        }
        let verified = match &issuer.keys {
            Keys::Shared(keys) => keys.iter().find_map(|key| issuer.verified(token, key)),
            Keys::Published(set) => {
                let key = set.find(header.kid.as_deref()).await?;
                issuer.verified(token, &key)
            }
        };
        let verified = verified.ok_or(Invalid("signature, audience or a missing claim"))?;
        issuer.claims(verified, self.0.clock.now())
    }
}

impl Issuer {
    fn verified(&self, token: &str, key: &DecodingKey) -> Option<Verified> {
        jsonwebtoken::decode(token, key, &self.validation).ok().map(|token| token.claims)
    }

    /// Holds the claims against the clock.
    fn claims(&self, verified: Verified, now: DateTime<Utc>) -> Result<Claims, Rejection> {
        use Rejection::Invalid;

        let Verified { sub, exp, nbf, iat, jti, workspace_id, email, name, scope } = verified;
        if sub.is_empty() || sub.len() > 255 {
            return Err(Invalid("no subject, or one that is too long"));
        }
        let time = |seconds: f64| instant(seconds).ok_or(Invalid("a time that is none"));
        let expires_at = time(exp)?;
        let issued_at = iat.map(time).transpose()?;
        let begins = nbf.map(time).transpose()?;
        let claims = Claims {
            issuer: self.name.clone(),
            subject: sub,
            token_id: jti,
            issued_at,
            expires_at,
            workspace: workspace_id,
            email,
            name,
            scopes: scope.iter().flat_map(|s| s.split_whitespace()).map(str::to_owned).collect(),
            is_own: matches!(self.keys, Keys::Shared(_)),
        };
        if !claims.holds(now) {
            return Err(Invalid("expired"));
        }
        if begins.into_iter().chain(issued_at).any(|begin| begin > now + LEEWAY) {
            return Err(Invalid("not valid yet"));
        }
        Ok(claims)
    }
}

/// Where the identity provider publishes its keys, if there is one.
fn published(settings: &config::Auth) -> anyhow::Result<Option<Arc<dyn KeySource>>> {
    let Some(url) = &settings.jwks_url else { return Ok(None) };
    ensure!(url.scheme() == "https", "JWKS_URL must begin with https://");
    Ok(Some(Arc::new(EgressKeys::new(Egress::guarded()?, url.clone()))))
}

/// Everybody whose tokens are believed by these settings.
fn issuers(
    settings: &config::Auth,
    clock: &Clock,
    source: Option<Arc<dyn KeySource>>,
) -> anyhow::Result<Vec<Issuer>> {
    let mut issuers = Vec::new();
    let secrets = shared::secrets(settings)?;
    if !secrets.is_empty() {
        let keys = secrets
            .iter()
            .map(|secret| DecodingKey::from_secret(secret.expose_secret().as_bytes()));
        issuers.push(Issuer {
            name: settings.jwt_issuer.clone(),
            validation: validation(Algorithm::HS256, &settings.jwt_issuer, &settings.jwt_audience),
            keys: Keys::Shared(keys.collect()),
        });
    }
    if let Some(source) = source {
        let needed = "JWKS_URL needs JWKS_ISSUER, JWKS_AUDIENCE and JWKS_ALGORITHM";
        let issuer = settings.jwks_issuer.as_deref().context(needed)?;
        let audience = settings.jwks_audience.as_deref().context(needed)?;
        let algorithm = match settings.jwks_algorithm.as_deref().context(needed)? {
            "RS256" => Algorithm::RS256,
            "ES256" => Algorithm::ES256,
            "EdDSA" => Algorithm::EdDSA,
            other => anyhow::bail!("JWKS_ALGORITHM is {other:?}: use RS256, ES256 or EdDSA"),
        };
        ensure!(!issuer.is_empty() && !audience.is_empty(), needed);
        ensure!(
            issuers.iter().all(|own| own.name != issuer),
            "JWT_ISSUER and JWKS_ISSUER must differ: a token's issuer says how it is verified"
        );
        issuers.push(Issuer {
            name: issuer.to_owned(),
            validation: validation(algorithm, issuer, audience),
            keys: Keys::Published(KeySet::new(source, algorithm, clock.clone())),
        });
    }
    Ok(issuers)
}

/// What the library checks. Times are held against [`Clock`] and not the system's.
fn validation(algorithm: Algorithm, issuer: &str, audience: &str) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[issuer]);
    validation.validate_exp = false;
    validation
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::HS256 => "HS256",
        Algorithm::RS256 => "RS256",
        Algorithm::ES256 => "ES256",
        Algorithm::EdDSA => "EdDSA",
        _ => "none of ours",
    }
}

/// Seconds since 1970 as an instant, within this and the next few centuries.
fn instant(seconds: f64) -> Option<DateTime<Utc>> {
    if !(0.0..=1e10).contains(&seconds) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "within the range above")]
    DateTime::from_timestamp(seconds.floor() as i64, 0)
}
