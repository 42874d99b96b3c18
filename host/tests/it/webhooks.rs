//! Webhooks: what they are told, how it is signed, and what happens when they do not listen.

use crate::support::{
    Answer, Host,
    addresses::inward,
    sink::{NAME, Received, Sink},
};
use aiv::{
    providers::egress::{Egress, Lookup, Reach},
    store::{
        api_keys::Role,
        events::{self, EventType, NewEvent},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::{collections::BTreeSet, io, net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;

/// A host whose way out leads to a receiver.
async fn host_with_sink() -> (Host, Sink) {
    let sink = Sink::start().await;
    let mut host = Host::start().await;
    host.app.egress = sink.egress();
    (host.with_key(host.key()), sink)
}

fn address() -> String {
    format!("https://{NAME}/aiv?team=1")
}

async fn create(host: &Host, event_types: &Value) -> (String, String) {
    let body = json!({"url": address(), "event_types": event_types});
    let answer = host.post("/v1/webhooks", body).await;
    let path = answer.header("location").unwrap_or_default().to_owned();
    let made = answer.expect(201);
    (path, made["secret"].as_str().unwrap().to_owned())
}

/// Writes an event of the workspace down, as its cause would.
async fn happen(host: &Host, kind: EventType) {
    let mut tx = host.app.store.begin().await.unwrap();
    let event = NewEvent::new(host.workspace.id, kind, "x".into(), json!({"n": 1}));
    events::insert(&mut tx, &[event], host.app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

/// Whether the request was signed with the secret, by another implementation of the standard.
fn is_signed(request: &Received, secret: &str) -> bool {
    let theirs = standardwebhooks::Webhook::new(secret).unwrap();
    let (id, at) = (&request.headers["webhook-id"], &request.headers["webhook-timestamp"]);
    let signed = theirs.sign(id, at.parse().unwrap(), request.body.as_bytes()).unwrap();
    request.headers["webhook-signature"].split(' ').any(|signature| signature == signed)
}

async fn deliveries(host: &Host, webhook: &str) -> Vec<Value> {
    let list = host.get(format!("{webhook}/deliveries")).await.expect(200);
    list["data"].as_array().unwrap().clone()
}

async fn detail(host: &Host, delivery: &Value) -> Value {
    let id = delivery["id"].as_str().unwrap();
    host.get(format!("/v1/webhook-deliveries/{id}")).await.expect(200)
}

#[tokio::test]
async fn a_finished_batch_reaches_those_who_want_to_know() {
    let (host, sink) = host_with_sink().await;
    let (all, secret) = create(&host, &json!([])).await;
    let (other, _) = create(&host, &json!(["budget.exceeded"])).await;
    let neighbour = host.other_workspace().await;
    create(&neighbour, &json!([])).await;
    host.seed_demo(1).await;
    let batch = host.start_batch(1, "s1").await;
    host.work().await;
    host.publish().await;
    host.work().await;

    let received = sink.take();
    assert_eq!(received.len(), 1, "{received:#?}");
    let request = &received[0];
    assert!(is_signed(request, &secret));
    assert_eq!(request.headers["content-type"], "application/json");
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(
        (&body["type"], &body["id"]),
        (&json!("batch.completed"), &json!(request.headers["webhook-id"]))
    );
    assert_eq!(body["workspace_id"], json!(host.workspace.id));
    assert_eq!(body["data"]["batch_id"], json!(batch));
    assert_eq!((&body["data"]["total"], &body["data"]["succeeded"]), (&json!(3), &json!(3)));

    let made = deliveries(&host, &all).await;
    assert_eq!(made.len(), 1);
    assert_eq!((&made[0]["state"], &made[0]["attempts"]), (&json!("delivered"), &json!(1)));
    let detail = detail(&host, &made[0]).await;
    assert_eq!(detail["body"], json!(request.body));
    assert_eq!(detail["tries"][0]["status"], 204);
    assert_eq!(deliveries(&host, &other).await, [] as [Value; 0]);
    // Nothing is published twice.
    assert_eq!(host.publish().await, 0);
}

#[tokio::test]
async fn the_secret_is_shown_once_and_kept_sealed() {
    let (host, _sink) = host_with_sink().await;
    let send = || async {
        let request = host
            .client
            .post("/v1/webhooks")
            .header("x-api-key", host.key())
            .header("idempotency-key", "w-1")
            .body_json(&json!({"url": address()}));
        Answer::of(request.send().await).await
    };
    let (first, again) = (send().await.expect(201), send().await.expect(201));
    let secret = first["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    assert_eq!((&again["webhook"], again.get("secret")), (&first["webhook"], None));
    for path in ["/v1/webhooks".into(), format!("/v1/webhooks/{}", id(&first)), log()] {
        let body = host.get(&path).await.expect(200).to_string();
        assert!(!body.contains(secret) && !body.contains(&secret[6..]), "{path}");
    }
}

fn id(issued: &Value) -> String {
    issued["webhook"]["id"].as_str().unwrap().to_owned()
}

fn log() -> String {
    "/v1/audit-log".into()
}

#[tokio::test]
async fn a_webhook_that_fails_is_tried_for_three_days_and_switched_off_after_five() {
    let (host, sink) = host_with_sink().await;
    let (path, _) = create(&host, &json!([])).await;
    sink.answer([500; 200]);
    happen(&host, EventType::BatchCancelled).await;
    host.publish().await;
    host.work().await;
    let tries = sink.take();
    assert_eq!(tries.len(), 10);
    let ids: BTreeSet<_> = tries.iter().map(|request| &request.headers["webhook-id"]).collect();
    assert_eq!(ids.len(), 1, "a repeated message keeps its id");
    assert!(tries.iter().all(|request| request.body == tries[0].body));
    let made = deliveries(&host, &path).await;
    assert_eq!((&made[0]["state"], &made[0]["attempts"]), (&json!("failed"), &json!(10)));
    let detail = detail(&host, &made[0]).await;
    let times: Vec<DateTime<Utc>> = detail["tries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["started_at"].as_str().unwrap().parse().unwrap())
        .collect();
    let hours = [0, 0, 0, 2, 5, 10, 14, 20, 24];
    for (pair, hours) in times.windows(2).zip(hours) {
        let waited = pair[1] - pair[0];
        let least = TimeDelta::hours(hours).max(TimeDelta::seconds(5));
        assert!(waited >= least && waited <= least * 12 / 10 + TimeDelta::hours(1), "{waited}");
    }
    assert_eq!(detail["tries"][0]["error"], "answered 500");
    assert_eq!(detail["tries"][0]["answer"], "no, thank you");
    let webhook = host.get(&path).await.expect(200);
    assert_eq!(webhook["enabled"], true);
    assert_eq!(
        webhook["failing_since"],
        json!(times[0].to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    );

    host.app.clock.advance(TimeDelta::days(3));
    happen(&host, EventType::BatchCancelled).await;
    happen(&host, EventType::BatchCancelled).await;
    host.publish().await;
    host.work().await;
    let webhook = host.get(&path).await.expect(200);
    assert_eq!(webhook["enabled"], false);
    assert!(webhook["disabled_reason"].as_str().unwrap().contains("5 days"), "{webhook:#}");
    // What was on its way is not sent, and what happens later is not either.
    let states: BTreeSet<_> = deliveries(&host, &path).await[..2]
        .iter()
        .map(|row| row["state"].as_str().unwrap().to_owned())
        .collect();
    assert!(states.contains("failed"), "{states:?}");
    sink.take();
    happen(&host, EventType::BatchCancelled).await;
    host.publish().await;
    host.work().await;
    assert!(sink.take().is_empty());

    let on = host.patch(&path, json!({"enabled": true})).await.expect(200);
    assert_eq!((on.get("disabled_reason"), on.get("failing_since")), (None, None));
}

#[tokio::test]
async fn a_webhook_that_is_gone_is_switched_off_at_once_and_others_are_told() {
    let (host, sink) = host_with_sink().await;
    let (gone, _) = create(&host, &json!(["batch.completed"])).await;
    create(&host, &json!(["webhook.disabled"])).await;
    sink.answer([410]);
    happen(&host, EventType::BatchCompleted).await;
    host.publish().await;
    host.work().await;
    assert_eq!(host.get(&gone).await.expect(200)["enabled"], false);
    assert_eq!(deliveries(&host, &gone).await[0]["state"], "failed");
    sink.take();
    host.publish().await;
    host.work().await;
    let told = sink.take();
    assert_eq!(told.len(), 1);
    let body: Value = serde_json::from_str(&told[0].body).unwrap();
    assert_eq!(body["type"], "webhook.disabled");
    assert!(body["data"]["reason"].as_str().unwrap().contains("410"), "{body:#}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (host, sink) = host_with_sink().await;
    let (path, _) = create(&host, &json!([])).await;
    sink.answer([302]);
    host.post(format!("{path}/test"), json!({})).await.expect(202);
    host.work().await;
    assert_eq!(sink.take().len(), 1);
    assert_eq!(detail(&host, &deliveries(&host, &path).await[0]).await["tries"][0]["status"], 302);
}

#[tokio::test]
async fn a_rotated_secret_signs_beside_the_old_one_for_a_while() {
    let (host, sink) = host_with_sink().await;
    let (path, old) = create(&host, &json!([])).await;
    let rotated = host.post(format!("{path}/rotate"), json!({"overlap_hours": 2})).await;
    let rotated = rotated.expect(200);
    let new = rotated["secret"].as_str().unwrap();
    assert_ne!(new, old);
    assert_eq!(rotated["webhook"]["previous_until"], "2026-01-01T02:00:00Z");
    let deliver = || async {
        happen(&host, EventType::BatchCompleted).await;
        host.publish().await;
        host.work().await;
        sink.take().pop().unwrap()
    };
    let both = deliver().await;
    assert!(is_signed(&both, new) && is_signed(&both, &old));
    host.app.clock.advance(TimeDelta::hours(3));
    let one = deliver().await;
    assert!(is_signed(&one, new) && !is_signed(&one, &old));
}

#[tokio::test]
async fn a_test_goes_out_once_and_a_delivery_can_be_repeated() {
    let (host, sink) = host_with_sink().await;
    let (path, secret) = create(&host, &json!(["budget.exceeded"])).await;
    host.patch(&path, json!({"enabled": false})).await.expect(200);
    sink.answer([503]);
    let test = host.post(format!("{path}/test"), json!({})).await;
    let location = test.header("location").unwrap().to_owned();
    assert_eq!(test.expect(202)["state"], "pending");
    host.work().await;
    let first = sink.take();
    assert_eq!(first.len(), 1);
    assert!(is_signed(&first[0], &secret));
    let found = host.get(&location).await.expect(200);
    assert_eq!(found["delivery"]["state"], "failed");
    assert_eq!(found["delivery"]["event_type"], "webhook.test");

    host.post(format!("{location}/redeliver"), json!({})).await.expect(202);
    host.work().await;
    let again = sink.take();
    assert_eq!((again.len(), &again[0].body), (1, &first[0].body));
    let states: Vec<_> =
        deliveries(&host, &path).await.iter().map(|row| row["state"].clone()).collect();
    assert_eq!(states, ["delivered", "failed"]);

    // What was no test waits until the webhook is switched on.
    host.patch(&path, json!({"enabled": true})).await.expect(200);
    happen(&host, EventType::BudgetExceeded).await;
    host.publish().await;
    host.work().await;
    host.patch(&path, json!({"enabled": false})).await.expect(200);
    let newest = deliveries(&host, &path).await[0]["id"].as_str().unwrap().to_owned();
    let refused = host.post(format!("/v1/webhook-deliveries/{newest}/redeliver"), json!({})).await;
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("conflict")));
}

#[tokio::test]
async fn addresses_that_are_not_public_are_refused() {
    let many = 100_000.try_into().unwrap();
    let host = Host::start_set(|config| config.server.rate_limit_burst = many).await;
    let odd = ["http://hooks.example.com/", "https://hooks.example.com:8443/", "hooks.example.com"];
    let odd = odd.into_iter().chain(["https://user:password@hooks.example.com/"]);
    let odd = odd.chain(["https://hooks.example.com/#x"]).map(str::to_owned);
    let urls: Vec<_> = odd.chain(inward()).collect();
    let (path, _) = create(&host, &json!([])).await;
    for url in &urls {
        for answer in [
            host.post("/v1/webhooks", json!({ "url": url })).await,
            host.patch(&path, json!({ "url": url })).await,
        ] {
            let refused = answer.expect(422);
            assert_eq!(refused["errors"][0]["pointer"], "/url", "{url}: {refused:#}");
        }
    }
    host.delete(&path).await.expect(204);
    let refused = host.post("/v1/webhooks", json!({"url": address(), "event_types": ["x"]})).await;
    assert_eq!(refused.expect(422)["errors"][0]["pointer"], "/event_types/0");
    assert_eq!(host.get("/v1/webhooks").await.expect(200)["data"], json!([]));
}

/// Leads every name to one address of this machine.
struct Everywhere(SocketAddr);

impl Lookup for Everywhere {
    fn lookup(&self, _name: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let address = self.0;
        Box::pin(async move { Ok(vec![address]) })
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_called() {
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut host = Host::start().await;
    let lookup = Arc::new(Everywhere(canary.local_addr().unwrap()));
    host.app.egress = Egress::with(Reach { lookup, ..Reach::default() }).unwrap();
    let host = host.with_key(host.key());
    let (path, _) = create(&host, &json!([])).await;
    host.post(format!("{path}/test"), json!({})).await.expect(202);
    host.work().await;
    let made = deliveries(&host, &path).await;
    let detail = detail(&host, &made[0]).await;
    assert_eq!(detail["tries"][0].get("status"), None);
    let error = detail["tries"][0]["error"].as_str().unwrap();
    assert!(error.contains("no public address"), "{error}");
    let called = tokio::time::timeout(std::time::Duration::ZERO, canary.accept()).await;
    assert!(called.is_err(), "the canary was called");
}

#[tokio::test]
async fn members_look_and_admins_change() {
    let (host, _sink) = host_with_sink().await;
    let (path, _) = create(&host, &json!([])).await;
    let member = host.with_key(host.create_key(host.workspace.id, Role::Member, &[]).await);
    member.get(&path).await.expect(200);
    for refused in [
        member.post("/v1/webhooks", json!({"url": address()})).await,
        member.patch(&path, json!({"enabled": false})).await,
        member.post(format!("{path}/rotate"), json!({})).await,
        member.post(format!("{path}/test"), json!({})).await,
        member.delete(&path).await,
    ] {
        assert_eq!(refused.status, 403, "{:#}", refused.body);
    }
    host.delete(&path).await.expect(204);
    assert_eq!(host.get(&path).await.status, 404);
    let told: Vec<_> = host.get(log()).await.expect(200)["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["action"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told, ["webhook.delete", "webhook.create"]);
}
