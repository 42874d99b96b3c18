//! The published document: committed, complete, and what the router really does.

use crate::support::Host;
use poem::http::Method;
use serde_json::Value;
use std::path::Path;

fn document() -> Value {
    aiv::api::openapi()
}

/// Every operation: method, path, description.
fn operations(document: &Value) -> Vec<(Method, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().iter().map(|(method, operation)| {
                (method.to_uppercase().parse().unwrap(), path.clone(), operation)
            })
        })
        .collect()
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let committed: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert!(committed == document(), "run: cargo run -p aiv -- openapi > host/openapi.json");
}

#[test]
fn every_operation_is_described() {
    let document = document();
    let operations = operations(&document);
    assert!(operations.len() > 30);
    for (method, path, operation) in operations {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path}"));
        let verbs = "create list find update save delete cancel revoke preview pause resume retry purge \
                     unblock promote drain stream rotate test redeliver acknowledge resolve snooze \
                     approve dismiss complete download import export suggest \
                     reanalyse accept reload install \
                     activate start rollback disable";
        let verb = id.split('_').next().unwrap_or_default();
        assert!(id == "whoami" || verbs.split(' ').any(|known| known == verb), "{id}");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{id}");
        assert!(operation["description"].as_str().is_some_and(|text| text.len() > 20), "{id}");
        let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        if let Some(name) = body.as_str().and_then(|reference| reference.rsplit('/').next()) {
            let schema = &document["components"]["schemas"][name];
            assert!(schema["examples"][0].is_object(), "{id}: {name} has no example");
        }
        assert!(operation["tags"].as_array().is_some_and(|tags| !tags.is_empty()), "{id}");
        assert!(operation["security"].as_array().is_some_and(|s| !s.is_empty()), "{id}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{id}: {}", parameter["name"]);
        }
        for status in ["400", "401", "403", "405", "429", "500", "503"] {
            assert!(operation["responses"][status]["$ref"].is_string(), "{id}: {status}");
        }
    }
}

/// poem-openapi binds path parameters by position: swapped arguments would read each other.
#[test]
fn path_parameters_stand_in_the_order_of_the_path() {
    let document = document();
    for (_, path, operation) in operations(&document) {
        let in_path: Vec<&str> =
            path.split('/').filter_map(|p| p.strip_prefix('{')?.strip_suffix('}')).collect();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let named: Vec<&str> = parameters
            .filter(|parameter| parameter["in"] == "path")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        assert_eq!(in_path, named, "{path}");
    }
}

/// Fields that hold secrets: shown when they are made, or only ever sent to us.
const LOOKED_AT: [(&str, &str); 5] = [
    ("Acceptance", "token"),
    ("ConnectionPatch", "secret"),
    ("IssuedInvitation", "token"),
    ("IssuedWebhook", "secret"),
    ("NewConnection", "secret"),
];

/// A field of an answer that could hold a secret has to be looked at by a person.
#[test]
fn no_answer_has_a_field_for_secrets() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        for field in schema["properties"].as_object().into_iter().flat_map(|p| p.keys()) {
            let suspicious = ["secret", "hash", "token", "password"];
            let fine = LOOKED_AT.contains(&(name.as_str(), field.as_str()))
                || !suspicious.iter().any(|word| field.contains(word));
            assert!(fine, "{name}.{field}");
        }
    }
    // The one place where a key is shown: when it is made.
    let with_key: Vec<_> = schemas
        .iter()
        .filter(|(_, schema)| schema["properties"].get("key").is_some())
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(with_key, ["Engine", "IssuedApiKey", "Provider"]);
}

#[test]
fn request_bodies_take_no_unknown_fields() {
    let document = document();
    for (_, path, operation) in operations(&document) {
        let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        if let Some(name) = body.as_str().and_then(|r| r.strip_prefix("#/components/schemas/")) {
            let schema = &document["components"]["schemas"][name];
            assert_eq!(schema["additionalProperties"], false, "{path}: {name}");
            assert!(schema["examples"].is_array(), "{name} has no example");
        }
    }
}

#[tokio::test]
async fn no_operation_answers_without_a_key() {
    let host = Host::start_with(|config| {
        config.server.rate_limit_burst = 100_000.try_into().unwrap();
    });
    let nobody = host.await.anonymous();
    let document = document();
    for (method, path, _) in operations(&document) {
        let path = path.replace(['{', '}'], "");
        let answer = nobody.send(method.clone(), &path, Some(serde_json::json!({}))).await;
        assert_eq!(answer.status, 401, "{method} {path}");
        assert_eq!(answer.body["code"], "unauthenticated", "{method} {path}");
        assert!(answer.header("www-authenticate").is_some(), "{method} {path}");
    }
}

#[tokio::test]
async fn the_document_is_served_in_both_forms() {
    let nobody = Host::start().await.anonymous();
    assert_eq!(nobody.get("/openapi.json").await.expect(200), document());
    let yaml = nobody.get("/openapi.yaml").await;
    assert_eq!((yaml.status, yaml.header("content-type")), (200, Some("application/yaml")));
    assert!(yaml.body.as_str().unwrap().contains("\"openapi\": \"3.1.1\""));
}
