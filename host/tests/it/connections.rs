//! Connections: kept with a secret that nobody sees again, and tested.

use crate::support::{
    Host,
    addresses::inward,
    sink::{NAME, Sink},
};
use serde_json::{Value, json};

const SECRET: &str = "a secret of the receiver";

async fn host_with_sink() -> (Host, Sink) {
    let sink = Sink::start().await;
    let mut host = Host::start().await;
    host.app.egress = sink.egress();
    (host.with_key(host.key()), sink)
}

fn body(name: &str) -> Value {
    json!({"name": name, "kind": "webhook", "url": format!("https://{NAME}/in"), "secret": SECRET})
}

async fn create(host: &Host, name: &str) -> String {
    let answer = host.post("/v1/connections", body(name)).await;
    let path = answer.header("location").unwrap_or_default().to_owned();
    answer.expect(201);
    path
}

#[tokio::test]
async fn a_secret_goes_in_and_never_comes_out() {
    let (host, _sink) = host_with_sink().await;
    let path = create(&host, "cms").await;
    for path in [path.as_str(), "/v1/connections", "/v1/audit-log"] {
        let text = host.get(path).await.expect(200).to_string();
        assert!(!text.contains(SECRET), "{path}");
    }
    assert_eq!(host.get(&path).await.expect(200)["signs"], true);
    // A secret does not follow to an address that it was not meant for.
    let moved = json!({"url": format!("https://{NAME}/elsewhere")});
    assert_eq!(host.patch(&path, moved).await.expect(200)["signs"], false);
    let again = host.patch(&path, json!({"secret": SECRET})).await.expect(200);
    assert_eq!(again["signs"], true);
    assert_eq!(host.patch(&path, json!({"secret": null})).await.expect(200)["signs"], false);
}

#[tokio::test]
async fn a_test_tells_what_was_answered() {
    let (host, sink) = host_with_sink().await;
    let path = create(&host, "cms").await;
    let works = host.post(format!("{path}/test"), json!({})).await.expect(200);
    assert_eq!((&works["works"], &works["status"]), (&json!(true), &json!(204)));
    let request = sink.take().pop().unwrap();
    let theirs = standardwebhooks::Webhook::from_bytes(SECRET.as_bytes().to_vec()).unwrap();
    let (id, at) = (&request.headers["webhook-id"], &request.headers["webhook-timestamp"]);
    let signed = theirs.sign(id, at.parse().unwrap(), request.body.as_bytes()).unwrap();
    assert_eq!(request.headers["webhook-signature"], signed);
    let sent: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(sent["type"], "connection.test");

    sink.answer([500]);
    let fails = host.post(format!("{path}/test"), json!({})).await.expect(200);
    assert_eq!((&fails["works"], &fails["error"]), (&json!(false), &json!("answered 500")));
    let found = host.get(&path).await.expect(200);
    assert_eq!(
        (&found["test_status"], &found["test_error"]),
        (&json!(500), &json!("answered 500"))
    );
    assert_eq!(found["tested_at"], "2026-01-01T00:00:00Z");
}

#[tokio::test]
async fn an_address_that_is_not_public_is_refused() {
    let many = 100_000.try_into().unwrap();
    let host = Host::start_set(|config| config.server.rate_limit_burst = many).await;
    let path = create(&host, "cms").await;
    for url in inward() {
        let mut body = body("x");
        body["url"] = json!(url);
        for answer in [
            host.post("/v1/connections", body).await,
            host.patch(&path, json!({ "url": url })).await,
        ] {
            let refused = answer.expect(422);
            assert_eq!(refused["errors"][0]["pointer"], "/url", "{url}: {refused:#}");
        }
    }
}

#[tokio::test]
async fn a_bad_connection_is_refused_with_what_is_wrong() {
    let (host, _sink) = host_with_sink().await;
    for (field, value) in [
        ("name", json!(" ")),
        ("kind", json!("fax")),
        ("url", json!("https://127.0.0.1/")),
        ("url", json!("https://LocalHost./")),
        ("url", json!("http://hooks.example.com/")),
        ("secret", json!("short")),
        ("more", json!(1)),
    ] {
        let mut body = body("x");
        body[field] = value;
        let refused = host.post("/v1/connections", body).await.expect(422);
        assert_eq!(refused["errors"][0]["pointer"], format!("/{field}"), "{refused:#}");
    }
    let path = create(&host, "cms").await;
    let twice = host.post("/v1/connections", body("cms")).await;
    assert_eq!((twice.status, &twice.body["code"]), (409, &json!("exists")));
    host.delete(&path).await.expect(204);
    assert_eq!(host.get(&path).await.status, 404);
}
