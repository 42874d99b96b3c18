//! From what a component asks for to what goes out.
//!
//! **Invariant:** a request that breaks a rule is refused as a whole, with a reason an operator
//! can act on; nothing is silently repaired.

use super::{
    credentials::{Secrets, variable},
    grant::Grant,
    transport::{CallContext, Outgoing, TransportFailure},
};
use aiv_runtime::types::{Body, CredentialRequest, HttpMethod, HttpRequest, Manifest, Value};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use secrecy::ExposeSecret;
use std::time::Duration;
use url::{Host, Url};

const MAX_BODY_BYTES: usize = 1 << 20;

/// Headers that belong to the connection, the host or somebody's session, not to a component.
const FORBIDDEN_HEADERS: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];
const FORBIDDEN_PREFIXES: &[&str] = &["proxy-", "sec-", "x-forwarded-"];

/// Why a request does not go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSent {
    Refused(TransportFailure),
    /// The operator has to set `variable`.
    MissingCredential {
        name: String,
        variable: String,
    },
}

impl NotSent {
    fn because(reason: impl Into<String>) -> Self {
        Self::Refused(TransportFailure::refused(reason))
    }
}

/// Where a request goes.
struct Target {
    host: String,
    /// A server of the operator's own.
    named: bool,
}

/// The rules one component lives under.
pub struct Rules<'a> {
    pub manifest: &'a Manifest,
    pub grant: &'a Grant,
    pub secrets: &'a Secrets,
}

impl Rules<'_> {
    /// Checks `request` and puts the credentials in. `time_left` bounds the component's wish.
    pub fn prepare(
        &self,
        request: &HttpRequest,
        time_left: Duration,
        call: CallContext,
    ) -> Result<Outgoing, NotSent> {
        let mut url = self.url(&request.url)?;
        let to = Target {
            host: url.host_str().unwrap_or_default().to_owned(),
            named: self.grant.names(self.manifest, &url),
        };
        if !request.query.is_empty() {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in &request.query {
                pairs.append_pair(name, &self.reveal(value, &to)?);
            }
        }
        let wish = request.timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        Ok(Outgoing {
            method: method(request.method),
            headers: self.headers(request, &to)?,
            body: body(request)?,
            url,
            timeout: wish.map_or(time_left, |wish| wish.min(time_left)),
            max_response_bytes: self.grant.max_response_bytes,
            named: to.named,
            call,
        })
    }

    fn url(&self, text: &str) -> Result<Url, NotSent> {
        if text.contains(|c: char| c.is_ascii_control() || c == ' ' || c == '\\') {
            return Err(NotSent::because("the URL contains a space, a backslash or a control"));
        }
        let url = Url::parse(text).map_err(|err| NotSent::because(format!("not a URL: {err}")))?;
        let authority = text.split_once("://").map_or("", |(_, rest)| rest);
        let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') || authority.is_empty() {
            return Err(NotSent::because("user info in the URL is not allowed"));
        }
        if url.fragment().is_some() || url.query().is_some() {
            return Err(NotSent::because(
                "the URL has a query or a fragment: parameters belong into `query`",
            ));
        }
        if self.grant.names(self.manifest, &url) {
            return Ok(url);
        }
        if url.scheme() != "https" {
            return Err(NotSent::because(self.with_hint(&url, "only https is allowed")));
        }
        let Some(Host::Domain(host)) = url.host() else {
            return Err(NotSent::because(
                self.with_hint(&url, "an address instead of a host name"),
            ));
        };
        if !self.manifest.allowed_hosts.iter().any(|allowed| allowed == host) {
            let why = format!("{host} is not in the manifest's allowed hosts");
            return Err(NotSent::because(self.with_hint(&url, &why)));
        }
        if !self.grant.hosts.iter().any(|granted| granted == host) {
            return Err(NotSent::because(format!("{host} is not granted by the operator")));
        }
        Ok(url)
    }

    /// What an operator may do about it, where anything can be done.
    fn with_hint(&self, url: &Url, why: &str) -> String {
        let origin = url.origin().ascii_serialization();
        match self.manifest.host_setting() {
            Some(_) => format!("{why}: {origin} is not among the `origins` of the grant"),
            None => why.to_owned(),
        }
    }

    fn headers(&self, request: &HttpRequest, to: &Target) -> Result<HeaderMap, NotSent> {
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let parsed = HeaderName::try_from(name.as_str())
                .map_err(|_| NotSent::because(format!("{name:?} is not a header name")))?;
            if FORBIDDEN_HEADERS.contains(&parsed.as_str())
                || FORBIDDEN_PREFIXES.iter().any(|prefix| parsed.as_str().starts_with(prefix))
            {
                return Err(NotSent::because(format!("the header {parsed} is not allowed")));
            }
            let mut revealed = HeaderValue::try_from(self.reveal(value, to)?).map_err(|_| {
                NotSent::because(format!("the value of the header {parsed} is not plain text"))
            })?;
            revealed.set_sensitive(value.secret().is_some());
            headers.append(parsed, revealed);
        }
        Ok(headers)
    }

    /// The text of `value` with its credential put in, when the host may have it.
    fn reveal(&self, value: &Value, to: &Target) -> Result<String, NotSent> {
        let (prefix, name) = match value {
            Value::Text(text) => return Ok(text.clone()),
            Value::Secret(name) => ("", name),
            Value::PrefixedSecret(prefix, name) => (prefix.as_str(), name),
        };
        let Some(asked) = self.asked_for(name) else {
            return Err(NotSent::because(format!("the credential {name} is not granted")));
        };
        let Target { host, named } = to;
        let bound = if *named {
            self.grant.binds_named(name, host)
        } else {
            asked.hosts.contains(host) && self.grant.binds(name, host)
        };
        if !bound {
            return Err(NotSent::because(format!("the credential {name} is not for {host}")));
        }
        let secret = self.secrets.find(name).ok_or_else(|| NotSent::MissingCredential {
            name: name.clone(),
            variable: variable(self.manifest, name),
        })?;
        Ok(format!("{prefix}{}", secret.expose_secret()))
    }

    fn asked_for(&self, name: &str) -> Option<&CredentialRequest> {
        self.manifest
            .credentials
            .iter()
            .find(|asked| asked.name == name && self.grant.credentials.contains(&asked.name))
    }
}

fn method(method: HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Head => Method::HEAD,
    }
}

fn body(request: &HttpRequest) -> Result<Option<Vec<u8>>, NotSent> {
    let Some(body) = &request.body else { return Ok(None) };
    if matches!(request.method, HttpMethod::Get | HttpMethod::Head) {
        return Err(NotSent::because(format!("a {} has no body", request.method.as_str())));
    }
    if body.len() > MAX_BODY_BYTES {
        return Err(NotSent::because(format!("the body is larger than {MAX_BODY_BYTES} bytes")));
    }
    Ok(Some(match body {
        Body::Text(text) => text.clone().into_bytes(),
        Body::Binary(bytes) => bytes.clone(),
    }))
}
