//! Answers that are files.

use crate::Result;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use poem::{Body, IntoResponse, Response, http::header};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{Any, Binary, Type},
};
use serde_json::Value;
use std::{future::Future, io, marker::PhantomData};

/// The formats in which a file may come.
pub(super) trait Formats: Send + 'static {
    const MEDIA_TYPES: &'static [&'static str];
}

/// Lists for spreadsheets, or for programs.
pub(super) struct CsvOrJson;

impl Formats for CsvOrJson {
    const MEDIA_TYPES: &'static [&'static str] = &[CSV, JSON];
}

/// Lists for spreadsheets.
pub(super) struct Csv;

impl Formats for Csv {
    const MEDIA_TYPES: &'static [&'static str] = &[CSV];
}

/// Many files in one.
pub(super) struct Archive;

impl Formats for Archive {
    const MEDIA_TYPES: &'static [&'static str] = &[GZIP];
}

pub(super) const CSV: &str = "text/csv";
pub(super) const JSON: &str = "application/json";
pub(super) const GZIP: &str = "application/gzip";

/// A file to keep, in one of the formats `F`.
pub(super) struct Download<F> {
    name: String,
    media_type: &'static str,
    body: Body,
    formats: PhantomData<F>,
}

impl<F: Formats> Download<F> {
    /// `name` has no characters that a header could not hold.
    pub(super) fn new(
        name: impl Into<String>,
        media_type: &'static str,
        body: impl Into<Body>,
    ) -> Self {
        Download { name: name.into(), media_type, body: body.into(), formats: PhantomData }
    }

    /// A file whose parts are read while it is sent: however long it gets, one part is in memory.
    pub(super) fn streamed(
        name: impl Into<String>,
        media_type: &'static str,
        parts: impl Stream<Item = Result<Bytes>> + Send + 'static,
    ) -> Self {
        // The status is out by then: a file that ends early is all that a client can be told.
        let parts = parts.map(|part| {
            part.map_err(|error| {
                tracing::error!("a download broke off: {error:#}");
                io::Error::other("the file could not be read to its end")
            })
        });
        Self::new(name, media_type, Body::from_bytes_stream(parts))
    }
}

/// A stream of parts: `next` gets what the part before left, and ends the stream with `None`.
pub(super) fn parts<S, F, Fut>(start: S, next: F) -> impl Stream<Item = Result<Bytes>>
where
    F: FnMut(S) -> Fut,
    Fut: Future<Output = Result<Option<(Bytes, S)>>>,
{
    stream::try_unfold(start, next)
}

impl<F: Formats> IntoResponse for Download<F> {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type(self.media_type)
            .header(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", self.name))
            .body(self.body)
    }
}

impl<F: Formats> ApiResponse for Download<F> {
    fn meta() -> MetaResponses {
        let content = F::MEDIA_TYPES
            .iter()
            .map(|content_type| MetaMediaType {
                content_type,
                schema: match *content_type {
                    JSON => Any::<Value>::schema_ref(),
                    CSV => String::schema_ref(),
                    _ => Binary::<Vec<u8>>::schema_ref(),
                },
            })
            .collect();
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The file.",
                status: Some(200),
                status_range: None,
                content,
                headers: vec![],
            }],
        }
    }

    fn register(_registry: &mut Registry) {}
}

/// Lines of CSV; the first ones name the columns.
pub(super) fn csv_lines<const N: usize>(
    lines: impl IntoIterator<Item = [String; N]>,
) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for line in lines {
        writer.write_record(line.map(harmless)).map_err(anyhow::Error::from)?;
    }
    writer.into_inner().map_err(|error| anyhow::anyhow!("write CSV: {error}").into())
}

/// What begins a formula in a spreadsheet gets a quote before it.
fn harmless(cell: String) -> String {
    if cell.starts_with(FORMULA) { format!("'{cell}") } else { cell }
}

/// The cell that [`harmless`] was given.
pub(super) fn original(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA)).unwrap_or(cell)
}

const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_every_one_comes_back() {
        for cell in ["=1+1", "+4", "-x", "@SUM(A1)", "\tx", "plain", "'quoted", "", "a,\"b\"\nc"] {
            let safe = harmless(cell.into());
            assert!(!safe.starts_with(FORMULA), "{safe:?}");
            assert_eq!(original(&safe), cell);
        }
        let lines = csv_lines([["a".into(), "=b,\"c\"".into()]]).unwrap();
        assert_eq!(lines, b"a,\"'=b,\"\"c\"\"\"\n");
    }
}
