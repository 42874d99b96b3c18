//! Smaller answers for those who ask for them.

use async_compression::{
    Level,
    tokio::bufread::{BrotliEncoder, GzipEncoder, ZstdEncoder},
};
use poem::{
    Response,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use tokio::io::AsyncReadExt;

/// Below this, the headers of compression cost more than it saves.
const WORTH_IT: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

impl Coding {
    /// The coding that the caller likes best, ours first among equals.
    pub(super) fn wanted(headers: &HeaderMap) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for value in headers.get_all(header::ACCEPT_ENCODING) {
            for entry in value.to_str().unwrap_or_default().split(',') {
                let mut parts = entry.split(';').map(str::trim);
                let coding = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                    "br" => Coding::Brotli,
                    "zstd" => Coding::Zstd,
                    "gzip" | "x-gzip" | "*" => Coding::Gzip,
                    _ => continue,
                };
                let quality = parts
                    .find_map(|part| part.strip_prefix("q="))
                    .map_or(1.0, |q| q.parse().unwrap_or(0.0));
                // `q=0` says: anything but this.
                let better = |(q, c): (f32, Self)| (quality, coding.rank()) > (q, c.rank());
                if quality > 0.0 && best.is_none_or(better) {
                    best = Some((quality, coding));
                }
            }
        }
        best.map(|(_, coding)| coding)
    }

    fn rank(self) -> u8 {
        match self {
            Coding::Brotli => 2,
            Coding::Zstd => 1,
            Coding::Gzip => 0,
        }
    }

    fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        })
    }
}

/// Compresses `response` when that is worth it and `wanted`.
pub(super) async fn compress(mut response: Response, wanted: Option<Coding>) -> Response {
    if !is_text(&response) || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    // Caches have to keep the variants apart, this one included.
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let Some(coding) = wanted else { return response };
    if matches!(response.status(), StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT) {
        return response;
    }
    let Ok(plain) = response.take_body().into_bytes().await else {
        return super::Problem::internal("an answer could not be read").into_response("", "");
    };
    if plain.len() < WORTH_IT {
        response.set_body(plain);
        return response;
    }
    let mut packed = Vec::with_capacity(plain.len() / 4);
    let done = match coding {
        Coding::Brotli => {
            let level = Level::Precise(4);
            BrotliEncoder::with_quality(&plain[..], level).read_to_end(&mut packed).await
        }
        Coding::Zstd => ZstdEncoder::new(&plain[..]).read_to_end(&mut packed).await,
        Coding::Gzip => GzipEncoder::new(&plain[..]).read_to_end(&mut packed).await,
    };
    if done.is_err() {
        response.set_body(plain);
        return response;
    }
    response.headers_mut().insert(header::CONTENT_ENCODING, coding.name());
    response.headers_mut().remove(header::CONTENT_LENGTH);
    // The bytes differ now, so that only a weak tag is true.
    if let Some(tag) = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok())
        && !tag.starts_with("W/")
        && let Ok(weak) = HeaderValue::try_from(format!("W/{tag}"))
    {
        response.headers_mut().insert(header::ETAG, weak);
    }
    response.set_body(packed);
    response
}

/// Streams of events are not: a compressor would hold events back. Nor are files to keep, which may
/// be longer than memory.
fn is_text(response: &Response) -> bool {
    if response.headers().contains_key(header::CONTENT_DISPOSITION) {
        return false;
    }
    let Some(kind) = response.content_type() else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind != "text/event-stream"
        && (kind.starts_with("text/")
            || kind.ends_with("json")
            || kind.ends_with("javascript")
            || kind.ends_with("yaml")
            || kind == "image/svg+xml")
}
