//! When an activation takes effect: once every worker that lives has the component ready.

use super::{Registry, activate};
use crate::{
    Error, Result,
    store::{
        Conn,
        activations::{self, Activation, Readiness},
        audit_logs::{self, Actor},
        hints,
        processes::{self, Process},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use std::time::Duration;

/// How long workers may take to get a component ready. Compiling a large one takes half a minute.
const PATIENCE: TimeDelta = TimeDelta::minutes(2);

impl Registry {
    /// Settles what can be settled; says whether anything was.
    pub async fn settle(&self) -> Result<bool> {
        let now = self.0.clock.now();
        let mut conn = self.0.store.read().await?;
        let open = activations::preparing(&mut conn).await?;
        let mut due = false;
        for activation in &open {
            due |= outcome(&mut conn, activation, now).await?.is_some();
        }
        drop(conn);
        if !due {
            return Ok(false);
        }
        let mut tx = self.0.store.begin().await?;
        let generation = activations::next_generation(&mut tx).await?;
        let mut settled = false;
        for activation in activations::preparing(&mut tx).await? {
            settled |= settle_one(&mut tx, &activation, generation, now).await?;
        }
        hints::providers(&mut tx).await?;
        tx.commit().await?;
        Ok(settled)
    }

    /// Waits until an activation is settled, or until `patience` is over; then it is told how it is.
    ///
    /// # Errors
    /// When it was refused: the error says why.
    pub async fn settled(&self, id: i64, patience: Duration) -> Result<Activation> {
        let started = tokio::time::Instant::now();
        loop {
            let mut conn = self.0.store.read().await?;
            let activation = activations::find(&mut conn, id).await?;
            drop(conn);
            if activation.state == "refused" {
                let why = activation.detail.unwrap_or_default();
                return Err(Error::Conflict(format!("the activation was refused: {why}")));
            }
            if activation.state != "preparing" || started.elapsed() >= patience {
                return Ok(activation);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.settle().await?;
        }
    }
}

/// Settles one activation if that can be done; says whether it was.
pub(super) async fn settle_one(
    conn: &mut Conn,
    activation: &Activation,
    generation: i64,
    now: DateTime<Utc>,
) -> Result<bool> {
    let Some(outcome) = outcome(conn, activation, now).await? else { return Ok(false) };
    let verdict = outcome.as_ref().map(|()| generation).map_err(String::as_str);
    if !activations::settle(conn, activation.id, verdict, now).await? {
        return Ok(false);
    }
    let actor = Actor { workspace: None, name: "system:registry".into(), request_id: None };
    let provider = &activation.provider_key;
    match outcome {
        Ok(()) => {
            let what = json!({
                "activation": activation.id, "slot": activation.slot, "generation": generation,
                "digest": activation.digest.as_ref().map(hex::encode),
            });
            audit_logs::note(conn, &actor, "provider.commit", provider, what, now).await?;
            activate::tell(activation);
        }
        Err(why) => {
            tracing::warn!(provider.key = provider, "an activation was refused: {why}");
            let what = json!({"activation": activation.id, "why": why});
            audit_logs::note(conn, &actor, "provider.refuse", provider, what, now).await?;
        }
    }
    Ok(true)
}

async fn outcome(
    conn: &mut Conn,
    activation: &Activation,
    now: DateTime<Utc>,
) -> Result<Option<Result<(), String>>> {
    let Some(digest) = &activation.digest else { return Ok(Some(Ok(()))) };
    let living = processes::living(conn, now).await?;
    let said = activations::readiness(conn).await?;
    Ok(decide(digest, activation.created_at, &living, &said, now))
}

/// `None` while somebody still prepares.
fn decide(
    digest: &[u8],
    since: DateTime<Utc>,
    living: &[Process],
    said: &[Readiness],
    now: DateTime<Utc>,
) -> Option<Result<(), String>> {
    let workers = living.iter().filter(|process| process.concurrency > 0 && !process.draining);
    let mut silent = Vec::new();
    for worker in workers {
        let word = said.iter().find(|row| row.process_id == worker.id && row.digest == digest);
        match word {
            Some(row) if row.ready => {}
            Some(row) if row.updated_at >= since => {
                let why = row.error.as_deref().unwrap_or("it does not load");
                return Some(Err(format!("{} ({}): {why}", worker.host, worker.id)));
            }
            _ => silent.push(worker.id.to_string()),
        }
    }
    if silent.is_empty() {
        return Some(Ok(()));
    }
    (now - since > PATIENCE)
        .then(|| Err(format!("no word within two minutes from {}", silent.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ProcessId;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600 + second, 0).unwrap()
    }

    fn worker(concurrency: i64, draining: bool) -> Process {
        Process {
            id: ProcessId::generate(),
            role: "worker".into(),
            host: "one".into(),
            pid: 1,
            version: "0.1.0".into(),
            concurrency,
            in_flight: 0,
            draining,
            started_at: at(0),
            seen_at: at(0),
            provider_generation: 0,
        }
    }

    fn word(process: &Process, error: Option<&str>, second: i64) -> Readiness {
        Readiness {
            process_id: process.id,
            digest: b"a".to_vec(),
            ready: error.is_none(),
            error: error.map(str::to_owned),
            updated_at: at(second),
        }
    }

    #[test]
    fn every_living_worker_has_to_be_ready() {
        let (one, two) = (worker(4, false), worker(4, false));
        let (api, leaving) = (worker(0, false), worker(4, true));
        let living = [one.clone(), two.clone(), api, leaving];
        let decide = |said: &[Readiness], now| decide(b"a", at(0), &living, said, at(now));
        assert_eq!(decide(&[], 1), None);
        assert_eq!(decide(&[word(&one, None, 1)], 1), None);
        assert_eq!(decide(&[word(&one, None, 1), word(&two, None, 1)], 1), Some(Ok(())));
        let broken = decide(&[word(&two, Some("trap"), 1)], 1).unwrap().unwrap_err();
        assert!(broken.contains("trap"), "{broken}");
        // What it said before it was asked does not count.
        assert_eq!(decide(&[word(&one, None, 1), word(&two, Some("trap"), -5)], 1), None);
        let late = decide(&[word(&one, None, 1)], 121).unwrap().unwrap_err();
        assert!(late.contains(&two.id.to_string()) && !late.contains(&one.id.to_string()));
    }

    #[test]
    fn without_workers_nothing_is_waited_for() {
        assert_eq!(decide(b"a", at(0), &[], &[], at(0)), Some(Ok(())));
    }
}
