//! What breaks, and when. Workers, Redis and PostgreSQL break independently of each other, so
//! their faults overlap.

use super::{fleet::Workers, report::note};
use aiv_bench::servers::{Client, Postgres, Redis};
use anyhow::Context;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use rustix::process::Signal;
use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

/// Faults come from a shuffled deck, so that even a short run sees each of them.
struct Deck<T: 'static> {
    kinds: &'static [T],
    left: Vec<T>,
    dice: StdRng,
}

impl<T: Copy> Deck<T> {
    fn new(kinds: &'static [T], seed: u64) -> Self {
        Self { kinds, left: Vec::new(), dice: StdRng::seed_from_u64(seed) }
    }

    fn draw(&mut self) -> Option<T> {
        if self.left.is_empty() {
            self.left = self.kinds.to_vec();
            self.left.shuffle(&mut self.dice);
        }
        self.left.pop()
    }

    async fn pause(&mut self, from: f64, to: f64) {
        let seconds = self.dice.random_range(from..to);
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Happened {
    pub(crate) faults: BTreeMap<&'static str, usize>,
    /// Runs that were in flight in a process when it was killed.
    pub(crate) in_killed: HashSet<String>,
    /// Processes that did not stop in time when asked to.
    pub(crate) unwilling: usize,
}

impl Happened {
    fn note(&mut self, start: Instant, what: &'static str, detail: &str) {
        note(format_args!("{:>6.1} s  {what}{detail}", start.elapsed().as_secs_f64()));
        *self.faults.entry(what).or_default() += 1;
    }

    pub(crate) fn merge(mut self, other: Self) -> Self {
        for (what, count) in other.faults {
            *self.faults.entry(what).or_default() += count;
        }
        self.in_killed.extend(other.in_killed);
        self.unwilling += other.unwilling;
        self
    }
}

#[derive(Debug, Clone, Copy)]
enum OfWorkers {
    Kill,
    Terminate,
}

/// Workers die or are told to stop, and come back a moment later.
pub(crate) async fn of_workers(
    workers: &mut Workers,
    sql: &Client,
    seed: u64,
    (start, end): (Instant, Instant),
) -> anyhow::Result<Happened> {
    use OfWorkers::{Kill, Terminate};
    let mut deck = Deck::new(&[Kill, Kill, Terminate], seed);
    let mut happened = Happened::default();
    loop {
        deck.pause(2.0, 7.0).await;
        let Some(kind) = deck.draw().filter(|_| Instant::now() < end) else { return Ok(happened) };
        let at = deck.dice.random_range(0..workers.processes.len());
        let Some(process) = workers.processes[at].take() else { continue };
        match kind {
            Kill => {
                let pid = process.server.pid;
                process.server.kill().await;
                let runs = in_flight(sql, pid).await?;
                happened.note(start, "worker killed", &format!(" with {} runs", runs.len()));
                happened.in_killed.extend(runs);
            }
            Terminate => {
                happened.note(start, "worker told to stop", "");
                if !process.server.stop(Duration::from_secs(45)).await {
                    happened.unwilling += 1;
                }
            }
        }
        deck.pause(0.3, 3.0).await;
        // It may come back while the database is away, and be refused: as an orchestrator would,
        // try again.
        let mut tries = 0;
        while let Err(err) = workers.start(at).await {
            tries += 1;
            anyhow::ensure!(tries < 20, "a worker does not start: {err:#}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// The runs that a process was doing when it died. Its claims tell, until they expire.
pub(crate) async fn in_flight(sql: &Client, pid: u32) -> anyhow::Result<HashSet<String>> {
    let query = format!(
        "SELECT jobs.payload->>'run' FROM jobs JOIN processes ON processes.id = jobs.owner
         WHERE processes.pid = {pid} AND jobs.state = 'running' AND jobs.queue = 'runPrompt'"
    );
    let start = Instant::now();
    loop {
        match sql.query(&query).await {
            Ok(runs) => return Ok(runs.lines().map(str::to_owned).collect()),
            Err(err) if start.elapsed() > Duration::from_secs(20) => {
                return Err(err).context("ask what a killed process was doing");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum OfRedis {
    FlushAll,
    Lose,
    ScriptFlush,
    Freeze,
}

/// Redis forgets, dies or hangs.
pub(crate) async fn of_redis(
    redis: &mut Redis,
    seed: u64,
    (start, end): (Instant, Instant),
) -> anyhow::Result<Happened> {
    use OfRedis::{FlushAll, Freeze, Lose, ScriptFlush};
    let mut deck = Deck::new(&[FlushAll, Lose, ScriptFlush, Freeze, FlushAll, Lose], seed);
    let mut happened = Happened::default();
    loop {
        deck.pause(2.0, 8.0).await;
        let Some(kind) = deck.draw().filter(|_| Instant::now() < end) else { return Ok(happened) };
        match kind {
            FlushAll => {
                happened.note(start, "Redis: FLUSHALL", "");
                redis.command(&["FLUSHALL"]).await?;
            }
            ScriptFlush => {
                happened.note(start, "Redis: SCRIPT FLUSH", "");
                redis.command(&["SCRIPT", "FLUSH"]).await?;
            }
            Lose => {
                happened.note(start, "Redis killed, its file deleted", "");
                redis.lose_everything().await;
                deck.pause(0.2, 5.0).await;
                redis.resume().await?;
            }
            Freeze => {
                happened.note(start, "Redis frozen", "");
                redis.signal(Signal::STOP);
                deck.pause(1.0, 12.0).await;
                redis.signal(Signal::CONT);
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum OfPostgres {
    Stop,
    Terminate,
}

/// PostgreSQL stops without a word, or throws everybody out.
pub(crate) async fn of_postgres(
    postgres: &mut Postgres,
    seed: u64,
    (start, end): (Instant, Instant),
) -> anyhow::Result<Happened> {
    use OfPostgres::{Stop, Terminate};
    let mut deck = Deck::new(&[Stop, Terminate, Stop], seed);
    let mut happened = Happened::default();
    loop {
        deck.pause(4.0, 12.0).await;
        let Some(kind) = deck.draw().filter(|_| Instant::now() < end) else { return Ok(happened) };
        match kind {
            Stop => {
                happened.note(start, "PostgreSQL stopped at once", "");
                postgres.stop_immediately().await;
                deck.pause(0.2, 5.0).await;
                postgres.resume().await?;
            }
            Terminate => {
                happened.note(start, "PostgreSQL: every connection ended", "");
                let all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                           WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
                postgres.query("postgres", all).await?;
            }
        }
    }
}
