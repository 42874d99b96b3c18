//! A workspace with a million runs: pages of the list at a steady rate, and an export of all.

use super::{
    machine::resident,
    ours::Installation,
    report::{Report, figure, note, rounded, table},
    stage::Stage,
};
use aiv_bench::{host::text, http::Api};
use anyhow::{Context, ensure};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

const RUNS: u32 = 1_000_000;
const PROMPTS: usize = 100;
/// Requests a second.
const RATE: u32 = 200;
/// How long they are made.
const WATCHED: Duration = Duration::from_secs(20);
/// Pages that are turned before, so that later requests begin deep in the list.
const TURNED: usize = 200;
/// How long an export may take.
const PATIENCE: Duration = Duration::from_mins(8);

/// What 99 of 100 pages may take.
const BOUND_MS: f64 = 20.0;

/// A million runs of the newest workspace. The oldest thousand are of an engine that is not asked
/// any more, the oldest hundred were skipped, one in a thousand failed.
const SEED: &str = "
INSERT INTO runs (id, workspace_id, batch_id, prompt_id, prompt_version_id, engine, sample, slot,
                  run_key, synthetic, state, outcome, reason, error_kind, attempts, cost_micros,
                  day, mentions, citations, created_at, started_at, finished_at)
SELECT CAST(lpad(to_hex(1700000000000 + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0')
            AS uuid),
       w.id,
       CAST('0193000000007000a000' || lpad(to_hex(n / 1000), 12, '0') AS uuid),
       p.ids[1 + n % array_length(p.ids, 1)], p.versions[1 + n % array_length(p.ids, 1)],
       CASE WHEN n < 1000 THEN 'forgotten'
            ELSE (ARRAY['perplexity', 'aio', 'brave'])[1 + n % 3] END,
       1, 'slot-' || n / 1000, decode(md5(CAST(n AS text)), 'hex'), true,
       CASE WHEN n < 100 THEN 'skipped' WHEN n % 1000 = 7 THEN 'failed' ELSE 'succeeded' END,
       CASE WHEN n < 100 OR n % 1000 = 7 THEN NULL ELSE 'answer' END,
       CASE WHEN n < 100 THEN 'budget' END, CASE WHEN n % 1000 = 7 THEN 'timeout' END,
       1, 4000, DATE '2026-01-01' + CAST(n / 20000 AS int), 2, 5,
       t.at, t.at, t.at
FROM generate_series(CAST(0 AS bigint), COUNT - 1) n,
     LATERAL (SELECT TIMESTAMPTZ '2026-01-01 00:00Z' + n * INTERVAL '1 second' AS at) t,
     (SELECT id FROM workspaces ORDER BY created_at DESC LIMIT 1) w,
     (SELECT array_agg(id ORDER BY id) AS ids, array_agg(version_id ORDER BY id) AS versions
      FROM prompts) p";

pub(crate) async fn measure(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let installation = Installation::new(stage, "lists", None).await?;
    let process = installation.serve(16).await?;
    let workspace = installation.workspace(&process, PROMPTS, 16).await?;
    let sql = stage.postgres.client(&installation.database);
    let began = Instant::now();
    sql.query(&SEED.replace("COUNT", &RUNS.to_string())).await.context("make the runs")?;
    sql.query("VACUUM ANALYZE runs").await?;
    note(format_args!("lists: {RUNS} runs made in {:.0?}", began.elapsed()));

    let api = &workspace.api;
    let kinds = kinds(api, &workspace.prompts[0]).await?;
    let took = at_a_rate(api, &kinds).await?;
    let mut rows = Vec::new();
    let mut figures = json!({ "runs": RUNS, "requests_s": RATE, "seconds": WATCHED.as_secs() });
    let mut all = Vec::new();
    for ((name, _), mut took) in kinds.iter().zip(took) {
        all.extend_from_slice(&took);
        let (half, most) = (quantile(&mut took, 0.5), quantile(&mut took, 0.99));
        rows.push(vec![(*name).to_owned(), figure(half, 1), figure(most, 1)]);
        figures[*name] = json!({ "p50_ms": rounded(half, 1), "p99_ms": rounded(most, 1) });
    }
    let (half, most) = (quantile(&mut all, 0.5), quantile(&mut all, 0.99));
    rows.push(vec!["all".into(), figure(half, 1), figure(most, 1)]);
    figures["all"] = json!({ "p50_ms": rounded(half, 1), "p99_ms": rounded(most, 1) });
    figures["within_bound"] = json!(most <= BOUND_MS);
    let title = format!("lists: {RUNS} runs, {RATE} pages a second, bound {BOUND_MS} ms at p99");
    table(&title, &["page", "p50 ms", "p99 ms"], &rows);

    let pid = process.server.pid;
    let before = resident(pid, true);
    let began = Instant::now();
    let (records, bytes) = export(api).await?;
    let (after, took) = (resident(pid, true), began.elapsed());
    ensure!(records >= u64::from(RUNS), "{records} rows were exported of {RUNS}");
    let row = vec![
        records.to_string(),
        bytes.to_string(),
        figure(took.as_secs_f64(), 0),
        figure(before, 0),
        figure(after, 0),
    ];
    table("export of all", &["rows", "bytes", "s", "peak MB before", "peak MB after"], &[row]);
    figures["export"] = json!({
        "rows": records, "bytes": bytes, "seconds": rounded(took.as_secs_f64(), 1),
        "peak_resident_mb_before": rounded(before, 0),
        "peak_resident_mb_after": rounded(after, 0),
    });
    report.add("lists", figures)
}

/// Which pages are asked for: paths without their cursor, by name; the first ones have many cursors.
type Kind = (&'static str, Vec<String>);

async fn kinds(api: &Api, prompt: &str) -> anyhow::Result<Vec<Kind>> {
    let mut deep = Vec::with_capacity(TURNED);
    let mut path = "/v1/runs?limit=200".to_owned();
    for _ in 0..TURNED {
        let page = api.get(&path).await?;
        let cursor = text(&page, "/next_cursor")?;
        path = format!("/v1/runs?limit=200&cursor={cursor}");
        // The size of a page is part of what a cursor is good for.
        deep.push(path.clone());
    }
    let first = api.get("/v1/runs?limit=1").await?;
    let batch = text(&first, "/data/0/batch_id")?;
    let by = |filter: &str| vec![format!("/v1/runs?limit=50&{filter}")];
    Ok(vec![
        ("first", vec!["/v1/runs?limit=50".into()]),
        ("deep", deep),
        ("engine", by("engine=brave")),
        ("engine of long ago", by("engine=forgotten")),
        ("prompt", by(&format!("prompt={prompt}"))),
        ("batch", by(&format!("batch={batch}"))),
        ("failed", by("state=failed")),
        ("skipped long ago", by("state=skipped")),
        ("running: none", by("state=running")),
    ])
}

/// Asks for pages of all kinds in turn, whether or not the one before has come; what each took, in
/// milliseconds, by kind.
async fn at_a_rate(api: &Api, kinds: &[Kind]) -> anyhow::Result<Vec<Vec<f64>>> {
    let mut asked = JoinSet::new();
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let end = Instant::now() + WATCHED;
    let mut number = 0;
    while Instant::now() < end {
        ticks.tick().await;
        let kind = number % kinds.len();
        let paths = &kinds[kind].1;
        let path = paths[(number / kinds.len()) % paths.len()].clone();
        let api = api.clone();
        asked.spawn(async move {
            let began = Instant::now();
            api.get(&path).await?;
            anyhow::Ok((kind, began.elapsed().as_secs_f64() * 1e3))
        });
        number += 1;
    }
    let mut took = vec![Vec::new(); kinds.len()];
    while let Some(ended) = asked.join_next().await {
        let (kind, ms) = ended??;
        took[kind].push(ms);
    }
    Ok(took)
}

/// Makes an export and fetches it; its rows, and the bytes that came.
async fn export(api: &Api) -> anyhow::Result<(u64, u64)> {
    let made = api.post("/v1/exports", &json!({})).await?;
    let path = format!("/v1/exports/{}", text(&made, "/id")?);
    let began = Instant::now();
    let export = loop {
        let export = api.get(&path).await?;
        match export["state"].as_str() {
            Some("running") => ensure!(began.elapsed() < PATIENCE, "not done in {PATIENCE:?}"),
            Some("completed") => break export,
            _ => anyhow::bail!("the export failed: {export}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let bytes = api.download(&format!("{path}/download")).await?;
    let size = export["size"].as_u64();
    ensure!(size == Some(bytes), "{bytes} bytes came of {size:?}");
    let records = export["records"].as_u64().context("no records")?;
    Ok((records, bytes))
}

/// The value that a share `q` of the values lies below.
fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an index of a few thousand values"
    )]
    let at = ((values.len() as f64 * q).ceil() as usize).saturating_sub(1);
    values.get(at).copied().unwrap_or(f64::NAN)
}
