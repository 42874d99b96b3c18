//! What is in service at one moment: for each provider a component for everybody, perhaps another
//! for a share of the runs, and others for single workspaces.
//!
//! **Invariant:** a catalogue never changes; another one takes its place as a whole.
//! **Invariant:** the same run gets the same component from the same catalogue, in every process.

use super::Route;
use crate::{
    ids::{RunId, WorkspaceId},
    store::activations::{InService, NO_WORKSPACE, WHOLE},
};
use aiv_runtime::Digest;
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Everything in service.
#[derive(Default)]
pub struct Catalogue {
    services: BTreeMap<String, Service>,
}

/// The components of one provider.
#[derive(Default)]
pub struct Service {
    main: Option<Arc<Route>>,
    canary: Option<Canary>,
    pins: BTreeMap<WorkspaceId, Arc<Route>>,
}

struct Canary {
    route: Arc<Route>,
    /// Thousandths of the runs.
    weight: i64,
}

impl Catalogue {
    /// One component each, for everybody.
    pub fn of(routes: impl IntoIterator<Item = Route>) -> Self {
        let mut catalogue = Self::default();
        for route in routes {
            let service = catalogue.services.entry(route.key().to_owned()).or_default();
            service.main = Some(Arc::new(route));
        }
        catalogue
    }

    /// Fills the slot that `row` speaks of.
    pub(super) fn put(&mut self, row: &InService, route: Arc<Route>) {
        let service = self.services.entry(row.provider_key.clone()).or_default();
        match row.slot.as_str() {
            "canary" => service.canary = Some(Canary { route, weight: row.weight }),
            "pin" => drop(service.pins.insert(row.workspace_id, route)),
            _ => service.main = Some(route),
        }
    }

    /// What the slot that `row` speaks of holds here.
    pub(super) fn slot(&self, row: &InService) -> Option<&Arc<Route>> {
        let service = self.services.get(&row.provider_key)?;
        match row.slot.as_str() {
            "canary" => service.canary.as_ref().map(|canary| &canary.route),
            "pin" => service.pins.get(&row.workspace_id),
            _ => service.main.as_ref(),
        }
    }

    pub fn service(&self, key: &str) -> Option<&Service> {
        self.services.get(key)
    }

    /// The components for everybody, by key.
    pub fn main(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.services.values().filter_map(|service| service.main.as_ref())
    }

    /// Every component in any slot.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.services.values().flat_map(|service| {
            let canary = service.canary.as_ref().map(|canary| &canary.route);
            service.main.iter().chain(canary).chain(service.pins.values())
        })
    }

    pub(super) fn digests(&self) -> BTreeSet<Digest> {
        self.routes().map(|route| route.digest).collect()
    }
}

impl Service {
    /// What everybody gets who is neither pinned nor picked.
    pub fn main(&self) -> Option<&Arc<Route>> {
        self.main.as_ref()
    }

    /// What a workspace is served by, whatever the run: its pin or what everybody gets.
    pub fn of_workspace(&self, workspace: WorkspaceId) -> Option<&Arc<Route>> {
        self.pins.get(&workspace).or(self.main.as_ref())
    }

    /// What asks the vendor for this run.
    pub fn choose(&self, workspace: WorkspaceId, run: RunId) -> Option<&Arc<Route>> {
        if workspace != NO_WORKSPACE
            && let Some(pinned) = self.pins.get(&workspace)
        {
            return Some(pinned);
        }
        match &self.canary {
            Some(canary) if share(run) < canary.weight => Some(&canary.route),
            _ => self.main.as_ref(),
        }
    }

    /// Whether `digest` is tried on a share of the runs.
    pub fn is_canary(&self, digest: Digest) -> bool {
        self.canary.as_ref().is_some_and(|canary| canary.route.digest == digest)
    }
}

/// Where a run falls among all, in thousandths: evenly, and always the same.
fn share(run: RunId) -> i64 {
    let hash = Sha256::digest(run.0.as_bytes());
    let number = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    i64::try_from(number % WHOLE.unsigned_abs()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even_and_stay() {
        let runs: Vec<RunId> = (0..20_000_u128)
            .map(|n| RunId(uuid::Uuid::from_u128(n << 70 | 0x7 << 76 | 1 << 63)))
            .collect();
        let picked = runs.iter().filter(|run| share(**run) < 100).count();
        assert!((1_700..2_300).contains(&picked), "{picked} of 20000 are not a tenth");
        assert!(runs.iter().all(|run| share(*run) == share(*run)));
        assert!(runs.iter().all(|run| (0..WHOLE).contains(&share(*run))));
    }
}
