//! What an operator grants beyond what a manifest can name: servers of their own.

use crate::{driver::skipped, support::Host};
use poem::{Route, Server, handler, listener::TcpAcceptor, post, web::Json};
use serde_json::{Value, json};
use std::{fs, path::Path};
use tokio::task::JoinSet;

const PROVIDER: &str = "/v1/admin/providers/compatible";

/// What a model at home answers.
#[handler]
fn chat() -> Json<Value> {
    let message = json!({"role": "assistant", "content": "Try Asana, says the model at home."});
    Json(json!({
        "id": "1", "object": "chat.completion", "model": "llama3.3",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
    }))
}

/// A model at home: plain http, on this machine. Its origin, and the task that ends with the test.
fn at_home() -> (String, JoinSet<std::io::Result<()>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let acceptor = TcpAcceptor::from_std(listener).unwrap();
    let app = Route::new().at("/v1/chat/completions", post(chat));
    let mut server = JoinSet::new();
    server.spawn(Server::new_with_acceptor(acceptor).run(app));
    (origin, server)
}

/// A host that asks real servers, with the provider for gateways in service.
async fn with_gateways() -> Option<Host> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist/more/compatible.wasm");
    let Ok(wasm) = fs::read(&file) else {
        skipped(&file.display().to_string(), "it is not built: run `make plugins`");
        return None;
    };
    let host = Host::start_live().await.operator().await;
    let uploaded = host.upload(PROVIDER, wasm).await.expect(201);
    let digest = uploaded["digest"].as_str().unwrap().to_owned();
    grant(&host, json!([])).await.expect(200);
    host.post(format!("{PROVIDER}/activate"), json!({"digest": digest})).await.expect(200);
    host.app.registry.refresh().await.unwrap();
    Some(host)
}

/// Grants what the manifest asks for and these origins.
async fn grant(host: &Host, origins: Value) -> crate::support::Answer {
    let provider = host.get(PROVIDER).await.expect(200);
    let manifest = &provider["components"][0]["manifest"];
    let grant = json!({
        "hosts": manifest["allowed_hosts"], "origins": origins, "credentials": ["api-key"],
    });
    let answer = host.put(format!("{PROVIDER}/grant"), grant).await;
    host.app.registry.refresh().await.unwrap();
    answer
}

fn engine(base_url: &str) -> Value {
    let config = json!({"base_url": base_url, "model": "llama3.3", "send_key": false});
    json!({"surface": "compatible-chat", "config": config})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_at_home_is_asked_when_it_is_granted_and_not_before() {
    let Some(host) = with_gateways().await else { return };
    let (origin, _server) = at_home();
    let base_url = format!("{origin}/v1");
    let refused = host.put("/v1/engines/compatible", engine(&base_url)).await.expect(422);
    let violation = &refused["errors"][0];
    assert_eq!(violation["pointer"], "/config/base_url", "{refused:#}");
    assert!(violation["detail"].as_str().unwrap().contains("https://openrouter.ai"), "{refused:#}");

    let granted = grant(&host, json!([format!("{origin}/")])).await.expect(200);
    assert_eq!(granted["origins"], json!([origin]));
    host.put("/v1/engines/compatible", engine(&base_url)).await.expect(200);
    let ask = async || {
        let test = json!({"query": "Which tool?"});
        host.post("/v1/engines/compatible/test", test).await.expect(200)
    };
    let asked = ask().await;
    assert_eq!(asked["answer"], "Try Asana, says the model at home.", "{asked:#}");

    // Only that one: another port of this machine is another server.
    for elsewhere in ["http://127.0.0.1:1/v1", "https://127.0.0.1/v1", "http://localhost/v1"] {
        host.put("/v1/engines/compatible", engine(elsewhere)).await.expect(422);
    }
    // Taken back, it ends for engines that are there already.
    grant(&host, json!([])).await.expect(200);
    let asked = ask().await;
    assert!(asked["answer"].is_null(), "{asked:#}");
    assert!(asked.to_string().contains("is not among the `origins`"), "{asked:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_is_a_server_and_nothing_else() {
    let host = Host::start().await.operator().await;
    for origin in [
        "127.0.0.1:11434",
        "ftp://ollama.internal",
        "http://ollama.internal/v1",
        "http://user@ollama.internal",
        "http://169.254.169.254",
        "http://[fe80::1]:11434",
        "http://0.0.0.0:11434",
    ] {
        let grant = json!({"hosts": [], "credentials": [], "origins": [origin]});
        let path = "/v1/admin/providers/perplexity/grant";
        let refused = host.put(path, grant).await.expect(422);
        assert_eq!(refused["errors"][0]["pointer"], "/origins/0", "{origin}");
    }
    // A provider that lets nobody name a host gets nowhere by it.
    let path = "/v1/admin/providers/perplexity/grant";
    let mut grant = host.get(path).await.expect(200);
    grant["origins"] = json!(["http://127.0.0.1:1"]);
    let grant = grant.as_object().unwrap().clone();
    let grant: serde_json::Map<_, _> = grant.into_iter().filter(|(key, _)| key != "id").collect();
    host.put(path, Value::Object(grant)).await.expect(200);
    host.app.registry.refresh().await.unwrap();
    let route = host.app.providers.find("perplexity").unwrap();
    let url = url::Url::parse("http://127.0.0.1:1/v1").unwrap();
    assert!(!route.grant.reaches(&route.manifest, &url));
}
