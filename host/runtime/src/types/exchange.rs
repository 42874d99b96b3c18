//! HTTP as a plugin sees it: requests with credentials left out, responses with them redacted.

use serde::{Deserialize, Serialize};

use super::base64_bytes;

/// Text that may contain a credential which the guest never sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    Text(String),
    /// The named credential, whole.
    Secret(String),
    /// Literal prefix, then the named credential: `("Bearer ", "api-key")`.
    PrefixedSecret(String, String),
}

impl Value {
    /// The credential this value needs, if any.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Text(_) => None,
            Self::Secret(name) | Self::PrefixedSecret(_, name) => Some(name),
        }
    }

    /// Bytes of what the guest wrote, the credential not counted.
    pub fn text_len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Secret(_) => 0,
            Self::PrefixedSecret(prefix, _) => prefix.len(),
        }
    }
}

/// UTF-8 is handed over as text, anything else as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    Text(String),
    Binary(#[serde(with = "base64_bytes")] Vec<u8>),
}

impl Body {
    /// Text when the bytes are UTF-8.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|e| Self::Binary(e.into_bytes()), Self::Text)
    }

    /// The bytes of either form.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

/// The methods a plugin may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpMethod {
    Get,
    Post,
    Put,
    Patch,
    Delete,
    Head,
}

impl HttpMethod {
    /// The method as it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Head => "HEAD",
        }
    }
}

/// What the plugin wants fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRequest {
    pub method: HttpMethod,
    /// Absolute https URL without user info, query or fragment.
    pub url: String,
    pub query: Vec<(String, Value)>,
    pub headers: Vec<(String, Value)>,
    pub body: Option<Body>,
    /// A wish; the host clamps it to what the operator granted.
    pub timeout_ms: Option<u32>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpResponse {
    pub status: u16,
    /// Lower-case names, in order; credentials redacted.
    pub headers: Vec<(String, String)>,
    pub body: Body,
    pub elapsed_ms: u32,
    /// Host clock when the response was complete, Unix seconds.
    pub received_at: f64,
}

/// Why there is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransportError {
    Dns,
    Connect,
    Tls,
    Timeout,
    Reset,
    TooLarge,
    RefusedByPolicy,
}

impl TransportError {
    /// The name in the WIT.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::TooLarge => "too-large",
            Self::RefusedByPolicy => "refused-by-policy",
        }
    }
}
