//! What becomes of paid answers when the writing goes wrong, and of counts when two write.

use crate::support::Host;
use aiv::{
    ids::BatchId,
    jobs,
    queue::{Worker, WorkerConfig},
    store::{
        Store,
        batches::{self, BatchState},
        daily_counts, raw_payloads,
        runs::{self, RunFilter, RunState},
    },
};
use std::{sync::Arc, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

async fn execute(store: &Store, sql: &'static str) {
    match store {
        Store::Postgres(pool) => sqlx::query(sql).execute(pool).await.map(drop).unwrap(),
        Store::Sqlite { writer, .. } => sqlx::query(sql).execute(writer).await.map(drop).unwrap(),
    }
}

async fn all_runs(host: &Host, batch: BatchId) -> Vec<runs::Run> {
    let mut conn = host.app.store.read().await.unwrap();
    let filter = RunFilter { batch: Some(batch), ..RunFilter::default() };
    runs::list(&mut conn, host.workspace.id, &filter, None, 200).await.unwrap()
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_is_kept_and_not_paid_for_again() {
    let host = Host::start().await;
    host.seed_demo(2).await;
    let batch = host.start_batch(1, "monday").await;
    execute(&host.app.store, "ALTER TABLE answers RENAME TO answers_gone").await;
    // Every try of every job fails, until nobody tries any more.
    host.work().await;

    let mut failed = 0;
    for run in all_runs(&host, batch).await {
        assert_eq!(run.attempts, 1, "one call, however often its answer was tried to be written");
        if run.state != RunState::Failed {
            continue;
        }
        failed += 1;
        let mut conn = host.app.store.read().await.unwrap();
        let made = runs::attempts(&mut conn, host.workspace.id, run.number).await.unwrap();
        assert_eq!((made.len(), made[0].state.as_str()), (1, "fetched"), "{made:#?}");
        let digest = made[0].raw_digest.as_ref().unwrap();
        let raw = raw_payloads::find(&mut conn, host.workspace.id, digest).await.unwrap();
        assert!(String::from_utf8(raw.unwrap()).unwrap().contains("outcome"));
    }
    assert!(failed > 0, "the recordings hold answers");
}

/// Two workers share lanes, prompts, domains and the end of the batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_count_every_run_once_and_never_wait_for_each_other_in_a_ring() {
    let host = Host::start().await;
    host.seed_demo(10).await;
    let batch = host.start_batch(6, "monday").await;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    for _ in 0..2 {
        let handlers = Arc::new(jobs::Context::new(host.app.clone(), &tasks));
        let config =
            WorkerConfig { poll_every: Duration::from_millis(5), ..WorkerConfig::default() };
        let (store, clock) = (host.app.store.clone(), host.app.clock.clone());
        let worker = Worker::embedded(config, store, clock, host.app.queue.clone(), handlers);
        tasks.spawn(worker.run(stop.clone()));
    }
    let mut left = 6000;
    loop {
        let mut conn = host.app.store.read().await.unwrap();
        let found = batches::find(&mut conn, host.workspace.id, batch).await.unwrap();
        if found.state == BatchState::Completed {
            break;
        }
        left -= 1;
        assert!(left > 0, "the batch did not end");
        // For runs that are tried again after a recorded outage.
        host.app.clock.advance(chrono::TimeDelta::milliseconds(10));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;

    let today = host.workspace.day(host.app.clock.now());
    let id = host.workspace.id;
    let mut conn = host.app.store.read().await.unwrap();
    let progress = batches::progress(&mut conn, id, batch).await.unwrap();
    assert_eq!((progress.succeeded, progress.total()), (180, 180), "{progress:?}");
    let counted = daily_counts::prompts(&mut conn, id, today, today).await.unwrap();
    drop(conn);
    let mut tx = host.app.store.begin().await.unwrap();
    daily_counts::rebuild(&mut tx, id, today).await.unwrap();
    let rebuilt = daily_counts::prompts(&mut tx, id, today, today).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(format!("{counted:?}"), format!("{rebuilt:?}"));

    if let Store::Postgres(pool) = &host.app.store {
        let deadlocks: i64 = sqlx::query_scalar(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        assert_eq!(deadlocks, 0);
    }
}
