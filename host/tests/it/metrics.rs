//! Numbers over the API.

use crate::support::Host;
use serde_json::{Value, json};

#[tokio::test]
async fn an_overview_has_every_number_with_its_uncertainty() {
    let host = Host::start().await;
    host.seed_demo(8).await;
    host.start_batch(2, "monday").await;
    host.work().await;

    let overview = host.get("/v1/metrics/overview?period=7d").await.expect(200);
    assert_eq!((&overview["synthetic"], &overview["prompts"]), (&json!(true), &json!("non_brand")));
    let current = &overview["current"];
    assert_eq!(current["window"], json!({"from": "2025-12-26", "to": "2026-01-01"}));
    assert_eq!(overview["previous"]["window"]["to"], "2025-12-25");
    let brands = current["brands"].as_array().unwrap();
    assert!(brands.len() > 1);
    for brand in brands {
        let rate = &brand["mention_rate"];
        let value = rate["value"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&value));
        assert!(rate["low"].as_f64().unwrap() <= value && value <= rate["high"].as_f64().unwrap());
        assert!(rate["answers"].as_u64().unwrap() > 0 && rate["grade"] == "exploratory");
        assert_eq!(brand["engines"].as_array().unwrap().len(), 3);
    }
    // Nothing to divide by is null with a reason, and never 0.
    let before = &overview["previous"]["answer_rate"];
    assert_eq!((&before["value"], &before["reason"]), (&Value::Null, &json!("no_runs")));

    let id = brands[0]["id"].as_str().unwrap();
    let one = host.get(format!("/v1/metrics/overview?brand={id}")).await.expect(200);
    assert_eq!(one["current"]["brands"].as_array().unwrap().len(), 1);
    assert_eq!(one["current"]["brands"][0]["share_of_voice"], brands[0]["share_of_voice"]);
    let engine = host.get("/v1/metrics/overview?engine=brave").await.expect(200);
    assert_eq!(engine["current"]["engines"].as_array().unwrap().len(), 1);
    let branded = host.get("/v1/metrics/overview?prompts=branded").await.expect(200);
    assert_eq!(branded["prompts"], "branded");

    let days = host.get("/v1/metrics/timeseries").await.expect(200);
    assert_eq!((&days["brand_id"], &days["data"][0]["day"]), (&json!(id), &json!("2026-01-01")));
    let domains = host.get("/v1/citations/top-domains?limit=5").await.expect(200);
    assert!((1..=5).contains(&domains["data"].as_array().unwrap().len()));
    let costs = host.get("/v1/costs?group_by=engine").await.expect(200);
    let sum: i64 =
        costs["data"].as_array().unwrap().iter().map(|c| c["cost_micros"].as_i64().unwrap()).sum();
    assert_eq!(costs["total_micros"], sum);
    assert!(costs["data"][0]["engine"].is_string() && costs["data"][0].get("day").is_none());

    let other = host.other_workspace().await;
    assert_eq!(other.get(format!("/v1/metrics/overview?brand={id}")).await.status, 404);
    assert_eq!(other.get(format!("/v1/metrics/timeseries?brand={id}")).await.status, 404);
    let empty = other.get("/v1/metrics/overview").await.expect(200);
    assert_eq!(empty["current"]["totals"]["answered"], 0);
    assert_eq!(other.get("/v1/costs").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn a_window_that_makes_no_sense_is_refused() {
    let host = Host::start().await;
    for query in [
        "period=8d",
        "from=2026-01-02&to=2026-01-01",
        "from=2024-01-01&to=2026-01-01",
        "to=2026-01-01",
        "period=7d&from=2026-01-01",
        "from=yesterday",
    ] {
        for path in ["/v1/metrics/overview", "/v1/costs", "/v1/citations/top-domains"] {
            let answer = host.get(format!("{path}?{query}")).await;
            assert_eq!(
                (answer.status, &answer.body["code"]),
                (400, &json!("malformed")),
                "{query}"
            );
        }
    }
    host.get("/v1/costs?from=2025-01-01&to=2026-01-01").await.expect(200);
}

#[tokio::test]
async fn numbers_by_engine_prompt_brand_and_source_agree_with_the_overview() {
    let host = Host::start().await;
    host.seed_demo(8).await;
    host.start_batch(2, "monday").await;
    host.work().await;
    let overview = host.get("/v1/metrics/overview").await.expect(200);
    let brand = &overview["current"]["brands"][0];

    let engines = host.get("/v1/metrics/engines").await.expect(200);
    assert_eq!(engines["brand_id"], brand["id"]);
    let rows = engines["data"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    for (row, at) in rows.iter().zip(brand["engines"].as_array().unwrap()) {
        assert_eq!(row["engine"], at["engine"]);
        assert_eq!(row["current"]["mention_rate"], at["mention_rate"]);
        assert!(row.get("previous").is_none(), "nothing was asked before");
    }

    let mut seen = Vec::new();
    let mut path = "/v1/metrics/prompts?limit=3".to_owned();
    loop {
        let page = host.get(&path).await.expect(200);
        seen.extend(page["data"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/metrics/prompts?limit=3&cursor={cursor}");
    }
    let answered = |rows: &[Value]| -> i64 {
        rows.iter().map(|row| row["totals"]["answered"].as_i64().unwrap()).sum()
    };
    assert_eq!(json!(answered(&seen)), overview["current"]["totals"]["answered"]);
    for row in &seen {
        let rate = &row["mention_rate"];
        // One prompt is no market: what varies is asking it again.
        assert!(rate["value"].is_null() || rate["estimand"] != "market", "{rate}");
        assert_eq!(rate["answers"], row["totals"]["answered"]);
    }
    let one = host.get("/v1/metrics/prompts?engine=brave").await.expect(200);
    assert!(answered(one["data"].as_array().unwrap()) < answered(&seen));

    let brands = host.get("/v1/metrics/brands").await.expect(200);
    assert_eq!(brands["data"][0]["current"], *brand);
    let rivals = host.get("/v1/metrics/brands?kind=competitor").await.expect(200);
    let count = |list: &Value| list.as_array().unwrap().len();
    assert_eq!(count(&rivals["tracked"]), count(&brands["data"]));
    assert_eq!(count(&rivals["data"]) + 1, count(&brands["data"]));
    assert_eq!(
        rivals["data"][0]["current"]["share_of_voice"],
        brands["data"][1]["current"]["share_of_voice"]
    );

    let sources = host.get("/v1/metrics/sources").await.expect(200);
    let sum: i64 = sources["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["cited"].as_i64().unwrap() + row["listed"].as_i64().unwrap())
        .sum();
    assert!(sum > 0);
    assert_eq!(sources["citations"], sum);

    for filter in
        ["intent=none", "topic=none", "persona=none", "language=fr", "country=DE", "tag=none"]
    {
        let empty = host.get(format!("/v1/metrics/overview?{filter}")).await.expect(200);
        assert_eq!(empty["current"]["totals"]["answered"], 0, "{filter}");
        let engines = host.get(format!("/v1/metrics/engines?{filter}")).await.expect(200);
        assert_eq!(engines["data"], json!([]), "{filter}");
    }
    let english = host.get("/v1/metrics/overview?language=en&country=US").await.expect(200);
    assert_eq!(english["current"]["totals"], overview["current"]["totals"]);
    let unknown = "/v1/metrics/engines?brand=019a0000-0000-7000-8000-000000000000";
    assert_eq!(host.get(unknown).await.status, 404);
}

#[tokio::test]
async fn a_domain_is_shown_in_its_words_and_an_opportunity_is_decided() {
    let host = Host::start().await;
    host.seed_demo(8).await;
    host.start_batch(2, "monday").await;
    host.work().await;
    let top = host.get("/v1/citations/top-domains?limit=1").await.expect(200);
    let domain = top["data"][0]["domain"].as_str().unwrap();
    let snippets = host.get(format!("/v1/citations/{domain}/snippets?limit=200")).await.expect(200);
    let rows = snippets["data"].as_array().unwrap();
    assert!(!rows.is_empty());
    let mut shown = 0;
    for row in rows {
        let id = row["answer_id"].as_str().unwrap();
        let answer = host.get(format!("/v1/answers/{id}")).await.expect(200);
        let cites = answer["citations"].as_array().unwrap().iter().any(|c| c["url"] == row["url"]);
        assert!(cites, "{row}");
        if let Some(text) = row["text"].as_str() {
            assert!(answer["text"].as_str().unwrap().contains(text.trim_matches('…')), "{text}");
            shown += 1;
        }
    }
    assert!(shown > 0);
    assert_eq!(host.get("/v1/citations/nowhere.example/snippets").await.status, 404);

    let list = host.get("/v1/citations/opportunities").await.expect(200);
    let best = &list["data"][0];
    assert!(best["score"].as_f64().unwrap() > 0.0 && best["status"] == "open", "{list:#}");
    let name = best["domain"].as_str().unwrap();
    let scores: Vec<f64> =
        list["data"].as_array().unwrap().iter().map(|o| o["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b));
    let path = format!("/v1/citations/opportunities/{name}");
    let done = json!({"status": "done", "note": "listed since Monday"});
    host.patch(&path, done).await.expect(200);
    let open = host.get("/v1/citations/opportunities?status=open&limit=200").await.expect(200);
    assert!(open["data"].as_array().unwrap().iter().all(|o| o["domain"] != name));
    let done = host.get("/v1/citations/opportunities?status=done").await.expect(200);
    assert_eq!(
        (&done["data"][0]["domain"], &done["data"][0]["note"]),
        (&json!(name), &json!("listed since Monday"))
    );
    let other = host.other_workspace().await;
    assert_eq!(other.patch(&path, json!({"status": "done"})).await.status, 404);
}

#[tokio::test]
async fn the_ledger_comes_in_pages_and_as_a_file() {
    let host = Host::start().await;
    host.seed_demo(3).await;
    host.start_batch(2, "monday").await;
    host.work().await;
    let mut seen = Vec::new();
    let mut path = "/v1/costs/ledger?limit=7&kind=settle".to_owned();
    loop {
        let page = host.get(&path).await.expect(200);
        seen.extend(page["data"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/costs/ledger?limit=7&kind=settle&cursor={cursor}");
    }
    let ids: std::collections::HashSet<&str> =
        seen.iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!((seen.len(), ids.len()), (3 * 3 * 2, 3 * 3 * 2));
    let sum: i64 = seen.iter().map(|line| line["cost_micros"].as_i64().unwrap()).sum();
    assert_eq!(host.get("/v1/costs").await.expect(200)["total_micros"], sum);

    let file = host.get("/v1/costs/ledger/export?kind=settle").await;
    assert_eq!(file.header("content-type"), Some("text/csv"));
    let file = file.expect(200);
    let lines: Vec<&str> = file.as_str().unwrap().lines().collect();
    assert_eq!(lines.len(), seen.len() + 1);
    assert!(lines[0].starts_with("day,created_at,engine,kind,cost_micros"));
    let engine = host.get("/v1/costs/ledger/export?kind=settle&engine=brave").await.expect(200);
    assert_eq!(engine.as_str().unwrap().lines().count(), 3 * 2 + 1);
}
