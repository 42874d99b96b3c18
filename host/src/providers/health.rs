//! Whether an engine can be asked, found out without asking it anything.

use super::{
    OwnCredentials, Providers, Route,
    request::{NotSent, Rules},
    transport::CallContext,
};
use aiv_runtime::types::Moment;
use serde::Serialize;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// What a free call to the vendor showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", content = "detail", rename_all = "snake_case")]
pub enum Health {
    Healthy,
    /// The vendor offers no free call.
    Unknown,
    /// The credential is missing or the vendor does not accept it.
    CredentialRefused(String),
    /// The vendor, the network or the component is in trouble.
    Unhealthy(String),
}

impl Providers {
    /// Makes the component's health check. It costs nothing and answers within seconds.
    pub async fn check_health(&self, route: &Route, config: &str) -> Health {
        self.check_health_with(route, config, &OwnCredentials::default()).await
    }

    /// As [`Providers::check_health`], with a workspace's own credentials before the
    /// installation's.
    pub async fn check_health_with(
        &self,
        route: &Route,
        config: &str,
        own: &OwnCredentials,
    ) -> Health {
        let moment = Moment { now_unix: self.now_unix(), seed: 0 };
        let request = match route.plugin.health_check(config, moment).await {
            Ok(Some(request)) => request,
            Ok(None) => return Health::Unknown,
            Err(err) => return Health::Unhealthy(err.message),
        };
        let secrets = self.secrets(route, own);
        let rules = Rules { manifest: &route.manifest, grant: &route.grant, secrets: &secrets };
        let context = CallContext { seed: 0, attempt: 1 };
        let outgoing = match rules.prepare(&request, PATIENCE, context) {
            Ok(outgoing) => outgoing,
            Err(NotSent::Refused(refusal)) => return Health::Unhealthy(refusal.reason),
            Err(NotSent::MissingCredential { name, variable }) => {
                let message = format!("the credential {name} is missing: set {variable}");
                return Health::CredentialRefused(message);
            }
        };
        let Ok(sent) = tokio::time::timeout(PATIENCE, self.transport().send(outgoing)).await else {
            return Health::Unhealthy("the vendor does not answer".into());
        };
        match sent.map(|response| response.status) {
            Ok(200..=299) => Health::Healthy,
            Ok(status @ (401..=403 | 422)) => {
                Health::CredentialRefused(format!("the vendor answers with status {status}"))
            }
            Ok(status) => Health::Unhealthy(format!("the vendor answers with status {status}")),
            Err(failure) => {
                Health::Unhealthy(secrets.redactor().text(&failure.reason).into_owned())
            }
        }
    }
}
