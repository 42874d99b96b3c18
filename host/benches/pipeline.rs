//! Runs per second from a batch to its last committed row: real components, recorded answers, a
//! SQLite file, one process.
//!
//! `cargo bench -p aiv --bench pipeline`, after `make plugins`.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should say where")]

use aiv::{
    App, Clock,
    config::{Config, ProviderMode},
    ids::WorkspaceId,
    jobs,
    providers::replay::{self, DemoPrompt},
    queue::{Worker, WorkerConfig},
    seed,
    store::{
        batches::{self, BatchState},
        workspaces::{self, Workspace},
    },
};
use aiv_runtime::{Runtime, RuntimeConfig};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Prompts × 3 engines: the runs of one batch, so many that waiting for the few that are tried again
/// after a recorded outage does not show.
const PROMPTS: usize = 3000;

fn pipeline(criterion: &mut Criterion) {
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let files = tempfile::tempdir().unwrap();
    let (app, workspace) = tokio.block_on(open(files.path()));
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    tokio.block_on(async {
        let handlers = Arc::new(jobs::Context::new(app.clone(), &tasks));
        let (store, clock) = (app.store.clone(), app.clock.clone());
        let config = WorkerConfig::default();
        tasks.spawn(
            Worker::embedded(config, store, clock, app.queue.clone(), handlers).run(stop.clone()),
        );
    });

    let mut group = criterion.benchmark_group("pipeline");
    group.sample_size(10).measurement_time(Duration::from_mins(1));
    group.throughput(Throughput::Elements(3 * PROMPTS as u64));
    group.bench_function("sqlite", |bencher| {
        bencher.iter_custom(|iterations| {
            tokio.block_on(async {
                let started = Instant::now();
                for _ in 0..iterations {
                    run_batch(&app, workspace).await;
                }
                started.elapsed()
            })
        });
    });
    group.finish();
    stop.cancel();
    tasks.close();
    tokio.block_on(tasks.wait());
}

async fn open(folder: &Path) -> (App, WorkspaceId) {
    let mut config = Config::defaults().unwrap();
    config.database.url = format!("sqlite:{}", folder.join("aiv.db").display()).into();
    config.providers.mode = ProviderMode::Replay;
    config.providers.plugin_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist");
    let runtime = Arc::new(Runtime::new(RuntimeConfig::new(folder.join("cache"))).unwrap());
    let app = App::open(config, Clock::default(), runtime).await.unwrap();
    let now = app.clock.now();
    let workspace = Workspace::new("Bench", true, now);
    let id = workspace.id;
    let mut tx = app.store.begin().await.unwrap();
    workspaces::insert(&mut tx, &workspace).await.unwrap();
    let mut set = replay::demo().clone();
    let prompts = set.prompts.into_iter().cycle().take(PROMPTS).enumerate();
    set.prompts = prompts
        .map(|(number, prompt)| DemoPrompt {
            text: format!("{} ({number})", prompt.text),
            ..prompt
        })
        .collect();
    seed::fill(&mut tx, id, &set, &app.providers, now).await.unwrap();
    tx.commit().await.unwrap();
    (app, id)
}

/// One batch of a slot of its own, from the plan to the last run's commit.
async fn run_batch(app: &App, workspace: WorkspaceId) {
    let request = jobs::BatchRequest { samples: 1, ..jobs::BatchRequest::default() };
    let mut tx = app.store.begin().await.unwrap();
    let plan = jobs::plan_batch(app, &mut tx, workspace, request).await.unwrap();
    let batch = jobs::start_batch(app, &mut tx, workspace, plan, "bench").await.unwrap();
    tx.commit().await.unwrap();
    app.queue.wake();
    loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut conn = app.store.read().await.unwrap();
        let found = batches::find(&mut conn, workspace, batch.id).await.unwrap();
        if found.state == BatchState::Completed {
            return;
        }
    }
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
