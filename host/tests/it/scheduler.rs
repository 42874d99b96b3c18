//! Slots fire once each, whoever looks, whatever the clock does.

use crate::support::Host;
use aiv::{
    ids::{ProcessId, ScheduleId},
    jobs::schedules::{self as clock, Cron, Pass, Scheduler},
    store::{
        batches, jobs, leaders,
        schedules::{self, CatchUp, Fire, Outcome, Schedule},
        workspaces::{self, WorkspacePatch},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use std::{collections::HashSet, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn set(host: &Host, at: &str) {
    host.app.clock.advance(utc(at) - host.app.clock.now());
}

fn scheduler(host: &Host) -> Scheduler {
    Scheduler::new(host.app.clone(), ProcessId::generate())
}

fn schedule(host: &Host, name: &str, cron: &str, zone: &str, catch_up: CatchUp) -> Schedule {
    let now = host.app.clock.now();
    let mut schedule = Schedule {
        id: ScheduleId::generate(),
        workspace_id: host.workspace.id,
        name: name.into(),
        queue: "runBatch".into(),
        cron: cron.into(),
        timezone: zone.into(),
        payload: json!({"prompts": null, "tags": [], "engines": null, "samples": 1}).into(),
        catch_up,
        jitter_seconds: 0,
        enabled: true,
        next_at: None,
        due_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    clock::aim(&mut schedule, &cron.parse().unwrap(), now);
    schedule
}

async fn add(host: &Host, cron: &str, zone: &str, catch_up: CatchUp) -> Schedule {
    let name = format!("{cron} in {zone}, {catch_up:?}");
    let schedule = schedule(host, &name, cron, zone, catch_up);
    let mut tx = host.app.store.begin().await.unwrap();
    assert!(schedules::insert(&mut tx, &schedule).await.unwrap());
    tx.commit().await.unwrap();
    schedule
}

/// What became of a schedule's slots, oldest first.
async fn fires(host: &Host, schedule: &Schedule) -> Vec<Fire> {
    let mut conn = host.app.store.read().await.unwrap();
    let mut fires = schedules::fires(&mut conn, schedule.workspace_id, schedule.id, None, 10_000)
        .await
        .unwrap();
    fires.reverse();
    fires
}

/// The slots that a schedule should have fired after it was made and until `end`.
fn expected(schedule: &Schedule, end: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let cron: Cron = schedule.cron.parse().unwrap();
    let zone = clock::zone(&schedule.timezone);
    std::iter::successors(cron.after(zone, schedule.created_at), |slot| cron.after(zone, slot.at))
        .map(|slot| slot.at)
        .take_while(|at| *at <= end)
        .collect()
}

async fn batch_count(host: &Host) -> usize {
    let mut conn = host.app.store.read().await.unwrap();
    batches::list(&mut conn, host.workspace.id, None, 10_000).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_schedulers_fire_each_slot_once_while_clocks_change_and_jump() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    for (start, end) in [
        ("2026-03-28T12:00:00Z", "2026-03-29T18:00:00Z"),
        ("2026-10-03T12:00:00Z", "2026-10-04T18:00:00Z"),
        ("2026-10-24T12:00:00Z", "2026-10-25T18:00:00Z"),
    ] {
        set(&host, start);
        let mut all = Vec::new();
        for (cron, zone) in [
            ("*/15 * * * *", "Europe/Copenhagen"),
            ("30 2 * * *", "Europe/Copenhagen"),
            ("0 * * * *", "Australia/Lord_Howe"),
            ("15 2 * * *", "Australia/Lord_Howe"),
        ] {
            all.push(add(&host, cron, zone, CatchUp::All).await);
        }
        let (mut one, mut other) = (scheduler(&host), scheduler(&host));
        let before = batch_count(&host).await;
        // On, back again, far on: the clock of a machine that is put right now and then.
        for minutes in [7, 20, -30, 90, 45, -10, 240, 1, 13].into_iter().cycle() {
            host.app.clock.advance(TimeDelta::minutes(minutes));
            if host.app.clock.now() > utc(end) {
                break;
            }
            let passes = tokio::join!(one.pass(), other.pass());
            assert_eq!((passes.0.unwrap().failed, passes.1.unwrap().failed), (0, 0));
        }
        set(&host, end);
        let passes = tokio::join!(one.pass(), other.pass());
        assert_eq!((passes.0.unwrap().failed, passes.1.unwrap().failed), (0, 0));
        // What one passed over because the other held it.
        one.pass().await.unwrap();

        let mut batch_ids = HashSet::new();
        for schedule in &all {
            let fires = fires(&host, schedule).await;
            assert!(fires.iter().all(|fire| fire.outcome == Outcome::Started), "{fires:#?}");
            let slots: Vec<_> = fires.iter().map(|fire| fire.slot).collect();
            assert_eq!(slots, expected(schedule, utc(end)), "{}", schedule.name);
            batch_ids.extend(fires.iter().map(|fire| fire.batch_id.unwrap()));
            let mut tx = host.app.store.begin().await.unwrap();
            schedules::delete(&mut tx, schedule.workspace_id, schedule.id).await.unwrap();
            tx.commit().await.unwrap();
        }
        assert!(batch_ids.len() > 100, "{}", batch_ids.len());
        assert_eq!(batch_count(&host).await - before, batch_ids.len());
    }
}

#[tokio::test]
async fn a_slot_in_the_gap_keeps_its_wall_time() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    set(&host, "2026-03-28T12:00:00Z");
    let nightly = add(&host, "30 2 * * *", "Europe/Copenhagen", CatchUp::One).await;
    set(&host, "2026-03-29T01:00:00Z");
    scheduler(&host).pass().await.unwrap();
    let fires = fires(&host, &nightly).await;
    assert_eq!(fires.len(), 1);
    assert_eq!(fires[0].slot, utc("2026-03-29T01:00:00Z"));
    assert_eq!(fires[0].local_time, "2026-03-29T02:30");
    let mut conn = host.app.store.read().await.unwrap();
    let batch = fires[0].batch_id.unwrap();
    let batch = batches::find(&mut conn, host.workspace.id, batch).await.unwrap();
    assert_eq!(batch.slot, "2026-03-29T01:00:00Z");
    assert_eq!(batch.created_by, format!("schedule:{}", nightly.id));
}

#[tokio::test]
async fn a_clock_set_back_before_a_change_repeats_no_slot() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    let hourly = add(&host, "@hourly", "UTC", CatchUp::One).await;
    let mut scheduler = scheduler(&host);
    host.app.clock.advance(TimeDelta::hours(1));
    scheduler.pass().await.unwrap();
    // Somebody changes the schedule while the clock is wrong: its next slot lies in the past.
    host.app.clock.advance(TimeDelta::minutes(-30));
    let path = format!("/v1/schedules/{}", hourly.id);
    host.patch(&path, json!({"jitter_seconds": 1})).await.expect(200);
    host.patch(&path, json!({"jitter_seconds": 0})).await.expect(200);
    host.app.clock.advance(TimeDelta::minutes(30));
    scheduler.pass().await.unwrap();
    assert_eq!(batch_count(&host).await, 1);
    host.app.clock.advance(TimeDelta::hours(1));
    scheduler.pass().await.unwrap();
    assert_eq!(batch_count(&host).await, 2);
    let slots: Vec<_> = fires(&host, &hourly).await.iter().map(|fire| fire.slot).collect();
    assert_eq!(slots, [utc("2026-01-01T01:00:00Z"), utc("2026-01-01T02:00:00Z")]);
}

#[tokio::test]
async fn a_scheduler_that_dies_at_any_moment_leaves_the_slot_to_be_fired() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    let hourly = add(&host, "@hourly", "UTC", CatchUp::One).await;
    let mut first = scheduler(&host);
    first.pass().await.unwrap();
    host.app.clock.advance(TimeDelta::hours(1));
    let mut patience = 1.0;
    let mut died = 0;
    loop {
        let done = tokio::select! {
            biased;
            pass = first.pass() => pass.unwrap().handled,
            () = turns(patience) => { died += 1; 0 }
        };
        // Either all of it happened or nothing. The database may be about to commit what the dead
        // one asked for last: what changes while it is read is read again.
        let fired = loop {
            let fired = fires(&host, &hourly).await.len();
            let made = batch_count(&host).await;
            if fires(&host, &hourly).await.len() == fired {
                assert_eq!(made, fired);
                break fired;
            }
        };
        if fired > 0 || done > 0 {
            break;
        }
        patience *= 1.05;
    }
    assert!(died > 0, "it never died");
    scheduler(&host).pass().await.unwrap();
    assert_eq!((fires(&host, &hourly).await.len(), batch_count(&host).await), (1, 1));
}

/// Lets others go on for some turns.
async fn turns(turns: f64) {
    let mut left = turns;
    while left > 0.0 {
        tokio::task::yield_now().await;
        left -= 1.0;
    }
}

#[tokio::test]
async fn slots_that_passed_are_caught_up_as_the_schedule_says() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    let none = add(&host, "0 9 * * *", "UTC", CatchUp::None).await;
    let one = add(&host, "0 9 * * *", "UTC", CatchUp::One).await;
    let all = add(&host, "0 9 * * *", "UTC", CatchUp::All).await;
    let often = add(&host, "@hourly", "UTC", CatchUp::All).await;
    // Nobody works until the tenth.
    set(&host, "2026-01-10T10:30:00Z");
    let pass = scheduler(&host).pass().await.unwrap();
    assert_eq!(pass.failed, 0);

    let tell = |fires: Vec<Fire>| -> Vec<(String, Outcome, i64)> {
        fires
            .into_iter()
            .map(|f| (f.slot.format("%d %H").to_string(), f.outcome, f.slots))
            .collect()
    };
    let missed = |slot: &str, slots| (slot.to_owned(), Outcome::Missed, slots);
    let started = |slot: &str| (slot.to_owned(), Outcome::Started, 1);
    assert_eq!(tell(fires(&host, &none).await), [missed("01 09", 10)]);
    assert_eq!(tell(fires(&host, &one).await), [missed("01 09", 9), started("10 09")]);
    let each: Vec<_> = (1..=10).map(|day| started(&format!("{day:02} 09"))).collect();
    assert_eq!(tell(fires(&host, &all).await), each);
    // 226 hours passed, and the newest hundred are made up for.
    let often = tell(fires(&host, &often).await);
    assert_eq!((often.len(), &often[0]), (101, &missed("01 01", 126)));
    assert!(often[1..].iter().all(|(_, outcome, _)| *outcome == Outcome::Started));
    assert_eq!(often[100], started("10 10"));
}

#[tokio::test]
async fn a_thousand_schedules_due_at_once_fire_in_bounded_passes() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    let mut tx = host.app.store.begin().await.unwrap();
    for number in 0..1000 {
        let row = schedule(&host, &format!("{number}"), "@hourly", "UTC", CatchUp::One);
        assert!(schedules::insert(&mut tx, &row).await.unwrap());
    }
    tx.commit().await.unwrap();
    host.app.clock.advance(TimeDelta::hours(1));
    let mut scheduler = scheduler(&host);
    for left in [500, 0] {
        assert_eq!(scheduler.pass().await.unwrap(), Pass { handled: 500, failed: 0 });
        assert_eq!(batch_count(&host).await, 1000 - left);
    }
    assert_eq!(scheduler.pass().await.unwrap(), Pass::default());
}

#[tokio::test]
async fn a_refused_start_is_recorded_and_the_schedule_goes_on() {
    let host = Host::start().await;
    let daily = add(&host, "0 9 * * *", "UTC", CatchUp::One).await;
    let mut scheduler = scheduler(&host);
    set(&host, "2026-01-01T09:00:00Z");
    scheduler.pass().await.unwrap();
    host.seed_demo(1).await;
    let workspace = format!("/v1/workspaces/{}", host.workspace.id);
    host.patch(&workspace, json!({"daily_budget_micros": 0})).await.expect(200);
    set(&host, "2026-01-02T09:00:00Z");
    scheduler.pass().await.unwrap();
    host.patch(&workspace, json!({"daily_budget_micros": null})).await.expect(200);
    set(&host, "2026-01-03T09:00:00Z");
    scheduler.pass().await.unwrap();

    let fires = fires(&host, &daily).await;
    let outcomes: Vec<_> = fires.iter().map(|fire| fire.outcome).collect();
    assert_eq!(outcomes, [Outcome::Refused, Outcome::Refused, Outcome::Started]);
    assert!(fires[0].reason.as_ref().unwrap().contains("no enabled engine"), "{fires:#?}");
    assert!(fires[1].reason.as_ref().unwrap().contains("budget"), "{fires:#?}");
    assert_eq!(batch_count(&host).await, 1);
}

#[tokio::test]
async fn every_workspace_has_its_day_before_counted_again_at_two_by_its_clock() {
    let host = Host::start().await;
    let other = host.other_workspace().await;
    let mut scheduler = scheduler(&host);
    scheduler.pass().await.unwrap();
    let listed = host.get("/v1/schedules").await.expect(200);
    let daily = &listed["data"][0];
    assert_eq!(
        (&daily["kind"], &daily["cron"]),
        (&json!("daily_aggregations"), &json!("0 2 * * *"))
    );
    assert_eq!(daily["next"]["slot"], "2026-01-01T02:00:00Z");
    assert_eq!(other.get("/v1/schedules").await.expect(200)["data"].as_array().unwrap().len(), 1);
    let path = format!("/v1/schedules/{}", daily["id"].as_str().unwrap());
    assert_eq!(host.patch(&path, json!({"enabled": false})).await.status, 409);
    assert_eq!(host.delete(&path).await.status, 409);

    // A workspace that moves takes its night along.
    let mut tx = host.app.store.begin().await.unwrap();
    let tokyo = WorkspacePatch { timezone: Some("Asia/Tokyo".into()), ..WorkspacePatch::default() };
    let now = host.app.clock.now();
    workspaces::update(&mut tx, other.workspace.id, None, tokyo, now).await.unwrap();
    tx.commit().await.unwrap();
    host.app.clock.advance(TimeDelta::minutes(2));
    scheduler.pass().await.unwrap();
    let moved = other.get("/v1/schedules").await.expect(200);
    assert_eq!(moved["data"][0]["next"]["slot"], "2026-01-01T17:00:00Z");
    assert_eq!(moved["data"][0]["next"]["local_time"], "2026-01-02T02:00");

    for at in ["2026-01-01T02:11:00Z", "2026-01-01T17:11:00Z"] {
        set(&host, at);
        scheduler.pass().await.unwrap();
        scheduler.pass().await.unwrap();
    }
    let mut conn = host.app.store.read().await.unwrap();
    let counts = jobs::counts(&mut conn).await.unwrap();
    let daily: Vec<_> = counts.iter().filter(|count| count.queue == "dailyAggregations").collect();
    assert_eq!((daily.len(), daily[0].jobs), (1, 2));
    drop(conn);
    host.work().await;
}

#[tokio::test]
async fn the_loop_fires_under_a_lease_and_gives_it_up_at_its_end() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    let hourly = add(&host, "@hourly", "UTC", CatchUp::One).await;
    host.app.clock.advance(TimeDelta::hours(1));
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(scheduler(&host).run(stop.clone()));
    tasks.spawn(scheduler(&host).run(stop.clone()));
    for _ in 0..1000 {
        if !fires(&host, &hourly).await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(fires(&host, &hourly).await.len(), 1);
    let (now, me) = (host.app.clock.now(), ProcessId::generate());
    let lead = async || {
        let mut tx = host.app.store.begin().await.unwrap();
        let until = now + TimeDelta::seconds(15);
        let leads = leaders::acquire(&mut tx, "scheduler", me, until, now).await.unwrap();
        tx.commit().await.unwrap();
        leads
    };
    assert!(!lead().await);
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    assert!(lead().await);
}
