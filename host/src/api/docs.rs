//! Pages to read the API with: Scalar at `/docs`, Swagger UI at `/docs/swagger`.
//!
//! Both bundles come inside poem-openapi, which would send them with the whole document inside one
//! page. Here each part is a file of its own, and the page loads the document by its address.
//! **Invariant:** the pages work offline: their policy lets them talk to this host only.

use poem::{
    Endpoint, IntoResponse, Request, Response, Route,
    endpoint::make_sync,
    http::{StatusCode, header},
};
use poem_openapi::OpenApiService;
use sha2::{Digest, Sha256};

/// Styles are set by scripts in both pages, so they have to be allowed inline; scripts are not.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src blob:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SCALAR: &str = r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>AI Visibility API</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body>
<script id="api-reference" data-url="/openapi.json"
 data-configuration='{"withDefaultFonts":false,"proxyUrl":"","telemetry":false}'></script>
<script src="/docs/scalar.js"></script>
</body>
</html>
"#;

const SWAGGER: &str = r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>AI Visibility API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css"></head>
<body>
<div id="ui"></div>
<script src="/docs/swagger-ui.js"></script>
<script src="/docs/swagger-start.js"></script>
</body>
</html>
"#;

const SWAGGER_START: &str =
    "SwaggerUIBundle({ dom_id: '#ui', url: '/openapi.json', deepLinking: true });\n";

pub(super) fn routes(route: Route) -> Route {
    let service = OpenApiService::new((), "", "");
    let (scalar, swagger) = (service.scalar_html(), service.swagger_ui_html());
    let script = "<script charset=\"UTF-8\">";
    route
        .at("/docs", file("text/html; charset=utf-8", SCALAR))
        .at("/docs/swagger", file("text/html; charset=utf-8", SWAGGER))
        .at("/docs/scalar.js", file(JAVASCRIPT, between(&scalar, script, "</script>\n  </body>")))
        .at(
            "/docs/swagger-ui.js",
            file(JAVASCRIPT, between(&swagger, script, "</script>\n</head>")),
        )
        .at("/docs/swagger-ui.css", {
            file(
                "text/css; charset=utf-8",
                between(&swagger, "<style charset=\"UTF-8\">", "</style>"),
            )
        })
        .at("/docs/swagger-start.js", file(JAVASCRIPT, SWAGGER_START))
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// The part of a page between two marks. A test notices when the marks are gone.
fn between<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let Some((_, rest)) = page.split_once(from) else { return "" };
    rest.rsplit_once(to).map_or("", |(part, _)| part)
}

/// A file that changes only with the host itself.
fn file(kind: &'static str, text: &str) -> impl Endpoint<Output = Response> + 'static {
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(text.as_bytes())[..8]));
    let body = bytes::Bytes::copy_from_slice(text.as_bytes());
    poem::get(make_sync(move |request: Request| {
        let known = request.header(header::IF_NONE_MATCH).is_some_and(|tags| tags.contains(&tag));
        let response = Response::builder()
            .content_type(kind)
            .header(header::ETAG, &tag)
            .header(header::CACHE_CONTROL, "no-cache")
            .header(header::CONTENT_SECURITY_POLICY, POLICY);
        if known {
            response.status(StatusCode::NOT_MODIFIED).finish()
        } else {
            response.body(body.clone()).into_response()
        }
    }))
}
