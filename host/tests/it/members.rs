//! People in workspaces: invited, given roles, removed.

use crate::support::Host;
use aiv::{
    config::Config,
    identity::{self, NewToken},
};
use chrono::TimeDelta;
use serde_json::{Value, json};

async fn start() -> Host {
    Host::start_with(|config: &mut Config| {
        config.auth.jwt_secret = Some("0123456789abcdef0123456789abcdef".to_owned().into());
    })
    .await
}

/// The host, spoken to by a person.
fn person(host: &Host, subject: &str) -> Host {
    let now = host.app.clock.now();
    let token = NewToken {
        subject: subject.into(),
        token_id: format!("{subject}-{}", now.timestamp()),
        email: Some(format!("{subject}@acme.com")),
        workspace: None,
        scopes: vec![],
        issued_at: now,
        expires_at: now + TimeDelta::days(60),
    };
    host.with_key(identity::mint(&host.app.config.auth, &token).unwrap())
}

async fn invite(host: &Host, role: &str) -> Value {
    let body = json!({"email": "new@acme.com", "role": role});
    host.post("/v1/invitations", body).await.expect(201)
}

async fn join(host: &Host, subject: &str, role: &str) -> Host {
    let issued = invite(host, role).await;
    let person = person(host, subject);
    let body = json!({"token": issued["token"]});
    person.post("/v1/invitations/accept", body).await.expect(200);
    person
}

#[tokio::test]
async fn an_invitation_makes_one_member_once() {
    let host = start().await;
    let issued = invite(&host, "member").await;
    let token = issued["token"].as_str().unwrap();
    assert!(token.starts_with("avi_") && token.len() == 32);
    let listed = host.get("/v1/invitations").await.expect(200);
    assert!(!listed.to_string().contains(token), "the token is shown once");

    let ada = person(&host, "ada");
    ada.get("/v1/prompts").await.expect(403);
    let joined = ada.post("/v1/invitations/accept", json!({"token": token})).await.expect(200);
    assert_eq!(joined["workspace_id"], host.workspace.id.to_string());
    assert_eq!(joined["role"], "member");
    ada.get("/v1/prompts").await.expect(200);
    ada.get("/v1/invitations").await.expect(403);

    let bob = person(&host, "bob");
    let again = bob.post("/v1/invitations/accept", json!({"token": token})).await;
    assert_eq!((again.status, &again.body["code"]), (404, &json!("not_found")));
    bob.post("/v1/invitations/accept", json!({"token": "avi_0000"})).await.expect(404);
    host.post("/v1/invitations/accept", json!({"token": token})).await.expect(403);

    let members = host.get("/v1/members").await.expect(200);
    assert_eq!(members["data"].as_array().unwrap().len(), 1);
    assert_eq!(members["data"][0]["email"], "ada@acme.com");
    let path = format!("/v1/invitations/{}", issued["invitation"]["id"].as_str().unwrap());
    host.delete(path).await.expect(409);
    let log = host.get("/v1/audit-log").await.expect(200);
    assert!(log.to_string().contains("invitation.accept") && !log.to_string().contains(token));
}

#[tokio::test]
async fn an_invitation_ends() {
    let host = start().await;
    let (late, taken_back) = (invite(&host, "viewer").await, invite(&host, "viewer").await);
    let path = format!("/v1/invitations/{}", taken_back["invitation"]["id"].as_str().unwrap());
    assert_eq!(host.other_workspace().await.delete(&path).await.status, 404);
    assert_eq!(host.delete(&path).await.status, 204);
    assert_eq!(host.delete(&path).await.status, 204);
    let ada = person(&host, "ada");
    let body = json!({"token": taken_back["token"]});
    ada.post("/v1/invitations/accept", body).await.expect(404);
    host.app.clock.advance(TimeDelta::days(7));
    ada.post("/v1/invitations/accept", json!({"token": late["token"]})).await.expect(404);
    // Nobody became anybody.
    assert!(ada.get("/v1/me").await.expect(200).get("user_id").is_none());
}

#[tokio::test]
async fn nobody_decides_about_a_role_above_their_own() {
    let host = start().await;
    let owner = join(&host, "olga", "owner").await;
    let admin = join(&host, "ada", "admin").await;
    let member = join(&host, "mia", "member").await;
    let body = json!({"email": "x@acme.com", "role": "owner"});
    admin.post("/v1/invitations", body).await.expect(403);
    member
        .post("/v1/invitations", json!({"email": "x@acme.com", "role": "viewer"}))
        .await
        .expect(403);
    let id = async |person: &Host| {
        person.get("/v1/me").await.expect(200)["user_id"].as_str().unwrap().to_owned()
    };
    let path = async |person: &Host| format!("/v1/members/{}", id(person).await);
    admin.patch(path(&owner).await, json!({"role": "viewer"})).await.expect(403);
    admin.delete(path(&owner).await).await.expect(403);
    admin.patch(path(&member).await, json!({"role": "owner"})).await.expect(403);
    let changed = admin.patch(path(&member).await, json!({"role": "viewer"})).await.expect(200);
    assert_eq!(changed["role"], "viewer");
    assert_eq!(owner.other_workspace().await.get(path(&member).await).await.status, 404);

    // The last owner stays one.
    owner.patch(path(&owner).await, json!({"role": "admin"})).await.expect(409);
    owner.delete(path(&owner).await).await.expect(409);
    owner.patch(path(&admin).await, json!({"role": "owner"})).await.expect(200);
    owner.patch(path(&owner).await, json!({"role": "admin"})).await.expect(200);

    member.get("/v1/prompts").await.expect(200);
    let gone = path(&member).await;
    assert_eq!(admin.delete(&gone).await.status, 204);
    host.get(&gone).await.expect(404);
    person(&host, "mia").get("/v1/prompts").await.expect(403);
}

#[tokio::test]
async fn a_person_is_forgotten_and_what_they_did_is_not() {
    let host = start().await;
    let ada = join(&host, "ada", "admin").await;
    let other = host.other_workspace().await;
    let issued = other.post("/v1/invitations", json!({"email": "ADA@acme.com", "role": "viewer"}));
    let issued = issued.await.expect(201);
    ada.post("/v1/invitations/accept", json!({"token": issued["token"]})).await.expect(200);
    let open = json!({"email": "ada@acme.com", "role": "viewer"});
    host.post("/v1/invitations", open).await.expect(201);
    let member = host.get("/v1/members").await.expect(200)["data"][0].clone();
    let id = member["user_id"].as_str().unwrap().to_owned();
    ada.post("/v1/prompts", json!({"text": "best crm?"})).await;

    let operator = host.operator().await;
    host.post("/v1/admin/erasures", json!({"user_id": id, "reason": "x"})).await.expect(403);
    for (wish, status) in [
        (json!({"reason": "x"}), 422),
        (json!({"reason": "x", "subject": "nobody"}), 404),
        (json!({"reason": "x", "subject": "ada", "user_id": id}), 422),
    ] {
        operator.post("/v1/admin/erasures", wish).await.expect(status);
    }
    let wish = json!({"subject": "ada", "reason": "a letter of 1 January"});
    let erased = operator.post("/v1/admin/erasures", wish.clone()).await.expect(200);
    assert_eq!(erased["user_id"], json!(id));
    let rows = |table: &str| {
        let receipt = erased["receipt"].as_array().unwrap();
        receipt.iter().find(|row| row["table"] == table).unwrap()["rows"].clone()
    };
    assert_eq!((rows("members"), rows("users")), (json!(2), json!(1)));
    assert_eq!(rows("invitations"), json!(3));
    let listed = operator.get("/v1/admin/erasures").await.expect(200);
    assert_eq!(listed["data"][0], erased);
    operator.post("/v1/admin/erasures", wish).await.expect(404);

    let again = host.with_key(ada.key()).get("/v1/me").await.status;
    assert_eq!(again, 401, "their tokens have ended");
    assert_eq!(host.get("/v1/members").await.expect(200)["data"], json!([]));
    for path in ["/v1/members", "/v1/invitations", "/v1/audit-log", "/v1/prompts"] {
        let text = host.get(path).await.expect(200).to_string();
        assert!(!text.to_lowercase().contains("ada@acme.com"), "{path}: {text}");
    }
    let log = host.get("/v1/audit-log").await.expect(200).to_string();
    assert!(log.contains(&format!("user:{id}")), "what was done stays: {log}");
}

#[tokio::test]
async fn the_only_owner_of_a_workspace_is_not_forgotten() {
    let host = start().await;
    join(&host, "ada", "owner").await;
    let operator = host.operator().await;
    let wish = json!({"subject": "ada", "reason": "x"});
    let refused = operator.post("/v1/admin/erasures", wish).await.expect(409);
    assert!(refused["detail"].as_str().unwrap().contains("only owner"), "{refused:#}");
    assert_eq!(host.get("/v1/members").await.expect(200)["data"][0]["email"], "ada@acme.com");
}
