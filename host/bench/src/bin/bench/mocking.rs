//! The vendors, in a process of their own.

use aiv_bench::{
    http::Api,
    mock::{Control, Stats},
    servers::{Server, wait_for},
};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::process::Command;

pub(crate) struct Vendors {
    pub(crate) server: Server,
    pub(crate) url: String,
    api: Api,
}

impl Vendors {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let program = std::env::current_exe()?.with_file_name("aiv-mock-vendors");
        let (server, url) = Server::announced(&mut Command::new(program)).await?;
        let api = Api::new(url.clone(), None)?;
        wait_for("the mock of the vendors", || api.is_ready("/__stats")).await?;
        Ok(Self { server, url, api })
    }

    /// Orders a latency and forgets what was asked.
    pub(crate) async fn prepare(&self, latency_ms: u64) -> anyhow::Result<()> {
        let control = Control { latency_ms, ..Control::default() };
        self.api.post("/__control", &json!(control)).await?;
        self.api.post("/__reset", &Value::Null).await?;
        Ok(())
    }

    pub(crate) async fn stats(&self) -> anyhow::Result<Stats> {
        Ok(serde_json::from_value(self.api.get("/__stats").await?)?)
    }

    /// Waits until so many calls are answered. Gives up when nothing is answered for a while.
    ///
    /// Asking here disturbs nobody: those who are measured are not asked themselves.
    pub(crate) async fn wait_for(&self, calls: usize) -> anyhow::Result<Pace> {
        let mut pace = Pace::default();
        let calls = u64::try_from(calls)?;
        let (start, mut moved, mut last) = (Instant::now(), Instant::now(), 0);
        loop {
            let stats = self.stats().await?;
            let answered = stats.all.answered;
            pace.note(start.elapsed(), answered, calls);
            pace.in_flight = pace.in_flight.max(stats.all.peak_in_flight);
            if answered >= calls {
                return Ok(pace);
            }
            if answered > last {
                (moved, last) = (Instant::now(), answered);
            }
            ensure!(
                moved.elapsed() < Duration::from_secs(40),
                "stuck at {answered} of {calls} calls"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Every prompt was asked once and answered once.
    pub(crate) async fn check(&self, calls: usize) -> anyhow::Result<()> {
        let stats = self.stats().await?;
        let calls = u64::try_from(calls)?;
        ensure!(
            stats.all.calls == calls && stats.asked_again == 0,
            "{calls} calls were due, {} were made, {} prompts were asked again",
            stats.all.calls,
            stats.asked_again
        );
        Ok(())
    }
}

/// How fast calls were answered.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    seen: Vec<(Duration, u64)>,
    wanted: u64,
    /// The most that were in flight at once.
    pub(crate) in_flight: u64,
}

impl Pace {
    fn note(&mut self, at: Duration, answered: u64, wanted: u64) {
        self.wanted = wanted;
        if self.seen.last().is_none_or(|(_, before)| *before != answered) {
            self.seen.push((at, answered));
        }
    }

    /// Calls a second between the first fifth and the last fifth: without ramp and tail.
    pub(crate) fn steady(&self) -> anyhow::Result<f64> {
        let at = |share: u64| {
            self.seen.iter().find(|(_, answered)| *answered * 5 >= self.wanted * share)
        };
        let (from, to) = (at(1).context("nothing was answered")?, at(4).context("not all came")?);
        let calls = u32::try_from(to.1 - from.1)?;
        Ok(f64::from(calls) / to.0.saturating_sub(from.0).as_secs_f64())
    }
}
