//! Credentials by provider and name.
//!
//! **Invariant:** a component never sees a credential; it names one, and the value is put into the
//! request as the very last step, for the hosts that the manifest and the grant both name.

use super::{grant::Grant, own::OwnCredentials, redact::Redactor};
use crate::{config::Config, ids::WorkspaceId};
use aiv_runtime::types::Manifest;
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

/// Where credentials are kept.
pub trait CredentialSource: Send + Sync {
    /// The credential `name` of `provider`; `variable` is its name in the environment.
    fn find(&self, provider: &str, name: &str, variable: &str) -> Option<SecretString>;
}

/// Credentials from the environment, by way of the settings.
pub struct EnvironmentCredentials(Arc<Config>);

impl EnvironmentCredentials {
    pub fn new(config: Arc<Config>) -> Self {
        Self(config)
    }
}

impl CredentialSource for EnvironmentCredentials {
    fn find(&self, _: &str, _: &str, variable: &str) -> Option<SecretString> {
        self.0.credential(variable)
    }
}

/// The same value for every credential: recordings and conformance cases need no real one.
pub struct FixedCredential(SecretString);

impl FixedCredential {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into().into())
    }
}

impl CredentialSource for FixedCredential {
    fn find(&self, _: &str, _: &str, _: &str) -> Option<SecretString> {
        Some(self.0.clone())
    }
}

/// The environment variable that holds `credential`: what the manifest says in an extra
/// `("env", "<credential>=<VARIABLE>")`, else made from the provider's key and the credential.
pub fn variable(manifest: &Manifest, credential: &str) -> String {
    let named =
        manifest.extra.iter().filter(|(key, _)| key == "env").find_map(|(_, value)| {
            value.trim_matches('"').strip_prefix(credential)?.strip_prefix('=')
        });
    named.map_or_else(
        || {
            let name = format!("{}_{credential}", manifest.key);
            name.replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_ascii_uppercase()
        },
        ToOwned::to_owned,
    )
}

/// The granted credentials of one provider, for the length of one call.
pub struct Secrets {
    values: BTreeMap<String, SecretString>,
    redactor: Redactor,
}

impl Secrets {
    pub fn load(source: &dyn CredentialSource, manifest: &Manifest, grant: &Grant) -> Self {
        Self::of(values(source, manifest, grant, &OwnCredentials::default()))
    }

    fn of(values: BTreeMap<String, SecretString>) -> Self {
        let redactor = Redactor::new(values.values());
        Self { values, redactor }
    }

    pub fn find(&self, name: &str) -> Option<&SecretString> {
        self.values.get(name)
    }

    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }
}

fn values(
    source: &dyn CredentialSource,
    manifest: &Manifest,
    grant: &Grant,
    own: &OwnCredentials,
) -> BTreeMap<String, SecretString> {
    granted(manifest, grant)
        .filter_map(|name| {
            let value = match own.find(name) {
                Some(own) => own.clone(),
                None => source.find(&manifest.key, name, &variable(manifest, name))?,
            };
            Some((name.to_owned(), value))
        })
        .collect()
}

/// The secrets of the last call to each provider. Looking for credentials in answers needs an
/// automaton, which costs more to build than a call may cost; it is built when a credential changes.
#[derive(Default)]
pub(super) struct KeptSecrets(Mutex<HashMap<SecretsKey, Arc<Secrets>>>);

/// Whose secrets (a workspace's own, else the installation's), and for which provider.
type SecretsKey = (Option<WorkspaceId>, String);

/// Workspaces with credentials of their own, times their providers, that are kept at once.
const KEPT: usize = 10_000;

impl KeptSecrets {
    /// What [`Secrets::load`] would bring.
    pub(super) fn load(
        &self,
        source: &dyn CredentialSource,
        manifest: &Manifest,
        grant: &Grant,
        own: &OwnCredentials,
    ) -> Arc<Secrets> {
        let values = values(source, manifest, grant, own);
        let key = (own.workspace, manifest.key.clone());
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secrets) = kept.get(&key)
            && is_same(&secrets.values, &values)
        {
            return Arc::clone(secrets);
        }
        let secrets = Arc::new(Secrets::of(values));
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&secrets));
        secrets
    }
}

fn is_same(a: &BTreeMap<String, SecretString>, b: &BTreeMap<String, SecretString>) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|((name, value), (other_name, other))| {
            name == other_name && value.expose_secret() == other.expose_secret()
        })
}

/// The credentials that the manifest asks for and the grant gives.
pub fn granted<'a>(manifest: &'a Manifest, grant: &'a Grant) -> impl Iterator<Item = &'a str> {
    manifest
        .credentials
        .iter()
        .map(|request| request.name.as_str())
        .filter(|name| grant.credentials.iter().any(|granted| granted == name))
}
