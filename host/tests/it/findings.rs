//! Findings: shown and decided about.

use crate::support::Host;
use aiv::{
    ids::{BrandId, FindingId, RunId},
    store::findings::{self, Finding, FindingState, Verdict},
};
use serde_json::json;

pub(crate) async fn insert(host: &Host, verdict: Verdict) -> String {
    let now = host.app.clock.now();
    let finding = Finding {
        id: FindingId::generate(),
        workspace_id: host.workspace.id,
        brand_id: BrandId::generate(),
        run_id: RunId::generate(),
        engine: "perplexity".into(),
        fact: "phone".into(),
        claim: "+45 12 34 56 78".into(),
        known: Some("+45 87 65 43 21".into()),
        verdict,
        confidence: 0.9,
        state: FindingState::Open,
        note: None,
        decided_by: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let mut tx = host.app.store.begin().await.unwrap();
    findings::insert(&mut tx, &finding).await.unwrap();
    tx.commit().await.unwrap();
    finding.id.to_string()
}

#[tokio::test]
async fn findings_are_listed_by_what_they_say_and_decided_about() {
    let host = Host::start().await;
    assert_eq!(host.get("/v1/findings").await.expect(200)["data"], json!([]));
    let wrong = insert(&host, Verdict::Contradicted).await;
    insert(&host, Verdict::Confirmed).await;
    let list = host.get("/v1/findings?verdict=contradicted&state=open").await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(list["data"][0]["id"], json!(wrong));
    assert_eq!(host.get("/v1/findings?limit=1").await.expect(200)["has_more"], true);

    let path = format!("/v1/findings/{wrong}");
    assert_eq!(host.get(&path).await.header("etag"), Some("\"1\""));
    let said = json!({"state": "dismissed", "note": "an old number"});
    let decided = host.patch(&path, said).await;
    assert_eq!(decided.header("etag"), Some("\"2\""));
    let decided = decided.expect(200);
    assert_eq!(
        (&decided["state"], &decided["note"]),
        (&json!("dismissed"), &json!("an old number"))
    );
    assert!(decided["decided_by"].as_str().unwrap().starts_with("api_key:"));
    let refused = host.patch(&path, json!({"state": "forgotten"})).await.expect(422);
    assert_eq!(refused["errors"][0]["pointer"], "/state");
    assert_eq!(host.other_workspace().await.get(&path).await.status, 404);
}
