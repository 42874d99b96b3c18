//! The dashboard, when it was built before the host.
//!
//! `npm run build` in `host/ui` fills `host/ui/dist`, and the next `cargo build` takes it in.
//! Without it the host still builds, and says so on its front page.

use poem::{
    Request, Response, handler,
    http::{StatusCode, header},
};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "ui/dist"]
#[allow_missing = true]
struct Files;

const NOT_BUILT: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
    <title>AI Visibility</title><h1>AI Visibility</h1>\
    <p>This host was built without its dashboard. The API is described at \
    <a href=/docs>/docs</a> and <a href=/openapi.json>/openapi.json</a>.";

/// Charts set styles on elements; everything else comes from this host, in files.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

#[handler]
pub(super) fn ui(request: &Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    if let Some(file) = Files::get(path) {
        // Vite puts a hash of the content into every name under `assets/`.
        let lasting = path.starts_with("assets/");
        let kind = mime_guess::from_path(path).first_or_octet_stream();
        let tag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..8]));
        return page(request, file.data.into_owned(), kind.as_ref(), &tag, lasting);
    }
    if path.starts_with("assets/") {
        // A page here would be run as the script that is missing.
        return StatusCode::NOT_FOUND.into();
    }
    // Any other path belongs to the router in the browser.
    let html = "text/html; charset=utf-8";
    match Files::get("index.html") {
        Some(index) => {
            let tag = format!("\"{}\"", hex::encode(&index.metadata.sha256_hash()[..8]));
            page(request, index.data.into_owned(), html, &tag, false)
        }
        None => page(request, NOT_BUILT.into(), html, "\"not-built\"", false),
    }
}

fn page(request: &Request, body: Vec<u8>, kind: &str, tag: &str, lasting: bool) -> Response {
    let cache = if lasting { "public, max-age=31536000, immutable" } else { "no-cache" };
    let response = Response::builder()
        .content_type(kind)
        .header(header::ETAG, tag)
        .header(header::CACHE_CONTROL, cache)
        .header(header::CONTENT_SECURITY_POLICY, POLICY);
    if request.header(header::IF_NONE_MATCH).is_some_and(|tags| tags.contains(tag)) {
        return response.status(StatusCode::NOT_MODIFIED).finish();
    }
    response.body(body)
}
