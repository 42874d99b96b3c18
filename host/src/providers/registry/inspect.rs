//! All that is known of a provider, for operators.

use super::activate;
use crate::{
    Error, Result,
    providers::{Grant, grant::Missing},
    store::{
        Conn,
        activations::{self, Activation, Readiness},
        processes::{self, Process},
        provider_calls::{self, CallMinute, Latency},
        providers::{self, Artifact},
    },
};
use chrono::{DateTime, TimeDelta, Utc};

/// How far back calls are counted.
const WINDOW: TimeDelta = TimeDelta::hours(24);
/// Lines of the activation log that are shown.
const HISTORY: i64 = 20;

/// A provider with everything about it.
#[derive(Debug, Clone)]
pub struct Inspection {
    pub key: String,
    /// The generation of the newest change of any provider.
    pub generation: i64,
    /// What its slots hold.
    pub slots: Vec<Activation>,
    /// Newest first.
    pub components: Vec<Inspected>,
    pub grant: Option<(i64, Grant)>,
    /// Newest first.
    pub history: Vec<Activation>,
    pub processes: Vec<Process>,
}

/// A component with how it fares.
#[derive(Debug, Clone)]
pub struct Inspected {
    pub artifact: Artifact,
    /// What it asks for beyond what is granted.
    pub missing: Missing,
    /// Calls of the last 24 hours.
    pub calls: CallMinute,
    /// Within which 95 of 100 calls of the last 24 hours ended; `None` without any.
    pub p95_ms: Option<i64>,
    /// What processes said about having it ready.
    pub readiness: Vec<Readiness>,
}

/// All that is known of a provider.
pub async fn inspect(conn: &mut Conn, key: &str, now: DateTime<Utc>) -> Result<Inspection> {
    let artifacts = providers::list_artifacts(conn, Some(key)).await?;
    if artifacts.is_empty() {
        return Err(Error::NotFound("provider"));
    }
    let from = now - WINDOW;
    let calls = provider_calls::since(conn, key, from).await?;
    let latencies = provider_calls::latencies(conn, key, from).await?;
    let readiness = activations::readiness(conn).await?;
    let mut components = Vec::with_capacity(artifacts.len());
    for artifact in artifacts {
        let missing = activate::missing(conn, &artifact).await?;
        let digest = artifact.digest.clone();
        let of_this: Vec<_> = latencies.iter().filter(|row| row.digest == digest).collect();
        components.push(Inspected {
            missing,
            calls: calls.iter().find(|row| row.digest == digest).cloned().unwrap_or_default(),
            p95_ms: quantile(&of_this, 95),
            readiness: readiness.iter().filter(|row| row.digest == digest).cloned().collect(),
            artifact,
        });
    }
    Ok(Inspection {
        key: key.to_owned(),
        generation: activations::generation(conn).await?,
        slots: activations::current(conn, Some(key)).await?,
        components,
        grant: activate::grant(conn, key).await?,
        history: activations::list(conn, key, HISTORY).await?,
        processes: processes::living(conn, now).await?,
    })
}

/// The upper bound of the bucket in which so many percent of the calls have ended.
fn quantile(histogram: &[&Latency], percent: i64) -> Option<i64> {
    let all: i64 = histogram.iter().map(|row| row.calls).sum();
    let mut seen = 0;
    histogram
        .iter()
        .find(|row| {
            seen += row.calls;
            seen * 100 >= all * percent
        })
        .map(|row| row.upper_ms)
}

impl Inspected {
    /// Share of the calls that came to an outcome; `None` without any.
    pub fn success_rate(&self) -> Option<f64> {
        let CallMinute { succeeded, guest, host, vendor, .. } = &self.calls;
        let all = succeeded + guest + host + vendor;
        #[expect(clippy::cast_precision_loss, reason = "2⁵³ calls a day are far away")]
        let rate = |part: i64, whole: i64| part as f64 / whole as f64;
        (all > 0).then(|| rate(*succeeded, all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_bound_of_the_histogram() {
        let row = |upper_ms, calls| Latency {
            digest: vec![],
            minute: DateTime::<Utc>::UNIX_EPOCH,
            upper_ms,
            calls,
        };
        let rows = [row(10, 90), row(100, 5), row(1000, 5)];
        assert_eq!(quantile(&rows.iter().collect::<Vec<_>>(), 95), Some(100));
        assert_eq!(quantile(&rows.iter().collect::<Vec<_>>(), 96), Some(1000));
        assert_eq!(quantile(&[], 95), None);
    }
}
