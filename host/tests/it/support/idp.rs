//! An identity provider that a test plays.

use aiv::identity::{Fetched, KeySource};
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa, signature,
};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// What its tokens name as their issuer.
pub(crate) const IDP: &str = "https://idp.example";

/// An identity provider: one key, and whatever it is told to answer.
pub(crate) struct Idp {
    algorithm: Algorithm,
    key: Mutex<(String, EncodingKey)>,
    answer: Mutex<Option<String>>,
    asked: AtomicUsize,
}

pub(crate) fn idp_claims(now: DateTime<Utc>) -> Value {
    let now = now.timestamp();
    json!({"iss": IDP, "aud": "aiv-api", "sub": "ada", "iat": now, "exp": now + 600})
}

fn new_key(algorithm: Algorithm) -> EncodingKey {
    let rng = aws_lc_rs::rand::SystemRandom::new();
    match algorithm {
        Algorithm::RS256 => {
            let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
            let der = AsDer::<Pkcs8V1Der>::as_der(&pair).unwrap();
            // PKCS#1 is what PKCS#8 holds behind a head of this length.
            EncodingKey::from_rsa_der(&der.as_ref()[26..])
        }
        Algorithm::ES256 => {
            let kind = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
            let document = signature::EcdsaKeyPair::generate_pkcs8(kind, &rng).unwrap();
            EncodingKey::from_ec_der(document.as_ref())
        }
        _ => {
            let document = signature::Ed25519KeyPair::generate_pkcs8v1(&rng).unwrap();
            EncodingKey::from_ed_der(document.as_ref())
        }
    }
}

impl Idp {
    pub(crate) fn new(algorithm: Algorithm) -> Arc<Self> {
        let idp = Idp {
            algorithm,
            key: Mutex::new(("k0".into(), new_key(algorithm))),
            answer: Mutex::default(),
            asked: AtomicUsize::new(0),
        };
        idp.publish();
        Arc::new(idp)
    }

    /// Answers with its present key from now on, beside two that are not for signatures.
    pub(crate) fn publish(&self) {
        let mut encrypts = serde_json::to_value(self.jwk()).unwrap();
        encrypts["use"] = json!("enc");
        encrypts["kid"] = json!("enc");
        let strange = json!({"kty": "unheard of", "kid": "strange"});
        self.answer(Some(json!({"keys": [strange, encrypts, self.jwk()]}).to_string()));
    }

    pub(crate) fn rotate(&self) {
        let id = format!("k{}", self.asked() + 1);
        *self.key.lock().unwrap() = (id, new_key(self.algorithm));
        self.publish();
    }

    pub(crate) fn answer(&self, answer: Option<String>) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn jwk(&self) -> Jwk {
        let key = self.key.lock().unwrap();
        let mut jwk = Jwk::from_encoding_key(&key.1, self.algorithm).unwrap();
        jwk.common.key_id = Some(key.0.clone());
        jwk
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let id = self.key.lock().unwrap().0.clone();
        self.sign_as(&id, claims)
    }

    pub(crate) fn sign_as(&self, id: &str, claims: &Value) -> String {
        let header = Header { kid: Some(id.into()), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, &self.key.lock().unwrap().1).unwrap()
    }
}

impl KeySource for Idp {
    fn fetch(&self) -> BoxFuture<'_, anyhow::Result<Fetched>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            let answer = self.answer.lock().unwrap().clone();
            let body = answer.ok_or_else(|| anyhow::anyhow!("away"))?.into_bytes();
            Ok(Fetched { body, max_age: Some(TimeDelta::hours(1)) })
        })
    }
}
