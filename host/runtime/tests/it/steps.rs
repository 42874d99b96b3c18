//! Honest guests.

use std::sync::Arc;

use aiv_runtime::types::{
    Absence, CostBasis, ErrorKind, Event, HttpMethod, LogLevel, Moment, Outcome, Step,
    TransportError, Value,
};
use tokio::task::JoinSet;

use crate::support::{hostile, query, response, state, text};

const LATER: Moment = Moment { now_unix: 1_790_000_002.0, seed: 42 };

#[tokio::test]
async fn a_fetch_is_asked_for_and_its_response_read() {
    let plugin = hostile().await;
    let first = plugin.start(&query("echo")).await.unwrap();
    let Step::Fetch { request, .. } = &first.step else { panic!("{:?}", first.step) };
    assert_eq!(request.method, HttpMethod::Get);
    assert_eq!(request.url, "https://api.example.com/echo");
    assert_eq!(request.query, [("q".to_owned(), Value::Text("x".to_owned()))]);
    let last = plugin.resume(state(&first), &response("Grüße"), LATER).await.unwrap();
    assert_eq!(text(&last), "Grüße");
    assert!(last.peak_memory > 0 && last.peak_memory < 8 << 20, "{}", last.peak_memory);
    assert!(last.took >= last.cpu / 2);
}

#[tokio::test]
async fn two_fetches_carry_their_state() {
    let plugin = hostile().await;
    let first = plugin.start(&query("two-steps")).await.unwrap();
    let second = plugin.resume(state(&first), &response("one"), LATER).await.unwrap();
    let last = plugin.resume(state(&second), &response("two"), LATER).await.unwrap();
    assert_eq!(text(&last), "one+two");
}

#[tokio::test]
async fn a_pause_is_asked_for() {
    let plugin = hostile().await;
    let first = plugin.start(&query("pause")).await.unwrap();
    let Step::Pause { delay_ms, .. } = first.step else { panic!("{:?}", first.step) };
    assert_eq!(delay_ms, 500);
    let last = plugin.resume(state(&first), &Event::Resumed, LATER).await.unwrap();
    assert_eq!(text(&last), "resumed");
    let failed = Event::TransportError(TransportError::Dns);
    plugin.resume(state(&first), &failed, LATER).await.unwrap();
}

#[tokio::test]
async fn absence_and_failure_are_results() {
    let plugin = hostile().await;
    let absent = plugin.start(&query("absent")).await.unwrap().step;
    assert!(matches!(absent, Step::Done(Outcome::Absent(a)) if a.reason == Absence::NotTriggered));
    let Step::Failed(failure) = plugin.start(&query("fail")).await.unwrap().step else {
        panic!("did not fail")
    };
    assert_eq!(failure.kind, ErrorKind::QuotaExhausted);
    assert_eq!(failure.kind.as_str(), "quota-exhausted");
    assert_eq!(failure.retry_after_ms, Some(60_000));
    assert_eq!(failure.spent.map(|c| (c.micro_usd, c.basis)), Some((7, CostBasis::Reported)));
}

#[tokio::test]
async fn a_health_check_is_a_request_or_nothing() {
    let plugin = hostile().await;
    let request = plugin.health_check("{}", LATER).await.unwrap();
    assert_eq!(request.map(|r| r.url).as_deref(), Some("https://api.example.com/health"));
    assert_eq!(plugin.health_check("none", LATER).await.unwrap(), None);
    let refused = plugin.health_check("foreign", LATER).await.unwrap_err();
    assert!(refused.message.contains("evil.example"), "{refused}");
}

#[tokio::test]
async fn logs_and_stderr_are_captured() {
    let report = hostile().await.start(&query("log")).await.unwrap();
    assert_eq!(report.logs.len(), 1);
    assert_eq!((report.logs[0].level, report.logs[0].message.as_str()), (LogLevel::Info, "hello"));
    assert_eq!(report.stderr, "to stderr\n");
}

#[tokio::test]
async fn steps_share_no_memory() {
    let plugin = hostile().await;
    for _ in 0..3 {
        assert_eq!(text(&plugin.start(&query("remember")).await.unwrap()), "1");
    }
}

#[tokio::test]
async fn the_world_is_inert_and_the_same_each_time() {
    let plugin = hostile().await;
    let seen = plugin.start(&query("world")).await.unwrap();
    for says in
        ["now=Ok(1790000000500)", "elapsed=0ns", "args=0", "vars=0", "passwd=false", "root=false"]
    {
        assert!(text(&seen).contains(says), "{} lacks {says}", text(&seen));
    }
    let again = plugin.start(&query("world")).await.unwrap();
    assert_eq!(text(&seen), text(&again));
    let mut other = query("world");
    other.seed = 43;
    assert_ne!(text(&seen), text(&plugin.start(&other).await.unwrap()));
}

#[tokio::test]
async fn steps_survive_json() {
    let plugin = hostile().await;
    let step = plugin.start(&query("echo")).await.unwrap().step;
    let json = serde_json::to_value(&step).unwrap();
    assert_eq!(json["fetch"]["state"], "ZWNobw==");
    assert_eq!(json["fetch"]["request"]["method"], "get");
    assert_eq!(serde_json::from_value::<Step>(json).unwrap(), step);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_thousand_steps_run_side_by_side() {
    let plugin = hostile().await;
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let plugin = Arc::clone(&plugin);
        tasks.spawn(async move {
            for n in 0..125 {
                let body = format!("{task}/{n}");
                let first = plugin.start(&query("echo")).await.unwrap();
                let last = plugin.resume(state(&first), &response(&body), LATER).await.unwrap();
                assert_eq!(text(&last), body);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}
