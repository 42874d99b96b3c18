//! From a batch to numbers, through the real components.

use crate::support::Host;
use aiv::{
    metrics::{self, Scope, Window},
    store::{
        batches::{self, BatchState},
        costs,
        runs::{self, RunFilter, RunState},
        workspaces::Workspace,
    },
};

#[tokio::test]
async fn a_batch_ends_with_every_run_counted_once() {
    let host = Host::start().await;
    host.seed_demo(6).await;
    let batch = host.start_batch(2, "monday").await;
    host.work().await;

    let mut conn = host.app.store.read().await.unwrap();
    let found = batches::find(&mut conn, host.workspace.id, batch).await.unwrap();
    let progress = batches::progress(&mut conn, host.workspace.id, batch).await.unwrap();
    assert_eq!((found.state, found.planned), (BatchState::Completed, 6 * 3 * 2));
    assert_eq!(progress.total(), found.planned);
    assert_eq!((progress.succeeded, progress.failed), (found.planned, 0), "{progress:?}");

    let filter = RunFilter { batch: Some(batch), ..RunFilter::default() };
    let all = runs::list(&mut conn, host.workspace.id, &filter, None, 200).await.unwrap();
    assert!(all.iter().all(|run| run.state == RunState::Succeeded && run.outcome.is_some()));
    let today = host.workspace.day(host.app.clock.now());
    let spent = costs::spent_on(&mut conn, host.workspace.id, today).await.unwrap();
    assert_eq!(spent, all.iter().map(|run| run.cost_micros).sum::<i64>());
    assert!(spent > 0);

    let window = Window::last(7, today);
    let counts =
        metrics::load(&mut conn, &host.workspace, window, &Scope::default()).await.unwrap();
    let overview = counts.overview();
    let counted = overview.totals.answered + overview.totals.no_answer;
    let branded = Scope { branded: true, ..Scope::default() };
    let branded = metrics::load(&mut conn, &host.workspace, window, &branded).await.unwrap();
    let branded = branded.overview().totals;
    assert_eq!(counted + branded.answered + branded.no_answer, found.planned);
    assert_eq!(overview.engines.len(), 3);
    assert!(overview.synthetic);
}

#[tokio::test]
async fn a_slot_is_asked_once() {
    let host = Host::start().await;
    host.seed_demo(2).await;
    host.start_batch(1, "monday").await;
    host.work().await;
    let again = host.start_batch(1, "monday").await;
    host.work().await;

    let mut conn = host.app.store.read().await.unwrap();
    let found = batches::find(&mut conn, host.workspace.id, again).await.unwrap();
    let progress = batches::progress(&mut conn, host.workspace.id, again).await.unwrap();
    assert_eq!((found.state, progress.total()), (BatchState::Completed, 0));
}

#[tokio::test]
async fn the_same_questions_get_the_same_numbers() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let host = Host::start().await;
        host.seed_demo(8).await;
        host.start_batch(2, "monday").await;
        host.work().await;
        let mut conn = host.app.store.read().await.unwrap();
        let window = Window::last(7, host.workspace.day(host.app.clock.now()));
        let counts =
            metrics::load(&mut conn, &host.workspace, window, &Scope::default()).await.unwrap();
        let mut overview = serde_json::to_value(counts.overview()).unwrap();
        for brand in overview["brands"].as_array_mut().unwrap() {
            brand["brand"].take();
        }
        seen.push(overview);
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn a_cancelled_batch_asks_nothing_more() {
    let host = Host::start().await;
    host.seed_demo(4).await;
    let batch = host.start_batch(1, "monday").await;
    let mut tx = host.app.store.begin().await.unwrap();
    batches::cancel(&mut tx, host.workspace.id, batch, host.app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    host.work().await;

    let mut conn = host.app.store.read().await.unwrap();
    let progress = batches::progress(&mut conn, host.workspace.id, batch).await.unwrap();
    assert_eq!((progress.succeeded, progress.cost_micros), (0, 0), "{progress:?}");
}

#[tokio::test]
async fn a_run_of_an_engine_that_is_gone_is_skipped_with_the_reason() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    let batch = host.start_batch(1, "monday").await;
    let mut tx = host.app.store.begin().await.unwrap();
    aiv::store::engines::delete(&mut tx, host.workspace.id, "brave", None).await.unwrap();
    tx.commit().await.unwrap();
    host.work().await;

    let mut conn = host.app.store.read().await.unwrap();
    let filter =
        RunFilter { batch: Some(batch), engine: Some("brave".into()), ..RunFilter::default() };
    let skipped = runs::list(&mut conn, host.workspace.id, &filter, None, 10).await.unwrap();
    assert_eq!(skipped[0].state, RunState::Skipped);
    assert_eq!(skipped[0].reason.as_deref(), Some("engine brave is not configured"));
    let found = batches::find(&mut conn, host.workspace.id, batch).await.unwrap();
    assert_eq!(found.state, BatchState::Completed);
}

#[tokio::test]
async fn a_run_without_a_credential_fails_and_names_the_variable() {
    let host = Host::start_live().await;
    host.seed_demo(1).await;
    let batch = host.start_batch(1, "monday").await;
    host.work().await;

    let mut conn = host.app.store.read().await.unwrap();
    let filter = RunFilter { batch: Some(batch), ..RunFilter::default() };
    let failed = runs::list(&mut conn, host.workspace.id, &filter, None, 10).await.unwrap();
    assert_eq!(failed.len(), 3);
    for run in failed {
        assert_eq!((run.state, run.error_kind.as_deref()), (RunState::Failed, Some("auth")));
        let detail = run.error_detail.unwrap();
        let variable = match run.engine.as_str() {
            "perplexity" => "PERPLEXITY_API_KEY",
            "aio" => "SERPAPI_KEY",
            _ => "BRAVE_API_KEY",
        };
        assert!(detail.contains(variable), "{detail}");
        assert_eq!(run.cost_micros, 0);
    }
    let found = batches::find(&mut conn, host.workspace.id, batch).await.unwrap();
    assert_eq!(found.state, BatchState::Completed);
    for engine in aiv::store::engines::list(&mut conn, host.workspace.id).await.unwrap() {
        assert_eq!(engine.needs_attention, None, "setting the variable is all there is to do");
    }
}

#[tokio::test]
async fn recordings_never_count_in_a_live_workspace() {
    let host = Host::start().await;
    let live = Workspace::new("Live", false, host.app.clock.now());
    let live = host.workspace_like(live).await;
    live.seed_demo(2).await;
    live.start_batch(1, "monday").await;
    live.work().await;

    let mut conn = live.app.store.read().await.unwrap();
    let all =
        runs::list(&mut conn, live.workspace.id, &RunFilter::default(), None, 10).await.unwrap();
    assert!(all.iter().all(|run| run.synthetic && run.outcome.is_some()));
    let window = Window::last(7, live.workspace.day(live.app.clock.now()));
    let counts =
        metrics::load(&mut conn, &live.workspace, window, &Scope::default()).await.unwrap();
    assert_eq!(counts.overview().totals, metrics::Totals::default());
}
