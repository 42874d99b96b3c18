//! How often a caller may call.
//!
//! Each principal has an allowance of its own; callers who do not try to be one share one per
//! address. Who gets credentials wrong uses a smaller one, so that guessing has a price.
//! With Redis the counts are those of all processes; without, each grants its share.

use super::Problem;
use crate::{
    config::Config,
    ids::ApiKeyId,
    redis::{Rate, RateLimits},
};
use poem::http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// Whose allowance a request uses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Payer {
    Key(ApiKeyId),
    /// By issuer and subject.
    Person(Arc<str>, Arc<str>),
    /// `None` for a caller that came over no socket.
    Address(Option<IpAddr>),
    /// An address that presented a bad credential.
    Guesser(Option<IpAddr>),
}

pub(super) struct Limiter {
    limits: RateLimits,
    rate: Rate,
    /// Of those who get credentials wrong.
    guesses: Rate,
}

/// What the answer tells about the allowance.
#[derive(Clone, Copy)]
pub(super) struct Allowance {
    per_minute: u32,
    remaining: u32,
    /// Until another request would be let through.
    wait: Duration,
}

impl Limiter {
    pub(super) fn new(settings: &Config, limits: RateLimits) -> Self {
        let rate = Rate {
            per_minute: settings.server.rate_limit_requests_per_minute.get(),
            burst: settings.server.rate_limit_burst.get(),
        };
        let failures = settings.auth.failures_per_minute.get();
        let guesses = Rate { per_minute: failures, burst: failures };
        Limiter { limits, rate, guesses }
    }

    /// Takes one request out of the payer's allowance.
    pub(super) async fn take(&self, payer: Payer) -> (Allowance, Result<(), Problem>) {
        let rate = if matches!(payer, Payer::Guesser(_)) { self.guesses } else { self.rate };
        let taken = self.limits.take(&payer.name(), rate, 1).await;
        let granted = taken.granted > 0;
        let wait = if granted { Duration::ZERO } else { taken.retry_after };
        let per_minute = rate.per_minute;
        let allowance = Allowance { per_minute, remaining: taken.remaining, wait };
        (allowance, if granted { Ok(()) } else { Err(Problem::too_many(wait)) })
    }
}

impl Payer {
    fn name(&self) -> String {
        let of = |address: &Option<IpAddr>| {
            address.map_or_else(|| "none".into(), |address| address.to_canonical().to_string())
        };
        match self {
            Payer::Key(id) => format!("api:key:{id}"),
            Payer::Person(issuer, subject) => {
                // Both are free text of any length.
                let name = Sha256::new().chain_update(issuer.as_bytes()).chain_update([0]);
                format!(
                    "api:person:{}",
                    hex::encode(name.chain_update(subject.as_bytes()).finalize())
                )
            }
            Payer::Address(address) => format!("api:address:{}", of(address)),
            Payer::Guesser(address) => format!("api:guesser:{}", of(address)),
        }
    }
}

impl Allowance {
    pub(super) fn write(self, headers: &mut HeaderMap) {
        let policy = format!(r#""default";q={};w=60"#, self.per_minute);
        let wait = if self.wait.is_zero() { 0 } else { self.wait.as_secs() + 1 };
        let state = format!(r#""default";r={};t={wait}"#, self.remaining);
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}
