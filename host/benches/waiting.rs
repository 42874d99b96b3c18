//! What a call takes while it waits for its vendor: thousands at once, by the HTTP client alone and
//! through a component, each in a process of its own.
//!
//! `cargo bench -p aiv --bench waiting`, after `make plugins`.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should say where")]
#![expect(clippy::print_stdout, reason = "that is where its figures go")]
#![expect(clippy::disallowed_methods, reason = "it is its own child; its calls are waited for")]

use aiv::{
    Clock,
    providers::{
        Begin, CallEnd, CallRequest, Grant, Providers, Route,
        credentials::FixedCredential,
        egress::Egress,
        transport::{CallContext, MockTransport, Outgoing},
    },
};
use aiv_bench::mock::{Control, Mock};
use aiv_runtime::{Runtime, RuntimeConfig, types::Query};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};
use tikv_jemallocator::Jemalloc;

/// As in the host.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const CALLS: usize = 5_000;
/// Made before anything is measured: each slot in which guests run keeps some memory.
const FIRST: usize = 64;
/// So long that all of them wait before the first answer comes, Python's too.
const LATENCY: Duration = Duration::from_secs(20);
/// Set in the processes that are measured.
const CHILD: &str = "AIV_BENCH_WAITING";

/// Who makes the calls, by the name of the component; the first one has none.
const CALLERS: [(&str, Option<&str>); 3] =
    [("HTTP client", None), ("Rust", Some("perplexity")), ("Python", Some("more/compatible"))];

fn main() {
    match env::var(CHILD) {
        Ok(address) => call(address.parse().unwrap(), env::args().nth(1).as_deref()),
        Err(_) => compare(),
    }
}

fn compare() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let mock = tokio.block_on(Mock::start()).unwrap();
    let mut alone = 0.0;
    for (name, component) in CALLERS {
        if component.is_some_and(|component| !file(component).exists()) {
            println!("{name}: not built here");
            continue;
        }
        let bytes = measure(&mock, component);
        if component.is_none() {
            alone = bytes;
        }
        println!(
            "{name}: {:.1} KB a waiting call, {:+.1} KB to the HTTP client alone",
            bytes / 1024.0,
            (bytes - alone) / 1024.0
        );
    }
}

/// Bytes of memory for each call that waits.
fn measure(mock: &Mock, component: Option<&str>) -> f64 {
    mock.control(Control::default());
    mock.reset();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(component)
        .env(CHILD, mock.address().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
    let before = resident(child.id());
    let latency_ms = u64::try_from(LATENCY.as_millis()).unwrap();
    mock.control(Control { latency_ms, ..Control::default() });
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    while mock.stats().all.in_flight < CALLS as u64 {
        assert!(child.try_wait().unwrap().is_none(), "the calls ended before all were made");
        std::thread::sleep(Duration::from_millis(20));
    }
    let waiting = resident(child.id()) - before;
    assert!(child.wait().unwrap().success());
    waiting / f64::from(u32::try_from(CALLS).unwrap())
}

fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1024.0
}

fn file(component: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../plugins/dist/{component}.wasm"))
}

/// Some calls, which prepare whatever all share, and then, when it is told to, all of them.
fn call(mock: SocketAddr, component: Option<&str>) {
    let tokio = tokio::runtime::Runtime::new().unwrap();
    tokio.block_on(async {
        let egress = Egress::mocked(mock).unwrap();
        let caller = match component {
            None => Caller::Client(egress),
            Some(component) => Caller::component(egress, component).await,
        };
        caller.make(FIRST).await;
        println!("ready");
        let mut word = [0; 3];
        std::io::stdin().read_exact(&mut word).unwrap();
        caller.make(CALLS).await;
    });
}

#[derive(Clone)]
enum Caller {
    Client(Egress),
    Component(Providers, Arc<Route>),
}

impl Caller {
    async fn component(egress: Egress, component: &str) -> Self {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("component-cache");
        let runtime = Runtime::new(RuntimeConfig::new(cache)).unwrap();
        let plugin = runtime.load(&std::fs::read(file(component)).unwrap()).await.unwrap();
        let credentials = Arc::new(FixedCredential::new("a mock needs no credential"));
        let transport = Arc::new(MockTransport::new(egress));
        let providers = Providers::with(transport, credentials, Clock::default());
        let route = Arc::new(Route::new(&plugin, Grant::as_requested(plugin.manifest())));
        Self::Component(providers, route)
    }

    /// So many calls at once.
    async fn make(&self, calls: usize) {
        let calls: Vec<_> = (0..calls).map(|_| tokio::spawn(self.clone().call())).collect();
        for call in calls {
            call.await.unwrap();
        }
    }

    async fn call(self) {
        match self {
            Self::Client(egress) => {
                let incoming = egress.send(request()).await.unwrap();
                assert_eq!(incoming.status, 200);
            }
            Self::Component(providers, route) => {
                let begin = Begin::Query(Box::new(query(&route)));
                let report = providers.call(&route, CallRequest { begin, attempt: 1 }).await;
                assert!(matches!(report.end, CallEnd::Done(_)), "{:?}", report.end);
            }
        }
    }
}

/// What the component of Perplexity sends.
fn request() -> Outgoing {
    let body = r#"{"model":"perplexity/sonar","input":"best crm"}"#;
    Outgoing {
        method: http::Method::POST,
        url: "https://api.perplexity.ai/v1/responses".parse().unwrap(),
        headers: [(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"))]
            .into_iter()
            .collect(),
        body: Some(body.into()),
        timeout: 3 * LATENCY,
        max_response_bytes: 5 << 20,
        named: false,
        call: CallContext { seed: 7, attempt: 1 },
    }
}

fn query(route: &Route) -> Query {
    // Where the mock has a chat completion.
    let config = match route.key() {
        "compatible" => r#"{"base_url":"https://openrouter.ai","model":"sonar"}"#,
        _ => "{}",
    };
    Query {
        id: "run-1".into(),
        prompt: "best crm".into(),
        surface: route.default_surface().unwrap().id.clone(),
        model: None,
        language: Some("en".into()),
        country: Some("US".into()),
        location: None,
        device: None,
        config: config.into(),
        now_unix: 0.0,
        seed: 7,
        extra: Vec::new(),
    }
}
