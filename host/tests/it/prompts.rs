use crate::support::{Answer, Host};
use serde_json::{Value, json};
use std::collections::HashSet;

#[tokio::test]
async fn a_prompt_lives_its_life() {
    let host = Host::start().await;
    let body = json!({
        "text": "  best crm for startups? ", "intent": "best crm", "tags": ["crm", "b2b"],
        "language": "pt-BR", "country": "BR", "location": "Recife",
    });
    let answer = host.post("/v1/prompts", body).await;
    let path = answer.header("location").unwrap().to_owned();
    let made = answer.expect(201);
    assert_eq!(path, format!("/v1/prompts/{}", made["id"].as_str().unwrap()));
    assert_eq!((&made["text"], &made["version"]), (&json!("best crm for startups?"), &json!(1)));
    assert_eq!(
        (&made["active"], &made["created_at"]),
        (&json!(true), &json!("2026-01-01T00:00:00Z"))
    );
    assert_eq!(host.get(&path).await.expect(200), made);

    let kept = host.patch(&path, json!({"tags": ["crm"], "location": null})).await.expect(200);
    assert_eq!((&kept["tags"], &kept["version"]), (&json!(["crm"]), &json!(1)));
    assert!(kept.get("location").is_none() && kept["country"] == "BR");
    let other = host.patch(&path, json!({"text": "best cheap crm?"})).await.expect(200);
    assert_eq!((&other["version"], &other["intent"]), (&json!(2), &json!("best crm")));

    let again = host
        .post(
            "/v1/prompts",
            json!({
                "text": "best cheap crm?", "language": "pt-BR", "country": "BR",
            }),
        )
        .await;
    assert_eq!((again.status, &again.body["code"]), (409, &json!("exists")), "{:#}", again.body);

    assert_eq!(host.delete(&path).await.status, 204);
    assert_eq!(host.get(&path).await.status, 404);
    assert_eq!(host.delete(&path).await.status, 404);
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps() {
    let host = Host::start().await;
    for number in 0..7 {
        let tags = if number % 2 == 0 { json!(["even"]) } else { json!(["odd"]) };
        let body = json!({"text": format!("question {number}"), "tags": tags});
        host.post("/v1/prompts", body).await.expect(201);
    }
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = host.get(format!("/v1/prompts?limit=3{cursor}")).await.expect(200);
        let rows = page["data"].as_array().unwrap();
        seen.extend(rows.iter().map(|row| row["text"].as_str().unwrap().to_owned()));
        pages += 1;
        assert_eq!(page["has_more"], page.get("next_cursor").is_some());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
        // What comes in between neither repeats nor hides a row.
        host.post("/v1/prompts", json!({"text": format!("late {pages}")})).await.expect(201);
    }
    assert_eq!(seen.len(), seen.iter().collect::<HashSet<_>>().len());
    assert!((0..7).all(|number| seen.contains(&format!("question {number}"))), "{seen:?}");

    let even = host.get("/v1/prompts?tag=even").await.expect(200);
    assert_eq!(even["data"].as_array().unwrap().len(), 4);
    let found = host.get("/v1/prompts?q=QUESTION%203").await.expect(200);
    assert_eq!(found["data"][0]["text"], "question 3");
    assert_eq!(host.get("/v1/prompts?active=false").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn a_cursor_continues_only_its_own_list() {
    let host = Host::start().await;
    for number in 0..3 {
        host.post("/v1/prompts", json!({"text": format!("question {number}")})).await.expect(201);
    }
    let page = host.get("/v1/prompts?limit=1").await.expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    host.get(format!("/v1/prompts?limit=2&cursor={cursor}")).await.expect(200);
    let other = host.other_workspace().await;
    for (host, path) in [
        (&host, format!("/v1/prompts?q=x&cursor={cursor}")),
        (&host, format!("/v1/brands?cursor={cursor}")),
        (&host, format!("/v1/prompts?cursor={}x", &cursor[1..])),
        (&host, "/v1/prompts?cursor=".into()),
        (&other, format!("/v1/prompts?cursor={cursor}")),
    ] {
        let answer = host.get(&path).await;
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("malformed")), "{path}");
    }
}

#[tokio::test]
async fn a_repeated_request_has_one_effect() {
    let host = Host::start().await;
    let send = async |header: &str, key: &str, body: Value| {
        let request = host
            .client
            .post("/v1/prompts")
            .header("x-api-key", host.key())
            .header(header, key)
            .body_json(&body);
        Answer::of(request.send().await).await
    };
    let body = json!({"text": "asked once?"});
    let first = send("idempotency-key", "\"k-1\"", body.clone()).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, None));
    let again = send("x-idempotency-key", "k-1", body.clone()).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("location"), first.header("location"));
    let reused = send("idempotency-key", "k-1", json!({"text": "something else"})).await;
    let code = &reused.body["code"];
    assert_eq!((reused.status, code), (422, &json!("idempotency_key_reused")));
    assert_eq!(send("idempotency-key", "two words", body.clone()).await.status, 400);

    // What failed left nothing behind: put right, it goes through with the same key.
    assert_eq!(send("idempotency-key", "k-2", body.clone()).await.status, 409);
    assert_eq!(send("idempotency-key", "k-2", json!({"text": "another?"})).await.status, 201);

    // Another workspace's keys are its own.
    let other = host.other_workspace().await;
    let request = other
        .client
        .post("/v1/prompts")
        .header("x-api-key", other.key())
        .header("idempotency-key", "k-1")
        .body_json(&body);
    assert_eq!(Answer::of(request.send().await).await.header("idempotency-replayed"), None);

    let listed = host.get("/v1/prompts").await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn requests_with_one_key_at_once_have_one_effect() {
    let host = Host::start().await;
    let send = || async {
        let request = host
            .client
            .post("/v1/prompts")
            .header("x-api-key", host.key())
            .header("idempotency-key", "race")
            .body_json(&json!({"text": "who is first?"}));
        Answer::of(request.send().await).await
    };
    let (a, b, c, d) = tokio::join!(send(), send(), send(), send());
    let answers = [a, b, c, d];
    assert!(answers.iter().all(|answer| answer.status == 201), "{answers:?}");
    let ids: HashSet<_> = answers.iter().map(|answer| answer.body["id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
}
