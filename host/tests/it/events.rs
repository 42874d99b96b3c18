//! Events: written with their cause, published in order, streamed to who may hear them.

use crate::support::{Answer, Host};
use aiv::store::{
    api_keys::Role,
    events::{self, EventType, NewEvent},
};
use chrono::TimeDelta;
use futures_util::{Stream, StreamExt};
use serde_json::{Value, json};
use std::{pin::Pin, time::Duration};

pub(crate) async fn happen(host: &Host, n: i64) {
    let mut tx = host.app.store.begin().await.unwrap();
    let data = json!({"n": n});
    let event = NewEvent::new(host.workspace.id, EventType::BatchCompleted, n.to_string(), data);
    events::insert(&mut tx, &[event], host.app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

/// What has been published for the workspace.
async fn published(host: &Host) -> Vec<events::Event> {
    let mut conn = host.app.store.read().await.unwrap();
    events::list(&mut conn, host.workspace.id, 0, 100).await.unwrap()
}

/// An open stream of events.
pub(crate) struct Listener {
    chunks: Pin<Box<dyn Stream<Item = Vec<u8>> + Send>>,
    text: String,
}

impl Listener {
    pub(crate) async fn open(host: &Host, query: &str, last: Option<&str>) -> Self {
        let mut request = host.client.get(format!("/v1/events{query}"));
        if !host.key().is_empty() {
            request = request.header("x-api-key", host.key());
        }
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await;
        assert_eq!(response.0.status(), 200);
        assert_eq!(response.0.content_type(), Some("text/event-stream"));
        let chunks = response.0.into_body().into_bytes_stream();
        let chunks = Box::pin(chunks.map(|chunk| chunk.unwrap().to_vec()));
        let mut listener = Listener { chunks, text: String::new() };
        listener.until("connected\n\n").await;
        listener
    }

    async fn until(&mut self, text: &str) {
        let read = async {
            while !self.text.contains(text) {
                let chunk = self.chunks.next().await.expect("the stream ended");
                self.text.push_str(&String::from_utf8(chunk).unwrap());
            }
        };
        let read = tokio::time::timeout(Duration::from_secs(10), read);
        assert!(read.await.is_ok(), "{text:?} did not come: {:?}", self.text);
    }

    /// The next `count` events: id and document.
    pub(crate) async fn next(&mut self, count: usize) -> Vec<(String, Value)> {
        self.text.clear();
        let mut events = vec![];
        while events.len() < count {
            self.until("\n\n").await;
            let (frame, rest) = self.text.split_once("\n\n").unwrap();
            let field = |name: &str| {
                frame.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
            };
            if let (Some(id), Some(data)) = (field("id: "), field("data: ")) {
                events.push((id, serde_json::from_str(&data).unwrap()));
            }
            self.text = rest.to_string();
        }
        events
    }
}

pub(crate) fn numbers(events: &[(String, Value)]) -> Vec<i64> {
    events.iter().map(|(_, event)| event["data"]["n"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn events_have_positions_once_they_are_published() {
    let host = Host::start().await;
    for n in 0..3 {
        happen(&host, n).await;
    }
    assert!(published(&host).await.is_empty());
    assert_eq!(host.publish().await, 3);
    assert_eq!(host.publish().await, 0);
    happen(&host, 3).await;
    host.publish().await;
    let events = published(&host).await;
    let positions: Vec<_> = events.iter().map(|event| event.position.unwrap()).collect();
    assert_eq!(positions, [1, 2, 3, 4]);
    let subjects: Vec<_> = events.iter().map(|event| event.subject.as_str()).collect();
    assert_eq!(subjects, ["0", "1", "2", "3"]);

    host.app.clock.advance(TimeDelta::days(31));
    happen(&host, 4).await;
    host.publish().await;
    assert_eq!(published(&host).await.len(), 1, "old ones are forgotten");
}

#[tokio::test]
async fn many_who_publish_at_once_leave_no_gap_and_no_double() {
    let host = Host::start().await;
    for n in 0..50 {
        happen(&host, n).await;
    }
    let counts = futures_util::future::join_all((0..4).map(|_| host.publish())).await;
    assert_eq!(counts.iter().sum::<usize>(), 50);
    let positions: Vec<_> =
        published(&host).await.iter().map(|event| event.position.unwrap()).collect();
    assert_eq!(positions, (1..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_cause_that_is_undone_leaves_no_event() {
    let host = Host::start().await;
    let mut tx = host.app.store.begin().await.unwrap();
    let event = NewEvent::new(host.workspace.id, EventType::BatchCompleted, "1".into(), json!({}));
    events::insert(&mut tx, &[event], host.app.clock.now()).await.unwrap();
    drop(tx);
    assert_eq!(host.publish().await, 0);
}

#[tokio::test]
async fn a_stream_goes_on_where_it_broke_off() {
    let host = Host::start().await;
    let neighbour = host.other_workspace().await;
    happen(&host, 0).await;
    host.publish().await;
    let mut listener = Listener::open(&host, "", None).await;
    happen(&neighbour, 99).await;
    happen(&host, 1).await;
    happen(&host, 2).await;
    host.publish().await;
    let heard = listener.next(2).await;
    assert_eq!(numbers(&heard), [1, 2], "what was before is not told, nor what others do");
    assert_eq!(heard[0].1["type"], "batch.completed");
    assert_eq!(heard[0].1["id"], json!(heard[0].0));
    drop(listener);

    happen(&host, 3).await;
    host.publish().await;
    let mut again = Listener::open(&host, "", Some(&heard[0].0)).await;
    assert_eq!(numbers(&again.next(2).await), [2, 3]);
    let query = format!("?last_event_id={}", heard[1].0);
    let mut again = Listener::open(&host, &query, None).await;
    assert_eq!(numbers(&again.next(1).await), [3]);

    // The place of another workspace is no place here.
    for id in [heard[0].0.as_str(), "x"] {
        let refused = neighbour.get(format!("/v1/events?last_event_id={id}")).await;
        assert_eq!((refused.status, &refused.body["code"]), (400, &json!("malformed")));
    }
}

#[tokio::test]
async fn a_page_of_events_and_more_arrives_whole() {
    let host = Host::start().await;
    happen(&host, 0).await;
    host.publish().await;
    let first = published(&host).await[0].id.to_string();
    for n in 1..=230 {
        happen(&host, n).await;
    }
    host.publish().await;
    let mut listener = Listener::open(&host, "", Some(&first)).await;
    assert_eq!(numbers(&listener.next(230).await), (1..=230).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_ticket_opens_one_stream_within_a_minute() {
    let host = Host::start().await;
    let take = || async {
        let taken = host.post("/v1/stream-tickets", json!({})).await.expect(200);
        taken["ticket"].as_str().unwrap().to_owned()
    };
    let browser = host.anonymous();
    let ticket = take().await;
    let query = format!("?ticket={ticket}");
    // It is of use for nothing else.
    assert_eq!(browser.get(format!("/v1/prompts{query}")).await.status, 401);
    let mut listener = Listener::open(&browser, &query, None).await;
    happen(&host, 1).await;
    host.publish().await;
    assert_eq!(numbers(&listener.next(1).await), [1]);
    assert_eq!(browser.get(format!("/v1/events{query}")).await.status, 401, "used up");
    assert_eq!(browser.get("/v1/events?ticket=x").await.status, 401);

    let late = take().await;
    host.app.clock.advance(TimeDelta::seconds(61));
    assert_eq!(browser.get(format!("/v1/events?ticket={late}")).await.status, 401);
}

#[tokio::test]
async fn a_stream_takes_no_key_in_its_address() {
    let host = Host::start().await;
    let refused = host.anonymous().get(format!("/v1/events?api_key={}", host.key())).await;
    assert_eq!(refused.status, 401);
    let writer = host.create_key(host.workspace.id, Role::Member, &["write"]).await;
    assert_eq!(host.with_key(writer).get("/v1/events").await.status, 403);
    let answer: Answer = host.anonymous().get("/v1/events").await;
    assert_eq!(answer.body["code"], "unauthenticated");
}

#[tokio::test]
async fn a_budget_says_once_that_it_runs_low_and_once_that_it_is_used_up() {
    let host = Host::start().await;
    host.seed_demo(4).await;
    let set = json!({"daily_budget_micros": 30_000});
    host.patch(format!("/v1/workspaces/{}", host.workspace.id), set).await.expect(200);
    host.start_batch(3, "s1").await;
    host.work().await;
    host.publish().await;
    let told: Vec<_> = published(&host)
        .await
        .into_iter()
        .filter(|event| event.kind != EventType::BatchCompleted)
        .collect();
    let kinds: Vec<_> = told.iter().map(|event| event.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == EventType::BudgetExceeded).count(), 1);
    assert!(kinds.iter().filter(|kind| **kind == EventType::BudgetThrottled).count() <= 1);
    let last = told.last().unwrap();
    assert_eq!(last.data["scope"], "workspace");
    assert_eq!(last.data["limit_micros"], 30_000);

    let done = published(&host).await;
    let batch = done.iter().find(|event| event.kind == EventType::BatchCompleted).unwrap();
    assert!(batch.data["skipped"].as_i64().unwrap() > 0, "{:#}", batch.data.0);
}

#[tokio::test]
async fn an_engine_that_needs_attention_says_so_once() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    let mut tx = host.app.store.begin().await.unwrap();
    let (id, now) = (host.workspace.id, host.app.clock.now());
    let mark = aiv::store::engines::mark;
    assert!(mark(&mut tx, id, "perplexity", "auth: no", now).await.unwrap());
    assert!(!mark(&mut tx, id, "perplexity", "auth: no", now).await.unwrap());
    tx.commit().await.unwrap();
}
