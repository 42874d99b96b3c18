//! Tokens of people: which are believed, which are not, and where they lead.

use crate::support::{
    Answer, Host,
    addresses::{inward, nasty},
    idp::{IDP, Idp, idp_claims},
    process::{aiv, json as output, text},
};
use aiv::{
    Clock,
    config::{Auth, Config},
    identity::{self, EgressKeys, KeySource, NewToken, Rejection, Tokens},
    ids::WorkspaceId,
    providers::egress::Egress,
    store::{api_keys::Role, members, revocations, users},
};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::sync::Arc;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const PREVIOUS: &str = "fedcba9876543210fedcba9876543210";

fn settings() -> Auth {
    let mut auth = Config::defaults().unwrap().auth;
    auth.jwt_secret = Some(SECRET.to_owned().into());
    auth.jwt_secret_previous = Some(PREVIOUS.to_owned().into());
    auth
}

fn settings_of_provider(algorithm: &str) -> Auth {
    let mut auth = settings();
    auth.jwks_issuer = Some(IDP.into());
    auth.jwks_audience = Some("aiv-api".into());
    auth.jwks_algorithm = Some(algorithm.into());
    auth
}

fn clock() -> Clock {
    Clock::fixed(DateTime::from_timestamp(1_767_225_600, 0).unwrap())
}

/// Good claims of this installation.
fn claims(now: DateTime<Utc>) -> Value {
    let now = now.timestamp();
    json!({"iss": "aiv", "aud": "aiv", "sub": "ada", "jti": "t1", "iat": now, "exp": now + 600})
}

fn signed(header: &Header, claims: &Value, secret: &str) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

/// A token whose parts are what they are said to be, signed with the secret all the same.
fn assembled(header: &Value, claims: &Value) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
    use hmac::{KeyInit, Mac};

    let head = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(head.as_bytes());
    format!("{head}.{}", B64.encode(mac.finalize().into_bytes()))
}

fn without(claims: &Value, name: &str) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn with(claims: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims.clone();
    claims[name] = value.into();
    claims
}

#[tokio::test]
async fn forged_tokens_prove_nothing() {
    let clock = clock();
    let (now, good) = (clock.now().timestamp(), claims(clock.now()));
    let hs256 = Header::new(Algorithm::HS256);
    let idp = Idp::new(Algorithm::ES256);
    let tokens = Tokens::with(&settings_of_provider("ES256"), &clock, Some(idp.clone())).unwrap();
    let valid = signed(&hs256, &good, SECRET);
    tokens.verify(&valid).await.unwrap();
    tokens.verify(&signed(&hs256, &good, PREVIOUS)).await.unwrap();
    tokens.verify(&with_audiences(&good)).await.unwrap();
    tokens.verify(&idp.sign(&idp_claims(clock.now()))).await.unwrap();

    let (head, signature) = valid.rsplit_once('.').unwrap();
    let (header, body) = head.split_once('.').unwrap();
    let public = serde_json::to_string(&idp.jwk()).unwrap();
    let forged: Vec<(&str, String)> = vec![
        ("nothing", String::new()),
        ("no parts", "..".into()),
        ("two parts", head.into()),
        ("four parts", format!("{valid}.x")),
        ("no signature", format!("{head}.")),
        ("another signature", format!("{head}.{}", signature.chars().rev().collect::<String>())),
        ("swapped parts", format!("{body}.{header}.{signature}")),
        ("too long", format!("{valid}{}", "x".repeat(9000))),
        ("alg none", assembled(&json!({"alg": "none", "typ": "JWT"}), &good)),
        ("alg None", assembled(&json!({"alg": "None", "typ": "JWT"}), &good)),
        ("alg missing", assembled(&json!({"typ": "JWT"}), &good)),
        ("HS512", signed(&Header::new(Algorithm::HS512), &good, SECRET)),
        ("RS256 in name", assembled(&json!({"alg": "RS256", "typ": "JWT"}), &good)),
        ("another type", assembled(&json!({"alg": "HS256", "typ": "dpop+jwt"}), &good)),
        ("critical", assembled(&json!({"alg": "HS256", "crit": ["x"], "x": 1}), &good)),
        ("another secret", signed(&hs256, &good, "ffffffffffffffffffffffffffffffff")),
        ("expired", signed(&hs256, &with(&good, "exp", now - 31), SECRET)),
        ("exp missing", signed(&hs256, &without(&good, "exp"), SECRET)),
        ("exp as text", signed(&hs256, &with(&good, "exp", "9999999999"), SECRET)),
        ("exp without end", signed(&hs256, &with(&good, "exp", 1e300), SECRET)),
        ("not yet", signed(&hs256, &with(&good, "nbf", now + 60), SECRET)),
        ("issued later", signed(&hs256, &with(&good, "iat", now + 60), SECRET)),
        ("aud missing", signed(&hs256, &without(&good, "aud"), SECRET)),
        ("aud of others", signed(&hs256, &with(&good, "aud", "other"), SECRET)),
        ("no aud at all", signed(&hs256, &with(&good, "aud", json!([])), SECRET)),
        ("iss missing", signed(&hs256, &without(&good, "iss"), SECRET)),
        ("iss unknown", signed(&hs256, &with(&good, "iss", "https://evil.example"), SECRET)),
        ("sub missing", signed(&hs256, &without(&good, "sub"), SECRET)),
        ("sub empty", signed(&hs256, &with(&good, "sub", ""), SECRET)),
        ("sub is a number", signed(&hs256, &with(&good, "sub", 7), SECRET)),
        ("workspace is none", signed(&hs256, &with(&good, "workspace_id", "x"), SECRET)),
        // The classic: a public key as an HMAC secret, in the name of its owner.
        ("confusion", signed(&hs256, &idp_claims(clock.now()), &public)),
        ("our secret, their name", signed(&hs256, &idp_claims(clock.now()), SECRET)),
        ("their key, our name", idp.sign(&good)),
        (
            "a key of its own",
            assembled(
                &json!({"alg": "HS256", "jwk": idp.jwk(), "jku": "https://evil.example"}),
                &with(&good, "iss", IDP),
            ),
        ),
        ("kid that leads away", idp.sign_as("../../etc/passwd", &idp_claims(clock.now()))),
    ];
    assert!(forged.len() >= 25);
    for (name, token) in forged {
        let result = tokens.verify(&token).await;
        assert!(matches!(result, Err(Rejection::Invalid(_))), "{name}: {result:?}");
    }
}

fn with_audiences(good: &Value) -> String {
    let hs256 = Header::new(Algorithm::HS256);
    signed(&hs256, &with(good, "aud", json!(["other", "aiv"])), SECRET)
}

#[tokio::test]
async fn a_token_ends_by_the_clock() {
    let clock = clock();
    let tokens = Tokens::new(&settings(), &clock).unwrap();
    let token = signed(&Header::new(Algorithm::HS256), &claims(clock.now()), SECRET);
    clock.advance(TimeDelta::seconds(629));
    tokens.verify(&token).await.unwrap();
    clock.advance(TimeDelta::seconds(1));
    assert_eq!(tokens.verify(&token).await, Err(Rejection::Invalid("expired")));
}

#[test]
fn weak_or_contradicting_settings_are_refused() {
    let refused = |change: fn(&mut Auth)| {
        let mut auth = settings_of_provider("RS256");
        change(&mut auth);
        let source: Arc<dyn KeySource> = Idp::new(Algorithm::ES256);
        Tokens::with(&auth, &clock(), Some(source)).map(drop).unwrap_err().to_string()
    };
    let short = refused(|auth| auth.jwt_secret = Some("changeme".to_owned().into()));
    assert!(short.contains("JWT_SECRET has fewer than 32 bytes"), "{short}");
    let dull = refused(|auth| auth.jwt_secret = Some("a".repeat(64).into()));
    assert!(dull.contains("repeats few characters"), "{dull}");
    let old = refused(|auth| auth.jwt_secret_previous = Some(format!("{PREVIOUS},x").into()));
    assert!(old.contains("JWT_SECRET_PREVIOUS"), "{old}");
    assert!(!old.contains(PREVIOUS) && !short.contains("changeme"));
    let lost = refused(|auth| auth.jwt_secret = None);
    assert!(lost.contains("JWT_SECRET is not"), "{lost}");
    let same = refused(|auth| auth.jwks_issuer = Some("aiv".into()));
    assert!(same.contains("must differ"), "{same}");
    let none = refused(|auth| auth.jwks_algorithm = Some("none".into()));
    assert!(none.contains("JWKS_ALGORITHM"), "{none}");
    let unnamed = refused(|auth| auth.jwks_audience = None);
    assert!(unnamed.contains("JWKS_AUDIENCE"), "{unnamed}");
    let mut plain = settings();
    plain.jwks_url = Some("http://idp.example/keys".parse().unwrap());
    assert!(Tokens::new(&plain, &clock()).is_err());
    let nothing = Config::defaults().unwrap().auth;
    assert!(!Tokens::new(&nothing, &clock()).unwrap().are_accepted());
}

#[tokio::test]
async fn each_algorithm_of_a_provider_verifies_its_own() {
    for (name, algorithm) in
        [("RS256", Algorithm::RS256), ("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA)]
    {
        let (clock, idp) = (clock(), Idp::new(algorithm));
        let tokens = Tokens::with(&settings_of_provider(name), &clock, Some(idp.clone())).unwrap();
        let verified = tokens.verify(&idp.sign(&idp_claims(clock.now()))).await.unwrap();
        assert_eq!((&*verified.subject, &*verified.issuer), ("ada", IDP));
        // A provider that switches to an algorithm that nobody configured is not followed.
        let other = if name == "EdDSA" { "ES256" } else { "EdDSA" };
        let tokens = Tokens::with(&settings_of_provider(other), &clock, Some(idp.clone())).unwrap();
        let token = idp.sign(&idp_claims(clock.now()));
        assert!(matches!(tokens.verify(&token).await, Err(Rejection::Invalid(_))));
    }
}

#[tokio::test]
async fn a_provider_may_rotate_and_be_away_and_is_not_asked_too_often() {
    let (clock, idp) = (clock(), Idp::new(Algorithm::ES256));
    let auth = settings_of_provider("ES256");
    let tokens = Tokens::with(&auth, &clock, Some(idp.clone())).unwrap();
    let token = async |idp: &Idp| tokens.verify(&idp.sign(&idp_claims(clock.now()))).await;
    token(&idp).await.unwrap();
    assert_eq!(idp.asked(), 1);

    // A thousand ids that nobody has.
    for index in 0..1000 {
        let forged = idp.sign_as(&format!("kid-{index}"), &idp_claims(clock.now()));
        assert!(tokens.verify(&forged).await.is_err());
    }
    assert_eq!(idp.asked(), 1, "asked within 30 s of the last time");
    clock.advance(TimeDelta::seconds(30));
    for index in 0..1000 {
        let forged = idp.sign_as(&format!("kid-{index}"), &idp_claims(clock.now()));
        assert!(tokens.verify(&forged).await.is_err());
    }
    assert_eq!(idp.asked(), 2);

    // Another key: found with one question.
    clock.advance(TimeDelta::seconds(30));
    idp.rotate();
    token(&idp).await.unwrap();
    assert_eq!(idp.asked(), 3);

    // Away for some hours, and then answering nonsense: known keys still do.
    idp.answer(None);
    clock.advance(TimeDelta::hours(5));
    token(&idp).await.unwrap();
    token(&idp).await.unwrap();
    assert_eq!(idp.asked(), 4, "a failed question is not repeated at once either");
    idp.answer(Some("<html>".into()));
    clock.advance(TimeDelta::hours(5));
    token(&idp).await.unwrap();
    idp.answer(Some(json!({"keys": []}).to_string()));
    clock.advance(TimeDelta::hours(5));
    token(&idp).await.unwrap();
    // But not for ever.
    clock.advance(TimeDelta::hours(30));
    assert_eq!(token(&idp).await, Err(Rejection::Unavailable));
    idp.publish();
    clock.advance(TimeDelta::seconds(30));
    token(&idp).await.unwrap();
}

#[tokio::test]
async fn requests_that_come_together_ask_the_provider_once() {
    let (clock, idp) = (clock(), Idp::new(Algorithm::ES256));
    let tokens = Tokens::with(&settings_of_provider("ES256"), &clock, Some(idp.clone())).unwrap();
    let token = idp.sign(&idp_claims(clock.now()));
    let all = (0..50).map(|_| tokens.verify(&token));
    let results = futures_util::future::join_all(all).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(idp.asked(), 1);
}

/// Keys are fetched by the same guarded way as everything else.
#[tokio::test]
async fn keys_are_never_fetched_from_inside() {
    let canary = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = canary.local_addr().unwrap().port();
    let secret = "https://user:secret@127.0.0.1/keys".to_owned();
    let (all, mut tried) = (inward().into_iter().chain(nasty(port)).chain([secret]), 0);
    for url in all.filter_map(|url| url.parse::<url::Url>().ok()) {
        let host = url.host_str().unwrap_or_default();
        if host.contains("example") {
            continue;
        }
        tried += 1;
        let keys = EgressKeys::new(Egress::guarded().unwrap(), url);
        let error = keys.fetch().await.unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
    assert!(tried >= 200, "only {tried} addresses were tried");
    let quiet = tokio::time::timeout(std::time::Duration::from_millis(50), canary.accept());
    assert!(quiet.await.is_err(), "somebody connected");
}

/// A host that believes tokens, and one for `subject` in its workspace.
async fn believing() -> Host {
    Host::start_with(|config| config.auth = settings()).await
}

async fn member(host: &Host, workspace: WorkspaceId, subject: &str, role: Role) {
    let now = host.app.clock.now();
    let mut tx = host.app.store.begin().await.unwrap();
    let user = users::save(&mut tx, "aiv", subject, None, None, now).await.unwrap();
    members::insert(&mut tx, workspace, user.id, role, now).await.unwrap();
    tx.commit().await.unwrap();
}

fn token(host: &Host, subject: &str, workspace: Option<WorkspaceId>, scopes: &[&str]) -> String {
    let now = host.app.clock.now();
    let token = NewToken {
        subject: subject.into(),
        token_id: format!("{subject}-1"),
        email: Some(format!("{subject}@acme.com")),
        workspace,
        scopes: scopes.iter().map(ToString::to_string).collect(),
        issued_at: now,
        expires_at: now + TimeDelta::minutes(15),
    };
    identity::mint(&host.app.config.auth, &token).unwrap()
}

#[tokio::test]
async fn a_person_works_where_they_are_a_member() {
    let host = believing().await;
    let other = host.other_workspace().await;
    let (ours, theirs) = (host.workspace.id, other.workspace.id);
    member(&host, ours, "ada", Role::Member).await;
    let ada = host.with_key(token(&host, "ada", None, &[]));
    let me = ada.get("/v1/auth/whoami").await.expect(200);
    assert_eq!((&me["kind"], &me["role"]), (&json!("user"), &json!("member")));
    assert_eq!((&me["workspace_id"], &me["name"]), (&json!(ours), &json!("ada@acme.com")));
    ada.post("/v1/prompts", json!({"text": "best crm?"})).await.expect(201);
    ada.get("/v1/api-keys").await.expect(403);

    let ask = async |token: &str, workspace: Option<WorkspaceId>| {
        let mut request =
            host.client.get("/v1/auth/whoami").header("authorization", format!("Bearer {token}"));
        if let Some(workspace) = workspace {
            request = request.header("x-workspace-id", workspace.to_string());
        }
        Answer::of(request.send().await).await
    };
    // Not a member there, whatever the token or the request names.
    ask(&token(&host, "ada", None, &[]), Some(theirs)).await.expect(403);
    ask(&token(&host, "ada", Some(theirs), &[]), None).await.expect(403);
    ask(&token(&host, "ada", Some(ours), &[]), Some(theirs)).await.expect(403);
    // Scopes take away.
    let narrow = host.with_key(token(&host, "ada", None, &["read"]));
    narrow.get("/v1/prompts").await.expect(200);
    narrow.post("/v1/prompts", json!({"text": "worst crm?"})).await.expect(403);
    // A member of two says in which one they work.
    member(&host, theirs, "bob", Role::Viewer).await;
    let both = {
        let now = host.app.clock.now();
        let mut tx = host.app.store.begin().await.unwrap();
        let user = users::save(&mut tx, "aiv", "bob", None, None, now).await.unwrap();
        members::insert(&mut tx, ours, user.id, Role::Owner, now).await.unwrap();
        tx.commit().await.unwrap();
        token(&host, "bob", None, &[])
    };
    ask(&both, None).await.expect(400);
    assert_eq!(ask(&both, Some(ours)).await.expect(200)["role"], "owner");
    assert_eq!(ask(&both, Some(theirs)).await.expect(200)["role"], "viewer");
    let me = host.with_key(both).get("/v1/me").await.expect(200);
    assert_eq!(me["workspaces"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_stranger_is_somebody_and_nothing_more() {
    let host = believing().await;
    let eve = host.with_key(token(&host, "eve", None, &["admin:*"]));
    eve.get("/v1/auth/whoami").await.expect(403);
    eve.get("/v1/admin/system").await.expect(403);
    eve.get("/v1/prompts").await.expect(403);
    let me = eve.get("/v1/me").await.expect(200);
    assert_eq!((&me["subject"], &me["workspaces"]), (&json!("eve"), &json!([])));
    // And a key is no person.
    host.get("/v1/me").await.expect(403);
    // A host without secrets believes nobody.
    let closed = Host::start().await;
    closed.with_key(token(&host, "eve", None, &[])).get("/v1/me").await.expect(401);
}

#[tokio::test]
async fn credentials_of_two_principals_are_none() {
    let host = believing().await;
    member(&host, host.workspace.id, "ada", Role::Owner).await;
    let good = format!("Bearer {}", token(&host, "ada", None, &[]));
    let bad = "Bearer e30.e30.e30".to_owned();
    for (bearer, key) in [(&good, host.key()), (&bad, host.key()), (&good, "avk_live_wrong")] {
        let request = host
            .client
            .get("/v1/auth/whoami")
            .header("authorization", bearer)
            .header("x-api-key", key);
        assert_eq!(Answer::of(request.send().await).await.status, 401);
    }
}

#[tokio::test]
async fn tokens_are_revoked_by_subject_and_by_id() {
    let host = believing().await;
    member(&host, host.workspace.id, "ada", Role::Owner).await;
    member(&host, host.workspace.id, "bob", Role::Owner).await;
    let operator =
        host.with_key(host.create_key(host.workspace.id, Role::Owner, &["admin:*"]).await);
    let (ada, bob) = (token(&host, "ada", None, &[]), token(&host, "bob", None, &[]));
    let works = async |token: &str| host.with_key(token).get("/v1/auth/whoami").await.status;
    assert_eq!((works(&ada).await, works(&bob).await), (200, 200));

    let refused = operator.post("/v1/admin/revocations", json!({})).await;
    refused.expect(422);
    let wrong = json!({"issuer": "https://evil.example", "subject": "ada"});
    let wrong = operator.post("/v1/admin/revocations", wrong).await.expect(422);
    assert_eq!(wrong["errors"][0]["pointer"], "/issuer");
    host.post("/v1/admin/revocations", json!({"subject": "ada"})).await.expect(403);

    operator.post("/v1/admin/revocations", json!({"jti": "ada-1"})).await.expect(200);
    assert_eq!((works(&ada).await, works(&bob).await), (401, 200));
    operator.post("/v1/admin/revocations", json!({"subject": "bob"})).await.expect(200);
    assert_eq!(works(&bob).await, 401);
    host.app.clock.advance(TimeDelta::seconds(1));
    let newer = token(&host, "bob", None, &[]);
    assert_eq!(works(&newer).await, 200, "a new session begins");
    assert_eq!(host.with_key(newer.clone()).delete("/v1/me/sessions").await.status, 204);
    assert_eq!(works(&newer).await, 401);
    let listed = operator.get("/v1/admin/revocations").await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);

    // The process that revokes forgets what it believed.
    host.app.clock.advance(TimeDelta::seconds(1));
    let session = token(&host, "bob", None, &[]);
    let ask = async || {
        let request =
            host.client.get("/v1/me").header("authorization", format!("Bearer {session}"));
        request.send().await.0.status().as_u16()
    };
    assert_eq!(ask().await, 200);
    let end = host.client.delete("/v1/me/sessions");
    end.header("authorization", format!("Bearer {session}"))
        .send()
        .await
        .assert_status(poem::http::StatusCode::NO_CONTENT);
    assert_eq!(ask().await, 401);
}

#[tokio::test]
async fn the_terminal_makes_and_revokes_tokens() {
    let host = believing().await;
    let files = tempfile::tempdir().unwrap();
    let command = |secret: Option<&str>, args: &[&str]| {
        let mut command = aiv(files.path());
        command
            .args(args)
            .args(["--json"])
            .env("DATABASE_URL", host.app.config.database.url.expose_secret())
            .envs(secret.map(|secret| ("JWT_SECRET", secret)));
        command
    };
    let create = ["token", "create", "--subject", "ada", "--role", "admin"];
    for secret in [None, Some("changeme")] {
        let refused = command(secret, &create).output().unwrap();
        assert!(!refused.status.success(), "{}", text(&refused));
        assert!(text(&refused).contains("JWT_SECRET"), "{}", text(&refused));
    }
    let made = output(&mut command(Some(SECRET), &create));
    let mut auth = settings();
    auth.jwt_secret_previous = None;
    let tokens = Tokens::new(&auth, &Clock::default()).unwrap();
    let claims = tokens.verify(made["token"].as_str().unwrap()).await.unwrap();
    assert_eq!((claims.subject.as_str(), claims.workspace), ("ada", Some(host.workspace.id)));
    assert_eq!(claims.scopes, [""; 0]);
    let mut conn = host.app.store.read().await.unwrap();
    let user = users::find_by_subject(&mut conn, "aiv", "ada").await.unwrap().unwrap();
    let member = members::find(&mut conn, host.workspace.id, user.id).await.unwrap();
    assert_eq!(member.role, Role::Admin);
    drop(conn);

    output(&mut command(Some(SECRET), &["token", "revoke", "--subject", "ada"]));
    let (id, issued_at) = (claims.token_id.as_deref(), claims.issued_at);
    let mut conn = host.app.store.read().await.unwrap();
    assert!(revocations::is_revoked(&mut conn, "aiv", "ada", id, issued_at).await.unwrap());
    assert!(!revocations::is_revoked(&mut conn, "aiv", "bob", None, issued_at).await.unwrap());
}
