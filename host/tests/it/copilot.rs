//! The copilot's rules and actions as resources.

use crate::support::{Answer, Host};
use aiv::{
    ids::ActionId,
    store::{
        api_keys::Role,
        copilot::{self, Action, ActionState},
        events,
    },
};
use serde_json::json;

pub(crate) async fn insert(host: &Host) -> String {
    let now = host.app.clock.now();
    let action = Action {
        id: ActionId::generate(),
        workspace_id: host.workspace.id,
        kind: "add_faq".into(),
        title: "Answer what engines are asked".into(),
        target: "https://acme.com/faq".into(),
        content: "Q: …".into(),
        evidence: json!({"runs": []}).into(),
        priority: 8,
        state: ActionState::Proposed,
        approved_digest: None,
        decided_by: None,
        decided_at: None,
        note: None,
        created_at: now,
        updated_at: now,
    };
    let mut tx = host.app.store.begin().await.unwrap();
    copilot::insert(&mut tx, &action).await.unwrap();
    tx.commit().await.unwrap();
    action.id.to_string()
}

#[tokio::test]
async fn the_rules_are_careful_until_somebody_sets_them() {
    let host = Host::start().await;
    let found = host.get("/v1/copilot/rules").await;
    assert_eq!(found.header("etag"), Some("\"0\""));
    let found = found.expect(200);
    assert_eq!((&found["enabled_actions"], &found["require_approval"]), (&json!([]), &json!(true)));
    assert_eq!(found.get("updated_at"), None);

    let rules = json!({"enabled_actions": ["add_faq", "fix_schema"], "intensity": 2});
    let save = |tag: &'static str| {
        let request = host
            .client
            .put("/v1/copilot/rules")
            .header("x-api-key", host.key())
            .header("if-match", tag)
            .body_json(&rules);
        async move { Answer::of(request.send().await).await }
    };
    assert_eq!(save("\"3\"").await.status, 412, "there is nothing to change yet");
    let saved = save("\"0\"").await;
    assert_eq!(saved.header("etag"), Some("\"1\""));
    assert_eq!(saved.expect(200)["max_actions_per_week"], 5);
    assert_eq!(save("\"0\"").await.status, 412);
    assert_eq!(save("\"1\"").await.expect(200)["intensity"], 2);
    for body in [
        json!({"enabled_actions": ["dance"]}),
        json!({"enabled_actions": [], "intensity": 4}),
        json!({"enabled_actions": [], "max_actions_per_week": -1}),
    ] {
        host.put("/v1/copilot/rules", body).await.expect(422);
    }
    let member = host.with_key(host.create_key(host.workspace.id, Role::Member, &[]).await);
    assert_eq!(member.put("/v1/copilot/rules", rules.clone()).await.status, 403);
    let other = host.other_workspace().await;
    assert_eq!(other.get("/v1/copilot/rules").await.header("etag"), Some("\"0\""));
}

#[tokio::test]
async fn an_action_goes_its_way_and_no_other() {
    let host = Host::start().await;
    let path = format!("/v1/copilot/actions/{}", insert(&host).await);
    let early = host.post(format!("{path}/complete"), json!({})).await;
    assert_eq!((early.status, &early.body["code"]), (409, &json!("conflict")));
    let approved = host.post(format!("{path}/approve"), json!({"note": "go"})).await.expect(200);
    assert_eq!((&approved["state"], &approved["note"]), (&json!("approved"), &json!("go")));
    assert_eq!(approved["approved_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(host.post(format!("{path}/approve"), json!({})).await.status, 409);
    let done = host.post(format!("{path}/complete"), json!({})).await.expect(200);
    assert_eq!(done["state"], "done");
    assert_eq!(host.post(format!("{path}/dismiss"), json!({})).await.status, 409);

    let other = format!("/v1/copilot/actions/{}", insert(&host).await);
    host.post(format!("{other}/dismiss"), json!({})).await.expect(200);
    assert_eq!(host.post(format!("{other}/approve"), json!({})).await.status, 409);
    let list = host.get("/v1/copilot/actions?state=dismissed&kind=add_faq").await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 1);

    host.publish().await;
    let mut conn = host.app.store.read().await.unwrap();
    let told = events::list(&mut conn, host.workspace.id, 0, 10).await.unwrap();
    let told: Vec<_> = told.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(told, ["action.approved", "action.done", "action.dismissed"]);
}
