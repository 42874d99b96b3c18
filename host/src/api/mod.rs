//! What the outside sees: one file per resource.
//!
//! **Invariant:** a handler reads its input, calls the store or the domain, and shapes the answer.
//! It holds no SQL and no rule that a job would also need.
//! **Invariant:** nothing outside this folder knows poem.

use self::{auth::Caches, edge::Edge, edge_settings::EdgeSettings, health::Health, routes::Routes};
use crate::{App, Violation, telemetry};
use arc_swap::ArcSwap;
use poem::{
    Endpoint, EndpointExt, Response, Route,
    endpoint::{make, make_sync},
    get,
    http::header,
};
use poem_openapi::{OpenApiService, Tags};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

mod access;
mod addresses;
mod admin;
mod auth;
mod body;
mod compress;
mod cors;
mod created;
mod docs;
mod download;
mod edge;
mod edge_settings;
mod etag;
mod health;
mod idempotency;
mod limit;
mod openapi;
mod page;
mod problem;
mod routes;
mod rules;
mod server;
mod stream;
mod types;
mod ui;
mod window;

mod alert_rules;
mod alerts;
mod analyses;
mod answers;
mod api_keys;
mod audit_log;
mod batches;
mod brand_facts;
mod brand_preview;
mod brands;
mod budget;
mod citations;
mod connections;
mod copilot;
mod costs;
mod credentials;
mod deletion_requests;
mod engine_test;
mod engines;
mod estimate;
mod event_name;
mod events;
mod exports;
mod findings;
mod intents;
mod invitations;
mod locales;
mod me;
mod members;
mod metrics;
mod mute_windows;
mod personas;
mod prompts;
mod providers;
mod reports;
mod runs;
mod schedules;
mod stream_tickets;
mod tags;
mod topics;
mod webhooks;
mod whoami;
mod workspaces;

use self::{
    auth::Caller,
    body::Body,
    created::{Accepted, Created, Deleted},
    etag::Tagged,
    idempotency::{Begun, Once},
    page::{Paging, page},
    problem::Problem,
};

pub use self::server::serve;

/// Every resource, in the order of the document.
type Apis = (
    (whoami::Api, me::Api, workspaces::Api, api_keys::Api, audit_log::Api),
    (members::Api, invitations::Api),
    (exports::Api, deletion_requests::Api),
    (brands::Api, brand_preview::Api, brand_facts::Api),
    (
        prompts::Api,
        prompts::transfer::Api,
        prompts::suggestions::Api,
        intents::Api,
        topics::Api,
        personas::Api,
        tags::Api,
        locales::Api,
    ),
    (providers::Api, engines::Api, credentials::Api, engine_test::Api),
    (batches::Api, schedules::Api, runs::Api, answers::Api, analyses::Api),
    (metrics::Api, metrics::breakdowns::Api, citations::Api, costs::Api, budget::Api),
    (events::Api, stream_tickets::Api, webhooks::Api, connections::Api),
    (alert_rules::Api, alerts::Api, mute_windows::Api, findings::Api),
    (copilot::Api, reports::Api),
    admin::Apis,
);

/// How the operations are grouped.
#[derive(Tags)]
enum Tag {
    /// Who is calling.
    Identity,
    /// Tenants: name, time zone and budget.
    Workspaces,
    /// People and their roles, and how they become members.
    Members,
    /// Credentials for this API.
    ApiKeys,
    /// Own and competing brands, and how texts call them.
    Brands,
    /// The questions asked of every engine.
    Prompts,
    /// What is installed, and how the workspace uses it.
    Engines,
    /// Asking: batches, the runs they consist of, and what was answered.
    Runs,
    /// Asking again and again, by the clock.
    Schedules,
    /// What the answers come to, each number with its uncertainty.
    Metrics,
    /// What it cost.
    Costs,
    /// What happens, as it happens.
    Events,
    /// Where to tell of events.
    Webhooks,
    /// Systems of others that the workspace works with.
    Connections,
    /// When to be alerted, and of what.
    Alerts,
    /// What answers say of brands, held against what is known.
    Findings,
    /// What could be done about gaps.
    Copilot,
    /// What windows came to, as files.
    Reports,
    /// Who changed what.
    Audit,
    /// The installation as its operators see it: queues, lanes, jobs, workers.
    Operations,
}

/// The API, the docs and the dashboard as one endpoint.
///
/// # Errors
/// When the document and the access rules disagree: nobody should run a host that guards wrongly.
pub fn in_process(app: App) -> anyhow::Result<impl Endpoint<Output = Response>> {
    endpoint(app, true, CancellationToken::new())
}

/// From `stop` on, the host says that it is not ready. Without `whole`, it says nothing else.
fn endpoint(
    app: App,
    whole: bool,
    stop: CancellationToken,
) -> anyhow::Result<impl Endpoint<Output = Response>> {
    telemetry::metrics::install();
    let routes = Routes::read(openapi::document())?;
    let caches = Arc::new(Caches::default());
    let settings = EdgeSettings::new(&app.config, app.request_rates.clone())?;
    let settings = Arc::new(ArcSwap::from_pointee(settings));
    let figures = Arc::new(admin::Figures::default());
    let apis: Apis = (
        (
            whoami::Api,
            me::Api { app: app.clone(), caches: caches.clone() },
            workspaces::Api(app.clone()),
            api_keys::Api { app: app.clone(), caches: caches.clone() },
            audit_log::Api(app.clone()),
        ),
        (
            members::Api { app: app.clone(), caches: caches.clone() },
            invitations::Api { app: app.clone(), caches: caches.clone() },
        ),
        (exports::Api(app.clone()), deletion_requests::Api(app.clone())),
        (brands::Api(app.clone()), brand_preview::Api(app.clone()), brand_facts::Api(app.clone())),
        (
            prompts::Api(app.clone()),
            prompts::transfer::Api(app.clone()),
            prompts::suggestions::Api(app.clone()),
            intents::Api(app.clone()),
            topics::Api(app.clone()),
            personas::Api(app.clone()),
            tags::Api(app.clone()),
            locales::Api(app.clone()),
        ),
        (
            providers::Api(app.clone()),
            engines::Api(app.clone()),
            credentials::Api(app.clone()),
            engine_test::Api(app.clone()),
        ),
        (
            batches::Api(app.clone()),
            schedules::Api(app.clone()),
            runs::Api(app.clone()),
            answers::Api(app.clone()),
            analyses::Api(app.clone()),
        ),
        (
            metrics::Api(app.clone()),
            metrics::breakdowns::Api(app.clone()),
            citations::Api(app.clone()),
            costs::Api(app.clone()),
            budget::Api(app.clone()),
        ),
        (
            events::Api { app: app.clone(), stop: stop.clone(), open: Arc::default() },
            stream_tickets::Api(app.clone()),
            webhooks::Api(app.clone()),
            connections::Api(app.clone()),
        ),
        (
            alert_rules::Api(app.clone()),
            alerts::Api(app.clone()),
            mute_windows::Api(app.clone()),
            findings::Api(app.clone()),
        ),
        (copilot::Api(app.clone()), reports::Api(app.clone())),
        admin::apis(&app, &figures, &caches, &settings),
    );
    let service = OpenApiService::new(apis, "AI Visibility", env!("CARGO_PKG_VERSION"));
    let health = Arc::new(Health::new(app.clone(), figures, stop));
    let route = Route::new()
        .nest("/v1", service)
        .at("/healthz", {
            let health = health.clone();
            get(make_sync(move |_| health.alive()))
        })
        .at("/readyz", {
            let health = health.clone();
            get(make(move |_| {
                let health = health.clone();
                async move { health.ready().await }
            }))
        })
        .at("/metrics", {
            get(make(move |request| {
                let health = health.clone();
                async move { health.metrics(&request).await }
            }))
        })
        .at("/downloads/:secret", {
            let app = app.clone();
            get(make(move |request| {
                let app = app.clone();
                async move { exports::open(&app, &request).await }
            }))
        })
        .at("/openapi.json", document("application/json", openapi().to_string()))
        .at("/openapi.yaml", document("application/yaml", openapi::to_yaml(openapi::document())));
    let route = docs::routes(route).at("/*path", get(ui::ui)).at("/", get(ui::ui));
    Ok(Edge { inner: route.map_to_response(), app, routes, caches, settings, whole })
}

/// The description of the API, as OpenAPI 3.1.
pub fn openapi() -> serde_json::Value {
    openapi::document().clone()
}

/// Tells which rules of the schema of this name a request body breaks.
pub fn body_checker(schema: &str) -> impl Fn(&serde_json::Value) -> Vec<Violation> {
    let validator = openapi::validator(schema);
    move |body| {
        let errors = validator.iter().flat_map(|validator| validator.iter_errors(body));
        self::body::of_errors(errors)
    }
}

fn document(kind: &'static str, text: String) -> impl Endpoint<Output = Response> + 'static {
    get(make_sync(move |_| {
        Response::builder()
            .content_type(kind)
            .header(header::CACHE_CONTROL, "no-cache")
            .body(text.clone())
    }))
}
