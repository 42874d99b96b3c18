//! What operators of the installation see and do: everything below `/v1/admin` but the audit log.
//!
//! **Invariant:** every deed goes through `jobs::operate` or `providers::registry`, which tell the
//! audit log of it.

use super::{
    Accepted, Body, Caller, Created, Deleted, Paging, Problem, Tag, body::Component, page, types,
};
use crate::App;
use std::sync::Arc;

mod figures;
mod jobs;
mod lanes;
mod providers;
mod publisher_keys;
mod queues;
mod system;
mod workers;

pub(super) use self::figures::Figures;

/// Every resource of operators, in the order of the document.
pub(super) type Apis = (
    system::Api,
    queues::Api,
    lanes::Api,
    jobs::Api,
    workers::Api,
    providers::Api,
    publisher_keys::Api,
);

pub(super) fn apis(app: &App, figures: &Arc<Figures>) -> Apis {
    let operator = || Operator { app: app.clone(), figures: Arc::clone(figures) };
    (
        system::Api::new(operator()),
        queues::Api(operator()),
        lanes::Api(operator()),
        jobs::Api(operator()),
        workers::Api(operator()),
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
