//! What prompts belong to: intents, topics, tags, locales.

use crate::support::Host;
use serde_json::json;

#[tokio::test]
async fn an_intent_is_renamed_but_not_taken_from_its_prompts() {
    let host = Host::start().await;
    let made = host.post("/v1/intents", json!({"name": "best crm", "kind": "best"})).await;
    let path = made.header("location").unwrap().to_owned();
    assert_eq!(made.expect(201)["prompts"], 0);
    let again = host.post("/v1/intents", json!({"name": "best crm"})).await;
    assert_eq!((again.status, &again.body["code"]), (409, &json!("exists")));

    let body = json!({"text": "best crm?", "intent": "best crm"});
    let prompt = host.post("/v1/prompts", body).await.expect(201);
    let renamed = host.patch(&path, json!({"name": "top crm", "kind": null})).await.expect(200);
    assert_eq!((&renamed["name"], &renamed["prompts"]), (&json!("top crm"), &json!(1)));
    assert!(renamed.get("kind").is_none());
    let prompt_path = format!("/v1/prompts/{}", prompt["id"].as_str().unwrap());
    assert_eq!(host.get(&prompt_path).await.expect(200)["intent"], "top crm");

    assert_eq!(host.delete(&path).await.status, 409);
    host.patch(&prompt_path, json!({"intent": null})).await.expect(200);
    assert_eq!(host.delete(&path).await.status, 204);
    assert_eq!(host.get(&path).await.status, 404);
}

#[tokio::test]
async fn a_topic_that_is_deleted_leaves_its_prompts() {
    let host = Host::start().await;
    let body = json!({"text": "best crm?", "topic": "CRM", "tags": ["a", "b"], "language": "da"});
    let prompt = host.post("/v1/prompts", body).await.expect(201);
    let topics = host.get("/v1/topics").await.expect(200);
    assert_eq!(
        (&topics["data"][0]["name"], &topics["data"][0]["prompts"]),
        (&json!("CRM"), &json!(1))
    );
    for (query, found) in [
        ("topic=CRM", 1),
        ("topic=ERP", 0),
        ("language=da", 1),
        ("language=da&country=DK", 0),
        ("tag=b", 1),
    ] {
        let list = host.get(format!("/v1/prompts?{query}")).await.expect(200);
        assert_eq!(list["data"].as_array().unwrap().len(), found, "{query}");
    }
    let locales = host.get("/v1/locales").await.expect(200);
    assert_eq!(locales["data"], json!([{"language": "da", "prompts": 1}]));

    let path = format!("/v1/topics/{}", topics["data"][0]["id"].as_str().unwrap());
    assert_eq!(host.delete(&path).await.status, 204);
    let prompt = format!("/v1/prompts/{}", prompt["id"].as_str().unwrap());
    assert!(host.get(&prompt).await.expect(200).get("topic").is_none());
    assert_eq!(host.delete(&path).await.status, 404);
}

#[tokio::test]
async fn a_tag_is_renamed_merged_and_taken_off() {
    let host = Host::start().await;
    for (text, tags) in [("one?", json!(["crm", "b2b"])), ("two?", json!(["CRM", "crm"]))] {
        host.post("/v1/prompts", json!({"text": text, "tags": tags})).await.expect(201);
    }
    let merged = host.patch("/v1/tags/CRM", json!({"name": "crm"})).await.expect(200);
    assert_eq!(merged, json!({"name": "crm", "prompts": 2}));
    assert_eq!(host.delete("/v1/tags/b2b").await.status, 204);
    assert_eq!(host.delete("/v1/tags/b2b").await.status, 404);
    let tags = host.get("/v1/tags").await.expect(200);
    assert_eq!(tags["data"], json!([{"name": "crm", "prompts": 2}]));
    let log = host.get("/v1/audit-log?action=tag.update").await.expect(200);
    assert_eq!(log["data"][0]["payload"], json!({"name": "crm", "prompts": 1}));
}
