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
