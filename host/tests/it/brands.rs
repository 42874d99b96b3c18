use crate::support::{Answer, Host};
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

#[tokio::test]
async fn facts_are_typed_and_versioned() {
    let host = Host::start().await;
    let brand = json!({"name": "Acme", "kind": "own"});
    let brand = host.post("/v1/brands", brand).await.expect(201);
    let path = format!("/v1/brands/{}/facts", brand["id"].as_str().unwrap());
    let none = host.get(&path).await;
    assert_eq!((none.header("etag"), &none.body["data"]), (Some("\"0\""), &json!([])));

    let facts = json!({"facts": [
        {"name": "founded", "kind": "number", "value": 2012},
        {"name": "free plan", "kind": "flag", "value": true, "source_url": "https://acme.com/plans"},
        {"name": "offices", "kind": "list", "value": ["Aarhus", "Bonn"]},
        {"name": "launched", "kind": "date", "value": "2014-02-03"},
    ]});
    let saved = host.put(&path, facts.clone()).await.expect(200);
    assert_eq!((&saved["version"], &saved["data"]), (&json!(1), &facts["facts"]));
    let broken = json!({"facts": [
        {"name": "founded", "kind": "number", "value": "2012"},
        {"name": "founded", "kind": "date", "value": "2012-13-01"},
        {"name": "site", "kind": "url", "value": "javascript:alert(1)"},
    ]});
    let refused = host.put(&path, broken).await.expect(422);
    assert_eq!(refused["errors"].as_array().unwrap().len(), 4);
    let request = |version: &str| {
        let (host, path, version) = (&host, path.clone(), version.to_owned());
        async move {
            let request = host
                .client
                .put(path)
                .header("x-api-key", host.key())
                .header("if-match", version)
                .body_json(&json!({"facts": []}));
            Answer::of(request.send().await).await
        }
    };
    assert_eq!(request("\"7\"").await.status, 412);
    assert_eq!(request("\"1\"").await.expect(200)["version"], 2);
    let other = host.other_workspace().await;
    assert_eq!(other.get(&path).await.status, 404);
}

#[tokio::test]
async fn a_preview_tells_what_a_brand_would_change_and_changes_nothing() {
    let host = Host::start().await;
    host.seed_demo(6).await;
    host.start_batch(1, "monday").await;
    host.work().await;
    let brands = host.get("/v1/brands").await.expect(200);
    let count = brands["data"].as_array().unwrap().len();
    // The brand that most answers name, under a name that none has.
    let named = brands["data"][0].clone();
    let body = json!({
        "brand": {"name": "Qqwwzz", "kind": "own", "aliases": [{"text": "it"}]},
        "replaces": named["id"],
    });
    let preview = host.post("/v1/brands/preview", body).await.expect(200);
    assert!(preview["answers"].as_i64().unwrap() > 0);
    let details: Vec<&str> = preview["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["detail"].as_str().unwrap())
        .collect();
    assert!(details.iter().any(|detail| detail.contains("fewer than 3")), "{details:?}");
    assert!(details.iter().any(|detail| detail.contains("common word")), "{details:?}");
    let new = json!({"brand": {"name": named["name"], "kind": "competitor"}});
    let same = host.post("/v1/brands/preview", new).await.expect(200);
    let twice = |warning: &serde_json::Value| {
        warning["detail"].as_str().unwrap().contains("is an alias of")
    };
    assert!(same["warnings"].as_array().unwrap().iter().any(twice), "{same:#}");
    assert_eq!(same["gained"], json!([]), "the brand that was made first counts");
    let gone = json!({"brand": {"name": "Qqwwzz", "kind": "own"}, "replaces": named["id"]});
    let gone = host.post("/v1/brands/preview", gone).await.expect(200);
    let change = &gone["changes"][0];
    assert!(change["before"].as_i64().unwrap() > 0 && change["after"] == 0, "{gone:#}");
    assert!(!gone["lost"].as_array().unwrap().is_empty());

    let after = host.get("/v1/brands").await.expect(200);
    assert_eq!(after["data"].as_array().unwrap().len(), count);
    let strange = json!({
        "brand": {"name": "X1", "kind": "own"},
        "replaces": "019a0000-0000-7000-8000-000000000000",
    });
    assert_eq!(host.post("/v1/brands/preview", strange).await.status, 404);
}
