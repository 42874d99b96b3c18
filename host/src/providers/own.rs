//! Credentials that workspaces brought themselves.
//!
//! **Invariant:** one that is stored and does not open ends the call: the installation's own is
//! never taken in its place, for that would be somebody else's bill.

use crate::{
    Error, Result,
    ids::WorkspaceId,
    store::{Store, as_system, credentials},
    vault::{Place, Vault},
};
use secrecy::SecretString;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long what the database said is believed: so long an old credential may still be used by
/// another process.
const BELIEVED: Duration = Duration::from_secs(5);
/// Workspaces remembered at once.
const REMEMBERED: usize = 10_000;

/// A workspace's own credentials for one engine, by name.
#[derive(Clone, Default)]
pub struct OwnCredentials {
    pub(super) workspace: Option<WorkspaceId>,
    pub(super) values: Arc<BTreeMap<String, SecretString>>,
}

impl OwnCredentials {
    pub(super) fn find(&self, name: &str) -> Option<&SecretString> {
        self.values.get(name)
    }
}

type Sealeds = Arc<Vec<credentials::Credential>>;

/// Opens what workspaces stored. Cheap to clone.
#[derive(Clone)]
pub struct CredentialStore(Arc<Inner>);

struct Inner {
    store: Store,
    vault: Vault,
    /// As they are stored: sealed.
    known: Mutex<HashMap<WorkspaceId, (Instant, Sealeds)>>,
    /// Whether any workspace has one.
    any: Mutex<Option<(Instant, bool)>>,
}

impl CredentialStore {
    pub fn new(store: Store, vault: Vault) -> Self {
        let (known, any) = (Mutex::default(), Mutex::default());
        CredentialStore(Arc::new(Inner { store, vault, known, any }))
    }

    /// The credentials that a workspace stored for an engine.
    pub async fn of(&self, workspace: WorkspaceId, engine: &str) -> Result<OwnCredentials> {
        let mut values = BTreeMap::new();
        for row in self.sealed(workspace).await?.iter().filter(|row| row.engine == engine) {
            let place = Place::of_engine(workspace, engine, &row.name);
            let opened = self.0.vault.unseal_text(place, &row.sealed);
            let opened = opened.map_err(|error| Error::Unavailable(error.to_string()))?;
            values.insert(row.name.clone(), opened);
        }
        let workspace = (!values.is_empty()).then_some(workspace);
        Ok(OwnCredentials { workspace, values: Arc::new(values) })
    }

    /// Forgets a workspace's at once: they changed here.
    pub fn forget(&self, workspace: WorkspaceId) {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&workspace);
        *self.0.any.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn sealed(&self, workspace: WorkspaceId) -> Result<Sealeds> {
        if let Some(rows) = self.remembered(workspace) {
            return Ok(rows);
        }
        if !self.are_there_any().await? {
            return Ok(Sealeds::default());
        }
        let mut conn = self.0.store.read().await?;
        let rows = Arc::new(credentials::list(&mut conn, workspace).await?);
        drop(conn);
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(workspace, (Instant::now(), Arc::clone(&rows)));
        Ok(rows)
    }

    fn remembered(&self, workspace: WorkspaceId) -> Option<Sealeds> {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, rows) = known.get(&workspace)?;
        (since.elapsed() < BELIEVED).then(|| Arc::clone(rows))
    }

    /// Whether any workspace has one. Where none has, a run costs no look of its own.
    async fn are_there_any(&self) -> Result<bool> {
        let known = *self.0.any.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, any)) = known
            && since.elapsed() < BELIEVED
        {
            return Ok(any);
        }
        // For whomever this is looked up: the answer is kept for all.
        let any = as_system(async {
            let mut conn = self.0.store.read().await?;
            credentials::exist(&mut conn).await
        });
        let any = any.await?;
        *self.0.any.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), any));
        Ok(any)
    }
}
