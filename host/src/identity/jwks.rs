//! The keys that an identity provider publishes (RFC 7517), kept and renewed.
//!
//! **Invariant:** whatever tokens say, the provider is asked once in [`BETWEEN`] at most, by one
//! request at a time.
//! **Invariant:** a provider that is away, or answers nonsense, takes no key away from us until
//! [`STALE`] is over.

use super::{Rejection, name};
use crate::{
    Clock,
    providers::{
        egress::Egress,
        transport::{CallContext, Outgoing},
    },
};
use anyhow::{Context, ensure};
use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;
use url::Url;

/// Between two requests to the provider.
const BETWEEN: TimeDelta = TimeDelta::seconds(30);
/// How long keys are fresh when the provider does not say.
const FRESH: TimeDelta = TimeDelta::hours(1);
const SHORTEST: TimeDelta = TimeDelta::minutes(5);
const LONGEST: TimeDelta = TimeDelta::hours(24);
/// How long keys are used after that while no newer ones can be had.
const STALE: TimeDelta = TimeDelta::hours(24);
/// More keys than this are nobody's key set.
const KEYS: usize = 100;

/// Where key sets come from.
pub trait KeySource: Send + Sync {
    fn fetch(&self) -> BoxFuture<'_, anyhow::Result<Fetched>>;
}

/// A key set as it was answered.
#[derive(Debug, Clone)]
pub struct Fetched {
    pub body: Vec<u8>,
    /// For how long it is fresh, as far as the provider said.
    pub max_age: Option<TimeDelta>,
}

/// Key sets by the guarded way to the network.
pub struct EgressKeys {
    egress: Egress,
    url: Url,
}

impl EgressKeys {
    pub fn new(egress: Egress, url: Url) -> Self {
        EgressKeys { egress, url }
    }
}

impl KeySource for EgressKeys {
    fn fetch(&self) -> BoxFuture<'_, anyhow::Result<Fetched>> {
        Box::pin(async move {
            let request = Outgoing {
                method: http::Method::GET,
                url: self.url.clone(),
                headers: http::HeaderMap::new(),
                body: None,
                timeout: Duration::from_secs(5),
                max_response_bytes: 256 * 1024,
                named: false,
                call: CallContext { seed: 0, attempt: 1 },
            };
            let answer = self.egress.send(request).await;
            let answer = answer.map_err(|failure| anyhow::anyhow!("{failure}"))?;
            ensure!(answer.status == 200, "answered with status {}", answer.status);
            let control = answer.headers.iter().find(|(name, _)| name == "cache-control");
            let max_age = control.and_then(|(_, value)| max_age(value));
            Ok(Fetched { body: answer.body, max_age })
        })
    }
}

/// `max-age` of a `Cache-Control` header.
fn max_age(control: &str) -> Option<TimeDelta> {
    control
        .split(',')
        .find_map(|part| part.trim().strip_prefix("max-age="))
        .and_then(|seconds| seconds.trim_matches('"').parse::<u32>().ok())
        .map(|seconds| TimeDelta::seconds(seconds.into()))
}

/// The keys of one identity provider.
pub struct KeySet {
    source: Arc<dyn KeySource>,
    algorithm: Algorithm,
    clock: Clock,
    known: ArcSwap<Known>,
    /// When the provider was asked last. Held while it is being asked.
    asked_at: Mutex<Option<DateTime<Utc>>>,
}

#[derive(Default)]
struct Known {
    keys: Vec<(Option<String>, Arc<DecodingKey>)>,
    fresh_until: DateTime<Utc>,
}

impl Known {
    /// The key of this id; without an id, the only key there is.
    fn find(&self, id: Option<&str>) -> Option<Arc<DecodingKey>> {
        match (id, self.keys.as_slice()) {
            (Some(id), keys) => {
                let same = |(known, _): &&(Option<String>, _)| known.as_deref() == Some(id);
                keys.iter().find(same).map(|(_, key)| Arc::clone(key))
            }
            (None, [(_, only)]) => Some(Arc::clone(only)),
            (None, _) => None,
        }
    }
}

impl KeySet {
    pub fn new(source: Arc<dyn KeySource>, algorithm: Algorithm, clock: Clock) -> Self {
        let (known, asked_at) = (ArcSwap::default(), Mutex::default());
        KeySet { source, algorithm, clock, known, asked_at }
    }

    /// The key of this id, asking the provider when that may help.
    pub async fn find(&self, id: Option<&str>) -> Result<Arc<DecodingKey>, Rejection> {
        let known = self.known.load_full();
        let found = known.find(id);
        let now = self.clock.now();
        if let Some(key) = &found
            && now < known.fresh_until
        {
            return Ok(Arc::clone(key));
        }
        let usable = found.filter(|_| now < known.fresh_until + STALE);
        let mut asked_at = match (&usable, self.asked_at.try_lock()) {
            (_, Ok(asked_at)) => asked_at,
            // Somebody is asking already, and an old key is good enough meanwhile.
            (Some(key), Err(_)) => return Ok(Arc::clone(key)),
            (None, Err(_)) => self.asked_at.lock().await,
        };
        if asked_at.is_none_or(|at| now - at >= BETWEEN) {
            *asked_at = Some(now);
            match self.renew(now).await {
                Ok(renewed) => self.known.store(Arc::new(renewed)),
                Err(error) => tracing::warn!("the identity provider's keys: {error:#}"),
            }
        }
        drop(asked_at);
        let known = self.known.load();
        match known.find(id) {
            Some(key) if now < known.fresh_until + STALE => Ok(key),
            None if now < known.fresh_until => Err(Rejection::Invalid("unknown key")),
            _ => Err(Rejection::Unavailable),
        }
    }

    async fn renew(&self, now: DateTime<Utc>) -> anyhow::Result<Known> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<serde_json::Value>,
        }

        let Fetched { body, max_age } = self.source.fetch().await?;
        let document: Document = serde_json::from_slice(&body).context("not a key set")?;
        ensure!(document.keys.len() <= KEYS, "more than {KEYS} keys");
        // One key of a kind that we do not know must not hide the others.
        let keys: Vec<_> = document
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value::<Jwk>(key).ok())
            .filter(|key| is_for(key, self.algorithm))
            .filter_map(|key| {
                let decoding = DecodingKey::from_jwk(&key).ok()?;
                Some((key.common.key_id, Arc::new(decoding)))
            })
            .collect();
        ensure!(!keys.is_empty(), "no key for {} in it", name(self.algorithm));
        let fresh = max_age.unwrap_or(FRESH).clamp(SHORTEST, LONGEST);
        Ok(Known { keys, fresh_until: now + fresh })
    }
}

/// Whether a key is one to verify signatures of this algorithm with.
fn is_for(key: &Jwk, algorithm: Algorithm) -> bool {
    let signs = key.common.public_key_use.as_ref().is_none_or(|u| *u == PublicKeyUse::Signature);
    let named = key.common.key_algorithm.as_ref().is_none_or(|named| {
        // The names of both types are those of RFC 7518.
        serde_json::to_value(named).is_ok_and(|named| named == self::name(algorithm))
    });
    let fits = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), Algorithm::RS256) => true,
        (AlgorithmParameters::EllipticCurve(curve), Algorithm::ES256) => {
            curve.curve == EllipticCurve::P256
        }
        (AlgorithmParameters::OctetKeyPair(pair), Algorithm::EdDSA) => {
            pair.curve == EllipticCurve::Ed25519
        }
        _ => false,
    };
    signs && named && fits
}
