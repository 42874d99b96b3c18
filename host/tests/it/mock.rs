//! Vendors that are played on this machine, asked by the real client through the real egress.

use crate::support::{
    Host,
    process::{aiv, text},
};
use aiv::ids::BatchId;
use aiv_bench::mock::{Control, Fault, FaultKind, Mock, Vendor};
use serde_json::{Value, json};

async fn mocked() -> (Mock, Host) {
    let mock = Mock::start().await.unwrap();
    let host = Host::start_mocked(mock.url()).await;
    host.seed_demo(4).await;
    host.post("/v1/brands", json!({"name": "Asana", "kind": "competitor"})).await.expect(201);
    (mock, host)
}

async fn batch(host: &Host, id: BatchId) -> Value {
    host.get(format!("/v1/batches/{id}")).await.expect(200)
}

#[tokio::test]
async fn a_mocked_batch_is_asked_once_and_counted_as_synthetic() {
    let (mock, host) = mocked().await;
    let id = host.start_batch(1, "monday").await;
    host.work().await;

    let done = batch(&host, id).await;
    assert_eq!((&done["state"], &done["runs"]["succeeded"]), (&json!("completed"), &json!(12)));
    assert!(done["cost_micros"].as_i64().unwrap() > 0);
    let stats = mock.stats();
    assert_eq!((stats.all.calls, stats.all.answered, stats.prompts), (12, 12, 12));
    assert_eq!((stats.asked_again, stats.answered_again, stats.all.in_flight), (0, 0, 0));
    assert!(mock.calls().iter().all(|asked| (asked.calls, asked.second_calls) == (1, 0)));

    let runs = host.get(format!("/v1/runs?batch={id}")).await.expect(200);
    let mut mentions = 0;
    for run in runs["data"].as_array().unwrap() {
        assert_eq!(run["synthetic"], true);
        let answer = host.get(format!("/v1/answers/{}", run["id"].as_str().unwrap())).await;
        let answer = answer.expect(200);
        assert!(!answer["citations"].as_array().unwrap().is_empty());
        mentions += answer["mentions"].as_array().unwrap().len();
    }
    assert!(mentions > 12, "{mentions}");
}

#[tokio::test]
async fn an_overview_behind_a_token_takes_a_second_call() {
    let (mock, host) = mocked().await;
    mock.control(Control { page_token_rate: 1.0, ..Control::default() });
    let id = host.start_batch(1, "monday").await;
    host.work().await;
    assert_eq!(batch(&host, id).await["runs"]["succeeded"], 12);
    let asked = mock.calls();
    let overviews = asked.iter().filter(|asked| asked.vendor == Vendor::Serpapi);
    assert!(overviews.map(|asked| (asked.calls, asked.second_calls)).eq([(1, 1); 4]));
    assert_eq!((mock.stats().all.calls, mock.stats().asked_again), (16, 0));
}

#[tokio::test]
async fn faults_are_met_as_they_were_ordered() {
    for kind in [
        FaultKind::TooMany,
        FaultKind::Broken,
        FaultKind::Overloaded,
        FaultKind::Reset,
        FaultKind::Truncate,
    ] {
        let (mock, host) = mocked().await;
        let fault = Fault { first: Some(1), vendor: Some(Vendor::Brave), ..Fault::new(kind) };
        mock.control(Control { faults: vec![fault], ..Control::default() });
        let id = host.start_batch(1, "monday").await;
        host.work().await;
        assert_eq!(batch(&host, id).await["runs"]["succeeded"], 12, "{kind:?}");
        let brave = &mock.stats().vendors[&Vendor::Brave];
        assert_eq!((brave.calls, brave.answered, brave.faults[&kind]), (8, 4, 4), "{kind:?}");
        assert_eq!(mock.stats().answered_again, 0);
    }
}

#[test]
fn only_this_machine_may_play_the_vendors() {
    let files = tempfile::tempdir().unwrap();
    let check = |url: Option<&str>| {
        let mut command = aiv(files.path());
        command.args(["config", "check"]).env("PROVIDER_MODE", "mock");
        command.envs(url.map(|url| ("PROVIDER_MOCK_URL", url)));
        command.output().unwrap()
    };
    for refused in [
        None,
        Some("http://192.168.0.1:80"),
        Some("http://vendor.example"),
        Some("https://127.0.0.1"),
        Some("http://127.0.0.1:80/path"),
        Some("http://user@127.0.0.1:80"),
        Some("127.0.0.1:80"),
    ] {
        let output = check(refused);
        assert!(!output.status.success(), "{refused:?}");
        assert!(text(&output).contains("PROVIDER_MOCK_URL"), "{}", text(&output));
    }
    for allowed in ["http://127.0.0.1:4010", "http://localhost:4010/", "http://[::1]:4010"] {
        let output = check(Some(allowed));
        assert!(output.status.success(), "{}", text(&output));
    }
}
