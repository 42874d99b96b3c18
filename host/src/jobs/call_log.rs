use crate::{
    App, Error, Result,
    ids::{RunId, WorkspaceId},
    providers::{CallEnd, CallFailure, CallReport},
    store::provider_calls::{self, CallMinute, Latency, NewLog},
};
use aiv_runtime::{
    Blame, Digest,
    types::{ErrorKind, Outcome},
};
use chrono::{DateTime, TimeDelta, Timelike, Utc};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// How often what was noted is written.
const EVERY: Duration = Duration::from_secs(1);
/// How long a fault makes this process look whether its component should be taken out.
const WARY: Duration = Duration::from_secs(30);
/// Entries of one write; of those that tell of no failure, so many of one component.
const MOST: usize = 1000;
const MOST_QUIET: usize = 50;
/// Kept text of one call.
const TEXT: usize = 32 << 10;
/// How long minutes are remembered, and how often older ones are forgotten.
const REMEMBERED: TimeDelta = TimeDelta::days(30);
const TIDY: TimeDelta = TimeDelta::hours(1);

/// Notes how calls of components went and what they said, and writes it once a second. Components
/// that fail again and again are taken out of service on the way.
#[derive(Clone)]
pub(super) struct CallLog(Arc<Inner>);

struct Inner {
    app: App,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    minutes: BTreeMap<(Digest, DateTime<Utc>), CallMinute>,
    latencies: BTreeMap<(Digest, DateTime<Utc>, i64), i64>,
    logs: Vec<NewLog>,
    faults: bool,
}

/// The call that a report is about.
pub(super) struct Call<'a> {
    pub(super) provider: &'a str,
    pub(super) workspace: WorkspaceId,
    pub(super) run: RunId,
    pub(super) attempt: i64,
}

impl CallLog {
    /// Its task ends when the guard is dropped, with all that was noted written, and is waited for
    /// through `tasks`.
    pub(super) fn start(app: App, tasks: &TaskTracker) -> (Self, DropGuard) {
        let log = CallLog(Arc::new(Inner { app, noted: Mutex::default() }));
        let stop = CancellationToken::new();
        tasks.spawn(log.clone().run(stop.clone()));
        (log, stop.drop_guard())
    }

    /// Notes one call.
    pub(super) fn note(&self, call: &Call<'_>, report: &CallReport) {
        let now = self.0.app.clock.now();
        let minute = now.with_second(0).and_then(|at| at.with_nanosecond(0)).unwrap_or(now);
        let digest = report.digest;
        let failure = match &report.end {
            CallEnd::Failed(failure) => Some(failure),
            CallEnd::Done(_) | CallEnd::Paused { .. } => None,
        };
        let guest = failure.is_some_and(|failure| failure.blame == Blame::Guest);
        let suspect = failure.is_some_and(|failure| {
            failure.blame == Blame::Vendor
                && matches!(failure.kind, ErrorKind::MalformedResponse | ErrorKind::InvalidRequest)
        });
        let mut noted = self.noted();
        noted.faults |= guest || suspect;
        let counts = noted.minutes.entry((digest, minute)).or_insert_with(|| CallMinute {
            digest: digest.as_bytes().to_vec(),
            minute,
            ..CallMinute::default()
        });
        match &report.end {
            CallEnd::Done(outcome) => {
                counts.succeeded += 1;
                counts.cost_micros += cost(outcome);
            }
            CallEnd::Failed(CallFailure { blame, spent, .. }) => {
                match blame {
                    Blame::Guest => counts.guest += 1,
                    Blame::Host => counts.host += 1,
                    Blame::Vendor => counts.vendor += 1,
                }
                counts.suspect += i64::from(suspect);
                counts.cost_micros += spent.as_ref().map_or(0, |spent| spent.micro_usd.into());
            }
            CallEnd::Paused { .. } => {}
        }
        if !guest && failure.is_none_or(|failure| failure.blame == Blame::Vendor) {
            counts.sound_at = Some(now);
        }
        if !matches!(report.end, CallEnd::Paused { .. }) {
            let upper = upper_ms(report.took);
            *noted.latencies.entry((digest, minute, upper)).or_default() += 1;
        }
        let quiet = report.logs.is_empty() && report.stderr.is_empty();
        if !guest && quiet {
            return;
        }
        let of_this = |log: &&NewLog| log.blame.is_none() && log.digest == digest.as_bytes();
        let told = noted.logs.iter().filter(of_this).count();
        if noted.logs.len() < MOST && (guest || told < MOST_QUIET) {
            noted.logs.push(entry(call, report, failure, now));
        }
    }

    async fn run(self, stop: CancellationToken) {
        let mut wary: Option<tokio::time::Instant> = None;
        let mut tidied = self.0.app.clock.now();
        loop {
            let stopping = stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none();
            match self.write().await {
                Ok(true) => wary = Some(tokio::time::Instant::now() + WARY),
                Ok(false) => {}
                Err(err) => tracing::warn!("cannot write how calls went: {err}"),
            }
            if wary.is_some_and(|until| until > tokio::time::Instant::now())
                && let Err(err) = self.0.app.registry.guard().await
            {
                tracing::warn!("cannot look for components that fail: {err:#}");
            }
            if stopping {
                return;
            }
            let now = self.0.app.clock.now();
            if now - tidied > TIDY {
                tidied = now;
                if let Err(err) = self.forget(now - REMEMBERED).await {
                    tracing::warn!("cannot forget how old calls went: {err}");
                }
            }
        }
    }

    /// Writes what was noted; says whether there was a fault of a component among it.
    async fn write(&self) -> Result<bool> {
        let noted = std::mem::take(&mut *self.noted());
        let minutes: Vec<_> = noted.minutes.values().cloned().collect();
        if minutes.is_empty() {
            return Ok(false);
        }
        let latencies: Vec<_> = noted
            .latencies
            .iter()
            .map(|(&(digest, minute, upper_ms), &calls)| Latency {
                digest: digest.as_bytes().to_vec(),
                minute,
                upper_ms,
                calls,
            })
            .collect();
        let written = async {
            let mut tx = self.0.app.store.begin().await?;
            provider_calls::add(&mut tx, &minutes, &latencies).await?;
            provider_calls::add_logs(&mut tx, &noted.logs).await?;
            tx.commit().await?;
            Result::Ok(())
        };
        match written.await {
            Ok(()) => Ok(noted.faults),
            // It will be written when the database is back.
            Err(err @ Error::Unavailable(_)) => {
                self.put_back(noted);
                Err(err)
            }
            Err(err) => Err(err),
        }
    }

    fn put_back(&self, older: Noted) {
        let mut noted = self.noted();
        noted.faults |= older.faults;
        for (key, old) in older.minutes {
            let Some(new) = noted.minutes.get_mut(&key) else {
                noted.minutes.insert(key, old);
                continue;
            };
            new.succeeded += old.succeeded;
            new.guest += old.guest;
            new.host += old.host;
            new.vendor += old.vendor;
            new.suspect += old.suspect;
            new.cost_micros += old.cost_micros;
            new.sound_at = new.sound_at.max(old.sound_at);
        }
        for (key, calls) in older.latencies {
            *noted.latencies.entry(key).or_default() += calls;
        }
        let room = MOST.saturating_sub(noted.logs.len());
        noted.logs.extend(older.logs.into_iter().take(room));
    }

    async fn forget(&self, before: DateTime<Utc>) -> Result<()> {
        let mut tx = self.0.app.store.begin().await?;
        provider_calls::purge(&mut tx, before).await?;
        tx.commit().await?;
        Ok(())
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(outcome: &Outcome) -> i64 {
    outcome.meta().cost.as_ref().map_or(0, |cost| cost.micro_usd.into())
}

fn entry(
    call: &Call<'_>,
    report: &CallReport,
    failure: Option<&CallFailure>,
    now: DateTime<Utc>,
) -> NewLog {
    let mut room = TEXT;
    let lines: Vec<_> = report
        .logs
        .iter()
        .take_while(|line| {
            let fits = line.message.len() <= room;
            room = room.saturating_sub(line.message.len());
            fits
        })
        .map(|line| json!({"level": line.level, "message": line.message}))
        .collect();
    NewLog {
        provider_key: call.provider.to_owned(),
        digest: report.digest.as_bytes().to_vec(),
        workspace: call.workspace,
        run: call.run,
        attempt: call.attempt,
        blame: failure.map(|failure| failure.blame.as_str()),
        class: failure.map(|failure| failure.class.as_str()),
        message: failure.map(|failure| failure.message.clone()),
        lines: lines.into(),
        // A NUL is a character that Postgres has no place for.
        stderr: report.stderr[..report.stderr.floor_char_boundary(TEXT)].replace('\0', "␀"),
        backtrace: json!(report.backtrace),
        created_at: now,
    }
}

/// The bound of the histogram that a duration falls below: 10 ms and then a quarter more each.
fn upper_ms(took: Duration) -> i64 {
    let took = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
    let mut upper = 10;
    while upper < took && upper < 3_600_000 {
        upper += upper / 4;
    }
    upper
}

#[cfg(test)]
mod tests {
    use super::upper_ms;
    use std::time::Duration;

    #[test]
    fn bounds_are_a_quarter_apart() {
        let upper = |ms| upper_ms(Duration::from_millis(ms));
        assert_eq!(upper(0), 10);
        assert_eq!(upper(11), 12);
        for ms in [50, 777, 2_000, 60_000] {
            let bound = u64::try_from(upper(ms)).unwrap();
            assert!(bound >= ms && bound * 4 <= ms * 5 + 4, "{ms}: {bound}");
        }
        assert!(upper(10_000_000_000) < 5_000_000);
    }
}
