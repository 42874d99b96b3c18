//! Hands jobs out through BullMQ queues in Redis, so that BullMQ's own clients, dashboards and
//! exporters see them.
//!
//! A [`Relay`] moves due jobs from the table to Redis, a window of them at a time, and takes back
//! what Redis lost. A [`BullDispatcher`] takes what BullMQ delivers and claims it in the table
//! before anybody works on it.
//!
//! **Invariant:** Redis holds names, `{job}.{epoch}`, and nothing else. A name whose epoch is over
//! means nothing, so Redis may deliver twice, late, or forget everything at any moment.
//!
//! BullMQ's worker comes from its makers (`bullmq-official`); what it does not promise is guarded
//! here: the processor does nothing that could panic, its events are read so that they do not pile
//! up, and an acknowledgement that gets lost is met by the epoch.

use crate::ids::JobId;
use bullmq::options::RedisConnectionOptions;
use secrecy::{ExposeSecret, SecretString};

mod consumer;
mod reconciler;
mod relay;

pub use self::{consumer::BullDispatcher, relay::Relay};

/// Where the queues are.
#[derive(Debug, Clone)]
pub struct BullConfig {
    pub url: SecretString,
    /// Of all keys; `bull` is what BullMQ's tools expect.
    pub prefix: String,
    /// Jobs of a queue that wait in Redis at once.
    pub window: usize,
}

impl BullConfig {
    fn connection(&self) -> RedisConnectionOptions {
        RedisConnectionOptions {
            url: self.url.expose_secret().to_owned(),
            ..RedisConnectionOptions::default()
        }
    }
}

/// The lead of the relay among the processes.
const RELAY: &str = "relay";
/// Held while Redis cannot be reached: workers then claim from the table.
const AWAY: &str = "broker_away";

/// What a job is called in Redis.
fn name_of(id: JobId, epoch: i64) -> String {
    format!("{id}.{epoch}")
}

/// The job that a name in Redis means, if it is one of ours.
fn parse(name: &str) -> Option<(JobId, i64)> {
    let (id, epoch) = name.rsplit_once('.')?;
    Some((id.parse().ok()?, epoch.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let id = JobId::generate();
        assert_eq!(parse(&name_of(id, 7)), Some((id, 7)));
        for odd in ["", "17", "a.1", "repeat:x:1", &id.to_string(), &format!("{id}.x")] {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }
}
