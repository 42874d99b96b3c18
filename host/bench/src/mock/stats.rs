use super::{FaultKind, Vendor};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

/// What was asked since the start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    #[serde(flatten)]
    pub all: Tally,
    pub vendors: BTreeMap<Vendor, Tally>,
    pub connections: u64,
    /// Prompts that were asked, each counted once per vendor.
    pub prompts: u64,
    /// Those that were asked more than once. Second searches do not count.
    pub asked_again: u64,
    /// Those that were answered more than once: paid twice.
    pub answered_again: u64,
}

/// Calls by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub calls: u64,
    pub answered: u64,
    pub faulted: u64,
    pub faults: BTreeMap<FaultKind, u64>,
    /// The caller went away before there was an answer.
    pub abandoned: u64,
    pub in_flight: u64,
    pub peak_in_flight: u64,
    pub bytes: u64,
}

/// The calls of one prompt to one vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptCalls {
    pub vendor: Vendor,
    pub prompt: String,
    pub calls: u64,
    pub answered: u64,
    /// Second searches, which are part of the first one's run.
    pub second_calls: u64,
}

#[derive(Default)]
pub(super) struct Counters(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    vendors: BTreeMap<Vendor, Tally>,
    peak_in_flight: u64,
    connections: u64,
    prompts: HashMap<(Vendor, Arc<str>), Asked>,
}

#[derive(Default, Clone, Copy)]
struct Asked {
    first: u64,
    answered: u64,
    second: u64,
}

/// A call in flight; without an end it counts as abandoned.
pub(super) struct Open<'a> {
    counters: &'a Counters,
    vendor: Vendor,
    prompt: Arc<str>,
    /// Which call of the prompt it is, from 1.
    pub(super) number: u64,
    second: bool,
    ended: bool,
}

impl Counters {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connected(&self) {
        self.lock().connections += 1;
    }

    pub(super) fn open(&self, vendor: Vendor, prompt: String, second: bool) -> Open<'_> {
        let prompt: Arc<str> = prompt.into();
        let mut inner = self.lock();
        let asked = inner.prompts.entry((vendor, Arc::clone(&prompt))).or_default();
        let count = if second { &mut asked.second } else { &mut asked.first };
        *count += 1;
        let number = *count;
        let tally = inner.vendors.entry(vendor).or_default();
        tally.calls += 1;
        tally.in_flight += 1;
        tally.peak_in_flight = tally.peak_in_flight.max(tally.in_flight);
        let in_flight = inner.vendors.values().map(|tally| tally.in_flight).sum();
        inner.peak_in_flight = inner.peak_in_flight.max(in_flight);
        Open { counters: self, vendor, prompt, number, second, ended: false }
    }

    pub(super) fn stats(&self) -> Stats {
        let inner = self.lock();
        let mut all = Tally { peak_in_flight: inner.peak_in_flight, ..Tally::default() };
        for tally in inner.vendors.values() {
            all.calls += tally.calls;
            all.answered += tally.answered;
            all.faulted += tally.faulted;
            all.abandoned += tally.abandoned;
            all.in_flight += tally.in_flight;
            all.bytes += tally.bytes;
            for (kind, count) in &tally.faults {
                *all.faults.entry(*kind).or_default() += count;
            }
        }
        let count = |is: fn(&Asked) -> bool| {
            u64::try_from(inner.prompts.values().filter(|asked| is(asked)).count()).unwrap_or(0)
        };
        Stats {
            all,
            vendors: inner.vendors.clone(),
            connections: inner.connections,
            prompts: count(|_| true),
            asked_again: count(|asked| asked.first > 1),
            answered_again: count(|asked| asked.answered > 1),
        }
    }

    pub(super) fn calls(&self) -> Vec<PromptCalls> {
        let inner = self.lock();
        let mut all: Vec<_> = inner
            .prompts
            .iter()
            .map(|((vendor, prompt), asked)| PromptCalls {
                vendor: *vendor,
                prompt: prompt.to_string(),
                calls: asked.first,
                answered: asked.answered,
                second_calls: asked.second,
            })
            .collect();
        all.sort_by(|a, b| (a.vendor, &a.prompt).cmp(&(b.vendor, &b.prompt)));
        all
    }

    pub(super) fn reset(&self) {
        let mut inner = self.lock();
        for tally in inner.vendors.values_mut() {
            let in_flight = tally.in_flight;
            *tally = Tally { in_flight, peak_in_flight: in_flight, ..Tally::default() };
        }
        inner.peak_in_flight = inner.vendors.values().map(|tally| tally.in_flight).sum();
        inner.prompts.clear();
    }

    fn close(&self, vendor: Vendor, count: impl FnOnce(&mut Tally)) {
        let mut inner = self.lock();
        let tally = inner.vendors.entry(vendor).or_default();
        tally.in_flight = tally.in_flight.saturating_sub(1);
        count(tally);
    }
}

impl Open<'_> {
    pub(super) fn prompt(&self) -> &str {
        &self.prompt
    }

    pub(super) fn answered(mut self, bytes: usize) {
        self.ended = true;
        self.counters.close(self.vendor, |tally| {
            tally.answered += 1;
            tally.bytes += bytes as u64;
        });
        if !self.second {
            let key = (self.vendor, Arc::clone(&self.prompt));
            self.counters.lock().prompts.entry(key).or_default().answered += 1;
        }
    }

    pub(super) fn faulted(mut self, kind: FaultKind) {
        self.ended = true;
        self.counters.close(self.vendor, |tally| {
            tally.faulted += 1;
            *tally.faults.entry(kind).or_default() += 1;
        });
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.counters.close(self.vendor, |tally| tally.abandoned += 1);
        }
    }
}
