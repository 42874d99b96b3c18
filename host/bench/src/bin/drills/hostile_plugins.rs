//! Components that loop, eat memory, lie and spy, while others are at work.

use super::{Arguments, components, fleet::Fleet};
use aiv_bench::{
    host::text,
    http::Api,
    load::{self, Load},
    report::{Report, note},
};
use serde_json::json;
use std::time::{Duration, Instant};

const KEY: &str = "hostile";
/// What the hostile component is told to do, and the class that its failure must have; none for
/// what must not fail.
const DEEDS: [(&str, Option<&str>); 9] = [
    ("loop", Some("timeout")),
    ("memory", Some("out_of_memory")),
    ("recursion", Some("trap")),
    ("enormous-answer", Some("out_of_memory")),
    ("huge-answer", Some("policy")),
    ("foreign-host", Some("policy")),
    ("header-smuggling", Some("policy")),
    ("misdirected-credential", Some("policy")),
    ("log-flood", None),
];
const PROMPTS: usize = 60;

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) -> anyhow::Result<()> {
    note(format_args!("\n== hostile-plugins: {} deeds, beside honest components", DEEDS.len()));
    let fleet = Fleet::start(arguments).await?;
    let digest = fleet.install(KEY, components::read(&arguments.guests, "hostile")?).await?;
    let grant = json!({
        "hosts": ["api.example.com", "cdn.example.com"], "credentials": ["api-key"],
        "credential_hosts": {"api-key": ["api.example.com"]},
    });
    fleet.operator.put(&format!("/v1/admin/providers/{KEY}/grant"), &grant).await?;
    fleet.change(KEY, "activate", &json!({ "digest": digest })).await?;

    let mut honest = Load::new(fleet.workspace(1000).await?, 0);
    // Caches and pools fill first.
    honest.batch(PROMPTS / 2).await?;
    load::finish(&fleet.sql, Duration::from_mins(2)).await;
    let quiet = p95(&fleet, &mut honest, 3).await?;

    let villain = fleet.workspace(8).await?;
    villain.put(&format!("/v1/engines/{KEY}"), &json!({ "concurrency": 8 })).await?;
    let mut prompts = Vec::new();
    for (deed, _) in DEEDS {
        prompts.push(text(&villain.post("/v1/prompts", &json!({ "text": deed })).await?, "/id")?);
    }
    let mischief = mischief(&villain, &prompts);
    let beside = tokio::select! {
        measured = p95(&fleet, &mut honest, 3) => measured?,
        ended = mischief => { ended?; anyhow::bail!("the mischief ended") }
    };
    load::finish(&fleet.sql, Duration::from_mins(4)).await;
    report.check(
        "the p95 of others stays within 10 %",
        beside <= quiet * 1.1,
        format!("{quiet:.0} ms alone, {beside:.0} ms beside"),
    );
    let failed = "SELECT count(*) FROM runs WHERE engine <> 'hostile' AND state <> 'succeeded'";
    let failed = fleet.sql.query(failed).await?;
    report.check("no run of others failed", failed == "0", format!("{failed} failed"));
    for (deed, class) in DEEDS {
        blame(report, &fleet, deed, class).await?;
    }
    let alive = "SELECT count(*) FROM processes WHERE seen_at > now() - interval '30 seconds'";
    let alive = fleet.sql.query(alive).await?;
    report.check("every process is alive", alive == "3", format!("{alive} of 3"));
    report.check("processes that are told to stop do so in time", fleet.stop().await, "");
    Ok(())
}

/// Starts all deeds again and again.
async fn mischief(villain: &Api, prompts: &[String]) -> anyhow::Result<()> {
    for round in 0.. {
        let batch = json!({ "slot": format!("{round}"), "prompt_ids": prompts, "engines": [KEY] });
        villain.post("/v1/batches", &batch).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    Ok(())
}

/// The 95th percentile of the time that honest runs take once they have started, in milliseconds.
async fn p95(fleet: &Fleet, load: &mut Load, batches: usize) -> anyhow::Result<f64> {
    let since = fleet.sql.query("SELECT COALESCE(max(number), 0) FROM runs").await?;
    let open = format!(
        "SELECT count(*) FROM runs WHERE number > {since} AND engine <> '{KEY}'
             AND finished_at IS NULL"
    );
    for _ in 0..batches {
        load.batch(PROMPTS).await?;
    }
    let started = Instant::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    while fleet.sql.query(&open).await? != "0" && started.elapsed() < Duration::from_mins(3) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let p95 = format!(
        "SELECT percentile_cont(0.95) WITHIN GROUP (
                ORDER BY extract(epoch FROM finished_at - started_at) * 1000)
         FROM runs WHERE number > {since} AND engine <> '{KEY}'"
    );
    Ok(fleet.sql.query(&p95).await?.parse()?)
}

async fn blame(
    report: &mut Report,
    fleet: &Fleet,
    deed: &str,
    class: Option<&str>,
) -> anyhow::Result<()> {
    let of_deed = format!(
        "FROM runs JOIN prompts ON prompts.workspace_id = runs.workspace_id
                                AND prompts.id = runs.prompt_id
         LEFT JOIN provider_logs ON provider_logs.run_id = runs.id
         WHERE runs.engine = '{KEY}' AND prompts.text = '{deed}' AND runs.finished_at IS NOT NULL"
    );
    let Some(class) = class else {
        let kept = format!(
            "SELECT count(DISTINCT runs.id), count(DISTINCT runs.id) FILTER (
                    WHERE runs.state = 'succeeded'), max(jsonb_array_length(lines)) {of_deed}"
        );
        let kept = fleet.sql.query(&kept).await?;
        let numbers: Vec<u64> = kept.split('|').filter_map(|n| n.parse().ok()).collect();
        let holds =
            matches!(numbers[..], [all, good, lines] if all > 0 && all == good && lines <= 200);
        let what = format!("{deed}: the run goes on, and the log is cut");
        report.check(&what, holds, format!("runs, succeeded, most lines kept: {kept}"));
        return Ok(());
    };
    let classes = format!(
        "SELECT count(DISTINCT runs.id), string_agg(DISTINCT COALESCE(blame, 'none') || ' '
                || COALESCE(class, 'none'), ', ') {of_deed}"
    );
    let found = fleet.sql.query(&classes).await?;
    let holds = found.split_once('|').is_some_and(|(runs, classes)| {
        runs.parse::<u64>().is_ok_and(|runs| runs > 0) && classes == format!("guest {class}")
    });
    report.check(&format!("{deed}: a typed failure, the guest's fault"), holds, found);
    Ok(())
}
