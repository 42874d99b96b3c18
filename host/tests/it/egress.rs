//! Nothing goes where it must not, however the address is spelt.

use crate::support::addresses::nasty;
use aiv::providers::{
    Grant,
    credentials::{FixedCredential, Secrets},
    egress::{Egress, Lookup, Reach, StandIns},
    request::{NotSent, Rules},
    transport::{CallContext, Incoming, LiveTransport, Outgoing, Transport, TransportFailure},
};
use aiv_runtime::types::{
    Body, CredentialRequest, HttpMethod, HttpRequest, Manifest, TransportError, Value,
};
use futures_util::future::BoxFuture;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const SECRET: &str = "canary-s3cret/+=42";
const CONTEXT: CallContext = CallContext { seed: 1, attempt: 1 };

/// Counts who connects, and answers whatever it is told to.
struct Canary {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Canary {
    async fn start(reply: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, written) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (connected, wrote) = (Arc::clone(&connections), Arc::clone(&written));
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connected.fetch_add(1, Ordering::SeqCst);
                answer(stream, &reply, &wrote).await;
            }
        });
        Self { address, connections, written, _task: task }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Plays `host` for a client that is otherwise the one in service.
    fn plays(&self, host: &str) -> LiveTransport {
        let stand_ins = StandIns::Named([(host.to_owned(), self.address)].into());
        LiveTransport::new(Egress::with(Reach { stand_ins, ..Reach::default() }).unwrap())
    }
}

async fn answer(mut stream: TcpStream, reply: &impl Fn(&str) -> Vec<u8>, wrote: &AtomicUsize) {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => head.extend_from_slice(&buffer[..n]),
        }
    }
    for piece in reply(&String::from_utf8_lossy(&head)).chunks(64 << 10) {
        if stream.write_all(piece).await.is_err() {
            return;
        }
        wrote.fetch_add(piece.len(), Ordering::SeqCst);
    }
}

/// Names whose addresses the test chooses; each further look-up gets the next answer.
struct Names {
    answers: Vec<Vec<SocketAddr>>,
    asked: AtomicUsize,
}

impl Names {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|a| a.parse().unwrap()).collect();
        Arc::new(Self { answers: answers.iter().map(parse).collect(), asked: AtomicUsize::new(0) })
    }
}

impl Lookup for Names {
    fn lookup(&self, _: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        let answer = self.answers[turn].clone();
        Box::pin(async move { Ok(answer) })
    }
}

fn manifest(hosts: &[&str]) -> Manifest {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    Manifest {
        key: "canary".into(),
        display_name: "Canary".into(),
        version: "0.1.0".into(),
        description: String::new(),
        homepage: None,
        allowed_hosts: hosts.clone(),
        credentials: vec![CredentialRequest {
            name: "api-key".into(),
            description: String::new(),
            hosts: hosts.into_iter().take(1).collect(),
        }],
        config_schema: "{}".into(),
        surfaces: Vec::new(),
        extra: Vec::new(),
    }
}

fn get(url: &str) -> HttpRequest {
    HttpRequest {
        method: HttpMethod::Get,
        url: url.into(),
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
        timeout_ms: None,
    }
}

/// What the driver does with a request, without a component to ask for it.
fn prepare(manifest: &Manifest, request: &HttpRequest) -> Result<Outgoing, NotSent> {
    prepare_with(manifest, &Grant::as_requested(manifest), request)
}

fn prepare_with(
    manifest: &Manifest,
    grant: &Grant,
    request: &HttpRequest,
) -> Result<Outgoing, NotSent> {
    let secrets = Secrets::load(&FixedCredential::new(SECRET), manifest, grant);
    let rules = Rules { manifest, grant, secrets: &secrets };
    rules.prepare(request, Duration::from_secs(5), CONTEXT)
}

fn refusal(result: Result<Outgoing, NotSent>) -> String {
    match result {
        Err(NotSent::Refused(failure)) => {
            assert_eq!(failure.error, TransportError::RefusedByPolicy);
            failure.reason
        }
        Err(missing) => panic!("{missing:?}"),
        Ok(outgoing) => panic!("{} would have been asked", outgoing.url),
    }
}

async fn fetch(
    transport: &LiveTransport,
    hosts: &[&str],
    request: &HttpRequest,
) -> Result<Incoming, TransportFailure> {
    let outgoing = prepare(&manifest(hosts), request).unwrap_or_else(|e| panic!("{e:?}"));
    transport.send(outgoing).await
}

#[tokio::test]
async fn no_nasty_address_is_connected_to() {
    let canary = Canary::start(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into()).await;
    let port = canary.address.port();
    let egress = Egress::with(Reach { extra_ports: vec![port], ..Reach::default() }).unwrap();
    for url in nasty(port) {
        match prepare(&manifest(&["api.example.com"]), &get(&url)) {
            Ok(outgoing) => {
                let failure = egress.send(outgoing).await.unwrap_err();
                assert_eq!(failure.error, TransportError::RefusedByPolicy, "{url}: {failure}");
            }
            refused => drop(refusal(refused)),
        }

        // A manifest that allows the very host, and no check but the client's own.
        let Ok(parsed) = url::Url::parse(&url) else { continue };
        let host = parsed.host_str().unwrap_or_default().to_owned();
        if host.ends_with("example.com") || host.ends_with(".example") {
            continue;
        }
        if let Ok(outgoing) = prepare(&manifest(&[&host]), &get(&url)) {
            let answer = egress.send(outgoing).await;
            assert!(answer.is_err(), "{url} was answered");
        }
        let outgoing = Outgoing {
            method: http::Method::GET,
            url: parsed,
            headers: http::HeaderMap::new(),
            body: None,
            timeout: Duration::from_secs(1),
            max_response_bytes: 1_000,
            named: false,
            call: CONTEXT,
        };
        let answer = egress.send(outgoing).await;
        assert!(answer.is_err(), "{url} was answered");
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn a_name_is_only_as_good_as_its_addresses() {
    let canary = Canary::start(|_| Vec::new()).await;
    let port = canary.address.port();
    for answers in [
        &["127.0.0.1:0"][..],
        &["[::1]:0", "127.0.0.1:0"],
        &["[::ffff:127.0.0.1]:0"],
        &["10.0.0.1:0", "192.168.0.1:0", "169.254.169.254:0"],
        &[],
    ] {
        let reach =
            Reach { extra_ports: vec![port], lookup: Names::new(&[answers]), ..Reach::default() };
        let egress = LiveTransport::new(Egress::with(reach).unwrap());
        let url = format!("https://api.example.com:{port}/");
        let failure = fetch(&egress, &["api.example.com"], &get(&url)).await.unwrap_err();
        assert_eq!(failure.error, TransportError::RefusedByPolicy, "{answers:?}: {failure}");
        assert_eq!(failure.reason, "api.example.com resolves to no public address");
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn an_origin_that_was_granted_may_be_private_and_nothing_else_may() {
    let canary =
        Canary::start(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()).await;
    let port = canary.address.port();
    let ask = async |url: &str, answers: &'static [&'static str], named| {
        let reach = Reach { lookup: Names::new(&[answers]), ..Reach::default() };
        let outgoing = Outgoing {
            method: http::Method::GET,
            url: url.parse().unwrap(),
            headers: http::HeaderMap::new(),
            body: None,
            timeout: Duration::from_secs(1),
            max_response_bytes: 1_000,
            named,
            call: CONTEXT,
        };
        Egress::with(reach).unwrap().send(outgoing).await
    };
    let named = format!("http://llm.internal:{port}/");
    assert_eq!(ask(&named, &["127.0.0.1:0"], true).await.unwrap().status, 200);
    let literal = format!("http://127.0.0.1:{port}/");
    assert_eq!(ask(&literal, &[], true).await.unwrap().status, 200);
    assert_eq!(canary.connections(), 2);
    for (url, answers, named) in [
        (named.as_str(), &["127.0.0.1:0"][..], false),
        (literal.as_str(), &[], false),
        // Where clouds keep their metadata is nobody's server.
        (named.as_str(), &["169.254.169.254:0"], true),
        ("http://169.254.169.254/", &[], true),
        ("http://[fe80::1]/", &[], true),
    ] {
        let failure = ask(url, answers, named).await.unwrap_err();
        assert_eq!(failure.error, TransportError::RefusedByPolicy, "{url}: {failure}");
    }
    assert_eq!(canary.connections(), 2);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_judged_again() {
    let canary = Canary::start(|_| Vec::new()).await;
    let port = canary.address.port();
    // The first answer is judged and used; nobody listens there. The second is private.
    let names = Names::new(&[&["192.0.43.10:1"], &["127.0.0.1:0"]]);
    let reach =
        Reach { extra_ports: vec![port], lookup: Arc::clone(&names) as _, ..Reach::default() };
    let egress = LiveTransport::new(Egress::with(reach).unwrap());
    let mut request = get(&format!("https://api.example.com:{port}/"));
    request.timeout_ms = Some(300);
    for _ in 0..2 {
        fetch(&egress, &["api.example.com"], &request).await.unwrap_err();
    }
    assert_eq!(names.asked.load(Ordering::SeqCst), 2, "one look-up per connection");
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn a_stand_in_must_be_on_this_machine() {
    let elsewhere = "192.168.0.1:80".parse().unwrap();
    let stand_ins = StandIns::Named([("a.example".to_owned(), elsewhere)].into());
    assert!(Egress::with(Reach { stand_ins, ..Reach::default() }).is_err());
    assert!(Egress::mocked(elsewhere).is_err());
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let canary = Canary::start(|head| {
        assert!(head.starts_with("GET /start "), "{head}");
        b"HTTP/1.1 302 Found\r\nlocation: /next\r\ncontent-length: 0\r\n\r\n".into()
    })
    .await;
    let transport = canary.plays("api.example.com");
    let request = get("https://api.example.com/start");
    let response = fetch(&transport, &["api.example.com"], &request).await.unwrap();
    assert_eq!(response.status, 302);
    assert!(response.headers.contains(&("location".into(), "/next".into())));
    assert_eq!(canary.connections(), 1);
}

#[tokio::test]
async fn a_large_answer_is_stopped_early() {
    let canary = Canary::start(|_| {
        let mut reply = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        reply.resize(64 << 20, b'x');
        reply
    })
    .await;
    let transport = canary.plays("api.example.com");
    let request = get("https://api.example.com/");
    let failure = fetch(&transport, &["api.example.com"], &request).await.unwrap_err();
    assert_eq!(failure.error, TransportError::TooLarge);
    assert!(canary.written.load(Ordering::SeqCst) < 32 << 20, "it read on");
}

#[tokio::test]
async fn the_limit_counts_after_decompression() {
    let mut encoder = async_compression::tokio::write::GzipEncoder::new(Vec::new());
    encoder.write_all(&vec![b'0'; 64 << 20]).await.unwrap();
    encoder.shutdown().await.unwrap();
    let bomb = encoder.into_inner();
    assert!(bomb.len() < 1 << 20);
    let canary = Canary::start(move |_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n";
        [head.as_bytes(), &bomb].concat()
    })
    .await;
    let transport = canary.plays("api.example.com");
    let request = get("https://api.example.com/");
    let failure = fetch(&transport, &["api.example.com"], &request).await.unwrap_err();
    assert_eq!(failure.error, TransportError::TooLarge);
}

#[tokio::test]
async fn a_slow_answer_times_out() {
    let canary = Canary::start(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".into()).await;
    let transport = canary.plays("api.example.com");
    let request = HttpRequest { timeout_ms: Some(200), ..get("https://api.example.com/") };
    let failure = fetch(&transport, &["api.example.com"], &request).await.unwrap_err();
    // The canary hangs up or stays silent; either way there is no half answer.
    assert!(matches!(failure.error, TransportError::Timeout | TransportError::Reset), "{failure}");
}

#[test]
fn headers_cannot_be_smuggled() {
    let manifest = manifest(&["api.example.com"]);
    let with = |name: &str, value: &str| HttpRequest {
        headers: vec![(name.into(), Value::Text(value.into()))],
        ..get("https://api.example.com/")
    };
    for name in [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "Upgrade",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Cookie",
        "TE",
        "Trailer",
        "Expect",
        "Accept-Encoding",
        "X-Forwarded-For",
        "Forwarded",
        "Via",
        "Sec-Fetch-Site",
    ] {
        assert!(refusal(prepare(&manifest, &with(name, "x"))).contains("not allowed"), "{name}");
    }
    for name in ["", "a b", "a:b", "a\r\nb", "ä"] {
        assert!(refusal(prepare(&manifest, &with(name, "x"))).contains("not a header name"));
    }
    for value in ["a\r\nHost: b", "a\nb", "a\0b", "a\u{7f}b"] {
        assert!(refusal(prepare(&manifest, &with("x-a", value))).contains("not plain text"));
    }
    let fine = prepare(&manifest, &with("Accept-Language", "de")).map(|o| o.headers);
    assert_eq!(fine.unwrap_or_default()["accept-language"], "de");
}

#[test]
fn bodies_and_methods_are_bounded() {
    let manifest = manifest(&["api.example.com"]);
    let with = |method, size| HttpRequest {
        method,
        body: Some(Body::Binary(vec![0; size])),
        ..get("https://api.example.com/")
    };
    assert!(prepare(&manifest, &with(HttpMethod::Post, 1 << 20)).is_ok());
    assert!(refusal(prepare(&manifest, &with(HttpMethod::Post, (1 << 20) + 1))).contains("larger"));
    assert!(refusal(prepare(&manifest, &with(HttpMethod::Get, 1))).contains("no body"));
}

#[test]
fn a_credential_goes_only_where_it_belongs() {
    let manifest = manifest(&["api.example.com", "cdn.example.com"]);
    let asking = |host: &str| HttpRequest {
        query: vec![("key".into(), Value::Secret("api-key".into()))],
        headers: vec![(
            "authorization".into(),
            Value::PrefixedSecret("Bearer ".into(), "api-key".into()),
        )],
        ..get(&format!("https://{host}/"))
    };
    let outgoing =
        prepare(&manifest, &asking("api.example.com")).unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(outgoing.headers["authorization"], format!("Bearer {SECRET}"));
    assert!(outgoing.headers["authorization"].is_sensitive());
    assert_eq!(outgoing.url.query_pairs().next().unwrap().1, SECRET);

    assert!(refusal(prepare(&manifest, &asking("cdn.example.com"))).contains("not for"));

    let other = HttpRequest {
        headers: vec![("x".into(), Value::Secret("other".into()))],
        ..get("https://api.example.com/")
    };
    assert!(refusal(prepare(&manifest, &other)).contains("not granted"));

    let mut grant = Grant::as_requested(&manifest);
    grant.credentials.clear();
    let refused = refusal(prepare_with(&manifest, &grant, &asking("api.example.com")));
    assert!(refused.contains("not granted"));

    let mut grant = Grant::as_requested(&manifest);
    grant.hosts.retain(|host| host != "api.example.com");
    let refused = refusal(prepare_with(&manifest, &grant, &asking("api.example.com")));
    assert!(refused.contains("not granted by the operator"));
}
