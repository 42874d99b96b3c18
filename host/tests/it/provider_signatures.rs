//! Whose components may be installed.

use crate::{
    providers::{ADJUSTABLE, grant},
    support::{Host, guest::adjustable},
};
use aiv::{config::SignaturePolicy, providers::signature};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;

/// A publisher's key pair and its public key in hexadecimal.
fn publisher(seed: u8) -> (Ed25519KeyPair, String) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let public = hex::encode(pair.public_key().as_ref());
    (pair, public)
}

/// The query that carries a signature for the component with this digest.
fn signed(pair: &Ed25519KeyPair, public: &str, digest: &str) -> String {
    let signature = pair.sign(&signature::message(digest.parse().unwrap()));
    format!("{ADJUSTABLE}?signature=ed25519:{public}:{}", hex::encode(signature.as_ref()))
}

async fn host(policy: SignaturePolicy) -> Host {
    Host::start_set(|config| {
        config.providers.signatures = policy;
        // What lies there is not signed.
        config.providers.plugin_dir = "/nonexistent".into();
    })
    .await
    .operator()
    .await
}

#[tokio::test]
async fn any_component_is_welcome_but_no_wrong_signature() {
    let host = host(SignaturePolicy::Any).await;
    let (pair, public) = publisher(1);
    let (component, digest) = adjustable(&[]);
    let (other, _) = adjustable(&[("version", "1.1.0")]);
    let altered = host.upload(signed(&pair, &public, &digest), other).await.expect(403);
    assert!(altered["detail"].as_str().unwrap().contains("altered"));
    host.upload(format!("{ADJUSTABLE}?signature=rsa"), component.clone()).await.expect(400);
    host.upload(ADJUSTABLE, component.clone()).await.expect(201);
    let installed = host.upload(signed(&pair, &public, &digest), component).await.expect(201);
    assert_eq!(installed["signed_by"], public);
}

#[tokio::test]
async fn unsigned_components_stay_out_where_signatures_are_wanted() {
    let host = host(SignaturePolicy::Signed).await;
    let (pair, public) = publisher(1);
    let (component, digest) = adjustable(&[]);
    let refused = host.upload(ADJUSTABLE, component.clone()).await.expect(403);
    assert!(refused["detail"].as_str().unwrap().contains("not signed"));
    host.upload(signed(&pair, &public, &digest), component).await.expect(201);
}

#[tokio::test]
async fn only_trusted_publishers_get_in_until_their_key_is_revoked() {
    let host = host(SignaturePolicy::Trusted).await;
    let (pair, public) = publisher(1);
    let (component, digest) = adjustable(&[]);
    let path = signed(&pair, &public, &digest);
    let refused = host.upload(&path, component.clone()).await.expect(403);
    assert!(refused["detail"].as_str().unwrap().contains(&public));
    let key = format!("/v1/admin/publisher-keys/{public}");
    host.put("/v1/admin/publisher-keys/abc", json!({"name": "Acme"})).await.expect(400);
    host.put(&key, json!({"name": "Acme"})).await.expect(200);
    host.upload(&path, component.clone()).await.expect(201);
    host.put(format!("{ADJUSTABLE}/grant"), grant(&["api.example.com"])).await.expect(200);
    let activate = format!("{ADJUSTABLE}/activate");
    host.post(&activate, json!({"digest": digest})).await.expect(200);

    host.delete(&key).await.expect(204);
    host.delete(&key).await.expect(404);
    let refused = host.post(&activate, json!({"digest": digest})).await.expect(403);
    assert!(refused["detail"].as_str().unwrap().contains("revoked"));
    let keys = host.get("/v1/admin/publisher-keys").await.expect(200);
    assert!(keys["data"][0]["revoked_at"].is_string());
    let (impostor, theirs) = publisher(2);
    host.upload(signed(&impostor, &theirs, &digest), component.clone()).await.expect(403);
    // The name of one and the hand of another.
    host.upload(signed(&impostor, &public, &digest), component).await.expect(403);
    let log = host.get("/v1/admin/audit-log").await.expect(200);
    let actions: Vec<_> = log["data"].as_array().unwrap().iter().map(|r| &r["action"]).collect();
    assert_eq!(actions[0], "publisher_key.revoke");
}
