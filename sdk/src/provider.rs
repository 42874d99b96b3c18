//! The two traits of which a plugin implements one, and the way from there to the component.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::exports::aiv::provider::engine::{Fetch, Guest, Pause};
use crate::{ErrorKind, Event, Failure, HttpRequest, HttpResponse, Manifest, Outcome, Query, Step};

/// What a [`Provider`] wants next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next<S> {
    /// Send this request; its response comes to [`Provider::resume`] together with the state.
    Fetch(S, HttpRequest),
    /// Come back after so many milliseconds, with [`Event::Resumed`] and the state.
    Pause(S, u32),
    /// The query is settled.
    Done(Outcome),
}

/// A provider that needs several requests for one query, or has to wait in between.
///
/// The state is all that survives from one call to the next: every step runs in a fresh instance,
/// perhaps on another machine. It is stored as JSON and may take up to 64 KiB.
///
/// A provider never retries. It says what went wrong by the kind of its [`Failure`], and the host
/// decides.
pub trait Provider {
    /// What has to be remembered while a request or a pause is under way.
    type State: Serialize + DeserializeOwned;

    /// What this plugin is and what it asks for. Pure and cheap.
    fn describe() -> Manifest;

    /// A free request that proves that the credential works, if the vendor has one.
    #[expect(unused_variables, reason = "the name documents the argument")]
    fn health_check(config: &str) -> Option<HttpRequest> {
        None
    }

    /// The first step for a query.
    fn start(query: Query) -> Result<Next<Self::State>, Failure>;

    /// The step after `event`.
    fn resume(state: Self::State, event: Event) -> Result<Next<Self::State>, Failure>;
}

/// A provider whose answer takes exactly one request. The query itself is the state.
pub trait SingleFetch {
    /// What this plugin is and what it asks for. Pure and cheap.
    fn describe() -> Manifest;

    /// A free request that proves that the credential works, if the vendor has one.
    #[expect(unused_variables, reason = "the name documents the argument")]
    fn health_check(config: &str) -> Option<HttpRequest> {
        None
    }

    /// The request that asks the query.
    fn request(query: &Query) -> Result<HttpRequest, Failure>;

    /// What the response says. Called for every status, also for errors.
    fn parse(query: &Query, response: &HttpResponse) -> Result<Outcome, Failure>;
}

impl<T: SingleFetch> Provider for T {
    type State = Query;

    fn describe() -> Manifest {
        T::describe()
    }

    fn health_check(config: &str) -> Option<HttpRequest> {
        T::health_check(config)
    }

    fn start(query: Query) -> Result<Next<Query>, Failure> {
        let request = T::request(&query)?;
        Ok(Next::Fetch(query, request))
    }

    fn resume(query: Query, event: Event) -> Result<Next<Query>, Failure> {
        T::parse(&query, &event.into_response()?).map(Next::Done)
    }
}

/// Carries a [`Provider`] over to the component's exports. Named only by [`export_provider!`] and
/// by test tools.
///
/// [`export_provider!`]: crate::export_provider
pub struct Adapter<P>(PhantomData<P>);

impl<P: Provider> Adapter<P> {
    /// The first step, as the host sees it.
    pub fn start(query: Query) -> Step {
        step(P::start(query))
    }

    /// A later step, as the host sees it.
    pub fn resume(state: &[u8], event: Event) -> Step {
        step(
            serde_json::from_slice(state)
                .map_err(|error| bad_state(&error))
                .and_then(|state| P::resume(state, event)),
        )
    }
}

impl<P: Provider> Guest for Adapter<P> {
    fn describe() -> Manifest {
        P::describe()
    }

    fn health_check(config: String) -> Option<HttpRequest> {
        P::health_check(&config)
    }

    fn start(query: Query) -> Step {
        Self::start(query)
    }

    fn resume(state: Vec<u8>, event: Event) -> Step {
        Self::resume(&state, event)
    }
}

fn step<S: Serialize>(next: Result<Next<S>, Failure>) -> Step {
    let encode = |state| serde_json::to_vec(&state).map_err(|error| bad_state(&error));
    let step = next.and_then(|next| {
        Ok(match next {
            Next::Fetch(state, request) => Step::Fetch(Fetch { state: encode(state)?, request }),
            Next::Pause(state, delay_ms) => Step::Pause(Pause { state: encode(state)?, delay_ms }),
            Next::Done(outcome) => Step::Done(outcome),
        })
    });
    step.unwrap_or_else(Step::Failed)
}

/// Only another version of the plugin can have written it; trying again would not help.
fn bad_state(error: &serde_json::Error) -> Failure {
    Failure::new(ErrorKind::InvalidRequest, format!("state cannot be used: {error}"))
}

/// Makes a [`Provider`] or [`SingleFetch`] the component's one export.
///
/// In a native build it only checks the type, so that the same crate can be tested there.
#[macro_export]
macro_rules! export_provider {
    ($provider:ty) => {
        #[cfg(not(target_family = "wasm"))]
        const _: fn() -> $crate::Manifest = <$provider as $crate::Provider>::describe;

        #[cfg(target_family = "wasm")]
        #[expect(unsafe_code, reason = "the exports of the canonical ABI")]
        const _: () = {
            type Component = $crate::Adapter<$provider>;
    $crate::bindings::export!(Component with_types_in $crate::bindings);
        };
    };
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::{self, Ending};
    use crate::{Absence, Meta, NoAnswer, Request, TransportError};

    struct Once;

    impl SingleFetch for Once {
        fn describe() -> Manifest {
            Manifest::new("once", "Once", "1.0.0")
        }

        fn request(query: &Query) -> Result<HttpRequest, Failure> {
            Ok(Request::get("https://a.example/").query("q", query.prompt.as_str()).build())
        }

        fn parse(query: &Query, response: &HttpResponse) -> Result<Outcome, Failure> {
            let body = response.json()?;
            let meta = Meta::of(query, None).request_id(body["id"].as_str());
            Ok(Outcome::Absent(NoAnswer { reason: Absence::Empty, meta }))
        }
    }

    #[test]
    fn the_query_survives_the_request() {
        let run =
            testing::run::<Once>(testing::query("s", "q"), [Ok(testing::json(r#"{"id":"x"}"#))]);
        assert_eq!(run.requests.len(), 1);
        let Ending::Absent(absent) = run.ending else { panic!("{:?}", run.ending) };
        assert_eq!(
            (absent.meta.surface.as_str(), absent.meta.request_id.as_deref()),
            ("s", Some("x"))
        );
    }

    #[test]
    fn a_lost_request_is_a_failure_and_a_foreign_state_too() {
        let lost = testing::run::<Once>(testing::query("s", "q"), [Err(TransportError::Timeout)]);
        assert_eq!(lost.failure().kind, ErrorKind::Timeout);
        let Step::Failed(failure) = Adapter::<Once>::resume(b"\xff", Event::Resumed) else {
            panic!("the state was read");
        };
        assert_eq!(failure.kind, ErrorKind::InvalidRequest);
    }
}
