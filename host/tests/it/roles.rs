//! Who may call which operation: what the host says of it, what it does, and what was decided.

use crate::support::Host;
use aiv::store::api_keys::Role;
use poem::http::Method;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fmt::Write};

/// Every kind of principal: a name, its role, its scopes.
const PRINCIPALS: [(&str, Role, &[&str]); 9] = [
    ("viewer", Role::Viewer, &[]),
    ("member", Role::Member, &[]),
    ("admin", Role::Admin, &[]),
    ("owner", Role::Owner, &[]),
    ("read", Role::Owner, &["read"]),
    ("write", Role::Owner, &["write"]),
    ("run", Role::Owner, &["run"]),
    ("keys", Role::Owner, &["keys"]),
    ("platform", Role::Owner, &["admin:*"]),
];

/// Every operation: id, method, path with ids that nothing has, an example of its body.
fn operations() -> Vec<(String, Method, String, Value)> {
    let document = aiv::api::openapi();
    let schemas = &document["components"]["schemas"];
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let parts = path.split('/').map(|part| {
            if part.starts_with('{') { uuid::Uuid::now_v7().to_string() } else { part.into() }
        });
        let mut path = parts.collect::<Vec<_>>().join("/");
        if path == "/v1/events" {
            // Refused before a stream begins that never ends.
            path.push_str("?unknown=1");
        }
        for (method, operation) in methods.as_object().unwrap() {
            let reference = &operation["requestBody"]["content"]["application/json"]["schema"];
            let body = reference["$ref"].as_str().map_or(json!({}), |reference| {
                schemas[reference.rsplit('/').next().unwrap()]["examples"][0].clone()
            });
            let id = operation["operationId"].as_str().unwrap().to_owned();
            found.push((id, method.to_uppercase().parse().unwrap(), path.clone(), body));
        }
    }
    // What changes the limits for those who come after it comes last.
    found.sort_by_key(|(id, ..)| (id == "reload_config", id.clone()));
    found
}

/// The host says what a principal may do, and does no more and no less. The table is kept in
/// `snapshots/`, so that a change of it is seen in review.
#[tokio::test]
async fn every_operation_is_open_to_those_it_is_meant_for() {
    let host = Host::start_with(|config| {
        config.server.rate_limit_burst = 100_000.try_into().unwrap();
    })
    .await;
    let operations = operations();
    let mut rows = operations.iter().map(|(id, ..)| format!("{id:<28}")).collect::<Vec<_>>();
    for (name, role, scopes) in PRINCIPALS {
        // One workspace each, so that nobody works on what another left.
        let own = host.other_workspace().await;
        let key = host.create_key(own.workspace.id, role, scopes).await;
        let caller = host.with_key(key);
        let says = caller.get("/v1/auth/whoami").await;
        let said: Option<BTreeSet<String>> = (says.status == 200)
            .then(|| serde_json::from_value(says.body["permissions"].clone()).unwrap());
        for (index, (id, method, path, body)) in operations.iter().enumerate() {
            let answer = caller.send(method.clone(), path, Some(body.clone())).await;
            let open = answer.status != 403;
            if let Some(said) = &said {
                assert_eq!(open, said.contains(id), "{name} {id}: {:#}", answer.body);
            }
            assert_ne!(answer.status, 401, "{name} {id}");
            write!(rows[index], " {}", if open { name } else { "-" }).unwrap();
        }
    }
    let table = rows.join("\n");
    insta::assert_snapshot!("operations", table);
}

#[tokio::test]
async fn nothing_is_open_to_nobody() {
    let host = Host::start_with(|config| {
        config.server.rate_limit_burst = 100_000.try_into().unwrap();
    })
    .await;
    for (id, method, path, body) in operations() {
        let answer = host.anonymous().send(method, &path, Some(body)).await;
        assert_eq!(answer.status, 401, "{id}: {:#}", answer.body);
    }
}
