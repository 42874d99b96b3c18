//! How often a caller may call.
//!
//! Each API key has an allowance of its own; callers without a good key share one per address.
//! With Redis the counts are those of all processes; without, each grants its share.

use super::Problem;
use crate::{
    config,
    ids::ApiKeyId,
    redis::{Rate, RateLimits},
};
use poem::http::{HeaderMap, HeaderName, HeaderValue};
use std::{net::IpAddr, time::Duration};

/// Whose allowance a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Payer {
    Key(ApiKeyId),
    /// `None` for a caller that came over no socket.
    Address(Option<IpAddr>),
}

pub(super) struct Limiter {
    limits: RateLimits,
    rate: Rate,
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
    pub(super) fn new(settings: &config::Server, limits: RateLimits) -> Self {
        let rate = Rate {
            per_minute: settings.rate_limit_requests_per_minute.get(),
            burst: settings.rate_limit_burst.get(),
        };
        Limiter { limits, rate }
    }

    /// Takes one request out of the payer's allowance.
    pub(super) async fn take(&self, payer: Payer) -> (Allowance, Result<(), Problem>) {
        let taken = self.limits.take(&payer.name(), self.rate, 1).await;
        let granted = taken.granted > 0;
        let wait = if granted { Duration::ZERO } else { taken.retry_after };
        let per_minute = self.rate.per_minute;
        let allowance = Allowance { per_minute, remaining: taken.remaining, wait };
        (allowance, if granted { Ok(()) } else { Err(Problem::too_many(wait)) })
    }
}

impl Payer {
    fn name(self) -> String {
        match self {
            Payer::Key(id) => format!("api:key:{id}"),
            Payer::Address(Some(address)) => format!("api:address:{}", address.to_canonical()),
            Payer::Address(None) => "api:address:none".into(),
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
