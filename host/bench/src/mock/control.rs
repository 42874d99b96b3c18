use super::{Vendor, dice::Dice};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// What is ordered for all calls. What is left out is as in [`Control::default`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// How long every call takes.
    pub latency_ms: u64,
    /// Vendors whose calls take another time.
    pub latency_ms_of: BTreeMap<Vendor, u64>,
    /// Up to this much more, drawn for each call.
    pub jitter_ms: u64,
    /// The first one that hits a call is its fate.
    pub faults: Vec<Fault>,
    /// Calls in a second that a vendor takes before it answers 429.
    pub per_second: BTreeMap<Vendor, u64>,
    /// Share of Google searches that bring only a token for a second search.
    pub page_token_rate: f64,
}

/// A fault, and whom it hits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub kind: FaultKind,
    /// Share of calls.
    #[serde(default = "always")]
    pub rate: f64,
    /// Only this vendor.
    #[serde(default)]
    pub vendor: Option<Vendor>,
    /// Only the first calls of each prompt.
    #[serde(default)]
    pub first: Option<u64>,
    /// Seconds for `Retry-After` of a 429.
    #[serde(default = "one")]
    pub retry_after: u64,
}

impl Fault {
    /// Hits every call.
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, rate: 1.0, vendor: None, first: None, retry_after: 1 }
    }
}

fn always() -> f64 {
    1.0
}

fn one() -> u64 {
    1
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FaultKind {
    /// Too many requests, with `Retry-After`.
    #[serde(rename = "429")]
    TooMany,
    #[serde(rename = "500")]
    Broken,
    #[serde(rename = "503")]
    Overloaded,
    /// No answer, ever.
    #[serde(rename = "hang")]
    Hang,
    /// The connection ends instead of an answer.
    #[serde(rename = "reset")]
    Reset,
    /// The connection ends in the middle of the answer.
    #[serde(rename = "truncate")]
    Truncate,
    /// Half a body, as if it were the whole.
    #[serde(rename = "malformed")]
    Malformed,
}

impl FaultKind {
    /// The kind that a path or a document names.
    pub fn named(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }
}

/// What is ordered, and how far the vendors' windows are.
#[derive(Debug, Default)]
pub(super) struct Orders {
    pub(super) control: Control,
    windows: BTreeMap<Vendor, (Option<Instant>, u64)>,
}

impl Orders {
    pub(super) fn new(control: Control) -> Self {
        Self { control, windows: BTreeMap::new() }
    }

    /// What befalls the `number`th call of `prompt`, and how long it takes.
    pub(super) fn fate(&mut self, vendor: Vendor, prompt: &str, number: u64) -> Fate {
        let mut dice = Dice::new(&[prompt.as_bytes(), &number.to_le_bytes()]);
        let jitter = usize::try_from(self.control.jitter_ms).unwrap_or(usize::MAX - 1);
        let jitter = u64::try_from(dice.below(jitter + 1)).unwrap_or(0);
        let latency = self.control.latency_ms_of.get(&vendor).unwrap_or(&self.control.latency_ms);
        let latency = Duration::from_millis(latency + jitter);
        if !self.takes(vendor) {
            return Fate { latency, fault: Some(Fault::new(FaultKind::TooMany)) };
        }
        let fault = self.control.faults.iter().find(|fault| {
            let meant = fault.vendor.is_none_or(|only| only == vendor);
            let first = fault.first.is_none_or(|calls| number <= calls);
            dice.chance(fault.rate) && meant && first
        });
        Fate { latency, fault: fault.cloned() }
    }

    fn takes(&mut self, vendor: Vendor) -> bool {
        let Some(most) = self.control.per_second.get(&vendor) else { return true };
        let (since, calls) = self.windows.entry(vendor).or_default();
        if since.is_none_or(|since| since.elapsed() >= Duration::from_secs(1)) {
            (*since, *calls) = (Some(Instant::now()), 0);
        }
        *calls += 1;
        *calls <= *most
    }
}

/// What befalls a call.
#[derive(Debug, Clone)]
pub(super) struct Fate {
    pub(super) latency: Duration,
    pub(super) fault: Option<Fault>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_hit_the_share_that_was_ordered_and_the_same_calls_again() {
        let fault = Fault { rate: 0.1, ..Fault::new(FaultKind::Broken) };
        let control = Control { faults: vec![fault], ..Control::default() };
        let hits = || -> Vec<bool> {
            let mut orders = Orders::new(control.clone());
            (0..2000)
                .map(|at| orders.fate(Vendor::Brave, &format!("prompt {at}"), 1).fault.is_some())
                .collect()
        };
        let count = hits().into_iter().filter(|hit| *hit).count();
        assert!((150..250).contains(&count), "{count}");
        assert_eq!(hits(), hits());
    }

    #[test]
    fn first_calls_can_be_hit_alone() {
        let control: Control = serde_json::from_str(
            r#"{"faults": [{"kind": "429", "first": 2, "vendor": "brave", "retry_after": 3}]}"#,
        )
        .unwrap();
        let mut orders = Orders::new(control);
        let mut fault = |vendor, number| orders.fate(vendor, "p", number).fault;
        assert_eq!(fault(Vendor::Brave, 2).map(|fault| fault.retry_after), Some(3));
        assert_eq!(fault(Vendor::Brave, 3), None);
        assert_eq!(fault(Vendor::Serpapi, 1), None);
    }
}
