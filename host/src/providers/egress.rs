//! The only way out: every outgoing HTTP client of the host is made here.
//!
//! **Invariant:** nothing connects to an address that [`is_global`] refuses, whichever way it is
//! spelt: literals are judged before the request, names when they are resolved, and a connection
//! uses exactly the addresses that were judged. The one exception is an origin that an operator
//! granted by name, whose addresses [`may_be_named`] judges; it has a client of its own.
//!
//! **Invariant:** redirects are never followed; a 3xx is an ordinary response.

use super::{
    addresses::{is_global, may_be_named},
    transport::{Incoming, Outgoing, TransportFailure},
};
use aiv_runtime::types::TransportError;
use futures_util::{StreamExt, future::BoxFuture};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    collections::HashMap,
    error::Error as StdError,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use url::{Host, Url};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Most that is set aside because a response says that it will come.
const USUAL_BODY: u64 = 256 << 10;

/// Turns a name into addresses; what comes back is judged before anything connects.
pub trait Lookup: Send + Sync {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The resolver of the operating system.
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
    }
}

/// What an [`Egress`] may reach beyond the rules that never change.
pub struct Reach {
    /// Ports besides 443.
    pub extra_ports: Vec<u16>,
    pub lookup: Arc<dyn Lookup>,
    pub stand_ins: StandIns,
}

/// Servers on this machine that play vendors, by plain HTTP. Where there are any, nobody else is
/// reached.
#[derive(Debug, Clone, Default)]
pub enum StandIns {
    /// The vendors play themselves.
    #[default]
    Nobody,
    /// Only these host names are played: how the conformance runner does it.
    Named(HashMap<String, SocketAddr>),
    /// One server plays whoever is asked: `PROVIDER_MODE=mock`.
    Everybody(SocketAddr),
}

impl StandIns {
    fn find(&self, host: &str) -> Option<SocketAddr> {
        match self {
            StandIns::Nobody => None,
            StandIns::Named(names) => names.get(host).copied(),
            StandIns::Everybody(address) => Some(*address),
        }
    }

    /// The vendors play themselves.
    fn is_nobody(&self) -> bool {
        matches!(self, StandIns::Nobody)
    }

    fn check(&self) -> anyhow::Result<()> {
        let addresses: Vec<(&str, SocketAddr)> = match self {
            StandIns::Nobody => vec![],
            StandIns::Named(names) => names.iter().map(|(host, at)| (host.as_str(), *at)).collect(),
            StandIns::Everybody(address) => vec![("the vendors", *address)],
        };
        for (whom, address) in addresses {
            anyhow::ensure!(
                address.ip().is_loopback(),
                "the stand-in for {whom} must be on this machine, not at {address}"
            );
        }
        Ok(())
    }
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            extra_ports: Vec::new(),
            lookup: Arc::new(SystemLookup),
            stand_ins: StandIns::Nobody,
        }
    }
}

/// A guarded HTTP client. Cheap to clone.
#[derive(Clone)]
pub struct Egress {
    client: reqwest::Client,
    /// For origins that an operator named.
    named: reqwest::Client,
    stand_ins: Arc<StandIns>,
    extra_ports: Arc<[u16]>,
}

impl Egress {
    /// The client of a host in service.
    pub fn guarded() -> anyhow::Result<Self> {
        Self::with(Reach::default())
    }

    /// A client that reaches only `address`, which plays every vendor.
    pub fn mocked(address: SocketAddr) -> anyhow::Result<Self> {
        Self::with(Reach { stand_ins: StandIns::Everybody(address), ..Reach::default() })
    }

    /// A client with a wider reach. Stand-ins must be on this machine.
    pub fn with(reach: Reach) -> anyhow::Result<Self> {
        reach.stand_ins.check()?;
        let stand_ins = Arc::new(reach.stand_ins);
        let resolver = |judge| GuardedResolver {
            lookup: Arc::clone(&reach.lookup),
            stand_ins: Arc::clone(&stand_ins),
            judge,
        };
        let client = client_of(resolver(is_global)).https_only(stand_ins.is_nobody()).build()?;
        let named = client_of(resolver(may_be_named)).build()?;
        Ok(Self { client, named, stand_ins, extra_ports: reach.extra_ports.into() })
    }

    /// Sends one request and reads the whole response, within its limits.
    pub async fn send(&self, request: Outgoing) -> Result<Incoming, TransportFailure> {
        let (client, url) = if request.named {
            (&self.named, self.judge_named(request.url)?)
        } else {
            (&self.client, self.judge(request.url)?)
        };
        let limit = request.max_response_bytes;
        let mut builder =
            client.request(request.method, url).headers(request.headers).timeout(request.timeout);
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let response = builder.send().await.map_err(explain)?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let too_large = || {
            TransportFailure::new(
                TransportError::TooLarge,
                format!("the response is larger than {limit} bytes"),
            )
        };
        // Known only without compression, so this is a short cut and not the check.
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let known = response.content_length().unwrap_or(0).min(USUAL_BODY);
        let mut body = Vec::with_capacity(usize::try_from(known).unwrap_or(0));
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(explain)?;
            if (body.len() + chunk.len()) as u64 > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Incoming { status, headers, body })
    }

    /// Why a request to `url` would be refused before anybody is asked where it leads. That it is
    /// not says nothing about the addresses behind its name.
    pub fn check(&self, url: &Url) -> Result<(), TransportFailure> {
        self.judge(url.clone()).map(drop)
    }

    /// The address that is really asked, or why none is.
    fn judge(&self, mut url: Url) -> Result<Url, TransportFailure> {
        if url.scheme() != "https" {
            return Err(TransportFailure::refused("only https is allowed"));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if is_this_machine(name) => {
                return Err(TransportFailure::refused(format!("{name} is no public name")));
            }
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => return Err(refuse_literal(address.into())),
            Some(Host::Ipv6(address)) => return Err(refuse_literal(address.into())),
            None => return Err(TransportFailure::refused("the URL has no host")),
        };
        let port = url.port_or_known_default().unwrap_or(443);
        if port != 443 && !self.extra_ports.contains(&port) {
            return Err(TransportFailure::refused(format!("port {port} is not allowed")));
        }
        self.stand_in(&mut url, &host)?;
        Ok(url)
    }

    /// As [`Egress::judge`], of an origin that an operator named.
    fn judge_named(&self, mut url: Url) -> Result<Url, TransportFailure> {
        let literal = match url.host() {
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            None => return Err(TransportFailure::refused("the URL has no host")),
        };
        if let Some(address) = literal
            && !may_be_named(address)
        {
            return Err(TransportFailure::refused(format!("{address} is nobody's address")));
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        self.stand_in(&mut url, &host)?;
        Ok(url)
    }

    /// Turns to whoever plays `host`, where vendors are played.
    fn stand_in(&self, url: &mut Url, host: &str) -> Result<(), TransportFailure> {
        let Some(address) = self.stand_ins.find(host) else {
            return if self.stand_ins.is_nobody() {
                Ok(())
            } else {
                Err(TransportFailure::refused(format!("{host} has no stand-in")))
            };
        };
        let by_name = matches!(url.host(), Some(Host::Domain(_)));
        url.set_scheme("http")
            .and_then(|()| url.set_port(Some(address.port())))
            .and_then(|()| if by_name { Ok(()) } else { url.set_ip_host(address.ip()) })
            .map_err(|()| TransportFailure::refused("the stand-in has no address"))
    }
}

fn client_of(resolver: GuardedResolver) -> reqwest::ClientBuilder {
    #[expect(clippy::disallowed_methods, reason = "the one place that builds clients")]
    let builder = reqwest::Client::builder();
    builder
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .dns_resolver(resolver)
        .connect_timeout(CONNECT_TIMEOUT)
        .referer(false)
        .user_agent(concat!("aiv/", env!("CARGO_PKG_VERSION")))
}

/// A vendor has a name; a literal is at best a mistake and at worst a way around the resolver,
/// which is never asked about one.
fn refuse_literal(address: IpAddr) -> TransportFailure {
    let why = if is_global(address) { "use the host's name" } else { "it is not a public address" };
    TransportFailure::refused(format!("an address instead of a host name: {why}"))
}

/// Names that mean whoever looks them up (RFC 6761 §6.3), so that a typing error is told at once and
/// not when the address is called.
fn is_this_machine(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// Judges every address of a name and hands out only those that hold.
struct GuardedResolver {
    lookup: Arc<dyn Lookup>,
    stand_ins: Arc<StandIns>,
    judge: fn(IpAddr) -> bool,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        if let Some(address) = self.stand_ins.find(&name) {
            return Box::pin(async move { Ok(Box::new(std::iter::once(address)) as Addrs) });
        }
        let (answers, judge) = (self.lookup.lookup(name.clone()), self.judge);
        Box::pin(async move {
            let answers = answers.await.map_err(|err| DnsFailed(name.clone(), err))?;
            let held: Vec<_> = answers.into_iter().filter(|a| judge(a.ip())).collect();
            if held.is_empty() {
                return Err(NotPublic(name).into());
            }
            Ok(Box::new(held.into_iter()) as Addrs)
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0} does not resolve: {1}")]
struct DnsFailed(String, io::Error);

#[derive(Debug, thiserror::Error)]
#[error("{0} resolves to no public address")]
struct NotPublic(String);

/// Names what went wrong. The URL may hold a credential and is left out.
fn explain(err: reqwest::Error) -> TransportFailure {
    let err = err.without_url();
    let mut causes: Vec<&(dyn StdError + 'static)> = Vec::new();
    let mut next = err.source();
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    if let Some(refusal) = causes.iter().find_map(|cause| cause.downcast_ref::<NotPublic>()) {
        return TransportFailure::refused(refusal.to_string());
    }
    let reason = causes.last().map_or_else(|| err.to_string(), ToString::to_string);
    let error = if causes.iter().any(|cause| cause.is::<DnsFailed>()) {
        TransportError::Dns
    } else if err.is_timeout() {
        TransportError::Timeout
    } else if causes.iter().any(|cause| is_tls(*cause)) {
        TransportError::Tls
    } else if err.is_connect() {
        TransportError::Connect
    } else if err.is_builder() {
        TransportError::RefusedByPolicy
    } else {
        TransportError::Reset
    };
    TransportFailure { error, reason }
}

fn is_tls(cause: &(dyn StdError + 'static)) -> bool {
    cause.is::<rustls::Error>()
        || cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            .is_some()
}
