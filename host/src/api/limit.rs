//! How often a caller may call.
//!
//! Each API key has an allowance of its own; callers without a good key share one per address.
//! The counts are this process's: behind several, a caller gets that many times the rate.

use super::Problem;
use crate::{config, ids::ApiKeyId};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};
use poem::http::{HeaderMap, HeaderName, HeaderValue};
use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Whose allowance a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Payer {
    Key(ApiKeyId),
    /// `None` for a caller that came over no socket.
    Address(Option<IpAddr>),
}

type Allowances =
    RateLimiter<Payer, DefaultKeyedStateStore<Payer>, DefaultClock, StateInformationMiddleware>;

pub(super) struct Limiter {
    allowances: Allowances,
    clock: DefaultClock,
    per_minute: NonZeroU32,
    seen: AtomicU64,
}

/// What the answer tells about the allowance.
#[derive(Clone, Copy)]
pub(super) struct Allowance {
    per_minute: NonZeroU32,
    remaining: u32,
    /// Until another request would be let through.
    wait: Duration,
}

/// Payers that have been quiet are forgotten every so many requests.
const SWEEP: u64 = 4096;

impl Limiter {
    pub(super) fn new(settings: &config::Server) -> Self {
        let per_minute = settings.rate_limit_requests_per_minute;
        let quota = Quota::per_minute(per_minute).allow_burst(settings.rate_limit_burst);
        Limiter {
            allowances: RateLimiter::dashmap(quota).with_middleware(),
            clock: DefaultClock::default(),
            per_minute,
            seen: AtomicU64::new(0),
        }
    }

    /// Takes one request out of the payer's allowance.
    pub(super) fn take(&self, payer: Payer) -> (Allowance, Result<(), Problem>) {
        if self.seen.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            self.allowances.retain_recent();
        }
        let per_minute = self.per_minute;
        match self.allowances.check_key(&payer) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                (Allowance { per_minute, remaining, wait: Duration::ZERO }, Ok(()))
            }
            Err(refused) => {
                let wait = refused.wait_time_from(self.clock.now());
                let allowance = Allowance { per_minute, remaining: 0, wait };
                (allowance, Err(Problem::too_many(wait)))
            }
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
