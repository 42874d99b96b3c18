//! Secrets that go in, wherever one can, and are found nowhere afterwards.

use crate::support::{
    self,
    process::{Server, aiv, client, json},
};
use aiv::store::Store;
use poem::http::StatusCode;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};
use std::{
    fs::{self, File},
    time::Duration,
};

/// What every secret begins with that this test makes.
const MARK: &str = "c4n4ry";

/// All secrets so far, and all that was answered since.
struct Spy {
    base: String,
    client: reqwest::Client,
    secrets: Vec<String>,
    answers: Vec<(String, String)>,
}

impl Spy {
    /// Another secret, long enough for every rule.
    fn secret(&mut self) -> String {
        let secret = format!("{MARK}{:04}AbCdEfGhIjKlMnOpQrStUvWxYz", self.secrets.len());
        self.secrets.push(secret.clone());
        secret
    }

    /// A secret that the host made and showed.
    fn shown(&mut self, answer: &Value, pointer: &str) -> String {
        let secret = answer.pointer(pointer).and_then(Value::as_str);
        let secret = secret.unwrap_or_else(|| panic!("no {pointer} in {answer:#}")).to_owned();
        self.secrets.push(secret.clone());
        secret
    }

    /// Sends a request; its answer must not hold a secret, if it is not the one that shows it.
    async fn send(&mut self, request: RequestBuilder) -> (StatusCode, String) {
        let (status, text) = Self::read(request).await;
        self.answers.push((format!("answer {}: {status}", self.answers.len()), text.clone()));
        (status, text)
    }

    /// Sends a request whose answer shows a secret.
    async fn reveal(&self, request: RequestBuilder) -> Value {
        let (status, text) = Self::read(request).await;
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn read(request: RequestBuilder) -> (StatusCode, String) {
        let response = request.send().await.unwrap();
        let head = format!("{:?}", response.headers());
        let status = StatusCode::from_u16(response.status().as_u16()).unwrap();
        if head.contains("text/event-stream") || head.contains("application/gzip") {
            return (status, head);
        }
        let text = response.text().await.unwrap();
        // Headers are answers too; a document that somebody reads as JSON stays one.
        if status.is_success() && serde_json::from_str::<Value>(&text).is_ok() {
            (status, text)
        } else {
            (status, format!("{head}\n{text}"))
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// With the key of the first secret.
    fn call(&self, method: Method, path: &str, body: &Value) -> RequestBuilder {
        let request = self.request(method, path).bearer_auth(&self.secrets[0]);
        if body.is_null() {
            return request;
        }
        request.header("content-type", "application/json").body(body.to_string())
    }

    /// Fails when `text` holds a secret in any spelling.
    fn search(&self, what: &str, text: &str) {
        for (number, secret) in self.secrets.iter().enumerate() {
            for spelling in [secret.clone(), hex::encode(secret)] {
                if let Some(at) = text.find(&spelling) {
                    let from = text.floor_char_boundary(at.saturating_sub(300));
                    let to = text.floor_char_boundary(at + 200);
                    panic!("secret {number} is in {what}: …{}…", &text[from..to]);
                }
            }
        }
    }
}

#[tokio::test]
async fn no_secret_is_found_again() {
    let files = tempfile::tempdir().unwrap();
    let database = support::database_url(files.path()).await;
    let log = files.path().join("log");
    let mut spy = Spy { base: String::new(), client: client(), secrets: vec![], answers: vec![] };
    let command = |args: &[&str]| {
        let mut command = aiv(files.path());
        command.args(args).arg("--json").env("DATABASE_URL", &database);
        command.env("AUTO_MIGRATE", "true").env("PROVIDER_MODE", "replay");
        command
    };
    let made = json(&mut command(&["key", "create"]));
    spy.shown(&made, "/key");
    let (jwt_secret, metrics_token) = (spy.secret(), spy.secret());
    let master = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    spy.secrets.push(master.into());
    let master = format!("test:{master}");
    let vendor = spy.secret();
    let token = command(&["token", "create", "--subject", "ada", "--role", "owner"])
        .env("JWT_SECRET", &jwt_secret)
        .output()
        .unwrap();
    let token = spy.shown(&serde_json::from_slice(&token.stdout).unwrap(), "/token");
    let settings = [
        ("RUST_LOG", "trace"),
        ("JWT_SECRET", &jwt_secret),
        ("METRICS_TOKEN", &metrics_token),
        ("AIV_MASTER_KEYS", &master),
        ("PERPLEXITY_API_KEY", &vendor),
        ("BRAVE_API_KEY", &vendor),
        ("SERPAPI_API_KEY", &vendor),
    ];
    let file = File::create(&log).unwrap();
    let server = Server::start_logged(files.path(), &database, &settings, file).await;
    spy.base.clone_from(&server.base);

    credentials_of_callers(&mut spy, &token).await;
    secrets_of_workspaces(&mut spy).await;
    secrets_that_the_host_makes(&mut spy, &token).await;
    work(&mut spy).await;
    everything_there_is_to_read(&mut spy, &metrics_token).await;

    drop(server);
    for (what, text) in &spy.answers {
        spy.search(what, text);
    }
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains("\"level\":\"TRACE\"") && log.contains("\"level\":\"DEBUG\""));
    spy.search("the log", &log);
    let dump = dump(&database).await;
    assert!(dump.contains("hooks.example.com"), "the dump holds nothing");
    spy.search("the database", &dump);
}

/// In every place where a caller can say who it is, rightly or not.
async fn credentials_of_callers(spy: &mut Spy, token: &str) {
    let get = |spy: &Spy, path: &str| spy.request(Method::GET, path);
    spy.send(get(spy, "/v1/auth/whoami").bearer_auth(token)).await;
    for scheme in ["Bearer ", "Bearer avk_live_", "Bearer eyJ", "Basic ", ""] {
        let wrong = format!("{scheme}{}", spy.secret());
        let (status, _) = spy.send(get(spy, "/v1/prompts").header("authorization", wrong)).await;
        assert_eq!(status, 401);
    }
    for name in ["x-api-key", "cookie", "proxy-authorization"] {
        let wrong = spy.secret();
        spy.send(get(spy, "/v1/prompts").header(name, wrong)).await;
    }
    for parameter in ["api_key", "key", "token", "access_token", "ticket"] {
        for path in ["/v1/prompts", "/v1/events", "/nowhere", "/v1/nowhere"] {
            let path = format!("{path}?{parameter}={}", spy.secret());
            spy.send(get(spy, &path)).await;
            if !path.starts_with("/v1/events") {
                let asked = spy.call(Method::GET, &path, &Value::Null);
                spy.send(asked).await;
            }
        }
    }
    let wrong = spy.secret();
    let (status, _) = spy.send(get(spy, "/metrics").bearer_auth(wrong)).await;
    assert_eq!(status, 401);
    let path = format!("/downloads/{}", spy.secret());
    let (status, _) = spy.send(get(spy, &path)).await;
    assert_eq!(status, 404);
    let wrong = json!({ "token": spy.secret() });
    let asked = spy.request(Method::POST, "/v1/invitations/accept").bearer_auth(token);
    let asked = asked.header("content-type", "application/json").body(wrong.to_string());
    spy.send(asked).await;
}

/// What a workspace gives, in bodies that are right and in bodies that are not.
async fn secrets_of_workspaces(spy: &mut Spy) {
    let engine = spy.call(Method::PUT, "/v1/engines/perplexity", &json!({}));
    assert!(spy.send(engine).await.0.is_success());
    let connection = |secret: &str| json!({"name": "c", "kind": "webhook", "url": "https://hooks.example.com/", "secret": secret});
    let body = connection(&spy.secret());
    let made = spy.call(Method::POST, "/v1/connections", &body).header("idempotency-key", "one");
    let (status, made) = spy.send(made).await;
    assert_eq!(status, 201, "{made}");
    let made: Value = serde_json::from_str(&made).unwrap();
    let path = format!("/v1/connections/{}", made["id"].as_str().unwrap());
    let other = json!({ "secret": spy.secret() });
    assert_eq!(spy.send(spy.call(Method::PATCH, &path, &other)).await.0, 200);
    let credential = json!({ "value": spy.secret() });
    let saved = spy.call(Method::PUT, "/v1/engines/perplexity/credential", &credential);
    assert_eq!(spy.send(saved).await.0, 204);

    for (method, path, field) in [
        (Method::PUT, "/v1/engines/perplexity/credential", "value"),
        (Method::PUT, "/v1/engines/nobody/credential", "value"),
        (Method::POST, "/v1/connections", "secret"),
        (Method::PATCH, path.as_str(), "secret"),
        (Method::POST, "/v1/invitations/accept", "token"),
    ] {
        let long = spy.secret().repeat(200);
        for wrong in [
            json!({ field: [spy.secret()] }),
            json!({ field: { spy.secret(): 1 } }),
            json!({ field: long }),
            json!({ field: spy.secret(), "kind": spy.secret(), "url": spy.secret() }),
            json!({ field: spy.secret(), "more": spy.secret() }),
            json!([spy.secret()]),
        ] {
            let (status, answer) = spy.send(spy.call(method.clone(), path, &wrong)).await;
            assert!(status.is_client_error(), "{path} {wrong}: {status} {answer}");
        }
        let torn = format!("{{\"{field}\": \"{}", spy.secret());
        let torn = spy.call(method, path, &Value::Null).body(torn);
        spy.send(torn.header("content-type", "application/json")).await;
    }
}

/// What the host makes and shows once.
async fn secrets_that_the_host_makes(spy: &mut Spy, token: &str) {
    let key = json!({"name": "k", "role": "viewer"});
    let url = json!({"url": "https://hooks.example.com/"});
    let guest = json!({"email": "ada@acme.com", "role": "viewer"});
    let mut webhook = String::new();
    for (path, body, pointer) in [
        ("/v1/api-keys", key, "/key"),
        ("/v1/webhooks", url, "/secret"),
        ("/v1/invitations", guest, "/token"),
    ] {
        let ask = |spy: &Spy| spy.call(Method::POST, path, &body).header("idempotency-key", "once");
        let made = spy.reveal(ask(spy)).await;
        spy.shown(&made, pointer);
        // Shown once: the repetition is answered without it.
        assert!(spy.send(ask(spy)).await.0.is_success());
        if path == "/v1/webhooks" {
            webhook = format!("{path}/{}", made["webhook"]["id"].as_str().unwrap());
        }
    }
    let rotate = spy.call(Method::POST, &format!("{webhook}/rotate"), &json!({}));
    let rotated = spy.reveal(rotate).await;
    spy.shown(&rotated, "/secret");
    let test = spy.call(Method::POST, &format!("{webhook}/test"), &json!({}));
    assert_eq!(spy.send(test).await.0, 202);

    let ticket = spy.reveal(spy.call(Method::POST, "/v1/stream-tickets", &json!({}))).await;
    let ticket = spy.shown(&ticket, "/ticket");
    let path = format!("/v1/events?ticket={ticket}");
    assert_eq!(spy.send(spy.request(Method::GET, &path)).await.0, 200);
    assert_eq!(spy.send(spy.request(Method::GET, &path)).await.0, 401);

    let (_, export) = spy.send(spy.call(Method::POST, "/v1/exports", &json!({}))).await;
    let export: Value = serde_json::from_str(&export).unwrap();
    let path = format!("/v1/exports/{}", export["id"].as_str().unwrap());
    wait(spy, &path, "completed").await;
    let link = spy.call(Method::POST, &format!("{path}/links"), &Value::Null);
    let link = spy.reveal(link).await;
    let url = link["url"].as_str().unwrap().to_owned();
    spy.secrets.push(url.rsplit('/').next().unwrap().to_owned());
    assert_eq!(spy.send(spy.request(Method::GET, &url)).await.0, 200);
    assert_eq!(spy.send(spy.request(Method::GET, &url)).await.0, 404);

    let accepted = spy.secrets.iter().find(|secret| secret.starts_with("avi_")).unwrap().clone();
    let body = json!({ "token": accepted }).to_string();
    let asked = spy.request(Method::POST, "/v1/invitations/accept").bearer_auth(token);
    spy.send(asked.header("content-type", "application/json").body(body)).await;
    spy.send(spy.request(Method::GET, "/v1/me").bearer_auth(token)).await;
    spy.send(spy.request(Method::DELETE, "/v1/me/sessions").bearer_auth(token)).await;
    spy.send(spy.request(Method::GET, "/v1/me").bearer_auth(token)).await;
}

/// Calls of vendors and of listeners, with the secrets that they take.
async fn work(spy: &mut Spy) {
    let prompt = json!({"text": "What is the best CRM for a small agency?"});
    assert_eq!(spy.send(spy.call(Method::POST, "/v1/prompts", &prompt)).await.0, 201);
    let (_, batch) = spy.send(spy.call(Method::POST, "/v1/batches", &json!({}))).await;
    let batch: Value = serde_json::from_str(&batch).unwrap();
    wait(spy, &format!("/v1/batches/{}", batch["id"].as_str().unwrap()), "completed").await;
    spy.send(spy.call(Method::POST, "/v1/engines/perplexity/test", &json!({}))).await;
}

async fn wait(spy: &mut Spy, path: &str, state: &str) {
    for _ in 0..600 {
        let (_, found) = Spy::read(spy.call(Method::GET, path, &Value::Null)).await;
        if serde_json::from_str::<Value>(&found).unwrap()["state"] == state {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} is not {state}");
}

/// Every page that needs no more than a name.
async fn everything_there_is_to_read(spy: &mut Spy, metrics_token: &str) {
    let document = aiv::api::openapi();
    let mut read = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let is_stream = path == "/v1/events";
        if methods.get("get").is_none() || path.contains('{') || is_stream {
            continue;
        }
        let (status, text) = spy.send(spy.call(Method::GET, path, &Value::Null)).await;
        read += usize::from(status.is_success());
        let list: Value = serde_json::from_str(&text).unwrap_or_default();
        for row in list["data"].as_array().into_iter().flatten().take(3) {
            if let Some(id) = row["id"].as_str().or_else(|| row["key"].as_str()) {
                spy.send(spy.call(Method::GET, &format!("{path}/{id}"), &Value::Null)).await;
            }
        }
    }
    assert!(read >= 30, "only {read} pages could be read");
    let metrics = spy.request(Method::GET, "/metrics").bearer_auth(metrics_token);
    let (status, metrics) = spy.send(metrics).await;
    assert_eq!(status, 200);
    assert!(metrics.contains("http_request"), "{metrics}");
}

/// Everything that is stored, as text.
async fn dump(database: &str) -> String {
    if let Some(file) = database.strip_prefix("sqlite:") {
        let parts = ["", "-wal"].map(|end| fs::read(format!("{file}{end}")).unwrap_or_default());
        let parts = parts.map(|part| String::from_utf8_lossy(&part).into_owned());
        return parts.concat();
    }
    let Store::Postgres(pool) = Store::connect(database, 2).await.unwrap() else {
        panic!("{database} is no PostgreSQL")
    };
    let tables = "SELECT table_name::text FROM information_schema.tables
                  WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'";
    let mut dump = String::new();
    for table in sqlx::query(tables).fetch_all(&pool).await.unwrap() {
        let table: String = table.get(0);
        let rows = format!("SELECT row_to_json(t)::text FROM \"{table}\" t");
        for row in sqlx::query(AssertSqlSafe(rows)).fetch_all(&pool).await.unwrap() {
            dump.push_str(&row.get::<String, _>(0));
            dump.push('\n');
        }
    }
    dump
}
