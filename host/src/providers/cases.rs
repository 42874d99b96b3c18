//! Conformance cases: what a component must do, as recorded requests and responses.
//!
//! A case is a folder with `case.json` and the bodies of the vendor's responses. The component
//! runs through the same driver and the same egress as in service; a server on this machine plays
//! the vendor.
//!
//! **Invariant:** a case with as many steps as the component may make requests: one more or one
//! fewer is a failure.

mod case;
mod difference;
mod observed;
mod recording;
mod vendor;

pub use self::{
    case::Case,
    recording::{Asked, Recording},
};

use self::{case::Expected, difference::Difference, vendor::Vendor};
use super::{
    Grant, Providers, Route,
    call::{Begin, CallEnd, CallRequest},
    credentials::FixedCredential,
    egress::{Egress, Reach, StandIns},
    exchange::Exchange,
    transport::{Incoming, LiveTransport, Outgoing, Transport, TransportFailure},
};
use crate::Clock;
use aiv_runtime::{Plugin, types::TransportError};
use anyhow::Context;
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::{fmt::Write, net::SocketAddr, path::Path, sync::Arc};

/// Stands for every credential; cases write `<key>`.
const CREDENTIAL: &str = "conformance-key-7f3a9c";

/// How one case went.
#[derive(Debug)]
pub struct CaseReport {
    /// `provider/case`.
    pub name: String,
    /// Nothing when the component conforms.
    pub difference: Option<String>,
    /// Advice that does not count against the component.
    pub notes: Vec<String>,
}

impl CaseReport {
    pub fn is_ok(&self) -> bool {
        self.difference.is_none()
    }
}

/// The cases below `folder`, in the order of their names: the folder itself may be one.
pub fn load(folder: &Path) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    collect(folder, &mut cases)?;
    anyhow::ensure!(!cases.is_empty(), "there is no case.json in or below {}", folder.display());
    cases.sort_by_key(Case::name);
    Ok(cases)
}

fn collect(folder: &Path, cases: &mut Vec<Case>) -> anyhow::Result<()> {
    if folder.join("case.json").is_file() {
        cases.push(Case::read(folder)?);
        return Ok(());
    }
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, cases)?;
        }
    }
    Ok(())
}

/// Runs one case. An error means that the case itself, or this machine, is at fault.
pub async fn run(plugin: &Plugin, case: &Case) -> anyhow::Result<CaseReport> {
    let vendor = Vendor::start(case, CREDENTIAL).await?;
    let manifest = plugin.manifest();
    let names = manifest.allowed_hosts.iter().map(|host| (host.clone(), vendor.address()));
    let stand_ins = StandIns::Named(names.collect());
    let egress = Egress::with(Reach { stand_ins, ..Reach::default() })?;
    let transport = CaseTransport { live: LiveTransport::new(egress), vendor: vendor.clone() };
    let credential = Arc::new(FixedCredential::new(CREDENTIAL));
    let providers = Providers::with(Arc::new(transport), credential, case.clock());
    let route = Route::new(plugin, Grant::as_requested(manifest));

    let query = case.query(&route)?;
    let mut begin = Begin::Query(Box::new(query));
    let mut exchanges = Vec::new();
    let end = loop {
        let report = providers.call(&route, CallRequest { begin, attempt: 1 }).await;
        exchanges.extend(report.exchanges);
        match report.end {
            // The vendor has nothing more to say: the component rightly waits.
            CallEnd::Paused { checkpoint, .. } if vendor.is_used_up() => {
                break CallEnd::Paused { checkpoint, delay: std::time::Duration::ZERO };
            }
            CallEnd::Paused { checkpoint, .. } => begin = Begin::Resume(checkpoint),
            end => break end,
        }
    };
    let mut differences = vendor.differences();
    differences.extend(result_differences(case, &end));
    let notes = case
        .expect
        .get("warnings")
        .zip(observed::warnings(&end))
        .filter(|(expected, got)| *expected != got)
        .map(|(expected, got)| format!("warnings: expected {expected}, got {got}"))
        .into_iter()
        .collect();
    let difference = (!differences.is_empty()).then(|| describe(&differences, &exchanges));
    Ok(CaseReport { name: case.name(), difference, notes })
}

fn result_differences(case: &Case, end: &CallEnd) -> Vec<Difference> {
    if let (Expected::Pending { token }, CallEnd::Paused { checkpoint, .. }) =
        (case.expected(), end)
    {
        let holds = checkpoint.state.windows(token.len()).any(|part| part == token.as_bytes());
        let got = "a pause whose state does not hold it";
        return if holds { vec![] } else { vec![Difference::new("token", token, got)] };
    }
    difference::between(&case.expect, &observed::document(end))
}

fn describe(differences: &[Difference], exchanges: &[Exchange]) -> String {
    let mut text = String::new();
    for difference in differences {
        let _ = writeln!(text, "{difference}");
    }
    for exchange in exchanges {
        let status = exchange.status().map_or_else(|| "no response".into(), |s| s.to_string());
        let _ = writeln!(text, "asked: {} {} -> {status}", exchange.method, exchange.url);
    }
    text.trim_end().to_owned()
}

/// The guarded client, except that a step without a response fails at once and as recorded.
struct CaseTransport {
    live: LiveTransport,
    vendor: Vendor,
}

impl Transport for CaseTransport {
    fn send(&self, request: Outgoing) -> BoxFuture<'_, Result<Incoming, TransportFailure>> {
        match self.vendor.breaks(&request) {
            Some(error) => Box::pin(async move {
                Err(TransportFailure::new(error, "the case has no response here"))
            }),
            None => self.live.send(request),
        }
    }

    fn is_synthetic(&self) -> bool {
        true
    }
}

/// The name of a transport error, as cases write it.
fn transport_error(name: &str) -> anyhow::Result<TransportError> {
    serde_json::from_value(Value::String(name.to_owned()))
        .with_context(|| format!("{name} is not a transport error"))
}

/// A clock that stands at the case's time.
fn clock_at(unix: f64) -> anyhow::Result<Clock> {
    #[expect(clippy::cast_possible_truncation, reason = "checked by the conversion that follows")]
    let micros = (unix * 1e6) as i64;
    let at = chrono::DateTime::from_timestamp_micros(micros).context("now_epoch_s is no time")?;
    Ok(Clock::fixed(at))
}

/// Where the vendor's stand-in listens.
fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
