//! Reports: made in the background from real numbers, once or by the clock.

use crate::support::Host;
use aiv::{ids::ProcessId, jobs::schedules::Scheduler, store::events};
use chrono::TimeDelta;
use serde_json::{Value, json};

async fn ready(host: &Host, body: Value) -> (String, Value) {
    let answer = host.post("/v1/reports", body).await;
    let path = answer.header("location").unwrap_or_default().to_owned();
    assert_eq!(answer.expect(202)["state"], "queued");
    host.work().await;
    let report = host.get(&path).await.expect(200);
    (path, report)
}

#[tokio::test]
async fn a_report_tells_what_the_overview_tells() {
    let host = Host::start().await;
    host.seed_demo(3).await;
    host.start_batch(1, "s1").await;
    host.work().await;
    let today = json!({"title": "First <day>", "from": "2026-01-01", "to": "2026-01-01"});
    let (path, report) = ready(&host, today).await;
    assert_eq!(report["state"], "ready", "{report:#}");
    let overview = host.get("/v1/metrics/overview?from=2026-01-01&to=2026-01-01").await.expect(200);
    let (content, current) = (&report["content"]["current"], &overview["current"]);
    assert_eq!(content["answered"], current["totals"]["answered"]);
    assert_eq!(content["answer_rate"]["value"], current["answer_rate"]["value"]);
    let rate = &content["brands"][0]["mention_rate"];
    assert_eq!(rate["value"], current["brands"][0]["mention_rate"]["value"]);
    assert!(content["answered"].as_i64().unwrap() > 0);
    assert_eq!(report["content"]["synthetic"], true);
    assert!(report["content"]["costs"][0]["calls"].as_i64().unwrap() > 0);

    let list = host.get("/v1/reports").await.expect(200);
    assert_eq!(list["data"][0].get("content"), None);
    let get = async |format: &str| host.get(format!("{path}/download?format={format}")).await;
    let html = get("html").await;
    assert_eq!(html.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(html.header("content-disposition").unwrap().ends_with(".html\""));
    let html = html.body.as_str().unwrap().to_owned();
    assert!(html.contains("First &lt;day&gt;") && !html.contains("<day>"), "{html}");
    let markdown = get("markdown").await.body.as_str().unwrap().to_owned();
    assert!(markdown.contains("| mention rate |") && markdown.contains("recordings"), "{markdown}");
    let csv = get("csv").await.body.as_str().unwrap().to_owned();
    let lines: Vec<_> = csv.lines().collect();
    assert_eq!(lines[0], "from,to,subject,metric,value,low,high,answers");
    assert!(lines.iter().all(|line| line.matches(',').count() >= 7), "{csv}");
    assert_eq!(get("json").await.expect(200), report["content"]);
    assert_eq!(get("pdf").await.status, 400);

    host.publish().await;
    let mut conn = host.app.store.read().await.unwrap();
    let told = events::list(&mut conn, host.workspace.id, 0, 10).await.unwrap();
    assert!(told.iter().any(|event| event.kind.as_str() == "report.generated"));
    drop(conn);
    host.delete(&path).await.expect(204);
    assert_eq!(host.get(&path).await.status, 404);
}

#[tokio::test]
async fn a_report_of_nothing_says_nothing() {
    let host = Host::start().await;
    let answer = host.post("/v1/reports", json!({})).await;
    let path = answer.header("location").unwrap().to_owned();
    let queued = answer.expect(202);
    assert_eq!(queued["window"], json!({"from": "2025-12-02", "to": "2025-12-31"}));
    let early = host.get(format!("{path}/download")).await;
    assert_eq!((early.status, &early.body["code"]), (409, &json!("conflict")));
    host.work().await;
    let report = host.get(&path).await.expect(200);
    let current = &report["content"]["current"];
    assert_eq!(current["answer_rate"]["value"], Value::Null);
    assert_eq!(current["answer_rate"]["reason"], "no_runs");
    assert_eq!(current["brands"], json!([]));
    for (field, value) in [("title", json!(" ")), ("from", json!("2027-01-01"))] {
        let mut body = json!({"to": "2026-01-01"});
        body[field] = value;
        let refused = host.post("/v1/reports", body).await.expect(422);
        assert_eq!(refused["errors"][0]["pointer"], format!("/{field}"));
    }
}

#[tokio::test]
async fn a_schedule_makes_reports() {
    let host = Host::start().await;
    let weekly = json!({"name": "mondays", "cron": "0 7 * * 1",
                        "report": {"title": "The week", "days": 7}});
    let made = host.post("/v1/schedules", weekly).await;
    let path = made.header("location").unwrap().to_owned();
    let made = made.expect(201);
    assert_eq!((&made["kind"], made.get("batch")), (&json!("build_report"), None));
    host.app.clock.advance(TimeDelta::days(5));
    Scheduler::new(host.app.clone(), ProcessId::generate()).pass().await.unwrap();
    host.work().await;
    let reports = host.get("/v1/reports").await.expect(200);
    let report = &reports["data"][0];
    assert_eq!((&report["title"], &report["state"]), (&json!("The week"), &json!("ready")));
    assert_eq!(report["window"], json!({"from": "2025-12-29", "to": "2026-01-04"}));
    assert_eq!(report["schedule_id"], made["id"]);

    let refused = host.patch(&path, json!({"batch": {}})).await.expect(422);
    assert_eq!(refused["errors"][0]["pointer"], "/batch");
    let changed = host.patch(&path, json!({"report": {"title": "Seven"}})).await.expect(200);
    assert_eq!(changed["report"], json!({"title": "Seven", "days": 7}));
    let both = json!({"name": "x", "cron": "@daily", "batch": {}, "report": {}});
    let refused = host.post("/v1/schedules", both).await.expect(422);
    assert_eq!(refused["errors"][0]["pointer"], "/report");
}
