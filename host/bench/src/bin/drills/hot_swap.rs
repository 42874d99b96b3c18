//! Swaps, trials, quarantine and rollbacks while runs are on their way.

use super::{Arguments, components, fleet::Fleet};
use aiv_bench::{
    host::text,
    load::{self, Load},
    report::{Report, note},
};
use serde_json::json;
use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::{Duration, Instant},
};

const KEY: &str = "perplexity";
/// How often components are swapped.
const EVERY: Duration = Duration::from_secs(2);
const PROMPTS: usize = 60;

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) -> anyhow::Result<()> {
    note(format_args!(
        "\n== hot-swap: {} s, vendors that take {} ms, 2 workers × {} runs",
        arguments.seconds, arguments.latency_ms, arguments.concurrency
    ));
    let fleet = Fleet::start(arguments).await?;
    let first = components::read(&arguments.plugins, KEY)?;
    let second = components::relabelled(&first, "second")?;
    let digests = [fleet.install(KEY, first.clone()).await?, fleet.install(KEY, second).await?];

    let mut load = Load::new(fleet.workspace(1000).await?, 0);
    load.batch(10).await?;
    let waiting = Arc::new(AtomicUsize::new(0));
    let most = arguments.concurrency * 4;
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    let feeding = load.keep_going(PROMPTS, &waiting, most, end);
    let swapping = swap(&fleet, &digests, end);
    let (accepted, swapped) = tokio::select! {
        both = async { tokio::try_join!(feeding, swapping) } => both?,
        () = load::watch(&fleet.sql, &waiting) => anyhow::bail!("the watch ended"),
    };
    let done = load::finish(&fleet.sql, Duration::from_mins(3)).await;
    report.check("everything was done", done, "");
    swaps(report, &fleet, &digests, &swapped, accepted.len()).await?;
    broken_builds(report, &fleet, arguments, &first).await?;
    trapping_canary(report, &fleet, arguments).await?;
    rollback(report, &fleet, &digests).await?;
    missed_message(report, &fleet, &digests).await?;
    report.check("processes that are told to stop do so in time", fleet.stop().await, "");
    Ok(())
}

/// What swapping came to.
struct Swapped {
    took: Vec<Duration>,
    memory: Vec<(Duration, Vec<u64>)>,
}

async fn swap(fleet: &Fleet, digests: &[String; 2], end: Instant) -> anyhow::Result<Swapped> {
    let started = Instant::now();
    let mut swapped = Swapped { took: Vec::new(), memory: Vec::new() };
    let mut ticks = tokio::time::interval(EVERY);
    while Instant::now() < end {
        ticks.tick().await;
        let digest = &digests[swapped.took.len() % 2];
        let (_, took) = fleet.change(KEY, "activate", &json!({ "digest": digest })).await?;
        swapped.took.push(took);
        swapped.memory.push((started.elapsed(), fleet.memory()?));
    }
    Ok(swapped)
}

async fn swaps(
    report: &mut Report,
    fleet: &Fleet,
    digests: &[String; 2],
    swapped: &Swapped,
    batches: usize,
) -> anyhow::Result<()> {
    let slowest = swapped.took.iter().max().copied().unwrap_or_default();
    let states = "SELECT state, count(*) FROM runs GROUP BY state ORDER BY state";
    let states = fleet.sql.query(states).await?.replace('\n', ", ");
    let ended = "SELECT count(*) FROM runs WHERE state <> 'succeeded'";
    let failed = fleet.sql.query(ended).await?;
    let failures = "SELECT count(*), error_kind, left(error_detail, 80) FROM run_attempts
                    WHERE state IN ('failed', 'lost') GROUP BY 2, 3 ORDER BY 1 DESC LIMIT 3";
    let failures = fleet.sql.query(failures).await?.replace('\n', ", ");
    let holds = failed == "0" && failures.is_empty() && swapped.took.len() > 1;
    let found = format!(
        "{} swaps (slowest {slowest:.2?}), {batches} batches: {states}; failed attempts: {}",
        swapped.took.len(),
        if failures.is_empty() { "none" } else { &failures }
    );
    report.check("no run failed or was lost by a swap", holds, found);
    let rate = "SELECT round(count(*) / extract(epoch FROM max(finished_at) - min(started_at)))
                FROM runs";
    note(format_args!("      {} runs/s", fleet.sql.query(rate).await?));

    let served = format!(
        "SELECT encode(provider_digest, 'hex'), count(*) FROM runs WHERE engine = '{KEY}' GROUP BY 1"
    );
    let served = fleet.sql.query(&served).await?;
    let both = digests.iter().all(|digest| served.contains(digest.as_str()));
    report.check("both components served runs", both, served.replace('\n', ", "));

    // The first fifth is for caches and pools to fill.
    let settled = &swapped.memory[swapped.memory.len() / 5..];
    let (early, late) = settled.split_at(settled.len() / 2);
    let most = |part: &[(Duration, Vec<u64>)]| {
        part.iter().flat_map(|(_, workers)| workers).max().copied().unwrap_or(0) >> 20
    };
    let (before, after) = (most(early), most(late));
    report.check(
        "resident memory is flat",
        after <= before + before / 10 + 8,
        format!("at most {before} MiB in the first half, {after} MiB in the second"),
    );
    Ok(())
}

async fn broken_builds(
    report: &mut Report,
    fleet: &Fleet,
    arguments: &Arguments,
    good: &[u8],
) -> anyhow::Result<()> {
    let path = format!("/v1/admin/providers/{KEY}");
    let before = fleet.inspect(KEY).await?["generation"].clone();
    let mute = [("key", KEY), ("behave", "mute")];
    let broken = [
        ("cut short", good[..good.len() / 2].to_vec()),
        ("mute", components::adjustable(&arguments.guests, &mute)?),
    ];
    for (name, component) in broken {
        let (status, answer) = fleet.operator.upload(&path, component).await?;
        let why = answer["detail"].as_str().unwrap_or_default();
        let why: String = why.chars().take(90).collect();
        let what = format!("a build that is {name} is refused before activation");
        report.check(&what, status == 422, why);
    }
    let after = fleet.inspect(KEY).await?["generation"].clone();
    report.check("and nothing changed by that", before == after, format!("generation {after}"));
    Ok(())
}

async fn trapping_canary(
    report: &mut Report,
    fleet: &Fleet,
    arguments: &Arguments,
) -> anyhow::Result<()> {
    let settings = [
        ("key", KEY),
        ("version", "9.9.9"),
        ("behave", "trap"),
        ("surface", "perplexity-agent"),
        ("hosts", "api.perplexity.ai"),
    ];
    let component = components::adjustable(&arguments.guests, &settings)?;
    let digest = fleet.install(KEY, component).await?;
    let mut granted = fleet.operator.get(&format!("/v1/admin/providers/{KEY}/grant")).await?;
    let refused =
        fleet.change(KEY, "canary", &json!({ "digest": digest, "weight": 0.3 })).await.is_err();
    report.check("a wider manifest waits for its grant", refused, "");
    if let Some(grant) = granted.as_object_mut() {
        grant.remove("id");
        grant.remove("credential_hosts");
    }
    if let Some(names) = granted["credentials"].as_array_mut() {
        names.push(json!("key"));
    }
    fleet.operator.put(&format!("/v1/admin/providers/{KEY}/grant"), &granted).await?;
    let since = fleet.sql.query("SELECT COALESCE(max(number), 0) FROM runs").await?;
    fleet.change(KEY, "canary", &json!({ "digest": digest, "weight": 0.3 })).await?;
    let started = Instant::now();
    let mut load = Load::new(fleet.workspace(1000).await?, 1);
    load.batch(PROMPTS).await?;
    let mut quarantined = None;
    while quarantined.is_none() && started.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let found = fleet.inspect(KEY).await?;
        let slots = found["slots"].as_array().into_iter().flatten();
        if !slots.into_iter().any(|slot| slot["slot"] == "canary") {
            quarantined = Some((started.elapsed(), found));
        }
    }
    let reason = quarantined.as_ref().and_then(|(took, found)| {
        let components = found["components"].as_array()?;
        let this = components.iter().find(|component| component["digest"] == digest.as_str())?;
        Some(format!("after {took:.1?}: {}", text(this, "/quarantine").ok()?))
    });
    let audited = "SELECT count(*) FROM audit_logs WHERE action = 'provider.quarantine'";
    let audited = fleet.sql.query(audited).await? == "1";
    report.check(
        "a canary that traps is quarantined by itself, and that is audited",
        reason.is_some() && audited,
        reason.unwrap_or_else(|| "it was not".into()),
    );
    let done = load::finish(&fleet.sql, Duration::from_mins(2)).await;
    let failed =
        format!("SELECT count(*) FROM runs WHERE number > {since} AND state <> 'succeeded'");
    let failed = fleet.sql.query(&failed).await?;
    report.check("and it cost no run", done && failed == "0", format!("{failed} failed"));
    Ok(())
}

async fn rollback(report: &mut Report, fleet: &Fleet, digests: &[String; 2]) -> anyhow::Result<()> {
    for digest in digests {
        fleet.change(KEY, "activate", &json!({ "digest": digest })).await?;
        fleet.converged(Instant::now(), Duration::from_secs(15)).await?;
    }
    let started = Instant::now();
    let (back, answered) = fleet.change(KEY, "rollback", &json!({ "reason": "drill" })).await?;
    let everywhere = fleet.converged(started, Duration::from_secs(20)).await?;
    let holds = back["digest"] == digests[0].as_str()
        && everywhere.is_some_and(|took| took <= Duration::from_secs(1));
    let found = match everywhere {
        Some(took) => format!("answered after {answered:.0?}, on both workers after {took:.0?}"),
        None => "not on both workers within 20 s".into(),
    };
    report.check("a rollback is on two workers within a second", holds, found);
    Ok(())
}

/// Changes the database without a word to anybody.
async fn missed_message(
    report: &mut Report,
    fleet: &Fleet,
    digests: &[String; 2],
) -> anyhow::Result<()> {
    let mut longest = Some(Duration::ZERO);
    for number in 0..4 {
        let silent = format!(
            "WITH next AS (UPDATE provider_generation SET generation = generation + 1
                           RETURNING generation)
             INSERT INTO provider_activations (provider_key, digest, grant_id, activated_by,
                                               reason, created_at, state, generation, settled_at)
             SELECT '{KEY}', decode('{}', 'hex'), (SELECT max(id) FROM provider_grants
                                                   WHERE provider_key = '{KEY}'),
                    'drill', 'nobody is told', now(), 'active', generation, now() FROM next",
            digests[number % 2]
        );
        fleet.sql.query(&silent).await?;
        let took = fleet.converged(Instant::now(), Duration::from_secs(30)).await?;
        longest = longest.zip(took).map(|(longest, took)| longest.max(took));
    }
    let holds = longest.is_some_and(|took| took <= Duration::from_secs(15));
    let found = longest.map_or("not within 30 s".into(), |took| format!("4 times, ≤ {took:.1?}"));
    report.check("workers that missed the message converge within 15 s", holds, found);
    Ok(())
}
