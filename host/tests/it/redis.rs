//! Redis shared by processes, and what happens when it freezes, forgets or dies.

use crate::support::{self, Host, server::RedisServer};
use aiv::redis::{Cache, CacheSpec, Rate, RateLimits, Redis, check};
use serde_json::json;
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

const SPEC: CacheSpec =
    CacheSpec { name: "test", version: 1, lives: Duration::from_secs(20), bytes: 1 << 20 };

/// As a process of its own would open it.
fn open(url: &str) -> Redis {
    Redis::open(&url.to_owned().into()).unwrap()
}

/// Four clients ask for 5 s as fast as they may; tells how much was granted.
async fn drain(limits: [RateLimits; 4], key: &str, rate: Rate) -> u32 {
    let until = Instant::now() + Duration::from_secs(5);
    let askers = limits.into_iter().map(|limits| async move {
        let mut granted = 0;
        while Instant::now() < until {
            granted += limits.take(key, rate, 1).await.granted;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        granted
    });
    futures_util::future::join_all(askers).await.into_iter().sum()
}

#[tokio::test]
async fn a_rate_holds_across_processes_and_without_redis() {
    let Some(url) = support::redis_url() else { return };
    let rate = Rate { per_minute: 3_000, burst: 10 };
    let key = uuid::Uuid::now_v7().to_string();
    let shared = [(); 4].map(|()| RateLimits::new(Some(open(&url))));
    let apart = [(); 4].map(|()| {
        let limits = RateLimits::new(Some(open("redis://127.0.0.1:1")));
        limits.set_instances(4);
        limits
    });
    let (with, without) = tokio::join!(drain(shared, &key, rate), drain(apart, &key, rate));
    println!("granted with Redis: {with}, without: {without}");
    assert!((250..=260).contains(&with), "granted {with}");
    assert!((230..=275).contains(&without), "granted {without}");
}

#[tokio::test]
async fn several_tokens_are_taken_at_once() {
    let Some(url) = support::redis_url() else { return };
    let (limits, rate) = (RateLimits::new(Some(open(&url))), Rate { per_minute: 60, burst: 10 });
    let key = uuid::Uuid::now_v7().to_string();
    let first = limits.take(&key, rate, 7).await;
    assert_eq!((first.granted, first.remaining), (7, 3));
    let second = limits.take(&key, rate, 7).await;
    assert_eq!((second.granted, second.remaining), (3, 0));
    assert!(second.retry_after > Duration::ZERO && second.retry_after <= Duration::from_secs(1));
    assert_eq!(limits.take(&key, rate, 1).await.granted, 0);
    // A faster rate is not held back by what a slower one has promised.
    let faster = Rate { per_minute: 60_000, burst: 10 };
    limits.take(&key, faster, 10).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(limits.take(&key, faster, 10).await.granted > 0);
}

#[tokio::test]
async fn a_server_that_forgets_or_drops_is_told_apart() {
    let Some(server) = RedisServer::start(&["--maxmemory-policy", "allkeys-lru"]).await else {
        return;
    };
    let (version, findings) = check(&open(&server.url())).await.unwrap();
    assert!(!version.is_empty());
    let names: Vec<_> = findings.iter().map(|finding| finding.name).collect();
    assert_eq!(names, ["redis memory", "redis persistence"]);
}

/// Takes one token until Redis grants it, and says how long that took. The burst tells who
/// answers: alone, one of a thousand processes has a burst of one.
async fn until_shared(limits: &RateLimits, rate: Rate) -> Duration {
    let started = Instant::now();
    while limits.take(&uuid::Uuid::now_v7().to_string(), rate, 1).await.remaining == 0 {
        assert!(started.elapsed() < Duration::from_secs(5), "Redis is not used again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    started.elapsed()
}

/// Every call is answered, and soon.
async fn answered_alone(limits: &RateLimits, rate: Rate) {
    let mut alone = 0;
    for n in 0..100 {
        let started = Instant::now();
        let taken = limits.take(&format!("alone:{}", uuid::Uuid::now_v7()), rate, 1).await;
        let took = started.elapsed();
        assert_eq!(taken.granted, 1);
        // 50 ms, and what a busy machine adds.
        assert!(took < Duration::from_millis(150), "call {n} took {took:?}");
        alone += u32::from(taken.remaining == 0);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(alone >= 95, "Redis answered {} of 100 calls", 100 - alone);
}

#[tokio::test]
async fn redis_may_freeze_forget_and_die() {
    let Some(mut server) = RedisServer::start(&["--appendonly", "yes"]).await else { return };
    let host = Host::start_with_redis(&server.url()).await;
    let limits = RateLimits::new(Some(open(&server.url())));
    limits.set_instances(1_000);
    let rate = Rate { per_minute: 60_000, burst: 100 };
    until_shared(&limits, rate).await;
    assert_eq!(host.get("/readyz").await.expect(200)["redis"], "connected");

    server.freeze();
    answered_alone(&limits, rate).await;
    host.get("/v1/brands").await.expect(200);
    // The answer is two seconds old at most.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let answer = host.get("/readyz").await.expect(200);
    let told = (&answer["status"], &answer["redis"], &answer["queues"]);
    assert_eq!(told, (&json!("ready"), &json!("disconnected"), &json!("degraded")));
    server.thaw();
    let frozen = until_shared(&limits, rate).await;

    server.flush().await;
    assert_eq!(limits.take("after", rate, 1).await.remaining, 99);

    server.kill();
    answered_alone(&limits, rate).await;
    host.get("/v1/brands").await.expect(200);
    server.restart().await;
    let killed = until_shared(&limits, rate).await;
    println!("in use again after a freeze: {frozen:?}, after a restart: {killed:?}");
    assert!(frozen < Duration::from_secs(1), "{frozen:?}");
    assert!(killed < Duration::from_secs(1), "{killed:?}");
}

#[tokio::test]
async fn the_api_limit_is_one_for_all_processes() {
    let Some(url) = support::redis_url() else { return };
    let host = Host::start_with_redis(&url).await;
    let remaining = |answer: support::Answer| -> u32 {
        let text = answer.header("ratelimit").unwrap().to_owned();
        let rest = text.split_once("r=").unwrap().1;
        rest.split(';').next().unwrap().parse().unwrap()
    };
    let before = remaining(host.get("/v1/brands").await);
    // Another process with the same database and Redis.
    let mut other = host.with_key(host.key());
    other.app.request_rates = RateLimits::new(Some(open(&url)));
    let other = other.with_key(host.key());
    for _ in 0..30 {
        other.get("/v1/brands").await.expect(200);
    }
    let after = remaining(host.get("/v1/brands").await);
    assert!(after + 15 < before, "{before} before, {after} after");
}

#[tokio::test]
async fn a_cache_is_shared_and_may_vanish() {
    let Some(mut server) = RedisServer::start(&[]).await else { return };
    let calls = AtomicU32::new(0);
    let make = || async { Ok(calls.fetch_add(1, Ordering::Relaxed)) };
    let process = || Cache::new(SPEC, Some(open(&server.url())));
    assert_eq!(process().get("tenant-a:x", make()).await.unwrap(), 0);
    // Another process finds it, another tenant does not, another version does not read it.
    assert_eq!(process().get("tenant-a:x", make()).await.unwrap(), 0);
    assert_eq!(process().get("tenant-b:x", make()).await.unwrap(), 1);
    let newer = CacheSpec { version: 2, ..SPEC };
    let newer = Cache::new(newer, Some(open(&server.url())));
    assert_eq!(newer.get("tenant-a:x", make()).await.unwrap(), 2);
    // What cannot be read is made again.
    let odd = process().get("tenant-a:x", async { Ok("text".to_owned()) }).await.unwrap();
    assert_eq!(odd, "text");
    assert!(server.every_key_ends().await);

    server.flush().await;
    assert_eq!(process().get("tenant-a:x", make()).await.unwrap(), 3);
    let lonely = process();
    server.kill();
    for n in 0..20 {
        let started = Instant::now();
        assert_eq!(lonely.get(&format!("k{n}"), make()).await.unwrap(), 4 + n);
        assert!(started.elapsed() < Duration::from_millis(250), "{:?}", started.elapsed());
    }
}
