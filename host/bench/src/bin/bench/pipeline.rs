//! End to end at 0 ms: from a batch to its last committed run, and what that costs.

use super::{
    floor,
    machine::{median, resident},
    ours::{Installation, Rows, Workspace},
    peer::{self, Peer},
    report::{Report, figure, note, rounded, table},
    stage::{Split, Stage},
};
use aiv_bench::host::Process;
use serde_json::{Value, json};
use std::{path::Path, time::Instant};

/// Runs that nobody measures.
const WARM_UP: usize = 600;

/// One measurement of one contestant.
#[derive(Debug, Clone)]
struct Measured {
    runs_s: f64,
    /// Milliseconds for each run.
    app: f64,
    postgres: f64,
    redis: f64,
    vendors: f64,
    resident_mb: f64,
    wal_bytes: f64,
    /// Growth of the database on disk.
    stored_bytes: f64,
    redis_commands: f64,
    statements: f64,
    others: f64,
    rows: Rows,
}

/// Who is measured, and how to have it do a batch of so many prompts.
enum Contestant<'a> {
    Ours { installation: Installation<'a>, process: Process, workspace: Workspace },
    Peer(Peer<'a>),
    Floor(&'a Path),
}

struct Entry<'a> {
    name: &'static str,
    contestant: Contestant<'a>,
    measured: Vec<Measured>,
}

pub(crate) async fn measure(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    let prompts = (stage.arguments.runs / 3).max(WARM_UP / 3);
    let mut entries = Vec::new();
    for (name, redis) in [("ours, PostgreSQL", None), ("ours, PostgreSQL + Redis", Some(1))] {
        let database = if redis.is_some() { "redis" } else { "postgres" };
        let installation = Installation::new(stage, database, redis).await?;
        let process = installation.serve(stage.arguments.concurrency).await?;
        let workspace = installation.workspace(&process, prompts, 1024).await?;
        let contestant = Contestant::Ours { installation, process, workspace };
        entries.push(Entry { name, contestant, measured: vec![] });
    }
    if let Some(folder) = &stage.peer {
        let contestant = Contestant::Peer(Peer::start(stage, folder, prompts).await?);
        entries.push(Entry { name: "peer", contestant, measured: vec![] });
    }
    if let Some(program) = &stage.floor {
        let contestant = Contestant::Floor(program);
        entries.push(Entry { name: "floor", contestant, measured: vec![] });
    }
    for entry in &entries {
        entry.contestant.round(stage, "warm-up", WARM_UP / 3).await?;
    }
    for round in 1..=stage.arguments.rounds {
        for entry in &mut entries {
            let slot = format!("round-{round}");
            let measured = entry.contestant.round(stage, &slot, prompts).await?;
            let Measured { runs_s, app, .. } = measured;
            note(format_args!("round {round}: {}: {runs_s:.0} runs/s, {app:.2} ms", entry.name));
            entry.measured.push(measured);
        }
    }
    tell(&entries, prompts * 3, report)
}

impl Contestant<'_> {
    fn pids(&self) -> Vec<u32> {
        match self {
            Contestant::Ours { process, .. } => vec![process.server.pid],
            Contestant::Peer(peer) => vec![peer.worker.pid, peer.api_server.pid],
            // Its end is seen only as a child of ours.
            Contestant::Floor(_) => vec![],
        }
    }

    fn database(&self) -> &str {
        match self {
            Contestant::Ours { installation, .. } => &installation.database,
            Contestant::Peer(_) | Contestant::Floor(_) => peer::DATABASE,
        }
    }

    async fn rows(&self, stage: &Stage) -> anyhow::Result<Rows> {
        match self {
            Contestant::Ours { installation, .. } => installation.rows().await,
            Contestant::Peer(_) | Contestant::Floor(_) => Peer::rows(stage).await,
        }
    }

    async fn round(&self, stage: &Stage, slot: &str, prompts: usize) -> anyhow::Result<Measured> {
        let runs = 3 * prompts;
        if let Contestant::Peer(_) | Contestant::Floor(_) = self {
            Peer::clear(stage).await?;
        }
        stage.settle().await?;
        stage.vendors.prepare(0).await?;
        let rows = self.rows(stage).await?;
        let wal = stage.postgres.wal().await?;
        let stored = stored(stage, self.database()).await?;
        let commands = stage.redis.commands().await?;
        let statements = statements(stage, self.database()).await?;
        let pids = self.pids();
        let (usage, start) = (stage.usage(&pids), Instant::now());
        let mut own = None;
        match self {
            Contestant::Ours { workspace, .. } => {
                let batch = workspace.start(slot, prompts).await?;
                stage.vendors.wait_for(runs).await?;
                workspace.finish(&batch).await?;
            }
            Contestant::Peer(peer) => peer.run(slot, prompts).await?,
            Contestant::Floor(program) => {
                own = Some(floor::run(stage, program, runs, stage.arguments.concurrency).await?);
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        let used = usage.until(&stage.usage(&pids));
        let count = f64::from(u32::try_from(runs)?);
        let split = Split::of(&used);
        let per_run = |seconds: f64| seconds * 1000.0 / count;
        let figure = |value: &Value, name: &str| value[name].as_f64().unwrap_or(f64::NAN);
        let measured = Measured {
            runs_s: own.as_ref().map_or(count / seconds, |own| figure(own, "runs_s")),
            app: own.as_ref().map_or(per_run(split.app), |o| figure(o, "cpu_us_per_run") / 1000.0),
            postgres: per_run(split.postgres),
            redis: per_run(split.redis),
            vendors: per_run(split.vendors),
            resident_mb: match &own {
                Some(own) => figure(own, "rss_mb"),
                None => pids.iter().map(|pid| resident(*pid, false)).sum(),
            },
            wal_bytes: (stage.postgres.wal().await? - wal) / count,
            stored_bytes: (self::stored(stage, self.database()).await? - stored) / count,
            redis_commands: (stage.redis.commands().await? - commands) / count,
            statements: (self::statements(stage, self.database()).await? - statements) / count,
            others: used.others
                - own.as_ref().map_or(0.0, |own| {
                    let cpu = figure(own, "cpu_us_per_run") * count / 1e6;
                    cpu / (used.seconds * super::machine::processors())
                }),
            rows: self.rows(stage).await?.since(rows),
        };
        measured.rows.check(runs)?;
        stage.vendors.check(runs).await?;
        Ok(measured)
    }
}

async fn stored(stage: &Stage, database: &str) -> anyhow::Result<f64> {
    stage.postgres.number(database, "SELECT pg_database_size(current_database())").await
}

/// Statements so far; nought when nobody counts them.
async fn statements(stage: &Stage, database: &str) -> anyhow::Result<f64> {
    if !stage.arguments.statements {
        return Ok(0.0);
    }
    stage.postgres.query(database, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await?;
    let sql = "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d
               ON d.oid = s.dbid WHERE d.datname = current_database()";
    stage.postgres.number(database, sql).await
}

impl Entry<'_> {
    fn median(&self, of: impl Fn(&Measured) -> f64) -> f64 {
        median(self.measured.iter().map(of))
    }

    fn document(&self) -> Value {
        let count = self.median(|m| m.rows.runs);
        json!({
            "name": self.name,
            "runs_s": rounded(self.median(|m| m.runs_s), 0),
            "runs_s_each": self.measured.iter().map(|m| rounded(m.runs_s, 0)).collect::<Vec<_>>(),
            "app_cpu_ms": rounded(self.median(|m| m.app), 3),
            "postgres_cpu_ms": rounded(self.median(|m| m.postgres), 3),
            "redis_cpu_ms": rounded(self.median(|m| m.redis), 3),
            "vendors_cpu_ms": rounded(self.median(|m| m.vendors), 3),
            "resident_mb": rounded(self.median(|m| m.resident_mb), 0),
            "wal_bytes": rounded(self.median(|m| m.wal_bytes), 0),
            "stored_bytes": rounded(self.median(|m| m.stored_bytes), 0),
            "redis_commands": rounded(self.median(|m| m.redis_commands), 2),
            "statements": rounded(self.median(|m| m.statements), 2),
            "others": rounded(self.median(|m| m.others), 3),
            "mentions": rounded(self.median(|m| m.rows.mentions) / count, 2),
            "citations": rounded(self.median(|m| m.rows.citations) / count, 2),
        })
    }
}

fn tell(entries: &[Entry<'_>], runs: usize, report: &mut Report) -> anyhow::Result<()> {
    let find = |name: &str| entries.iter().find(|entry| entry.name.starts_with(name));
    let peer = find("peer");
    let floor = find("floor");
    // The platform as it is run at scale: with Redis.
    let ours = find("ours, PostgreSQL + Redis");
    let ratio = |one: Option<&Entry<'_>>, other: Option<&Entry<'_>>, of: fn(&Measured) -> f64| {
        let (Some(one), Some(other)) = (one, other) else { return Value::Null };
        rounded(one.median(of) / other.median(of), 2)
    };
    let header = [
        "end to end at 0 ms",
        "runs/s",
        "app ms",
        "PostgreSQL ms",
        "Redis ms",
        "mock ms",
        "RSS MB",
        "WAL bytes",
        "mentions",
        "citations",
        "others %",
    ];
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let count = entry.median(|m| m.rows.runs);
            let of = |decimals, of: fn(&Measured) -> f64| figure(entry.median(of), decimals);
            vec![
                entry.name.to_owned(),
                of(0, |m| m.runs_s),
                of(3, |m| m.app),
                of(3, |m| m.postgres),
                of(3, |m| m.redis),
                of(3, |m| m.vendors),
                of(0, |m| m.resident_mb),
                of(0, |m| m.wal_bytes),
                figure(entry.median(|m| m.rows.mentions) / count, 1),
                figure(entry.median(|m| m.rows.citations) / count, 1),
                of(1, |m| 100.0 * m.others),
            ]
        })
        .collect();
    table(&format!("pipeline: {runs} runs, CPU and bytes for each run"), &header, &rows);
    let figures = json!({
        "runs": runs,
        "ratio_to_peer": ratio(ours, peer, |m| m.runs_s),
        "ratio_to_peer_without_redis": ratio(find("ours, PostgreSQL"), peer, |m| m.runs_s),
        "cpu_ratio_to_peer": ratio(ours, peer, |m| m.app),
        "ratio_to_floor": ratio(ours, floor, |m| m.runs_s),
        "contestants": entries.iter().map(Entry::document).collect::<Vec<_>>(),
    });
    for (name, what) in [
        ("ratio_to_peer", "runs/s of ours to the peer's"),
        ("cpu_ratio_to_peer", "CPU of ours to the peer's, app alone"),
        ("ratio_to_floor", "runs/s of ours to the floor's"),
    ] {
        if let Some(value) = figures[name].as_f64() {
            note(format_args!("  {what}: {value}"));
        }
    }
    report.add("pipeline", figures)
}
