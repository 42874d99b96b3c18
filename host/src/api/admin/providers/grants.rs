//! What providers may do, as operators write and read it.

use crate::{
    Error, Result, Violation,
    providers::{Grant, addresses::may_be_named, grant::Missing},
};
use poem_openapi::Object;
use std::{collections::BTreeMap, net::IpAddr};
use url::{Host, Url};

/// What a provider may do, with the number of the grant.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct ProviderGrant {
    id: i64,
    hosts: Vec<String>,
    /// Servers of the operator's own that the manifest's `host-setting` may name.
    origins: Vec<String>,
    credentials: Vec<String>,
    /// Hosts that a credential may be sent to; all of `hosts` for one that is not named here.
    credential_hosts: BTreeMap<String, Vec<String>>,
    max_response_bytes: u64,
    /// Fetches in one call, when fewer than a surface asks for.
    max_fetches: Option<u32>,
    max_deadline_ms: u32,
    /// Memory in one step.
    memory_bytes: u64,
    /// CPU time in one step.
    cpu_ms: u32,
}

/// What a provider may do; limits that are left out have their defaults.
#[derive(Object)]
pub(super) struct NewProviderGrant {
    /// Exact host names.
    #[oai(validator(max_items = 100))]
    hosts: Vec<String>,
    /// Servers of the operator's own, for providers whose manifest has a `host-setting`: scheme,
    /// host and port, such as `http://127.0.0.1:11434`. They may be local, private and at plain
    /// http.
    #[oai(default, validator(max_items = 100))]
    origins: Vec<String>,
    /// Names of credentials.
    #[oai(validator(max_items = 100))]
    credentials: Vec<String>,
    /// Hosts that a credential may be sent to; all of `hosts` for one that is not named here. To
    /// a server of `origins` it is sent only when its host is named here.
    #[oai(default)]
    credential_hosts: BTreeMap<String, Vec<String>>,
    /// Largest response, after decompression; 5 MiB when left out.
    #[oai(validator(minimum(value = "1024"), maximum(value = "67108864")))]
    max_response_bytes: Option<u64>,
    /// Fetches in one call, when fewer than a surface asks for.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
    max_fetches: Option<u32>,
    /// Longest call; 15 minutes when left out.
    #[oai(validator(minimum(value = "1000"), maximum(value = "3600000")))]
    max_deadline_ms: Option<u32>,
    /// Memory in one step; 64 MiB when left out.
    #[oai(validator(minimum(value = "1048576"), maximum(value = "268435456")))]
    memory_bytes: Option<u64>,
    /// CPU time in one step; 200 ms when left out.
    #[oai(validator(minimum(value = "10"), maximum(value = "5000")))]
    cpu_ms: Option<u32>,
}

/// What a manifest asks for beyond a grant.
#[derive(Object)]
pub(super) struct MissingGrant {
    hosts: Vec<String>,
    /// Credentials, each with the hosts that it would be sent to.
    credentials: BTreeMap<String, Vec<String>>,
}

impl From<Missing> for MissingGrant {
    fn from(missing: Missing) -> Self {
        let Missing { hosts, credentials } = missing;
        MissingGrant { hosts, credentials }
    }
}

impl From<(i64, Grant)> for ProviderGrant {
    fn from((id, grant): (i64, Grant)) -> Self {
        let Grant {
            hosts,
            origins,
            credentials,
            credential_hosts,
            max_response_bytes,
            max_fetches,
            max_deadline_ms,
            memory_bytes,
            cpu_ms,
        } = grant;
        ProviderGrant {
            id,
            hosts,
            origins,
            credentials,
            credential_hosts,
            max_response_bytes,
            max_fetches,
            max_deadline_ms,
            memory_bytes,
            cpu_ms,
        }
    }
}

impl NewProviderGrant {
    /// The grant, if its parts agree.
    pub(super) fn checked(self) -> Result<Grant> {
        let NewProviderGrant {
            hosts,
            origins,
            credentials,
            credential_hosts,
            max_response_bytes,
            max_fetches,
            max_deadline_ms,
            memory_bytes,
            cpu_ms,
        } = self;
        let mut violations = Vec::new();
        let mut own_hosts = Vec::new();
        let mut checked = Vec::new();
        for (index, text) in origins.iter().enumerate() {
            match origin(text) {
                Ok(url) => {
                    own_hosts.extend(url.host_str().map(str::to_owned));
                    checked.push(url.origin().ascii_serialization());
                }
                Err(detail) => {
                    let pointer = format!("/origins/{index}");
                    violations.push(Violation { pointer, detail: detail.into() });
                }
            }
        }
        for (name, bound) in &credential_hosts {
            if !credentials.contains(name) {
                let detail = "is not among `credentials`".into();
                let pointer = format!("/credential_hosts/{name}");
                violations.push(Violation { pointer, detail });
            }
            let known = |host: &String| hosts.contains(host) || own_hosts.contains(host);
            for host in bound.iter().filter(|host| !known(host)) {
                let detail = format!("{host} is not among `hosts` or `origins`");
                let pointer = format!("/credential_hosts/{name}");
                violations.push(Violation { pointer, detail });
            }
        }
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        let usual = Grant::default();
        Ok(Grant {
            hosts,
            origins: checked,
            credentials,
            credential_hosts,
            max_response_bytes: max_response_bytes.unwrap_or(usual.max_response_bytes),
            max_fetches,
            max_deadline_ms: max_deadline_ms.unwrap_or(usual.max_deadline_ms),
            memory_bytes: memory_bytes.unwrap_or(usual.memory_bytes),
            cpu_ms: cpu_ms.unwrap_or(usual.cpu_ms),
        })
    }
}

/// Reads an origin; what is wrong with it, if it is none that an operator may name.
fn origin(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text)
        .map_err(|_| "must be scheme, host and port, such as http://127.0.0.1:11434")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://");
    }
    let is_bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !is_bare {
        return Err("must be scheme, host and port alone, without path or user");
    }
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        _ => None,
    };
    if literal.is_some_and(|address| !may_be_named(address)) {
        return Err("is an address where no server of yours is: link-local, reserved or none");
    }
    Ok(url)
}
