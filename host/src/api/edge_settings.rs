//! What the edge goes by and may be told anew while it serves.

use super::{addresses::Proxies, cors::Cors, limit::Limiter};
use crate::{config::Config, redis::RateLimits};
use anyhow::Context;
use poem::http::HeaderValue;

/// The settings of the edge, checked.
pub(super) struct EdgeSettings {
    pub(super) limiter: Limiter,
    pub(super) proxies: Proxies,
    pub(super) cors: Cors,
    /// Tells browsers to come by TLS only.
    pub(super) hsts: Option<HeaderValue>,
}

impl EdgeSettings {
    /// What takes effect when the settings are read anew; all others need a new process.
    pub(super) const NAMES: [&str; 15] = [
        "AIV_MASTER_KEYS",
        "AUTH_FAILURES_PER_MINUTE",
        "CORS_ALLOWED_ORIGINS",
        "CORS_ALLOW_CREDENTIALS",
        "HSTS_SECONDS",
        "JWKS_ALGORITHM",
        "JWKS_AUDIENCE",
        "JWKS_ISSUER",
        "JWKS_URL",
        "JWT_AUDIENCE",
        "JWT_ISSUER",
        "JWT_SECRET",
        "JWT_SECRET_PREVIOUS",
        "RATE_LIMIT_*",
        "TRUSTED_PROXIES",
    ];

    /// # Errors
    /// When a setting is not what it should be.
    pub(super) fn new(config: &Config, rates: RateLimits) -> anyhow::Result<Self> {
        let hsts = match config.server.hsts_seconds {
            0 => None,
            seconds => {
                Some(HeaderValue::try_from(format!("max-age={seconds}")).context("HSTS_SECONDS")?)
            }
        };
        Ok(EdgeSettings {
            limiter: Limiter::new(config, rates),
            proxies: Proxies::new(&config.server.trusted_proxies)?,
            cors: Cors::new(&config.server)?,
            hsts,
        })
    }
}
