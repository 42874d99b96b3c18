use crate::support::Host;
use aiv::store::{runs, runs::RunFilter};
use serde_json::json;

#[tokio::test]
async fn engines_are_told_who_asks() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    let unknown = json!({"text": "best crm?", "persona": "baker"});
    let unknown = host.post("/v1/prompts", unknown).await;
    assert_eq!((unknown.status, &unknown.body["errors"][0]["pointer"]), (422, &json!("/persona")));

    let persona = json!({"name": "baker", "context": "I run a bakery."});
    let persona = host.post("/v1/personas", persona).await.expect(201);
    let path = format!("/v1/personas/{}", persona["id"].as_str().unwrap());
    // The same question by nobody in particular is another prompt.
    host.post("/v1/prompts", json!({"text": "best crm?"})).await.expect(201);
    let body = json!({"text": "best crm?", "persona": "baker"});
    let prompt = host.post("/v1/prompts", body).await.expect(201);
    let id = prompt["id"].as_str().unwrap();
    assert_eq!((&prompt["text"], &prompt["version"]), (&json!("best crm?"), &json!(1)));

    // Another context is another text, and so another version.
    host.patch(&path, json!({"description": "small"})).await.expect(200);
    host.patch(&path, json!({"context": "I run two bakeries."})).await.expect(200);
    let versions = host.get(format!("/v1/prompts/{id}/versions?limit=1")).await.expect(200);
    assert_eq!(versions["data"][0]["version"], 2);
    assert_eq!(versions["data"][0]["text"], "I run two bakeries.\n\nbest crm?");
    let cursor = versions["next_cursor"].as_str().unwrap();
    let older = host.get(format!("/v1/prompts/{id}/versions?limit=1&cursor={cursor}")).await;
    assert_eq!(older.expect(200)["data"][0]["context"], "I run a bakery.");
    let first = host.get(format!("/v1/prompts/{id}/versions/1")).await.expect(200);
    assert_eq!(first["persona_id"], persona["id"]);
    assert_eq!(host.get(format!("/v1/prompts/{id}/versions/9")).await.status, 404);
    assert_eq!(host.delete(&path).await.status, 409);

    // And it is the text that is asked.
    let body = json!({"prompt_ids": [id], "engines": ["perplexity"]});
    host.post("/v1/batches", body).await.expect(202);
    host.work().await;
    let mut conn = host.app.store.read().await.unwrap();
    let workspace = host.workspace.id;
    let run = runs::list(&mut conn, workspace, &RunFilter::default(), None, 1).await.unwrap();
    let question = runs::question(&mut conn, workspace, run[0].id).await.unwrap();
    assert_eq!(question.text, "I run two bakeries.\n\nbest crm?");
    assert!(question.run.outcome.is_some());
}

#[tokio::test]
async fn a_persona_that_names_an_own_brand_makes_the_prompt_a_branded_one() {
    let host = Host::start().await;
    host.post("/v1/brands", json!({"name": "Zyxware", "kind": "own"})).await.expect(201);
    let persona = json!({"name": "customer", "context": "I use Zyxware."});
    host.post("/v1/personas", persona).await.expect(201);
    host.seed_demo(1).await;
    let body = json!({"text": "what else is there?", "persona": "customer"});
    let prompt = host.post("/v1/prompts", body).await.expect(201);
    let body = json!({"prompt_ids": [prompt["id"]], "engines": ["perplexity"]});
    host.post("/v1/batches", body).await.expect(202);
    host.work().await;
    for (prompts, answered) in [("branded", 1), ("non_brand", 0)] {
        let path = format!("/v1/metrics/overview?prompts={prompts}");
        let overview = host.get(path).await.expect(200);
        let totals = &overview["current"]["totals"];
        let runs = totals["answered"].as_i64().unwrap() + totals["no_answer"].as_i64().unwrap();
        assert_eq!(runs, answered, "{prompts}");
    }
}
