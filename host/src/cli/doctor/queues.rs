//! What the queues need: workers, free lanes, a database that nobody holds up.

use super::{Check, Verdict, check};
use crate::{
    Clock,
    app::open_store,
    config::Config,
    store::{
        Store, diagnostics,
        processes::{self, Process},
        queue_control,
    },
};
use chrono::{DateTime, TimeDelta, Utc};

/// A clock that is further off misjudges leases and due times.
const SKEW: TimeDelta = TimeDelta::seconds(2);

pub(super) async fn all(config: &Config) -> Vec<Check> {
    let looked = async {
        let store = open_store(config).await?;
        let local = Clock::default().now();
        let shared = store.time().await?;
        let mut checks = vec![clock(local, shared)];
        checks.extend(look(&store, shared.unwrap_or(local)).await?);
        store.close().await;
        anyhow::Ok(checks)
    };
    match looked.await {
        Ok(checks) => checks,
        Err(err) => vec![check("queues", Verdict::Failed, format!("{err:#}"))],
    }
}

fn clock(local: DateTime<Utc>, shared: Option<DateTime<Utc>>) -> Check {
    let Some(shared) = shared else {
        return check("clock", Verdict::Ok, "the database's is this machine's".into());
    };
    let skew = (local - shared).abs();
    let detail = format!("{} ms apart from the database's", skew.num_milliseconds());
    let verdict = if skew > SKEW { Verdict::Warning } else { Verdict::Ok };
    check("clock", verdict, detail)
}

async fn look(store: &Store, now: DateTime<Utc>) -> anyhow::Result<Vec<Check>> {
    let mut conn = store.read().await?;
    let counts = queue_control::count(&mut conn, now).await?;
    let dead = queue_control::count_dead(&mut conn).await?;
    let queues = queue_control::queues(&mut conn).await?;
    let lanes = queue_control::lanes(&mut conn, None).await?;
    let living = processes::list(&mut conn, now - TimeDelta::seconds(30)).await?;
    let stuck = diagnostics::stuck(&mut conn, now).await?;
    let sessions = diagnostics::sessions(&mut conn).await?;
    let mut checks = Vec::new();

    let takes = |process: &&Process| process.concurrency > 0 && !process.draining;
    let workers = living.iter().filter(takes).count();
    let due: i64 = counts.iter().map(|count| count.waiting).sum();
    checks.push(match (workers, due) {
        (0, 0) => check("workers", Verdict::Ok, "none lives, and nothing is due".into()),
        (0, due) => {
            let detail = format!("none lives for {due} due jobs: start `aiv serve`");
            check("workers", Verdict::Failed, detail)
        }
        (workers, due) => check("workers", Verdict::Ok, format!("{workers} live, {due} jobs due")),
    });
    checks.push(match stuck {
        0 => check("leases", Verdict::Ok, "every running job has a worker".into()),
        stuck => {
            let detail = format!(
                "{stuck} jobs lost their worker and nobody took them over: start `aiv serve`"
            );
            check("leases", Verdict::Failed, detail)
        }
    });
    for (queue, jobs) in &dead {
        let detail = format!(
            "{jobs} failed jobs: `aiv job list --queue {queue} --state failed` tells why, \
             `aiv job retry-all {queue}` tries them anew"
        );
        checks.push(check(format!("failed jobs of {queue}"), Verdict::Warning, detail));
    }
    for word in queues.iter().filter(|word| word.paused) {
        let (queue, by) = (&word.queue, &word.updated_by);
        let detail = format!("paused by {by} at {}: `aiv queue resume {queue}`", word.updated_at);
        checks.push(check(format!("queue {queue}"), Verdict::Warning, detail));
    }
    for word in &lanes {
        let control = &word.control;
        let name = format!("lane {}/{}", control.queue, control.lane);
        if control.paused {
            let (queue, lane) = (&control.queue, &control.lane);
            let detail = format!("paused by {}: `aiv lane resume {queue} {lane}`", word.updated_by);
            checks.push(check(name, Verdict::Warning, detail));
        } else if let Some(until) = control.blocked_until.filter(|until| *until > now) {
            let detail = format!("its vendor wants to be left alone until {until}");
            checks.push(check(name, Verdict::Warning, detail));
        }
    }
    for session in sessions {
        let what = if session.waits_for_lock { "waits for a lock" } else { "is open" };
        let detail = format!(
            "session {} ({}) {what}, for {} s: `SELECT pg_terminate_backend({})` ends it",
            session.pid, session.state, session.seconds, session.pid
        );
        checks.push(check("transaction", Verdict::Warning, detail));
    }
    Ok(checks)
}
