//! Versions of settings: `ETag` out, `If-Match` and `If-None-Match` in.

use crate::{Error, Result};
use poem::{
    IntoResponse, Response,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    payload::{Json, Payload},
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{ToJSON, Type},
};

/// A resource with its version; or, when the caller has that version already, nothing.
pub(crate) enum Tagged<T> {
    Fresh { version: i64, body: T },
    Known { version: i64 },
}

impl<T> Tagged<T> {
    pub(crate) fn new(version: i64, body: T) -> Self {
        Tagged::Fresh { version, body }
    }

    /// Leaves the body out when `if_none_match` names this version.
    pub(crate) fn unless(version: i64, body: T, if_none_match: Option<&str>) -> Self {
        let known = if_none_match.is_some_and(|tags| {
            tags.split(',')
                .map(|tag| tag.trim().trim_start_matches("W/"))
                .any(|tag| tag == "*" || tag == self::tag(version))
        });
        if known { Tagged::Known { version } } else { Tagged::Fresh { version, body } }
    }
}

/// The version that `If-Match` wants; `None` accepts any.
pub(crate) fn expected(if_match: Option<&str>, what: &'static str) -> Result<Option<i64>> {
    match if_match.map(str::trim) {
        None | Some("*") => Ok(None),
        // A weak tag is one of ours too: compression weakens what it passes.
        Some(tag) => match tag.trim_start_matches("W/").trim_matches('"').parse() {
            Ok(version) => Ok(Some(version)),
            // A tag that we never gave names no version there is.
            Err(_) => Err(Error::Changed(what)),
        },
    }
}

fn tag(version: i64) -> String {
    format!("\"{version}\"")
}

impl<T: ToJSON> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let (version, mut response) = match self {
            Tagged::Fresh { version, body } => (version, Json(body).into_response()),
            Tagged::Known { version } => (version, StatusCode::NOT_MODIFIED.into_response()),
        };
        if let Ok(tag) = HeaderValue::from_str(&tag(version)) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

impl<T: ToJSON> ApiResponse for Tagged<T> {
    fn meta() -> MetaResponses {
        let etag = MetaHeader {
            name: "ETag".into(),
            description: Some("Version of the resource, for `If-Match`.".into()),
            required: true,
            deprecated: false,
            schema: String::schema_ref(),
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The resource in its current version.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: Json::<T>::CONTENT_TYPE,
                    schema: T::schema_ref(),
                }],
                headers: vec![etag],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
