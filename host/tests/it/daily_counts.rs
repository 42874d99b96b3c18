//! Counts added with each run against counts made from the runs.

use crate::support::Host;
use aiv::store::daily_counts;
use chrono::Days;

#[tokio::test]
async fn a_rebuilt_day_is_the_day_that_was_counted_as_it_went() {
    let host = Host::start().await;
    host.seed_demo(10).await;
    host.start_batch(2, "monday").await;
    host.work().await;

    let today = host.workspace.day(host.app.clock.now());
    let before = everything(&host, today).await;
    assert!(before.len() > 20, "{before:#?}");
    for _ in 0..2 {
        let mut tx = host.app.store.begin().await.unwrap();
        daily_counts::rebuild(&mut tx, host.workspace.id, today).await.unwrap();
        tx.commit().await.unwrap();
        assert_same(&before, &everything(&host, today).await);
    }
}

#[tokio::test]
async fn an_empty_day_stays_empty() {
    let host = Host::start().await;
    let day = host.workspace.day(host.app.clock.now());
    let mut tx = host.app.store.begin().await.unwrap();
    daily_counts::rebuild(&mut tx, host.workspace.id, day).await.unwrap();
    tx.commit().await.unwrap();
    assert!(everything(&host, day).await.is_empty());
}

async fn everything(host: &Host, day: chrono::NaiveDate) -> Vec<String> {
    let mut conn = host.app.store.read().await.unwrap();
    let from = day.checked_sub_days(Days::new(2)).unwrap();
    let id = host.workspace.id;
    let mut rows = Vec::new();
    for row in daily_counts::prompts(&mut conn, id, from, day).await.unwrap() {
        rows.push(format!("{row:?}"));
    }
    for row in daily_counts::brands(&mut conn, id, from, day).await.unwrap() {
        rows.push(format!("{row:?}"));
    }
    for row in daily_counts::top_domains(&mut conn, id, from, day, 1000).await.unwrap() {
        rows.push(format!("{row:?}"));
    }
    rows
}

#[track_caller]
fn assert_same(before: &[String], after: &[String]) {
    for (before, after) in before.iter().zip(after) {
        assert_eq!(before, after);
    }
    assert_eq!(before.len(), after.len());
}
