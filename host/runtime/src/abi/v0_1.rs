//! `aiv:provider@0.1`: generated bindings, and conversions into the host's own types.
//!
//! Conversions name every field, so a change of the interface does not compile unnoticed.

use wasmtime::Store;
use wasmtime::component::{HasSelf, Instance, InstancePre, Linker};

use self::generated::ProviderIndices;
use self::generated::aiv::provider::{log, types as wit};
use self::generated::exports::aiv::provider::engine;
use super::{Call, Reply};
use crate::guest::Guest;
use crate::types;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/provider-0.1",
        world: "provider",
        exports: { default: async },
    });
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    log::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)
}

/// The exports of a component of this series.
pub(crate) struct Bindings(ProviderIndices);

impl Bindings {
    pub(super) fn new(pre: &InstancePre<Guest>) -> wasmtime::Result<Self> {
        ProviderIndices::new(pre).map(Self)
    }

    pub(super) async fn call(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
        call: Call<'_>,
    ) -> wasmtime::Result<Reply> {
        // Types are checked here and not before: a record of another shape fails now.
        let provider = self.0.load(&mut *store, instance)?;
        let engine = provider.aiv_provider_engine();
        Ok(match call {
            Call::Describe => Reply::Manifest(engine.call_describe(store).await?.into()),
            Call::HealthCheck(config) => {
                Reply::HealthCheck(engine.call_health_check(store, config).await?.map(Into::into))
            }
            Call::Start(query) => {
                Reply::Step(engine.call_start(store, &query.clone().into()).await?.into())
            }
            Call::Resume(state, event) => {
                let state = state.to_vec();
                let event = event.clone().into();
                Reply::Step(engine.call_resume(store, &state, &event).await?.into())
            }
        })
    }
}

impl log::Host for Guest {
    fn log(&mut self, level: log::Level, message: String) {
        self.log.push(level.into(), message);
    }
}

/// Enums whose cases have the same names on both sides.
macro_rules! same_cases {
    ($($from:path => $to:path { $($case:ident),+ $(,)? })+) => {$(
        impl From<$from> for $to {
            fn from(value: $from) -> Self {
                match value { $(<$from>::$case => Self::$case),+ }
            }
        }
    )+};
}

/// Records whose fields have the same names on both sides; `each` fields are lists or options of
/// records, `as_is` fields have the same type.
macro_rules! same_fields {
    ($($from:path => $to:path {
        as_is: [$($field:ident),* $(,)?],
        into: [$($into:ident),* $(,)?],
        each: [$($each:ident),* $(,)?],
        maybe: [$($maybe:ident),* $(,)?] $(,)?
    })+) => {$(
        impl From<$from> for $to {
            fn from(value: $from) -> Self {
                // Destructured, so that a new field breaks the build.
                let $from { $($field,)* $($into,)* $($each,)* $($maybe,)* } = value;
                Self {
                    $($field,)*
                    $($into: $into.into(),)*
                    $($each: $each.into_iter().map(Into::into).collect(),)*
                    $($maybe: $maybe.map(Into::into),)*
                }
            }
        }
    )+};
}

same_cases! {
    log::Level => types::LogLevel { Debug, Info, Warn, Error }
    wit::HttpMethod => types::HttpMethod { Get, Post, Put, Patch, Delete, Head }
    wit::CitationKind => types::CitationKind { Cited, Listed, InlineLink }
    wit::CostBasis => types::CostBasis { Reported, Computed, Estimated }
    wit::FinishReason => types::FinishReason { Stop, Length, ContentFilter, Other, Unspecified }
    wit::Retrieval => types::Retrieval { Searched, NotSearched, Unknown }
    wit::Absence => types::Absence { NotTriggered, Declined, NoResults, Empty, Truncated }
    wit::ErrorKind => types::ErrorKind {
        InvalidRequest, Auth, NotEntitled, QuotaExhausted, RateLimited, ContentBlocked,
        UpstreamUnavailable, Timeout, MalformedResponse,
    }
    types::TransportError => engine::TransportError {
        Dns, Connect, Tls, Timeout, Reset, TooLarge, RefusedByPolicy,
    }
}

same_fields! {
    engine::Manifest => types::Manifest {
        as_is: [
            key, display_name, version, description, homepage, allowed_hosts, config_schema, extra,
        ],
        into: [],
        each: [credentials, surfaces],
        maybe: [],
    }
    engine::CredentialRequest => types::CredentialRequest {
        as_is: [name, description, hosts], into: [], each: [], maybe: [],
    }
    engine::Surface => types::Surface {
        as_is: [
            id, display_name, models, default_model, listed_is_visible, typical_cost_micro_usd,
            max_fetches, requests_per_second, burst, deadline_ms,
        ],
        into: [context],
        each: [],
        maybe: [],
    }
    engine::ContextSupport => types::ContextSupport {
        as_is: [language, country, city, device], into: [], each: [], maybe: [],
    }
    types::Query => engine::Query {
        as_is: [
            id, prompt, surface, model, language, country, location, device, config, now_unix,
            seed, extra,
        ],
        into: [],
        each: [],
        maybe: [],
    }
    types::HttpResponse => wit::HttpResponse {
        as_is: [status, headers, elapsed_ms, received_at], into: [body], each: [], maybe: [],
    }
    wit::Answer => types::Answer {
        as_is: [text, related_questions], into: [meta], each: [citations], maybe: [],
    }
    wit::Citation => types::Citation {
        as_is: [position, url, title, snippet, published, markers],
        into: [kind],
        each: [],
        maybe: [],
    }
    wit::NoAnswer => types::NoAnswer { as_is: [], into: [reason, meta], each: [], maybe: [] }
    wit::Meta => types::Meta {
        as_is: [
            surface, requested_model, served_model, request_id, queries, location_used, warnings,
            extra,
        ],
        into: [finish, retrieval],
        each: [],
        maybe: [usage, cost],
    }
    wit::Usage => types::Usage {
        as_is: [input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, searches],
        into: [],
        each: [],
        maybe: [],
    }
    wit::Cost => types::Cost { as_is: [micro_usd], into: [basis], each: [], maybe: [] }
    wit::Failure => types::Failure {
        as_is: [message, http_status, provider_code, retry_after_ms],
        into: [kind],
        each: [],
        maybe: [spent],
    }
}

impl From<wit::HttpRequest> for types::HttpRequest {
    fn from(value: wit::HttpRequest) -> Self {
        let wit::HttpRequest { method, url, query, headers, body, timeout_ms } = value;
        let pairs = |pairs: Vec<(String, wit::Value)>| {
            pairs.into_iter().map(|(name, value)| (name, value.into())).collect()
        };
        Self {
            method: method.into(),
            url,
            query: pairs(query),
            headers: pairs(headers),
            body: body.map(Into::into),
            timeout_ms,
        }
    }
}

impl From<wit::Value> for types::Value {
    fn from(value: wit::Value) -> Self {
        match value {
            wit::Value::Text(text) => Self::Text(text),
            wit::Value::Secret(name) => Self::Secret(name),
            wit::Value::PrefixedSecret((prefix, name)) => Self::PrefixedSecret(prefix, name),
        }
    }
}

impl From<wit::Body> for types::Body {
    fn from(value: wit::Body) -> Self {
        match value {
            wit::Body::Text(text) => Self::Text(text),
            wit::Body::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

impl From<types::Body> for wit::Body {
    fn from(value: types::Body) -> Self {
        match value {
            types::Body::Text(text) => Self::Text(text),
            types::Body::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

impl From<types::Event> for engine::Event {
    fn from(value: types::Event) -> Self {
        match value {
            types::Event::Response(response) => Self::Response(response.into()),
            types::Event::TransportError(error) => Self::TransportError(error.into()),
            types::Event::Resumed => Self::Resumed,
        }
    }
}

impl From<wit::Outcome> for types::Outcome {
    fn from(value: wit::Outcome) -> Self {
        match value {
            wit::Outcome::Answered(answer) => Self::Answered(answer.into()),
            wit::Outcome::Absent(absent) => Self::Absent(absent.into()),
        }
    }
}

impl From<engine::Step> for types::Step {
    fn from(value: engine::Step) -> Self {
        match value {
            engine::Step::Fetch(engine::Fetch { state, request }) => {
                Self::Fetch { state, request: request.into() }
            }
            engine::Step::Pause(engine::Pause { state, delay_ms }) => {
                Self::Pause { state, delay_ms }
            }
            engine::Step::Done(outcome) => Self::Done(outcome.into()),
            engine::Step::Failed(failure) => Self::Failed(failure.into()),
        }
    }
}
