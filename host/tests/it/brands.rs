use crate::support::Host;
use serde_json::json;

#[tokio::test]
async fn a_brand_lives_its_life() {
    let host = Host::start().await;
    let body = json!({
        "name": "Acme", "kind": "own", "domains": ["ACME.com"],
        "aliases": [{"text": "Acme Inc", "must_have_near": ["crm"]}],
    });
    let answer = host.post("/v1/brands", body).await;
    let path = answer.header("location").unwrap().to_owned();
    let made = answer.expect(201);
    assert_eq!(made["domains"], json!(["acme.com"]));
    assert_eq!(made["aliases"][0]["must_have_near"], json!(["crm"]));
    assert_eq!(made["aliases"][0]["require_capital"], false);
    assert!(made["warnings"].is_array());

    let changed = host.patch(&path, json!({"kind": "competitor", "aliases": []})).await.expect(200);
    assert_eq!((&changed["kind"], &changed["aliases"]), (&json!("competitor"), &json!([])));
    assert_eq!((&changed["name"], &changed["domains"]), (&json!("Acme"), &json!(["acme.com"])));
    let again = host.post("/v1/brands", json!({"name": "Acme", "kind": "own"})).await;
    assert_eq!((again.status, &again.body["code"]), (409, &json!("exists")));

    assert_eq!(host.other_workspace().await.get(&path).await.status, 404);
    assert_eq!(host.delete(&path).await.status, 204);
    assert_eq!(host.get(&path).await.status, 404);
    assert_eq!(host.get("/v1/brands").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn what_is_no_brand_is_refused() {
    let host = Host::start().await;
    for (body, pointer) in [
        (json!({"name": " ", "kind": "own"}), "/name"),
        (json!({"name": "A", "kind": "friend"}), "/kind"),
        (json!({"name": "A", "kind": "own", "domains": ["https://a.com"]}), "/domains/0"),
        (json!({"name": "A", "kind": "own", "aliases": [{"text": ""}]}), "/aliases/0/text"),
        (json!({"name": "A", "kind": "own", "aliases": [{"txt": "b"}]}), "/aliases/0/txt"),
    ] {
        let refused = host.post("/v1/brands", body.clone()).await.expect(422);
        let errors = refused["errors"].as_array().unwrap();
        assert!(errors.iter().any(|error| error["pointer"] == pointer), "{body}: {errors:?}");
    }
}

#[tokio::test]
async fn an_alias_that_counts_too_much_is_warned_about() {
    let host = Host::start().await;
    let made = host.post("/v1/brands", json!({"name": "HP", "kind": "own"})).await.expect(201);
    let warnings = made["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|warning| warning["pointer"] == "/name"), "{warnings:?}");
}
