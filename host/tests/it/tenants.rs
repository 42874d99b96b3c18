//! Nothing of one workspace is there for another, whatever the operation.

use crate::{
    copilot,
    events::{Listener, happen, numbers},
    findings,
    support::{Answer, Host},
};
use aiv::store::{api_keys::Role, findings::Verdict, members, users};
use poem::http::Method;
use serde_json::{Value, json};
use std::collections::HashMap;

/// An object of each kind, by the name of the path parameter that names it.
pub(crate) async fn objects(host: &Host) -> HashMap<&'static str, String> {
    host.seed_demo(1).await;
    let key = json!({"name": "k", "role": "viewer"});
    let key = host.post("/v1/api-keys", key).await.expect(201);
    host.post("/v1/batches", json!({"engines": ["perplexity"]})).await.expect(202);
    host.work().await;
    let tagged = json!({"text": "tagged?", "topic": "t", "tags": ["crm"]});
    host.post("/v1/prompts", tagged).await.expect(201);
    let persona = json!({"name": "p", "context": "I am p."});
    host.post("/v1/personas", persona).await.expect(201);
    let schedule = json!({"name": "s", "cron": "@daily"});
    host.post("/v1/schedules", schedule).await.expect(201);
    let invitation = json!({"email": "ada@acme.com", "role": "viewer"});
    let invitation = host.post("/v1/invitations", invitation).await.expect(201);
    let now = host.app.clock.now();
    let mut tx = host.app.store.begin().await.unwrap();
    let user = users::save(&mut tx, "aiv", "ada", None, None, now).await.unwrap();
    members::insert(&mut tx, host.workspace.id, user.id, Role::Member, now).await.unwrap();
    tx.commit().await.unwrap();
    host.post("/v1/exports", json!({})).await.expect(202);
    host.post("/v1/analyses", json!({"everything": true})).await.expect(202);
    host.work().await;
    let first = async |path: &str| {
        let list = host.get(path).await.expect(200);
        list["data"][0]["id"].as_str().unwrap().to_owned()
    };
    let run = first("/v1/runs").await;
    let webhook = json!({"url": "https://hooks.example.com/"});
    let webhook = host.post("/v1/webhooks", webhook).await.expect(201);
    let webhook = webhook["webhook"]["id"].as_str().unwrap().to_owned();
    let delivery = host.post(format!("/v1/webhooks/{webhook}/test"), json!({})).await.expect(202);
    let connection = json!({"name": "c", "kind": "webhook", "url": "https://hooks.example.com/"});
    let connection = host.post("/v1/connections", connection).await.expect(201);
    let condition = json!({"kind": "event", "event_type": "batch.completed"});
    let rule = host.post("/v1/alert-rules", json!({"name": "r", "condition": condition})).await;
    let rule = rule.expect(201);
    host.start_batch(1, "for an alert").await;
    host.work().await;
    host.publish().await;
    let window = json!({"reason": "r", "ends_at": "2026-02-01T00:00:00Z"});
    let window = host.post("/v1/mute-windows", window).await.expect(201);
    let report = host.post("/v1/reports", json!({})).await.expect(202);
    let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
    HashMap::from([
        ("connection", id(&connection)),
        ("rule", id(&rule)),
        ("alert", first("/v1/alerts").await),
        ("window", id(&window)),
        ("report", id(&report)),
        ("finding", findings::insert(host, Verdict::Contradicted).await),
        ("action", copilot::insert(host).await),
        ("workspace", host.workspace.id.to_string()),
        ("member", user.id.to_string()),
        ("invitation", invitation["invitation"]["id"].as_str().unwrap().to_owned()),
        ("api_key", key["api_key"]["id"].as_str().unwrap().to_owned()),
        ("brand", first("/v1/brands").await),
        ("prompt", first("/v1/prompts").await),
        ("intent", first("/v1/intents").await),
        ("topic", first("/v1/topics").await),
        ("persona", first("/v1/personas").await),
        ("tag", "crm".into()),
        ("version", "1".into()),
        ("export", first("/v1/exports").await),
        ("analysis", first("/v1/analyses").await),
        ("domain", {
            let list = host.get("/v1/citations/top-domains").await.expect(200);
            list["data"][0]["domain"].as_str().unwrap().to_owned()
        }),
        ("batch", first("/v1/batches").await),
        ("schedule", first("/v1/schedules").await),
        ("answer", run.clone()),
        ("run", run),
        ("engine", "perplexity".into()),
        ("webhook", webhook),
        ("delivery", delivery["id"].as_str().unwrap().to_owned()),
    ])
}

/// A path of the document with objects in it; what only operators name may be anything.
pub(crate) fn filled(path: &str, objects: &HashMap<&'static str, String>) -> String {
    let mut path = path.to_owned();
    while let Some((before, rest)) = path.split_once('{') {
        let (name, after) = rest.split_once('}').unwrap();
        let object = match objects.get(name) {
            Some(object) => object.clone(),
            None if path.starts_with("/v1/admin/") => uuid::Uuid::now_v7().to_string(),
            None => panic!("no object for {{{name}}}"),
        };
        path = format!("{before}{object}{after}");
    }
    path
}

/// The first example of what an operation is sent.
pub(crate) fn example(document: &Value, operation: &Value) -> Value {
    let reference = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    reference.as_str().map_or(json!({}), |reference| {
        let name = reference.rsplit('/').next().unwrap();
        document["components"]["schemas"][name]["examples"][0].clone()
    })
}

#[tokio::test]
async fn every_operation_on_an_object_is_closed_to_other_workspaces() {
    let host = Host::start().await;
    let objects = objects(&host).await;
    let other = host.other_workspace().await;
    let document = aiv::api::openapi();
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        if !path.contains('{') {
            continue;
        }
        let path = filled(path, &objects);
        for (method, operation) in methods.as_object().unwrap() {
            if operation["operationId"] == "save_engine" {
                // Engines are named by their provider: this makes the other workspace's own one.
                continue;
            }
            let body = example(&document, operation);
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = other.send(method.clone(), &path, Some(body)).await;
            // What operators do is closed to tenants whatever it names.
            let refusal = if path.starts_with("/v1/admin/") {
                (403, &json!("forbidden"))
            } else {
                (404, &json!("not_found"))
            };
            let said = (answer.status, &answer.body["code"]);
            assert_eq!(said, refusal, "{method} {path}: {:#}", answer.body);
            tried += 1;
        }
    }
    assert!(tried >= 15, "only {tried} operations name an object");
    // And nothing happened to any of them.
    assert_eq!(host.get("/v1/brands").await.expect(200)["data"][0]["id"], objects["brand"]);
    assert_eq!(host.get("/v1/engines/perplexity").await.expect(200)["enabled"], true);
}

#[tokio::test]
async fn every_list_of_a_new_workspace_is_empty() {
    let host = Host::start().await;
    objects(&host).await;
    let other = host.other_workspace().await;
    for path in [
        "brands",
        "prompts",
        "intents",
        "topics",
        "personas",
        "tags",
        "locales",
        "engines",
        "batches",
        "schedules",
        "runs",
        "costs",
        "members",
        "invitations",
        "analyses",
        "exports",
        "costs",
        "costs/ledger",
        "citations/top-domains",
        "citations/opportunities",
        "webhooks",
        "connections",
        "alert-rules",
        "alerts",
        "mute-windows",
        "findings",
        "copilot/actions",
        "reports",
    ] {
        let list = other.get(format!("/v1/{path}")).await.expect(200);
        assert_eq!(list["data"], json!([]), "{path}");
    }
    let foreign = host.get("/v1/prompts").await.expect(200)["data"][0]["id"].clone();
    other.seed_demo(1).await;
    let refused = other.post("/v1/batches", json!({"prompt_ids": [foreign]})).await.expect(422);
    assert_eq!(refused["errors"][0]["pointer"], "/prompt_ids/0");
}

/// Every operation of the document that `fits`: path and description.
fn operations(
    document: &Value,
    method: &str,
    fits: impl Fn(&str, &Value) -> bool,
) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().filter_map(|(path, methods)| Some((path, methods.get(method)?)));
    let fitting = operations.filter(|(path, operation)| fits(path, operation));
    fitting.map(|(path, operation)| (path.clone(), operation.clone())).collect()
}

fn takes(operation: &Value, place: &str, name: &str) -> bool {
    let mut parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters.any(|parameter| parameter["in"] == place && parameter["name"] == name)
}

#[tokio::test]
async fn a_cursor_goes_on_in_its_own_workspace_only() {
    let host = Host::start().await;
    objects(&host).await;
    // What there is one of by now.
    let named = |name: &str| json!({ "name": name });
    for (path, body) in [
        ("prompts", json!({"text": "another one?", "topic": "u"})),
        ("personas", json!({"name": "q", "context": "I am q."})),
        ("schedules", json!({"name": "t", "cron": "@daily"})),
        ("invitations", json!({"email": "bob@acme.com", "role": "viewer"})),
        ("webhooks", json!({"url": "https://hooks.example.com/2"})),
        (
            "connections",
            json!({"name": "d", "kind": "webhook", "url": "https://hooks.example.com/"}),
        ),
        ("mute-windows", json!({"reason": "s", "ends_at": "2026-02-01T00:00:00Z"})),
        ("topics", named("v")),
        ("intents", named("w")),
    ] {
        host.post(format!("/v1/{path}"), body).await.expect(201);
    }
    let other = host.other_workspace().await;
    other.seed_demo(1).await;
    let document = aiv::api::openapi();
    let lists = operations(&document, "get", |path, operation| {
        !path.contains('{')
            && !path.starts_with("/v1/admin/")
            && takes(operation, "query", "cursor")
    });
    let mut tried = vec![];
    for (path, _) in lists {
        let page = host.get(format!("{path}?limit=1")).await.expect(200);
        let Some(cursor) = page["next_cursor"].as_str() else { continue };
        host.get(format!("{path}?limit=1&cursor={cursor}")).await.expect(200);
        let refused = other.get(format!("{path}?limit=1&cursor={cursor}")).await;
        assert_eq!((refused.status, &refused.body["code"]), (400, &json!("malformed")), "{path}");
        tried.push(path);
    }
    assert!(tried.len() >= 15, "only {tried:?} have a second page");
}

#[tokio::test]
async fn an_idempotency_key_is_a_name_of_its_workspace_only() {
    let host = Host::start().await;
    let other = host.other_workspace().await;
    for host in [&host, &other] {
        host.seed_demo(1).await;
    }
    let document = aiv::api::openapi();
    let creating = operations(&document, "post", |path, operation| {
        !path.contains('{')
            && !path.starts_with("/v1/admin/")
            && takes(operation, "header", "Idempotency-Key")
    });
    let mut tried = vec![];
    for (path, operation) in creating {
        let mut body = example(&document, &operation);
        if path == "/v1/batches" {
            body = json!({"engines": ["perplexity"]});
        }
        let ours = once(&host, &path, &body).await;
        if ours.status >= 300 {
            continue;
        }
        // Had they one record, this would be a repetition.
        let theirs = once(&other, &path, &body).await;
        assert_eq!(theirs.status, ours.status, "{path}: {:#}", theirs.body);
        assert_eq!(theirs.header("idempotency-replayed"), None, "{path}");
        assert_ne!(theirs.header("location"), ours.header("location"), "{path}");
        let again = once(&host, &path, &body).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{path}");
        assert_eq!(again.header("location"), ours.header("location"), "{path}");
        tried.push(path);
    }
    assert!(tried.len() >= 10, "only {tried:?} could be tried");
}

async fn once(host: &Host, path: &str, body: &Value) -> Answer {
    let request = host.client.post(path).header("x-api-key", host.key());
    Answer::of(request.header("idempotency-key", path).body_json(body).send().await).await
}

#[tokio::test]
async fn a_stream_tells_of_its_own_workspace_only() {
    let host = Host::start().await;
    let other = host.other_workspace().await;
    let ticket = other.post("/v1/stream-tickets", json!({})).await.expect(200);
    let ticket = format!("?ticket={}", ticket["ticket"].as_str().unwrap());
    let mut by_key = Listener::open(&other, "", None).await;
    let mut by_ticket = Listener::open(&other.anonymous(), &ticket, None).await;
    let mut ours = Listener::open(&host, "", None).await;
    for number in 1..=20 {
        happen(if number % 2 == 0 { &other } else { &host }, number).await;
    }
    host.publish().await;
    let even: Vec<i64> = (1..=10).map(|n| 2 * n).collect();
    assert_eq!(numbers(&by_key.next(10).await), even);
    assert_eq!(numbers(&by_ticket.next(10).await), even);
    let told = ours.next(10).await;
    assert_eq!(numbers(&told), (1..=10).map(|n| 2 * n - 1).collect::<Vec<_>>());
    // A place in another's stream is no place in this one.
    for (id, _) in told {
        let refused = other.get(format!("/v1/events?last_event_id={id}")).await;
        assert_eq!((refused.status, &refused.body["code"]), (400, &json!("malformed")));
    }
}

/// Where bodies name objects: method, path, place in the body, kind of object, and the rest of the
/// body.
fn references() -> Vec<(&'static str, &'static str, &'static str, &'static str, Value)> {
    let condition = json!({
        "kind": "metric", "metric": "mention_rate", "comparison": "drops_by", "days": 7,
        "threshold": 0.1,
    });
    let rule = json!({"name": "drops", "condition": condition});
    let changed = json!({ "condition": condition });
    let window = json!({"reason": "r", "ends_at": "2026-02-01T00:00:00Z"});
    let brand = json!({"brand": {"name": "Acme", "kind": "own", "domains": ["acme.com"]}});
    let schedule = json!({"name": "named", "cron": "@daily"});
    vec![
        ("post", "/v1/alert-rules", "/condition/brand_id", "brand", rule),
        ("patch", "/v1/alert-rules/{rule}", "/condition/brand_id", "brand", changed),
        ("post", "/v1/batches", "/prompt_ids/0", "prompt", json!({})),
        ("post", "/v1/brands/preview", "/replaces", "brand", brand),
        ("post", "/v1/mute-windows", "/rule_id", "rule", window),
        ("post", "/v1/prompts/bulk", "/prompt_ids/0", "prompt", json!({"action": "activate"})),
        ("post", "/v1/schedules", "/batch/prompt_ids/0", "prompt", schedule),
        ("patch", "/v1/schedules/{schedule}", "/batch/prompt_ids/0", "prompt", json!({})),
    ]
}

/// Where a body that obeys `schema` can hold an id.
fn places_of_ids(document: &Value, schema: &Value, place: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        return places_of_ids(document, &document["components"]["schemas"][name], place, found);
    }
    if schema["format"] == "uuid" {
        found.push(place.to_owned());
    }
    let all = ["anyOf", "oneOf", "allOf"].map(|name| schema[name].as_array());
    for variant in all.into_iter().flatten().flatten() {
        places_of_ids(document, variant, place, found);
    }
    if schema["items"].is_object() {
        places_of_ids(document, &schema["items"], &format!("{place}/0"), found);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        places_of_ids(document, property, &format!("{place}/{name}"), found);
    }
}

/// Puts an id where `place` says, with what it takes around it.
fn put(body: &mut Value, place: &str, id: &str) {
    let mut target = body;
    for step in place.split('/').skip(1) {
        target = if step == "0" {
            *target = json!([null]);
            &mut target[0]
        } else {
            &mut target[step]
        };
    }
    *target = json!(id);
}

/// An answer without what tells it from one to the same request about another object.
fn about(answer: &Answer, id: &str) -> String {
    let mut body = answer.body.clone();
    if let Some(problem) = body.as_object_mut() {
        problem.remove("request_id");
    }
    format!("{} {}", answer.status, body.to_string().replace(id, "ID"))
}

/// A workspace with objects of its own, those of another, and the id of nothing.
struct Neighbours {
    host: Host,
    own: HashMap<&'static str, String>,
    theirs: HashMap<&'static str, String>,
    nothing: String,
}

impl Neighbours {
    async fn start() -> Self {
        let first = Host::start().await;
        let theirs = objects(&first).await;
        let host = first.other_workspace().await;
        let own = objects(&host).await;
        Self { host, own, theirs, nothing: uuid::Uuid::now_v7().to_string() }
    }
}

#[tokio::test]
async fn an_object_of_others_in_a_query_is_as_good_as_none() {
    let Neighbours { host, own, theirs, nothing } = Neighbours::start().await;
    let document = aiv::api::openapi();
    let mut tried = 0;
    for (path, operation) in operations(&document, "get", |path, _| !path.contains("/admin/")) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] != "query" || parameter["schema"]["format"] != "uuid" {
                continue;
            }
            let name = parameter["name"].as_str().unwrap();
            let kind = name.trim_end_matches("_id");
            let ask = async |id: &str| {
                let path = filled(&path, &own);
                about(&host.get(format!("{path}?{name}={id}")).await, id)
            };
            let foreign = ask(&theirs[kind]).await;
            assert_eq!(foreign, ask(&nothing).await, "{path}?{name}=");
            assert!(ask(&own[kind]).await.starts_with("200"), "{path}?{name}=");
            tried += 1;
        }
    }
    assert!(tried >= 8, "only {tried} parameters name an object");
}

#[tokio::test]
async fn an_object_of_others_in_a_body_is_as_good_as_none() {
    let Neighbours { host, own, theirs, nothing } = Neighbours::start().await;
    let document = aiv::api::openapi();
    let mut named = vec![];
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            let mut places = vec![];
            places_of_ids(&document, body, "", &mut places);
            if !path.starts_with("/v1/admin/") {
                named.extend(places.into_iter().map(|place| format!("{method} {path} {place}")));
            }
        }
    }
    named.sort();
    named.dedup();
    let mut known: Vec<_> =
        references().iter().map(|(m, path, place, ..)| format!("{m} {path} {place}")).collect();
    known.sort();
    assert_eq!(named, known);
    for (method, path, place, kind, body) in references() {
        let path = filled(path, &own);
        let send = async |id: &str| {
            let mut body = body.clone();
            put(&mut body, place, id);
            let method: Method = method.to_uppercase().parse().unwrap();
            about(&host.send(method, &path, Some(body)).await, id)
        };
        let foreign = send(&theirs[kind]).await;
        assert!(foreign.starts_with('4'), "{method} {path} {place}: {foreign}");
        assert_eq!(foreign, send(&nothing).await, "{method} {path} {place}");
        let allowed = send(&own[kind]).await;
        assert!(allowed.starts_with('2'), "{method} {path} {place}: {allowed}");
    }
}
