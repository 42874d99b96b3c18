//! What operators of the installation see and do: everything below `/v1/admin` but the audit log.
//!
//! **Invariant:** every deed goes through `jobs::operate` or `providers::registry`, which tell the
//! audit log of it.

use super::{
    Accepted, Body, Caller, Created, Deleted, Paging, Problem, Tag, auth::Caches, body::Component,
    edge_settings::EdgeSettings, page, types,
};
use crate::App;
use arc_swap::ArcSwap;
use std::sync::Arc;

mod config;
mod erasures;
mod figures;
mod jobs;
mod lanes;
mod providers;
mod publisher_keys;
mod queues;
mod revocations;
mod runs;
mod system;
mod workers;

pub(super) use self::figures::Figures;

/// Every resource of operators, in the order of the document.
pub(super) type Apis = (
    system::Api,
    queues::Api,
    lanes::Api,
    jobs::Api,
    runs::Api,
    workers::Api,
    revocations::Api,
    erasures::Api,
    config::Api,
    providers::Api,
    publisher_keys::Api,
);

pub(super) fn apis(
    app: &App,
    figures: &Arc<Figures>,
    caches: &Arc<Caches>,
    settings: &Arc<ArcSwap<EdgeSettings>>,
) -> Apis {
    let operator = || Operator { app: app.clone(), figures: Arc::clone(figures) };
    (
        system::Api::new(operator()),
        queues::Api(operator()),
        lanes::Api(operator()),
        jobs::Api(operator()),
        runs::Api(operator()),
        workers::Api(operator()),
        revocations::Api { operator: operator(), caches: Arc::clone(caches) },
        erasures::Api { operator: operator(), caches: Arc::clone(caches) },
        config::Api { operator: operator(), settings: Arc::clone(settings) },
        providers::Api(operator()),
        publisher_keys::Api(operator()),
    )
}

/// What the handlers of this folder work with.
struct Operator {
    app: App,
    figures: Arc<Figures>,
}

impl Operator {
    /// After a deed: the next one who asks sees it, and workers look at once.
    async fn done(&self) {
        self.figures.forget().await;
        self.app.queue.wake();
    }
}
