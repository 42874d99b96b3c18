//! Answers to requests that create: where the new resource is, and what a repeated request gets.

use crate::store::idempotency::Record;
use poem::{
    IntoResponse, Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    payload::{Json, Payload},
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{ToJSON, Type},
};
use std::marker::PhantomData;

/// 201: it exists.
pub(crate) type Created<T> = Located<T, 201>;
/// 202: it is being done; the location tells how far it is.
pub(crate) type Accepted<T> = Located<T, 202>;

/// A new resource and where it is.
pub(crate) struct Located<T, const STATUS: u16> {
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    resource: PhantomData<fn() -> T>,
}

/// Says that an answer is the one that an earlier request with the same key got.
const REPLAYED: &str = "idempotency-replayed";

impl<T: ToJSON, const STATUS: u16> Located<T, STATUS> {
    pub(crate) fn new(location: String, resource: &T) -> Self {
        Located {
            headers: vec![("location".into(), location)],
            body: resource.to_json_string(),
            resource: PhantomData,
        }
    }

    /// What the first request with this key was answered.
    pub(crate) fn again(record: Record) -> Self {
        let mut headers = record.headers.0;
        headers.push((REPLAYED.into(), "true".into()));
        let body = String::from_utf8_lossy(&record.body).into_owned();
        Located { headers, body, resource: PhantomData }
    }
}

impl<T: ToJSON, const STATUS: u16> IntoResponse for Located<T, STATUS> {
    fn into_response(self) -> Response {
        let mut response = Response::builder()
            .status(StatusCode::from_u16(STATUS).unwrap_or(StatusCode::OK))
            .header(header::CONTENT_TYPE, Json::<T>::CONTENT_TYPE)
            .body(self.body);
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

impl<T: ToJSON, const STATUS: u16> ApiResponse for Located<T, STATUS> {
    fn meta() -> MetaResponses {
        let location = MetaHeader {
            name: "Location".into(),
            description: Some("Path of the new resource.".into()),
            required: true,
            deprecated: false,
            schema: String::schema_ref(),
        };
        let description = match STATUS {
            202 => "Accepted: watch the resource at `Location`.",
            _ => "The new resource.",
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description,
                status: Some(STATUS),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: Json::<T>::CONTENT_TYPE,
                    schema: T::schema_ref(),
                }],
                headers: vec![location],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// 204: it is gone.
#[derive(ApiResponse)]
pub(crate) enum Deleted {
    /// It is gone.
    #[oai(status = 204)]
    Gone,
}
