//! Money across processes: exact limits, true books, and who may see and change what.

use crate::support::{
    Host,
    process::{aiv, text},
};
use aiv::{
    Clock,
    ids::{LedgerEntryId, RunId},
    store::{
        api_keys::Role,
        budget_audit::{self, Difference},
        budgets::{self, Books, Closing, Policy, Verdict, Want},
        costs::LedgerEntry,
        workspaces::{self, WorkspacePatch},
    },
};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::time::Instant;
use tokio::task::JoinSet;

const DAY: &str = "2026-01-01";

fn want(host: &Host, micros: i64, urgent: bool) -> Want {
    Want {
        run: RunId::generate(),
        attempt: 1,
        workspace: host.workspace.id,
        engine: "brave".into(),
        day: DAY.parse().unwrap(),
        micros,
        urgent,
        synthetic: host.workspace.synthetic,
    }
}

async fn limit(host: &Host, micros: Option<i64>) {
    let patch = WorkspacePatch { daily_budget_micros: Some(micros), ..WorkspacePatch::default() };
    let mut tx = host.app.store.begin().await.unwrap();
    workspaces::update(&mut tx, host.workspace.id, None, patch, host.app.clock.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn reserve(host: &Host, policy: &Policy, wants: &[Want]) -> Vec<Verdict> {
    let now = host.app.clock.now();
    let mut books = Books::default();
    let mut tx = host.app.store.begin().await.unwrap();
    let verdicts = budgets::reserve(&mut tx, &mut books, wants, policy, now).await.unwrap();
    tx.commit().await.unwrap();
    verdicts
}

async fn close(host: &Host, want: &Want, kind: &str, micros: i64) {
    let now = host.app.clock.now();
    let entry = LedgerEntry {
        id: LedgerEntryId::generate(),
        workspace_id: want.workspace,
        run_id: want.run,
        attempt: want.attempt,
        kind: kind.into(),
        engine: want.engine.clone(),
        micros,
        basis: "reported".into(),
        synthetic: want.synthetic,
        day: want.day,
        created_at: now,
    };
    let mut books = Books::default();
    let mut tx = host.app.store.begin().await.unwrap();
    let closing = Closing { entry, guess: false };
    budgets::close(&mut tx, &mut books, vec![closing]).await.unwrap();
    books.post(&mut tx, &Policy::default(), now).await.unwrap();
    tx.commit().await.unwrap();
}

/// Reserved and spent of the workspace today.
async fn own(host: &Host) -> (i64, i64) {
    let mut conn = host.app.store.read().await.unwrap();
    let (id, now) = (host.workspace.id, host.app.clock.now());
    let day = DAY.parse().unwrap();
    let rows = budgets::today(&mut conn, id, day, &Policy::default(), now).await.unwrap();
    (rows[1].level.reserved, rows[1].level.spent)
}

async fn audit(host: &Host) {
    let mut conn = host.app.store.read().await.unwrap();
    let differences = budget_audit::audit(&mut conn, DAY.parse().unwrap()).await.unwrap();
    assert_eq!(differences, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_finds_what_the_books_do_not_say_and_repairs_it() {
    let host = Host::start().await;
    // A doctor looks at the days around the real one.
    let now = Clock::default().now();
    let wrong = Difference {
        scope: "workspace",
        workspace: host.workspace.id.0,
        engine: String::new(),
        reserved: 0,
        spent: 0,
        ledger_reserved: 3,
        ledger_spent: 70,
    };
    let mut tx = host.app.store.begin().await.unwrap();
    budget_audit::correct(&mut tx, now.date_naive(), &wrong, now).await.unwrap();
    tx.commit().await.unwrap();
    let files = tempfile::tempdir().unwrap();
    let doctor = |more: &[&str]| {
        let mut command = aiv(files.path());
        command.args(["doctor", "--json"]).args(more);
        command.env("DATABASE_URL", host.app.config.database.url.expose_secret());
        let output = command.output().unwrap();
        let checks: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut checks = checks.as_array().unwrap().clone();
        checks.retain(|check| check["name"] == "budgets");
        assert_eq!(checks.len(), 1, "{}", text(&output));
        checks.remove(0)
    };
    let found = doctor(&[]);
    assert_eq!(found["verdict"], "warning");
    let detail = found["detail"].as_str().unwrap();
    for part in ["70 spent and 3 reserved", "ledger 0 and 0", "--repair-budgets"] {
        assert!(detail.contains(part), "{detail}");
    }
    assert_eq!(doctor(&["--repair-budgets"])["verdict"], "ok");
    assert_eq!(doctor(&[])["detail"], "they say what the ledger says");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_clients_get_exactly_what_a_budget_allows() {
    let host = Host::start().await;
    limit(&host, Some(2000)).await;
    let clients = (0..64).map(|_| {
        let host = host.with_key("");
        async move {
            let mut granted = 0;
            for _ in 0..5 {
                let wants: Vec<_> = (0..10).map(|_| want(&host, 1, true)).collect();
                let verdicts = reserve(&host, &Policy::default(), &wants).await;
                granted += verdicts.iter().filter(|v| **v == Verdict::Granted).count();
            }
            granted
        }
    });
    let clients: JoinSet<usize> = clients.collect();
    let granted: usize = clients.join_all().await.into_iter().sum();
    assert_eq!(granted, 2000);
    assert_eq!(own(&host).await, (2000, 0));
    audit(&host).await;
}

#[tokio::test]
async fn a_group_is_granted_as_far_as_the_money_goes_in_order() {
    let host = Host::start().await;
    limit(&host, Some(25)).await;
    let wants: Vec<_> = [10, 10, 10, 5].map(|micros| want(&host, micros, true)).into();
    let verdicts = reserve(&host, &Policy::default(), &wants).await;
    let granted: Vec<_> = verdicts.iter().map(|v| *v == Verdict::Granted).collect();
    assert_eq!(granted, [true, true, false, true]);
    let Verdict::Refused(why) = &verdicts[2] else { panic!("{verdicts:?}") };
    assert!(why.starts_with("budget: the workspace's budget"), "{why}");

    close(&host, &wants[0], "settle", 12).await;
    close(&host, &wants[0], "release", 0).await;
    close(&host, &wants[1], "release", 0).await;
    assert_eq!(own(&host).await, (5, 12));
    // A changed limit counts at once.
    limit(&host, Some(0)).await;
    assert_ne!(reserve(&host, &Policy::default(), &wants[..1]).await, [Verdict::Granted]);
    audit(&host).await;
}

#[tokio::test]
async fn a_budget_that_runs_low_is_kept_for_those_who_wait() {
    let host = Host::start().await;
    limit(&host, Some(100)).await;
    let policy = Policy { throttle_at: Some(0.8), platform_micros: None };
    let wants = [want(&host, 80, true), want(&host, 1, false), want(&host, 1, true)];
    let verdicts = reserve(&host, &policy, &wants).await;
    assert_eq!(verdicts, [Verdict::Granted, Verdict::PutOff, Verdict::Granted]);
    let platform = Policy { throttle_at: None, platform_micros: Some(81) };
    let verdict = reserve(&host, &platform, &[want(&host, 1, true)]).await.remove(0);
    assert!(matches!(&verdict, Verdict::Refused(why) if why.contains("platform")), "{verdict:?}");
}

#[tokio::test]
async fn a_batch_over_a_small_budget_ends_partly() {
    let host = Host::start().await;
    host.seed_demo(6).await;
    limit(&host, Some(120_000)).await;
    let batch = host.post("/v1/batches", json!({"samples": 2})).await.expect(202);
    host.work().await;
    let id = batch["id"].as_str().unwrap();
    let ended = host.get(format!("/v1/batches/{id}")).await.expect(200);
    let (succeeded, skipped) = (&ended["runs"]["succeeded"], &ended["runs"]["skipped"]);
    assert_eq!(ended["state"], "completed");
    assert!(succeeded.as_i64() > Some(0) && skipped.as_i64() > Some(0), "{ended:#}");
    let runs = host.get("/v1/runs?limit=200").await.expect(200);
    let runs = runs["data"].as_array().unwrap();
    for run in runs.iter().filter(|run| run["state"] == "skipped") {
        assert!(run["reason"].as_str().unwrap().starts_with("budget: "), "{run:#}");
    }
    let (reserved, spent) = own(&host).await;
    assert_eq!((reserved, Some(spent)), (0, ended["cost_micros"].as_i64()));
    audit(&host).await;
}

#[tokio::test]
async fn a_tenant_sees_its_own_budget_and_changes_nobodys() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    limit(&host, Some(1_000_000)).await;
    let other = host.other_workspace().await;
    reserve(&host, &Policy::default(), &[want(&host, 30, true)]).await;
    let seen = host.get("/v1/budget").await.expect(200);
    assert_eq!(
        (&seen["state"], &seen["levels"][1]["reserved_micros"]),
        (&json!("normal"), &30.into())
    );
    assert!(seen["levels"][0].get("spent_micros").is_none(), "{seen:#}");
    let foreign = other.get("/v1/budget").await.expect(200);
    assert_eq!(foreign["levels"][1]["reserved_micros"], 0);

    let throttle = format!("/v1/admin/throttle/{}", host.workspace.id);
    let stopped = json!({"state": "stopped", "reason": "a test"});
    assert_eq!(other.put(&throttle, stopped.clone()).await.status, 403);
    assert_eq!(host.put("/v1/admin/budget", json!({"limit_micros": 0})).await.status, 403);
    assert_eq!(host.get(&throttle).await.status, 403);
    assert_eq!(host.delete(&throttle).await.status, 403);
    host.post("/v1/batches", json!({})).await.expect(202);
}

#[tokio::test]
async fn an_operator_stops_a_workspace_and_the_platform() {
    let host = Host::start().await;
    host.seed_demo(1).await;
    let key = host.create_key(host.workspace.id, Role::Owner, &["admin:*"]).await;
    let operator = host.with_key(key);
    let throttle = format!("/v1/admin/throttle/{}", host.workspace.id);
    let late = json!({"state": "stopped", "reason": "x", "until": "2020-01-01T00:00:00Z"});
    assert_eq!(operator.put(&throttle, late).await.status, 422);
    assert_eq!(operator.get(&throttle).await.status, 404);
    let unknown = format!("/v1/admin/throttle/{}", RunId::generate());
    let stopped = json!({"state": "stopped", "reason": "a test"});
    assert_eq!(operator.put(&unknown, stopped.clone()).await.status, 404);

    operator.put(&throttle, stopped).await.expect(200);
    let refused = host.post("/v1/batches", json!({})).await;
    assert_eq!((refused.status, &refused.body["code"]), (402, &json!("budget_exceeded")));
    assert_eq!(host.get("/v1/budget").await.expect(200)["state"], "stopped");
    operator.delete(&throttle).await.expect(204);
    assert_eq!(host.get("/v1/budget").await.expect(200)["state"], "normal");

    operator.put("/v1/admin/budget", json!({"limit_micros": 0})).await.expect(200);
    assert_eq!(host.post("/v1/batches", json!({})).await.status, 402);
    let open = operator.put("/v1/admin/budget", json!({})).await.expect(200);
    assert!(open.get("limit_micros").is_none(), "{open:#}");
    host.post("/v1/batches", json!({})).await.expect(202);
}

/// What a sequence does to one call.
#[derive(Debug, Clone)]
enum Step {
    Reserve(i64),
    Settle(usize, i64),
    Release(usize),
}

#[test]
fn the_books_follow_a_model() {
    let step = prop_oneof![
        (1..40_i64).prop_map(Step::Reserve),
        (0..20_usize, 0..60_i64).prop_map(|(call, micros)| Step::Settle(call, micros)),
        (0..20_usize).prop_map(Step::Release),
    ];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(ProptestConfig { cases: 8, ..ProptestConfig::default() });
    let tested = runner.run(&vec(step, 1..40), |steps| {
        runtime.block_on(async {
            let host = Host::start().await;
            limit(&host, Some(200)).await;
            let (mut calls, mut reserved, mut spent) = (Vec::new(), 0, 0);
            for step in steps {
                match step {
                    Step::Reserve(micros) => {
                        let call = want(&host, micros, true);
                        let wants = std::slice::from_ref(&call);
                        let verdict = reserve(&host, &Policy::default(), wants).await.remove(0);
                        let fits = spent + reserved + micros <= 200;
                        assert_eq!(verdict == Verdict::Granted, fits, "{verdict:?}");
                        if fits {
                            reserved += micros;
                            calls.push((call, true));
                        }
                    }
                    Step::Settle(index, micros) => {
                        let Some((call, open)) = calls.get_mut(index) else { continue };
                        close(&host, call, "settle", micros).await;
                        if std::mem::take(open) {
                            reserved -= call.micros;
                            spent += micros;
                        }
                    }
                    Step::Release(index) => {
                        let Some((call, open)) = calls.get_mut(index) else { continue };
                        close(&host, call, "release", 0).await;
                        if std::mem::take(open) {
                            reserved -= call.micros;
                        }
                    }
                }
                assert_eq!(own(&host).await, (reserved, spent));
            }
            audit(&host).await;
        });
        Ok(())
    });
    tested.unwrap();
}

/// `TEST_DATABASE_URL=… cargo test --release --test it budgets::throughput -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "a measurement"]
async fn throughput() {
    let host = Host::start().await;
    let started = Instant::now();
    let writers = (0..4).map(|_| {
        let host = host.with_key("");
        async move {
            for _ in 0..40 {
                let wants: Vec<_> = (0..256).map(|_| want(&host, 1, true)).collect();
                reserve(&host, &Policy::default(), &wants).await;
            }
        }
    });
    writers.collect::<JoinSet<()>>().join_all().await;
    let calls = 4 * 40 * 256;
    let per_second = f64::from(calls) / started.elapsed().as_secs_f64();
    println!("{calls} calls reserved, {per_second:.0} per second");
}
