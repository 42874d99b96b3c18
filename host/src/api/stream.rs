//! Server-sent events: an answer that goes on.

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use poem::{Body, IntoResponse, Response, http::header};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
    types::Type,
};
use std::{fmt::Write, io};

const MEDIA_TYPE: &str = "text/event-stream";

/// 200: events, one after the other.
pub(super) struct EventStream(pub(super) BoxStream<'static, String>);

/// One event in the format of the standard. `data` is one line, as JSON is.
pub(super) fn frame(id: &str, kind: &str, data: &str) -> String {
    let mut text = String::with_capacity(data.len() + 128);
    // Writing to a string cannot fail.
    let _ = write!(text, "id: {id}\nevent: {kind}\ndata: {data}\n\n");
    text
}

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        let bytes = self.0.map(|text| Ok::<_, io::Error>(Bytes::from(text)));
        Response::builder()
            .header(header::CONTENT_TYPE, MEDIA_TYPE)
            .header(header::CACHE_CONTROL, "no-store")
            // Proxies that gather answers would hold events back.
            .header("x-accel-buffering", "no")
            .body(Body::from_bytes_stream(bytes))
    }
}

impl ApiResponse for EventStream {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "Server-sent events, until one side ends it.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType { content_type: MEDIA_TYPE, schema: event() }],
                headers: vec![],
            }],
        }
    }

    fn register(_registry: &mut Registry) {}
}

/// One event, in the names that the standard gives its lines.
fn event() -> MetaSchemaRef {
    let text = |description| {
        let described = MetaSchema { description: Some(description), ..MetaSchema::ANY };
        String::schema_ref().merge(described)
    };
    let properties = vec![
        ("id", text("Goes into `Last-Event-ID` of the next connection.")),
        ("event", text("Type of the event, such as `batch.completed`.")),
        ("data", text("The event as JSON, in one line: the body that webhooks get.")),
    ];
    let required = properties.iter().map(|(name, _)| *name).collect();
    MetaSchemaRef::Inline(Box::new(MetaSchema {
        properties,
        required,
        ..MetaSchema::new("object")
    }))
}
