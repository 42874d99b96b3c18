//! The host's own words for what crosses the plugin boundary.
//!
//! Every released interface version converts into these types, so nothing outside
//! `abi` knows which version a plugin was built for.
//!
//! **Invariant:** plain data. Any value here can be cloned, compared, stored as JSON and replayed.
//!
//! **Invariant:** enum names in JSON are the names in the WIT; byte strings are base64.

mod answer;
mod exchange;
mod manifest;
mod query;
mod step;

pub use self::answer::{
    Absence, Answer, Citation, CitationKind, Cost, CostBasis, FinishReason, Meta, NoAnswer,
    Outcome, Retrieval, Usage,
};
pub use self::exchange::{Body, HttpMethod, HttpRequest, HttpResponse, TransportError, Value};
pub use self::manifest::{ContextSupport, CredentialRequest, Manifest, Surface};
pub use self::query::{Moment, Query};
pub use self::step::{ErrorKind, Event, Failure, LogLevel, LogLine, Step};

/// Key and JSON value: leftovers and later additions.
pub type Extra = Vec<(String, String)>;

/// Byte strings as base64, because a JSON array of numbers is four times as long.
mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(input)?).map_err(de::Error::custom)
    }
}
