//! Write an answer-engine provider for the AI visibility platform.
//!
//! A provider is a pure function from events to steps: it says which request to send, reads what
//! came back, and says what the engine answered. It opens no socket, reads no clock and never sees
//! a credential; the host does all of that. The same code runs natively in unit tests.
//!
//! * One request, one answer: implement [`SingleFetch`].
//! * Several requests, or waiting in between: implement [`Provider`].
//! * Then name the type in [`export_provider!`] and build for `wasm32-wasip2`.
//!
//! ```ignore
//! use aiv_sdk::{Failure, HttpRequest, HttpResponse, Manifest, Outcome, Query, SingleFetch};
//!
//! struct Acme;
//!
//! impl SingleFetch for Acme {
//!     fn describe() -> Manifest { /* what it is, where it may connect */ }
//!     fn request(query: &Query) -> Result<HttpRequest, Failure> { /* what to send */ }
//!     fn parse(query: &Query, reply: &HttpResponse) -> Result<Outcome, Failure> { /* what it says */ }
//! }
//!
//! aiv_sdk::export_provider!(Acme);
//! ```
//!
//! **Invariant:** nothing here panics on what a vendor may send.
#![warn(missing_docs)]

#[doc(hidden)]
pub mod bindings;
mod citations;
mod failure;
pub mod json;
mod manifest;
pub mod markdown;
mod meta;
mod money;
mod provider;
mod query;
mod request;
mod response;
pub mod sse;
#[cfg(feature = "testing")]
pub mod testing;
mod url;

pub use serde_json;

pub use self::bindings::aiv::provider::log::{Level as LogLevel, log};
pub use self::bindings::aiv::provider::types::{
    Absence, Answer, Body, Citation, CitationKind, Cost, CostBasis, ErrorKind, Extra, Failure,
    FinishReason, HttpMethod, HttpRequest, HttpResponse, Meta, NoAnswer, Outcome, Retrieval, Usage,
    Value,
};
pub use self::bindings::exports::aiv::provider::engine::{
    ContextSupport, CredentialRequest, Event, Manifest, Query, Step, Surface, TransportError,
};
pub use self::citations::{Citations, Source};
pub use self::money::Decimal;
pub use self::provider::{Adapter, Next, Provider, SingleFetch};
pub use self::request::Request;
pub use self::url::Link;
